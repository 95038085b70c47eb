"""How quickly recordings are written and read, beside the bare JSON work, and what a kill loses."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from recorder.model import FrameEntry
from recorder.recording import Reader, Writer, encode_entry
from tests.strategies import frame_entry, make_header

ENTRIES = 10_000
PAYLOAD_BYTES = 2_000


def payloads() -> list[str]:
    """Messages of 2 kB that differ as those of Track do."""
    made = []
    for number in range(ENTRIES):
        positions = [
            {
                "id": number * 16 + index,
                "deviceId": index,
                "protocol": "osmand",
                "attributes": {"batteryLevel": 100.0 - index, "rssi": -60 - index},
                "latitude": 48.1 + (number * 7919 + index) % 9973 / 1e5,
                "fixTime": "2026-11-22T17:00:00.000+0000",
            }
            for index in range(12)
        ]
        made.append(json.dumps({"positions": positions})[:PAYLOAD_BYTES])
    return made


def cases() -> list[dict[str, Any]]:
    """What to run: each with `ours` and `peer`, callables that process `size_bytes` a call."""
    folder = Path(
        tempfile.mkdtemp(prefix="bench-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    )
    # The callables need it for as long as this process runs.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    entries = [
        frame_entry(text, offset_ns=number * 1_000_000) for number, text in enumerate(payloads())
    ]
    lines = [encode_entry(entry) for entry in entries]
    dicts = [orjson.loads(line) for line in lines]
    size_bytes = sum(len(line) + 1 for line in lines)
    made = []
    for suffix, write_goal, read_goal in (("jsonl", None, None), ("jsonl.zst", None, None)):
        path = folder / f"ours.track.{suffix}"
        write(path, entries)
        peer_path = folder / "peer.jsonl"
        common = {"size_bytes": size_bytes, "unit": "MB/s"}
        made.append(
            {
                "name": f"write {suffix}",
                "ours": bind(write, path, entries),
                "peer": bind(append_with_orjson, peer_path, dicts),
                "peer_name": "orjson.dumps, appended",
                "goal": write_goal,
                **common,
            }
        )
        made.append(
            {
                "name": f"read {suffix}",
                "ours": bind(read_all, path),
                "peer": bind(load_with_orjson, lines),
                "peer_name": "orjson.loads of the lines",
                "goal": read_goal,
                **common,
            }
        )
    return made


def bind(act: Callable[..., None], *arguments: Any) -> Callable[[], None]:
    """`act` with its arguments."""
    return lambda: act(*arguments)


def write(path: Path, entries: list[FrameEntry]) -> None:
    """A recording of all entries."""
    with Writer.create(path, make_header(), force=True) as writer:
        for entry in entries:
            writer.write(entry)


def read_all(path: Path) -> None:
    """Every entry of a recording."""
    with Reader(path) as reader:
        for _ in reader:
            pass


def append_with_orjson(path: Path, dicts: list[dict[str, Any]]) -> None:
    """The least that writing JSON Lines takes."""
    with path.open("wb") as file:
        for value in dicts:
            file.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))


def load_with_orjson(lines: list[bytes]) -> None:
    """The least that reading JSON Lines takes."""
    for line in lines:
        orjson.loads(line)


_RECORDER = """
import sys, time, trio
from recorder.model import Note
from recorder.recording import Writer, keep_durable
from tests.strategies import make_header

async def main():
    writer = Writer.create(sys.argv[1], make_header(), force=True)
    started_ns = time.monotonic_ns()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_durable, writer)
        for number in range(10_000_000):
            offset_ns = time.monotonic_ns() - started_ns
            writer.write(Note(offset_ns=offset_ns, text=f"{number:0200}"))
            # What was written and when: the pipe outlives the process.
            sys.stdout.write(f"{number} {offset_ns}\\n")
            sys.stdout.flush()
            if number % 10 == 0:
                await trio.sleep(0.001)

trio.run(main)
"""


def kill_run(path: Path, *, after_entries: int) -> float:
    """Kill -9 a recorder under load after so many entries; return how many ms of them are lost."""
    with subprocess.Popen(
        [sys.executable, "-c", _RECORDER, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            last = line
            if int(line.split()[0]) == after_entries:
                process.send_signal(signal.SIGKILL)
        number, last_ns = map(int, last.split())
    with Reader(path) as reader:
        kept = list(reader)
    if len(kept) > number:
        return 0.0
    return (last_ns - (kept[-1].offset_ns or 0)) / 1e6 if kept else last_ns / 1e6


def kill_loss_p99_ms(runs: int) -> float:
    """The 99th percentile of ms lost by recorders killed under load; half of them compress."""
    with tempfile.TemporaryDirectory() as folder:
        losses = sorted(
            kill_run(
                Path(folder, f"{run}.track.jsonl" + (".zst" if run % 2 else "")),
                after_entries=200 + run * 37 % 300,
            )
            for run in range(runs)
        )
    return losses[min(len(losses) - 1, int(len(losses) * 0.99))]
