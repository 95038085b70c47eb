"""`track-fake-server run`: a server beside a program, and how it ends."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from recorder.exits import Exit
from recorder.recording import Reader
from tests.fake_server.command_lines import Ended, ended
from tests.fake_server.support import DEVICES, TIMEOUT, said, upgrade, write
from tests.processes import clean_environment, run
from tests.programs import BIN, require

PYTHON = sys.executable
REFUSED = """
import os, urllib.error, urllib.request
try:
    urllib.request.urlopen(os.environ["TRACK_URL"] + "/api/devices")
except urllib.error.HTTPError as error:
    assert error.code == 401
"""
"""A program that asks without a login, which is a violation."""


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write(
        tmp_path / "some.track.jsonl", [*upgrade(), said(TIMEOUT), said(DEVICES), said(DEVICES, 1)]
    )


def run_here(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ended:
    return ended(capsys, "run", *arguments)


# What the program finds


@pytest.mark.parametrize("with_recording", [True, False])
def test_a_program_logs_in_and_asks_with_what_it_finds_in_its_environment(
    with_recording: bool, recording: Path, tmp_path: Path
) -> None:
    require("curl", "sh")
    users = tmp_path / "userdata"
    users.write_text(
        "EMAIL=jane@example.com\nPASSWORD='a pass&word=%'\nEMAIL=x@example.com\nPASSWORD=x\n"
    )
    script = """
        curl -sS -c jar -o user --data-urlencode "email=$TRACK_EMAIL" \\
            --data-urlencode "password=$TRACK_PASSWORD" "$TRACK_URL/api/session" &&
        curl -sS -b jar "$TRACK_URL/api/devices" && env > environment
    """
    arguments = [recording] if with_recording else []
    done = run(
        "track-fake-server",
        "run",
        *arguments,
        "--user-file",
        users,
        "--",
        "sh",
        "-c",
        script,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["name"]
    assert json.loads((tmp_path / "user").read_text())["email"] == "jane@example.com"
    environment = dict(
        line.partition("=")[::2] for line in (tmp_path / "environment").read_text().splitlines()
    )
    url = environment["TRACK_URL"]
    assert url.startswith("http://127.0.0.1:")
    assert environment["TRACK_WS_URL"] == url.replace("http", "ws") + "/api/socket"
    assert environment["TRACK_ADMIN_URL"] == url + "/__admin"
    assert environment["TRACK_EMAIL"] == "jane@example.com"
    assert "TRACK_CA_FILE" not in environment
    assert "a pass&word=%" not in done.stderr
    assert [line.partition(" ")[0] for line in done.stderr.splitlines()] == ["playing", "stopped:"]


def test_over_tls_it_finds_the_ca_file_too_wherever_it_goes(tmp_path: Path) -> None:
    require("curl", "sh")
    script = """
        cd / && curl -sS -o /dev/null --cacert "$TRACK_CA_FILE" -w '%{http_code}' "$TRACK_URL/api/x"
    """
    done = run(
        "track-fake-server", "run", "--tls-self-signed", "--", "sh", "-c", script, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (0, "401"), done.stderr
    assert (tmp_path / "track-ca.pem").exists()


def test_an_admin_token_of_a_file_is_handed_on_and_said_nowhere(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    check = "import os; assert os.environ['TRACK_ADMIN_TOKEN'] == 's3cret'"
    done = run(
        "track-fake-server",
        "run",
        "--admin-token-file",
        "token",
        "--",
        PYTHON,
        "-c",
        check,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "s3cret" not in done.stdout + done.stderr


def test_stdin_stdout_and_stderr_are_the_programs_own_and_its_arguments_too() -> None:
    script = "import sys; print(sys.argv[1:], sys.stdin.read()); print('its own', file=sys.stderr)"
    done = subprocess.run(
        [BIN / "track-fake-server", "run", "--", PYTHON, "-c", script, "--strict", "--", "-h"],
        env=clean_environment(),
        input="what comes in",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout == "['--strict', '--', '-h'] what comes in\n"
    assert "its own" in done.stderr.splitlines()


# How it ends


@pytest.mark.parametrize(
    ("options", "program", "code"),
    [
        ([], "", 0),
        (["--strict"], "", 0),
        ([], "raise SystemExit(3)", 3),
        ([], "import os; os.kill(os.getpid(), 9)", 137),
        ([], REFUSED, 0),
        (["--strict"], REFUSED, Exit.DIFFERENT),
        (["--strict"], REFUSED + "raise SystemExit(3)", 3),
    ],
)
def test_it_ends_as_the_program_does_or_with_1_where_strict_finds_violations(
    options: list[str], program: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_here(capsys, *options, "--", PYTHON, "-c", program)
    assert done.code == code, done.errors
    assert ("session.no-cookie: 1 time" in done.errors) == (REFUSED in program)


@pytest.mark.parametrize("name", ["no-such-program", "./no-such-program", "./not-executable"])
def test_a_program_that_cannot_be_run_is_66(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "not-executable").write_text("echo\n")
    done = run_here(capsys, "--record", "new.track.jsonl", "--", name)
    assert done.code == Exit.NO_INPUT
    assert f"error: {name}: cannot be run: " in done.errors.splitlines()[-1]
    assert "Traceback" not in done.errors
    with Reader(tmp_path / "new.track.jsonl") as reader:
        assert list(reader)[:-1] == []
        assert reader.why_incomplete is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "curl http://localhost",
        "some.track.jsonl",
        "--",
        "some.track.jsonl --",
        "a b -- c",
        "--port 1 -- c",
    ],
)
def test_a_wrong_command_line_is_64_and_shows_how_it_is(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_here(capsys, *line.split())
    assert done.code == Exit.USAGE
    assert "run [OPTIONS] [REC] -- CMD [ARG]..." in done.errors


def test_a_disk_that_is_full_ends_the_program_and_then_the_server_with_74(tmp_path: Path) -> None:
    require("bash")
    script = """
import os, pathlib, signal, urllib.error, urllib.request
def end(*_):
    pathlib.Path("in-order").touch()
    raise SystemExit(0)
signal.signal(signal.SIGTERM, end)
while True:
    try:
        urllib.request.urlopen(os.environ["TRACK_URL"] + "/api/devices")
    except urllib.error.HTTPError:
        pass
    except OSError:
        signal.pause()
"""
    full = 'ulimit -f 4; exec "$0" run --record new.track.jsonl -- "$1" -c "$2"'
    done = subprocess.run(
        ["bash", "-c", full, BIN / "track-fake-server", PYTHON, script],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == Exit.DISK_FAILED, done.stderr
    assert (tmp_path / "in-order").exists()
    assert "new.track.jsonl" in done.stderr.splitlines()[-1]


# Signals

COUNTING = """
import signal, sys
count = 0
def more(number, frame):
    global count
    count += 1
    print("got", number, count, flush=True)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, more)
signal.alarm(30)
print("ready", flush=True)
for line in sys.stdin:
    print("said", line, end="", flush=True)
    if line.startswith("end"):
        sys.exit(5)
"""


@contextmanager
def running(script: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """`run` with a program that says when it is ready; its pipes are the test's."""
    process = subprocess.Popen(
        [BIN / "track-fake-server", "run", "--", PYTHON, "-c", script],
        env=clean_environment(),
        text=True,
        **{
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **options,
        },
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_the_programs_and_the_server_ends_after_it(number: int) -> None:
    with running(COUNTING) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == f"got {number:d} 1\n"
        assert process.poll() is None
        _, errors = process.communicate("end\n", timeout=20)
        assert process.returncode == 5
    assert errors.splitlines()[-1].startswith("stopped: ")


def test_a_program_that_sigterm_ends_leaves_nothing_behind() -> None:
    script = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with running(script) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.terminate()
        process.communicate(timeout=20)
        assert process.returncode == 128 + signal.SIGTERM
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


def test_a_ctrl_c_at_the_terminal_reaches_the_program_once() -> None:
    master, slave = pty.openpty()

    def take_it() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY)

    def heard_until(end: bytes) -> bytes:
        heard = b""
        while end not in heard:
            heard += os.read(master, 4096)
        return heard

    terminal = {"stdin": slave, "stdout": slave, "stderr": slave}
    with running(COUNTING, **terminal, start_new_session=True, preexec_fn=take_it) as process:
        os.close(slave)
        heard_until(b"ready")
        os.write(master, b"\x03")
        heard_until(b"got 2 1")
        # Whatever else our process would pass on has come when it answers this.
        process.send_signal(signal.SIGTERM)
        assert b"got 2 2" not in heard_until(b"got 15 ")
        os.write(master, b"end\n")
        heard_until(b"stopped: ")
        assert process.wait(timeout=20) == 5
    os.close(master)
