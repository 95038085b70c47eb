"""Write a recording as a series of parts, each a whole recording that plays alone.

A cut is made in this order: the old part is flushed; the new one is made, with its header and
``checkpoint``; only then the old one gets its ``end``. A crash in between leaves an old part
without ``end`` and nothing lost; a disk that is full leaves the old part as it was. The disk is not
waited for: a part that was ended is synced and closed by the next :meth:`Series.sync`, so that the
promises of durability are those of a single file.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol, TypedDict, TypeVar, Unpack

import msgspec

from recorder.errors import CannotRead, DiskFailed, OutputExists, RecordingError
from recorder.model import Checkpoint, Header, KnownEntry, Note, UnknownEntry
from recorder.model import Series as SeriesOfHeader
from recorder.recording.files import File
from recorder.recording.parts import find_parts, is_stillborn, part_path
from recorder.recording.reader import Reader
from recorder.recording.ring import Part, Ring
from recorder.recording.writer import Writer

__all__ = ["Fold", "Rotation", "Series", "WriterOptions", "parts_to_resume"]

_LONGEST_WAIT_NS: Final = 1_000_000_000
_MOST_RETIRED: Final = 4

_E = TypeVar("_E", bound="KnownEntry | UnknownEntry")


class Fold(Protocol):
    """What knows what the entries so far amount to; :class:`recorder.checkpoint.SoFar`."""

    @property
    def unfinished(self) -> bool:
        """Whether a message is under way."""

    def feed(self, entry: KnownEntry | UnknownEntry) -> None:
        """Take an entry as it was written."""

    def checkpoint(self, offset_ns: int | None) -> Checkpoint:
        """The entry that opens a further part."""


class Rotation(msgspec.Struct, frozen=True):
    """When a part is ended, and how long it is kept.

    A part is ended at ``size_bytes`` (or at twice what its checkpoint takes, if that is more), or
    ``every_ns`` after it began. What is on the disk stays at or below ``max_disk_bytes``, as far as
    that is possible with the part that is written and one whole one; ``keep_ns`` removes parts
    whose entries are all older. None sets no limit.
    """

    size_bytes: int | None = None
    every_ns: int | None = None
    max_disk_bytes: int | None = None
    keep_ns: int | None = None


class WriterOptions(TypedDict, total=False):
    """The keyword arguments of :meth:`Writer.create` that hold for every part."""

    flush_interval_s: float
    sync_interval_s: float
    clock: Callable[[], int]
    file_of: Callable[[int], File]


class Series:
    """Appends entries to a series; made by :meth:`create` or :meth:`resume`. It is used as a
    :class:`~recorder.recording.Writer` is, with the same errors, and the same rules for threads and
    closing. ``options`` are those of every part's writer.

    A part is ended between messages, or inside one that is still unfinished a second, or a
    sixteenth of the size, after the part had to end; its beginning then stands in the checkpoint.
    Where parts were removed for room, the next part says so in a ``note``.
    """

    def __init__(
        self,
        path: Path,
        writer: Writer,
        header: Header,
        fold: Fold,
        rotation: Rotation,
        ring: Ring,
        options: WriterOptions,
    ) -> None:
        assert header.series is not None
        self.name: Final = os.fspath(path)
        self.on_write: Callable[[], None] = _do_nothing
        """As :attr:`Writer.on_write`."""
        self.clock: Final = writer.clock
        self.counts: Callable[[], Mapping[str, int]] = dict
        """Gives what was redacted so far, by rule: an ``end`` says what was new in its part."""
        self.ring: Final = ring
        self.part: int = header.series.part
        """The number of the part that is being written."""
        self._path = path
        self._header = header
        self._fold = fold
        self._rotation = rotation
        self._said: dict[str, int] = {}
        self._options = options
        self._to_note: list[int] = []
        self._retired: list[Writer] = []
        self._failed: str | None = None
        self._closed = False
        self._sync_lock = threading.Lock()
        self._writer: Writer
        self._writing: list[Writer]
        self._began_ns: int
        self._first_entries: int
        self._cut_bytes: int
        self._cut_ns: int
        self._every_ns: int
        self._wait_ns: int
        self._write_to(writer, writer.offset_ns or 0)

    @classmethod
    def create(
        cls,
        path: Path,
        header: Header,
        fold: Fold,
        rotation: Rotation,
        **options: Unpack[WriterOptions],
    ) -> Series:
        """Make the first part, down to the disk. ``header`` is that of all parts; its ``id`` names
        the series, and its timing is ``measured``.

        Raises OutputExists if there is a file of that name or of a part of it, or if none can be
        made; DiskFailed.
        """
        taken = [path] if path.exists() else [found for _, found in find_parts(path)]
        if taken:
            raise OutputExists(
                f"{taken[0]} exists already: choose another name, or overwrite it with --force"
            )
        header = msgspec.structs.replace(header, series=SeriesOfHeader(id=header.id, part=1))
        writer = Writer.create(part_path(path, 1), header, **options)
        ring = Ring(header.id, [])
        return cls(path, writer, header, fold, rotation, ring, options)

    @classmethod
    def resume(
        cls,
        path: Path,
        fold: Fold,
        rotation: Rotation,
        *,
        wall: str,
        **options: Unpack[WriterOptions],
    ) -> Series:
        """Go on in the last part, as :meth:`Writer.resume` does; a part that was begun and never
        got an entry is removed first. ``fold`` is new, and is fed what that part holds.

        Raises what :meth:`Writer.resume` raises.
        """
        parts, header = parts_to_resume(path)
        assert header.series is not None
        _, last = parts.pop()
        writer = Writer.resume(last, wall=wall, watch=fold.feed, **options)
        ring = Ring(
            header.series.id,
            [Part(part, found, found.stat().st_size, None) for part, found in parts],
        )
        return cls(path, writer, header, fold, rotation, ring, options)

    @property
    def offset_ns(self) -> int | None:
        """As :attr:`Writer.offset_ns`."""
        return self._writer.offset_ns

    @property
    def due_ns(self) -> int | None:
        """As :attr:`Writer.due_ns`."""
        return self._writer.due_ns

    @property
    def sync_due_ns(self) -> int | None:
        """As :attr:`Writer.sync_due_ns`."""
        dues = [writer.sync_due_ns for writer in (*self._retired, self._writer)]
        return min((due for due in dues if due is not None), default=None)

    @property
    def size_bytes(self) -> int:
        """How big all parts are that are on the disk."""
        return self.ring.size_bytes + self._writer.size_bytes

    def write(self, entry: _E) -> _E:
        """As :meth:`Writer.write`; before the entry the part is ended if it has to be."""
        self._refuse_if_failed()
        writer = self._writer
        at_ns = entry.offset_ns or 0
        if writer.entries == self._first_entries:
            # It begins with what comes first.
            self._cut_ns = max(self._cut_ns, at_ns + self._every_ns)
        elif writer.size_bytes >= self._cut_bytes or at_ns >= self._cut_ns:
            overdue = (
                writer.size_bytes >= self._cut_bytes * 17 // 16
                or at_ns >= self._cut_ns + self._wait_ns
            )
            if overdue or not self._fold.unfinished:
                self.cut(max(at_ns, writer.offset_ns or 0))
        entry = self._writer.write(entry)
        self._fold.feed(entry)
        return entry

    def flush(self) -> None:
        """As :meth:`Writer.flush`."""
        self._refuse_if_failed()
        self._writer.flush()

    def sync(self) -> None:
        """As :meth:`Writer.sync`; parts that were ended are closed."""
        with self._sync_lock:
            self._refuse_if_failed()
            try:
                while self._retired:
                    self._retired[0].close()
                    del self._retired[0]
                self._writer.sync()
            except DiskFailed as exc:
                self._failed = str(exc)
                raise

    def tick(self, now_ns: int) -> None:
        """Do what the offset ``now_ns`` alone asks for: end a part that lasted long enough, if it
        has an entry of its own; remove parts that are too old. Raises DiskFailed.
        """
        self._refuse_if_failed()
        writer = self._writer
        if now_ns >= self._cut_ns and writer.entries > self._first_entries:
            overdue = now_ns >= self._cut_ns + self._wait_ns
            if overdue or not self._fold.unfinished:
                # Not later than the last entry: redaction may hold some that are older than now.
                self.cut(writer.offset_ns or 0)
                self._began_ns = now_ns
                self._cut_ns = now_ns + self._every_ns
        if self._rotation.keep_ns is not None:
            try:
                self.ring.forget(now_ns - self._rotation.keep_ns, self._began_ns)
            except DiskFailed as exc:
                self._failed = str(exc)
                raise

    def cut(self, offset_ns: int) -> None:
        """End the part at ``offset_ns``, which is not before the last entry, and begin the next.
        Raises DiskFailed.
        """
        old = self._writer
        try:
            new = self._make_next(old, offset_ns)
            try:
                old.end(self._new_counts(), offset_ns=offset_ns)
            except BaseException:
                _discard(new)
                raise
        except DiskFailed as exc:
            self._failed = str(exc)
            raise
        self._retired.append(old)
        self.ring.add(Part(self.part, Path(old.name), old.size_bytes, self._began_ns))
        self.part += 1
        self._write_to(new, offset_ns)
        # Only where nobody keeps this durable.
        if len(self._retired) > _MOST_RETIRED:
            self.sync()

    def close(
        self, redaction: Mapping[str, int] | None = None, *, offset_ns: int | None = None
    ) -> None:
        """As :meth:`Writer.close`. ``redaction`` counts over all parts."""
        if redaction is not None:
            self.counts = lambda: redaction
        with self._releasing():
            self._refuse_if_failed()
            if not self._closed:
                self._writer.end(self._new_counts(), offset_ns=offset_ns)

    def abort(self) -> None:
        """As :meth:`Writer.abort`."""
        with self._releasing():
            pass

    @contextmanager
    def _releasing(self) -> Iterator[None]:
        """Close everything at the end, the oldest part first."""
        with self._sync_lock, ExitStack() as closing:
            closing.callback(self._writer.abort)
            for writer in reversed(self._retired):
                closing.callback(writer.close)
            self._retired = []
            yield
            self._closed = True

    # Parts

    def _write_to(self, writer: Writer, began_ns: int) -> None:
        rotation = self._rotation
        writer.on_write = lambda: self.on_write()
        writer.before_append = self._make_room
        self._writer = writer
        # Whatever grows: at a cut the next part, too.
        self._writing = [writer]
        self._began_ns = began_ns
        self._first_entries = writer.entries
        self._cut_bytes = (
            sys.maxsize
            if rotation.size_bytes is None
            else max(rotation.size_bytes, 2 * writer.size_bytes)
        )
        self._every_ns = sys.maxsize if rotation.every_ns is None else rotation.every_ns
        self._cut_ns = began_ns + self._every_ns
        self._wait_ns = min(_LONGEST_WAIT_NS, self._every_ns // 4)

    def _make_next(self, old: Writer, offset_ns: int) -> Writer:
        """The next part, begun: its header, checkpoint and notes are handed to the system."""
        assert self._header.series is not None
        path = part_path(self._path, self.part + 1)
        header = msgspec.structs.replace(
            self._header,
            series=msgspec.structs.replace(
                self._header.series, part=self.part + 1, previous_sha256=old.sha256
            ),
        )
        new: Writer | None = None
        try:
            # The number between is that of the old part's `end`.
            new = Writer.create(
                path,
                header,
                seq=old.seq + 1,
                offset_ns=offset_ns,
                durable=False,
                **self._options,
            )
            self._writing.append(new)
            new.before_append = self._make_room
            new.write(self._fold.checkpoint(offset_ns))
            # What gives way to these bytes is told here, too; what gives way later, in the part
            # after this one.
            new.flush()
            if self._to_note:
                removed, self._to_note = self._to_note, []
                new.write(Note(offset_ns=offset_ns, text=self._removal(removed)))
                new.flush()
        except BaseException as exc:
            if new is not None:
                _discard(new)
            if not isinstance(exc, (DiskFailed, OutputExists)):
                raise
            raise DiskFailed(
                f"the next part cannot be begun: {exc}. Of {old.name}, the part before it, "
                f"{old.kept}"
            ) from exc
        return new

    def _make_room(self, size_bytes: int) -> None:
        """Before so many bytes are appended to a part, the old ones give way."""
        if self._rotation.max_disk_bytes is None:
            return
        open_bytes = sum(writer.written_bytes for writer in self._writing)
        try:
            removed = self.ring.make_room(open_bytes + size_bytes, self._rotation.max_disk_bytes)
        except DiskFailed as exc:
            self._failed = str(exc)
            raise
        self._to_note += [part.number for part in removed]

    def _removal(self, numbers: Sequence[int]) -> str:
        first, last = numbers[0], numbers[-1]
        parts = f"part {first} was" if first == last else f"parts {first} to {last} were"
        return (
            f"{parts} removed, so that all parts take at most {self._rotation.max_disk_bytes} bytes"
        )

    def _new_counts(self) -> dict[str, int]:
        """What was redacted since the last ``end``."""
        counts = dict(self.counts())
        new = {rule: n - self._said.get(rule, 0) for rule, n in counts.items()}
        self._said = counts
        return {rule: n for rule, n in new.items() if n > 0}

    def _refuse_if_failed(self) -> None:
        if self._failed is not None:
            raise DiskFailed(self._failed)


def parts_to_resume(path: Path) -> tuple[list[tuple[int, Path]], Header]:
    """The parts of the series at ``path`` that can be gone on with, and the header of the last one.

    A last part that was begun and never got an entry is removed. Raises CannotRead if there are
    none, RecordingError if they do not belong together.
    """
    parts = find_parts(path)
    while len(parts) > 1 and is_stillborn(parts[-1][1]):
        os.unlink(parts.pop()[1])
    if not parts:
        raise CannotRead(f"{path} has no parts to go on with: record without --resume first")
    part, last = parts[-1]
    with Reader(last) as reader:
        header = reader.header
    if header.series is None or header.series.part != part:
        raise RecordingError(
            f"{last} is called like part {part} of a series, and is none; move it away, or record "
            f"to another name"
        )
    return parts, header


def _discard(new: Writer) -> None:
    """Close a part that was begun and is not needed, and remove it."""
    with suppress(DiskFailed):
        new.abort()
    with suppress(OSError):
        os.unlink(new.name)


def _do_nothing() -> None:
    return None
