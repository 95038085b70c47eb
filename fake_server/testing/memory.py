"""HTTP and sockets without a network, for a test in trio: on its own nursery and its own clock.

The server runs in the test's nursery, and each connection is a pair of memory streams::

    async def test_a_day(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
        server = FakeServer(source)
        await nursery.start(server.run)
        async with http_client(server, nursery) as client:
            answer = await client.post("/api/session", data={"email": ..., "password": ...})
            cookie = f"JSESSIONID={client.cookies['JSESSIONID']}"
        async with open_websocket(server, nursery, cookie=cookie) as socket:
            await trio.sleep(86400)

Under ``autojump_clock`` nothing waits for real. What runs in a thread is not waited for by such a
clock: the report as a spreadsheet is made in one, and virtual time may pass meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final

import h11
import httpcore
import httpx
import trio
import trio.testing
import trio_websocket

from fake_server.server import FakeServer
from recorder.backend import SOCKET_PATH
from recorder.errors import HandshakeRefused
from recorder.tap import TapStream
from recorder.wire.frames import MAX_FRAME_BYTES

__all__ = ["MemoryTransport", "connect", "http_client", "open_websocket"]

_HOST: Final = "127.0.0.1"
"""``/__admin`` answers to names of this machine only."""
_CLOSE_TIMEOUT_S: Final = 2.0
_QUEUE_MESSAGES: Final = 1024
"""With the library's queue of one, a test that reads slowly would answer no ping of RFC 6455."""

# The more special error stands before what it is derived from.
_ERRORS: Final[tuple[tuple[type[Exception], type[httpx.TransportError]], ...]] = (
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.ReadTimeout, httpx.ReadTimeout),
    (httpcore.WriteTimeout, httpx.WriteTimeout),
    (httpcore.PoolTimeout, httpx.PoolTimeout),
    (httpcore.TimeoutException, httpx.TimeoutException),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.ReadError, httpx.ReadError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.NetworkError, httpx.NetworkError),
    (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
    (httpcore.ProtocolError, httpx.ProtocolError),
)


def connect(server: FakeServer, nursery: trio.Nursery) -> trio.abc.HalfCloseableStream:
    """A new connection to ``server``, served in ``nursery``; :meth:`FakeServer.run` runs beside it.

    The caller closes it.
    """
    ours, _ = _connect(server, nursery)
    return ours


def _connect(
    server: FakeServer, nursery: trio.Nursery
) -> tuple[trio.abc.HalfCloseableStream, trio.Event]:
    """The connection, and what is set when the server is done with it."""
    ours, theirs = trio.testing.memory_stream_pair()
    done = trio.Event()

    async def serve() -> None:
        try:
            await server.handle(theirs)
        finally:
            done.set()

    nursery.start_soon(serve)
    return ours, done


# HTTP


class MemoryTransport(httpx.AsyncBaseTransport):
    """An httpx transport whose every connection, whatever its URL says, leads to ``server``.

    Connections are served in ``nursery`` and kept alive as over a network. ``https`` has nobody to
    answer it here. Errors are httpx's.
    """

    def __init__(self, server: FakeServer, nursery: trio.Nursery) -> None:
        self._pool = httpcore.AsyncConnectionPool(network_backend=_MemoryBackend(server, nursery))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the response's body is read as it comes."""
        if request.url.scheme != "http":
            raise httpx.UnsupportedProtocol(
                f"{request.url.scheme}://{request.url.host}: the fake in memory speaks http only",
                request=request,
            )
        with _httpx_errors():
            response = await self._pool.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()


def http_client(server: FakeServer, nursery: trio.Nursery, **options: Any) -> httpx.AsyncClient:
    """A client of ``server``; ``options`` are httpx's.

    Unless they say otherwise it waits without a limit, for the clock of a test may jump, and takes
    nothing from the environment. Use it in ``async with``, or close it.
    """
    return httpx.AsyncClient(
        transport=MemoryTransport(server, nursery),
        **{"base_url": f"http://{_HOST}", "timeout": None, "trust_env": False, **options},
    )


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _httpx_errors():
            async for part in self._response.aiter_stream():
                yield part

    async def aclose(self) -> None:
        await self._response.aclose()


class _MemoryBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, server: FakeServer, nursery: trio.Nursery) -> None:
        self._server = server
        self._nursery = nursery

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _MemoryConnection(*_connect(self._server, self._nursery))

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


class _MemoryConnection(httpcore.AsyncNetworkStream):
    def __init__(self, stream: trio.abc.Stream, done: trio.Event) -> None:
        self._stream = stream
        self._done = done

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _httpcore_errors(httpcore.ReadError, httpcore.ReadTimeout), _limit(timeout):
            return bytes(await self._stream.receive_some(max_bytes))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _httpcore_errors(httpcore.WriteError, httpcore.WriteTimeout), _limit(timeout):
            await self._stream.send_all(buffer)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        """Of an idle connection httpcore asks whether it can be read: then it has ended."""
        return self._done.is_set() if info == "is_readable" else None


def _limit(timeout_s: float | None) -> Any:
    return trio.fail_after(float("inf") if timeout_s is None else timeout_s)


@contextmanager
def _httpcore_errors(broken: type[Exception], too_slow: type[Exception]) -> Iterator[None]:
    try:
        yield
    except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
        raise broken(str(error)) from error
    except trio.TooSlowError as error:
        raise too_slow(str(error)) from error


@contextmanager
def _httpx_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        for theirs, ours in _ERRORS:
            if isinstance(error, theirs):
                raise ours(str(error)) from error
        raise


# WebSocket


@asynccontextmanager
async def open_websocket(
    server: FakeServer, nursery: trio.Nursery, *, cookie: str
) -> AsyncIterator[trio_websocket.WebSocketConnection]:
    """A socket to ``/api/socket``; ``cookie`` is the whole field, as ``JSESSIONID=...``.

    It is closed in order when the block ends. Nobody answers Track's PINGs but the test.

    *Error handling:* ``HandshakeRefused`` where the server answers anything but a 101 that holds,
    or hangs up. What the block raises is raised as it is, in no group.
    """
    stream, _ = _connect(server, nursery)
    scope = trio.CancelScope()
    try:
        socket = await nursery.start(partial(_speak, stream, cookie, scope))
        try:
            yield socket
        finally:
            with trio.move_on_after(_CLOSE_TIMEOUT_S):
                await socket.aclose()
    finally:
        scope.cancel()
        await trio.aclose_forcefully(stream)


async def _speak(
    stream: trio.abc.Stream,
    cookie: str,
    scope: trio.CancelScope,
    *,
    task_status: trio.TaskStatus[trio_websocket.WebSocketConnection],
) -> None:
    """Run the library's reader, from the request until it ends or ``scope`` is cancelled."""
    ended = trio.Event()
    tap = TapStream(stream, lambda sent, data: None if data else ended.set())
    opened = False
    try:
        with scope:
            async with trio.open_nursery() as reading, trio.open_nursery() as opening:
                # trio-websocket would wait for ever where the server hangs up.
                for hung_up in (ended, tap.gone):
                    opening.start_soon(_refuse_when, hung_up)
                socket = await trio_websocket.wrap_client_stream(
                    reading,
                    tap,  # type: ignore[arg-type]  # any stream will do
                    _HOST,
                    SOCKET_PATH,
                    extra_headers=[(b"Cookie", cookie.encode("iso-8859-1"))],
                    message_queue_size=_QUEUE_MESSAGES,
                    max_message_size=MAX_FRAME_BYTES,
                )
                opening.cancel_scope.cancel()
                opened = True
                task_status.started(socket)
    except BaseExceptionGroup as group:
        if opened:
            raise
        raise _refusal(group) from None


async def _refuse_when(hung_up: trio.Event) -> None:
    await hung_up.wait()
    raise HandshakeRefused(
        f"GET {SOCKET_PATH}: expected 101 Switching Protocols, but the server hung up"
    )


def _refusal(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What was wrong with the handshake, in one error; ``group`` if it is about something else."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case trio_websocket.ConnectionRejected():
            told = (error.body or b"").decode("utf-8", "replace").strip()[:200]
            return HandshakeRefused(
                f"GET {SOCKET_PATH}: expected 101 Switching Protocols, the server answered "
                f"{error.status_code}" + (f": {told!r}" if told else "")
            )
        case h11.ProtocolError() | trio_websocket.HandshakeError():
            return HandshakeRefused(f"GET {SOCKET_PATH}: the server's answer is no 101: {error}")
        case HandshakeRefused():
            return error
    return group
