"""`track-recorder capture` as a process: exit codes, signals, terminals, credentials, disks."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import resource
import signal
import ssl
import subprocess
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
import trio
import trio.testing
import trustme
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.commands.capture import capture_command
from recorder.errors import RecorderError
from recorder.exits import Exit
from recorder.recording import Reader
from tests.processes import clean_environment
from tests.profiles import examples
from tests.programs import BIN
from tests.recorder.scripted import (
    COOKIE,
    EMAIL,
    PASSWORD,
    SET_COOKIE,
    Peer,
    Script,
    answer,
    assert_no_secret,
    close,
    ping,
    pong,
    read,
    saying,
    scripted,
    spellings,
    text,
)

PROGRAM = str(BIN / "track-recorder")
DEVICES = b'{"devices":[{"id":1}]}'
ACCOUNT = {"TRACK_EMAIL": EMAIL, "TRACK_PASSWORD": PASSWORD}


class Ran(NamedTuple):
    code: int
    out: str
    err: str


async def run(
    folder: Path,
    *arguments: object,
    environment: dict[str, str] = ACCOUNT,
    during: Callable[[trio.Process], object] | None = None,
    **options: object,
) -> Ran:
    """Run the command in ``folder`` without a terminal; ``during`` is given the process."""
    # Files, since nobody has to read them while the process runs.
    with (
        (folder / "stdout").open("w+") as out,
        (folder / "stderr").open("w+") as err,
    ):
        process = await trio.lowlevel.open_process(
            [PROGRAM, "capture", *map(str, arguments)],
            cwd=folder,
            env=clean_environment(**environment),
            stdout=out,
            stderr=err,
            **{"stdin": subprocess.DEVNULL, **options},
        )
        try:
            if during is not None:
                during(process)
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                with trio.CancelScope(shield=True):
                    await process.wait()
        out.seek(0)
        err.seek(0)
        return Ran(code, out.read(), err.read())


def assert_is_error(ran: Ran, code: Exit, *words: str) -> None:
    """One line on stderr that says what is wrong, and no traceback."""
    assert ran.code == code, ran.err
    assert "Traceback" not in ran.err
    line = next(line for line in ran.err.splitlines() if "rror: " in line)
    for word in words:
        assert word in line
    assert_no_secret(ran.out + ran.err)


async def lively(peer: Peer, head: bytes) -> None:
    """Two messages and a PING, then the end."""
    await peer.accept(head, behind=text(b'{"webSessionTimeout":[86400]}') + text(DEVICES))
    await peer.send(text(ping(1)))
    assert await peer.read_text() == pong(1)
    await peer.close_in_order()


# In order


async def test_a_capture_ends_with_0_and_a_summary(tmp_path: Path) -> None:
    async with scripted(lively) as server:
        ran = await run(tmp_path, "--url", server.url, "-o", "a.track.jsonl")
    assert ran.code == Exit.OK, ran.err
    entries = read(tmp_path / "a.track.jsonl")
    assert entries[-1].redaction["password"] == 1
    found = re.fullmatch(
        r"a\.track\.jsonl: (\d+) entries\nserver messages: (.*)\nPINGs answered: 1 of 1\n", ran.out
    )
    assert found is not None, ran.out
    assert set(found[2].split(", ")) == {"webSessionTimeout 1", "devices 1", "PING 1"}
    # The `end` may be counted or not.
    assert len(entries) - 1 <= int(found[1]) <= len(entries)
    assert "closed by the server: done" in ran.err
    assert "\x1b" not in ran.out + ran.err
    with Reader(tmp_path / "a.track.jsonl") as reader:
        header = reader.header
    assert (header.mode, header.fidelity, header.timing) == ("capture", "wire", "measured")
    assert header.upstream == server.url
    assert header.redaction.profile == "secrets"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", header.started_at)
    assert header.tool.startswith("tracktape ")


async def test_options_reach_the_capture(tmp_path: Path) -> None:
    """Snapshots, a number of messages, no redaction, compression, in one go."""

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(ping(1)))
        await peer.read_text()
        await peer.send(text(DEVICES))
        assert (await peer.read_frame()).close_code == 1000
        await peer.send(close(1000))
        await peer.read_to_end()

    rest = {f"/api/{name}": saying(answer("200 OK", body=b"[]")) for name in ("devices", "beacons")}
    async with scripted(script, rest=rest) as server:
        ran = await run(
            tmp_path,
            *("--url", f"{server.url}/api/socket", "-o", "a.track.jsonl.zst"),
            *("--rest", "devices,beacons", "--redact", "none", "--messages", "1"),
        )
    assert ran.code == Exit.OK, ran.err
    assert "messages reached" in ran.err
    path = tmp_path / "a.track.jsonl.zst"
    assert path.read_bytes()[:4] == b"\x28\xb5\x2f\xfd"
    entries = read(path)
    targets = [entry.target for entry in entries if entry.kind == "request"]
    assert targets == ["/api/session", "/api/devices", "/api/beacons", "/api/socket"]
    # Not redacted, as it was asked for.
    assert entries[2].data == server.requests[0][1]


async def test_the_duration_option_stops_it(tmp_path: Path) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        assert (await peer.read_frame()).close_code == 1000
        await peer.send(close(1000))
        await peer.read_to_end()

    async with scripted(script) as server:
        ran = await run(tmp_path, "--url", server.url, "-o", "a", "--duration", "0.2s")
    assert ran.code == Exit.OK, ran.err
    assert "duration reached" in ran.err
    read(tmp_path / "a")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_recording_in_order(tmp_path: Path, number: signal.Signals) -> None:
    processes: list[trio.Process] = []

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(DEVICES) + text(ping(1)))
        await peer.read_text()
        processes[0].send_signal(number)
        assert (await peer.read_frame()).close_code == 1000
        await peer.send(text(DEVICES) + close(1000))
        await peer.read_to_end()

    async with scripted(script) as server:
        ran = await run(tmp_path, "--url", server.url, "-o", "a", during=processes.append)
    assert ran.code == Exit.OK, ran.err
    assert "told to stop" in ran.err
    assert "devices 2" in ran.out
    entries = read(tmp_path / "a")
    assert [entry.kind for entry in entries[-2:]] == ["closed", "end"]


async def test_a_signal_during_the_login_ends_it_in_order(tmp_path: Path) -> None:
    processes: list[trio.Process] = []

    async def login(peer: Peer, head: bytes) -> None:
        processes[0].send_signal(signal.SIGTERM)
        await peer.read_to_end()

    async with scripted(login=login) as server:
        ran = await run(tmp_path, "--url", server.url, "-o", "a", during=processes.append)
    assert ran.code == Exit.OK, ran.err
    read(tmp_path / "a")


# Exit codes


async def lost(peer: Peer, head: bytes) -> None:
    await peer.accept(head, behind=text(DEVICES))
    await peer.send(close(1001, "Idle timeout expired: 30000/30000 ms"))
    await peer.read_to_end()


FAILURES: dict[str, tuple[Script, Script | None, Exit, tuple[str, ...]]] = {
    "lost": (lost, None, Exit.CONNECTION_LOST, ("1001", "Idle timeout expired")),
    "handshake refused": (
        saying(answer("503 Service Unavailable", body=b"<html>503</html>")),
        None,
        Exit.HANDSHAKE_REFUSED,
        ("503 Service Unavailable",),
    ),
    "login refused": (
        lively,
        saying(answer("401 Unauthorized", body=f"no {EMAIL} {PASSWORD}".encode())),
        Exit.LOGIN_REFUSED,
        ("401 Unauthorized", "/api/session"),
    ),
}


@pytest.mark.parametrize(("socket", "login", "code", "words"), FAILURES.values(), ids=FAILURES)
async def test_a_failure_has_its_code_its_line_and_a_complete_recording(
    tmp_path: Path, socket: Script, login: Script | None, code: Exit, words: tuple[str, ...]
) -> None:
    logins = {} if login is None else {"login": login}
    async with scripted(socket, **logins) as server:
        ran = await run(tmp_path, "--url", server.url, "-o", "a", "--no-reconnect")
    assert_is_error(ran, code, *words)
    statuses = [entry.status for entry in read(tmp_path / "a") if entry.kind == "response"]
    assert statuses[-1] == {75: 101, 76: 503, 77: 401}[code]
    assert ran.out.startswith("a: ")


async def test_nothing_listens_is_69(tmp_path: Path) -> None:
    async with scripted() as server:
        pass
    ran = await run(tmp_path, "--url", server.url, "-o", "a")
    assert_is_error(ran, Exit.UNREACHABLE, server.url)


async def test_an_output_that_exists_is_73_and_left_alone_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("precious\n")
    async with scripted(lively) as server:
        ran = await run(tmp_path, "--url", server.url, "-o", "a")
        assert_is_error(ran, Exit.EXISTS, "--force")
        assert (tmp_path / "a").read_text() == "precious\n"
        # Nobody was bothered.
        assert server.requests == []
        ran = await run(tmp_path, "--url", server.url, "-o", "a", "--force")
    assert ran.code == Exit.OK, ran.err
    read(tmp_path / "a")


async def test_a_full_disk_is_74_and_what_was_written_is_intact(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    async def script(peer: Peer, head: bytes) -> None:
        with suppress(trio.BrokenResourceError):
            await peer.accept(head, behind=text(DEVICES))
            # So that something was flushed before it is full.
            while b'"frame"' not in (tmp_path / "a").read_bytes():
                await trio.testing.wait_all_tasks_blocked(0.02)
            for _ in range(200):
                await peer.send(text(b'{"devices":[%s]}' % (b"1," * 200 + b"1")))
        await peer.read_to_end()

    async with scripted(script) as server:
        ran = await run(tmp_path, "--url", server.url, "-o", "a", preexec_fn=limit)
    assert_is_error(ran, Exit.DISK_FAILED, "a: writing failed", "are on the disk")
    with Reader(tmp_path / "a") as reader:
        entries = list(reader)
        assert not reader.complete
    said = re.search(r"first (\d+) entries are on the disk, (\d+) more", ran.err)
    assert said is not None
    assert 5 < int(said[1]) + int(said[2]) <= len(entries)
    claimed = re.match(r"a: (\d+) entries", ran.out)
    assert claimed is None or int(claimed[1]) <= len(entries)


async def test_a_user_file_that_cannot_be_read_is_66(tmp_path: Path) -> None:
    ran = await run(
        tmp_path,
        *("--url", "http://127.0.0.1:9", "-o", "a", "--user-file", "userdata"),
        environment={},
    )
    assert_is_error(ran, Exit.NO_INPUT, "userdata")
    assert not (tmp_path / "a").exists()


# Long captures


async def test_a_lost_socket_is_opened_again_and_the_gap_told(tmp_path: Path) -> None:
    ends = iter([lost, lively])

    async def script(peer: Peer, head: bytes) -> None:
        await next(ends)(peer, head)

    async with scripted(script) as server:
        ran = await run(tmp_path, "--url", server.url, "-o", "a")
    assert ran.code == Exit.OK, ran.err
    assert re.search(r"^gaps: 1, \d\.\d s together$", ran.out, re.MULTILINE)
    assert "PINGs answered: 1 of 1" in ran.out
    assert "lost: the server closed it with 1001 Idle timeout" in ran.err
    assert re.search(r"; gap of \d\.\d s, 1 attempt$", ran.err, re.MULTILINE)
    statuses = [entry.status for entry in read(tmp_path / "a") if entry.kind == "response"]
    assert statuses == [200, 101, 101]


async def test_the_longest_gap_is_taken_from_the_command_line(tmp_path: Path) -> None:
    answers = iter([lost])

    async def script(peer: Peer, head: bytes) -> None:
        await next(answers, saying(answer("502 Bad Gateway")))(peer, head)

    async with scripted(script) as server:
        ran = await run(tmp_path, "--url", server.url, "-o", "a", "--max-gap", "0.3s")
    assert_is_error(ran, Exit.CONNECTION_LOST, "no socket for 0.3 s", "502 Bad Gateway")
    read(tmp_path / "a")


async def test_an_old_recording_stays_until_there_is_one_in_its_place(tmp_path: Path) -> None:
    async with scripted(lively) as server:
        await run(tmp_path, "--url", server.url, "-o", "a.track.jsonl")
    old = (tmp_path / "a.track.jsonl").read_bytes()
    async with scripted(lively, login=saying(answer("401 Unauthorized"))) as server:
        ran = await run(tmp_path, "--url", server.url, "-o", "a.track.jsonl", "--force")
    assert_is_error(ran, Exit.LOGIN_REFUSED, "401")
    assert (tmp_path / "a.track.jsonl").read_bytes() == old
    assert "a.track.jsonl was left as it was" in ran.out

    async def looking(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(ping(1)))
        # It is open, so the new one stands there from now on.
        await peer.read_text()
        assert (tmp_path / "a.track.jsonl").read_bytes() != old
        await peer.close_in_order()

    async with scripted(looking) as server:
        ran = await run(tmp_path, "--url", server.url, "-o", "a.track.jsonl", "--force")
    assert ran.code == Exit.OK, ran.err
    read(tmp_path / "a.track.jsonl")


async def test_a_resumed_recording_uses_no_number_twice(tmp_path: Path) -> None:
    async with scripted(lively) as server:
        for more in ((), ("--resume",)):
            ran = await run(tmp_path, *("--url", server.url, "-o", "a", "--duration", "9", *more))
            assert ran.code == Exit.OK, ran.err
    entries = read(tmp_path / "a")
    opened = [entry.connection for entry in entries if entry.kind == "open"]
    assert opened == [1, 2, 3, 4]
    exchanges = [entry.exchange for entry in entries if entry.kind == "request"]
    assert exchanges == [1, 2, 3, 4]


# Machines


async def test_json_is_all_that_stdout_holds(tmp_path: Path) -> None:
    async with scripted(lively) as server:
        ran = await run(tmp_path, "--url", server.url, "-o", "a", "--json")
    assert ran.code == Exit.OK
    assert ran.err == ""
    start, end = [json.loads(line) for line in ran.out.splitlines()]
    assert (start["type"], start["upstream"]) == ("start", server.url)
    assert (end["type"], end["exit_code"], end["reason"]) == (
        "end",
        0,
        "closed by the server: done",
    )
    assert (end["pings"], end["pongs"], end["gaps"]) == (1, 1, 0)
    assert end["kinds"] == {"webSessionTimeout": 1, "devices": 1, "PING": 1}


async def test_a_failure_is_the_end_in_json_and_the_line_on_stderr(tmp_path: Path) -> None:
    async with scripted(login=saying(answer("401 Unauthorized"))) as server:
        ran = await run(tmp_path, "--url", server.url, "-o", "a", "--json")
    assert_is_error(ran, Exit.LOGIN_REFUSED, "401 Unauthorized")
    end = json.loads(ran.out.splitlines()[-1])
    assert (end["exit_code"], "401 Unauthorized" in end["reason"]) == (77, True)


async def test_whoever_reads_the_json_may_go(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    async with scripted(lively) as server:
        process = await trio.lowlevel.open_process(
            [PROGRAM, "capture", "--url", server.url, "-o", "a", "--json"],
            cwd=tmp_path,
            env=clean_environment(**ACCOUNT),
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        assert await process.wait() == Exit.OK
    assert [entry.kind for entry in read(tmp_path / "a")][-1] == "end"


async def test_quiet_is_quiet(tmp_path: Path) -> None:
    async with scripted(lively) as server:
        ran = await run(tmp_path, "--url", server.url, "-o", "a", "--quiet")
    assert ran == (Exit.OK, "", "")


async def test_lines_on_stdin_become_notes_where_it_is_asked_for(tmp_path: Path) -> None:
    reading, writing = os.pipe()

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(DEVICES) + text(ping(1)))
        await peer.read_text()
        os.write(writing, f"the gate opens for {EMAIL}\n".encode())
        while b"the gate opens" not in (tmp_path / "a").read_bytes():
            await trio.testing.wait_all_tasks_blocked(0.02)
        await peer.close_in_order()

    async with scripted(script) as server:
        ran = await run(
            tmp_path, *("--url", server.url, "-o", "a", "--notes-from", "-"), stdin=reading
        )
    os.close(reading)
    os.close(writing)
    assert ran.code == Exit.OK, ran.err
    assert "noted: the gate opens for [redacted" in ran.err
    assert_no_secret(ran.err + (tmp_path / "a").read_text())


async def test_sigusr1_without_a_flight_recorder_harms_nobody(tmp_path: Path) -> None:
    processes: list[trio.Process] = []

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(ping(1)))
        await peer.read_text()
        processes[0].send_signal(signal.SIGUSR1)
        while "--keep-last" not in (tmp_path / "stderr").read_text():
            await trio.testing.wait_all_tasks_blocked(0.02)
        await peer.close_in_order()

    async with scripted(script) as server:
        ran = await run(tmp_path, "--url", server.url, "-o", "a", during=processes.append)
    assert ran.code == Exit.OK, ran.err


async def test_sigusr1_saves_what_a_flight_recorder_keeps(tmp_path: Path) -> None:
    processes: list[trio.Process] = []

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(ping(1)))
        await peer.read_text()
        processes[0].send_signal(signal.SIGUSR1)
        while "saved the last" not in (tmp_path / "stderr").read_text():
            await trio.testing.wait_all_tasks_blocked(0.02)
        await peer.close_in_order()

    async with scripted(script) as server:
        ran = await run(
            tmp_path,
            *("--url", server.url, "-o", "a.track.jsonl", "--keep-last", "60s"),
            during=processes.append,
        )
    assert ran.code == Exit.OK, ran.err
    # What was asked for, and the last minutes at the end.
    saved = re.findall(r"a-.*?\.track\.jsonl", ran.out)
    assert len(set(saved)) == 2, ran.out
    assert [read(tmp_path / name)[-1].kind for name in saved] == ["end", "end"]


# Input and usage, in this process


def test_wrong_inputs_are_told_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text(f"EMAIL={EMAIL}\nPASSWRD='{PASSWORD}'\n")
    (tmp_path / "right").write_text(f"EMAIL={EMAIL}\nPASSWORD='{PASSWORD}'\n")
    output = tmp_path / "a"

    def error_of(*arguments: object) -> RecorderError:
        error = (
            CliRunner()
            .invoke(
                capture_command,
                ["--url", "http://127.0.0.1:9", "-o", str(output), *map(str, arguments)],
            )
            .exception
        )
        assert isinstance(error, RecorderError)
        assert_no_secret(str(error))
        assert not output.exists()
        return error

    error = error_of("--user-file", tmp_path / "wrong")
    assert error.exit_code == Exit.BAD_DATA
    assert "wrong:2" in str(error)
    for name in ("right", "missing.pem"):
        error = error_of("--user-file", tmp_path / "right", "--ca-file", tmp_path / name)
        assert error.exit_code == Exit.NO_INPUT
        assert name in str(error)
    output = tmp_path / "missing" / "a"
    assert error_of("--user-file", tmp_path / "right").exit_code == Exit.EXISTS


def invoke(*arguments: str) -> tuple[int, str]:
    """The code, and all that was shown, of a command line that is wrong."""
    result = CliRunner().invoke(capture_command, list(arguments), env={"TRACK_EMAIL": None})
    return result.exit_code, result.output


GOOD = ("--url", "http://127.0.0.1:9", "-o", "/nonexistent/a")


@pytest.mark.parametrize(
    "wrong",
    [
        ("-o", "a"),
        ("--url", "http://x"),
        (*GOOD, "--rest", "devices,cars"),
        (*GOOD, "--messages", "0"),
        (*GOOD, "--redact", "some"),
        (*GOOD, "--duration", "1d"),
        (*GOOD, "--json", "--quiet"),
        (*GOOD, "--notes-from", "/dev/null"),
        (*GOOD, "--no-reconnect", "--max-gap", "5m"),
        ("-o", "a", "--url", "ftp://x"),
        ("-o", "a", "--url", "http://x:99999"),
        ("-o", "a", "--url", "http://x/?a=b"),
        GOOD,
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_a_usage_error(wrong: tuple[str, ...]) -> None:
    code, shown = invoke(*wrong)
    assert code == 2
    assert "Error: " in shown


async def test_a_usage_error_is_64_and_a_password_given_there_is_not_shown(tmp_path: Path) -> None:
    for option in (["--password", PASSWORD], [f"--password={PASSWORD}"], [f"-p{PASSWORD}"]):
        code, shown = invoke(*GOOD, *option)
        assert code == 2
        assert "No such option" in shown
        assert_no_secret(shown)
    url = f"http://{EMAIL.replace('@', '%40')}:s3cret-word@127.0.0.1:9"
    code, shown = invoke("-o", "a", "--url", url)
    assert code == 2
    assert "s3cret-word" not in shown
    assert_no_secret(shown)
    ran = await run(tmp_path, *("--url", "http://127.0.0.1:9", "-o", "a", "--password", PASSWORD))
    assert_is_error(ran, Exit.USAGE, "--password")
    assert not (tmp_path / "a").exists()


@settings(max_examples=examples(50))
@given(
    st.one_of(
        st.sampled_from(["", "s", "0", "-1", "nan", "inf", "infs", "1e999", "1d", "1 m 2", "--"]),
        st.text(max_size=6).filter(lambda one: not re.search(r"\d", one)),
    )
)
def test_what_is_no_duration_is_refused(duration: str) -> None:
    code, shown = invoke(*GOOD, f"--duration={duration}")
    assert code == 2, shown
    assert "duration" in shown


@pytest.mark.parametrize("duration", ["90", "30s", "10m", "24h", "0.5", " 3 m", "1e3s"])
def test_a_duration_is_seconds_or_has_a_unit(duration: str) -> None:
    # Refused for its missing credentials, so not for its duration.
    code, shown = invoke(*GOOD, f"--duration={duration}")
    assert code == 2
    assert "no credentials" in shown


# Credentials


async def test_credentials_come_from_the_user_file_before_the_environment(tmp_path: Path) -> None:
    (tmp_path / "userdata").write_text(
        f"# mine\nexport EMAIL={EMAIL}\nPASSWORD='{PASSWORD}'\nEMAIL=b@c.de\nPASSWORD=x\n"
    )
    async with scripted(lively) as server:
        ran = await run(
            tmp_path,
            *("--url", server.url, "-o", "a", "--user-file", "userdata"),
            environment={"TRACK_EMAIL": "other@example.org", "TRACK_PASSWORD": "another"},
        )
    assert ran.code == Exit.OK, ran.err
    assert server.requests[0][1].startswith(b"email=kim.tester%2Btrack%40example.org&")
    assert "2 accounts; the first is used" in ran.err


async def test_without_credentials_and_terminal_it_says_how_to_give_them(tmp_path: Path) -> None:
    ran = await run(tmp_path, *GOOD, environment={"TRACK_EMAIL": EMAIL})
    assert_is_error(ran, Exit.USAGE, "--user-file", "TRACK_PASSWORD")


class Terminal:
    """The other end of a pseudo-terminal in which the command runs."""

    def __init__(self, process: trio.Process, master: int) -> None:
        self.process = process
        self.shown = b""
        self.master = master
        self._stream = trio.lowlevel.FdStream(master)

    async def wait_for(self, words: bytes) -> None:
        while words not in self.shown:
            assert await self._more(), self.shown

    async def type(self, line: str) -> None:
        await self.send(line.encode() + b"\n")

    async def send(self, keys: bytes) -> None:
        await self._stream.send_all(keys)

    async def read_to_end(self) -> int:
        while await self._more():
            pass
        return await self.process.wait()

    async def _more(self) -> bool:
        # The kernel says EIO once nobody has the terminal open any more.
        try:
            data = await self._stream.receive_some()
        except trio.BrokenResourceError:
            return False
        self.shown += data
        return bool(data)

    async def aclose(self) -> None:
        await self._stream.aclose()


@asynccontextmanager
async def terminal(
    folder: Path, *arguments: object, environment: dict[str, str]
) -> AsyncIterator[Terminal]:
    master, slave = pty.openpty()

    def take_it() -> None:
        # getpass asks at /dev/tty, the terminal that controls the session.
        fcntl.ioctl(0, termios.TIOCSCTTY)

    process = await trio.lowlevel.open_process(
        [PROGRAM, "capture", *map(str, arguments)],
        cwd=folder,
        env=clean_environment(TERM="xterm", COLUMNS="120", **environment),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=take_it,
    )
    os.close(slave)
    one = Terminal(process, master)
    try:
        yield one
    finally:
        if process.returncode is None:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
        await one.aclose()


async def test_at_a_terminal_it_asks_and_does_not_echo_the_password(tmp_path: Path) -> None:
    async with (
        scripted(lively) as server,
        terminal(tmp_path, "--url", server.url, "-o", "a", environment={}) as screen,
    ):
        await screen.wait_for(b"Email: ")
        await screen.type(EMAIL)
        # The space is getpass's own: it stands there when the echo is off.
        await screen.wait_for(b"Password: ")
        await screen.type(PASSWORD)
        assert await screen.read_to_end() == Exit.OK, screen.shown
    assert server.requests[0][1].endswith(b"password=c0rrect+%22horse%22+%26+b%C3%A4ttery%2F9")
    for spelling in spellings(PASSWORD):
        assert spelling not in screen.shown.decode()
    # As it was typed, and never again.
    assert screen.shown.count(EMAIL.encode()) == 1
    assert b"closed by the server" in screen.shown
    read(tmp_path / "a")


async def test_at_a_terminal_a_status_line_shows_what_happens(tmp_path: Path) -> None:
    seen = trio.Event()

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(DEVICES) + text(ping(1)))
        await peer.read_text()
        await seen.wait()
        await peer.close_in_order()

    async with (
        scripted(script) as server,
        terminal(tmp_path, "--url", server.url, "-o", "a", environment=ACCOUNT) as screen,
    ):
        await screen.wait_for(b"last PING answered")
        await screen.wait_for(b"devices 1")
        assert b"\x1b[" in screen.shown
        seen.set()
        assert await screen.read_to_end() == Exit.OK
    # The line is wiped, the cursor shown again, and the summary stands.
    assert screen.shown.rindex(b"\x1b[?25h") > screen.shown.rindex(b"last PING")
    assert b"PINGs answered: 1 of 1" in screen.shown
    assert_no_secret(screen.shown.decode())


async def test_what_is_typed_at_a_terminal_becomes_a_note_and_is_not_garbled(
    tmp_path: Path,
) -> None:
    seen = trio.Event()

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(DEVICES) + text(ping(1)))
        await peer.read_text()
        await seen.wait()
        await peer.close_in_order()

    async with (
        scripted(script) as server,
        terminal(tmp_path, "--url", server.url, "-o", "a", environment=ACCOUNT) as screen,
    ):
        await screen.wait_for(b"type a note")
        await screen.send(b"the gate opems\x7f\x7fns")
        await screen.wait_for(b"> the gate opens")
        await screen.send(b"\r")
        await screen.wait_for(b"noted: the gate opens")
        seen.set()
        assert await screen.read_to_end() == Exit.OK
    (note,) = [entry for entry in read(tmp_path / "a") if entry.kind == "note"]
    assert note.text == "the gate opens"
    # When it was begun, and when it was finished.
    assert note.first_ns < note.offset_ns


async def test_a_terminal_that_is_stopped_holds_up_no_pong(tmp_path: Path) -> None:
    stopped = trio.Event()

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(DEVICES) + text(ping(1)))
        await peer.read_text()
        await stopped.wait()
        for number in range(2, 9):
            # Time for the status line to be drawn, which nobody takes.
            await trio.testing.wait_all_tasks_blocked(0.1)
            await peer.send(text(ping(number)) + text(DEVICES) * 50)
            assert await peer.read_text() == pong(number)
        await peer.close_in_order()
        await screen.send(b"\x11")

    async with (
        scripted(script) as server,
        terminal(tmp_path, "--url", server.url, "-o", "a", environment=ACCOUNT) as screen,
    ):
        await screen.wait_for(b"type a note")
        # Ctrl-S, and above Ctrl-Q.
        await screen.send(b"\x13")
        stopped.set()
        assert await screen.read_to_end() == Exit.OK
    assert read(tmp_path / "a")[-1].kind == "end"


async def test_the_terminal_is_as_it_was_when_the_capture_is_over(tmp_path: Path) -> None:
    modes: list[list[object]] = []
    async with (
        scripted(lively) as server,
        terminal(tmp_path, "--url", server.url, "-o", "a", environment=ACCOUNT) as screen,
    ):
        modes.append(termios.tcgetattr(screen.master))
        assert await screen.read_to_end() == Exit.OK
        modes.append(termios.tcgetattr(screen.master))
    assert modes[0] == modes[1]


async def test_ctrl_c_at_a_terminal_ends_the_recording_in_order(tmp_path: Path) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(DEVICES))
        assert (await peer.read_frame()).close_code == 1000
        await peer.send(close(1000))
        await peer.read_to_end()

    async with (
        scripted(script) as server,
        terminal(tmp_path, "--url", server.url, "-o", "a", environment=ACCOUNT) as screen,
    ):
        await screen.wait_for(b"devices 1")
        await screen.type("\x03")
        assert await screen.read_to_end() == Exit.OK
    assert b"told to stop" in screen.shown
    read(tmp_path / "a")


# TLS


async def test_a_ca_file_makes_a_private_authority_trusted(tmp_path: Path) -> None:
    authority = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_tls)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with scripted(lively, tls=server_tls) as server:
        ran = await run(tmp_path, "--url", server.url, "--ca-file", "ca.pem", "-o", "a")
    assert ran.code == Exit.OK, ran.err
    opened = [entry.tls for entry in read(tmp_path / "a") if entry.kind == "open"]
    assert opened == ["TLSv1.3", "TLSv1.3"]


# Secrets


@pytest.mark.parametrize("code", [1000, 1008])
async def test_a_server_that_repeats_every_secret_everywhere(tmp_path: Path, code: int) -> None:
    told = f"{EMAIL} {COOKIE}"
    login = answer(
        f"200 {EMAIL}", SET_COOKIE, f"X-Echo: {told}", body=f'{{"email":"{EMAIL}"}}'.encode()
    )

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(f'{{"events":[{{"a":"{told}"}}]}}'.encode()))
        await peer.send(close(code, told))
        await peer.read_to_end()

    rest = {"/api/devices": saying(answer(f"200 {told}", body=told.encode()))}
    async with scripted(script, login=saying(login), rest=rest) as server:
        ran = await run(
            tmp_path, *("--url", server.url, "-o", "a", "--rest", "devices", "--no-reconnect")
        )
    assert ran.code == (Exit.OK if code == 1000 else Exit.CONNECTION_LOST)
    read(tmp_path / "a")
    assert_no_secret((tmp_path / "a").read_text())
    assert_no_secret(ran.out + ran.err)
