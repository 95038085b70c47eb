"""From the start of `track-fake-server serve` to its first accepted login."""

from __future__ import annotations

import http.client
import os
import signal
import statistics
import subprocess
import time

from tests.programs import BIN

RUNS = 7


def median_seconds() -> float:
    """The median of several launches."""
    return statistics.median(one_launch() for _ in range(RUNS))


def one_launch() -> float:
    # As users have it: bytecode is cached.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(BIN / "track-fake-server"), "serve", "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        host, _, port = process.stdout.readline().strip().removeprefix("http://").rpartition(":")
        connection = http.client.HTTPConnection(host, int(port))
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        body = "email=demo%40example.com&password=demo"
        connection.request("POST", "/api/session", body=body, headers=form)
        assert connection.getresponse().status == 200
        return time.perf_counter() - start
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
