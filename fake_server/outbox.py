"""What one socket still has to send, in order and bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import trio

from recorder.transport import Transport

__all__ = ["MAX_BACKLOG_BYTES", "MAX_BACKLOG_FRAMES", "Outbox"]

MAX_BACKLOG_BYTES: Final = 16 * 1024 * 1024
"""A reader that is so far behind is too slow."""

MAX_BACKLOG_FRAMES: Final = 100_000
"""So is one that so many frames wait for: a pong of two bytes is an object of fifty."""

_ROOM_BYTES: Final = 256 * 1024
_WRITE_BYTES: Final = 64 * 1024


class Outbox:
    """Whole frames on their way to one stream; any task adds.

    A frame is written at once where the stream is a plain TCP socket that takes it. Only what it
    does not take waits, and only while something waits there is a task, which ``start`` starts
    (:meth:`drain`): most sockets never have one. ``on_broken`` is called when the stream turns out
    to be broken.

    *Resource handling:* :meth:`close` before the stream is closed.
    """

    __slots__ = (
        "_busy",
        "_changed",
        "_chunks",
        "_closed",
        "_ended",
        "_on_broken",
        "_size",
        "_start",
        "_transport",
    )

    def __init__(
        self,
        transport: Transport,
        *,
        start: Callable[[Outbox], None],
        on_broken: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._start = start
        self._on_broken = on_broken
        self._chunks: deque[bytes] | None = None
        self._size = 0
        self._busy = False
        self._changed: trio.Event | None = None
        self._closed = False
        self._ended = False

    def offer(self, data: bytes) -> bool:
        """Send without waiting; False, with nothing sent, if the backlog is full: the reader is too
        slow. After :meth:`end` it is dropped.
        """
        if self._ended or self._closed:
            return True
        if not self._busy and self._transport.takes_at_once:
            try:
                size = self._transport.write_now(data)
            except trio.BrokenResourceError:
                self._break()
                return True
            if size == len(data):
                return True
            data = data[size:]
        elif self._size and (
            self._size + len(data) > MAX_BACKLOG_BYTES
            or len(self._chunks or ()) >= MAX_BACKLOG_FRAMES
        ):
            return False
        self._queue(data)
        return True

    def hold(self) -> None:
        """Send nothing yet: what is offered waits for :meth:`release`."""
        self._busy = True

    def release(self) -> None:
        """Send what waited, and everything from now on."""
        self._busy = False
        if self._chunks:
            self._busy = True
            self._start(self)
        self._wake()

    def end(self, data: bytes) -> None:
        """Send the last frame, a close: nothing is sent behind it (RFC 6455 section 5.5.1)."""
        if not self._ended:
            if not self.offer(data):
                self._queue(data)
            self._ended = True

    async def put(self, data: bytes) -> None:
        """Send; wait first while there is much to send already, so that playback is not ahead of
        its reader. Raises trio.ClosedResourceError once the socket has ended.
        """
        await self.room()
        if self._closed or self._ended:
            raise trio.ClosedResourceError("the socket is closed")
        self.offer(data)

    async def room(self) -> None:
        """Wait until there is little left to send, or nobody to send it to."""
        while self._size > _ROOM_BYTES and not (self._closed or self._ended):
            await self._change()

    async def flushed(self) -> None:
        """Wait until the stream has taken everything."""
        while self._busy and not self._closed:
            await self._change()

    async def drain(self) -> None:
        """Send what waits, then return. Small frames go out together, each frame whole."""
        try:
            while self._chunks and not self._closed:
                batch = [self._chunks.popleft()]
                size = len(batch[0])
                while self._chunks and size + len(self._chunks[0]) <= _WRITE_BYTES:
                    batch.append(self._chunks.popleft())
                    size += len(batch[-1])
                data = b"".join(batch) if len(batch) > 1 else batch[0]
                await self._transport.stream.send_all(data)
                self._size -= size
                self._wake()
            self._chunks = None
            self._busy = False
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._break()
        finally:
            self._wake()

    def close(self) -> None:
        """Send nothing more; what waits is dropped."""
        self._closed = True
        self._chunks = None
        self._wake()

    def _queue(self, data: bytes) -> None:
        if self._chunks is None:
            self._chunks = deque()
        self._chunks.append(data)
        self._size += len(data)
        if not self._busy:
            self._busy = True
            self._start(self)

    def _break(self) -> None:
        if not self._closed:
            self.close()
            self._on_broken()

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = trio.Event()
        await self._changed.wait()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None
