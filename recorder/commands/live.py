"""What goes on beside a live recording: durability, signals, progress, notes, what is saved on
demand, an eye on the disk.
"""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial, wraps
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import click
import msgspec
import trio

from recorder.commands.keys import Typed, is_fifo
from recorder.commands.notes import Notes
from recorder.commands.output import LiveRecording
from recorder.commands.show import (
    Event,
    Json,
    Lines,
    Pulse,
    Quiet,
    Shown,
    Terminal,
    View,
    size_text,
)
from recorder.console import is_terminal, out, stop_signals
from recorder.errors import RecorderError, the_one_of
from recorder.model import Note
from recorder.sink import Sink, wall_clock_text

__all__ = ["Beside", "EventKind", "LiveOptions", "is_low", "live_options", "run_beside"]

_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[..., Any])

EventKind = Literal["start", "listening", "gap", "saved", "note", "problem", "end"]

_NOTE_HINT: Final = "type a note, then Enter"
_SAVE_HINT: Final = "Enter saves what just happened; or type a note, then Enter"

_REFRESH_S: Final = 0.25
_LINES_EVERY_S: Final = 10.0
_LATER_LINES_EVERY_S: Final = 60.0
_OFTEN_LINES: Final = 6
_DISK_EVERY_S: Final = 10.0
_LAST_WORDS_S: Final = 2.0
_MAX_EVENTS: Final = 1000


class LiveOptions(msgspec.Struct, frozen=True):
    """How to show what goes on, and where notes come from."""

    json: bool = False
    quiet: bool = False
    notes_from: str | None = None
    """``-`` is stdin; else the path of a FIFO."""

    @property
    def manner(self) -> Literal["json", "quiet", "terminal", "lines"]:
        """As asked for, or as the terminal allows."""
        if self.json:
            return "json"
        if self.quiet:
            return "quiet"
        return "terminal" if is_terminal() else "lines"


def live_options(command: _F) -> _F:
    """Add the options to a command, which gets them as ``live``."""

    @click.option("--json", "as_json", is_flag=True, help="Tell what goes on as JSON lines.")
    @click.option("--quiet", is_flag=True, help="Tell only what goes wrong.")
    @click.option(
        "--notes-from",
        metavar="FIFO|-",
        help="Each line that comes from there, or from stdin, becomes a note.",
    )
    @wraps(command)
    def with_options(
        *arguments: Any, as_json: bool, quiet: bool, notes_from: str | None, **others: Any
    ) -> Any:
        if as_json and quiet:
            raise click.UsageError("--json or --quiet, not both")
        if notes_from not in (None, "-") and not is_fifo(Path(notes_from)):
            raise click.BadParameter(
                f"{notes_from} is no FIFO; make one with mkfifo, or give - for stdin",
                param_hint="--notes-from",
            )
        return command(*arguments, live=LiveOptions(as_json, quiet, notes_from), **others)

    return with_options  # type: ignore[return-value]


async def run_beside(
    sink: Sink,
    work: Callable[[], Awaitable[_T]],
    *,
    stop: Callable[[], None],
    show: Callable[[], Awaitable[None]],
) -> _T:
    """Do ``work`` while ``sink`` is kept durable and ``show`` shows progress; SIGINT, SIGTERM and
    SIGHUP call ``stop``, upon which ``work`` should return.

    Raises what ``work`` raises, and DiskFailed once the recording cannot be written; one error of
    ours, never a group.
    """
    results: list[_T] = []
    failures: list[RecorderError] = []

    async def stop_on_signals() -> None:
        with trio.open_signal_receiver(*stop_signals()) as signals:
            async for _ in signals:
                stop()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.run)
            nursery.start_soon(stop_on_signals)
            nursery.start_soon(show)
            try:
                results.append(await work())
            except RecorderError as error:
                failures.append(error)
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # The disk failed in the task that keeps the recording durable: that is why everything
        # stopped.
        raise the_one_of(group) from None
    if failures:
        raise failures[0]
    return results[0]


async def _in_thread(function: Callable[..., _T], *arguments: object) -> _T:
    """Call what may block for ever; being cancelled leaves it alone."""
    call = partial(function, *arguments)
    return await trio.to_thread.run_sync(call, abandon_on_cancel=True)


class Beside:
    """All that runs beside one live recording; :meth:`run` once.

    ``line`` says what was seen so far, in words with two spaces between its parts, of which the
    first says when, or what is done just now. ``facts`` is the same for machines; its ``messages``,
    a number that grows, is what the rate is made of. ``about`` says what is recorded, in the JSON
    ``start``.

    Nothing here holds up the work, whatever becomes of terminal, pipe and disk. The caller closes
    the recording.
    """

    def __init__(
        self,
        recording: LiveRecording,
        options: LiveOptions,
        *,
        line: Callable[[], str],
        facts: Callable[[], dict[str, object]],
        about: Mapping[str, object] = {},
    ) -> None:
        self._recording = recording
        self._sink = recording.sink
        self._options = options
        self._line = line
        self._facts = facts
        self._about = about
        self._manner = options.manner
        shown: dict[str, Callable[[], Shown]] = {
            "json": Json,
            "quiet": Quiet,
            "terminal": Terminal,
            "lines": Lines,
        }
        self._shown = shown[self._manner]()
        self._pulse = Pulse()
        self._events: deque[Event] = deque(maxlen=_MAX_EVENTS)
        self._woken = trio.Event()
        self._finishing = False
        self._pumped = trio.Event()
        self._notes = Notes(
            options.notes_from,
            now_ns=self._sink.now_ns,
            take=self._take_line,
            changed=lambda: self._woken.set(),
        )
        self._asked, self._saves = trio.open_memory_channel[None](1)
        self._free_bytes: int | None = None
        self._told_free_bytes: int | None = None

    def tell(self, kind: EventKind, text: str, **facts: object) -> None:
        """Something happened: ``text`` for a person, ``facts`` for a machine. Never waits."""
        shown = self._sink.redactor.text(text)
        words = {"text": shown} if shown else {}
        self._events.append(Event(kind, shown, self._stamped(kind, {**words, **facts})))
        self._woken.set()

    def _stamped(self, kind: str, facts: dict[str, object]) -> dict[str, object]:
        return {
            "type": kind,
            "at": wall_clock_text(time.time_ns()),
            "offset_ns": self._sink.now_ns(),
            **facts,
        }

    async def run(self, work: Callable[[], Awaitable[_T]], *, stop: Callable[[], None]) -> _T:
        """Do ``work`` as :func:`run_beside` does, and all the rest beside it."""

        async def work_and_last_words() -> _T:
            try:
                return await work()
            finally:
                self._finishing = True
                self._woken.set()
                with trio.CancelScope(shield=True, deadline=trio.current_time() + _LAST_WORDS_S):
                    await self._pumped.wait()

        path = str(self._recording.output.path)
        self.tell("start", "", recording=path, **self._about)
        return await run_beside(self._sink, work_and_last_words, stop=stop, show=self._beside)

    def finish(self, exit_code: int, reason: str, lines: Sequence[str]) -> None:
        """After :meth:`run` and the end of the recording: the summary, ``lines`` for a person."""
        if self._manner == "json":
            facts = {
                "exit_code": exit_code,
                "reason": reason,
                "summary": list(lines),
                **self._all_facts(),
            }
            with suppress(OSError):
                Json().show([Event("end", "", self._stamped("end", facts))], None)
        elif self._manner != "quiet":
            for line in lines:
                out(line)

    async def _beside(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pump)
            nursery.start_soon(self._watch_the_disk)
            nursery.start_soon(self._save_on_signal)
            nursery.start_soon(self._save_when_asked)
            can_type = self._manner == "terminal" and sys.stdin.isatty()
            if can_type or self._options.notes_from is not None:
                nursery.start_soon(self._notes.run)

    # What is shown

    async def _pump(self) -> None:
        """Show events as they come and the view when it is time, until the end."""
        views = 0
        self._beat()
        due_s = trio.current_time() + self._view_in_s(0)
        try:
            while not (self._finishing and not self._events):
                with trio.CancelScope(deadline=due_s):
                    await self._woken.wait()
                self._woken = trio.Event()
                view = None
                if self._manner == "terminal" or trio.current_time() >= due_s:
                    views += 1
                    due_s = trio.current_time() + self._view_in_s(views)
                    view = self._view()
                events = list(self._events)
                self._events.clear()
                await _in_thread(self._shown.show, events, view)
            await _in_thread(self._shown.close)
        except OSError:
            # The terminal or the pipe is gone; the recording goes on.
            pass
        finally:
            self._pumped.set()

    def _view_in_s(self, views: int) -> float:
        if self._manner == "terminal":
            return _REFRESH_S if views else 0.0
        if self._manner == "lines" and views >= _OFTEN_LINES:
            return _LATER_LINES_EVERY_S
        return float("inf") if self._manner == "quiet" else _LINES_EVERY_S

    def _beat(self) -> None:
        messages = self._facts().get("messages", 0)
        if isinstance(messages, int):
            self._pulse.beat(messages, self._sink.now_ns())

    def _view(self) -> View:
        self._beat()
        return View(
            parts=tuple(self._line().split("  ")),
            rate=self._pulse.rate,
            spans=self._pulse.spans,
            size_bytes=self._recording.size_bytes(),
            free_bytes=self._free_bytes,
            typed=self._notes.typed,
            hint=_SAVE_HINT if self._recording.keeps else _NOTE_HINT,
            facts=self._stamped("progress", self._all_facts()),
        )

    def _all_facts(self) -> dict[str, object]:
        return {
            **self._facts(),
            "rate": round(self._pulse.rate, 3),
            "entries": self._sink.entries,
            "size_bytes": self._recording.size_bytes(),
            "disk_low_bytes": self._free_bytes,
        }

    # The disk

    async def _watch_the_disk(self) -> None:
        folder = self._recording.output.path.absolute().parent
        while True:
            try:
                usage = await _in_thread(shutil.disk_usage, folder)
            except OSError:
                return
            self._see_disk(usage.total, usage.free)
            await trio.sleep(_DISK_EVERY_S)

    def _see_disk(self, total_bytes: int, free_bytes: int) -> None:
        """Tell when it gets low, and again each time that half of that is gone."""
        if not is_low(total_bytes, free_bytes):
            self._free_bytes = self._told_free_bytes = None
            return
        self._free_bytes = free_bytes
        if self._told_free_bytes is None or free_bytes <= self._told_free_bytes / 2:
            self._told_free_bytes = free_bytes
            self.tell(
                "problem",
                f"the disk is nearly full: {size_text(free_bytes)} are left for"
                f" {self._recording.output.path}; it ends when nothing is",
                free_bytes=free_bytes,
            )

    # What is saved

    def _ask_to_save(self) -> None:
        try:
            self._asked.send_nowait(None)
        except trio.WouldBlock:
            # It was asked for already.
            return

    async def _save_on_signal(self) -> None:
        with trio.open_signal_receiver(signal.SIGUSR1) as signals:
            async for _ in signals:
                self._ask_to_save()

    async def _save_when_asked(self) -> None:
        async for _ in self._saves:
            if not self._recording.keeps:
                self.tell("problem", "there is nothing to save: --keep-last was not given")
                continue
            try:
                saved = await self._recording.save()
            except RecorderError as error:
                self.tell("problem", f"it could not be saved: {error}")
                continue
            self.tell(
                "saved",
                f"saved the last {saved.seconds:.0f} s, {saved.entries} entries: {saved.path}"
                + (f" (damaged places left out: {saved.damaged})" if saved.damaged else ""),
                path=str(saved.path),
                seconds=saved.seconds,
                entries=saved.entries,
                damaged=saved.damaged,
            )

    # Notes

    def _take_line(self, typed: Typed) -> None:
        text = typed.text.strip()
        if self._recording.keeps and text in ("", "s"):
            self._ask_to_save()
        elif text:
            first_ns = typed.begun_ns if typed.begun_ns != typed.at_ns else None
            self._sink.write([Note(text=text, offset_ns=typed.at_ns, first_ns=first_ns)])
            self.tell("note", f"noted: {text}", note=self._sink.redactor.text(text))


def is_low(total_bytes: int, free_bytes: int) -> bool:
    """Whether a disk is nearly full: less than a twentieth is free, of a large one less than 5 GB;
    of any less than 500 MB.
    """
    return free_bytes < max(500e6, min(total_bytes / 20, 5e9))
