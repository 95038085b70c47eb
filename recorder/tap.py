"""TapStream: a stream that passes bytes through and reports each chunk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import trio

__all__ = ["Direction", "OnChunk", "TapStream"]

Direction = Literal["sent", "received"]
OnChunk = Callable[[Direction, bytes], None]


class TapStream(trio.abc.HalfCloseableStream):
    """Passes bytes through to ``stream`` and calls ``on_chunk(direction, data)`` for each chunk, in
    order.

    A sent chunk is reported before the transport takes it: a transport may fail in the middle of a
    chunk, and nobody can know how much of it went out; so a recording shows what was *given* to it,
    and the answer never stands before the question. A received chunk is reported when it is here.
    ``on_chunk(direction, b"")`` reports the end of that direction.

    ``broken`` turns True when the wrapped stream says that the peer is gone without an end (a
    reset).

    *Resource handling:* ``aclose`` closes the wrapped stream; the tap reports nothing then, for
    nobody sent an end.

    *Error handling:* errors of the wrapped stream pass through; what ``on_chunk`` raises passes
    through too, and the chunk is not passed on: what cannot be recorded does not happen.
    """

    def __init__(self, stream: trio.abc.Stream, on_chunk: OnChunk) -> None:
        self._stream = stream
        self._on_chunk = on_chunk
        self.gone = trio.Event()
        """Set once the peer is gone without an end."""

    @property
    def broken(self) -> bool:
        """Whether the peer is gone without an end."""
        return self.gone.is_set()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Pass ``data`` on; it is reported first."""
        if len(data):
            self._on_chunk("sent", bytes(data))
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError:
            self.gone.set()
            raise

    async def wait_send_all_might_not_block(self) -> None:
        try:
            await self._stream.wait_send_all_might_not_block()
        except trio.BrokenResourceError:
            self.gone.set()
            raise

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes of the wrapped stream; they are reported before they are returned."""
        try:
            data = bytes(await self._stream.receive_some(max_bytes))
        except trio.BrokenResourceError:
            self.gone.set()
            raise
        self._on_chunk("received", data)
        return data

    async def send_eof(self) -> None:
        """Half-close, where the wrapped stream can: else AttributeError, as trio's StapledStream
        does.
        """
        try:
            await self._stream.send_eof()  # type: ignore[attr-defined]
        except trio.BrokenResourceError:
            self.gone.set()
            raise
        self._on_chunk("sent", b"")

    async def aclose(self) -> None:
        await self._stream.aclose()
