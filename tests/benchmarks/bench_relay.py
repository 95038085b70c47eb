"""A proxy that relays and records, beside `mitmdump -w` in reverse mode, and beside none at all.

The upstream and its client are the same programs for both proxies; the client only counts bytes, so
that what is measured is the proxy. mitmproxy needs older libraries than ours and has a virtual
environment of its own, which is made in build/ where there is none.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.support import ROOT, Program

ROUNDS = 3
OUR_MESSAGES = 200_000
PEER_MESSAGES = 10_000
ECHOES = 3000
MITMPROXY = "mitmproxy==11.0.2"
"""The last one for Python 3.11."""


def figures() -> Iterator[dict[str, Any]]:
    """One dict a figure; see `tests.benchmarks.__main__`."""
    for size_bytes in (330, 2000):
        yield {
            "name": f"relay and record {size_bytes} B messages",
            "unit": "messages/s",
            "peer_name": "mitmdump -w",
            "goal_ratio": 15.0,
            "measure": lambda size_bytes=size_bytes: rates(size_bytes),
        }
    yield {
        "name": "memory of a relay over 200 000 messages of 2 kB, growth",
        "unit": "MB",
        "goal_most": 8.0,
        "measure": lambda: (growth_mb(2000), None),
    }
    for percent in (50, 99):
        yield {
            "name": f"relay: there and back of 330 B, p{percent}",
            "unit": "µs",
            "peer_name": "no proxy",
            "measure": lambda percent=percent: round_trips_us(330, percent),
        }


def rates(size_bytes: int) -> tuple[float, float]:
    """Messages a second that reached the client, ours and the peer's: medians of rounds in turn."""
    mitmdump = mitmdump_program()
    ours, peer = [], []
    for _ in range(ROUNDS):
        with our_proxy() as relay:
            ours.append(rate(relay, size_bytes, OUR_MESSAGES))
        with mitm_proxy(mitmdump) as relay:
            peer.append(rate(relay, size_bytes, PEER_MESSAGES))
    return statistics.median(ours), statistics.median(peer)


class Relay:
    """A running proxy before a running upstream."""

    def __init__(self, upstream: Program, port: int, process: subprocess.Popen[bytes]) -> None:
        self.upstream = upstream
        self.port = port
        self.process = process

    @property
    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def rate(relay: Relay, size_bytes: int, messages: int) -> float:
    with Program("sockets", port=relay.port, log_in=False) as client:
        client.ask("open", count=1, opening_bytes=0)
        # A round to warm up.
        one_round(relay, client, size_bytes, 1000)
        return one_round(relay, client, size_bytes, messages)


def one_round(relay: Relay, client: Program, size_bytes: int, messages: int) -> float:
    header_bytes = 4
    client.tell("receive", bytes_each=messages * (size_bytes + header_bytes))
    begun_s = relay.upstream.ask("send", times=messages, size_bytes=size_bytes)["begun_s"]
    taken: float = messages / (client.hear()["ended_s"] - begun_s)
    return taken


def growth_mb(size_bytes: int) -> float:
    """How much more memory our proxy has after 200 000 messages than after 10 000."""
    with our_proxy() as relay, Program("sockets", port=relay.port, log_in=False) as client:
        client.ask("open", count=1, opening_bytes=0)
        one_round(relay, client, size_bytes, PEER_MESSAGES)
        before = relay.resident_bytes
        one_round(relay, client, size_bytes, OUR_MESSAGES)
        return (relay.resident_bytes - before) / 1e6


def round_trips_us(size_bytes: int, percent: int) -> tuple[float, float]:
    """There and back through our proxy, and without any."""
    found = []
    with our_proxy() as relay:
        direct = relay.upstream.started["port"]
        for port in (relay.port, direct):
            took_us: list[float] = []
            with Program("echoed", port=port) as client:
                client.ask("echo", times=200, size_bytes=size_bytes)
                took_ns = client.ask("echo", times=ECHOES, size_bytes=size_bytes)["took_ns"]
                took_us = sorted(one / 1000 for one in took_ns)
            found.append(took_us[len(took_us) * percent // 100])
    return found[0], found[1]


@contextlib.contextmanager
def our_proxy() -> Iterator[Relay]:
    with Program("upstream") as upstream, tempfile.TemporaryDirectory() as folder:
        port = upstream.started["port"]
        command = [
            str(Path(sys.executable).with_name("track-recorder")),
            *("proxy", "--upstream", f"http://127.0.0.1:{port}", "--listen", "127.0.0.1:0"),
            *("-o", str(Path(folder, "x.track.jsonl"))),
        ]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline().decode()
            yield Relay(upstream, int(line.split(" ")[0].rpartition(":")[2]), process)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
            process.stdout.close()


@contextlib.contextmanager
def mitm_proxy(program: Path) -> Iterator[Relay]:
    with Program("upstream") as upstream, tempfile.TemporaryDirectory() as folder:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [
            *(str(program), "-q", "-w", str(Path(folder, "flows"))),
            *("--mode", f"reverse:http://127.0.0.1:{upstream.started['port']}"),
            *("--listen-host", "127.0.0.1", "-p", str(port)),
            *("--set", f"confdir={folder}"),
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_for_port(port)
            yield Relay(upstream, port, process)
        finally:
            process.terminate()
            process.wait(60)


def wait_for_port(port: int) -> None:
    until_s = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.05)
        else:
            return


def mitmdump_program() -> Path:
    """mitmdump, from the environment ``MITMDUMP``, or from one made for it."""
    if named := os.environ.get("MITMDUMP"):
        return Path(named)
    folder = ROOT / "build" / "mitmproxy"
    program = folder / "bin" / "mitmdump"
    if not program.exists():
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", MITMPROXY]
        subprocess.run(pip, check=True)
    return program
