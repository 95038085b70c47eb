"""A client session becomes a recording: login, REST snapshots, the socket, every PING answered
(manual sections 2 to 4).

trio-websocket speaks to the server; what is recorded, counted and answered is what our own parser
sees in the bytes that pass the tap, so that a frame which the library rejects is still evidence.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Final, Literal

import h11
import msgspec
import trio
import trio_websocket
import wsproto.utilities

from recorder.backend import API_PATH, SOCKET_PATH, Backend
from recorder.credentials import Credentials
from recorder.errors import ConnectionLost, HandshakeRefused, RecorderError, Unreachable
from recorder.login import Exchanges, TrackHttp
from recorder.model import Open
from recorder.observer import SocketObserver
from recorder.progress import Progress
from recorder.sink import Sink
from recorder.tap import TapStream
from recorder.tapped_socket import TappedSocket
from recorder.wire.frames import MAX_FRAME_BYTES, CloseCode, Frame

__all__ = ["REST_SNAPSHOTS", "Capture", "CaptureOptions", "Outcome"]

REST_SNAPSHOTS: Final = ("devices", "beacons", "positions")
"""The lists that may be asked for before the socket opens (manual sections 4.2 to 4.5)."""

_HANDSHAKE_TIMEOUT_S: Final = 30.0
_CONNECT_TIMEOUT_S: Final = 30.0
_CLOSE_TIMEOUT_S: Final = 2.0
_RECEIVE_BYTES: Final = 64 * 1024
_QUEUE_MESSAGES: Final = 1024

_Why = Literal["told to stop", "duration reached", "messages reached", "closed by the server"]


class CaptureOptions(msgspec.Struct, frozen=True):
    """What to record and when to stop; None means until told."""

    rest: tuple[str, ...] = ()
    duration_s: float | None = None
    messages: int | None = None
    """Server messages after which to stop; PINGs are not counted."""


class Outcome(msgspec.Struct, frozen=True):
    """How a capture ended in order."""

    why: _Why
    detail: str = ""


class Capture:
    """One capture. :meth:`run` once; ``progress`` may be read at any time; ``stop()`` ends it.

    *Error handling:* what ``run`` raises is one RecorderError, never a group: LoginRefused,
    HandshakeRefused, Unreachable, ConnectionLost, DiskFailed. *Resource handling:* the sink stays
    open in any case and is the caller's to close.
    """

    def __init__(
        self,
        backend: Backend,
        credentials: Credentials,
        sink: Sink,
        options: CaptureOptions | None = None,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.progress = Progress()
        self._backend = backend
        self._credentials = credentials
        self._sink = sink
        self._options = options or CaptureOptions()
        self._tls = tls or ssl.create_default_context()
        self._numbers = Exchanges()
        self._done = trio.Event()
        self._until_connected = trio.CancelScope()
        self._stopped_by_us: _Why | None = None

    def stop(self) -> None:
        """End the capture in order: a close frame, the rest of the bytes, the return of ``run``."""
        self._stop("told to stop")

    def _stop(self, why: _Why) -> None:
        if not self._done.is_set():
            self._stopped_by_us = why
            self._done.set()
            self._until_connected.cancel()

    def _on_message(self) -> None:
        if self.progress.messages == self._options.messages:
            self._stop("messages reached")

    async def run(self) -> Outcome:
        """Log in, take the snapshots, record the socket until the end."""
        connected: tuple[trio.abc.Stream, str | None] | None = None
        with self._until_connected:
            cookie = await self._log_in()
            self.progress.stage = "connecting"
            connected = await self._connect()
        if connected is None:
            return Outcome("told to stop")
        return await self._record(cookie, *connected)

    async def _cancel_when_done(self, scope: trio.CancelScope) -> None:
        await self._done.wait()
        scope.cancel()

    async def _log_in(self) -> str:
        """The Cookie header of a session; the snapshots are taken with it."""
        async with TrackHttp(self._backend, self._sink, self._numbers, tls=self._tls) as http:
            self.progress.stage = "logging in"
            await http.login(self._credentials)
            for name in self._options.rest:
                self.progress.stage = f"asking for {name}"
                response, _ = await http.get(f"{API_PATH}/{name}")
                if response.status_code != 200:
                    raise ConnectionLost(
                        f"{self._backend.http_url}{API_PATH}/{name} answered {response.status_code}"
                        f" {response.reason_phrase} although logged in; leave it out of --rest"
                    )
            cookie = http.cookie_header()
            assert cookie is not None
            return cookie

    async def _record(
        self, cookie: str, stream: trio.abc.Stream, tls_version: str | None
    ) -> Outcome:
        connection = self._numbers.connection()
        url = self._backend.socket_url
        opened = Open(
            connection=connection,
            leg="upstream",
            url=url,
            tls=tls_version,
            offset_ns=self._sink.now_ns(),
        )
        self._sink.write([opened])
        socket = TappedSocket(
            SocketObserver(connection=connection, exchange=self._numbers.exchange()),
            self._sink,
            self.progress,
            on_message=self._on_message,
        )
        tap = TapStream(stream, socket.on_chunk)
        failure: Exception | None = None
        try:
            async with trio.open_nursery() as nursery:
                await self._talk(nursery, tap, socket, cookie)
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            failure = _what_happened(group)
        finally:
            await trio.aclose_forcefully(tap)
        self._write_closed(socket, tap)
        return self._outcome(socket, tap, failure)

    def _write_closed(self, socket: TappedSocket, tap: TapStream) -> None:
        """Say how the connection ended: by whom first, as far as the bytes tell."""
        close = socket.close_of("server")
        by_server = self._stopped_by_us is None and (
            close is not None or tap.broken or socket.ended.is_set()
        )
        self._sink.write(
            socket.observer.closed(
                "server" if by_server else "recorder",
                ("reset" if tap.broken else "eof") if by_server else "stopped",
                self._sink.now_ns(),
                f"close {_said(close)}" if close else "",
            )
        )

    def _outcome(self, socket: TappedSocket, tap: TapStream, failure: Exception | None) -> Outcome:
        url = self._backend.socket_url
        if self._stopped_by_us is not None:
            return Outcome(self._stopped_by_us)
        shown = self._sink.redactor.text
        problem = socket.handshake_problem()
        silent = isinstance(failure, HandshakeRefused) and socket.observer.response is None
        if silent or (problem is None and isinstance(failure, h11.ProtocolError)):
            problem = f"the handshake failed: {failure}"
        if problem is not None:
            raise HandshakeRefused(f"{url}: {shown(problem)}") from failure
        close = socket.close_of("server")
        if close is not None and socket.ended_in_order:
            return Outcome("closed by the server", shown(close.close_reason))
        if self.progress.problems:
            how = f"the server broke the protocol: {self.progress.problems[0]}"
        elif close is not None:
            how = f"the server closed it with {_said(close)}"
        else:
            how = "it was reset" if tap.broken else "the server ended it without a close frame"
        seconds = (self._sink.now_ns() - (self.progress.opened_ns or 0)) / 1e9
        raise ConnectionLost(
            f"{url}: the socket was lost after {seconds:.1f} s: {shown(how)};"
            " what came before is recorded"
        ) from failure

    async def _connect(self) -> tuple[trio.abc.Stream, str | None]:
        """A stream to the backend, and its TLS version."""
        where = f"{self._backend.host}:{self._backend.port}"
        try:
            with trio.fail_after(_CONNECT_TIMEOUT_S):
                return await self._open_stream(where)
        except trio.TooSlowError as error:
            raise Unreachable(
                f"{where}: no connection within {_CONNECT_TIMEOUT_S:.0f} s"
            ) from error

    async def _open_stream(self, where: str) -> tuple[trio.abc.Stream, str | None]:
        try:
            tcp = await trio.open_tcp_stream(self._backend.host, self._backend.port)
        except OSError as error:
            raise Unreachable(f"{where}: cannot connect: {error}") from error
        if not self._backend.tls:
            return tcp, None
        stream = trio.SSLStream(
            tcp, self._tls, server_hostname=self._backend.host, https_compatible=True
        )
        try:
            await stream.do_handshake()
        except BaseException as error:
            await trio.aclose_forcefully(tcp)
            if not isinstance(error, trio.BrokenResourceError):
                raise
            why = error.__cause__ or error
            raise Unreachable(f"{where}: the TLS handshake failed: {why}") from error
        return stream, stream.version()

    async def _talk(
        self, nursery: trio.Nursery, tap: TapStream, socket: TappedSocket, cookie: str
    ) -> None:
        """Handshake, then pongs until the end."""
        self.progress.stage = "upgrading"
        websocket = await self._shake_hands(nursery, tap, socket, cookie)
        if websocket is None:
            return
        self.progress.opened_ns = self._sink.now_ns()
        self.progress.stage = "recording"
        nursery.start_soon(self._drain, websocket)
        nursery.start_soon(_answer, socket, websocket)
        nursery.start_soon(self._give_up_unreadable, socket)
        duration_s = self._options.duration_s
        with trio.move_on_after(float("inf") if duration_s is None else duration_s) as patience:
            await self._done.wait()
        if patience.cancelled_caught:
            self._stop("duration reached")
        if self._stopped_by_us is not None:
            self.progress.stage = "closing"
            with trio.move_on_after(_CLOSE_TIMEOUT_S):
                await websocket.aclose(CloseCode.NORMAL)

    async def _shake_hands(
        self, nursery: trio.Nursery, tap: TapStream, socket: TappedSocket, cookie: str
    ) -> trio_websocket.WebSocketConnection | None:
        """The open socket, or None if the server hung up or we were told to stop meanwhile."""
        websocket: trio_websocket.WebSocketConnection | None = None
        origin = f"{'https' if self._backend.tls else 'http'}://{self._backend.authority}"
        with trio.move_on_after(_HANDSHAKE_TIMEOUT_S) as patience:
            async with trio.open_nursery() as race:

                async def hung_up(event: trio.Event) -> None:
                    # trio-websocket would wait for ever.
                    await event.wait()
                    race.cancel_scope.cancel()

                race.start_soon(hung_up, socket.ended)
                race.start_soon(hung_up, tap.gone)
                race.start_soon(self._cancel_when_done, race.cancel_scope)
                websocket = await trio_websocket.wrap_client_stream(
                    nursery,
                    tap,  # type: ignore[arg-type]  # any stream will do
                    self._backend.authority,
                    f"{self._backend.prefix}{SOCKET_PATH}",
                    extra_headers=[
                        (b"Cookie", cookie.encode("iso-8859-1")),
                        (b"Origin", origin.encode("ascii")),
                    ],
                    message_queue_size=_QUEUE_MESSAGES,
                    max_message_size=MAX_FRAME_BYTES,
                    receive_buffer_size=_RECEIVE_BYTES,
                )
                race.cancel_scope.cancel()
        if patience.cancelled_caught:
            raise HandshakeRefused(f"no answer within {_HANDSHAKE_TIMEOUT_S:.0f} s")
        return websocket

    async def _give_up_unreadable(self, socket: TappedSocket) -> None:
        await socket.unreadable.wait()
        self._done.set()

    async def _drain(self, websocket: trio_websocket.WebSocketConnection) -> None:
        """Take messages so that the library goes on reading; they were counted at the tap."""
        try:
            while True:
                await websocket.get_message()
        except trio_websocket.ConnectionClosed:
            self._done.set()


def _said(close: Frame) -> str:
    """Code and reason of a close frame, in words."""
    if close.close_code is None:
        return "no code"
    return f"{close.close_code} {close.close_reason}".rstrip()


async def _answer(socket: TappedSocket, websocket: trio_websocket.WebSocketConnection) -> None:
    """Send the pongs that are owed, in order, until the socket closes (manual section 3.3)."""
    try:
        async for pong in socket.pongs:
            await websocket.send_message(pong)
    except trio_websocket.ConnectionClosed:
        return


def _what_happened(group: BaseExceptionGroup[BaseException]) -> Exception:
    """Of the errors of a nursery the one that tells about the network.

    An error of ours other than of the handshake, an interrupt or a bug is raised instead.
    """
    leaves = list(_leaves(group))
    network = (
        h11.ProtocolError,
        trio_websocket.HandshakeError,
        trio_websocket.ConnectionClosed,
        # The library answers a ping though the close frame has gone out.
        wsproto.utilities.LocalProtocolError,
    )
    for leaf in leaves:
        if isinstance(leaf, RecorderError) and not isinstance(leaf, HandshakeRefused):
            raise leaf from None
    for leaf in leaves:
        if not isinstance(leaf, (*network, HandshakeRefused)):
            raise leaf
    first = leaves[0]
    assert isinstance(first, Exception)
    return first


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
