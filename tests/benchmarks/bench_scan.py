"""A scan of 1000 recordings: by all processors and by a cluster, beside one process.

The cluster is two workers on loopback. Each round is a scan as the command makes it, without its
start; what is measured is `--check conform`, the recordings are of about 100 kB, half of them
compressed.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from recorder.model import Closed, Open, Request, Response
from recorder.recording import Writer
from replayer.scan.checks import ConformCheck
from replayer.scan.finding import Found, find
from replayer.scan.workers import Cluster, Rows, in_processes, in_this_process, on_cluster
from tests.strategies import frame_entry, make_header

RECORDINGS = 1000
MESSAGES = 110
ROUNDS = 3


def figures() -> Iterator[dict[str, Any]]:
    """One dict a figure; see `tests.benchmarks.__main__`."""
    yield {
        "name": f"scan {RECORDINGS} recordings of 100 kB, {os.cpu_count()} processes",
        "unit": "recordings/s",
        "peer_name": "one process",
        "goal_ratio": 1.7,
        "measure": beside_one_process,
    }
    yield {
        "name": f"scan {RECORDINGS} recordings of 100 kB, dask with 2 workers",
        "unit": "recordings/s",
        "peer_name": "one process",
        "measure": by_a_cluster,
    }


def beside_one_process() -> tuple[float, float]:
    """Recordings a second by all processors and by one: medians of rounds in turn."""
    ours, peer = [], []
    for _ in range(ROUNDS):
        ours.append(rate(in_processes(ConformCheck(), recordings(), os.cpu_count() or 1)))
        peer.append(rate(in_this_process(ConformCheck(), recordings())))
    return statistics.median(ours), statistics.median(peer)


def by_a_cluster() -> tuple[float, float]:
    """Recordings a second by a cluster on loopback and by one process."""
    from distributed import LocalCluster

    ours, peer = [], []
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        # A round to load what a worker needs.
        rate(on_cluster(ConformCheck(), recordings(), Cluster.at(cluster.scheduler_address)))
        for _ in range(ROUNDS):
            client = Cluster.at(cluster.scheduler_address)
            ours.append(rate(on_cluster(ConformCheck(), recordings(), client)))
            peer.append(rate(in_this_process(ConformCheck(), recordings())))
    return statistics.median(ours), statistics.median(peer)


def rate(rows: Rows) -> float:
    """Rows a second."""
    began_s = time.perf_counter()
    verdicts = [row.verdict for row in rows]
    took_s = time.perf_counter() - began_s
    assert len(verdicts) == RECORDINGS
    assert "error" not in verdicts
    return RECORDINGS / took_s


def position(number: int) -> str:
    """A message of 700 bytes, as Track sends them."""
    date = f"2026-11-22T17:{number // 60:02}:{number % 60:02}.000+0000"
    found = {
        "id": number,
        "deviceId": number % 12 + 1,
        "deviceName": f"device {number % 12 + 1}",
        "beaconId": number % 7 + 1,
        "beaconName": f"beacon {number % 7 + 1}",
        "protocol": "osmand",
        **dict.fromkeys(("serverTime", "deviceTime", "fixTime"), date),
        "latitude": 49.897595543798104 + number / 1e5,
        "longitude": 10.878755114972591,
        "rssi": -64,
        "address": None,
        "network": None,
        "attributes": {"batteryLevel": 100.0, "motion": False, "note": "x" * 250},
    }
    return json.dumps({"positions": [found]})


@cache
def recordings() -> list[Found]:
    """Made once, and removed at the end."""
    folder = Path(
        tempfile.mkdtemp(prefix="bench-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    )
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for suffix, first in ((".track.jsonl", 0), (".track.jsonl.zst", 1)):
        template = folder / f"template{suffix}"
        with Writer.create(template, make_header()) as writer:
            connection: dict[str, Any] = {"connection": 1, "offset_ns": 0}
            heads: dict[str, Any] = {"exchange": 1, "headers": [], **connection}
            writer.write(Open(leg="upstream", **connection))
            writer.write(Request(method="GET", target="/api/socket", **heads))
            writer.write(Response(status=101, **heads))
            for number in range(1, MESSAGES + 1):
                writer.write(frame_entry(position(number), offset_ns=number * 1_000_000))
            writer.write(Closed(connection=1, offset_ns=10**9, by="client", how="eof"))
        data = template.read_bytes()
        template.unlink()
        for number in range(first, RECORDINGS, 2):
            (folder / f"{number:04}{suffix}").write_bytes(data)
    return find([str(folder)])


if __name__ == "__main__":
    for figure in figures():
        ours, peer = figure["measure"]()
        print(f"{figure['name']}: {ours:.0f} {figure['unit']}, {peer:.0f}, {ours / peer:.2f}")
