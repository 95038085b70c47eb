"""One of the two connections of a relay: what is written to it, and how it ends."""

from __future__ import annotations

import contextlib

import trio

from recorder.transport import Transport

__all__ = ["Leg"]

_CLOSE_TIMEOUT_S = 1.0


class Leg:
    """A stream, and its number in the recording. More than one task may write to it.

    *Resource handling:* :meth:`close` closes the stream. *Error handling:*
    trio.BrokenResourceError and ClosedResourceError, as streams raise them.
    """

    def __init__(self, stream: trio.abc.Stream, connection: int) -> None:
        self.connection = connection
        self._stream = stream
        self._transport = Transport(stream)
        self._sending = trio.Lock()

    async def read(self) -> bytes:
        """What came; empty at the end."""
        return await self._transport.read()

    def send_now(self, data: bytes) -> bytes:
        """Send what can be sent without waiting; returns the rest, which :meth:`send` must get
        before anything else is sent.
        """
        if not self._transport.takes_at_once or self._sending.locked():
            return data
        return data[self._transport.write_now(data) :]

    async def send(self, data: bytes) -> None:
        """Send all of it, however long the peer takes."""
        async with self._sending:
            await self._stream.send_all(data)

    @property
    def half_closes(self) -> bool:
        """Whether our end can be told without closing: TLS cannot."""
        return isinstance(self._stream, trio.abc.HalfCloseableStream)

    async def send_eof(self) -> None:
        """Tell that nothing more comes."""
        assert isinstance(self._stream, trio.abc.HalfCloseableStream)
        async with self._sending:
            await self._stream.send_eof()

    async def hang_up(self) -> None:
        """End in order behind an answer of our own, so that the client reads it."""
        with trio.move_on_after(_CLOSE_TIMEOUT_S):
            await self._transport.hang_up()

    async def close(self, *, reset: bool) -> None:
        """Close the stream, by a reset of TCP if the other side was reset."""
        if reset:
            self._transport.reset_at_close()
            await trio.aclose_forcefully(self._stream)
            return
        with trio.move_on_after(_CLOSE_TIMEOUT_S):
            # Over TLS the end is told, unless the peer is gone.
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._stream.aclose()
            return
        await trio.aclose_forcefully(self._stream)
