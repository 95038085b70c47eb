"""The stream under a socket, with the short ways that a plain TCP socket has.

An idle socket waits in its read for hours, and one message goes to a thousand of them. trio's
stream would cost a kilobyte of waiting coroutines for the one, and a task switch for the other.
"""

from __future__ import annotations

import os
import sys

import trio

__all__ = ["Transport"]

_READ_BYTES = 64 * 1024


class Transport:
    """Reads and writes one stream.

    *Resource handling:* the stream is the caller's to close; :meth:`write_now` not after that, for
    its file descriptor may be somebody else's by then. *Error handling:* trio.BrokenResourceError
    and ClosedResourceError, as streams raise them.
    """

    __slots__ = ("_fd", "stream")

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._fd = -1
        # trio keeps its sockets non-blocking. Windows has no file descriptors for sockets.
        if isinstance(stream, trio.SocketStream) and sys.platform != "win32":
            self._fd = stream.socket.fileno()

    async def read(self) -> bytes:
        """What came; empty at the end."""
        if self._fd < 0:
            return bytes(await self.stream.receive_some(_READ_BYTES))
        while True:
            await trio.lowlevel.wait_readable(self._fd)
            try:
                return os.read(self._fd, _READ_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError("the connection is broken") from error

    @property
    def takes_at_once(self) -> bool:
        """Whether :meth:`write_now` works: not over TLS, taps and memory."""
        return self._fd >= 0

    def write_now(self, data: bytes) -> int:
        """Write what can be written without waiting; returns how much that was."""
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise trio.BrokenResourceError("the connection is broken") from error
