"""A recording that is being made: one file, parts of a series, or only the last minutes; begun or
gone on with.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from recorder.checkpoint import SoFar
from recorder.console import say
from recorder.errors import DiskFailed, OutputExists, RecorderError, RecordingError
from recorder.former import Former, refuse_if_in_use
from recorder.model import Clock, Header, Mode
from recorder.numbers import Numbers
from recorder.recording import (
    EntryWriter,
    FlightRecorder,
    Reader,
    Rotation,
    Saved,
    Series,
    Writer,
    find_parts,
    name_and_suffix,
    part_path,
    parts_to_resume,
)
from recorder.redaction.options import RedactionOptions
from recorder.sink import Sink, live_header, wall_clock_ns, wall_clock_text

__all__ = ["LiveRecording", "OutputOptions"]

_ROTATE_BYTES: Final = 100_000_000
"""The size of parts where only ``--max-disk`` is given, unless that is small."""


class OutputOptions(msgspec.Struct, frozen=True):
    """Where to write, in how many files, and what is kept."""

    path: Path
    force: bool = False
    resume: bool = False
    rotate_size_bytes: int | None = None
    rotate_every_s: float | None = None
    max_disk_bytes: int | None = None
    keep_last_s: float | None = None

    @property
    def rotation(self) -> Rotation | None:
        """When parts are ended; None if the recording is one file."""
        size_bytes = self.rotate_size_bytes
        if size_bytes is None and self.max_disk_bytes is not None:
            size_bytes = min(_ROTATE_BYTES, self.max_disk_bytes // 10)
        if size_bytes is None and self.rotate_every_s is None:
            return None
        every_s = self.rotate_every_s
        return Rotation(
            size_bytes=size_bytes,
            every_ns=None if every_s is None else round(every_s * 1e9),
            max_disk_bytes=self.max_disk_bytes,
        )

    def open(self, redaction: RedactionOptions, *, mode: Mode, upstream: str) -> LiveRecording:
        """Begin a recording, or go on with one. What a flight recorder that died left is saved, and
        told on stderr.

        The caller closes it. Raises OutputExists if the file is there or in use; DiskFailed; and
        where a recording is to be gone on with, or what was left is to be saved, CannotRead and
        RecordingError.
        """
        return (
            _resumed(self, redaction, mode, upstream)
            if self.resume
            else _begun(self, redaction, mode, upstream)
        )


class LiveRecording:
    """A recording that is being made. ``sink`` takes its entries.

    ``first_connection`` and ``first_exchange`` are the numbers to go on with: 1, or those after the
    highest that a resumed recording has used.

    *Resource handling:* :meth:`close` in any case; after a failure that is none of ours
    :meth:`abort`.
    """

    def __init__(
        self,
        output: OutputOptions,
        sink: Sink,
        writer: EntryWriter,
        *,
        numbers: Numbers | None = None,
        replacing: Path | None = None,
        former: Former | None = None,
        flight: FlightRecorder | None = None,
    ) -> None:
        self.output = output
        self.sink = sink
        self.first_connection: Final = 1 if numbers is None else numbers.connection + 1
        self.first_exchange: Final = 1 if numbers is None else numbers.exchange + 1
        self._writer = writer
        self._resumed = numbers is not None
        self._replacing = replacing
        self._former = former
        self._attempt: list[Path] = []
        self._flight = flight
        self._saved: list[Saved] = []

    @property
    def keeps(self) -> bool:
        """Whether only the last minutes are kept, so that :meth:`save` can save them."""
        return self._flight is not None

    def size_bytes(self) -> int:
        """How much of this recording is on the disk now, or on its way there."""
        return self._writer.size_bytes

    async def save(self) -> Saved:
        """Save what just happened as a recording of its own, while recording goes on.

        Raises DiskFailed, CannotRead or OutputExists if that fails, and ValueError unless
        :attr:`keeps`. What redaction still holds is not in it.
        """
        if self._flight is None:
            raise ValueError("nothing is kept to be saved: --keep-last was not given")
        with self._flight.begin_save() as parts:
            saved = await trio.to_thread.run_sync(self._flight.save, parts, time.time_ns())
        self._saved.append(saved)
        return saved

    def keep(self) -> None:
        """What is recorded is worth keeping: with --force it replaces the old recording now. Does
        nothing the second time. Raises DiskFailed.
        """
        if self._former is not None:
            former, self._former = self._former, None
            former.remove()
        if self._replacing is None:
            return
        try:
            # A link is followed: what it points to is replaced, not the link.
            os.replace(self._replacing, self.output.path.resolve())
        except OSError as exc:
            raise DiskFailed(
                f"{self.output.path} cannot be replaced: {exc.strerror}; the new recording is in "
                f"{self._replacing}"
            ) from exc
        self._replacing = None

    def close(self, failure: RecorderError | None) -> None:
        """End the recording, ``failure`` being why it ended, if it was one.

        What a flight recorder keeps is saved. An empty recording is removed: it would only be in
        the way, and replaces nothing. Raises DiskFailed, unless there was a failure before.
        """
        try:
            try:
                self.sink.close()
            except RecorderError:
                self.sink.abort()
                raise
            if failure is None and not self._is_empty:
                self.keep()
        except RecorderError:
            if failure is None:
                raise
        finally:
            if self._flight is not None:
                self._close_flight(self._flight, failure)
            else:
                if self._is_empty:
                    self._remove_empty()
                self._put_back()

    def abort(self) -> None:
        """Close without an ``end``. What a flight recorder keeps stays, and is saved at the next
        start.
        """
        self.sink.abort()
        if self._flight is not None:
            self._flight.close()
        self._put_back()

    def summary(self) -> list[str]:
        """What was written, in lines for a person."""
        entries = f"{self.sink.entries} entries" + (" more" if self._resumed else "")
        if self._flight is not None:
            return [f"{saved.path}: {saved.words}" for saved in self._saved] or ["nothing was kept"]
        if self._is_empty:
            return ["nothing was recorded"]
        if self._attempt:
            return [f"{_span(self._attempt)}: {entries}; {self.output.path} was left as it was"]
        if isinstance(self._writer, Series):
            return _summary_of(self._writer, self.output.path, entries)
        if self._replacing is not None:
            return [
                f"{self._replacing}: {entries}; {self.output.path} was left as it was",
            ]
        return [f"{self.output.path}: {entries}"]

    def _close_flight(self, flight: FlightRecorder, failure: RecorderError | None) -> None:
        try:
            if self.sink.entries:
                self._saved.append(flight.save_all(time.time_ns()))
            else:
                flight.discard()
        except RecorderError:
            if failure is None:
                raise
        finally:
            flight.close()

    @property
    def _is_empty(self) -> bool:
        return not self.sink.entries and not self._resumed

    def _put_back(self) -> None:
        """What was set aside and not replaced is as it was. Where that fails it is told: nothing is
        lost.
        """
        if self._former is None:
            return
        former, self._former = self._former, None
        try:
            self._attempt = former.put_back()
        except DiskFailed as error:
            say(f"error: {error}")

    def _remove_empty(self) -> None:
        if isinstance(self._writer, Series):
            part_path(self.output.path, self._writer.part).unlink(missing_ok=True)
        else:
            (self._replacing or self.output.path.resolve()).unlink(missing_ok=True)
            self._replacing = None


def _summary_of(series: Series, path: Path, entries: str) -> list[str]:
    last = part_path(path, series.part)
    kept = [part.path for part in series.ring.parts]
    lines = [f"{_span([*kept, last])}: {entries}"]
    if series.ring.removed:
        lines.append(f"{series.ring.removed} older parts were removed to make room")
    lines += [
        f"{foreign} is no part of it any more and was left" for foreign in series.ring.foreign
    ]
    return lines


def _span(parts: list[Path]) -> str:
    return f"{parts[0]} to {parts[-1].name}" if len(parts) > 1 else f"{parts[0]}"


# Beginning


def _begun(
    output: OutputOptions, redaction: RedactionOptions, mode: Mode, upstream: str
) -> LiveRecording:
    started_ns, started_wall_ns = time.monotonic_ns(), time.time_ns()
    redactor = redaction.redactor()
    header = live_header(mode, upstream, redactor, started_wall_ns=started_wall_ns)

    def recording(writer: EntryWriter, **more: Any) -> LiveRecording:
        sink = Sink(writer, redactor, started_ns=started_ns)
        return LiveRecording(output, sink, writer, **more)

    def counts() -> Mapping[str, int]:
        return redactor.counts

    path = output.path
    if output.keep_last_s is not None:
        flight, left = FlightRecorder.open(
            path,
            header,
            SoFar(),
            round(output.keep_last_s * 1e9),
            max_disk_bytes=output.max_disk_bytes,
        )
        flight.series.counts = counts
        if left is not None:
            say(f"a recorder died here before: what it kept is saved in {left.path} ({left.words})")
        return recording(flight.series, flight=flight)
    if output.rotation is not None:
        # The old parts are gone only once there is something to replace them with.
        former = Former.set_aside(path, header.id) if output.force else None
        try:
            series = Series.create(path, header, SoFar(), output.rotation)
        except BaseException as exc:
            if former is not None:
                if isinstance(exc, DiskFailed):
                    part_path(path, 1).unlink(missing_ok=True)
                former.put_back()
            raise
        series.counts = counts
        return recording(series, former=former)
    if not (output.force and path.is_file()):
        return recording(Writer.create(path, header, force=output.force))
    # The old recording is gone only once there is something to replace it with.
    final = path.resolve()
    refuse_if_in_use(final)
    name, suffix = name_and_suffix(final)
    beside = final.with_name(f"{name}.new{suffix}")
    return recording(Writer.create(beside, header, force=True), replacing=beside)


# Going on


def _resumed(
    output: OutputOptions, redaction: RedactionOptions, mode: Mode, upstream: str
) -> LiveRecording:
    path = output.path
    parts = find_parts(path)
    in_parts = bool(parts) and not path.exists()
    if in_parts:
        header = parts_to_resume(path)[1]
    else:
        with Reader(path) as reader:
            header = reader.header
    if not in_parts and output.rotation is not None:
        raise OutputExists(f"{path} is one file: go on with it without rotation, or choose another")
    started_wall_ns = _check(path, header, redaction, mode, upstream)
    wall_ns = time.time_ns()
    numbers = Numbers()
    series: Series | None = None
    writer: EntryWriter
    if in_parts:
        fold = SoFar(numbers)
        # Without limits it goes on in the last part.
        series = writer = Series.resume(
            path, fold, output.rotation or Rotation(), wall=wall_clock_text(wall_ns)
        )
    else:
        writer = Writer.resume(path, wall=wall_clock_text(wall_ns), watch=numbers.feed)
    redactor = redaction.redactor(numbers.marks)
    if series is not None:
        series.counts = lambda: redactor.counts
    # The wall clock tells how long nobody recorded; where it was stepped back, offsets go on from
    # the last one.
    offset_ns = max(wall_ns - started_wall_ns, writer.offset_ns or 0)
    sink = Sink(writer, redactor, started_ns=time.monotonic_ns() - offset_ns)
    sink.write([Clock(offset_ns=sink.now_ns(), wall=wall_clock_text(wall_ns))])
    return LiveRecording(output, sink, writer, numbers=numbers)


def _check(
    path: Path, header: Header, redaction: RedactionOptions, mode: Mode, upstream: str
) -> int:
    """When a recording that can be gone on with like this was started, in nanoseconds since 1970.
    Raises RecordingError.
    """
    redactor = redaction.redactor()
    now = redactor.redact_header(msgspec.structs.replace(header, mode=mode, upstream=upstream))
    for what, there, here in (
        ("mode", header.mode, mode),
        ("upstream", header.upstream, now.upstream),
        ("redaction", header.redaction.profile, now.redaction.profile),
        ("key of redaction", header.redaction.key_id, now.redaction.key_id),
        ("timing", header.timing, "measured"),
    ):
        if there != here:
            raise RecordingError(
                f"{path} cannot be gone on with: its {what} is {there or 'none'}, not "
                f"{here or 'none'}; record as it was recorded, or to another name"
            )
    try:
        return wall_clock_ns(header.started_at)
    except ValueError as exc:
        raise RecordingError(f"{path} cannot be gone on with: its started_at is no time") from exc
