"""A REST list over eight connections that are kept alive, beside uvicorn with h11 and Starlette.

The peer answers the same bytes from memory after it looked at the cookie.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from typing import Any

from fake_server.manual_objects import MANUAL_BEACONS
from tests.benchmarks.support import Program

ROUNDS = 11
ROUND_S = 0.25
PATH = "/api/beacons"


def figures() -> list[dict[str, Any]]:
    """One dict a figure; see `tests.benchmarks.__main__`."""
    return [
        {
            "name": f"GET {PATH}, 8 connections",
            "unit": "answers/s",
            "peer_name": "uvicorn, h11, asyncio, Starlette",
            "goal_ratio": 1.0,
            "measure": rates,
        }
    ]


def rates() -> tuple[float, float]:
    """Answers a second, ours and the peer's: medians of rounds in turn."""
    beacons = b",".join(beacon.strip() for beacon in MANUAL_BEACONS)
    texts = [[0, f'{{"beacons":[{beacons.decode()}]}}']]
    with ExitStack() as stack:
        ours = stack.enter_context(Program("fake", texts=texts, mode="per-connection"))
        call = {"path": PATH, "connections": 8}
        our_calls = stack.enter_context(
            Program("calls", port=ours.started["port"], cookie=None, **call)
        )
        cookie = our_calls.started["cookie"]
        body = our_calls.ask("run", seconds=0.2)["body"]
        peer = stack.enter_context(Program("starlette_peer", path=PATH, cookie=cookie, body=body))
        peer_calls = stack.enter_context(
            Program("calls", port=peer.started["port"], cookie=cookie, **call)
        )
        assert peer_calls.ask("run", seconds=0.2)["body"] == body
        rounds = [[one_round(calls) for calls in (our_calls, peer_calls)] for _ in range(ROUNDS)]
    our_rate, peer_rate = (statistics.median(side) for side in zip(*rounds, strict=True))
    return our_rate, peer_rate


def one_round(calls: Program) -> float:
    """Answers a second."""
    got = calls.ask("run", seconds=ROUND_S)
    rate: float = got["answers"] / got["seconds"]
    return rate
