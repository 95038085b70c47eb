"""The stream under a socket, with the short ways that a plain TCP socket has.

An idle socket waits in its read for hours, and one message goes to a thousand of them. trio's
stream would cost a kilobyte of waiting coroutines for the one, and a task switch for the other.
"""

from __future__ import annotations

import os
import socket as stdlib_socket
import struct
import sys
from typing import Any, Final

import trio

__all__ = ["Transport", "resets_at_close", "tcp_socket_of"]

_READ_BYTES: Final = 64 * 1024

_LINGER_0_S: Final = struct.pack("ii", 1, 0)
"""Of SO_LINGER: on, 0 seconds. It makes close() a reset."""


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

    async def hang_up(self) -> None:
        """End our half and wait for the other: closing with bytes unread would reset TCP and
        destroy a close frame on its way.
        """
        try:
            if not isinstance(self.stream, trio.abc.HalfCloseableStream):
                # TLS has its own word for the end.
                await self.stream.aclose()
                return
            await self.stream.send_eof()
            while await self.read():
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    def reset_at_close(self) -> None:
        """Let the closing of the stream be a reset of TCP, where there is TCP."""
        tcp = tcp_socket_of(self.stream)
        # A socket that is closed already has no number any more.
        if tcp is not None and tcp.fileno() >= 0:
            tcp.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_LINGER, _LINGER_0_S)


def resets_at_close(stream: Any) -> bool:
    """Whether closing the stream will reset TCP, as :meth:`Transport.reset_at_close` had it."""
    tcp = tcp_socket_of(stream)
    if tcp is None or tcp.fileno() < 0:
        return False
    set_to = tcp.getsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_LINGER, len(_LINGER_0_S))
    return bool(set_to == _LINGER_0_S)


def tcp_socket_of(stream: Any) -> Any:
    """trio's socket under a stream, through TLS and taps; None where there is none."""
    while stream is not None and not isinstance(stream, trio.SocketStream):
        stream = getattr(stream, "transport_stream", None) or getattr(stream, "wrapped", None)
    return None if stream is None else stream.socket
