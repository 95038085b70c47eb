"""`track-fake-server run`: a server beside a program, and how it ends."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import trio
import trio.testing

from fake_server.commands.checking import settled
from fake_server.expectations import Expectation
from fake_server.findings import BESIDES
from recorder.exits import Exit
from recorder.recording import Reader
from recorder.track.violations import RULES
from tests.fake_server.command_lines import Ended, ended, served_here
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
        "a b",
        "--port 1 -- c",
    ],
)
def test_a_wrong_command_line_is_64_and_shows_how_it_is(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_here(capsys, *line.split())
    assert done.code == Exit.USAGE
    assert "run [OPTIONS] [REC...] -- CMD [ARG]..." in done.errors


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


# Contract tests


def cases(path: Path) -> dict[str, str]:
    """Outcomes of a JUnit report by name."""
    return {
        case.attrib["name"]: case[0].tag if len(case) else "passed"
        for case in ElementTree.parse(path).iter("testcase")
    }


@pytest.mark.parametrize(
    ("options", "program", "code", "told"),
    [
        (["--check"], "", 0, "no findings"),
        (["--check"], REFUSED, Exit.DIFFERENT, "1 finding, which --check ends with 1"),
        (["--check"], REFUSED + "raise SystemExit(3)", 3, "1 finding, which"),
        (["--check", "--allow", "session.*"], REFUSED, 0, "no findings"),
        (["--check", "--allow", "pong.*"], REFUSED, Exit.DIFFERENT, "1 finding, which"),
        (["--junit-xml", "report.xml"], REFUSED, 0, "1 violation of 1 rule, 1 finding"),
    ],
)
def test_check_ends_with_1_where_there_are_findings_that_are_not_allowed(
    options: list[str],
    program: str,
    code: int,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_here(capsys, *options, "--", PYTHON, "-c", program)
    assert done.code == code, done.errors
    assert told in done.errors.splitlines()[-1]
    assert ("1 finding: session.no-cookie" in done.errors) == ("1 finding" in told)
    assert "session.no-cookie: 1 time (manual 3.4)" not in done.errors
    assert ("--record FILE keeps what passed" in done.errors) == (code > 0 or "1 finding" in told)


def test_a_violation_has_one_moment_when_it_comes_and_in_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = run_here(capsys, "--check", "--", PYTHON, "-c", REFUSED)
    moments = re.findall(r"connection 1, (\S+) s:", done.errors)
    assert len(moments) == 2
    assert len(set(moments)) == 1


def test_a_recorded_message_that_was_never_sent_is_a_finding_where_all_are_required(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, code in ((["--check"], 0), (["--check", "--require-all"], Exit.DIFFERENT)):
        done = run_here(capsys, recording, *options, "--", PYTHON, "-c", "")
        assert done.code == code, done.errors
        assert ("message.untaken" in done.errors) == bool(code)


@pytest.mark.parametrize(
    ("then", "code"), [("os._exit(0)", 0), ("if os.fork(): os._exit(0)", Exit.DIFFERENT)]
)
def test_a_socket_that_ends_with_its_program_is_not_left_open_but_one_that_lives_on_is(
    then: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    program = f"""
import os, urllib.request, urllib.parse
from websockets.sync.client import connect
form = {{"email": os.environ["TRACK_EMAIL"], "password": os.environ["TRACK_PASSWORD"]}}
form = urllib.parse.urlencode(form).encode()
login = urllib.request.urlopen(os.environ["TRACK_URL"] + "/api/session", form)
cookie = {{"Cookie": login.headers["Set-Cookie"].partition(";")[0]}}
socket = connect(os.environ["TRACK_WS_URL"], additional_headers=cookie, proxy=None).socket
{then}
while socket.recv(4096):
    pass
os._exit(0)
"""
    done = run_here(capsys, "--check", "--", PYTHON, "-c", program)
    assert done.code == code, done.errors
    assert ("socket.left-open" in done.errors) == bool(code)


async def test_what_a_program_left_is_waited_for_until_its_sockets_have_ended() -> None:
    async with served_here(None) as here, trio.open_nursery() as nursery:
        client = await here.socket()

        async def hang_up() -> None:
            await trio.testing.wait_all_tasks_blocked()
            await client.stream.aclose()

        await here.served.server.control.expect(Expectation.of("socket"))
        (left,) = here.served.server.hub.sockets
        nursery.start_soon(hang_up)
        await settled(here.served.server)
        assert left.is_done


async def test_a_request_that_a_program_left_unread_is_judged_too() -> None:
    async with served_here(None) as here:
        address = here.served.address
        for count in range(1, 4):
            with socket.create_connection((address.host, address.port)) as client:
                client.sendall(b"GET /api/devices HTTP/1.1\r\nHost: x\r\n\r\n")
            await settled(here.served.server)
            assert here.served.server.violations.counts["session.no-cookie"] == count


def test_a_junit_report_has_a_case_for_the_program_and_for_each_thing_to_find(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.xml"
    path.write_text("an older one")
    options = ["--junit-xml", path, "--allow", "pong.*"]
    done = run_here(capsys, *options, "--", PYTHON, "-c", f"{REFUSED}raise SystemExit(3)  # s3cret")
    assert done.code == 3, done.errors
    found = cases(path)
    assert list(found) == [PYTHON, *BESIDES, *RULES]
    assert found.pop(PYTHON) == "failure"
    assert found.pop("session.no-cookie") == "failure"
    assert found.pop("message.untaken") == "skipped"
    allowed = {name for name in RULES if name.startswith("pong.")}
    assert {name for name, outcome in found.items() if outcome == "skipped"} == allowed
    assert set(found.values()) == {"passed", "skipped"}
    text = path.read_text()
    assert 'message="ended with 3"' in text
    assert "s3cret" not in text
    assert [one.name for one in tmp_path.iterdir()] == ["report.xml"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--allow pong.missing", "--allow needs --check or --junit-xml"),
        ("x.track.jsonl --require-all", "--require-all needs --check or --junit-xml"),
        ("--check --require-all", "--require-all needs a recording"),
        ("--check --allow pong.mising", "there is no finding 'pong.mising'"),
        ("--junit-xml -", "stdout is CMD's; name a file"),
    ],
)
def test_options_of_checks_that_would_do_nothing_are_64(
    line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_here(capsys, *line.split(), "--", PYTHON, "-c", "")
    assert done.code == Exit.USAGE
    assert told in " ".join(done.errors.split())


def test_a_report_that_cannot_be_written_is_73_before_the_program_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = f"open({str(tmp_path / 'ran')!r}, 'w')"
    for path in (tmp_path, tmp_path / "missing" / "report.xml", Path("/proc/report.xml")):
        done = run_here(capsys, "--junit-xml", path, "--", PYTHON, "-c", ran)
        assert done.code == Exit.EXISTS
        assert len(done.errors.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_cannot_be_written_any_more_is_told_behind_the_findings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "folder" / "report.xml"
    path.parent.mkdir()
    program = f"import os; os.rmdir({str(path.parent)!r})\n{REFUSED}"
    done = run_here(capsys, "--check", "--junit-xml", path, "--", PYTHON, "-c", program)
    assert done.code == Exit.EXISTS
    assert "1 finding: session.no-cookie" in done.errors
    assert "report.xml cannot be made" in done.errors.splitlines()[-1]


FRAMES = "GET /api/devices -> 401 Unauthorized"


@pytest.mark.parametrize(
    ("program", "is_told"),
    [("", False), (REFUSED, True), (REFUSED + "raise SystemExit(3)", True)],
)
def test_the_last_frames_are_told_and_reported_where_something_failed_and_was_recorded(
    program: str, is_told: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.xml"
    options = ["--junit-xml", path, "--record", tmp_path / "new.track.jsonl"]
    done = run_here(capsys, *options, "--", PYTHON, "-c", program)
    assert (FRAMES in done.errors) == is_told
    failures = [said.text or "" for said in ElementTree.parse(path).iter("failure")]
    assert bool(failures) == is_told
    assert all(FRAMES in said for said in failures)


def test_several_parts_are_played_as_one(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_here(capsys, recording, recording.with_name("missing"), "--", PYTHON, "-c", "")
    assert done.code == Exit.NO_INPUT
    assert "missing" in done.errors


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
