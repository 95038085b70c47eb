"""The recording reverse proxy: a listener, and a relay for each client that connects."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Sequence

import trio

from recorder.backend import Backend
from recorder.dial import open_stream
from recorder.listening import accept_troubles
from recorder.model import Note, Open
from recorder.proxy.heads import HeadRewriter
from recorder.proxy.progress import ProxyProgress
from recorder.proxy.relay import Dial, Numbers, Relay
from recorder.sink import Sink
from recorder.tls import HandshakeFailed, secured
from recorder.transport import tcp_socket_of

__all__ = ["Proxy"]


class Proxy:
    """Relays every connection to ``upstream`` and records it in ``sink``: :meth:`serve` once.

    ``tls`` is the context of the upstream's leg, ``client_tls`` that of the clients', None to speak
    plain HTTP with them. ``first_connection`` and ``first_exchange`` are the numbers to begin with,
    where a recording is gone on with. ``dial`` connects in another way, for tests.

    *Resource handling:* the sink and the listeners are the caller's. *Error handling:* DiskFailed,
    in a group, from :meth:`serve`, once the recording cannot be written: nothing is relayed then.
    """

    def __init__(
        self,
        upstream: Backend,
        sink: Sink,
        *,
        tls: ssl.SSLContext,
        client_tls: ssl.SSLContext | None = None,
        first_connection: int = 1,
        first_exchange: int = 1,
        dial: Dial | None = None,
    ) -> None:
        self.progress = ProxyProgress()
        self._sink = sink
        self._client_tls = client_tls
        self._rewriter = HeadRewriter(upstream, client_tls is not None)
        self._numbers = Numbers(
            itertools.count(first_connection).__next__, itertools.count(first_exchange).__next__
        )
        self._dial: Dial = dial if dial is not None else lambda: open_stream(upstream, tls)
        self._until_stopped = trio.CancelScope()
        self._told_waiting = False

    def stop(self) -> None:
        """End :meth:`serve`: connections that are open are closed, and count as stopped."""
        self._until_stopped.cancel()

    async def serve(self, listeners: Sequence[trio.SocketListener]) -> None:
        """Relay what connects to ``listeners`` until :meth:`stop`."""
        with self._until_stopped, accept_troubles(self._tell_waiting):
            await trio.serve_listeners(self.handle, list(listeners))

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Relay one client's connection until it ends; closes ``stream``."""
        peer = _peer(stream)
        version: str | None = None
        if self._client_tls is not None:
            try:
                secure = await secured(stream, self._client_tls)
            except HandshakeFailed as error:
                if error.why:
                    self._tell(f"the TLS handshake of the client {peer} failed: {error.why}")
                return
            stream, version = secure, secure.version
        opened = Open(
            connection=self._numbers.connection(),
            leg="client",
            peer=peer,
            tls=version,
            offset_ns=self._sink.now_ns(),
        )
        relay = Relay(
            stream,
            opened,
            dial=self._dial,
            rewriter=self._rewriter,
            numbers=self._numbers,
            sink=self._sink,
            progress=self.progress,
        )
        await relay.run()

    def _tell_waiting(self, words: str) -> None:
        """Once: trio tries ten times a second."""
        if not self._told_waiting:
            self._told_waiting = True
            self._tell(f"{words}; `ulimit -n` raises the limit")

    def _tell(self, words: str) -> None:
        self.progress.problem(words)
        self._sink.write([Note(text=words, offset_ns=self._sink.now_ns())])


def _peer(stream: trio.abc.Stream) -> str | None:
    """The client's address and port; None without a network."""
    tcp = tcp_socket_of(stream)
    if tcp is None:
        return None
    try:
        host, port, *_ = tcp.getpeername()
    except (OSError, ValueError):
        return None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
