"""How late messages come: the moment a client has one, less the moment it was due.

Due is counted from when the server began to play, so that a delay that all have is seen, too. What
the client needs to read a thousand sockets one after the other is in it.
"""

from __future__ import annotations

import functools
from typing import Any

from tests.benchmarks.bench_fanout import HEADER_BYTES, TIMEOUT_SHOWN
from tests.benchmarks.support import Program

SECONDS = 5


def figures() -> list[dict[str, Any]]:
    """One dict a figure; see `tests.benchmarks.__main__`."""
    runs = (
        ("100 messages/s to 1 socket", functools.cache(lambda: late_ms("per-connection", 1)), 2),
        ("10 messages/s to 1000 sockets", functools.cache(lambda: late_ms("shared", 1000)), 15),
    )
    return [
        {
            "name": f"playback of {name} late, p{percent}",
            "unit": "ms",
            "goal_most": goal if percent == 99 else None,
            "measure": functools.partial(_percentile, run, percent),
        }
        for name, run, goal in runs
        for percent in (50, 99)
    ]


def _percentile(run: Any, percent: int) -> tuple[float, None]:
    late = run()
    return late[len(late) * percent // 100], None


def texts_of(rate: int, lead_ns: int) -> list[tuple[int, str]]:
    """Messages of a position, each with when it is due; not to the millisecond, as none is."""
    texts = []
    for number in range(rate * SECONDS):
        due_ns = lead_ns + number * 1_000_000_000 // rate + number * 7_919_000 % 1_000_000
        position = f'"id":{number + 1},"deviceId":{number % 9 + 1},"address":"{"-" * 600}"'
        texts.append((due_ns, f'{{"positions":[{{{position},"dueNs":"{due_ns}"}}]}}'))
    return texts


def late_ms(mode: str, sockets: int) -> list[float]:
    """How late each message came to each socket, sorted."""
    shared = mode == "shared"
    # A shared playback has begun before its listeners are there: it starts with a silence. A
    # socket's own starts with a short one, for what is due at once comes with its opening.
    texts = texts_of(10 if shared else 100, 3_000_000_000 if shared else 200_000_000)
    with (
        Program("fake", texts=texts, mode=mode) as server,
        Program("sockets", port=server.started["port"], log_in=True) as client,
    ):
        client.ask("open", count=sockets, opening_bytes=len(TIMEOUT_SHOWN))
        size_bytes = sockets * sum(HEADER_BYTES + len(text) for _, text in texts)
        client.tell("listen", size_bytes=size_bytes)
        begun_ns = round(server.ask("begun")["begun_s"] * 1e9)
        arrivals = client.hear()["arrivals"]
    assert len(arrivals) == len(texts) * sockets
    late = sorted((at_ns - begun_ns - due_ns) / 1e6 for due_ns, at_ns in arrivals)
    assert late[0] >= 0, f"{late[0]} ms: a message came before it was due, or the clocks disagree"
    return late
