"""Frame parsing beside `websockets` and wsproto, without I/O: 2 kB frames in 64 KiB chunks.

All take the same bytes in the same chunks and give every frame as an object with its payload,
unmasked; none is kept. The peers run as what receives such frames, in a connection that is open: a
client for unmasked frames, a server for masked ones. wsproto gives a piece for each chunk that a
frame lies in; that is its way, and each piece is taken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import wsproto.events
from websockets.client import ClientProtocol
from websockets.frames import Frame as PeerFrame
from websockets.protocol import Protocol, State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from wsproto.connection import Connection, ConnectionType

from recorder.wire.frames import Frame, FrameParser, Opcode

FRAMES = 2000
PAYLOAD = bytes(range(250)) * 8
KEY = bytes.fromhex("37fa213d")
CHUNK_BYTES = 64 * 1024


def _chunks(masked: bool) -> list[bytes]:
    frame = Frame.make(Opcode.BINARY, PAYLOAD, mask=KEY if masked else None)
    data = frame.serialize() * FRAMES
    return [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]


def _ours(chunks: list[bytes]) -> Iterator[bytes]:
    parser = FrameParser()
    for chunk in chunks:
        yield from [event.payload for event in parser.feed(chunk) if isinstance(event, Frame)]


def _websockets(chunks: list[bytes], masked: bool) -> Iterator[bytes]:
    protocol: Protocol = (
        ServerProtocol(state=State.OPEN)
        if masked
        else ClientProtocol(parse_uri("ws://localhost/"), state=State.OPEN)
    )
    for chunk in chunks:
        protocol.receive_data(chunk)
        yield from [
            event.data for event in protocol.events_received() if isinstance(event, PeerFrame)
        ]


def _wsproto(chunks: list[bytes], masked: bool) -> Iterator[bytes]:
    connection = Connection(ConnectionType.SERVER if masked else ConnectionType.CLIENT)
    for chunk in chunks:
        connection.receive_data(chunk)
        yield from [
            event.data
            for event in connection.events()
            if isinstance(event, wsproto.events.BytesMessage)
        ]


def _case(
    masked: bool, peer_name: str, peer: Callable[[list[bytes], bool], Iterator[bytes]], goal: float
) -> dict[str, Any]:
    chunks = _chunks(masked)
    expected = PAYLOAD * FRAMES
    assert len(list(_ours(chunks))) == FRAMES
    assert b"".join(_ours(chunks)) == b"".join(peer(chunks, masked)) == expected
    return {
        "name": f"parse {'masked' if masked else 'unmasked'} frames of 2 kB, beside {peer_name}",
        "ours": lambda: deque(_ours(chunks), maxlen=0),
        "peer": lambda: deque(peer(chunks, masked), maxlen=0),
        "peer_name": peer_name,
        "size_bytes": sum(map(len, chunks)),
        "unit": "MB/s",
        "goal": goal,
    }


def cases() -> list[dict[str, Any]]:
    """One dict a case; `ours` and `peer` each take `size_bytes` a call."""
    return [
        _case(False, "websockets", _websockets, 2.5),
        _case(False, "wsproto", _wsproto, 8),
        _case(True, "websockets", _websockets, 2),
        _case(True, "wsproto", _wsproto, 6),
    ]
