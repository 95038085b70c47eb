"""`track-recorder check` as people and machines see it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result

from recorder.commands.check import check_command
from recorder.doctor import CheckOptions
from recorder.errors import OutputExists, RulesError
from recorder.exits import Exit
from recorder.model import Note
from tests.processes import clean_environment, fake_server
from tests.recorder.scripted import read

ACCOUNT = {"TRACK_EMAIL": "demo@example.com", "TRACK_PASSWORD": "demo"}
NONE = {"TRACK_EMAIL": "", "TRACK_PASSWORD": ""}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A fake with quick PINGs."""
    with fake_server("--ping-interval", "0.5") as address:
        yield address


def run(*arguments: object, account: dict[str, str] = ACCOUNT) -> Result:
    environment = {"COLUMNS": "80", **account}
    return CliRunner().invoke(check_command, [str(one) for one in arguments], env=environment)


def test_a_good_backend_ends_with_0(url: str) -> None:
    done = run("--url", url)
    assert done.exit_code == Exit.OK, done.output
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == f"ok    url     {url}, its socket ws{url[4:]}/api/socket"
    assert [line.split()[:2] for line in lines if not line.startswith(" ")][:-1] == [
        *(["ok", step] for step in ("url", "dns", "tcp")),
        ["skip", "tls:"],
        *(["ok", step] for step in ("http", "login", "cookie", "rest", "upgrade", "push")),
        *(["ok", step] for step in ("ping", "close")),
    ]
    assert lines[-1] == "nothing failed: 11 ok, 1 skipped"
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.output


def test_a_wrong_password_ends_with_the_code_of_the_login(url: str) -> None:
    done = run("--url", url, account={**ACCOUNT, "TRACK_PASSWORD": "not-the-password"})
    assert done.exit_code == Exit.LOGIN_REFUSED
    assert "FAIL  login   401 Unauthorized in" in done.stdout
    assert "skip  cookie to close: login failed" in done.stdout
    assert "failed: login (4 ok, 7 skipped; exit code 77)" in done.stdout
    assert "not-the-password" not in done.output


@pytest.mark.parametrize(
    ("url", "code"), [("http://127.0.0.1:1", Exit.UNREACHABLE), ("gopher://x", Exit.USAGE)]
)
def test_other_failures_have_their_codes(url: str, code: Exit) -> None:
    assert run("--url", url).exit_code == code


def test_json_is_one_object_with_every_step(url: str) -> None:
    done = run("--url", url, "--json", "--no-login")
    answer = json.loads(done.stdout)
    assert done.exit_code == answer["exit_code"] == 0
    assert len(answer["steps"]) == 12
    assert answer["steps"][5] == {
        "step": "login",
        "outcome": "skipped",
        "seen": ["there are no credentials to log in with"],
        "means": "",
        "do": "",
        "exit_code": 0,
    }
    assert done.stdout.count("\n") == 1


def test_without_credentials_and_terminal_it_says_so_and_goes_on(url: str) -> None:
    done = run("--url", url, account=NONE)
    assert done.exit_code == Exit.OK, done.output
    assert "no credentials (--user-file, or TRACK_EMAIL and TRACK_PASSWORD)" in done.stderr
    assert "skip  login, cookie: there are no credentials" in done.stdout
    assert run("--url", url, "--no-login", account=NONE).stderr == ""


def test_credentials_from_a_file(url: str, tmp_path: Path) -> None:
    file = tmp_path / "userdata"
    file.write_text("EMAIL=demo@example.com\nPASSWORD=another\n")
    # Those of the environment would do.
    assert run("--url", url, "--user-file", file).exit_code == Exit.LOGIN_REFUSED
    file.write_text("EMAIL=demo@example.com\n")
    assert isinstance(run("--url", url, "--user-file", file).exception, RulesError)


def test_the_time_is_limited(url: str) -> None:
    done = run("--url", url, "--limit", "0.2")
    assert "not done when the 0.2 s for all steps were over" in done.stdout
    assert done.exit_code == Exit.CONNECTION_LOST


def test_the_check_is_recorded_for_support(url: str, tmp_path: Path) -> None:
    path = tmp_path / "check.track.jsonl"
    done = run("--url", url, "-o", path)
    assert done.exit_code == Exit.OK, done.output
    entries = read(path)
    assert sum(isinstance(entry, Note) for entry in entries) == 12
    assert f"{path}: {len(entries) - 1} entries" in done.stderr
    assert "demo@example.com" not in path.read_text()
    assert isinstance(run("--url", url, "-o", path).exception, OutputExists)
    assert run("--url", url, "--no-login", "-o", path, "--force").exit_code == Exit.OK
    assert len(read(path)) < len(entries)


def test_the_waits_are_options(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[CheckOptions] = []

    async def check(url: str, account: object, options: CheckOptions, **_: object) -> None:
        given.append(options)
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr("recorder.commands.check.check", check)
    assert run("--url", "http://x").exit_code == Exit.OK
    assert run("--url", "http://x", "--wait", "2m", "--limit", "1h", "--insecure").exit_code == 0
    assert given == [CheckOptions(), CheckOptions(wait_s=120, total_s=3600, insecure=True)]


def test_also_a_check_that_reached_nothing_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "check.track.jsonl"
    assert run("--url", "http://127.0.0.1:1", "-o", path).exit_code == Exit.UNREACHABLE
    assert [entry.kind for entry in read(path)] == ["note"] * 12 + ["end"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--url", "http://x", "-o", "-"),
        ("--url", "gopher://x", "-o", "x"),
        ("--url", "http://x", "--wait", "0"),
        ("--url", "http://x", "--limit", "soon"),
        (),
    ],
)
def test_a_wrong_command_line(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_a_signal_ends_it_and_its_recording_in_order(tmp_path: Path) -> None:
    with fake_server("--ping-interval", "30") as url:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "--url", url, "-o", "check.track.jsonl"],
            cwd=tmp_path,
            env=clean_environment(**ACCOUNT),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        while not process.stdout.readline().startswith("ok    push"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == Exit.INTERRUPTED
    assert said == "check: interrupted\n"
    assert "note" in {entry.kind for entry in read(tmp_path / "check.track.jsonl")}


# TLS


def test_trust_is_an_option_and_insecure_is_said_loudly(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    with fake_server("--tls-self-signed", authority) as url:
        done = run("--url", url, "--no-login")
        assert done.exit_code == Exit.UNREACHABLE
        assert "FAIL  tls     the certificate is refused" in done.stdout
        done = run("--url", url, "--no-login", "--ca-file", authority)
        assert done.exit_code == Exit.OK, done.output
        assert "ok    tls     TLSv1.3" in done.stdout
        done = run("--url", url, "--no-login", "--insecure")
        assert done.exit_code == Exit.OK, done.output
        assert "warn  tls     the certificate is refused" in done.stdout
        (line,) = done.stderr.splitlines()
        assert line.partition(": ")[2].isupper()
        assert "CERTIFICATE" in line


def test_a_file_of_authorities_that_is_none(tmp_path: Path) -> None:
    done = run("--url", "https://x", "--ca-file", tmp_path / "none.pem")
    assert "no PEM file of certificate authorities" in str(done.exception)


# A terminal


PROGRAM = """
from recorder.commands.check import check_command
from recorder.console import run_command
run_command(check_command)
"""


def at_terminal(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run it with a terminal as its stdout; returns the exit code and what stood there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=clean_environment(**NONE, **environment, TERM="xterm", COLUMNS="80"),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
    except OSError:
        # That is how Linux tells that the other end is closed.
        pass
    os.close(ours)
    return process.wait(timeout=20), shown.decode()


def test_colours_are_for_a_terminal_that_wants_them() -> None:
    code, shown = at_terminal("--url", "http://127.0.0.1:1")
    assert code == Exit.UNREACHABLE
    assert "\x1b[32m\x1b[1mok\x1b[0m    url     http://127.0.0.1:1," in shown
    assert "\x1b[31m\x1b[1mFAIL\x1b[0m  tcp" in shown
    assert "\x1b[90m\x1b[1mskip\x1b[0m  tls to close: tcp failed" in shown
    assert "\x1b" not in at_terminal("--url", "http://127.0.0.1:1", NO_COLOR="1")[1]
