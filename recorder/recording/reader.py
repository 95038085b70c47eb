"""Read a recording: header, then entries one by one, in constant memory, plain or compressed.

Strategy: one generator turns the file into batches of whole lines (from 256 KiB of a plain file, or
a block of a compressed one), a second turns batches into entries and checks what only their order
can tell. What a crash leaves at the end, a torn line or a torn zstd frame, is no error but
reported; damage anywhere else raises, or is listed under salvage.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Generator, Iterator
from io import BytesIO
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

import msgspec

from recorder.errors import CannotRead, CorruptRecording, RecordingError
from recorder.model import End, Header, KnownEntry, UnknownEntry
from recorder.recording.digesting import DigestBeside
from recorder.recording.v1 import decode_entry, decode_header, decode_quickly
from recorder.recording.zstd_frames import Block, Gap, Tear, index_points, is_zstd, read_blocks

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["MAX_LINE_BYTES", "Damage", "Reader", "Standing", "Torn"]

MAX_LINE_BYTES: Final = 512 * 1024 * 1024
"""The longest line: a frame of 64 MiB fits even if JSON spells every byte of it in six."""

_Entries: TypeAlias = Generator[KnownEntry | UnknownEntry, None, None]

_CONTRACT_START: Final = re.compile(rb'\s*\{\s*"format"\s*:\s*"track-contract"')
_HAR_START: Final = re.compile(rb'\s*\{\s*"log"\s*:')
_CAPTURE: Final = re.compile(rb"HTTP/1\.[01] |Logged In")
_CHUNK_BYTES: Final = 256 * 1024
_KEPT_OF_TORN_BYTES: Final = 64 * 1024
_NOT_READ: Final = "it was not read to its end"
_CUT_SHORT: Final = "there is no `end`: the recording was cut short, or goes on still"


class Torn(msgspec.Struct, frozen=True):
    """What a crash left after the last whole line.

    ``bytes_lost`` counts the bytes that belong to no whole line: those of the begun line, as far as
    it could be decoded, and what follows it in the file. It is 0 where a compressed recording ends
    between two blocks. ``line`` is the number that the begun line has.
    """

    line: int
    bytes_lost: int
    why: str


class Damage(msgspec.Struct, frozen=True):
    """Something in the middle that could not be read, under salvage. ``line`` counts the lines that
    could be.
    """

    line: int
    why: str


class Standing(msgspec.Struct, frozen=True):
    """How far a recording that was read to its end has come: what a writer needs to go on with it.

    ``lines_end`` is where in a plain file the last whole line ends. ``torn_frame`` is where in a
    compressed one the torn frame begins, None if there is none, and ``frame_starts_line`` whether a
    line begins there. ``begun`` is the torn line, its first 64 KiB.
    """

    entries: int
    seq: int
    offset_ns: int | None
    lines_end: int
    compressed: bool
    torn_frame: int | None
    frame_starts_line: bool
    begun: bytes


class Reader:
    """The entries of the recording at ``path``, in order: a context manager, and an iterator for
    one pass.

    The header is read at once. Plain or zstd is told by the first bytes, not by the name. With
    ``salvage``, what is damaged in the middle (lines, zstd frames, the order of entries) is listed
    in ``damage`` and reading goes on after it. With ``verify`` the sha256 is taken in a thread
    while the entries are read, so that :attr:`why_incomplete` costs no second reading.

    *Error handling.* The constructor raises CannotRead if the file cannot be opened, RecordingError
    if it is no recording or ends before its first line does, UnsupportedVersion if it is too new,
    CorruptRecording if its header is wrong. Iteration raises CorruptRecording at damage (without
    ``salvage``), and CannotRead if the file cannot be read on.

    *Resource handling.* The file is open until :meth:`close` or the end of the ``with`` block.

    >>> import tempfile, pathlib
    >>> from recorder.model import Note, Redaction
    >>> from recorder.recording.writer import Writer
    >>> header = Header(
    ...     id="1", started_at="2026-11-22T17:00:00.000000000Z", tool="doc", mode="edit",
    ...     fidelity="wire", timing="measured", redaction=Redaction(profile="none"),
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "a.track.jsonl")
    ...     with Writer.create(path, header) as writer:
    ...         _ = writer.write(Note(offset_ns=5, text="hello"))
    ...     with Reader(path) as reader:
    ...         print([(entry.kind, entry.seq) for entry in reader], reader.complete)
    [('note', 1), ('end', 2)] True
    """

    def __init__(
        self, path: str | os.PathLike[str], *, salvage: bool = False, verify: bool = False
    ) -> None:
        self.name: Final = os.fspath(path)
        self.line = 1
        """The number of the line that was read last; the header is line 1."""
        self.torn: Torn | None = None
        """What is torn at the end, once that is reached."""
        self.damage: list[Damage] = []
        """What was passed over so far, under salvage."""
        self._salvage = salvage
        self._beside = DigestBeside() if verify else None
        self._standing: Standing | None = None
        self._whole_bytes = 0
        self._begun = b""
        self._frame = 0
        self._frame_starts_line = True
        self._verdict: str | None = _NOT_READ
        self._to_verify: tuple[int, str] | None = None
        self._file: BinaryIO = _open(self.name)
        try:
            start = self._file.read(4096)
            self._compressed = is_zstd(start)
            if not self._compressed:
                self._check_start(start)
            header, batches = self._read_header()
        except OSError as exc:
            self._file.close()
            raise self._unreadable(exc) from exc
        except BaseException:
            self._file.close()
            raise
        self.header: Final = header
        self._first_seq = 1 if self.header.series is None else None
        self._entries = self._read(batches, self._first_seq)

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._entries.close()
        self._file.close()
        self._verify_no_more()

    def __iter__(self) -> Iterator[KnownEntry | UnknownEntry]:
        return self._entries

    def __next__(self) -> KnownEntry | UnknownEntry:
        return next(self._entries)

    @property
    def complete(self) -> bool:
        """Whether an `end` was last and what it says is right. See :attr:`why_incomplete` for the
        cost.
        """
        return self.why_incomplete is None

    @property
    def why_incomplete(self) -> str | None:
        """What keeps the recording from being complete, None if nothing does; to be asked after the
        last entry.

        The first call reads the file once more, for the sha256 of the `end`, unless ``verify`` was
        asked for: hashing while reading takes a second processor, or the time of everyone who does
        not ask. Raises CannotRead if that fails.
        """
        if self._to_verify is not None:
            end_starts, expected = self._to_verify
            self._to_verify = None
            self._judge(self._hash(end_starts).hexdigest(), expected)
        return self._verdict

    def standing(self) -> Standing:
        """Where a recording that was iterated to its end stands. Raises ValueError before that."""
        if self._standing is None:
            raise ValueError(f"{self.name} was not read to its end")
        return self._standing

    def digest(self) -> _Hash:
        """The sha256 of the whole lines read so far, from a second reading. Raises CannotRead."""
        return self._hash(self._whole_bytes)

    def seek(self, offset_ns: int) -> None:
        """Go on at the first entry whose offset is ``offset_ns`` or later, forwards or backwards.

        A compressed recording is entered at the last indexed point before; a plain one is read from
        its start. What was not read cannot be vouched for: such a recording is not ``complete``.
        Raises ValueError if the recording has no timing, and what iteration raises.
        """
        if self.header.timing == "none":
            raise ValueError(f"{self.name} has no timing to seek by")
        self._entries.close()
        self._verify_no_more()
        self.torn, self._standing, self._to_verify, self._verdict = None, None, None, _NOT_READ
        self._whole_bytes = 0
        point = None
        try:
            if self._compressed:
                for found in index_points(self._file):
                    if found.offset_ns is None or found.offset_ns >= offset_ns:
                        break
                    point = found
            if point is None:
                self.line = 1
                entries = self._read(self._read_header()[1], self._first_seq)
            else:
                # A line an entry, and the header: exact where the recording is no later part of a
                # series.
                self.line = point.seq
                entries = self._read(self._batches(point.position), point.seq, from_start=False)
        except OSError as exc:
            raise self._unreadable(exc) from exc
        for entry in entries:
            if entry.offset_ns is not None and entry.offset_ns >= offset_ns:
                self._entries = _put_back(entry, entries)
                return
        self._entries = entries

    def _judge(self, found: str, expected: str) -> None:
        is_same = found == expected
        self._verdict = (
            None
            if is_same
            else "its sha256 is not what the `end` says: it was changed after it was recorded"
        )

    def _verify_no_more(self) -> None:
        if self._beside is not None:
            self._beside.close()
            self._beside = None

    def _read_header(self) -> tuple[Header, Iterator[bytes]]:
        """The header, and the lines after it."""
        batches = self._batches(0)
        first, _, rest = next(batches, b"").partition(b"\n")
        if not first:
            raise RecordingError(
                f"{self.name} is empty or ends inside its first line: nothing was recorded in it; "
                f"delete it, or overwrite it with --force"
            )
        header = decode_header(first, where=f"{self.name}:1")
        if self._beside is not None:
            self._beside.take(first + b"\n")
        return header, chain([rest], batches) if rest else batches

    def _check_start(self, start: bytes) -> None:
        """Say what a file is that cannot be a recording, before its first line is searched for."""
        if _CONTRACT_START.match(start):
            raise RecordingError(
                f"{self.name} is a contract of `track-replayer contract infer`, not a recording"
            )
        if not start or (start.startswith(b"{") and not _HAR_START.match(start)):
            return
        looks = (
            "a HAR"
            if _HAR_START.match(start)
            else "a raw capture"
            if _CAPTURE.search(start)
            else None
        )
        raise RecordingError(
            f"{self.name} is no recording: expected a header line of JSON, found "
            + (
                f"what looks like {looks}: see `track-recorder import`"
                if looks
                else "something else"
            )
        )

    def _read(
        self, batches: Iterator[bytes], expected: int | None, *, from_start: bool = True
    ) -> _Entries:
        """Entries of batches of whole lines; ``expected`` is the first one's seq, None if any will
        do.
        """
        timed = self.header.timing == "measured"
        latest_ns = 0
        count = 0
        entry: KnownEntry | UnknownEntry | None = None
        end_bytes = 0
        for batch in self._guarded(batches):
            if self._beside is not None:
                self._beside.take(batch)
            # Twice as quick as split().
            for ended in BytesIO(batch):
                line = ended[:-1]
                self.line += 1
                try:
                    entry = decode_quickly(line) or decode_entry(
                        line, where=f"{self.name}:{self.line}"
                    )
                except CorruptRecording as exc:
                    self._fault(str(exc), exc)
                    expected = None if expected is None else expected + 1
                    entry = None
                    continue
                count += 1
                if entry.seq != expected:
                    if expected is not None:
                        self._fault(
                            f"expected seq {expected}, found {entry.seq}: "
                            f"lines are missing, doubled or out of order"
                        )
                    expected = entry.seq
                expected += 1
                offset_ns = entry.offset_ns
                if offset_ns is None or not timed:
                    if timed or offset_ns is not None:
                        self._fault(
                            f"expected offset_ns to be {'a number' if timed else 'null'}, as the "
                            f"header's timing is {self.header.timing!r}, found the other"
                        )
                elif offset_ns < latest_ns:
                    self._fault(
                        f"expected offset_ns {latest_ns} or more, found {offset_ns}: "
                        f"lines are out of order"
                    )
                else:
                    latest_ns = offset_ns
                if type(entry) is End:
                    end_bytes = len(line) + 1
                yield entry
        if not from_start:
            return
        if self.damage:
            self._verdict = "it is damaged in the middle"
        elif self.torn is not None or type(entry) is not End:
            self._verdict = _CUT_SHORT
        elif entry.entries != count:
            self._verdict = f"its `end` says {entry.entries} entries, there are {count}"
        elif self._beside is not None:
            self._judge(self._beside.without_last(end_bytes), entry.sha256)
        else:
            self._to_verify = self._whole_bytes - end_bytes, entry.sha256
        self._standing = Standing(
            entries=count,
            seq=(expected or 1) - 1,
            offset_ns=latest_ns if timed else None,
            lines_end=self._whole_bytes,
            compressed=self._compressed,
            torn_frame=self._frame if self.torn else None,
            frame_starts_line=self._frame_starts_line,
            begun=self._begun,
        )

    def _batches(self, position: int) -> Iterator[bytes]:
        """The file from ``position``, where a line begins, as whole lines: each batch ends with a
        line end.
        """
        begun: list[bytes] = []
        begun_bytes = 0
        skipping = False
        tear: Tear | None = None
        for piece in _pieces(self._file, position, self._compressed):
            if isinstance(piece, Gap):
                self._fault(
                    f"{piece.why}; expected more lines after this one, found "
                    f"{piece.end - piece.position} bytes that cannot be read"
                )
                begun, begun_bytes, skipping = [], 0, False
                continue
            if piece.frame != self._frame:
                self._frame = piece.frame
                self._frame_starts_line = not begun_bytes
            if isinstance(piece, Tear):
                tear = piece
                break
            data = piece.data
            if skipping:
                _, end, data = data.partition(b"\n")
                skipping = not end
            whole_bytes = data.rfind(b"\n") + 1
            if whole_bytes:
                batch = b"".join((*begun, data[:whole_bytes])) if begun else data[:whole_bytes]
                begun, begun_bytes = [], 0
                self._whole_bytes += len(batch)
                yield batch
                data = data[whole_bytes:]
            if data:
                begun.append(data)
                begun_bytes += len(data)
                if begun_bytes > MAX_LINE_BYTES:
                    self.line += 1
                    self._fault(f"expected at most {MAX_LINE_BYTES} bytes in a line, found more")
                    begun, begun_bytes, skipping = [], 0, True
        if begun or tear:
            begun_line = b"".join(begun)
            self._begun = begun_line[:_KEPT_OF_TORN_BYTES]
            nothing = "zero bytes" if begun_line.endswith(b"\0") else "a line without its end"
            self.torn = Torn(
                line=self.line + 1,
                bytes_lost=begun_bytes + (tear.end - tear.position if tear else 0),
                why=tear.why if tear else f"the file ends in {nothing}",
            )

    def _guarded(self, batches: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from batches
        except OSError as exc:
            raise self._unreadable(exc) from exc

    def _fault(self, problem: str, error: CorruptRecording | None = None) -> None:
        """Raise ``error``, or one that says ``problem``; under salvage, list it."""
        if error is None:
            error = CorruptRecording(
                f"{self.name}:{self.line}: {problem}; "
                "`track-replayer edit cut --to TIME` keeps what stands before it"
            )
        if not self._salvage:
            raise error
        self.damage.append(Damage(self.line, str(error)))

    def _hash(self, size_bytes: int) -> _Hash:
        """The sha256 of the first ``size_bytes`` of the lines, from a second reading."""
        digest = hashlib.sha256()
        try:
            with _open(self.name) as file:
                for piece in _pieces(file, 0, self._compressed):
                    if not isinstance(piece, Block) or not size_bytes:
                        break
                    data = piece.data[:size_bytes]
                    digest.update(data)
                    size_bytes -= len(data)
        except OSError as exc:
            raise self._unreadable(exc) from exc
        return digest

    def _unreadable(self, exc: OSError) -> CannotRead:
        return CannotRead(
            f"{self.name} cannot be read after line {self.line}: {exc.strerror or exc}"
        )


def _open(name: str) -> BinaryIO:
    try:
        return open(name, "rb", buffering=_CHUNK_BYTES)
    except OSError as exc:
        raise CannotRead(f"{name} cannot be opened: {exc.strerror}") from exc


def _pieces(file: BinaryIO, position: int, compressed: bool) -> Iterator[Block | Gap | Tear]:
    """The bytes of the lines from ``position`` on; a plain file's as blocks of one frame."""
    if compressed:
        yield from read_blocks(file, position)
        return
    file.seek(position)
    while data := file.read(_CHUNK_BYTES):
        yield Block(data, position, position + len(data), 0)
        position += len(data)


def _put_back(entry: KnownEntry | UnknownEntry, entries: _Entries) -> _Entries:
    yield entry
    yield from entries
