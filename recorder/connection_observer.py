"""What one TCP connection of HTTP/1.1 did, as entries: bytes of both directions in, entries out.
Pure.

Strategy: each half of the connection has one reader at a time, and what a reader does not want goes
to the next: a head, a body, a head again, until a 101 makes frames of both halves. The halves meet
in two places only. The exchanges that wait for their response tell how a response's body ends. And
what a client sends behind an upgrade request may be frames or the next request: it is held until
the response tells.

Memory: a head, 64 KiB of a body, and one frame a half, whatever the connection carries.

A relay that stands in the connection learns from ``passed`` which bytes may go on, and which of
them are heads, which it may have to change.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from recorder.entries import FrameEntries, bytes_entry, request_entry, response_entry
from recorder.model import MAX_BODY_PIECE_BYTES, Body, Closed, KnownEntry, encode_bytes
from recorder.wire.bodies import BodyReader, request_body, response_body
from recorder.wire.frames import MAX_FRAME_BYTES, Sender
from recorder.wire.handshake import (
    MAX_HEAD_BYTES,
    HeadReader,
    RequestHead,
    ResponseHead,
    header_value,
    parse_request_head,
    parse_response_head,
)

__all__ = ["ConnectionObserver", "PassedHead"]

_MAX_WAITING: Final = 1024
"""A client that sends more requests than that without waiting for a response is not followed."""


_UNANSWERED: Final = "behind an upgrade request that was not answered"


class PassedHead(msgspec.Struct, frozen=True):
    """A whole head among the bytes that passed: as it came, as it was read, and its exchange."""

    data: bytes
    head: RequestHead | ResponseHead
    exchange: int


class _Waiting(msgspec.Struct, frozen=True):
    """A request that waits for its final response."""

    exchange: int
    method: str
    asks_to_upgrade: bool


class _BodyEntries:
    """The body of one message as entries of at most 64 KiB, cut at the same places however it came.

    A full piece is held until more comes, for it may be the last.
    """

    def __init__(
        self, reader: BodyReader, *, connection: int, exchange: int, sender: Sender
    ) -> None:
        self.reader = reader
        self._connection = connection
        self._exchange = exchange
        self._sender: Sender = sender
        self._held = bytearray()
        self._first_ns: int | None = None

    def add(self, data: bytes, offset_ns: int | None) -> list[KnownEntry]:
        entries: list[KnownEntry] = []
        if not self._held:
            self._first_ns = offset_ns
        self._held += data
        while len(self._held) > MAX_BODY_PIECE_BYTES:
            entries.append(self._piece(MAX_BODY_PIECE_BYTES, offset_ns))
            self._first_ns = offset_ns
        return entries

    def end(self, offset_ns: int | None, *, whole: bool) -> list[KnownEntry]:
        size_bytes = len(self._held)
        return [self._piece(size_bytes, offset_ns, last=whole)] if size_bytes else []

    def _piece(self, size_bytes: int, offset_ns: int | None, *, last: bool = False) -> Body:
        data = bytes(self._held[:size_bytes])
        del self._held[:size_bytes]
        return Body(
            connection=self._connection,
            exchange=self._exchange,
            sender=self._sender,
            offset_ns=offset_ns,
            first_ns=self._first_ns if self._first_ns != offset_ns else None,
            last=last,
            **encode_bytes(data),
        )


class _Half:
    """One sender's half. ``next`` is what reads the bytes that come."""

    def __init__(self, frames: FrameEntries) -> None:
        self.next: Literal["head", "body", "answer", "frames", "nothing"] = "head"
        self.frames = frames
        self.head = HeadReader()
        self.body: _BodyEntries | None = None
        self.held = b""
        self.first_ns: int | None = None
        """When the first byte came of what the head's reader, or ``held``, has."""
        self.why = ""
        """Why nothing reads any more."""
        self.ended = False


class ConnectionObserver:
    """Turns the bytes of one connection into entries, in the order in which they came.

    ``connection`` is its number, ``next_exchange`` gives the numbers of its exchanges, which may be
    shared with other connections. Offsets are the caller's and must not decrease: each call says
    when its bytes were read. An entry's ``offset_ns`` is that of the call which returned it: of a
    piece of a body, and of what a client sent behind an upgrade request, that may be a later one
    than the call that brought its last byte.

    Any number of exchanges, pipelined too; bodies by length, chunked or until the end (RFC 9112);
    1xx responses stand before the one they announce, with its exchange number. A body that is torn
    has no last piece. Raises nothing: what is no HTTP and no frame becomes ``bytes`` entries, from
    there to the end of that direction, since nobody can say where the next message starts. What has
    no entry is chunk sizes and their extensions.
    """

    def __init__(
        self,
        connection: int,
        next_exchange: Callable[[], int],
        *,
        max_client_frame_bytes: int = MAX_FRAME_BYTES,
        max_server_frame_bytes: int = MAX_FRAME_BYTES,
    ) -> None:
        self.connection = connection
        self.passed: dict[Sender, list[bytes | PassedHead]] = {"client": [], "server": []}
        """What the latest call let pass of each sender, in order. Over all calls these are the
        bytes that came, but for a head that is not whole and what is held behind an upgrade
        request.
        """
        self._next_exchange = next_exchange
        limits: dict[Sender, int] = {
            "client": max_client_frame_bytes,
            "server": max_server_frame_bytes,
        }
        self._halves = {
            sender: _Half(FrameEntries(connection=connection, sender=sender, max_frame_bytes=limit))
            for sender, limit in limits.items()
        }
        self._waiting: deque[_Waiting] = deque()
        self._upgraded = False

    def received(self, sender: Sender, data: bytes, offset_ns: int | None) -> list[KnownEntry]:
        """``sender`` sent ``data``; empty data says that it sends nothing more."""
        half = self._halves[sender]
        self.passed = {"client": [], "server": []}
        if half.ended:
            return []
        if data:
            return self._feed(sender, data, offset_ns)
        half.ended = True
        entries = self._end(sender, offset_ns)
        return entries + self._unanswered(offset_ns) if sender == "server" else entries

    @property
    def unanswered(self) -> bool:
        """Whether a request waits for its response, or for the end of it."""
        return bool(self._waiting) or self._halves["server"].next == "body"

    @property
    def holds(self) -> bool:
        """Whether something is held that the client sent behind an upgrade request."""
        return bool(self._halves["client"].held)

    def is_inside(self, sender: Sender) -> bool:
        """Whether the latest head or body of ``sender`` is not whole, and so torn once it ended."""
        half = self._halves[sender]
        return half.next == "body" or (half.next == "head" and bool(half.head.held))

    def passes(self, sender: Sender) -> bool:
        """Whether all that ``sender`` sends from now on passes as it comes, heads being over."""
        return self._halves[sender].next in ("frames", "nothing")

    def closed(
        self,
        by: Literal["client", "server", "recorder"],
        how: Literal["eof", "reset", "timeout", "stopped"],
        offset_ns: int | None,
        detail: str = "",
    ) -> list[KnownEntry]:
        """The connection ended; what was torn comes first, then the ``closed`` entry."""
        self.passed = {"client": [], "server": []}
        torn: list[KnownEntry] = []
        for sender, half in self._halves.items():
            if not half.ended:
                half.ended = True
                # Nobody but the sender, and that in order, can end a body whose size none knew.
                torn += self._end(sender, offset_ns, in_order=(by, how) == (sender, "eof"))
        torn += self._unanswered(offset_ns)
        return [
            *torn,
            Closed(connection=self.connection, by=by, how=how, detail=detail, offset_ns=offset_ns),
        ]

    def _unanswered(self, offset_ns: int | None) -> list[KnownEntry]:
        """The server has ended: what is held behind an upgrade request, and what comes, is nothing
        known.
        """
        client = self._halves["client"]
        held, client.held = client.held, b""
        if held:
            return self._give_up("client", _UNANSWERED, held, offset_ns)
        if client.next == "answer":
            client.next, client.why = "nothing", _UNANSWERED
        return []

    def _feed(
        self, sender: Sender, data: bytes, offset_ns: int | None, first_ns: int | None = None
    ) -> list[KnownEntry]:
        """Read ``data`` to its end; ``first_ns`` is when its first byte came, if earlier."""
        half = self._halves[sender]
        entries: list[KnownEntry] = []
        while data:
            match half.next:
                case "head":
                    found, data = self._head(sender, data, offset_ns, first_ns)
                case "body":
                    found, data = self._body(sender, data, offset_ns)
                case "answer":
                    found, data = self._hold(half, data, offset_ns), b""
                case "frames":
                    self.passed[sender].append(data)
                    found, data = half.frames.feed(data, offset_ns, first_ns), b""
                case _:
                    self.passed[sender].append(data)
                    found = [self._bytes(sender, data, half.why, offset_ns, first_ns)]
                    data = b""
            entries += found
        return entries

    # Heads

    def _head(
        self, sender: Sender, data: bytes, offset_ns: int | None, first_ns: int | None
    ) -> tuple[list[KnownEntry], bytes]:
        half = self._halves[sender]
        if not half.head.held:
            # RFC 9112 section 2.2: some clients send an empty line behind a body.
            rest = data.lstrip(b"\r\n") if sender == "client" else data
            if len(rest) < len(data):
                empty = data[: len(data) - len(rest)]
                self.passed[sender].append(empty)
                return [self._bytes(sender, empty, "empty lines before a head", offset_ns)], rest
            half.first_ns = offset_ns if first_ns is None else first_ns
        try:
            split = half.head.feed(data)
        except ValueError as error:
            return self._give_up(sender, str(error), half.head.held, offset_ns), b""
        if split is None:
            return [], b""
        head, rest = split
        half.head = HeadReader()
        try:
            read = self._request if sender == "client" else self._response
            return read(head, offset_ns, half.first_ns), rest
        except ValueError as error:
            return self._give_up(sender, str(error), head + rest, offset_ns), b""

    def _request(
        self, head: bytes, offset_ns: int | None, first_ns: int | None
    ) -> list[KnownEntry]:
        request = parse_request_head(head)
        if len(self._waiting) == _MAX_WAITING:
            raise ValueError(f"{_MAX_WAITING} requests wait for a response already")
        waiting = _Waiting(
            self._next_exchange(),
            request.method,
            header_value(request.headers, "Upgrade") is not None,
        )
        self._waiting.append(waiting)
        self.passed["client"].append(PassedHead(head, request, waiting.exchange))
        entry = request_entry(
            request,
            connection=self.connection,
            exchange=waiting.exchange,
            offset_ns=offset_ns,
            first_ns=first_ns,
        )
        self._begin_body("client", waiting.exchange, lambda: request_body(request.headers))
        return [entry]

    def _response(
        self, head: bytes, offset_ns: int | None, first_ns: int | None
    ) -> list[KnownEntry]:
        response = parse_response_head(head)
        # A server may speak unasked: 408 to a connection that is silent.
        waiting = self._waiting[0] if self._waiting else _Waiting(self._next_exchange(), "", False)
        self.passed["server"].append(PassedHead(head, response, waiting.exchange))
        entries: list[KnownEntry] = [
            response_entry(
                response,
                connection=self.connection,
                exchange=waiting.exchange,
                offset_ns=offset_ns,
                first_ns=first_ns,
            )
        ]
        if 100 <= response.status < 200 and response.status != 101:
            return entries
        if self._waiting:
            self._waiting.popleft()
        if response.status == 101:
            self._upgraded = True
            self._halves["server"].next = "frames"
        else:
            self._begin_body(
                "server",
                waiting.exchange,
                lambda: response_body(waiting.method, response.status, response.headers),
            )
        return entries + self._answered(offset_ns)

    def _answered(self, offset_ns: int | None) -> list[KnownEntry]:
        """Now that a response is there, let the client's half go on."""
        client = self._halves["client"]
        if client.next not in ("head", "answer"):
            return []
        data, first_ns = client.held, client.first_ns
        if client.next == "head" and self._upgraded:
            data, client.head = client.head.held, HeadReader()
        client.next = self._next_of("client")
        if client.next == "answer" or not data:
            return []
        client.held = b""
        entries = self._feed("client", data, offset_ns, first_ns)
        return entries + self._end("client", offset_ns) if client.ended else entries

    # Bodies

    def _begin_body(
        self, sender: Sender, exchange: int, reader_of: Callable[[], BodyReader | None]
    ) -> None:
        half = self._halves[sender]
        try:
            reader = reader_of()
        except ValueError as error:
            # The head stands; what is behind it cannot be told apart.
            half.next, half.why = "nothing", str(error)
            return
        if reader is None:
            half.next = self._next_of(sender)
        else:
            half.next = "body"
            half.body = _BodyEntries(
                reader, connection=self.connection, exchange=exchange, sender=sender
            )

    def _body(
        self, sender: Sender, data: bytes, offset_ns: int | None
    ) -> tuple[list[KnownEntry], bytes]:
        half = self._halves[sender]
        body = half.body
        assert body is not None
        read, behind = body.reader.feed(data)
        entries = body.add(read, offset_ns)
        if body.reader.broken is not None:
            entries += self._end_body(sender, offset_ns, whole=False)
            half.first_ns = None
            # What broke it may have begun in an earlier chunk, which has passed.
            why, passes = body.reader.broken, data
            return entries + self._give_up(sender, why, behind, offset_ns, passes), b""
        self.passed[sender].append(data[: len(data) - len(behind)])
        if body.reader.ended:
            entries += self._end_body(sender, offset_ns, whole=True)
            half.next = self._next_of(sender)
        return entries, behind

    def _end_body(self, sender: Sender, offset_ns: int | None, *, whole: bool) -> list[KnownEntry]:
        half = self._halves[sender]
        body, half.body = half.body, None
        assert body is not None
        entries = body.end(offset_ns, whole=whole)
        if body.reader.trailer:
            why = "fields behind a chunked body"
            entries.append(self._bytes(sender, body.reader.trailer, why, offset_ns))
        return entries

    def _next_of(self, sender: Sender) -> Literal["head", "answer", "frames", "nothing"]:
        """What comes behind a whole message."""
        if self._upgraded:
            return "frames"
        if sender == "client" and self._waiting and self._waiting[-1].asks_to_upgrade:
            if self._halves["server"].ended:
                self._halves["client"].why = _UNANSWERED
                return "nothing"
            return "answer"
        return "head"

    # What is no message

    def _hold(self, half: _Half, data: bytes, offset_ns: int | None) -> list[KnownEntry]:
        if not half.held:
            half.first_ns = offset_ns
        half.held += data
        if len(half.held) <= MAX_HEAD_BYTES:
            return []
        held, half.held = half.held, b""
        why = f"more than {MAX_HEAD_BYTES} bytes behind an upgrade request that was not answered"
        return self._give_up("client", why, held, offset_ns)

    def _give_up(
        self,
        sender: Sender,
        why: str,
        data: bytes,
        offset_ns: int | None,
        passes: bytes | None = None,
    ) -> list[KnownEntry]:
        """``data`` cannot be read, nor can anything behind it. ``passes`` is what has not passed
        yet, all of it if None.
        """
        half = self._halves[sender]
        half.next, half.why = "nothing", why
        self.passed[sender].append(data if passes is None else passes)
        return [self._bytes(sender, data, why, offset_ns, half.first_ns)]

    def _end(
        self, sender: Sender, offset_ns: int | None, *, in_order: bool = True
    ) -> list[KnownEntry]:
        half = self._halves[sender]
        match half.next:
            case "head" if half.head.held:
                why = "the stream ended inside an HTTP head"
                held, half.head = half.head.held, HeadReader()
                self.passed[sender].append(held)
                return [self._bytes(sender, held, why, offset_ns, half.first_ns)]
            case "body":
                assert half.body is not None
                reader = half.body.reader
                whole = reader.needs_close and in_order
                entries = self._end_body(sender, offset_ns, whole=whole)
                if reader.held:
                    why = "the stream ended inside a chunked body"
                    entries.append(self._bytes(sender, reader.held, why, offset_ns))
                return entries
            case "frames":
                return half.frames.close(offset_ns)
            case _:
                return []

    def _bytes(
        self,
        sender: Sender,
        data: bytes,
        why: str,
        offset_ns: int | None,
        first_ns: int | None = None,
    ) -> KnownEntry:
        return bytes_entry(
            data,
            why,
            connection=self.connection,
            sender=sender,
            offset_ns=offset_ns,
            first_ns=first_ns,
        )
