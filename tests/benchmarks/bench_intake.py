"""What a capture does with each message but reading it from the network: observe, redact, write."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from websockets.client import ClientProtocol
from websockets.frames import Frame as PeerFrame
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from recorder.observer import SocketObserver
from recorder.recording import Writer
from recorder.redaction import Redactor
from recorder.sink import Sink
from recorder.wire import Frame, Opcode
from tests.strategies import make_header

MESSAGES = 2000
CHUNK_BYTES = 64 * 1024
HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def position(size_bytes: int) -> bytes:
    """A message of positions, of about that size."""
    one = (
        b'{"id":794513912,"attributes":{"batteryLevel":100.0},'
        b'"deviceTime":"2025-02-21T10:05:04.882+00:00",'
        b'"latitude":49.8976,"deviceId":794513675,"beaconName":"quickstart-guide-beacon-2"}'
    )
    return b'{"positions":[' + b",".join([one] * max(1, size_bytes // len(one))) + b"]}"


def cases() -> list[dict[str, Any]]:
    """Intake of small and of 2 kB messages, beside the `websockets` parser and orjson to a file."""
    return [case(size) for size in (330, 2000)]


def case(size_bytes: int) -> dict[str, Any]:
    frame = Frame.make(Opcode.TEXT, position(size_bytes)).serialize()
    wire = frame * MESSAGES
    chunks = [wire[at : at + CHUNK_BYTES] for at in range(0, len(wire), CHUNK_BYTES)]
    return {
        "name": f"capture intake, {size_bytes} B messages",
        "ours": ours(chunks),
        "peer": peer(chunks),
        "peer_name": "websockets + orjson, no redaction",
        "size_bytes": MESSAGES,
        "unit": "msg/s",
        "goal": None,
    }


def ours(chunks: list[bytes]) -> Callable[[], None]:
    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            redactor = Redactor("secrets")
            writer = Writer.create(Path(folder, "x.track.jsonl"), make_header())
            sink = Sink(writer, redactor, started_ns=time.monotonic_ns())
            observer = SocketObserver(connection=1, exchange=1)
            sink.write(observer.received("server", HEAD, sink.now_ns()))
            for chunk in chunks:
                sink.write(observer.received("server", chunk, sink.now_ns()))
            sink.close()

    return run


def peer(chunks: list[bytes]) -> Callable[[], None]:
    def run() -> None:
        with tempfile.TemporaryDirectory() as folder, Path(folder, "x.jsonl").open("wb") as file:
            protocol = ClientProtocol(parse_uri("ws://localhost/"), state=OPEN, max_size=None)
            for chunk in chunks:
                protocol.receive_data(chunk)
                for event in protocol.events_received():
                    assert isinstance(event, PeerFrame)
                    entry = {"offset_ns": time.monotonic_ns(), "text": str(event.data, "utf-8")}
                    file.write(orjson.dumps(entry) + b"\n")

    return run
