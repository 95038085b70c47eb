"""A WebSocket client that sends a message, waits for as much to come back, and sends the next.

The plan: the ``port``. Command: ``echo`` so many messages of ``size_bytes`` (``times``), answered
with how long each took, in nanoseconds.
"""

from __future__ import annotations

import json
import socket
import sys
import time

from recorder.wire.frames import Frame, Opcode
from tests.benchmarks.load.sockets import UPGRADE


def main() -> None:
    """Do as told until standard input ends."""
    plan = json.loads(sys.stdin.readline())
    one = socket.create_connection(("127.0.0.1", plan["port"]))
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    one.sendall(UPGRADE.format(cookie="").encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += one.recv(65536)
    print(json.dumps({"open": True}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        frame = Frame.make(Opcode.TEXT, b"x" * command["size_bytes"], mask=b"abcd")
        sent, back = frame.serialize(), len(frame.serialize()) - 4
        took_ns = []
        for _ in range(command["times"]):
            begun_ns = time.monotonic_ns()
            one.sendall(sent)
            left = back
            while left:
                left -= len(one.recv(left))
            took_ns.append(time.monotonic_ns() - begun_ns)
        print(json.dumps({"took_ns": took_ns}), flush=True)


if __name__ == "__main__":
    main()
