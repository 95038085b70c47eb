"""Sink: where a live session's entries go. Redaction first, then the writer; one clock for all.

Everything that records live (the capture client, the fake server) hands its entries to a Sink, so
that nothing can reach a file without passing the redaction.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

import trio

from recorder.errors import DiskFailed
from recorder.model import AnyEntry, Clock, Header, Mode, Note
from recorder.recording import EntryWriter, keep_durable
from recorder.redaction import Redactor

__all__ = ["CLOCK_ENTRY_EVERY_S", "Sink", "live_header", "wall_clock_ns", "wall_clock_text"]

CLOCK_ENTRY_EVERY_S: Final = 60.0
"""How often a recording notes the wall clock."""

_CLOCK_STEP_S: Final = 1.0
"""A wall clock that moved this much against the monotonic one was stepped, which is noted at once.
"""


def wall_clock_text(wall_ns: int) -> str:
    """Nanoseconds since 1970 as the recording format spells them: UTC, ISO 8601, nine digits,
    ``Z``.
    """
    seconds, nanoseconds = divmod(wall_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def wall_clock_ns(text: str) -> int:
    """Nanoseconds since 1970 of what :func:`wall_clock_text` gives. Raises ValueError."""
    seconds, point, rest = text.partition(".")
    digits = rest.removesuffix("Z")
    if not point or rest == digits or len(digits) != 9 or not digits.isdecimal():
        raise ValueError(f"{text!r} is no time with nine digits of a second and Z")
    moment = datetime.strptime(seconds, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return round(moment.timestamp()) * 1_000_000_000 + int(digits)


def live_header(
    mode: Mode, upstream: str | None, redactor: Redactor, *, started_wall_ns: int
) -> Header:
    """The header of a recording that is made while things happen, as it is to be written: a new id,
    begun at ``started_wall_ns`` (since 1970), redacted by ``redactor``.
    """
    return redactor.redact_header(
        Header(
            id=str(uuid.uuid4()),
            started_at=wall_clock_text(started_wall_ns),
            tool=f"tracktape {version('tracktape')}",
            mode=mode,
            upstream=upstream,
            fidelity="wire",
            timing="measured",
            redaction=redactor.header(),
        )
    )


class Sink:
    """Takes entries of a live session in order, redacts them and writes them.

    ``started_ns`` is the monotonic moment of the header's ``started_at``. *Resource handling:* the
    caller runs :meth:`run` in a nursery and calls :meth:`close` at the end, which closes the
    writer. *Error handling:* DiskFailed from :meth:`write`, :meth:`run` or :meth:`close` once
    writing failed.
    """

    def __init__(
        self,
        writer: EntryWriter,
        redactor: Redactor,
        *,
        started_ns: int,
        clock: Callable[[], int] = time.monotonic_ns,
        wall_clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._writer = writer
        self.redactor = redactor
        self._started_ns = started_ns
        self._clock = clock
        self._wall_clock = wall_clock
        self._wall_offset_ns = wall_clock() - clock()
        self.entries = 0

    def now_ns(self) -> int:
        """The ``offset_ns`` of this moment."""
        return self._clock() - self._started_ns

    def write(self, entries: Iterable[AnyEntry]) -> None:
        """Redact and write what may be written; what redaction holds follows later."""
        for entry in entries:
            for ready in self.redactor.feed(entry):
                self._put(ready)

    def note(self, text: str) -> None:
        """Record free text of whoever captures, now."""
        self.write([Note(offset_ns=self.now_ns(), text=text)])

    def _put(self, entry: AnyEntry) -> None:
        self._writer.write(entry)
        self.entries += 1

    async def run(self) -> None:
        """Keep the promises of durability and time: flush, sync, note the wall clock, let go of
        what redaction held, end parts that lasted long enough.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(keep_durable, self._writer)
                nursery.start_soon(self._note_the_clock)
                nursery.start_soon(self._let_go)
        except BaseExceptionGroup as group:
            # After the first failure everything fails in the same words: one of them says it all.
            failures, other = group.split(DiskFailed)
            if failures is None or other is not None:
                raise
            raise failures.exceptions[0] from None

    async def _note_the_clock(self) -> None:
        since_note_s = 0.0
        while True:
            await trio.sleep(1.0)
            since_note_s += 1.0
            offset_ns = self._wall_clock() - self._clock()
            stepped = abs(offset_ns - self._wall_offset_ns) > _CLOCK_STEP_S * 1e9
            if stepped or since_note_s >= CLOCK_ENTRY_EVERY_S:
                self._wall_offset_ns = offset_ns
                since_note_s = 0.0
                self.write(
                    [Clock(offset_ns=self.now_ns(), wall=wall_clock_text(self._wall_clock()))]
                )

    async def _let_go(self) -> None:
        while True:
            await trio.sleep(0.25)
            now_ns = self.now_ns()
            if self.redactor.due_ns is not None:
                for entry in self.redactor.expire(now_ns):
                    self._put(entry)
            self._writer.tick(now_ns)

    def flush(self) -> None:
        """Let readers of the file see all that was written; what redaction holds is not. Raises
        DiskFailed.
        """
        self._writer.flush()

    def close(self) -> None:
        """Write what is held and the ``end``; close the writer."""
        for entry in self.redactor.close():
            self._put(entry)
        self._writer.close(self.redactor.counts)

    def abort(self) -> None:
        """Close the writer without an ``end``, after it failed."""
        try:
            self._writer.abort()
        except DiskFailed:
            return
