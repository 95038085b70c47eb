"""A backend made of scripts, and captures of it, for the tests of this folder.

The backend is raw TCP, so that a test decides every byte that a server sends and knows every byte
that it received. It shares no code with what is tested but the parser of frames.
"""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote, quote_plus

import trio

from recorder.backend import Backend
from recorder.capture import Capture, CaptureOptions, Outcome
from recorder.credentials import Credentials
from recorder.model import Bytes, Entry, FrameEntry, Header
from recorder.recording import Reader, Writer
from recorder.redaction import Redactor
from recorder.sink import Sink, wall_clock_text
from recorder.wire.frames import Frame, FrameParser, Opcode

EMAIL = "kim.tester+track@example.org"
PASSWORD = 'c0rrect "horse" & bättery/9'
COOKIE = "node01k3x9v2q7w5e1r8t4y6u.node0"
CREDENTIALS = Credentials(EMAIL, PASSWORD)
UUID = "a0b34365-908f-4868-a52a-84a3ed83bd5%d"


def ping(number: int) -> bytes:
    """The PING of manual section 3.3, with one of ten uuids."""
    uuid = UUID % number
    return (
        b'{"status":[{"message":"%s","type":"PING","localeKey":null,"localeValues":null}]}'
        % uuid.encode()
    )


def pong(number: int) -> bytes:
    """What answers it."""
    return b"pong " + (UUID % number).encode()


def text(payload: bytes, *, fin: bool = True) -> bytes:
    return Frame.make(Opcode.TEXT, payload, fin=fin).serialize()


def close(code: int, reason: str = "") -> bytes:
    return Frame.make(Opcode.CLOSE, code.to_bytes(2, "big") + reason.encode()).serialize()


def answer(status: str, *headers: str, body: bytes = b"") -> bytes:
    """An HTTP response with a Content-Length; ``status`` is as `200 OK`."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


SET_COOKIE = f"Set-Cookie: JSESSIONID={COOKIE}; Path=/api"
LOGGED_IN = answer(
    "200 OK", SET_COOKIE, "Content-Type: application/json", body=b'{"id":1,"name":"kim"}'
)


class Peer:
    """The server's end of one connection; it remembers what passed."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.received = bytearray()
        self.sent = bytearray()
        self.at = 0
        """How far ``received`` was read."""
        self.upgrade_head = 0
        """How long the client's upgrade request was, and what was sent in answer to it."""
        self.accept_head = 0
        self._frames = FrameParser()
        self._ready: list[Frame] = []

    @property
    def client_frames(self) -> bytes:
        """What the client sent behind its upgrade request."""
        return bytes(self.received[self.upgrade_head :])

    @property
    def server_frames(self) -> bytes:
        """What was sent behind the head that answered it."""
        return bytes(self.sent[self.accept_head :])

    async def send(self, data: bytes) -> None:
        self.sent += data
        await self.stream.send_all(data)

    async def read_head(self) -> bytes | None:
        """The next request's head; None when the client sends nothing more."""
        while (found := self.received.find(b"\r\n\r\n", self.at)) < 0:
            if not await self._more():
                return None
        head = bytes(self.received[self.at : found + 4])
        self.at = self.upgrade_head = found + 4
        return head

    async def read_exactly(self, size: int) -> bytes:
        while len(self.received) < self.at + size and await self._more():
            pass
        data = bytes(self.received[self.at : self.at + size])
        self.at += size
        return data

    async def read_frame(self) -> Frame:
        """The client's next frame."""
        while not self._ready:
            if self.at == len(self.received):
                assert await self._more(), "the client ended where a frame was expected"
            fed, self.at = bytes(self.received[self.at :]), len(self.received)
            self._ready += [one for one in self._frames.feed(fed) if isinstance(one, Frame)]
        return self._ready.pop(0)

    async def read_text(self) -> bytes:
        frame = await self.read_frame()
        assert frame.opcode == Opcode.TEXT
        return frame.payload

    async def read_to_end(self) -> None:
        while await self._more():
            pass

    async def _more(self) -> bool:
        try:
            data = await self.stream.receive_some()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        self.received += data
        return bool(data)

    async def accept(self, head: bytes, *, behind: bytes = b"") -> None:
        """A right 101, and ``behind`` in the same write."""
        accepted = accepting(head)
        self.accept_head = len(self.sent) + len(accepted)
        await self.send(accepted + behind)

    async def close_in_order(self) -> None:
        """1000 and the client's answer to it."""
        await self.send(close(1000, "done"))
        await self.read_to_end()

    async def reset(self) -> None:
        """Go with a TCP reset."""
        assert isinstance(self.stream, trio.SocketStream)
        # struct linger {1, 0}: closing sends RST.
        self.stream.setsockopt(
            trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0" + b"\0" * 4
        )
        await trio.aclose_forcefully(self.stream)


Script = Callable[[Peer, bytes], Awaitable[None]]
"""What a server does once it has a request: its head is the second argument."""


def accepting(head: bytes, accept: str | None = None) -> bytes:
    """The head of a 101 that answers an upgrade request (RFC 6455 section 4.2.2)."""
    key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)
    assert key is not None
    guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    digest = base64.b64encode(hashlib.sha1(key[1] + guid).digest()).decode()
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept or digest}\r\n\r\n"
    ).encode()


def saying(data: bytes) -> Script:
    """A script that answers with these bytes."""

    async def say(peer: Peer, head: bytes) -> None:
        await peer.send(data)

    return say


def closing_after(data: bytes) -> Script:
    """A script that answers with these bytes and hangs up."""

    async def say(peer: Peer, head: bytes) -> None:
        await peer.send(data)
        await peer.stream.aclose()

    return say


async def log_in(peer: Peer, head: bytes) -> None:
    """A login that is right, whoever comes."""
    await peer.send(LOGGED_IN)


async def orderly(peer: Peer, head: bytes) -> None:
    """The least that a socket can be."""
    await peer.accept(head)
    await peer.close_in_order()


class Scripted:
    """A running backend: where it is, what it was asked, and its sockets."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.requests: list[tuple[bytes, bytes]] = []
        """Head and body of each request, in order."""
        self.sockets: list[Peer] = []

    @property
    def url(self) -> str:
        return self.backend.http_url

    @property
    def socket(self) -> Peer:
        """The only one."""
        (peer,) = self.sockets
        return peer


@asynccontextmanager
async def scripted(
    socket: Script = orderly,
    *,
    login: Script = log_in,
    rest: Mapping[str, Script] = {},
    tls: ssl.SSLContext | None = None,
    wrap: Callable[[int, trio.SocketStream], Awaitable[trio.abc.Stream | None]] | None = None,
    within_s: float = 20.0,
) -> AsyncIterator[Scripted]:
    """Serve until the block ends; then every script must have come to its end.

    ``wrap`` may replace the stream of the n-th connection, or keep it for itself by giving None.
    """
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    server = Scripted(Backend(tls=tls is not None, host="127.0.0.1", port=port))
    count = 0

    async def handle(stream: trio.abc.Stream) -> None:
        nonlocal count
        count += 1
        try:
            talking: trio.abc.Stream | None = stream
            if wrap is not None:
                talking = await wrap(count, stream)
            elif tls is not None:
                talking = trio.SSLStream(stream, tls, server_side=True, https_compatible=True)
            if talking is not None:
                await answer_requests(Peer(talking))
        finally:
            await trio.aclose_forcefully(stream)

    async def answer_requests(peer: Peer) -> None:
        while (head := await peer.read_head()) is not None:
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            body = await peer.read_exactly(int(length[1])) if length else b""
            server.requests.append((head, body))
            target = head.split(b" ")[1].decode().partition("?")[0]
            if target == "/api/session":
                await login(peer, head)
            elif target == "/api/socket":
                server.sockets.append(peer)
                await socket(peer, head)
                return
            else:
                await rest[target](peer, head)

    failure: Exception | None = None
    try:
        with trio.fail_after(within_s):
            async with trio.open_nursery() as handlers, trio.open_nursery() as listening:
                listening.start_soon(
                    partial(trio.serve_listeners, handle, [listener], handler_nursery=handlers)
                )
                try:
                    yield server
                except Exception as error:  # noqa: BLE001 - whatever the test raises
                    # Handed on below, without the groups of the two nurseries around it.
                    failure = error
                    handlers.cancel_scope.cancel()
                listening.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise _first_leaf(group) from None
    if failure is not None:
        raise failure


def _first_leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


# Nothing is trusted; it is made once, since reading the system's authorities takes 20 ms.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def header() -> Header:
    return Header(
        id="1",
        started_at=wall_clock_text(0),
        tool="test",
        mode="capture",
        fidelity="wire",
        timing="measured",
        redaction=Redactor("secrets").header(),
    )


def read(path: Path) -> list[Entry]:
    """All entries of a recording, which must be complete."""
    with Reader(path) as reader:
        entries = list(reader)
        assert reader.complete, reader.why_incomplete
    return entries


class Session:
    """One capture into a file of its own; :meth:`run` also closes it."""

    def __init__(
        self,
        folder: Path,
        backend: Backend,
        *,
        redact: str = "none",
        tls: ssl.SSLContext = NO_TLS,
        **options: object,
    ) -> None:
        self.path = folder / f"{len(list(folder.iterdir()))}.track.jsonl"
        writer = Writer.create(self.path, header())
        self.sink = Sink(writer, Redactor(redact), started_ns=writer.clock())
        self.capture = Capture(backend, CREDENTIALS, self.sink, CaptureOptions(**options), tls=tls)
        self.progress = self.capture.progress

    async def run(self) -> Outcome:
        try:
            return await self.capture.run()
        finally:
            self.sink.close()

    @property
    def entries(self) -> list[Entry]:
        return read(self.path)

    def of(self, *kinds: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.kind in kinds]


def wire(entries: Iterable[Entry], sender: str, connection: int = 2) -> bytes:
    """The WebSocket bytes of one direction, rebuilt from a recording."""
    return b"".join(
        entry.frame().serialize() if isinstance(entry, FrameEntry) else entry.data
        for entry in entries
        if isinstance(entry, (FrameEntry, Bytes))
        and (entry.sender, entry.connection) == (sender, connection)
    )


def spellings(secret: str) -> set[str]:
    """Ways in which a secret might stand in a file or on a terminal."""
    escaped = secret.encode("unicode-escape").decode().replace("\\xe4", "\\u00e4")
    return {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        secret.replace('"', '\\"'),
        escaped,
        escaped.replace('"', '\\"'),
        escaped.replace('"', '\\"').replace("/", "\\/"),
        "".join(f"%{byte:02x}" for byte in secret.encode()),
        base64.b64encode(secret.encode()).decode(),
        secret.encode().hex(),
        secret.encode().decode("iso-8859-1"),
    }


def assert_no_secret(shown: str) -> None:
    """Neither the password nor the email nor the cookie stands there, in whatever spelling."""
    for secret in (PASSWORD, EMAIL, COOKIE, "bättery", "kim.tester"):
        for spelling in spellings(secret):
            assert spelling.lower() not in shown.lower(), f"{spelling!r} is in {shown[:2000]!r}"
