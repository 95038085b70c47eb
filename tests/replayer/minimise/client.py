"""A client of Track as users write them: it logs in, reads until the socket closes, answers PINGs,
and breaks where an rssi is null. Of the standard library alone, so that it starts quickly.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any, BinaryIO
from urllib.parse import urlencode, urlsplit


def main() -> None:
    url = urlsplit(os.environ["TRACK_URL"])
    account = {"email": os.environ["TRACK_EMAIL"], "password": os.environ["TRACK_PASSWORD"]}
    with socket.create_connection((url.hostname, url.port)) as stream, stream.makefile("rb") as got:
        form = urlencode(account)
        head = _asked(
            stream,
            got,
            "POST /api/session",
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}",
            form,
        )
        got.read(int(head["content-length"]))
        cookie = head["set-cookie"].partition(";")[0]
        _asked(
            stream,
            got,
            "GET /api/socket",
            f"Cookie: {cookie}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13",
        )
        while (message := _message(got)) is not None:
            _take(message, stream)


def _asked(stream: socket.socket, got: BinaryIO, what: str, fields: str, body: str = "") -> Any:
    stream.sendall(f"{what} HTTP/1.1\r\nHost: track\r\n{fields}\r\n\r\n{body}".encode())
    got.readline()
    lines = iter(lambda: got.readline().decode().strip(), "")
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def _message(got: BinaryIO) -> Any:
    """The next message; None at the end."""
    head = got.read(2)
    if len(head) < 2 or head[0] == 0x88:
        return None
    size = head[1]
    if size == 126:
        (size,) = struct.unpack("!H", got.read(2))
    return json.loads(got.read(size))


def _take(message: Any, stream: socket.socket) -> None:
    for status in message.get("status", []):
        text = f"pong {status['message']}".encode()
        stream.sendall(bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text)
    for position in message.get("positions", []):
        # This is what breaks it.
        position.get("rssi", 0) + 256


main()
