"""Read a recording while it is being written: what is torn at its end is not there yet.

Strategy: remember where the last whole line ends, and look again once the file has grown. In a
compressed file that place lies inside a frame, which is decoded again from its start: a frame is
1 MiB of lines, and a few milliseconds each look are less than what keeping a decoder in step with a
file that may be mended would take.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from recorder.errors import CannotRead, CorruptRecording, RecordingError
from recorder.model import AnyEntry, Checkpoint, End, Header, Note
from recorder.recording import (
    Reader,
    Torn,
    decode_entry,
    decode_header,
    name_and_suffix,
    part_path,
)
from recorder.recording.parts import is_part_of, is_stillborn
from recorder.recording.zstd_frames import Block, Gap, is_zstd, read_blocks
from replayer.reading.series import SeriesReader

__all__ = ["FollowedSeries"]

_CHUNK_BYTES: Final = 256 * 1024
_TELLING_BYTES: Final = 4
"""So many bytes of a file tell whether it is compressed."""


class FollowedSeries(SeriesReader):
    """As :class:`~replayer.reading.series.SeriesReader`, of a recording that goes on.

    Where there is nothing more to read yet, ``wait`` is called, and then it looks again. It ends
    behind the ``end`` of the last part: a part that a rotating recorder has begun meanwhile, beside
    the last one and called by the next number, is read on with, and is among ``names`` then. A
    header that is not written yet is waited for, too. Raises what ``wait`` raises.
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]], wait: Callable[[], None]) -> None:
        self._wait = wait
        super().__init__(paths)

    def _open(self, name: str) -> _FollowedPart:
        return _FollowedPart(name, self._wait, self._find_next)

    def _find_next(self, part: _FollowedPart) -> str | None:
        """The part behind this one, named or found; None if there is none yet."""
        later = self.names[self.names.index(part.name) + 1 :]
        if later:
            return later[0]
        found = _next_of(part)
        if found is not None:
            self.names.append(found)
        return found


class _FollowedPart:
    """One file, read up to its ``end``, or until a further part shows that none will come."""

    def __init__(
        self,
        name: str,
        wait: Callable[[], None],
        find_next: Callable[[_FollowedPart], str | None],
    ) -> None:
        self.name: Final = name
        self.torn: Torn | None = None
        self._wait = wait
        self._find_next = find_next
        try:
            self._file = open(name, "rb")  # noqa: SIM115 - for as long as this is read
        except OSError as exc:
            raise CannotRead(f"{name} cannot be opened: {exc.strerror}") from exc
        try:
            self.header: Final = self._await_header()
        except BaseException:
            self._file.close()
            raise
        self._entries = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entries.close()
        self._file.close()

    def __iter__(self) -> Iterator[AnyEntry]:
        return self._entries

    def __next__(self) -> AnyEntry:
        return next(self._entries)

    @property
    def why_incomplete(self) -> str | None:
        """Nobody looked."""
        return "it was followed while it was being written"

    def _await_header(self) -> Header:
        while True:
            first = next(_Lines(self._file, self.name).more(), None)
            if first is not None:
                return decode_header(first, where=f"{self.name}:1")
            if os.fstat(self._file.fileno()).st_size >= _TELLING_BYTES:
                # It raises if this will be no recording.
                is_stillborn(Path(self.name))
            self._wait()

    def _read(self) -> Generator[AnyEntry, None, None]:
        lines = _Lines(self._file, self.name)
        number = 0
        last: AnyEntry | None = None
        is_over = False
        while True:
            for line in lines.more():
                number += 1
                if number == 1:
                    continue
                last = decode_entry(line, where=f"{self.name}:{number}")
                yield last
                if isinstance(last, End):
                    self._find_next(self)
                    return
            if is_over:
                # Its recorder died, and another went on in the next part.
                if lines.begun_bytes:
                    why = "the file ends in a line without its end"
                    self.torn = Torn(line=number + 1, bytes_lost=lines.begun_bytes, why=why)
                return
            # What was written until the next part went on is read before this one is given up.
            is_over = self._is_given_up()
            if not is_over:
                self._wait()

    def _is_given_up(self) -> bool:
        """Whether the next part goes on already. A recorder that cuts makes it with a checkpoint
        and notes at most, then ends this one, and only then writes there.
        """
        name = self._find_next(self)
        if name is None:
            return False
        try:
            with Reader(name) as reader:
                return any(not isinstance(entry, Checkpoint | Note) for entry in reader)
        except RecordingError:
            return False


class _Lines:
    """The whole lines of a file that grows."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._size_bytes = -1
        # The last whole line ends so many bytes behind what begins there: of a compressed file a
        # frame, of a plain one all of it.
        self._start = 0
        self._passed_bytes = 0
        self.begun_bytes = 0
        """So many bytes stand behind the last whole line."""

    def more(self) -> Iterator[bytes]:
        """The lines that are whole now and were not given out yet, without their line ends; to be
        read to its end. Raises CorruptRecording at damage, CannotRead if the file cannot be read.
        """
        try:
            size_bytes = os.fstat(self._file.fileno()).st_size
            if size_bytes == self._size_bytes:
                return
            self._size_bytes = size_bytes
            self._file.seek(0)
            if is_zstd(self._file.read(_TELLING_BYTES)):
                self._check_size(size_bytes, self._start)
                yield from self._split(self._blocks(), 0, self._passed_bytes)
            else:
                self._check_size(size_bytes, self._passed_bytes)
                yield from self._split(self._chunks(), self._passed_bytes, 0)
        except OSError as exc:
            raise CannotRead(f"{self._name} cannot be read: {exc.strerror or exc}") from exc

    def _check_size(self, size_bytes: int, least_bytes: int) -> None:
        if size_bytes < least_bytes:
            raise CorruptRecording(
                f"{self._name} was cut while it was followed: expected {least_bytes} bytes or more,"
                f" found {size_bytes}; it is another recording now"
            )

    def _split(
        self, pieces: Iterator[tuple[int, bytes]], read_bytes: int, to_skip: int
    ) -> Iterator[bytes]:
        """The lines of pieces, each with where that begins of which it is a piece. So many bytes
        were read of the first one already; so many are to be skipped."""
        begun: list[bytes] = []
        start = self._start
        for piece_start, data in pieces:
            if piece_start != start:
                start, read_bytes = piece_start, 0
            read_bytes += len(data)
            skipped = min(to_skip, len(data))
            to_skip -= skipped
            whole, line_end, rest = data[skipped:].rpartition(b"\n")
            if line_end:
                self._start, self._passed_bytes = start, read_bytes - len(rest)
                yield from b"".join((*begun, whole)).split(b"\n")
                begun = []
            begun.append(rest)
        self.begun_bytes = sum(map(len, begun))

    def _chunks(self) -> Iterator[tuple[int, bytes]]:
        self._file.seek(self._passed_bytes)
        while data := self._file.read(_CHUNK_BYTES):
            yield 0, data

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        for piece in read_blocks(self._file, self._start):
            if isinstance(piece, Gap):
                raise CorruptRecording(
                    f"{self._name}: {piece.why}; expected more lines, found"
                    f" {piece.end - piece.position} bytes that cannot be read"
                )
            if isinstance(piece, Block):
                yield piece.frame, piece.data


def _next_of(part: _FollowedPart) -> str | None:
    """Where the next part of the series of this one is, beside it; None if it is not there."""
    series = part.header.series
    if series is None:
        return None
    path = Path(part.name)
    name, suffix = name_and_suffix(path)
    own_end = f".{series.part:06}"
    if not name.endswith(own_end):
        return None
    found = part_path(path.with_name(name.removesuffix(own_end) + suffix), series.part + 1)
    return str(found) if is_part_of(found, series.id, series.part + 1) else None
