"""Many WebSockets that only count what they are sent.

The plan: the ``port`` and whether to ``log_in`` first. Commands: ``open`` so many sockets
(``count``), until each was sent ``opening_bytes``; ``receive`` ``bytes_each`` on every socket,
answered with when all had come; ``listen`` for ``size_bytes`` in all, answered with when each frame
in them came (``arrivals``: pairs of its ``dueNs`` and CLOCK_MONOTONIC, nanoseconds); ``close`` all.
"""

from __future__ import annotations

import gc
import json
import os
import re
import select
import socket
import sys
import time
from typing import Any

from tests.benchmarks.load.calls import log_in

UPGRADE = (
    "GET /api/socket HTTP/1.1\r\n"
    "Host: 127.0.0.1\r\n"
    "Connection: Upgrade\r\n"
    "Upgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Cookie: {cookie}\r\n"
    "\r\n"
)
AT_ONCE = 50
"""So many handshakes are begun before the first answer is read: no backlog overflows."""

DUE = re.compile(rb'"dueNs":"(\d+)"\}\]\}')


class Sockets:
    """The open sockets, by file descriptor."""

    def __init__(self, port: int, cookie: str) -> None:
        self.port = port
        self.upgrade = UPGRADE.format(cookie=cookie).encode()
        self.sockets: dict[int, socket.socket] = {}
        self.received: dict[int, int] = {}
        self.readable = select.epoll()
        self.readable.register(0, select.EPOLLIN)

    def open(self, count: int, opening_bytes: int) -> None:
        """Open so many more; returns when each has its opening."""
        for at in range(0, count, AT_ONCE):
            begun = [
                socket.create_connection(("127.0.0.1", self.port))
                for _ in range(min(AT_ONCE, count - at))
            ]
            for one in begun:
                one.sendall(self.upgrade)
            for one in begun:
                self._opened(one, opening_bytes)

    def _opened(self, one: socket.socket, opening_bytes: int) -> None:
        one.settimeout(20)
        data = b""
        while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < opening_bytes:
            chunk = one.recv(65536)
            data += chunk
            if not chunk or not b"HTTP/1.1 101".startswith(data[:12]):
                raise SystemExit(f"no socket: {data[:500]!r}")
        early = len(data.partition(b"\r\n\r\n")[2])
        if early != opening_bytes:
            raise SystemExit(f"{early} bytes behind the handshake instead of {opening_bytes}")
        one.setblocking(False)
        self.sockets[one.fileno()] = one
        self.readable.register(one.fileno(), select.EPOLLIN)

    def receive(self, bytes_each: int) -> dict[str, Any]:
        """Wait for so many bytes on each socket, and count them."""
        buffer = bytearray(256 * 1024)
        receive = {fd: one.recv_into for fd, one in self.sockets.items()}
        counts = dict.fromkeys(receive, 0)
        left = bytes_each * len(counts)
        poll = self.readable.poll
        while left > 0:
            for fd, _ in poll():
                # Of standard input only the end can come now.
                size = receive[fd](buffer) if fd else 0
                if not size:
                    raise SystemExit(f"the server hung up, or who started us; {left} bytes missing")
                counts[fd] += size
                left -= size
        ended_s = time.monotonic()
        return {"ended_s": ended_s, "least": min(counts.values()), "most": max(counts.values())}

    def listen(self, size_bytes: int) -> dict[str, Any]:
        """Wait for so many bytes in all, and tell when each frame in them came."""
        chunks: list[tuple[int, int, bytes]] = []
        left = size_bytes
        poll, read, now_ns = self.readable.poll, os.read, time.monotonic_ns
        while left > 0:
            for fd, _ in poll():
                data = read(fd, 4096) if fd else b""
                if not data:
                    raise SystemExit(f"the server hung up, or who started us; {left} bytes missing")
                chunks.append((now_ns(), fd, data))
                left -= len(data)
        arrivals: list[tuple[int, int]] = []
        unread = dict.fromkeys(self.sockets, b"")
        for at_ns, fd, data in chunks:
            unread[fd] += data
            end = 0
            for found in DUE.finditer(unread[fd]):
                arrivals.append((int(found[1]), at_ns))
                end = found.end()
            unread[fd] = unread[fd][end:]
        return {"arrivals": arrivals}

    def close(self) -> None:
        """Close all."""
        for fd, one in self.sockets.items():
            self.readable.unregister(fd)
            one.close()
        self.sockets.clear()


def main() -> None:
    """Do what standard input says, until it ends."""
    # A pause to collect garbage here would be counted as the server's.
    gc.disable()
    plan = json.loads(sys.stdin.readline())
    cookie = log_in(plan["port"]) if plan["log_in"] else "none"
    sockets = Sockets(plan["port"], cookie)
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        act = getattr(sockets, command.pop("do"))
        print(json.dumps(act(**command) or {}), flush=True)


if __name__ == "__main__":
    main()
