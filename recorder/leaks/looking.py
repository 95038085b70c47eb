"""Look through a file: a recording, plain or compressed, whole, torn or damaged, or any other text.

The lines are read here and not by :class:`~recorder.recording.Reader`, which leaves out what it
cannot make an entry of: a damaged line may hold a secret as well as a sound one.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, Final

import msgspec

from recorder.errors import CannotRead, RecordingError
from recorder.leaks.findings import Finding
from recorder.leaks.inflating import GZIP_MAGIC, Inflater
from recorder.leaks.joining import OVERLAP_BYTES, WINDOW_BYTES
from recorder.leaks.judge import Judge
from recorder.leaks.values import Patterns, Values
from recorder.model import Header
from recorder.recording import decode_header
from recorder.recording.zstd_frames import Block, is_zstd, read_blocks

__all__ = ["MAX_LINE_BYTES", "Look"]

MAX_LINE_BYTES: Final = 32 * 1024 * 1024
"""A longer line is looked at in pieces, as text."""

_CHUNK_BYTES: Final = 256 * 1024
_OVERLAP_LINES: Final = 16


class _Line(msgspec.Struct, frozen=True):
    """A line, or a piece of one that is too long or torn (``whole`` is false then)."""

    number: int
    data: bytes
    whole: bool = True


class _Unreadable(msgspec.Struct, frozen=True):
    """Bytes that nothing can be read from, behind the line ``number``."""

    number: int
    why: str


class Look:
    """One look through the file at ``path``: iterate over :meth:`findings` once, then ask what was
    looked at.

    ``profile`` is what to judge by, ``secrets`` or ``share``; None takes it from the header, and
    ``secrets`` for a file without one.

    *Error handling.* :meth:`findings` raises CannotRead if the file cannot be opened or read on,
    RecordingError if it is empty, UnsupportedVersion and CorruptRecording if its header is too new
    or wrong. Damage behind the header is looked at as text.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        values: Values,
        *,
        profile: str | None = None,
        allowed: Patterns | None = None,
    ) -> None:
        self.name: Final = os.fspath(path)
        self.is_recording = False
        self.profile = profile
        """What it was judged by."""
        self.lines = 0
        self.damaged_lines = 0
        """How many lines of a recording are no entries, torn ones too. They are looked at as text.
        """
        self.size_bytes = 0
        """The size of all lines, decompressed."""
        self.counts: Counter[str] = Counter()
        """How many findings there are, by detector."""
        self.passed_over: Counter[str] = Counter()
        """How many payloads were not looked into and are no findings: ``image``, ``font``."""
        self._values = values
        self._allowed = allowed

    def findings(self) -> Iterator[Finding]:
        """What should not be there, in the order of the file."""
        for finding in self._findings():
            self.counts[finding.detector] += 1
            yield finding

    def _findings(self) -> Iterator[Finding]:
        try:
            with open(self.name, "rb") as file:
                yield from self._through(file)
        except OSError as error:
            raise CannotRead(f"{self.name}: cannot be read: {error.strerror}") from error

    def _through(self, file: BinaryIO) -> Iterator[Finding]:
        judge = Judge(self._values, personal=self.profile == "share", allowed=self._allowed)
        self.passed_over = judge.passed_over
        lines = _lines(file)
        first = next(lines, None)
        if first is None:
            raise RecordingError(f"{self.name} is empty: expected a recording, or any text")
        if isinstance(first, _Line) and first.whole and b'"track-recording"' in first.data:
            header = decode_header(first.data, where=f"{self.name}:1")
            yield from self._begun(judge, header, first)
            first = None
        self.profile = self.profile or "secrets"
        if first is not None:
            yield from self._text(judge, chain([first], lines))
            return
        for line in lines:
            if isinstance(line, _Unreadable):
                yield judge.not_looked_into(line.number, line.why)
                continue
            self._count(line)
            if line.whole:
                yield from judge.line(line.number, line.data)
            else:
                judge.damaged_lines += 1
                yield from judge.other_line(line.number, line.data)
            self.damaged_lines = judge.damaged_lines
        yield from judge.close()

    def _text(self, judge: Judge, lines: Iterator[_Line | _Unreadable]) -> Iterator[Finding]:
        """What is no recording, many lines at once: JSON may be laid out over several."""
        held: list[_Line] = []
        held_bytes = 0
        for line in lines:
            if isinstance(line, _Unreadable):
                yield judge.not_looked_into(line.number, line.why)
                continue
            self._count(line)
            held.append(line)
            held_bytes += len(line.data)
            if held_bytes >= WINDOW_BYTES:
                yield from _judged(judge, held)
                held = held[-_OVERLAP_LINES:]
                held_bytes = sum(len(line.data) for line in held)
                if held_bytes > OVERLAP_BYTES:
                    held, held_bytes = [], 0
        yield from _judged(judge, held)

    def _count(self, line: _Line) -> None:
        self.lines = line.number
        self.size_bytes += len(line.data)

    def _begun(self, judge: Judge, header: Header, line: _Line) -> Iterator[Finding]:
        self.is_recording = True
        self.lines, self.size_bytes = 1, len(line.data)
        if self.profile is None and header.redaction.profile == "share":
            self.profile = "share"
        judge.personal = self.profile == "share"
        yield from judge.header(header, line.data)


def _judged(judge: Judge, lines: list[_Line]) -> Iterator[Finding]:
    if lines:
        data = b"\n".join(line.data for line in lines)
        yield from judge.text(lines[0].number, lines[-1].number, data)


def _lines(file: BinaryIO) -> Iterator[_Line | _Unreadable]:
    """The lines of a file, without their ends."""
    number = 1
    begun: list[bytes] = []
    begun_bytes = 0
    for piece in _pieces(file):
        if isinstance(piece, str):
            if begun:
                yield _Line(number, b"".join(begun), whole=False)
                number += 1
            begun, begun_bytes = [], 0
            yield _Unreadable(number, piece)
            continue
        *whole, rest = piece.split(b"\n")
        if whole:
            whole[0] = b"".join((*begun, whole[0]))
            begun, begun_bytes = [], 0
            for data in whole:
                yield _Line(number, data)
                number += 1
        begun.append(rest)
        begun_bytes += len(rest)
        if begun_bytes > MAX_LINE_BYTES:
            data = b"".join(begun)
            yield _Line(number, data, whole=False)
            begun, begun_bytes = [data[-OVERLAP_BYTES:]], OVERLAP_BYTES
    if begun_bytes:
        yield _Line(number, b"".join(begun), whole=False)


def _pieces(file: BinaryIO) -> Iterator[bytes | str]:
    """The bytes of a file, decompressed; a str says why some cannot be read."""
    start = file.read(_CHUNK_BYTES)
    if start.startswith(GZIP_MAGIC):
        inflater = Inflater("gzip", max_bytes=sys.maxsize)
        for chunk in _chunks(start, file):
            yield from inflater.feed(chunk)
        if inflater.problem is not None:
            yield inflater.problem.why
        elif not inflater.ended:
            yield "gzip that is cut short"
    elif not is_zstd(start):
        yield from _chunks(start, file)
    else:
        for block in read_blocks(file):
            if isinstance(block, Block):
                yield block.data
            elif block.end > block.position:
                size = block.end - block.position
                yield f"{size} bytes that cannot be decompressed: {block.why}"


def _chunks(start: bytes, file: BinaryIO) -> Iterator[bytes]:
    while start:
        yield start
        start = file.read(_CHUNK_BYTES)
