"""From recordings and a command to an answer: files, signals, progress."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import click
import msgspec
import trio

from recorder.console import is_terminal, say
from recorder.destination import unfinished_path
from recorder.errors import DiskFailed, OutputExists, the_one_of
from recorder.exits import Exit
from replayer.minimise.minimiser import Minimiser, Rule, Stopped
from replayer.minimise.outcomes import Outcomes, Subject
from replayer.minimise.plan import Plan
from replayer.minimise.trial import CannotTry, Outcome, Trial, fake_server_program
from replayer.minimise.working_copy import WorkingCopy, Written
from replayer.reading.series import SeriesReader
from replayer.reading.words import counted, fit, printable

__all__ = ["Answer", "Request", "minimise"]

_LINES_SHOWN: Final = 10
"""So many lines of what the command said are shown at the end."""

_EXITS: Final[dict[Stopped, Exit]] = {
    "minimal": Exit.OK,
    "run limit": Exit.UNDECIDED,
    "time limit": Exit.UNDECIDED,
    "interrupted": Exit.INTERRUPTED,
    "it does not fail": Exit.DIFFERENT,
    "it always fails": Exit.DIFFERENT,
    "flaky": Exit.DIFFERENT,
}


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: ``test`` is the command, ``options`` those of `track-fake-server run`,
    ``state`` where outcomes are kept, None beside ``output`` for as long as it takes.
    """

    recordings: tuple[str, ...]
    test: list[str]
    options: list[str]
    output: str
    force: bool
    state: Path | None
    says: str | None
    rule: Rule
    jobs: int
    max_runs: int | None
    max_time_s: float | None
    show_output: bool


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came out. ``runs`` counts the trials that were begun, ``from_state`` those that were not
    needed; ``after`` is None where nothing was written.
    """

    output: str
    why: Stopped
    code: int | None
    timed_out: bool
    runs: int
    from_state: int
    took_s: float
    before: Written
    after: Written | None

    @property
    def exit_code(self) -> Exit:
        """What the command ends with."""
        return _EXITS[self.why]

    def to_builtins(self) -> dict[str, object]:
        """What `--json` says."""
        return {
            "output": self.output if self.after is not None else None,
            "why": self.why,
            "minimal": self.why == "minimal",
            "exit_code": self.code,
            "timed_out": self.timed_out,
            "runs": self.runs,
            "from_state": self.from_state,
            "took_s": round(self.took_s, 3),
            "before": msgspec.to_builtins(self.before),
            "after": msgspec.to_builtins(self.after),
        }

    def lines(self) -> Iterator[str]:
        """The answer in words."""
        before, after = self.before, self.after
        if after is not None:
            yield (
                f"{printable(self.output)}: {counted(after.messages, 'messages')} of"
                f" {before.messages}, {after.entries} entries of {before.entries},"
                f" {_size(after.size_bytes)} of {_size(before.size_bytes)}"
            )
        yield _WHY[self.why].format(failure=self._failure())
        known = f", {self.from_state} more known from before" if self.from_state else ""
        yield f"{counted(self.runs, 'runs')} in {self.took_s:.1f} s{known}"

    def _failure(self) -> str:
        if self.timed_out:
            return "its time was up"
        return f"exit code {self.code}"


_WHY: Final[dict[Stopped, str]] = {
    "minimal": "minimal: {failure}, and without any one part of it no more",
    "run limit": "stopped at --max-runs: {failure} still, and perhaps with less; go on without it",
    "time limit": "stopped at --max-time: {failure} still, and perhaps with less; go on without it",
    "interrupted": "interrupted: {failure} still, and perhaps with less; the same command goes on",
    "it does not fail": "the command does not fail with the whole recording: {failure}",
    "it always fails": "the command fails with the handshakes alone, too, {failure}: it is no"
    " message that it fails at",
    "flaky": "flaky: with the same recording the command failed before, and then did not",
}


def minimise(request: Request) -> Answer:
    """Do it; the recording stands at ``output`` if there is anything to say of one.

    Raises what reading the recordings raises, OutputExists, CannotTry, WrongState and DiskFailed.
    """
    started_s = time.monotonic()
    program = fake_server_program()
    state_path = request.state or Path(f"{request.output}.minimise.jsonl")
    _check_output(request, state_path)
    with (
        tempfile.TemporaryDirectory(prefix="track-minimise-") as name,
        SeriesReader(request.recordings) as reader,
        WorkingCopy(reader, Path(name)) as copy,
    ):
        for remark in reader.remarks:
            say(printable(remark))
        subject = Subject(
            recording=copy.sha256,
            test=request.test,
            options=request.options,
            timeout_s=request.rule.timeout_s,
            timeout_fails=request.rule.timeout_fails,
            any_failure=request.rule.any_failure,
            says=request.says,
        )
        with Outcomes(state_path, subject) as outcomes:
            _check_replaced(request, outcomes)
            folder = Path(name)
            trial = Trial(program, request.test, request.options, folder=folder, says=request.says)
            work = _Work(request, copy, outcomes, trial, folder)
            try:
                why = trio.run(work.run)
            except CannotTry:
                if not len(outcomes):
                    outcomes.remove()
                raise
            answer = work.answer(why, time.monotonic() - started_s)
            if request.state is None and why not in ("run limit", "time limit", "interrupted"):
                outcomes.remove()
    return answer


def _check_output(request: Request, state_path: Path) -> None:
    """Before anything is run. A result that an interrupted call has left may be replaced."""
    if request.output == "-":
        raise OutputExists("-o -: a recording is written to a file; give it a name")
    out = Path(request.output)
    if out.exists() and any(Path(one).exists() and out.samefile(one) for one in request.recordings):
        raise OutputExists(f"{request.output} is what is minimised; give another name")
    unfinished_path(request.output, force=request.force or state_path.exists())
    if not out.resolve().parent.is_dir():
        raise OutputExists(f"{request.output} cannot be made: there is no such folder")


def _check_replaced(request: Request, outcomes: Outcomes) -> None:
    out = Path(request.output)
    if request.force or not out.exists() or _sha256(out) == outcomes.written:
        return
    raise OutputExists(
        f"{request.output} exists already, and is not what was minimised so far; choose another"
        " name, or overwrite it with --force"
    )


class _Work:
    """One call, while it runs."""

    def __init__(
        self, request: Request, copy: WorkingCopy, outcomes: Outcomes, trial: Trial, folder: Path
    ) -> None:
        self._request = request
        self._copy = copy
        self._outcomes = outcomes
        self._trial = trial
        self._folder = folder
        self._numbers = itertools.count(1)
        self._shown: str | None = None
        self._shown_plan: Plan | None = None
        self._live = is_terminal()
        self._minimiser = Minimiser(
            copy.units,
            copy.payload_of,
            self._attempt,
            outcomes,
            request.rule,
            jobs=request.jobs,
            max_runs=request.max_runs,
            max_time_s=request.max_time_s,
            on_progress=self._show_progress,
        )

    async def run(self) -> Stopped:
        """Until it ends, or a signal ends it."""
        try:
            with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch, signals)
                    why = await self._minimiser.run()
                    nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise the_one_of(group) from None
        finally:
            if self._live:
                click.echo("\r\x1b[K", nl=False, err=True)
        return why

    async def _watch(self, signals: AsyncIterator[int]) -> None:
        async for _ in signals:
            self._minimiser.stop("interrupted")

    async def _attempt(self, plan: Plan, timeout_s: float) -> Outcome:
        path = self._folder / f"candidate-{next(self._numbers)}.track.jsonl"
        try:
            self._copy.write(plan, path, hasty=True, meta={})
            outcome = await self._trial.run(path, timeout_s=timeout_s)
        finally:
            path.unlink(missing_ok=True)
        if self._request.show_output:
            ended = "its time was up" if outcome.code is None else f"exit code {outcome.code}"
            self._tell(f"a run, {ended}:", *_quoted(outcome.output.splitlines()))
        return outcome

    def answer(self, why: Stopped, took_s: float) -> Answer:
        """Write the least that fails, say what the command said of it, and all in numbers."""
        worker = self._minimiser
        after = None
        before = self._copy.size
        if worker.best is not None and why not in ("it does not fail", "it always fails"):
            after = self._write(worker.best, why, before)
            last = worker.last_failure
            if last is not None and last.output:
                self._tell(
                    "what the command said with it:",
                    *_quoted(last.output.splitlines()[-_LINES_SHOWN:]),
                )
        first = worker.first
        return Answer(
            output=self._request.output,
            why=why,
            code=first.code if first is not None else None,
            timed_out=first is not None and first.code is None,
            runs=worker.runs,
            from_state=worker.from_store,
            took_s=took_s,
            before=before,
            after=after,
        )

    def _write(self, plan: Plan, why: Stopped, before: Written) -> Written:
        output = self._request.output
        final, partial = unfinished_path(output, force=True)
        meta = {
            "minimised": {
                "from": self._copy.header.id,
                "entries": before.entries,
                "messages": before.messages,
                "minimal": why == "minimal",
            }
        }
        try:
            written = self._copy.write(plan, partial, hasty=False, meta=meta)
            sha256 = _sha256(partial)
            if self._outcomes.path.exists():
                self._outcomes.put_written(sha256)
            partial.replace(final)
        except OSError as exc:
            raise DiskFailed(f"{output} could not be written: {exc.strerror}") from exc
        finally:
            partial.unlink(missing_ok=True)
        return written

    def _show_progress(self) -> None:
        """A line for what is left: on a terminal it is drawn anew at each run, else there is one
        whenever that has changed.
        """
        worker = self._minimiser
        if worker.best is None:
            return
        level = f"{worker.level}: " if worker.level is not None else ""
        left = f"{level}{counted(self._copy.messages_in(worker.best), 'messages')} left"
        line = f"{left}, {counted(worker.runs, 'runs')}"
        if self._live:
            columns = shutil.get_terminal_size().columns
            click.echo(f"\r{fit(line, columns - 1)}\x1b[K", nl=False, err=True)
        elif worker.best is not self._shown_plan:
            self._shown_plan = worker.best
            if left != self._shown:
                self._shown = left
                say(line)

    def _tell(self, *lines: str) -> None:
        if self._live:
            click.echo("\r\x1b[K", nl=False, err=True)
        for line in lines:
            say(line)


def _quoted(lines: list[str]) -> list[str]:
    return [f"  | {line}" for line in lines]


def _size(size_bytes: int) -> str:
    if size_bytes < 1000:
        return f"{size_bytes} bytes"
    return f"{size_bytes / 1e3:.1f} kB" if size_bytes < 1e6 else f"{size_bytes / 1e6:.1f} MB"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
