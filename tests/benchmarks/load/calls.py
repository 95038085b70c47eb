"""REST calls over connections that are kept alive, each with one call under way at any time.

The plan: the ``port``, the ``path``, how many ``connections``, and the ``cookie``, or none to log
in for one. The command ``run``, for so many ``seconds``, is answered with how many ``answers``
came, how long that took, and the ``body`` of the first answer.
"""

from __future__ import annotations

import http.client
import json
import select
import socket
import sys
import time
from typing import Any


def log_in(port: int) -> str:
    """A session of the demo account: what stands in ``Cookie`` from now on."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/api/session", "email=demo%40example.com&password=demo", form)
    answer = connection.getresponse()
    if answer.status != 200:
        raise SystemExit(f"the login was answered {answer.status}")
    cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
    connection.close()
    return cookie


class Calls:
    """Connections and the one call that they make."""

    def __init__(self, port: int, path: str, connections: int, cookie: str | None) -> None:
        self.cookie = log_in(port) if cookie is None else cookie
        self.call = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
            f"Cookie: {self.cookie}\r\n\r\n"
        ).encode()
        made = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(connections)]
        self.connections = {one.fileno(): one for one in made}
        # The `Date` has always the same length, so that all answers have.
        self.body, self.size_bytes = self._first(made[0])

    def _first(self, connection: socket.socket) -> tuple[str, int]:
        """The first answer's body, and the size of the whole."""
        connection.sendall(self.call)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        head = f"HTTP/1.1 {answer.status} {answer.reason}\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in answer.getheaders()
        )
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"the call was answered {answer.status}")
        return body.decode(), len(head) + 2 + len(body)

    def run(self, seconds: float) -> dict[str, Any]:
        """Call for so long."""
        poll = select.epoll()
        received = dict.fromkeys(self.connections, 0)
        begun_s = ended_s = time.monotonic()
        for fd, connection in self.connections.items():
            poll.register(fd, select.EPOLLIN)
            connection.sendall(self.call)
        under_way = len(received)
        answers = 0
        buffer = bytearray(65536)
        while under_way:
            for fd, _ in poll.poll(20):
                connection = self.connections[fd]
                size = connection.recv_into(buffer)
                if not received[fd] and not buffer.startswith(b"HTTP/1.1 200"):
                    raise SystemExit(f"not an answer: {bytes(buffer[: min(size, 200)])!r}")
                received[fd] += size
                if received[fd] < self.size_bytes and size:
                    continue
                if received[fd] != self.size_bytes:
                    raise SystemExit(f"{received[fd]} bytes instead of {self.size_bytes}")
                received[fd] = 0
                answers += 1
                ended_s = time.monotonic()
                if ended_s - begun_s < seconds:
                    connection.sendall(self.call)
                else:
                    under_way -= 1
        return {"answers": answers, "seconds": ended_s - begun_s, "body": self.body}


def main() -> None:
    """Do what standard input says, until it ends."""
    calls = Calls(**json.loads(sys.stdin.readline()))
    print(json.dumps({"cookie": calls.cookie}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(calls.run(command["seconds"])), flush=True)


if __name__ == "__main__":
    main()
