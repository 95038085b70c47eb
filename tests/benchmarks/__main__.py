"""`make bench`: every benchmark beside its peer, as a table and in build/bench.json.

A case is timed in rounds, ours and the peer's in turn, so that a noisy machine hurts both alike;
what is shown is the median of the rounds, and the ratio of the medians. Redaction is as it is by
default wherever a recorder is measured. Servers and their clients are processes of their own.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks import (
    bench_fanout,
    bench_fixture,
    bench_frames,
    bench_idle,
    bench_intake,
    bench_json_texts,
    bench_launch,
    bench_playback,
    bench_reading,
    bench_recording,
    bench_redaction,
    bench_relay,
    bench_rest,
    bench_scan,
)

ROUNDS = 7
ROUND_S = 0.15
RESULTS = Path("build/bench.json")

Result = dict[str, Any]


def main(arguments: list[str]) -> int:
    """Run all cases, or those whose name holds one of the words given."""
    results: list[Result] = []
    console = Console()
    for result in results_of(arguments):
        results.append(result)
        console.print(f"[dim]{result['name']}[/dim]", highlight=False)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    console.print(table_of(results))
    console.print(f"written to {RESULTS}", highlight=False)
    return 0


def results_of(words: list[str]) -> Iterable[Result]:
    modules = (bench_frames, bench_json_texts, bench_recording, bench_redaction, bench_intake)
    for module in modules:
        for case in module.cases():
            if not words or any(word in case["name"] for word in words):
                yield beside_its_peer(case)
    for figure in figures():
        if not words or any(word in figure["name"] for word in words):
            yield measured(figure)


def figures() -> Iterator[dict[str, Any]]:
    """What is no time of a callable: ``measure`` gives ours and the peer's, or None.

    The goal is the least ratio to the peer (``goal_ratio``), or the most that ours may be
    (``goal_most``).
    """
    yield {
        "name": "launch to first accepted login",
        "unit": "s",
        "goal_most": 0.6,
        "measure": lambda: (bench_launch.median_seconds(), None),
    }
    yield {
        "name": "lost by kill -9, plain and zst, p99",
        "unit": "ms",
        "goal_most": 1000.0,
        "measure": lambda: (bench_recording.kill_loss_p99_ms(20), None),
    }
    if sys.platform == "linux":
        modules = (
            bench_fixture,
            bench_reading,
            bench_scan,
            bench_relay,
            bench_fanout,
            bench_rest,
            bench_idle,
            bench_playback,
        )
        for module in modules:
            yield from module.figures()


def measured(figure: dict[str, Any]) -> Result:
    """Take a figure."""
    ours, peer = figure["measure"]()
    ratio = None if peer is None else ours / peer
    least, most = figure.get("goal_ratio"), figure.get("goal_most")
    met = None
    if least is not None:
        met = ratio is not None and ratio >= least
    elif most is not None:
        met = ours <= most
    return {
        "name": figure["name"],
        "ours": rounded(ours),
        "peer": None if peer is None else rounded(peer),
        "peer_name": figure.get("peer_name"),
        "unit": figure["unit"],
        "ratio": None if ratio is None else round(ratio, 2),
        "goal": most if least is None else least,
        "met": met,
    }


def rounded(value: float) -> float:
    """To three digits behind the point where there are few before it."""
    return round(value, 3) if value < 1000 else round(value)


def beside_its_peer(case: dict[str, Any]) -> Result:
    """Time ours and the peer's in turn."""
    sides = [case["ours"]] + ([case["peer"]] if case.get("peer") else [])
    calls = [calls_for(side) for side in sides]
    seconds: list[list[float]] = [[] for _ in sides]
    for _ in range(ROUNDS):
        for number, side in enumerate(sides):
            seconds[number].append(timed(side, calls[number]))
    amount = case["size_bytes"] / 1e6 if case["unit"] == "MB/s" else case["size_bytes"]
    rates = [amount / statistics.median(times) for times in seconds]
    ratio = rates[0] / rates[1] if len(rates) == 2 else None
    goal = case["goal"]
    return {
        "name": case["name"],
        "ours": round(rates[0], 1),
        "peer": round(rates[1], 1) if len(rates) == 2 else None,
        "peer_name": case.get("peer_name"),
        "unit": case["unit"],
        "ratio": None if ratio is None else round(ratio, 2),
        "goal": goal,
        "met": None if goal is None or ratio is None else ratio >= goal,
    }


def calls_for(side: Callable[[], object]) -> int:
    """How many calls make a round; the first call warms up."""
    side()
    return max(1, round(ROUND_S / max(timed(side, 1), 1e-6)))


def timed(side: Callable[[], object], calls: int) -> float:
    """Seconds a call."""
    start = time.perf_counter()
    for _ in range(calls):
        side()
    return (time.perf_counter() - start) / calls


def table_of(results: list[Result]) -> Table:
    table = Table("benchmark", "ours", "peer", "unit", "beside", "ratio", "goal", "met")
    for result in results:
        met = {True: "yes", False: "[red]no[/red]", None: ""}[result["met"]]
        cells = [result[key] for key in ("ours", "peer", "unit", "peer_name", "ratio", "goal")]
        table.add_row(result["name"], *("" if cell is None else str(cell) for cell in cells), met)
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
