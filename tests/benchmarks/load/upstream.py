"""A backend that only sends: what a proxy is to relay.

It takes WebSockets one after the other and speaks with the latest. The plan: nothing. Commands:
``send`` so many text messages of ``size_bytes`` (``times``) as fast as they are taken, answered
with when it began. A frame that the client sends is answered with one as long.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time

from recorder.wire.frames import Frame, FrameParser, Opcode
from recorder.wire.handshake import accept_for

AT_ONCE_BYTES = 256 * 1024


def main() -> None:
    """Serve until standard input ends."""
    json.loads(sys.stdin.readline())
    listener = socket.create_server(("127.0.0.1", 0))
    latest: list[socket.socket] = []
    threading.Thread(target=accept, args=(listener, latest), daemon=True).start()
    say(port=listener.getsockname()[1])
    for line in sys.stdin:
        command = json.loads(line)
        one = Frame.make(Opcode.TEXT, message(command["size_bytes"])).serialize()
        at_once = max(1, AT_ONCE_BYTES // len(one))
        begun_s = time.monotonic()
        for at in range(0, command["times"], at_once):
            latest[-1].sendall(one * min(at_once, command["times"] - at))
        say(begun_s=begun_s, frame_bytes=len(one))


def message(size_bytes: int) -> bytes:
    """Positions as the backend sends them, padded to that size."""
    one = (
        b'{"id":794513912,"attributes":{"batteryLevel":100.0},'
        b'"deviceTime":"2025-02-21T10:05:04.882+00:00",'
        b'"latitude":49.8976,"deviceId":794513675,"beaconName":"quickstart-guide-beacon-2"}'
    )
    text = b'{"positions":[' + b",".join([one] * max(1, (size_bytes - 16) // (len(one) + 1)))
    return text + b" " * (size_bytes - 2 - len(text)) + b"]}"


def accept(listener: socket.socket, latest: list[socket.socket]) -> None:
    while True:
        one, _ = listener.accept()
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        latest.append(one)
        threading.Thread(target=serve, args=(one,), daemon=True).start()


def serve(one: socket.socket) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        data = one.recv(65536)
        if not data:
            return
        head += data
    found = re.search(rb"(?i)\r\nsec-websocket-key: *(\S+)", head)
    key = found[1].decode() if found else ""
    one.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept_for(key).encode() + b"\r\n\r\n"
    )
    parser = FrameParser()
    while data := one.recv(65536):
        for frame in parser.feed(data):
            if isinstance(frame, Frame) and frame.opcode == Opcode.TEXT:
                one.sendall(Frame.make(Opcode.TEXT, frame.payload).serialize())


def say(**answer: object) -> None:
    """Answer the command."""
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
