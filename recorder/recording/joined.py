"""Parts of a series joined into one recording that plays alone.

Strategy: the lines are copied as they stand, but for their ``seq``; they are not parsed, so that a
live recorder is not held up by it. What stands between the parts, ``end`` and ``checkpoint``, is
left out; the first part's checkpoint stays. What is damaged is left out too, counted and told.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final
from uuid import uuid4

import msgspec

from recorder.errors import CannotRead, CorruptRecording, DiskFailed, RecordingError
from recorder.model import End, Note
from recorder.recording.v1 import decode_entry, decode_header, encode_entry, with_seq
from recorder.recording.writer import Writer
from recorder.recording.zstd_frames import Block, Gap, is_zstd, read_blocks

__all__ = ["OpenParts", "Saved"]

_LINE_START: Final = re.compile(rb'\{"kind":"([a-z]+)","seq":[0-9]+,"offset_ns":([0-9]+)')
_CHECKPOINT: Final = b'{"kind":"checkpoint",'
_CHUNK_BYTES: Final = 256 * 1024
_LINES_AT_ONCE: Final = 64


class Saved(msgspec.Struct, frozen=True):
    """A recording that was saved: where it is, how many entries it has, its ``end`` not counted,
    how many seconds they span, and at how many places something was damaged and is left out.
    """

    path: Path
    entries: int
    seconds: float
    damaged: int = 0

    @property
    def words(self) -> str:
        """What it holds, for a person."""
        damage = f", {_damage(self.damaged)}" if self.damaged else ""
        return f"{self.entries} entries, {self.seconds:.1f} s{damage}"


class OpenParts:
    """Parts of one series, in order, that are open from now on: removing them takes nothing away.

    The files may still be written to; what is there when it is read counts. The first one must have
    a whole header. Raises CannotRead. *Resource handling:* a context manager, which closes them.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._files: list[tuple[Path, BinaryIO]] = []
        self._damaged = 0
        with ExitStack() as opening:
            for path in paths:
                try:
                    self._files.append((path, opening.enter_context(open(path, "rb"))))
                except OSError as exc:
                    raise CannotRead(f"{path} cannot be opened: {exc.strerror}") from exc
            self._closing = opening.pop_all()

    def __enter__(self) -> OpenParts:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.close()

    def save(self, path: Path, *, note: str | None = None) -> Saved:
        """Write them as one recording to ``path``, which is made; ``note`` becomes its last entry,
        but for one that says at how many places something was damaged.

        The header is the first part's, with an ``id`` of its own; ``offset_ns`` counts from the
        same ``started_at``. May run in any thread: it lets others run between a few lines. Raises
        OutputExists, CannotRead, RecordingError, DiskFailed; what was begun is removed then.
        """
        self._damaged = 0
        lines = self._lines()
        try:
            header_line = next(lines)
        except StopIteration:
            raise RecordingError(f"{self._files[0][0]} is empty: nothing is kept in it") from None
        header = decode_header(header_line, where=f"{self._files[0][0]}:1")
        writer = Writer.create(
            path, msgspec.structs.replace(header, id=str(uuid4()), series=None), durable=False
        )
        try:
            first_ns = self._copy(lines, writer)
            damage = _damage(self._damaged) if self._damaged else None
            for text in (note, damage):
                if text is not None:
                    writer.write(Note(offset_ns=writer.offset_ns, text=text))
            entries = writer.entries
            writer.close(self._redaction)
        except BaseException:
            with suppress(DiskFailed):
                writer.abort()
            path.unlink(missing_ok=True)
            raise
        seconds = ((writer.offset_ns or 0) - first_ns) / 1e9
        return Saved(path, entries, seconds, self._damaged)

    def _copy(self, lines: Iterator[bytes], writer: Writer) -> int:
        """Copy the entries; return the first one's offset."""
        self._redaction: Counter[str] = Counter()
        first_ns: int | None = None
        for number, line in enumerate(lines):
            if not number % _LINES_AT_ONCE:
                time.sleep(0)
            start = _LINE_START.match(line)
            if start is None or start[1] == b"end":
                try:
                    entry = decode_entry(line, where="")
                except CorruptRecording:
                    self._damaged += 1
                    continue
                if isinstance(entry, End):
                    self._redaction.update(entry.redaction)
                    continue
                offset_ns = entry.offset_ns or 0
                line = encode_entry(with_seq(entry, writer.seq + 1))
            else:
                kind, offset = start.groups()
                offset_ns = int(offset)
                line = b'{"kind":"%b","seq":%d,"offset_ns":%b%b' % (
                    kind,
                    writer.seq + 1,
                    offset,
                    line[start.end() :],
                )
            if first_ns is None:
                first_ns = offset_ns
            writer.write_line(line, offset_ns)
        return first_ns or 0

    def _lines(self) -> Iterator[bytes]:
        """The whole lines of all files; header and checkpoint only of the first one."""
        for part, (path, file) in enumerate(self._files):
            begun: list[bytes] = []
            count = 0
            # There a recorder that died was cut short.
            may_be_torn = part == len(self._files) - 1
            try:
                for piece in _pieces(file, may_be_torn=may_be_torn):
                    if piece is None:
                        self._damaged += 1
                        begun = []
                        continue
                    whole_bytes = piece.rfind(b"\n") + 1
                    if not whole_bytes:
                        begun.append(piece)
                        continue
                    whole = b"".join((*begun, piece[:whole_bytes]))
                    begun = [piece[whole_bytes:]]
                    for line in BytesIO(whole):
                        count += 1
                        opening = count == 1 or (count == 2 and line.startswith(_CHECKPOINT))
                        if not (part and opening):
                            yield line[:-1]
            except OSError as exc:
                raise CannotRead(f"{path} cannot be read: {exc.strerror}") from exc
            if any(begun) and not may_be_torn:
                self._damaged += 1


def _damage(places: int) -> str:
    where = "a damaged place was" if places == 1 else f"{places} damaged places were"
    return f"{where} left out: entries are missing"


def _pieces(file: BinaryIO, *, may_be_torn: bool) -> Iterator[bytes | None]:
    """The lines of a recording, plain or compressed, as far as they can be read. None stands for
    what cannot be decoded, after which a line begins; at the end only unless ``may_be_torn``.
    """
    file.seek(0)
    start = file.read(4)
    if is_zstd(start):
        for event in read_blocks(file):
            if isinstance(event, Block):
                yield event.data
            elif isinstance(event, Gap) or (event.position < event.end and not may_be_torn):
                yield None
        return
    file.seek(0)
    while data := file.read(_CHUNK_BYTES):
        yield data
