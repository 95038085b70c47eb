"""One trial, with a program in place of the fake server."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import trio

from replayer.minimise.trial import CannotTry, Outcome, Trial, fake_server_program
from tests.replayer.minimise.support import program

RECORDING = Path("some.track.jsonl")


async def tried(
    folder: Path,
    *test: str,
    options: tuple[str, ...] = (),
    says: str | None = None,
    timeout_s: float = 30,
) -> Outcome:
    trial = Trial(program(folder), test, options, folder=folder, says=says)
    return await trial.run(RECORDING, timeout_s=timeout_s)


@pytest.mark.parametrize("code", [0, 1, 3, 65, 77, 125])
async def test_an_exit_code_is_the_commands(code: int, tmp_path: Path) -> None:
    outcome = await tried(tmp_path, "sh", "-c", f"exit {code}")
    assert outcome.code == code
    assert os.listdir(tmp_path) == ["program"], "nothing is left"


async def test_a_signal_is_128_and_its_number(tmp_path: Path) -> None:
    assert (await tried(tmp_path, "sh", "-c", "kill -SEGV $$")).code == 139


async def test_words_reach_the_command_as_they_are(tmp_path: Path) -> None:
    outcome = await tried(tmp_path, "printf", "%s|", "a b", "$HOME", "'", "--", "*")
    assert outcome.output == "a b|$HOME|'|--|*|"


async def test_of_an_output_the_last_lines_are_kept_and_cannot_hurt(tmp_path: Path) -> None:
    outcome = await tried(
        tmp_path, "sh", "-c", r"seq 1 90000; printf '\033[2J\n'; echo last >&2", says="^12345$"
    )
    assert outcome.output.endswith("89999\n90000\n\\x1b[2J\nlast")
    assert len(outcome.output) < 5000
    assert outcome.says, "looked for in all of it"
    assert not (await tried(tmp_path, "echo", "well", says="12345")).says
    assert not (await tried(tmp_path, "true", says="12345")).says


@pytest.mark.parametrize(
    ("says", "printed", "is_said"),
    [
        (r"^unknown \d", r'    sys.exit(f"unknown {kind}")\nKeyError: 1\n', False),
        (r"^unknown \d", r"Traceback\r\nunknown 2\r\n", True),
        ("2$", r"unknown 2\r\n", True),
        ("a.b", r"a\nb\n", False),
        ("Käthe", r"K\303\244the", True),
        ("", r"\377", True),
    ],
)
async def test_what_it_says_is_looked_for_line_by_line(
    tmp_path: Path, says: str, printed: str, is_said: bool
) -> None:
    assert (await tried(tmp_path, "printf", printed, says=says)).says == is_said


async def test_the_server_that_does_not_start_is_no_failure_of_the_command(tmp_path: Path) -> None:
    with pytest.raises(CannotTry, match=r"ended with 65 before it ran the command.*it is refused"):
        await tried(tmp_path, "false", options=("--refuse",))


async def test_a_command_that_cannot_start_is_no_failure(tmp_path: Path) -> None:
    with pytest.raises(CannotTry, match=r"ended with 127.*not found"):
        await tried(tmp_path, "no-such-program")


@pytest.mark.parametrize("how", ["time", "cancel", "end"])
async def test_nothing_runs_on_behind_it(how: str, tmp_path: Path) -> None:
    """A command that ignores SIGTERM, and what it has begun in the background, hold a pipe open."""
    read, write = os.pipe()
    os.set_inheritable(write, True)
    pipe = f"/proc/{os.getpid()}/fd/{write}"
    script = f"exec 9>{pipe}; (trap '' TERM; echo x >&9; sleep 60) & trap '' TERM;"
    script += " true" if how == "end" else " wait"
    with os.fdopen(read, "rb", buffering=0) as held:
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                # The command says that it is ready; its time is up after that.
                outcome = await tried(tmp_path, "sh", "-c", script, timeout_s=0.5)
                assert outcome.code == (0 if how == "end" else None)

            nursery.start_soon(run)
            if how == "cancel":
                await trio.to_thread.run_sync(held.read, 1)
                nursery.cancel_scope.cancel()
        os.close(write)
        # The end of the pipe comes when nobody has it open any more.
        with trio.fail_after(10):
            await trio.to_thread.run_sync(held.read, abandon_on_cancel=True)


def test_the_fake_server_of_this_python_is_taken_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Path(fake_server_program()) == Path(sys.executable).parent / "track-fake-server"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotTry, match="install that again"):
        fake_server_program()
    (tmp_path / "track-fake-server").write_text("#!/bin/sh\n")
    (tmp_path / "track-fake-server").chmod(0o755)
    assert fake_server_program() == str(tmp_path / "track-fake-server")
