"""Text copied from a terminal or a document, or a log whose unprintable bytes were lost.

Of the frames only the ``~`` of some headers is left, so what can be read are the JSON texts between
(:mod:`recorder.wire.json_texts`), the head of an HTTP response, with a blank line behind each line
where it was copied from the manual (section 3.2), and the client's ``pong <uuid>`` (section 3.3).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Final

from recorder.importers.chunks import bytes_entries
from recorder.model import Closed, KnownEntry, MessageEntry, Open, Response, Sender, encode_bytes
from recorder.wire.handshake import parse_response_head
from recorder.wire.json_texts import JsonText, JsonTextSplitter

__all__ = ["entries"]

_NO_TEXT: Final = "no JSON text"
_DELIMITERS: Final = b" \t\r\n~"

_FIELD: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++:[^\r\n]*+"
_KNOWN: Final = re.compile(
    # A head of RFC 9112 section 4: either no blank line inside, or one behind each line.
    rb"^HTTP/\d(?:\.\d)? \d{3}(?: [^\r\n]*)?+"
    rb"(?:(?:\r?\n" + _FIELD + rb")++|(?:\r?\n[ \t]*+\r?\n" + _FIELD + rb")*+)(?=\r?\n|\Z)"
    rb"|^[ \t]*+(?P<pong>pong [0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})(?=\s*?$)",
    re.MULTILINE,
)


def entries(chunks: Iterable[bytes]) -> Iterator[KnownEntry]:
    """The entries of a dump that arrives in chunks of any size, the same whatever the chunks.

    All are of connection 1 and have no time: ``open``; a ``message`` of the server for each JSON
    text and of the client for each pong; a ``response`` for each head (exchange 1 and up);
    ``bytes`` for all else; ``closed``. Only the delimiters between them, ``~`` and white space, are
    left out. Raises nothing.
    """
    splitter = JsonTextSplitter()
    exchanges = itertools.count(1)
    yield Open(connection=1, leg="upstream", offset_ns=None)
    # The last turn has no chunk: it closes.
    for chunk in itertools.chain(chunks, [None]):
        for part in splitter.close() if chunk is None else splitter.feed(chunk):
            if isinstance(part, JsonText):
                yield _message(part.data, "server")
            else:
                yield from _read_span(part.data, exchanges)
    yield Closed(
        connection=1, by="recorder", how="stopped", detail="the file ends here", offset_ns=None
    )


def _read_span(span: bytes, exchanges: Iterator[int]) -> Iterator[KnownEntry]:
    """What stands between two JSON texts."""
    at = 0
    for known in _KNOWN.finditer(span):
        yield from _unread(span[at : known.start()])
        pong: bytes | None = known["pong"]
        yield _message(pong, "client") if pong else _response(known[0], next(exchanges))
        at = known.end()
    yield from _unread(span[at:])


def _unread(data: bytes) -> Iterator[KnownEntry]:
    yield from bytes_entries([data.strip(_DELIMITERS)], why=_NO_TEXT)


def _message(data: bytes, sender: Sender) -> MessageEntry:
    return MessageEntry(
        connection=1, sender=sender, opcode="text", offset_ns=None, **encode_bytes(data)
    )


def _response(lines: bytes, exchange: int) -> Response:
    head = parse_response_head(b"\n".join(line for line in lines.splitlines() if line.strip()))
    return Response(
        connection=1,
        exchange=exchange,
        status=head.status,
        reason=head.reason,
        http_version=head.http_version,
        headers=head.headers,
        offset_ns=None,
    )
