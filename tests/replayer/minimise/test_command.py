"""`track-replayer minimise`, mostly with a program in place of the fake server."""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from recorder.errors import OutputExists, RecorderError
from recorder.exits import Exit
from replayer.commands.minimise import minimise_command
from replayer.minimise.outcomes import WrongState
from replayer.minimise.trial import CannotTry
from tests.processes import clean_environment, run
from tests.replayer.minimise.support import entries_of, positions, program, socket_of, texts_of
from tests.replayer.traffic import write_parts, write_whole

BREAKS = """sh -c 'if grep -q rssi...null "$RECORDING"; then echo it breaks; exit 3; fi'"""
CLIENT = Path(__file__).with_name("client.py")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recording of 60 messages, the 41st of which breaks."""
    monkeypatch.setattr("replayer.minimise.session.fake_server_program", lambda: program(tmp_path))
    monkeypatch.chdir(tmp_path)
    write_whole(tmp_path / "rec.track.jsonl", socket_of(positions(60, culprits=[40])))
    return tmp_path


def minimise(*arguments: str, test: str = BREAKS) -> Result:
    """The command, in this process; an error of ours is raised."""
    words = ["rec.track.jsonl", "--test", test, "-o", "out.track.jsonl", *arguments]
    result = CliRunner().invoke(minimise_command, words, standalone_mode=False)
    if isinstance(result.exception, RecorderError):
        raise result.exception
    return result


def answer(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_what_breaks_it_is_left_and_said(folder: Path) -> None:
    result = minimise("--jobs", "1")
    assert result.return_value == Exit.OK
    first, second, third = result.stdout.splitlines()
    assert first.startswith("out.track.jsonl: 1 message of 60, 5 entries of 64, ")
    assert second == "minimal: exit code 3, and without any one part of it no more"
    assert third.partition(" in ")[0] == "20 runs"
    assert "  | it breaks" in result.stderr
    assert texts_of(folder / "out.track.jsonl") == [{"positions": [{"rssi": None}]}]
    assert sorted(path.name for path in folder.iterdir()) == [
        "out.track.jsonl",
        "program",
        "rec.track.jsonl",
    ]


def test_the_answer_as_json(folder: Path) -> None:
    found = answer(minimise("--json", "--jobs", "2"))
    assert found.pop("runs") >= 20, "some were begun that were not needed"
    assert found.pop("took_s") > 0
    assert found.pop("before")["messages"] == 60
    assert found.pop("after")["messages"] == 1
    assert found == {
        "output": "out.track.jsonl",
        "why": "minimal",
        "minimal": True,
        "exit_code": 3,
        "timed_out": False,
        "from_state": 0,
    }


def test_the_server_plays_as_fast_as_it_can_and_what_stands_behind_the_dashes_is_its(
    folder: Path,
) -> None:
    script = folder / "program"

    def words_of(*arguments: str) -> list[str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "replayer.minimise.session.fake_server_program",
                lambda: str(folder / "shows"),
            )
            (folder / "shows").write_text(f'#!/bin/sh\necho "$@" >>words\nexec {script} "$@"\n')
            (folder / "shows").chmod(0o755)
            minimise(*arguments, test="true")
        return (folder / "words").read_text().splitlines()[-1].split()[2:]

    program(folder)
    default = ["--speed", "max", "--at-end", "close", "--playback", "per-connection"]
    assert words_of()[:6] == default
    assert words_of("--speed", "3", "--", "--pings", "recorded")[:9] == [
        "--speed",
        "3",
        *default[2:],
        "--pings",
        "recorded",
        "--",
    ]


def test_a_command_that_does_not_fail_is_told(folder: Path) -> None:
    result = minimise(test="true")
    assert result.return_value == Exit.DIFFERENT
    assert "does not fail with the whole recording: exit code 0" in result.stdout
    assert not (folder / "out.track.jsonl").exists()


def test_a_command_that_needs_no_message_to_fail_is_told(folder: Path) -> None:
    result = minimise(test="false")
    assert result.return_value == Exit.DIFFERENT
    assert "fails with the handshakes alone" in result.stdout
    assert not (folder / "out.track.jsonl").exists()


def test_a_flaky_failure_is_told_and_what_is_left_is_written(folder: Path) -> None:
    """It breaks twenty times and then no more: the last run is to be sure."""
    count = 'echo x >>runs; test "$(wc -l <runs)" = 20 && exit 0; '
    result = minimise("--jobs", "1", test=f"sh -c {shlex.quote(count + shlex.split(BREAKS)[2])}")
    assert result.return_value == Exit.DIFFERENT
    assert "flaky: " in result.stdout
    assert texts_of(folder / "out.track.jsonl") == [{"positions": [{"rssi": None}]}]


def test_at_a_limit_what_is_left_is_written_and_the_same_command_goes_on(folder: Path) -> None:
    result = minimise("--max-runs", "6", "--jobs", "1", "--json")
    assert result.return_value == Exit.UNDECIDED
    found = answer(result)
    assert (found["runs"], found["why"], found["minimal"]) == (6, "run limit", False)
    assert 1 < len(texts_of(folder / "out.track.jsonl")) < 60
    again = answer(minimise("--jobs", "1", "--json"))
    assert (again["runs"], again["from_state"], again["why"]) == (14, 6, "minimal")
    assert texts_of(folder / "out.track.jsonl") == [{"positions": [{"rssi": None}]}]
    assert not (folder / "out.track.jsonl.minimise.jsonl").exists()


def test_a_state_that_was_named_stays(folder: Path) -> None:
    minimise("--state", "state")
    assert answer(minimise("--state", "state", "--force", "--json"))["runs"] == 1, "to be sure"
    with pytest.raises(WrongState, match="another --any-failure; remove it, or name another file"):
        minimise("--state", "state", "--force", "--any-failure")


def test_a_file_that_is_there_is_not_replaced(folder: Path) -> None:
    (folder / "out.track.jsonl").write_text("mine")
    with pytest.raises(OutputExists, match="--force"):
        minimise()
    minimise("--max-runs", "4", "--force")
    (folder / "out.track.jsonl").write_text("mine again")
    with pytest.raises(OutputExists, match="not what was minimised so far"):
        minimise()
    assert (folder / "out.track.jsonl").read_text() == "mine again"
    with pytest.raises(OutputExists, match="is what is minimised"):
        minimise("-o", "rec.track.jsonl", "--force")


def test_only_what_says_it_is_the_failure(folder: Path) -> None:
    """It fails with 3 in one way or another; only one of them is meant."""
    test = """sh -c 'if grep -q rssi...null "$RECORDING"; then echo one; exit 3; fi
    if ! grep -q 19,..rssi "$RECORDING"; then echo other; exit 3; fi'"""
    refused = minimise("--says", "on(e", test=test)
    assert "'on(e' is no regular expression: missing ), unterminated" in str(refused.exception)
    minimise("--says", "^o.e$", test=test)
    assert texts_of(folder / "out.track.jsonl") == [{"positions": [{"rssi": None}]}]


def test_a_time_that_is_up_can_be_the_failure(folder: Path) -> None:
    test = """sh -c 'if grep -q rssi...null "$RECORDING"; then exec sleep 60; fi'"""
    refused = minimise("--timeout-fails", test=test)
    assert "needs --timeout-s" in str(refused.exception)
    result = minimise("--timeout-fails", "--timeout-s", "0.3", "--max-runs", "5", test=test)
    assert "stopped at --max-runs: its time was up still" in result.stdout
    result = minimise("--timeout-s", "0.1", "--force", "--state", "other", test=test)
    assert "does not fail with the whole recording: its time was up" in result.stdout


def test_a_server_that_refuses_ends_it_with_its_words(folder: Path) -> None:
    with pytest.raises(CannotTry, match="it is refused"):
        minimise("--", "--refuse")
    assert sorted(path.name for path in folder.iterdir()) == ["program", "rec.track.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "test", "words"),
    [
        ((), "'", "--test.*cannot be split"),
        (("--", "--record", "x"), "true", "every run into the same file"),
        (("--jobs", "2", "--", "--tls-self-signed=ca.pem"), "true", "add --jobs 1"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_runs(
    arguments: tuple[str, ...], test: str, words: str, folder: Path
) -> None:
    result = minimise(*arguments, test=test)
    assert result.exception is not None
    shown = getattr(result.exception, "format_message", lambda: "")()
    assert re.search(words, shown), shown


@pytest.mark.parametrize("test", ["", "no-such-program"])
def test_a_command_that_is_none_is_told(test: str, folder: Path) -> None:
    with pytest.raises(CannotTry, match="expected a program to run"):
        minimise(test=test)


def test_output_is_shown_if_asked_for(folder: Path) -> None:
    shown = minimise("--show-output", "--max-runs", "2").stderr
    assert "a run, exit code 3:\n  | it breaks\n" in shown
    assert "a run, exit code 0:" in shown


def test_the_parts_of_a_series_are_one_recording(folder: Path) -> None:
    parts = write_parts(folder, socket_of(positions(20, culprits=[15])), [8, 12])
    words = [*map(str, parts), "--test", BREAKS, "-o", "out.track.jsonl.zst"]
    result = CliRunner().invoke(minimise_command, words, standalone_mode=False)
    assert result.return_value == Exit.OK, result.exception
    assert texts_of(folder / "out.track.jsonl.zst") == [{"positions": [{"rssi": None}]}]


# As processes

PATCHED = """
import sys, replayer.minimise.session as session
program = sys.argv.pop(1)
session.fake_server_program = lambda: program
from replayer.cli import main
main()
"""


def is_running(pid: int) -> bool:
    """Whether there is such a process; one that nobody has waited for yet has ended, too."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_call_is_gone_on_with(number: signal.Signals, folder: Path) -> None:
    """The ninth run waits for ever, so that the moment of the signal is known."""
    slow = (
        'echo x >>runs; if test "$(wc -l <runs)" = 9; then echo $$ >waiting; exec sleep 600; fi; '
    )
    test = f"sh -c {shlex.quote(slow + shlex.split(BREAKS)[2])}"
    command = [sys.executable, "-c", PATCHED, str(folder / "program"), "minimise"]
    program(folder)
    command += ["rec.track.jsonl", "--test", test, "-o", "out.track.jsonl", "--jobs", "1"]
    os.mkfifo(folder / "waiting")
    # Opened for both, so that neither side waits for the other to open it.
    said_by = os.open(folder / "waiting", os.O_RDWR)
    with subprocess.Popen(
        command,
        env=clean_environment(TMPDIR=str(folder)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        ready, _, _ = select.select([said_by], [], [], 30)
        assert ready, process.communicate(timeout=30)
        waiting = int(os.read(said_by, 20))
        process.send_signal(number)
        told, said = process.communicate(timeout=30)
    if number == signal.SIGINT:
        assert process.returncode == Exit.INTERRUPTED, said
        assert "interrupted: exit code 3 still" in told
        assert len(texts_of(folder / "out.track.jsonl")) < 60
        assert not is_running(waiting)
    else:
        os.kill(waiting, signal.SIGKILL)
    os.close(said_by)
    found = answer(minimise("--jobs", "1", "--json", test=test))
    assert (found["why"], found["from_state"]) == ("minimal", 8)
    assert texts_of(folder / "out.track.jsonl") == [{"positions": [{"rssi": None}]}]


def test_with_the_real_fake_server_and_a_client_that_breaks(tmp_path: Path) -> None:
    messages = [b'{"positions":[{"rssi":-64}]}'] * 200
    messages[3] = b'{"positions":[{"rssi":null}]}'
    write_whole(tmp_path / "rec.track.jsonl", socket_of(messages))
    done = run(
        *("track-replayer", "minimise", "rec.track.jsonl", "-o", "out.track.jsonl"),
        *("--test", f"{sys.executable} -S {CLIENT}", "--says", "NoneType", "--json", "--jobs", "1"),
        cwd=tmp_path,
    )
    assert done.returncode == Exit.OK, done.stderr
    assert texts_of(tmp_path / "out.track.jsonl") == [{"positions": [{"rssi": None}]}]
    assert "  | TypeError: unsupported operand" in done.stderr
    assert json.loads(done.stdout)["runs"] < 20
    assert len(entries_of(tmp_path / "out.track.jsonl")) == 5


@pytest.mark.nightly
def test_of_200_000_messages_the_one_that_breaks_a_client_is_left(tmp_path: Path) -> None:
    write_whole(tmp_path / "rec.track.jsonl", socket_of(positions(200_000, culprits=[137_001])))
    words = ["rec.track.jsonl", "--test", f"{sys.executable} -S {CLIENT}", "--says", "NoneType"]
    done = subprocess.run(
        [Path(sys.executable).parent / "track-replayer", "minimise", *words, "-o", "out", "--json"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == Exit.OK, done.stderr
    found = json.loads(done.stdout)
    assert found["after"]["messages"] == 1
    assert found["runs"] < 60
    assert texts_of(tmp_path / "out") == [{"positions": [{"rssi": None}]}]
