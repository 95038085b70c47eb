"""What one WebSocket connection did, as entries: bytes of both directions in, entries out. Pure.

It follows the phases of a connection: a request head, a response head, then frames both ways after
a 101, or a body after anything else.
"""

from __future__ import annotations

from typing import Final, Literal

import h11

from recorder.entries import (
    FrameEntries,
    body_entries,
    bytes_entry,
    request_entry,
    response_entry,
)
from recorder.model import Bytes, Closed, KnownEntry
from recorder.wire.frames import MAX_FRAME_BYTES, Frame, Sender
from recorder.wire.handshake import (
    HeadReader,
    RequestHead,
    ResponseHead,
    parse_request_head,
    parse_response_head,
)

__all__ = ["SocketObserver"]

_SENDERS: Final[tuple[Sender, Sender]] = ("client", "server")

_MAX_REFUSAL_BYTES: Final = 1024 * 1024
"""Of the body behind a refused handshake this much is kept; more is no error page."""


class _Direction:
    """One sender's half: a head, then frames (or raw bytes of a refusal)."""

    def __init__(self, frames: FrameEntries) -> None:
        self.head: HeadReader | None = HeadReader()
        self.frames = frames
        self.refusal_head = b""
        self.refusal: bytearray | None = None
        self.first_ns: int | None = None
        self.unreadable: str | None = None
        self.ended = False


class SocketObserver:
    """Turns the bytes of one connection into entries, in the order in which they came.

    ``connection`` and ``exchange`` number the connection and its upgrade exchange. Offsets are the
    caller's: each call says when its bytes were read. Raises nothing: what is no head and no frame
    becomes ``bytes`` entries.
    """

    def __init__(
        self, *, connection: int, exchange: int, max_frame_bytes: int = MAX_FRAME_BYTES
    ) -> None:
        self.connection = connection
        self.exchange = exchange
        self.request: RequestHead | None = None
        self.response: ResponseHead | None = None
        self.frames_seen: list[tuple[Sender, Frame]] = []
        """The frames of the latest call, so that a caller need not parse again."""
        self._directions: dict[Sender, _Direction] = {
            sender: _Direction(
                FrameEntries(connection=connection, sender=sender, max_frame_bytes=max_frame_bytes)
            )
            for sender in _SENDERS
        }

    def received(self, sender: Sender, data: bytes, offset_ns: int | None) -> list[KnownEntry]:
        """``sender`` sent ``data``; empty data says that it sends nothing more."""
        self.frames_seen = []
        direction = self._directions[sender]
        if direction.ended:
            return []
        if not data:
            direction.ended = True
            return self._end(sender, direction, offset_ns)
        if direction.unreadable is not None:
            return [self._bytes(sender, data, direction.unreadable, offset_ns)]
        if direction.head is None:
            return self._after_head(sender, direction, data, offset_ns)
        if direction.first_ns is None:
            direction.first_ns = offset_ns
        try:
            split = direction.head.feed(data)
        except ValueError as error:
            return self._give_up(
                sender, direction, direction.head.held, str(error), offset_ns, direction.first_ns
            )
        if split is None:
            return []
        head, rest = split
        first_ns, direction.first_ns = direction.first_ns, None
        try:
            entry = self._head_entry(sender, head, offset_ns, first_ns)
        except ValueError as error:
            return self._give_up(sender, direction, head + rest, str(error), offset_ns, first_ns)
        direction.head = None
        if sender == "server" and self.response is not None and self.response.status != 101:
            direction.refusal_head = head
            direction.refusal = bytearray()
        return [entry, *(self._after_head(sender, direction, rest, offset_ns) if rest else [])]

    def closed(
        self,
        by: Literal["client", "server", "recorder"],
        how: Literal["eof", "reset", "timeout", "stopped"],
        offset_ns: int | None,
        detail: str = "",
    ) -> list[KnownEntry]:
        """The connection ended; what was torn comes first, then the ``closed`` entry."""
        torn = [
            entry for sender in self._directions for entry in self.received(sender, b"", offset_ns)
        ]
        return [
            *torn,
            Closed(connection=self.connection, by=by, how=how, detail=detail, offset_ns=offset_ns),
        ]

    def _head_entry(
        self, sender: Sender, head: bytes, offset_ns: int | None, first_ns: int | None
    ) -> KnownEntry:
        if sender == "client":
            self.request = parse_request_head(head)
            return request_entry(
                self.request,
                connection=self.connection,
                exchange=self.exchange,
                offset_ns=offset_ns,
                first_ns=first_ns,
            )
        self.response = parse_response_head(head)
        return response_entry(
            self.response,
            connection=self.connection,
            exchange=self.exchange,
            offset_ns=offset_ns,
            first_ns=first_ns,
        )

    def _after_head(
        self, sender: Sender, direction: _Direction, data: bytes, offset_ns: int | None
    ) -> list[KnownEntry]:
        if direction.refusal is not None:
            if direction.first_ns is None:
                direction.first_ns = offset_ns
            room = _MAX_REFUSAL_BYTES - len(direction.refusal_head) - len(direction.refusal)
            direction.refusal += data[:room]
            beyond = data[room:]
            return (
                [self._bytes(sender, beyond, "the body of a refusal beyond 1 MiB", offset_ns)]
                if beyond
                else []
            )
        entries = direction.frames.feed(data, offset_ns)
        self.frames_seen = [(sender, frame) for frame in direction.frames.seen]
        return entries

    def _end(
        self, sender: Sender, direction: _Direction, offset_ns: int | None
    ) -> list[KnownEntry]:
        if direction.unreadable is not None:
            return []
        if direction.head is not None:
            held = direction.head.held
            return self._give_up(
                sender,
                direction,
                held,
                "the stream ended inside an HTTP head",
                offset_ns,
                direction.first_ns,
            )
        if direction.refusal is not None:
            body, behind = _body_of(direction.refusal_head, bytes(direction.refusal))
            why = "bytes behind the body of a refusal"
            return [
                *body_entries(
                    body,
                    connection=self.connection,
                    exchange=self.exchange,
                    sender=sender,
                    offset_ns=offset_ns,
                    first_ns=direction.first_ns if direction.first_ns != offset_ns else None,
                ),
                *([self._bytes(sender, behind, why, offset_ns)] if behind else []),
            ]
        return direction.frames.close(offset_ns)

    def _give_up(
        self,
        sender: Sender,
        direction: _Direction,
        held: bytes,
        why: str,
        offset_ns: int | None,
        first_ns: int | None,
    ) -> list[KnownEntry]:
        direction.unreadable = why
        return [self._bytes(sender, held, why, offset_ns, first_ns)] if held else []

    def _bytes(
        self,
        sender: Sender,
        data: bytes,
        why: str,
        offset_ns: int | None,
        first_ns: int | None = None,
    ) -> Bytes:
        return bytes_entry(
            data,
            why,
            connection=self.connection,
            sender=sender,
            offset_ns=offset_ns,
            first_ns=first_ns,
        )


def _body_of(head: bytes, behind: bytes) -> tuple[bytes, bytes]:
    """The body of a raw response, transfer encoding undone, and what stands behind its end; all of
    it as it stands where the response breaks RFC 9112.
    """
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    body = bytearray()
    try:
        reader.receive_data(head + behind)
        reader.receive_data(b"")
        while not isinstance(
            event := reader.next_event(), (h11.EndOfMessage, h11.ConnectionClosed)
        ):
            if event is h11.NEED_DATA or event is h11.PAUSED:
                break
            if isinstance(event, h11.Data):
                body += event.data
    except h11.RemoteProtocolError:
        return behind, b""
    return bytes(body), reader.trailing_data[0]
