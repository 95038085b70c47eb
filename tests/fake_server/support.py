"""A fake server over memory streams, and the two small clients that tests drive it with.

Under `autojump_clock` every moment is exact: whoever awaits the next frame is at its due moment
when it comes.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
import trio
import trio.testing

from fake_server.accounts import DEMO_ACCOUNT
from fake_server.server import FakeServer
from recorder.model import Body, Entry, FrameEntry, Open, Request, Response
from recorder.recording import encode_entry, encode_header, with_seq
from recorder.track.kinds import ping_uuids
from recorder.wire.frames import Frame, FrameParser, Opcode, close_frame
from recorder.wire.handshake import (
    HeadReader,
    accept_for,
    check_accept,
    header_value,
    parse_response_head,
)
from replayer.playing.script import Script, load_script
from replayer.playing.timeline import Cue
from tests.strategies import make_header

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
MASK = bytes.fromhex("a1b2c3d4")
TIMEOUT = b'{"webSessionTimeout":[86400]}'
DEVICES = b'{"devices":[{"id":1,"name":"one","speed":100.0},{"name":"two","id":2}]}'
BEACONS = b'{"beacons":[{"id":7,"name":"room"}]}'
POSITION = b'{"positions":[{"id":11,"deviceId":1,"rssi":-64}]}'
MOVED = b'{"positions":[{"id":12,"deviceId":1,"rssi":-65.0}]}'

PING = b'{"status":[{"message":"%s","type":"PING","localeKey":null,"localeValues":null}]}'


def ns(at_s: float) -> int:
    return round(at_s * 1e9)


# Recordings


def upgrade(connection: int = 2, at_s: float = 0.0) -> list[Entry]:
    """A socket's opening; what it plays is timed from here."""
    common = {"connection": connection, "offset_ns": ns(at_s)}
    return [
        Open(**common, leg="upstream", url="wss://track.example/api/socket"),
        Request(
            **common,
            exchange=connection * 100,
            method="GET",
            target="/api/socket",
            headers=[("Upgrade", "websocket")],
        ),
        Response(**common, exchange=connection * 100, status=101, headers=[]),
    ]


def said(payload: bytes | Frame, at_s: float = 0.0, *, connection: int = 2) -> FrameEntry:
    """A frame of the server, a text unless it is given whole."""
    frame = payload if isinstance(payload, Frame) else Frame.make(Opcode.TEXT, payload)
    return FrameEntry.of(frame, connection=connection, sender="server", offset_ns=ns(at_s))


def exchange(
    target: str,
    body: bytes,
    *,
    number: int = 1,
    method: str = "GET",
    status: int = 200,
    connection: int = 1,
    at_s: float = 0.0,
    headers: Iterable[tuple[str, str]] = (("Content-Type", "application/json"),),
) -> list[Entry]:
    """A REST call and its answer."""
    common = {"connection": connection, "exchange": number, "offset_ns": ns(at_s)}
    return [
        Request(**common, method=method, target=target, headers=[]),
        Response(**common, status=status, headers=list(headers)),
        Body(**common, sender="server", last=True, text=body.decode()),
    ]


def write(path: Path, entries: Iterable[Entry], **of_header: Any) -> Path:
    """A recording, without the syncs that a recorder owes its user."""
    ordered = list(entries)
    if of_header.get("timing") == "none":
        ordered = [msgspec.structs.replace(entry, offset_ns=None) for entry in ordered]
    else:
        ordered.sort(key=lambda entry: entry.offset_ns)
    lines = [encode_header(make_header(**of_header))]
    lines += [encode_entry(with_seq(entry, seq)) for seq, entry in enumerate(ordered, 1)]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def script_of(folder: Path, entries: Iterable[Entry], **of_header: Any) -> Script:
    """The entries, sorted by time, as a recording that was read again."""
    return load_script(write(folder / "some.track.jsonl", entries, **of_header))


def quiet(*payloads: bytes) -> Script:
    """One recorded socket that says these texts at once, or nothing; made in memory."""
    cues = [
        Cue(0, "data", Frame.make(Opcode.TEXT, payload).serialize(), payload)
        for payload in payloads
    ]
    return Script(make_header(), [(0, cues)], {})


# Clients


class Answer(NamedTuple):
    """A response of HTTP."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return header_value(self.headers, name)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Http:
    """One connection of HTTP/1.1 that is kept alive."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._read = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def _more(self) -> None:
        data = bytes(await self.stream.receive_some(65536))
        if not data:
            raise EOFError(f"the server hung up after {self._read!r}")
        self._read += data

    async def _take(self, size: int) -> bytes:
        while len(self._read) < size:
            await self._more()
        taken, self._read = self._read[:size], self._read[size:]
        return taken

    async def _line(self) -> bytes:
        while b"\r\n" not in self._read:
            await self._more()
        line, _, self._read = self._read.partition(b"\r\n")
        return line

    async def head(self) -> Answer:
        reader = HeadReader()
        while (found := reader.feed(self._read)) is None:
            self._read = b""
            await self._more()
        data, self._read = found
        head = parse_response_head(data)
        return Answer(head.status, head.reason, head.headers, b"")

    async def answer(self, method: str = "GET") -> Answer:
        head = await self.head()
        body = b""
        if (head.header("Transfer-Encoding") or "").lower() == "chunked":
            while size := int(await self._line(), 16):
                body += await self._take(size)
                await self._line()
            await self._line()
        elif method != "HEAD":
            body = await self._take(int(head.header("Content-Length") or 0))
        return head._replace(body=body)

    async def ask(
        self, target: str, *, method: str = "GET", body: bytes = b"", **headers: str
    ) -> Answer:
        """Header names are given with `_` for `-`."""
        fields = {"Host": "track.example", **headers}
        if body:
            fields["Content-Length"] = str(len(body))
        lines = [f"{method} {target} HTTP/1.1"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        await self.send("\r\n".join([*lines, "", ""]).encode() + body)
        return await self.answer(method)

    async def log_in(
        self, email: str = DEMO_ACCOUNT.email, password: str = DEMO_ACCOUNT.password
    ) -> Answer:
        return await self.ask(
            "/api/session",
            method="POST",
            body=urlencode({"email": email, "password": password}).encode(),
            Content_Type="application/x-www-form-urlencoded",
        )

    async def ended(self) -> bool:
        """Whether the server hangs up without another word; waits for it."""
        return not self._read and not await self.stream.receive_some(65536)

    def rest(self) -> bytes:
        taken, self._read = self._read, b""
        return taken


class Heard(NamedTuple):
    """A frame and when it was read, seconds of trio's clock."""

    at_s: float
    frame: Frame

    @property
    def is_ping(self) -> bool:
        """Whether it is a PING of Track."""
        return self.frame.opcode == Opcode.TEXT and bool(ping_uuids(self.frame.payload))


class Client:
    """One WebSocket from the client's side; `read` holds all that came behind the handshake."""

    def __init__(self, stream: trio.abc.Stream, early: bytes = b"") -> None:
        self.stream = stream
        self.read = early
        self.at_end = False
        self._parser = FrameParser()
        self._frames = self._parsed(early)

    def _parsed(self, data: bytes) -> list[Frame]:
        frames = self._parser.feed(data)
        assert all(isinstance(frame, Frame) for frame in frames), frames
        return frames

    async def frame(self) -> Frame | None:
        """The next frame; None when the server hung up, and that behind a whole frame."""
        while not self._frames and not self.at_end:
            data = bytes(await self.stream.receive_some(65536))
            if not data:
                self.at_end = True
                assert self._parser.close() == []
            self.read += data
            self._frames = self._parsed(data)
        return self._frames.pop(0) if self._frames else None

    async def listen(self, until_s: float = math.inf, *, answer: bool = True) -> list[Heard]:
        """What comes until a moment, or until the server hangs up; PINGs are answered."""
        heard: list[Heard] = []
        with trio.move_on_at(until_s):
            while (frame := await self.frame()) is not None:
                heard.append(Heard(trio.current_time(), frame))
                if answer and heard[-1].is_ping:
                    for uuid in ping_uuids(frame.payload):
                        await self.text(f"pong {uuid}")
        return heard

    async def expect(self, *payloads: bytes) -> None:
        """Exactly these texts come next."""
        for payload in payloads:
            frame = await self.frame()
            assert frame is not None
            assert (frame.opcode, frame.payload) == (Opcode.TEXT, payload)

    async def text(self, text: str | bytes) -> None:
        data = text.encode() if isinstance(text, str) else text
        await self.send(Frame.make(Opcode.TEXT, data, mask=MASK))

    async def send(self, frame: Frame) -> None:
        await self.stream.send_all(frame.serialize())

    async def close(self, code: int = 1000) -> Frame | None:
        """The closing handshake, begun by the client; returns the server's close frame."""
        await self.send(close_frame(code, mask=MASK))
        while (frame := await self.frame()) is not None:
            if frame.opcode == Opcode.CLOSE:
                return frame
        return None


def handshake(cookie: str | None, *, key: str | None = KEY, version: str | None = "13") -> bytes:
    """The upgrade request, as bytes."""
    lines = [
        "GET /api/socket HTTP/1.1",
        "Host: track.example",
        "Connection: Upgrade",
        "Upgrade: websocket",
    ]
    if version is not None:
        lines.append(f"Sec-WebSocket-Version: {version}")
    if key is not None:
        lines.append(f"Sec-WebSocket-Key: {key}")
    if cookie is not None:
        lines.append(f"Cookie: {cookie}")
    return "\r\n".join([*lines, "", ""]).encode()


class Fake:
    """A running server, and clients of it."""

    def __init__(self, server: FakeServer, nursery: trio.Nursery) -> None:
        self.server = server
        self._nursery = nursery

    @property
    def rules_broken(self) -> list[str]:
        """The rules that violations were reported of, in order."""
        return [violation.rule for violation in self.server.violations.latest]

    def connect(self, *, lockstep: bool = False) -> trio.abc.Stream:
        """A new connection. In lockstep nothing is buffered between the two ends."""
        make = trio.testing.lockstep_stream_pair if lockstep else trio.testing.memory_stream_pair
        ours, theirs = make()
        self._nursery.start_soon(self.server.handle, theirs)
        return ours

    def http(self) -> Http:
        return Http(self.connect())

    async def cookie(self) -> str:
        """Log in; what stands in `Cookie` from now on."""
        answer = await self.http().log_in()
        assert answer.status == 200
        return (answer.header("Set-Cookie") or "").partition(";")[0]

    async def socket(
        self, cookie: str | None = None, *, early: bytes = b"", lockstep: bool = False
    ) -> Client:
        """A new socket; logs in first unless it has a cookie. `early` goes out with the request."""
        http = Http(self.connect(lockstep=lockstep))
        await http.send(handshake(cookie or await self.cookie()) + early)
        head = await http.head()
        assert head.status == 101, head
        assert check_accept(KEY, head.header("Sec-WebSocket-Accept")) is None, accept_for(KEY)
        return Client(http.stream, http.rest())


@asynccontextmanager
async def serving(source: Any, **options: Any) -> AsyncIterator[Fake]:
    """A `FakeServer` that runs until the block ends."""
    async with trio.open_nursery() as nursery:
        fake = Fake(FakeServer(source, **options), nursery)
        await nursery.start(fake.server.run)
        yield fake
        nursery.cancel_scope.cancel()


# What was heard


def data_of(heard: Iterable[Heard]) -> list[tuple[float, bytes]]:
    """When each frame came and its bytes, PINGs of Track aside."""
    return [(one.at_s, one.frame.serialize()) for one in heard if not one.is_ping]


def texts_of(heard: Iterable[Heard]) -> list[bytes]:
    """The payloads of the texts, PINGs aside."""
    return [
        one.frame.payload
        for one in heard
        if one.frame.opcode == Opcode.TEXT and one.frame.fin and not one.is_ping
    ]


def pings_of(heard: Iterable[Heard]) -> list[tuple[float, str]]:
    """When each PING came, and its uuid."""
    return [
        (one.at_s, uuid) for one in heard if one.is_ping for uuid in ping_uuids(one.frame.payload)
    ]


def text(payload: bytes) -> bytes:
    """The bytes of a server's text."""
    return Frame.make(Opcode.TEXT, payload).serialize()
