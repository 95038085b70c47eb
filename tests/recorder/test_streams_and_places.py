"""Odd streams and odd places to write to, with the real commands."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from recorder.exits import Exit
from tests.processes import clean_environment, run
from tests.programs import BIN

CAPTURE = Path(__file__).parents[2] / "fixtures" / "curl-capture.bin"


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = clean_environment()
    environment["PATH"] = f"{BIN}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "a.track.jsonl"
    assert run("track-recorder", "import", CAPTURE, "-o", path).returncode == Exit.OK
    return path


def test_a_failed_connection_leaves_no_empty_recording(tmp_path: Path) -> None:
    account = {"TRACK_EMAIL": "a@example.com", "TRACK_PASSWORD": "x"}
    for _ in range(2):
        done = run(
            *["track-recorder", "capture", "--url", "http://127.0.0.1:1", "-o", tmp_path / "a"],
            **account,
        )
        assert done.returncode == Exit.UNREACHABLE
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["import x -o -", "capture --url http://x -o -"])
def test_a_recording_is_no_stream(command: str, tmp_path: Path) -> None:
    done = run("track-recorder", *command.split(), cwd=tmp_path)
    assert done.returncode == Exit.USAGE
    assert "not to stdout" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_import_replaces_what_a_link_points_to_and_keeps_its_mode(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    done = run("track-recorder", "import", CAPTURE, "-o", link, "--force")
    assert done.returncode == Exit.OK, done.stderr
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o600
    assert target.read_bytes().startswith(b'{"kind":"header"')


def test_import_refuses_what_is_no_regular_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    done = run("track-recorder", "import", CAPTURE, "-o", pipe, "--force")
    assert done.returncode == Exit.EXISTS
    assert pipe.is_fifo()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["track-replayer show", "track-replayer info"])
def test_a_closed_stream_is_no_bug(command: str, closed: str, recording: Path) -> None:
    done = shell(f"{command} {recording.name} {closed}", recording.parent)
    assert done.returncode == Exit.OK
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["show", "export --to wire --sender server -o -"])
def test_a_full_disk_behind_stdout_is_told(command: str, recording: Path) -> None:
    name, _, options = command.partition(" ")
    done = shell(f"track-replayer {name} {recording.name} {options} > /dev/full", recording.parent)
    assert done.returncode == Exit.DISK_FAILED
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()
