"""Recordings of any size take the same memory: read, shown, counted, exported, imported."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.model import FrameEntry, Open
from recorder.recording import Reader, Writer
from recorder.wire import Frame, Opcode
from tests.programs import BIN
from tests.strategies import make_header

pytestmark = pytest.mark.nightly

MESSAGES = 300_000
MEMORY_LIMIT_MB = 150

PAYLOAD = (
    b'{"positions":[{"id":%d,"attributes":{"batteryLevel":100.0},"deviceId":794513675,'
    b'"deviceTime":"2025-02-21T10:05:04.882+00:00","beaconName":"quickstart-guide-beacon-2",'
    b'"note":"' + b"x" * 1800 + b'"}]}'
)


def frame_of(number: int) -> Frame:
    return Frame.make(Opcode.TEXT, PAYLOAD % number)


@pytest.fixture(scope="module", params=["big.track.jsonl", "big.track.jsonl.zst"])
def recording(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("big") / str(request.param)
    with Writer.create(path, make_header()) as writer:
        writer.write(Open(connection=1, leg="upstream", offset_ns=0))
        for number in range(MESSAGES):
            offset_ns = number * 1_000_000
            frame = frame_of(number)
            writer.write(FrameEntry.of(frame, connection=1, sender="server", offset_ns=offset_ns))
    return path


def run_and_measure(*arguments: object) -> float:
    """Run a command to its end, its output thrown away; its peak memory in MB."""
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
        "sys.exit(done.returncode)\n"
    )
    command = [str(BIN / str(arguments[0])), *map(str, arguments[1:])]
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) / 1024


@pytest.mark.parametrize(
    "arguments",
    [("show",), ("show", "--format", "jsonl"), ("info",), ("info", "--json")],
    ids=" ".join,
)
def test_reading_takes_constant_memory(recording: Path, arguments: tuple[str, ...]) -> None:
    command, *options = arguments
    assert run_and_measure("track-replayer", command, recording, *options) < MEMORY_LIMIT_MB


def test_export_takes_constant_memory_and_gives_every_byte(recording: Path) -> None:
    wire = recording.with_name("wire.bin")
    options = ["--to", "wire", "--sender", "server", "-o", wire, "--force"]
    assert run_and_measure("track-replayer", "export", recording, *options) < MEMORY_LIMIT_MB
    with wire.open("rb") as file:
        for number in range(MESSAGES):
            expected = frame_of(number).serialize()
            assert file.read(len(expected)) == expected
        assert file.read() == b""


def test_import_takes_constant_memory_and_keeps_every_message(
    recording: Path, tmp_path: Path
) -> None:
    wire = tmp_path / "curl.bin"
    with wire.open("wb") as file:
        file.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
        for number in range(MESSAGES):
            file.write(frame_of(number).serialize())
    imported = tmp_path / recording.name
    assert run_and_measure("track-recorder", "import", wire, "-o", imported) < MEMORY_LIMIT_MB
    with Reader(imported) as reader:
        frames = (entry.frame() for entry in reader if isinstance(entry, FrameEntry))
        assert all(frame == frame_of(number) for number, frame in enumerate(frames))


def test_this_process_stayed_small_too(recording: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Reader(recording) as reader:
        assert sum(1 for _ in reader) == MESSAGES + 2
        assert reader.complete
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mb < MEMORY_LIMIT_MB
