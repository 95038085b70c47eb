"""The start and the end of a test's server, beside pytest-httpserver's in the same run.

Each is started and ended as its fixture does it for a test of its own, in turn. pytest-httpserver
keeps one server for a session by default; here, as ours does, it begins anew for each test.
"""

from __future__ import annotations

import functools
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_httpserver import HTTPServer

from fake_server.testing import run_track_server

ROUNDS = 200
_WARM_UP = 5


def figures() -> Iterator[dict[str, Any]]:
    """Milliseconds until a test may use its server, and until it is gone again."""
    for name, part, quantile, most in (
        ("start, median", 0, 0.5, 20.0),
        ("start, p99", 0, 0.99, None),
        ("start to end, median", 1, 0.5, None),
    ):
        yield {
            "name": f"fixture of a test: {name}",
            "unit": "ms",
            "goal_most": most,
            "peer_name": "pytest-httpserver",
            "measure": functools.partial(_figure, part, quantile),
        }


def _figure(part: int, quantile: float) -> tuple[float, float]:
    ours, peers = _times()
    return _quantile(ours, part, quantile), _quantile(peers, part, quantile)


def _quantile(times: list[tuple[float, float]], part: int, quantile: float) -> float:
    values = sorted(pair[part] for pair in times)
    if quantile == 0.5:
        return statistics.median(values)
    return values[min(len(values) - 1, round(len(values) * quantile))]


@functools.cache
def _times() -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    ours, peers = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(_WARM_UP + ROUNDS):
            recording = Path(folder) / f"{number}.track.jsonl"
            ours.append(_our_time(recording))
            peers.append(_peers_time())
    return ours[_WARM_UP:], peers[_WARM_UP:]


def _our_time(recording: Path) -> tuple[float, float]:
    began = time.perf_counter()
    with run_track_server(record_to=recording):
        started = time.perf_counter()
    return (started - began) * 1e3, (time.perf_counter() - began) * 1e3


def _peers_time() -> tuple[float, float]:
    began = time.perf_counter()
    with HTTPServer(port=0):
        started = time.perf_counter()
    return (started - began) * 1e3, (time.perf_counter() - began) * 1e3
