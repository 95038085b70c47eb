"""The raw output of ``curl -i --no-buffer --output -``, as in the manual (sections 3.2 and 3.6).

Such a file holds what a server sent on one connection: the head of the HTTP response, then RFC 6455
frames. The ``~`` that a terminal shows is a byte of their headers, so frames are read here and
nothing is split. What a shell adds before the head (``Logged In...``, a progress meter, an earlier
response) is kept, and so is a tail that the end of the file cuts.

Strategy: where the capture begins is decided once, in the first :data:`WINDOW_BYTES`
(:func:`locate`). Behind that point the file is a stream, and memory holds one frame of it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Generator, Iterable, Iterator
from typing import Final

import msgspec

from recorder.importers.chunks import bytes_entries, pieces, take
from recorder.importers.frame_search import begins_frame, find_frames
from recorder.model import Body, Closed, FrameEntry, KnownEntry, Open, Response, encode_bytes
from recorder.wire.frames import Frame, FrameParser, Opcode
from recorder.wire.handshake import ResponseHead, parse_response_head

__all__ = ["WINDOW_BYTES", "Start", "entries", "locate"]

WINDOW_BYTES: Final = 1024 * 1024
"""How far into a file the HTTP head, or the first frame of a file without one, is looked for."""

_BEFORE_HEAD: Final = "text before the HTTP head"
_BEFORE_FRAMES: Final = "bytes before the first whole frame"
_NOTHING_FOUND: Final = "neither an HTTP head nor a frame"

# RFC 9112 section 4, bare LF allowed. No line end is required before it: a progress meter ends
# without one. The bounded reason phrase keeps the search linear.
_STATUS_LINE: Final = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})(?: [^\r\n]{0,200})?\r?\n")
_FIELD_LINES: Final = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[^\r\n]*+\r?\n)*+")
_BLANK_LINE: Final = re.compile(rb"\r?\n")


class Start(msgspec.Struct, frozen=True):
    """Where a capture begins in a file.

    ``at`` is the offset of its head, or of its first frame where ``head`` is None; ``body_at`` that
    of the first byte behind the head. ``holds_frames`` says whether frames are there, or the file
    ends.
    """

    at: int
    head: ResponseHead | None
    body_at: int
    holds_frames: bool


def locate(window: bytes, *, is_whole: bool) -> Start | None:
    """Where the capture begins in the first bytes of a file; ``is_whole`` if there are no more.

    In this order: frames at offset 0; the first head of a 101; frames without a head; the last head
    of any other status, which is the answer that counts after redirects. None if there is nothing.
    """
    if begins_frame(window, 0, is_whole=is_whole):
        return Start(0, None, 0, holds_frames=True)
    heads = list(_heads(window))
    for at, body_at, head in heads:
        if head.status == 101:
            found = body_at == len(window) or begins_frame(
                window, body_at, is_whole=is_whole, certain=True
            )
            return Start(at, head, body_at, holds_frames=found)
    frames_at = find_frames(window, is_whole=is_whole)
    if frames_at is not None:
        return Start(frames_at, None, frames_at, holds_frames=True)
    if heads:
        at, body_at, head = heads[-1]
        return Start(at, head, body_at, holds_frames=False)
    return None


def entries(chunks: Iterable[bytes]) -> Iterator[KnownEntry]:
    """The entries of a file that arrives in chunks of any size, the same whatever the chunks.

    All are of connection 1 and have no time: ``open``, ``bytes`` for what stands before the head,
    ``response`` (exchange 1), then a ``frame`` for each frame and ``bytes`` for what is none, or
    the ``body`` of a refusal, and ``closed``. Every byte of the file is in an entry, those of the
    head as what they say. Raises nothing: a file without head and frames gives ``bytes`` alone.
    """
    stream = iter(chunks)
    window, beyond = take(stream, WINDOW_BYTES)
    start = locate(window, is_whole=not beyond)
    yield Open(connection=1, leg="upstream", offset_ns=None)
    close: Frame | None = None
    if start is None:
        yield from bytes_entries(itertools.chain([window, beyond], stream), why=_NOTHING_FOUND)
    else:
        why = _BEFORE_HEAD if start.head else _BEFORE_FRAMES
        yield from bytes_entries([window[: start.at]], why=why)
        rest = itertools.chain([window[start.body_at :], beyond], stream)
        if start.head is not None:
            yield _response(start.head)
        if start.head is None or start.head.status == 101:
            close = yield from _frames(rest)
        else:
            yield from _body(rest)
    yield _closed(close)


def _heads(window: bytes) -> Iterator[tuple[int, int, ResponseHead]]:
    """Every whole response head: its offset, the offset behind it, and what it says."""
    at = 0
    while status := _STATUS_LINE.search(window, at):
        fields = _FIELD_LINES.match(window, status.end())
        # What broke this head breaks each one that begins inside it: no byte is read twice.
        at = fields.end() if fields else status.end()
        if blank := _BLANK_LINE.match(window, at):
            yield (
                status.start(),
                blank.end(),
                parse_response_head(window[status.start() : blank.end()]),
            )


def _response(head: ResponseHead) -> Response:
    return Response(
        connection=1,
        exchange=1,
        status=head.status,
        reason=head.reason,
        http_version=head.http_version,
        headers=head.headers,
        offset_ns=None,
    )


def _body(chunks: Iterable[bytes]) -> Iterator[Body]:
    """The body of a refusal, as curl prints it: transfer encoding undone."""
    waiting: bytes | None = None
    for piece in pieces(chunks):
        if waiting is not None:
            yield _body_piece(waiting, last=False)
        waiting = piece
    if waiting is not None:
        yield _body_piece(waiting, last=True)


def _body_piece(piece: bytes, *, last: bool) -> Body:
    return Body(
        connection=1, exchange=1, sender="server", offset_ns=None, last=last, **encode_bytes(piece)
    )


def _frames(chunks: Iterator[bytes]) -> Generator[KnownEntry, None, Frame | None]:
    """The frames and what is none; returns the first close frame, if there is one."""
    parser = FrameParser()
    close: Frame | None = None
    for chunk in chunks:
        for event in parser.feed(chunk):
            if isinstance(event, Frame):
                if close is None and event.opcode == Opcode.CLOSE:
                    close = event
                yield FrameEntry.of(event, connection=1, sender="server", offset_ns=None)
            else:
                # The parser gives up for good, and would cut the rest as the chunks happen to be.
                rest = itertools.chain([event.data], chunks)
                yield from bytes_entries(rest, why=event.why)
                return close
    for tail in parser.close():
        yield from bytes_entries([tail.data], why=tail.why)
    return close


def _closed(close: Frame | None) -> Closed:
    """How the connection ended, as far as the file tells."""
    if close is None:
        return Closed(
            connection=1, by="recorder", how="stopped", detail="the file ends here", offset_ns=None
        )
    code = "" if close.close_code is None else close.close_code
    detail = f"close {code} {close.close_reason}".strip()
    return Closed(connection=1, by="server", how="eof", detail=detail, offset_ns=None)
