"""The replayer's commands over a long recording, beside a bare orjson parse of the same lines.

Each command runs as a user runs it: a process of its own, its output to a file. The recording has
100 MB, or BENCH_READING_MB of them; a night takes 1000.
"""

from __future__ import annotations

import atexit
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.benchmarks.long_recording import make_long_recording

SIZE_MB = int(os.environ.get("BENCH_READING_MB", "100"))
ROUNDS = 3 if SIZE_MB <= 100 else 1
COMMANDS = {
    "info": (["info", "{rec}"], 0.3),
    "show": (["show", "{rec}"], 0.05),
    "conform": (["conform", "{rec}"], 0.05),
    "contract check": (["contract", "check", "{rec}", "{contract}"], 0.05),
}
"""What is run, and the least ratio to orjson that it is meant to have."""

MAX_MEMORY_MB = 120.0
MAX_SEEK_S = 0.1

PARSE = """\
import sys, time, orjson
start, size_bytes = time.perf_counter(), 0
with open(sys.argv[1], "rb", buffering=262144) as file:
    for line in file:
        orjson.loads(line)
        size_bytes += len(line)
print(size_bytes / 1e6 / (time.perf_counter() - start))
"""


def figures() -> Iterator[dict[str, Any]]:
    """One dict a figure; see `tests.benchmarks.__main__`."""
    for suffix in ("jsonl", "jsonl.zst"):
        for name, (_, goal) in COMMANDS.items():
            yield {
                "name": f"{name} of {SIZE_MB} MB, {suffix}",
                "unit": "MB/s",
                "peer_name": "bare orjson parse",
                "goal_ratio": goal,
                "measure": lambda name=name, suffix=suffix: rates(name, suffix),
            }
            yield {
                "name": f"{name} of {SIZE_MB} MB, {suffix}: peak memory",
                "unit": "MB",
                "goal_most": MAX_MEMORY_MB,
                "measure": lambda name=name, suffix=suffix: (peak_mb(name, suffix), None),
            }
    for name in ("show", "conform", "contract check"):
        yield {
            "name": f"{name}: two processes at once",
            "unit": "MB/s",
            "peer_name": "one process",
            "goal_ratio": 1.7,
            "measure": lambda name=name: two_at_once(name),
        }
    yield {
        "name": f"show --from, first message of {SIZE_MB} MB zst, beyond process start",
        "unit": "s",
        "goal_most": MAX_SEEK_S,
        "measure": lambda: (seek_s(), None),
    }


@cache
def recording(suffix: str) -> Path:
    """The recording, made once."""
    path = _folder() / f"long.track.{suffix}"
    make_long_recording(path, SIZE_MB * 1_000_000)
    return path


@cache
def contract() -> Path:
    """What the recording's own messages teach."""
    path = _folder() / "contract.json"
    small = _folder() / "small.track.jsonl"
    make_long_recording(small, 5_000_000)
    _run(["contract", "infer", str(small), "-o", str(path)])
    return path


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="bench-reading-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def arguments(name: str, suffix: str) -> list[str]:
    """The command line behind ``track-replayer``."""
    needs_contract = "{contract}" in COMMANDS[name][0]
    return [
        one.format(rec=recording(suffix), contract=contract() if needs_contract else "")
        for one in COMMANDS[name][0]
    ]


def rates(name: str, suffix: str) -> tuple[float, float]:
    """MB of lines a second, uncompressed, the command's and orjson's, in turn."""
    command = arguments(name, suffix)
    plain = recording("jsonl")
    size_mb = plain.stat().st_size / 1e6
    ours, peer = [], []
    for _ in range(ROUNDS):
        ours.append(size_mb / _run(command)[0])
        peer.append(
            float(subprocess.check_output([sys.executable, "-c", PARSE, str(plain)], text=True))
        )
    return statistics.median(ours), statistics.median(peer)


def peak_mb(name: str, suffix: str) -> float:
    """The most memory that the command had."""
    return _run(arguments(name, suffix))[1]


def two_at_once(name: str) -> tuple[float, float]:
    """MB a second of two processes, and of one."""
    command = arguments(name, "jsonl")
    size_mb = recording("jsonl").stat().st_size / 1e6
    one, two = [], []
    for _ in range(ROUNDS):
        one.append(size_mb / _run(command)[0])
        start = time.perf_counter()
        with _started(command) as first, _started(command) as second:
            assert {first.wait(), second.wait()} <= {0, 1}
        two.append(2 * size_mb / (time.perf_counter() - start))
    return statistics.median(two), statistics.median(one)


def seek_s() -> float:
    """Seconds to the first message at nine tenths of the recording, without what the same command
    takes for the first of a small one."""
    small = _folder() / "small.track.jsonl.zst"
    make_long_recording(small, 2_000_000)
    path = recording("jsonl.zst")
    at_s = SIZE_MB * 1_000_000 // 900 // 62
    return statistics.median(
        _first_line_s(["show", str(path), "--from", str(at_s)])
        - _first_line_s(["show", str(small), "--from", "0.1"])
        for _ in range(7)
    )


def _first_line_s(command: list[str]) -> float:
    start = time.perf_counter()
    with _started(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        took_s = time.perf_counter() - start
        assert line, command
        process.kill()
    return took_s


PROGRAM = """\
import atexit, sys
from replayer.cli import main
def tell():
    with open("/proc/self/status") as file:
        sys.stderr.write(file.read().partition("VmHWM:")[2].split()[0])
atexit.register(tell)
main()
"""
"""The command, which tells the most memory that it had: what `wait4` tells of a child counts what
its parent had, too."""


def _started(command: list[str], stdout: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    program = [sys.executable, "-c", PROGRAM]
    return subprocess.Popen([*program, *command], stdout=stdout, stderr=subprocess.PIPE, text=True)


def _run(command: list[str]) -> tuple[float, float]:
    """Seconds, and the most memory in MB. Output goes to a file, as it often does."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = _started(command, stdout=output.fileno())
        _, said = process.communicate()
        took_s = time.perf_counter() - start
    assert process.returncode in (0, 1), said
    return took_s, int(said.split()[-1]) / 1024
