"""What an open socket costs the server while nothing happens on it: resident memory with many of
them, less that with none, by how many there are.

Their handshakes are done, the opening was sent and received, and playback holds at its end. The
kernel's buffers are not in it.
"""

from __future__ import annotations

from typing import Any

from tests.benchmarks.bench_fanout import TIMEOUT_SHOWN
from tests.benchmarks.support import Program

SOCKETS = 2000
WARM_UP_SOCKETS = 200
TEXT = '{"devices":[{"id":1,"name":"one"}]}'
TEXT_FRAME_BYTES = 2 + len(TEXT)


def figures() -> list[dict[str, Any]]:
    """One dict a figure; see `tests.benchmarks.__main__`."""
    return [
        {
            "name": "memory of an idle socket",
            "unit": "B",
            "peer_name": "websockets, uvloop",
            "goal_most": 8000,
            "measure": lambda: (
                socket_bytes("fake", [[0, TEXT]], len(TIMEOUT_SHOWN) + TEXT_FRAME_BYTES),
                socket_bytes("websockets_peer", [TEXT], TEXT_FRAME_BYTES),
            ),
        }
    ]


def socket_bytes(name: str, texts: list[Any], opening_bytes: int) -> float:
    """Bytes a socket, of the server of that name."""
    with (
        Program(name, texts=texts, mode="per-connection") as server,
        Program("sockets", port=server.started["port"], log_in=name == "fake") as client,
    ):
        client.ask("open", count=WARM_UP_SOCKETS, opening_bytes=opening_bytes)
        server.wait_for(WARM_UP_SOCKETS)
        client.ask("close")
        server.wait_for(0)
        before = server.resident_bytes
        client.ask("open", count=SOCKETS, opening_bytes=opening_bytes)
        server.wait_for(SOCKETS)
        return (server.resident_bytes - before) / SOCKETS
