"""A recording as HAR 1.2: entries in, the bytes of the file out.

Strategy: an entry of a HAR is a whole exchange, a socket with all its messages. So exchanges are
held until their response is whole, and the messages of a socket go to a file until it ends. Of a
proxy's recording the clients' legs are shown. What HAR has no place for is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import IO, Final

import msgspec

from recorder.importers.har_values import start_ns
from recorder.model import (
    Body,
    Bytes,
    Checkpoint,
    Closed,
    FrameEntry,
    Header,
    KnownEntry,
    Note,
    Open,
    Request,
    Response,
    Resume,
    UnknownEntry,
)
from recorder.wire.frames import Opcode
from replayer.export.har_entry import Parts, har_entry, message
from replayer.export.spool import Spool
from replayer.reading.checkpoints import read_checkpoint
from replayer.reading.conversation import BrokenMessage, DataMessage, Exchange, converse
from replayer.reading.legs import client_legs

__all__ = ["HarExport"]

_CONTROL: Final = "control frames"
_BROKEN: Final = "messages that break RFC 6455, or were not finished"
_NO_UTF8: Final = "texts that are no UTF-8, shown with U+FFFD"
_OPCODES: Final = {"text": int(Opcode.TEXT), "binary": int(Opcode.BINARY)}


class HarExport:
    """Makes a HAR of a recording's ``header`` and entries.

    ``spool`` is a file for messages of sockets that are open; the caller closes it.
    """

    def __init__(self, header: Header, spool: IO[bytes]) -> None:
        self.exchanges = 0
        self.messages = 0
        self.redacted = 0
        """How many entries hold marks in place of secrets."""
        self.left_out: Counter[str] = Counter()
        """What a HAR does not hold, by name."""
        self._header = header
        self._started_wall_ns = start_ns(header.started_at) or 0
        self._spool = Spool(spool)
        self._opened: dict[int, Open] = {}
        self._parts: dict[tuple[int, int], Parts] = {}
        self._sockets: dict[int, Parts] = {}
        self._count = 0

    def chunks(self, entries: Iterable[KnownEntry | UnknownEntry]) -> Iterator[bytes]:
        """The bytes of the HAR. Raises what ``entries`` raise, CorruptRecording, and OSError of the
        spool.
        """
        creator = {"name": "tracktape", "version": version("tracktape")}
        yield b'{"log":{"version":"1.2","creator":' + msgspec.json.encode(creator)
        yield b',"pages":[],"entries":['
        for item in converse(self._seen(client_legs(entries))):
            match item:
                case Exchange():
                    yield from self._exchange(item)
                case Body():
                    yield from self._body(item)
                case DataMessage():
                    self._message(item)
                case Closed():
                    yield from self._end(item.connection, item)
                case Resume():
                    # Whoever recorded before is gone, and its connections with it.
                    yield from self._end_all()
                case FrameEntry():
                    self.left_out[_CONTROL] += 1
                case BrokenMessage():
                    self.left_out[_BROKEN] += 1
        yield from self._end_all()
        yield b"\n]}}\n"

    def _seen(
        self, entries: Iterable[KnownEntry | UnknownEntry]
    ) -> Iterator[KnownEntry | UnknownEntry]:
        """The same entries; connections and requests are learnt on the way."""
        for entry in entries:
            self.redacted += not isinstance(entry, UnknownEntry) and entry.redacted
            match entry:
                case Open():
                    self._opened[entry.connection] = entry
                case Checkpoint():
                    self._go_on(entry)
                case Bytes() | Note() | UnknownEntry():
                    self.left_out[f"{entry.kind} entries"] += 1
            yield entry
            if isinstance(entry, Request):
                # A body may come before the response, by which an exchange is known.
                self._part(entry.connection, entry.exchange).request = entry

    def _go_on(self, checkpoint: Checkpoint) -> None:
        """Know the connections that an earlier part of the series opened."""
        for number, known in read_checkpoint(checkpoint).connections.items():
            if number in self._opened:
                continue
            self._opened[number] = known.opened(checkpoint)
            asked = known.asked(checkpoint)
            if asked is not None:
                asked = msgspec.structs.replace(asked, offset_ns=checkpoint.offset_ns)
                self._part(number, asked.exchange).request = asked
            if known.is_socket and known.response is not None:
                answered = Response(
                    offset_ns=checkpoint.offset_ns,
                    connection=number,
                    exchange=known.exchange or 1,
                    status=known.response.status,
                    reason=known.response.reason,
                    headers=known.response.headers,
                )
                socket = self._part(number, answered.exchange)
                socket.response = answered
                self._sockets[number] = self._parts.pop((number, answered.exchange))

    def _part(self, connection: int, exchange: int) -> Parts:
        return self._parts.setdefault(
            (connection, exchange), Parts(opened=self._opened.get(connection))
        )

    def _exchange(self, item: Exchange) -> Iterator[bytes]:
        head = item.response or item.request
        assert head is not None
        response = item.response
        if response is not None and response.status < 200 and response.status != 101:
            self.left_out["interim responses (1xx)"] += 1
            return
        parts = self._part(item.connection, head.exchange)
        parts.response = response
        if parts.is_socket:
            self._sockets[item.connection] = self._parts.pop((item.connection, head.exchange))
        elif response is not None and _has_no_body(parts.request, response):
            parts.whole = True
            yield from self._entry(self._parts.pop((item.connection, head.exchange)))

    def _body(self, body: Body) -> Iterator[bytes]:
        key = (body.connection, body.exchange)
        parts = self._part(*key)
        if body.sender == "client":
            parts.request_body.append(body.data)
            parts.request_end_ns = body.offset_ns
            return
        parts.response_body.append(body.data)
        parts.end_ns = body.offset_ns
        if body.last:
            parts.whole = True
            yield from self._entry(self._parts.pop(key))

    def _message(self, item: DataMessage) -> None:
        connection = item.connection
        if connection not in self._sockets:
            # Text from a terminal, or frames whose handshake was not recorded.
            upgraded = Response(
                offset_ns=item.offset_ns,
                connection=connection,
                exchange=0,
                status=101,
                reason="Switching Protocols",
                headers=[],
            )
            self._sockets[connection] = Parts(
                opened=self._opened.get(connection), response=upgraded
            )
        self._sockets[connection].end_ns = item.offset_ns
        made, is_valid = message(
            item.sender,
            item.opcode,
            item.payload,
            wall_ns=self._started_wall_ns + (item.offset_ns or 0),
            number=_OPCODES.get(item.opcode, 0) if isinstance(item.opcode, str) else item.opcode,
        )
        self.messages += 1
        self.left_out[_NO_UTF8] += not is_valid
        self._spool.add(connection, b",\n" + msgspec.json.encode(made))

    def _end(self, connection: int, closed: Closed | None) -> Iterator[bytes]:
        """Whatever a connection has left open."""
        for key in [key for key in self._parts if key[0] == connection]:
            parts = self._parts.pop(key)
            parts.closed = closed
            parts.whole = _is_complete(parts)
            if closed is not None and not parts.whole:
                parts.end_ns = closed.offset_ns
            yield from self._entry(parts)
        socket = self._sockets.pop(connection, None)
        if socket is not None:
            socket.closed = closed
            if closed is not None:
                socket.end_ns = closed.offset_ns
            yield from self._entry(socket, connection)
        self._opened.pop(connection, None)

    def _end_all(self) -> Iterator[bytes]:
        for connection in {**self._sockets, **{key[0]: None for key in self._parts}}:
            yield from self._end(connection, None)

    def _entry(self, parts: Parts, socket: int | None = None) -> Iterator[bytes]:
        self.exchanges += 1
        entry = har_entry(parts, self._header, started_wall_ns=self._started_wall_ns)
        data = msgspec.json.encode(entry)
        yield b",\n" if self._count else b"\n"
        self._count += 1
        if socket is None:
            yield data
            return
        yield data[:-1] + b',"_webSocketMessages":['
        is_first = True
        for block in self._spool.take(socket):
            # Each message has a comma before it.
            yield block[1:] if is_first else block
            is_first = False
        yield b"]}"


def _has_no_body(request: Request | None, response: Response) -> bool:
    """Whether none can follow the head (RFC 9112 section 6.3)."""
    return (
        response.status in (204, 304)
        or (request is not None and request.method == "HEAD")
        or any(
            name.lower() == "content-length" and value.strip() == "0"
            for name, value in response.headers
        )
    )


def _is_complete(parts: Parts) -> bool:
    """Whether a response of which nothing more comes has all that its head announced: a body that
    ends with its connection (RFC 9112 section 6.3) may be empty.
    """
    if parts.response is None or parts.response_body:
        return parts.whole
    return not any(
        name.lower() in ("content-length", "transfer-encoding")
        for name, _ in parts.response.headers
    )
