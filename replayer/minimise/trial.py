"""One trial: the command under ``track-fake-server run`` with a recording, as processes.

The server is a process of its own and not imported: a crash of it, or of what it runs, is its own.
A shell of three words stands between it and the command and notes how the command ended, so that
the server's own exit codes are never taken for the command's.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import trio

from recorder.exits import Exit
from replayer.errors import ReplayerError
from replayer.reading.words import printable

__all__ = ["CannotTry", "Outcome", "Trial", "fake_server_program"]

_SHOWN_BYTES: Final = 4096
"""So much of the end of an output is kept."""

_GRACE_S: Final = 1.0

_NOTING: Final = '"$@" >"$0.output" 2>&1; echo $? >"$0.code"'
_NOT_STARTED: Final = (126, 127)
"""What a shell says of a command that it cannot start."""


class CannotTry(ReplayerError):
    """The command could not be run under the fake server: what it would have done is not known."""

    exit_code = Exit.NO_INPUT


class Outcome(msgspec.Struct, frozen=True):
    """How a trial ended. ``code`` is the command's exit code, 128 + N for signal N; None if its
    time was up. ``says``: whether what was looked for stands in its output, whose end
    ``output`` is.
    """

    code: int | None
    says: bool
    took_s: float
    output: str = ""


def fake_server_program() -> str:
    """Where `track-fake-server` is: beside this Python, else on the PATH. Raises CannotTry."""
    own = Path(sys.executable).parent
    found = shutil.which("track-fake-server", path=str(own)) or shutil.which("track-fake-server")
    if found is None:
        raise CannotTry(
            f"track-fake-server is neither in {own} nor on the PATH; it comes with tracktape:"
            " install that again"
        )
    return found


class Trial:
    """Runs ``test`` under ``program run RECORDING OPTIONS``.

    ``says`` is a regular expression to look for in each line that it prints. ``folder`` is where
    notes of a run are made; they are removed.
    """

    def __init__(
        self,
        program: str,
        test: Sequence[str],
        options: Sequence[str],
        *,
        folder: Path,
        says: str | None = None,
    ) -> None:
        self._program = program
        self._test = list(test)
        self._options = list(options)
        self._folder = folder
        self._says = None if says is None else re.compile(says)
        self._runs = 0

    async def run(self, recording: Path, *, timeout_s: float) -> Outcome:
        """Run it once. Nothing of it runs on when this returns, or is cancelled: the group of its
        processes is ended.

        Raises CannotTry where the server or the command could not be started.
        """
        self._runs += 1
        notes = self._folder / f"run-{self._runs}"
        command = [self._program, "run", str(recording), *self._options]
        command += ["--", "/bin/sh", "-c", _NOTING, str(notes), *self._test]
        said = notes.with_suffix(".server")
        started_s = trio.current_time()
        try:
            with said.open("wb") as server_output:
                process = await trio.lowlevel.open_process(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=server_output,
                    stderr=server_output,
                    start_new_session=True,
                )
            try:
                with trio.move_on_after(timeout_s) as limit:
                    await process.wait()
            finally:
                with trio.CancelScope(shield=True):
                    await _end(process)
            took_s = trio.current_time() - started_s
            output = notes.with_suffix(".output")
            if limit.cancelled_caught:
                return Outcome(None, self._is_said(output), took_s, _end_of(output))
            code = self._code(notes, said, process.returncode)
            return Outcome(code, self._is_said(output), took_s, _end_of(output))
        finally:
            for left in self._folder.glob(f"{notes.name}.*"):
                left.unlink()

    def _code(self, notes: Path, said: Path, server_code: int | None) -> int:
        try:
            code = int(notes.with_suffix(".code").read_text())
        except (FileNotFoundError, ValueError):
            last = _end_of(said).splitlines()[-1:] or ["nothing"]
            raise CannotTry(
                f"track-fake-server run ended with {server_code} before it ran the command, and"
                f" said: {last[0]}"
            ) from None
        if code in _NOT_STARTED:
            why = _end_of(notes.with_suffix(".output")).splitlines()[-1:] or ["it ended so itself"]
            raise CannotTry(
                f"{printable(self._test[0])}: the command ended with {code}, which a shell says of"
                f" one that it cannot start: {why[0]}"
            )
        return code

    def _is_said(self, output: Path) -> bool:
        """Whether it stands in a line of the output, however many there are."""
        if self._says is None:
            return False
        try:
            with output.open(encoding="utf-8", errors="replace") as file:
                return any(self._says.search(line.removesuffix("\n")) for line in file)
        except FileNotFoundError:
            return False


async def _end(process: trio.Process) -> None:
    """End whatever is left of the process and its group."""
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
        with trio.move_on_after(_GRACE_S):
            await process.wait()
    # Also behind a process that ended by itself: the command may have left others running.
    _signal(process, signal.SIGKILL)
    await process.wait()


def _signal(process: trio.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _end_of(path: Path) -> str:
    """The last lines of a file, safe to show; empty if there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _SHOWN_BYTES))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join(map(printable, text.splitlines()))
