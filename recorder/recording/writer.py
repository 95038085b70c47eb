"""Write a recording: append whole lines, flush, sync, end it; go on with one that was cut short.

A line goes through three places: the writer's memory (until it is flushed: 100 ms), the operating
system (until it is synced: 1 s), the disk. A crash of the program loses what is in the first, a
crash of the machine what is in the first two. The writer itself waits for nothing:
:func:`recorder.recording.keep_durable` calls it when something is due.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Final, TypeVar

from recorder.errors import DiskFailed
from recorder.model import End, Header, KnownEntry, Resume, UnknownEntry, encode_bytes
from recorder.recording.files import File, OsFile, create_locked, open_locked, sync_folder
from recorder.recording.reader import MAX_LINE_BYTES
from recorder.recording.resuming import read_through, tail_of
from recorder.recording.v1 import encode_entry, encode_header, with_seq
from recorder.recording.zstd_frames import FrameWriter

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["FLUSH_INTERVAL_S", "SYNC_INTERVAL_S", "Writer"]

FLUSH_INTERVAL_S: Final = 0.1
SYNC_INTERVAL_S: Final = 1.0
_MAX_HELD_BYTES: Final = 256 * 1024

_E = TypeVar("_E", bound="KnownEntry | UnknownEntry")


def _do_nothing() -> None:
    return None


def _ignore(what: object) -> None:
    return None


class Writer:
    """Appends entries to one recording; made by :meth:`create` or :meth:`resume`.

    *Error handling.* When the disk is full or fails, DiskFailed says :attr:`kept`, and from then on
    everything raises DiskFailed: a recorder that cannot record must not look as if it did.
    ValueError is a bug of the caller.

    *Resource handling.* The file is open, and locked against a second writer, until :meth:`close`,
    which writes the ``end``, or :meth:`abort`, which does not. As a context manager it is closed on
    success and aborted on an exception.

    *Threads.* All methods belong to one thread, except :meth:`sync`, which may run in another one
    meanwhile.
    """

    def __init__(
        self,
        file: File,
        name: str,
        *,
        compressed: bool,
        timed: bool,
        begun: bool,
        entries: int,
        seq: int,
        offset_ns: int | None,
        digest: _Hash,
        flush_interval_s: float,
        sync_interval_s: float,
        clock: Callable[[], int],
    ) -> None:
        self.name: Final = name
        self.on_write: Callable[[], None] = _do_nothing
        """Called when a line comes to be unflushed and none was before: a timer has to be set for
        it.
        """
        self.before_append: Callable[[int], None] = _ignore
        """Called with how many bytes will be appended to the file, before they are."""
        self._file = file
        self._position = 0
        self._frames = FrameWriter(at_start=not begun) if compressed else None
        self._timed = timed
        self._digest = digest
        self._flush_interval_ns = round(flush_interval_s * 1e9)
        self._sync_interval_ns = round(sync_interval_s * 1e9)
        self.clock: Final = clock
        self._entries = entries
        self._seq = seq
        self._offset_ns = offset_ns
        self._lines: list[bytes] = []
        self._held_bytes = 0
        self._first_held: tuple[int | None, int] = (self._offset_ns, 0)
        self._flushed_entries = self._synced_entries = self._entries
        self._unflushed_since_ns: int | None = None
        self._unsynced_since_ns: int | None = None
        self._folder_to_sync: Callable[[], None] | None = None
        self._failed: str | None = None
        self._ended = False
        self._closed = False
        self._sync_lock = threading.Lock()

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        header: Header,
        *,
        force: bool = False,
        compress: bool | None = None,
        seq: int = 0,
        offset_ns: int = 0,
        durable: bool = True,
        flush_interval_s: float = FLUSH_INTERVAL_S,
        sync_interval_s: float = SYNC_INTERVAL_S,
        clock: Callable[[], int] = time.monotonic_ns,
        file_of: Callable[[int], File] = OsFile,
    ) -> Writer:
        """Make the file and write its header, down to the disk.

        ``compress`` is told by the suffix ``.zst`` if it is None. ``seq`` and ``offset_ns`` are
        those of the entry before the first, in a further part of a series. Without ``durable`` the
        header is only held, and synced with what follows, the folder too. ``clock`` gives monotonic
        nanoseconds. ``file_of`` makes a :class:`File` of the open descriptor.

        Raises OutputExists if there is such a file and not ``force``, if another writer has it
        open, or if it cannot be made; DiskFailed if the header cannot be written.
        """
        name = os.fspath(path)
        file = file_of(create_locked(name, force=force))
        timed = header.timing == "measured"
        writer = cls(
            file,
            name,
            compressed=name.endswith(".zst") if compress is None else compress,
            timed=timed,
            begun=False,
            entries=0,
            seq=seq,
            offset_ns=offset_ns if timed else None,
            digest=hashlib.sha256(),
            flush_interval_s=flush_interval_s,
            sync_interval_s=sync_interval_s,
            clock=clock,
        )
        try:
            writer._hold(encode_header(header), None, 0)
            if not durable:
                writer._folder_to_sync = partial(sync_folder, name, file_of)
                return writer
            writer.flush()
            writer.sync()
            sync_folder(name, file_of)
        except OSError as exc:
            file.close()
            raise writer._fail(exc) from exc
        except BaseException:
            file.close()
            raise
        return writer

    @classmethod
    def resume(
        cls,
        path: str | os.PathLike[str],
        *,
        wall: str,
        watch: Callable[[KnownEntry | UnknownEntry], None] = _ignore,
        flush_interval_s: float = FLUSH_INTERVAL_S,
        sync_interval_s: float = SYNC_INTERVAL_S,
        clock: Callable[[], int] = time.monotonic_ns,
        file_of: Callable[[int], File] = OsFile,
    ) -> Writer:
        """Go on with a recording that was cut short, or ended; a ``resume`` entry is written first,
        down to the disk.

        ``wall`` is the wall clock now (``started_at``'s spelling). The torn tail is cut, nothing
        else, and kept in the ``resume`` as far as it could be read (64 KiB of it). ``watch`` is
        called with each entry that is there, and with the ``resume``.

        Raises CannotRead if there is no such file; OutputExists if another writer has it open;
        RecordingError if it is no recording, or damaged before its tail (CorruptRecording);
        DiskFailed if it cannot be written to.
        """
        name = os.fspath(path)
        file = file_of(open_locked(name))
        try:
            reader, digest = read_through(name, watch)
            standing = reader.standing()
            position, mending = tail_of(name, standing)
            writer = cls(
                file,
                name,
                compressed=standing.compressed,
                timed=reader.header.timing == "measured",
                begun=True,
                entries=standing.entries,
                seq=standing.seq,
                offset_ns=standing.offset_ns,
                digest=digest,
                flush_interval_s=flush_interval_s,
                sync_interval_s=sync_interval_s,
                clock=clock,
            )
            # Whoever wrote them may have been killed before they were synced.
            writer._synced_entries = 0
            begun = encode_bytes(standing.begun) if standing.begun else {}
            watch(
                writer._add(
                    Resume(
                        offset_ns=standing.offset_ns,
                        wall=wall,
                        cut_bytes=reader.torn.bytes_lost if reader.torn else 0,
                        text=begun.get("text"),
                        base64=begun.get("base64"),
                    )
                )
            )
            writer._put_tail(position, mending)
        except BaseException:
            file.close()
            raise
        return writer

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    @property
    def offset_ns(self) -> int | None:
        """The highest offset so far; the next entry's may not be lower. None where the recording
        has no timing.
        """
        return self._offset_ns

    @property
    def seq(self) -> int:
        """The ``seq`` of the last entry."""
        return self._seq

    @property
    def entries(self) -> int:
        """How many entries the file has, those that are still held too."""
        return self._entries

    @property
    def size_bytes(self) -> int:
        """How big the file is, with what is held in the size that it has uncompressed."""
        return self._position + self._held_bytes

    @property
    def written_bytes(self) -> int:
        """How big the file is, without what is held."""
        return self._position

    @property
    def kept(self) -> str:
        """In words, how many entries are on the disk, and how many of those after them the
        operating system was given: at least so many, where a compressed write was cut short.
        """
        synced = self._synced_entries
        handed = self._flushed_entries - synced
        more = f", {handed} more were handed to the system and may be" if handed else ""
        return f"its first {synced} entries are on the disk{more}"

    @property
    def sha256(self) -> str:
        """The sha256 of all lines so far; flushes them. Raises DiskFailed."""
        self.flush()
        return self._digest.hexdigest()

    @property
    def due_ns(self) -> int | None:
        """When, on the writer's clock, :meth:`flush` has to be called. None if nothing is
        unflushed.
        """
        since = self._unflushed_since_ns
        return None if since is None else since + self._flush_interval_ns

    @property
    def sync_due_ns(self) -> int | None:
        """When, on the writer's clock, :meth:`flush` and :meth:`sync` have to be called. None if
        all is on the disk.
        """
        unsynced = self._unsynced_since_ns
        since = self._unflushed_since_ns if unsynced is None else unsynced
        return None if since is None else since + self._sync_interval_ns

    def write(self, entry: _E) -> _E:
        """Append an entry; return it with the ``seq`` that it got. Flushes if something is due or
        256 KiB are held.

        Raises ValueError, and writes nothing, if ``offset_ns`` is lower than the last one or does
        not fit the header's ``timing``, if the entry is an ``end`` (:meth:`close` writes it), holds
        a lone surrogate, or makes too long a line. Raises DiskFailed.
        """
        if type(entry) is End:
            raise ValueError("close() writes the `end`")
        entry = self._add(entry)
        self._flush_if_due()
        return entry

    def write_line(self, line: bytes, offset_ns: int | None) -> None:
        """Append an entry of this ``offset_ns`` as the line that it is already, without its line
        end; its ``seq`` is the next one. Nothing of that is checked. Raises DiskFailed.
        """
        self._refuse_if_failed()
        self._seq += 1
        self._hold(line, offset_ns, self._seq)
        self._entries += 1
        self._offset_ns = offset_ns
        self._flush_if_due()

    def flush(self) -> None:
        """Hand every line to the operating system. Does nothing if there is none. Raises
        DiskFailed.
        """
        self._refuse_if_failed()
        if self._lines:
            self._put(self._take_held())

    def sync(self) -> None:
        """Return once everything flushed is on the disk. Does nothing if it is. Raises DiskFailed.

        May run in another thread while the writer is used: whatever is flushed meanwhile is due for
        a later sync.
        """
        with self._sync_lock:
            self._refuse_if_failed()
            if self._closed or self._unsynced_since_ns is None:
                return
            entries = self._flushed_entries
            # Before the sync, not after: a flush that sets it again meanwhile must not be
            # forgotten.
            self._unsynced_since_ns = None
            try:
                self._file.sync()
                if self._folder_to_sync is not None:
                    self._folder_to_sync()
                    self._folder_to_sync = None
            except OSError as exc:
                # Never tried again: after a failed sync the system may have dropped the pages, and
                # the next one succeed.
                raise self._fail(exc) from exc
            self._synced_entries = entries

    def tick(self, now_ns: int) -> None:
        """Do what the offset ``now_ns`` alone asks for: nothing, where a recording is one file."""

    def end(
        self, redaction: Mapping[str, int] | None = None, *, offset_ns: int | None = None
    ) -> None:
        """Write the ``end`` and flush it; :meth:`close` or :meth:`abort` is all that may follow.

        ``redaction`` counts what was replaced, by rule; ``offset_ns`` is that of the ``end``, the
        last entry's if None. Raises DiskFailed, and ValueError as :meth:`write` does.
        """
        # The `end` is not part of what its digest vouches for.
        sha256 = self.sha256
        self._add(
            End(
                offset_ns=self._offset_ns if offset_ns is None else offset_ns,
                entries=self._entries + 1,
                redaction=dict(redaction or {}),
                sha256=sha256,
            )
        )
        self._ended = True
        self._put_rest()

    def close(
        self, redaction: Mapping[str, int] | None = None, *, offset_ns: int | None = None
    ) -> None:
        """Write the ``end`` if :meth:`end` did not, flush, sync and close. Does nothing when closed
        already.

        The arguments are those of :meth:`end`. Raises DiskFailed, and ValueError as :meth:`write`
        does; the file is closed in any case.
        """
        if self._closed:
            return
        try:
            if not self._ended:
                self.end(redaction, offset_ns=offset_ns)
            self.sync()
        finally:
            self._release()

    def abort(self) -> None:
        """Flush what is held, sync and close, without an ``end``. After a failure it only closes.
        Raises DiskFailed.
        """
        if self._closed:
            return
        try:
            if self._failed is None:
                self._put_rest()
                self.sync()
        finally:
            self._release()

    def _put_rest(self) -> None:
        data = self._take_held() if self._lines else b""
        if self._frames is not None:
            data += self._frames.finish()
        self._put(data)

    def _flush_if_due(self) -> None:
        since = self._unflushed_since_ns
        if self._held_bytes >= _MAX_HELD_BYTES or (
            since is not None and self.clock() - since >= self._flush_interval_ns
        ):
            self.flush()

    def _release(self) -> None:
        # The lock waits for a sync in another thread: a closed descriptor's number may belong to
        # another file at once.
        with self._sync_lock:
            self._closed = True
            self._lines.clear()
            self._unflushed_since_ns = self._unsynced_since_ns = None
            self._file.close()

    def _add(self, entry: _E) -> _E:
        """Check an entry, give it its seq and hold its line."""
        self._refuse_if_failed()
        if self._closed or self._ended:
            raise ValueError(f"{self.name} is closed")
        offset_ns = entry.offset_ns
        if (offset_ns is not None) != self._timed:
            raise ValueError(f"offset_ns is {offset_ns}, which does not fit the header's timing")
        if offset_ns is not None and self._offset_ns is not None and offset_ns < self._offset_ns:
            raise ValueError(
                f"offset_ns {offset_ns} is before {self._offset_ns}, that of the last entry"
            )
        entry = with_seq(entry, self._seq + 1)
        self._hold(encode_entry(entry), offset_ns, entry.seq)
        self._entries += 1
        self._seq = entry.seq
        self._offset_ns = offset_ns
        return entry

    def _hold(self, line: bytes, offset_ns: int | None, seq: int) -> None:
        if len(line) > MAX_LINE_BYTES:
            raise ValueError(f"a line has at most {MAX_LINE_BYTES} bytes, not {len(line)}")
        self._lines.append(line)
        self._held_bytes += len(line) + 1
        if self._unflushed_since_ns is None:
            self._unflushed_since_ns = self.clock()
            self._first_held = offset_ns, seq
            self.on_write()

    def _take_held(self) -> bytes:
        """The held lines as the bytes to append."""
        self._lines.append(b"")
        lines = b"\n".join(self._lines)
        self._lines.clear()
        self._held_bytes = 0
        self._digest.update(lines)
        if self._frames is None:
            return lines
        offset_ns, seq = self._first_held
        return self._frames.add(lines, offset_ns=offset_ns, seq=seq)

    def _put(self, data: bytes) -> None:
        if data:
            self.before_append(len(data))
        view = memoryview(data)
        try:
            while view:
                # One call takes it all, but on a disk that is about to be full.
                written = self._file.write(view, self._position)
                self._position += written
                view = view[written:]
        except OSError as exc:
            self._flushed_entries += self._entries_in(data[: len(data) - len(view)])
            raise self._fail(exc) from exc
        self._flushed_entries = self._entries
        # After the write: sync() in another thread clears this first and syncs then.
        if self._unsynced_since_ns is None:
            self._unsynced_since_ns = self._unflushed_since_ns
        self._unflushed_since_ns = None

    def _entries_in(self, begun: bytes) -> int:
        """How many entries end in the part of the last write that was taken; of a compressed one
        that is not known.
        """
        if self._frames is not None:
            return 0
        # The first line of the file is the header.
        lines = begun.count(b"\n") - (self._position == len(begun))
        return max(lines, 0)

    def _put_tail(self, position: int, mending: bytes) -> None:
        """Put what mends the torn tail, and the held ``resume``, over that tail.

        In one write, and before the file is cut: lines that are readable still, and are part of
        ``mending``, exist at no moment in memory alone, so that being killed here loses none.
        """
        self._position = position
        self._put(mending + self._take_held())
        try:
            self._file.truncate(self._position)
        except OSError as exc:
            raise self._fail(exc) from exc
        self.sync()

    def _fail(self, exc: OSError) -> DiskFailed:
        self._failed = (
            f"{self.name}: writing failed: {exc.strerror}; {self.kept}; make room, or mend the disk"
        )
        self._unflushed_since_ns = self._unsynced_since_ns = None
        return DiskFailed(self._failed)

    def _refuse_if_failed(self) -> None:
        if self._failed is not None:
            raise DiskFailed(self._failed)
