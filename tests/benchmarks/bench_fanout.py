"""One message to many sockets, beside `websockets.broadcast` on uvloop.

Each server is a process and so is its client, the same program for both, which only counts bytes.
Messages are sent as fast as each server's loop goes round, and counted when the client has them.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from typing import Any

from tests.benchmarks.support import Program

ROUNDS = 9
PAYLOAD_BYTES = 1000
HEADER_BYTES = 4
MESSAGES_A_ROUND = 15_000
TIMEOUT_SHOWN = b"\x81\x1d" + b'{"webSessionTimeout":[86400]}'


def figures() -> list[dict[str, Any]]:
    """One dict a figure; see `tests.benchmarks.__main__`."""
    return [_figure(100), _figure(1000)]


def _figure(sockets: int) -> dict[str, Any]:
    return {
        "name": f"fan-out of 1 kB to {sockets} sockets",
        "unit": "messages/s",
        "peer_name": "websockets.broadcast, uvloop",
        "goal_ratio": 1.5,
        "measure": lambda: rates(sockets),
    }


def rates(sockets: int) -> tuple[float, float]:
    """Messages a second that the clients got, of ours and of the peer's: medians of rounds in
    turn.
    """
    with ExitStack() as stack:
        sides = []
        for name, opening_bytes in (("fake", len(TIMEOUT_SHOWN)), ("websockets_peer", 0)):
            server = stack.enter_context(Program(name, texts=[], mode="per-connection"))
            port = server.started["port"]
            client = stack.enter_context(Program("sockets", port=port, log_in=name == "fake"))
            client.ask("open", count=sockets, opening_bytes=opening_bytes)
            server.wait_for(sockets)
            sides.append((server, client))
            one_round(server, client, sockets)
        rounds = [[one_round(*side, sockets) for side in sides] for _ in range(ROUNDS)]
    ours, peer = (statistics.median(side) for side in zip(*rounds, strict=True))
    return ours, peer


def one_round(server: Program, client: Program, sockets: int) -> float:
    """Messages a second, from the first sent to the last received."""
    times = MESSAGES_A_ROUND // sockets
    client.tell("receive", bytes_each=times * (HEADER_BYTES + PAYLOAD_BYTES))
    begun_s = server.ask("broadcast", times=times, size_bytes=PAYLOAD_BYTES)["begun_s"]
    got = client.hear()
    assert got["least"] == got["most"], f"some sockets got more than others: {got}"
    rate: float = times * sockets / (got["ended_s"] - begun_s)
    return rate
