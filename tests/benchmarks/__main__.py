"""`make bench`: every benchmark beside its peer, as a table and in build/bench.json.

A case is timed in rounds, ours and the peer's in turn, so that a noisy machine hurts both alike;
what is shown is the median of the rounds, and the ratio of the medians. Redaction is as it is by
default wherever a recorder is measured.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks import (
    bench_frames,
    bench_intake,
    bench_json_texts,
    bench_launch,
    bench_recording,
    bench_redaction,
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
    figures: list[tuple[str, str, float | None, Callable[[], float]]] = [
        ("launch to first accepted login", "s", 0.6, bench_launch.median_seconds),
        (
            "lost by kill -9, plain and zst, p99",
            "ms",
            1000.0,
            lambda: bench_recording.kill_loss_p99_ms(20),
        ),
    ]
    for name, unit, goal, measure in figures:
        if not words or any(word in name for word in words):
            ours = measure()
            yield {
                "name": name,
                "ours": round(ours, 3),
                "peer": None,
                "peer_name": None,
                "unit": unit,
                "ratio": None,
                "goal": goal,
                "met": None if goal is None else ours <= goal,
            }


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
