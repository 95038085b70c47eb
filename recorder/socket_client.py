"""The client of one socket: trio-websocket over the tap does the upgrade, the pongs and the close
(manual sections 3.1 to 3.3).

The library speaks; what is recorded, counted and answered is what our own parser sees in the bytes
that pass the tap, so that a frame which the library rejects is still evidence.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeAlias

import h11
import trio
import trio_websocket
import wsproto.utilities

from recorder.backend import SOCKET_PATH, Backend
from recorder.errors import HandshakeRefused, RecorderError
from recorder.tap import TapStream
from recorder.tapped_socket import TappedSocket
from recorder.wire.frames import MAX_FRAME_BYTES, CloseCode

__all__ = ["SocketClient"]

_Until: TypeAlias = Callable[[], Awaitable[None]]

_HANDSHAKE_TIMEOUT_S: Final = 30.0
_CLOSE_TIMEOUT_S: Final = 2.0
_LOOK_EVERY_S: Final = 10.0
_RECEIVE_BYTES: Final = 64 * 1024
_QUEUE_MESSAGES: Final = 1024


class SocketClient:
    """Speaks on ``tap``, whose chunks ``socket`` hears. :meth:`run` once.

    When ``until_stop`` returns it ends in order, with a close frame and what the server still says
    within two seconds. With ``until_silent`` it also ends where nothing comes any more: a network
    that is gone says nothing.
    """

    def __init__(
        self,
        backend: Backend,
        tap: TapStream,
        socket: TappedSocket,
        *,
        cookie: str,
        until_stop: _Until,
        until_silent: bool = False,
    ) -> None:
        self._backend = backend
        self._tap = tap
        self._socket = socket
        self._cookie = cookie
        self._until_stop = until_stop
        self._until_silent = until_silent
        self._stopped = False
        self._over = trio.Event()

    async def run(
        self, *, on_open: Callable[[], None], on_closing: Callable[[], None]
    ) -> Exception | None:
        """Upgrade, call ``on_open``, answer PINGs until the end; the tap is closed then.

        Returns what the network or the server did wrong, as far as it was an error; how it ended,
        ``socket`` knows. ``on_closing`` is called before the close frame of a stop.

        *Error handling:* raises an error of ours other than of the handshake, and bugs; never in a
        group.
        """
        try:
            async with trio.open_nursery() as nursery:
                websocket = await self._shake_hands(nursery)
                if websocket is not None:
                    on_open()
                    nursery.start_soon(self._drain, websocket)
                    nursery.start_soon(self._answer, websocket)
                    async with trio.open_nursery() as race:
                        ends = [self._over.wait, self._socket.unreadable.wait, self._stop]
                        for until in [*ends, self._silence] if self._until_silent else ends:
                            race.start_soon(_cancel_after, until, race.cancel_scope)
                    if self._stopped:
                        on_closing()
                        with trio.move_on_after(_CLOSE_TIMEOUT_S):
                            await websocket.aclose(CloseCode.NORMAL)
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            return _what_happened(group)
        finally:
            await trio.aclose_forcefully(self._tap)
        return None

    async def _silence(self) -> None:
        while not self._socket.silent:
            left_ns = self._socket.silence_left_ns()
            if left_ns is not None and left_ns <= 0:
                self._socket.silent = True
            else:
                await trio.sleep(_LOOK_EVERY_S if left_ns is None else left_ns / 1e9)

    async def _stop(self) -> None:
        await self._until_stop()
        self._stopped = True

    async def _shake_hands(
        self, nursery: trio.Nursery
    ) -> trio_websocket.WebSocketConnection | None:
        """The open socket, or None if the server hung up or we were told to stop meanwhile."""
        websocket: trio_websocket.WebSocketConnection | None = None
        origin = f"{'https' if self._backend.tls else 'http'}://{self._backend.authority}"
        with trio.move_on_after(_HANDSHAKE_TIMEOUT_S) as patience:
            async with trio.open_nursery() as race:
                # trio-websocket would wait for ever where the server hangs up.
                for until in (self._socket.ended.wait, self._tap.gone.wait, self._until_stop):
                    race.start_soon(_cancel_after, until, race.cancel_scope)
                websocket = await trio_websocket.wrap_client_stream(
                    nursery,
                    self._tap,  # type: ignore[arg-type]  # any stream will do
                    self._backend.authority,
                    f"{self._backend.prefix}{SOCKET_PATH}",
                    extra_headers=[
                        (b"Cookie", self._cookie.encode("iso-8859-1")),
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

    async def _drain(self, websocket: trio_websocket.WebSocketConnection) -> None:
        """Take messages so that the library goes on reading; they were counted at the tap."""
        try:
            while True:
                await websocket.get_message()
        except trio_websocket.ConnectionClosed:
            self._over.set()

    async def _answer(self, websocket: trio_websocket.WebSocketConnection) -> None:
        """Send the pongs that are owed, in order, until the socket closes (manual section 3.3)."""
        try:
            async for pong in self._socket.pongs:
                await websocket.send_message(pong)
        except trio_websocket.ConnectionClosed:
            return


async def _cancel_after(until: _Until, scope: trio.CancelScope) -> None:
    await until()
    scope.cancel()


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
