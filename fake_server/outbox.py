"""What one socket still has to send, in order and bounded."""

from __future__ import annotations

from collections import deque
from typing import Final

import trio

__all__ = ["MAX_BACKLOG_BYTES", "Outbox"]

MAX_BACKLOG_BYTES: Final = 16 * 1024 * 1024
"""A reader that is so far behind is too slow."""

_ROOM_BYTES: Final = 256 * 1024
_WRITE_BYTES: Final = 64 * 1024


class Outbox:
    """Whole frames on their way to one stream. One task runs :meth:`drain`; any task adds.

    *Error handling:* once the stream broke, ``put`` and ``drain`` raise trio.BrokenResourceError or
    ClosedResourceError.
    """

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._writing = False
        self._changed = trio.Event()
        self._closed = False
        self._ended = False

    def offer(self, data: bytes) -> bool:
        """Add without waiting; False, with nothing added, if the backlog is full: the reader is too
        slow. After :meth:`end` it is dropped.
        """
        if self._ended:
            return True
        if self._size + len(data) > MAX_BACKLOG_BYTES and self._chunks:
            return False
        self._add(data)
        return True

    def end(self, data: bytes) -> None:
        """Add the last frame, a close: nothing is sent behind it (RFC 6455 section 5.5.1)."""
        if not self._ended:
            self._add(data)
            self._ended = True

    async def put(self, data: bytes) -> None:
        """Add; wait first while there is much to send already, so that playback is not ahead of its
        reader.
        """
        await self.room()
        if self._closed or self._ended:
            raise trio.ClosedResourceError("the socket is closed")
        self._add(data)

    async def room(self) -> None:
        """Wait until there is little left to send, or nobody to send it to."""
        while self._size > _ROOM_BYTES and not (self._closed or self._ended):
            await self._changed.wait()

    async def flushed(self) -> None:
        """Wait until the stream has taken everything."""
        while (self._chunks or self._writing) and not self._closed:
            await self._changed.wait()

    async def drain(self, stream: trio.abc.SendStream) -> None:
        """Send what is added, until cancelled. Small frames go out together, each frame whole."""
        try:
            while True:
                while not self._chunks:
                    await self._changed.wait()
                batch = [self._chunks.popleft()]
                size = len(batch[0])
                while self._chunks and size + len(self._chunks[0]) <= _WRITE_BYTES:
                    batch.append(self._chunks.popleft())
                    size += len(batch[-1])
                self._writing = True
                await stream.send_all(b"".join(batch) if len(batch) > 1 else batch[0])
                self._writing = False
                self._size -= size
                self._wake()
        finally:
            self._closed = True
            self._wake()

    def _add(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
