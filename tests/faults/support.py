"""A proxy in this process, between a client and an upstream that tests decide every byte of."""

from __future__ import annotations

import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from typing import Any, Literal, NamedTuple, TypeAlias

import trio

from recorder.backend import Backend
from recorder.model import Closed, Entry, FrameEntry
from recorder.proxy import Proxy
from recorder.recording import FLUSH_INTERVAL_S, File, Reader, Writer
from recorder.redaction import Redactor
from recorder.sink import Sink
from recorder.wire.frames import Sender
from tests.recording.files import NoSync
from tests.strategies import make_header

DEADLINE_S = 5.0
"""What takes longer hangs."""

How: TypeAlias = Literal["eof", "reset"]


class Certificates(NamedTuple):
    """The contexts of servers, and of clients that trust them."""

    server: ssl.SSLContext
    client: ssl.SSLContext


async def until(condition: Callable[[], object]) -> None:
    """Wait for what another task, or the kernel, does."""
    while not condition():  # noqa: ASYNC110 - processes and the kernel set no Event
        await trio.sleep(0.001)


class Peer:
    """One end of a TCP connection, perhaps with TLS; ``received`` is all that was read."""

    def __init__(self, tcp: trio.SocketStream, tls: ssl.SSLContext | None, **of_tls: Any) -> None:
        self.tcp = tcp
        self.stream: trio.abc.Stream = tcp
        if tls is not None:
            self.stream = trio.SSLStream(tcp, tls, **of_tls)
        self.received = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def handshake(self) -> None:
        """Agree on TLS, before anything is sent."""
        assert isinstance(self.stream, trio.SSLStream)
        await self.stream.do_handshake()

    async def expect(self, data: bytes) -> None:
        """Exactly this comes next."""
        start, size = len(self.received), len(data)
        while len(self.received) < start + size:
            more = bytes(await self.stream.receive_some(start + size - len(self.received)))
            if not more:
                raise EOFError(f"the end came behind {self.received[start:]!r}")
            self.received += more
        assert self.received[start:] == data

    async def wait_for_the_end(self) -> How:
        """Read to the end; says which it was."""
        try:
            while more := bytes(await self.stream.receive_some(65536)):
                self.received += more
        except trio.BrokenResourceError as error:
            # RFC 8446 section 6.1 wants a word of TLS before the end; HTTP lives without it.
            cause: BaseException | None = error
            while cause is not None:
                if isinstance(cause, ssl.SSLEOFError):
                    return "eof"
                cause = cause.__cause__
            return "reset"
        return "eof"

    async def end(self, how: How) -> None:
        """Send nothing more: by a reset of TCP, or in order, which over plain TCP is a half-close
        and over TLS its word for it.
        """
        if how == "reset":
            self.tcp.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            await trio.aclose_forcefully(self.tcp)
        elif self.stream is self.tcp:
            await self.tcp.send_eof()
        else:
            await self.stream.aclose()

    async def close(self) -> None:
        """Close it, whatever state it is in."""
        await trio.aclose_forcefully(self.tcp)


class Proxied:
    """A running proxy: :meth:`connect` is a client of it, :meth:`accept` the upstream's end."""

    def __init__(
        self,
        proxy: Proxy,
        sink: Sink,
        path: Path,
        upstream: trio.SocketListener,
        port: int,
        certificates: Certificates | None,
        tls: tuple[bool, bool],
    ) -> None:
        self.proxy = proxy
        self.sink = sink
        self.path = path
        self.authority = "{}:{}".format(*upstream.socket.getsockname())
        """The upstream's: a request whose ``Host`` this is passes as it is."""
        self._upstream = upstream
        self._port = port
        self._certificates = certificates
        self._tls = tls
        self._peers: list[Peer] = []

    async def connect(self) -> Peer:
        """A new client."""
        tcp = await trio.open_tcp_stream("127.0.0.1", self._port)
        if not self._tls[0]:
            return self._kept(Peer(tcp, None))
        assert self._certificates is not None
        tls = self._certificates.client
        return self._kept(Peer(tcp, tls, server_hostname="127.0.0.1"))

    async def accept(self) -> Peer:
        """The upstream's end of the next connection to it."""
        tcp = await self._upstream.accept()
        if not self._tls[1]:
            return self._kept(Peer(tcp, None))
        assert self._certificates is not None
        return self._kept(Peer(tcp, self._certificates.server, server_side=True))

    def _kept(self, peer: Peer) -> Peer:
        self._peers.append(peer)
        return peer

    async def close_all(self) -> None:
        """Close every end that is left."""
        with trio.CancelScope(shield=True):
            for peer in self._peers:
                await peer.close()

    async def has_relayed(self, sender: Sender, size_bytes: int) -> None:
        """Wait until the proxy has read so much of all that a side sent."""
        await until(lambda: self.proxy.progress.bytes[sender] == size_bytes)

    async def is_over(self) -> None:
        """Wait until no client is connected."""
        await until(lambda: self.proxy.progress.connections and not self.proxy.progress.open)

    def recorded(self) -> list[Entry]:
        """End the recording, in order, and read it again."""
        self.sink.close()
        with Reader(self.path) as reader:
            entries: list[Entry] = [entry for entry in reader if isinstance(entry, Entry)]
        assert reader.complete, reader.why_incomplete
        return entries


@asynccontextmanager
async def proxied(
    folder: Path,
    *,
    certificates: Certificates | None = None,
    client_tls: bool = False,
    upstream_tls: bool = False,
    redactor: Redactor | None = None,
    file_of: Callable[[int], File] = NoSync,
    name: str = "proxied.track.jsonl",
    flush_interval_s: float = FLUSH_INTERVAL_S,
    **of_sink: Any,
) -> AsyncIterator[Proxied]:
    """A proxy between real sockets; whatever takes longer than :data:`DEADLINE_S` fails."""
    path = folder / name
    now_ns = of_sink.get("clock", lambda: round(trio.current_time() * 1e9))
    writer = Writer.create(
        path,
        make_header(mode="proxy"),
        file_of=file_of,
        clock=now_ns,
        flush_interval_s=flush_interval_s,
    )
    sink = Sink(
        writer, redactor or Redactor("none"), started_ns=now_ns(), **{"clock": now_ns, **of_sink}
    )
    [upstream] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    backend = Backend(upstream_tls, "127.0.0.1", upstream.socket.getsockname()[1])
    proxy = Proxy(
        backend,
        sink,
        tls=certificates.client if certificates else ssl.create_default_context(),
        client_tls=certificates.server if certificates and client_tls else None,
    )
    try:
        with trio.fail_after(DEADLINE_S):
            async with upstream, trio.open_nursery() as nursery:
                nursery.start_soon(proxy.serve, listeners)
                port = listeners[0].socket.getsockname()[1]
                running = Proxied(
                    proxy, sink, path, upstream, port, certificates, (client_tls, upstream_tls)
                )
                try:
                    yield running
                finally:
                    await running.close_all()
                nursery.cancel_scope.cancel()
    finally:
        sink.abort()


# What a recording says


def closed(entries: Iterable[Entry]) -> list[tuple[int, str, str]]:
    """Of each leg, in their order: its number, by whom it was closed, and how."""
    return sorted(
        (entry.connection, entry.by, entry.how) for entry in entries if isinstance(entry, Closed)
    )


def frames(
    entries: Iterable[Entry], sender: Sender, connection: int | None = None
) -> list[FrameEntry]:
    """The frames of one side, in order."""
    return [
        entry
        for entry in entries
        if isinstance(entry, FrameEntry)
        and entry.sender == sender
        and connection in (None, entry.connection)
    ]
