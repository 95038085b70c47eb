"""What every command does with errors: one line on stderr, and a code of the one table."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from recorder.console import command_group, run_command
from recorder.errors import (
    CannotRead,
    ConnectionLost,
    CorruptRecording,
    DiskFailed,
    HandshakeRefused,
    LoginRefused,
    OutputExists,
    RecorderError,
    RulesError,
    Unreachable,
    UnsupportedVersion,
)
from recorder.exits import Exit
from tests.programs import BIN

COMMANDS = ["track-recorder", "track-replayer", "track-fake-server"]
GROUPS = ["recorder.cli", "replayer.cli", "fake_server.cli"]
SUBCOMMANDS = [
    ("track-recorder", "capture"),
    ("track-recorder", "import"),
    ("track-replayer", "show"),
    ("track-replayer", "info"),
    ("track-replayer", "export"),
    ("track-fake-server", "serve"),
]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """One of the installed commands, with nothing to read and no credentials around."""
    environment = {name: value for name, value in os.environ.items() if "TRACK_" not in name}
    return subprocess.run(
        [str(BIN / arguments[0]), *arguments[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )


def script(body: str) -> list[str]:
    """A command line that runs a command whose function has this body."""
    lines = ["import click, sys", "from recorder.console import *", "@click.command('tool')"]
    lines += ["def tool():", *(f"    {line}" for line in body.splitlines()), "run_command(tool)"]
    return [sys.executable, "-c", "\n".join(lines)]


# The three commands


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nonsense"], "No such option"),
        (["nonsense"], "No such command"),
        ([], "Usage:"),
    ],
    ids=["option", "command", "nothing"],
)
def test_a_wrong_command_line_ends_with_64(command: str, arguments: list[str], said: str) -> None:
    done = run(command, *arguments)
    assert (done.returncode, done.stdout) == (64, "")
    assert said in done.stderr


@pytest.mark.parametrize(("command", "subcommand"), SUBCOMMANDS)
def test_a_wrong_subcommand_line_ends_with_64(command: str, subcommand: str) -> None:
    done = run(command, subcommand, "--nonsense")
    assert (done.returncode, done.stdout) == (64, "")
    assert "No such option" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["track-recorder", "capture"], "'--url'"),
        (["track-recorder", "import", "-o", "x.track.jsonl"], "'FILE'"),
        (["track-replayer", "show"], "argument"),
        (["track-replayer", "info"], "argument"),
        (["track-fake-server", "serve", "--port"], "'--port'"),
        (["track-fake-server", "serve", "--port", "65536"], "'--port'"),
    ],
)
def test_what_is_missing_or_out_of_range_is_named_with_64(
    arguments: list[str], missing: str
) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (64, "")
    assert missing in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("arguments", [(command,) for command in COMMANDS] + SUBCOMMANDS)
def test_help_is_an_answer(arguments: tuple[str, ...]) -> None:
    done = run(*arguments, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: {' '.join(arguments)}")


@pytest.mark.parametrize("command", COMMANDS)
def test_version_is_an_answer(command: str) -> None:
    done = run(command, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{command}, version ")


@pytest.mark.parametrize("module", GROUPS)
def test_every_listed_command_is_there(module: str) -> None:
    group = importlib.import_module(module).cli
    context = click.Context(group)
    for name in group.list_commands(context):
        assert group.get_command(context, name).name == name


def test_an_input_that_is_not_there_is_one_line_with_66(tmp_path: Path) -> None:
    done = run("track-recorder", "import", str(tmp_path / "no"), "-o", str(tmp_path / "x.jsonl"))
    assert done.returncode == 66
    assert len(done.stderr.splitlines()) == 1
    assert str(tmp_path / "no") in done.stderr


def test_help_imports_no_command() -> None:
    code = (
        "import sys, recorder.cli, contextlib\n"
        "with contextlib.suppress(SystemExit): sys.argv[1:] = ['--help']; recorder.cli.main()\n"
        "print([name for name in sys.modules if name.startswith('recorder.commands')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


# run_command


def ending(function: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> object:
    """What `run_command` ends the process with."""
    monkeypatch.setattr(sys, "argv", ["tool"])
    with pytest.raises(SystemExit) as caught:
        run_command(click.Command("tool", callback=function))
    return caught.value.code


def raising(error: BaseException) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CorruptRecording, 65),
        (UnsupportedVersion, 65),
        (RulesError, 65),
        (CannotRead, 66),
        (Unreachable, 69),
        (RecorderError, 70),
        (OutputExists, 73),
        (DiskFailed, 74),
        (ConnectionLost, 75),
        (HandshakeRefused, 76),
        (LoginRefused, 77),
    ],
)
def test_an_error_of_ours_is_one_line_and_its_code(
    error: type[RecorderError],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ending(raising(error("x:3: what and why")), monkeypatch) == code
    assert capsys.readouterr() == ("", "tool: error: x:3: what and why\n")


@pytest.mark.parametrize(("answer", "code"), [(None, 0), (0, 0), (Exit.DIFFERENT, 1), ("text", 0)])
def test_a_command_may_say_its_code(
    answer: object, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ending(lambda: answer, monkeypatch) == code


def test_a_usage_error_inside_a_command_ends_with_64(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(raising(click.UsageError("--a needs --b")), monkeypatch) == 64
    assert capsys.readouterr().err.endswith("Error: --a needs --b\n")


def test_a_file_that_click_cannot_open_ends_with_66(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ending(raising(click.FileError("x", "gone")), monkeypatch) == 66


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_ends_with_130(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(raising(error), monkeypatch) == 130
    assert capsys.readouterr().err.lstrip("\n") == "tool: interrupted\n"


def test_ctrl_c_ends_a_process_with_130_and_no_traceback() -> None:
    waiting = "import threading\nout('ready')\nthreading.Event().wait(60)"
    with subprocess.Popen(
        script(waiting), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said.strip()) == (130, "tool: interrupted")


def ended_by_sigterm(body: str) -> tuple[int, bytes, bytes]:
    """Sent once the command prints; its exit code, what it printed then, and stderr."""
    with subprocess.Popen(script(body), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        printed, error = process.communicate(timeout=30)
    return process.returncode, printed, error


def test_sigterm_leaves_no_unfinished_file(tmp_path: Path) -> None:
    output = tmp_path / "answer"
    code, _, error = ended_by_sigterm(
        "import time\n"
        "from recorder.destination import destination\n"
        f"with destination({str(output)!r}) as file:\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)"
    )
    assert (code, error) == (Exit.INTERRUPTED, b"tool: interrupted\n")
    assert not list(tmp_path.iterdir())


def test_sigterm_where_trio_runs_is_for_who_asks_it_for_signals() -> None:
    ready = "import signal, trio\nasync def work():\n    print('ready', flush=True)\n"
    assert (
        ended_by_sigterm(f"{ready}    await trio.sleep(60)\ntrio.run(work)")[0] == -signal.SIGTERM
    )
    asks = (
        "import signal, trio\n"
        "async def work():\n"
        "    with trio.open_signal_receiver(signal.SIGTERM) as signals:\n"
        "        print('ready', flush=True)\n"
        "        async for _ in signals:\n"
        "            return\n"
        "trio.run(work)\n"
        "print('in order')"
    )
    assert ended_by_sigterm(asks)[:2] == (0, b"in order\n")


def test_a_reader_that_has_enough_is_no_error() -> None:
    with subprocess.Popen(
        script("while True: out('line')"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "line\n"
        process.stdout.close()
        said = process.stderr.read()
        process.wait(timeout=60)
    assert (process.returncode, said) == (0, "")


def test_a_bug_ends_with_70_and_its_traceback() -> None:
    done = subprocess.run(
        script("raise RuntimeError('boom')"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" in done.stderr
    assert "RuntimeError: boom" in done.stderr
    assert done.returncode == 70


def test_a_group_lists_its_commands_without_importing_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    group = command_group("tool", "Does things.", {"go": ("no.such.module:go", "Goes.")})
    monkeypatch.setattr(sys, "argv", ["tool", "--help"])
    with pytest.raises(SystemExit) as caught:
        run_command(group)
    assert caught.value.code == 0
    assert "go  Goes." in capsys.readouterr().out
