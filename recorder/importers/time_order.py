"""Entries put in the order of their times, however many they are.

A HAR keeps what belongs together together: a socket with all its messages is one entry of it, and
what was asked meanwhile stands behind. A recording is in the order of time.

Strategy: an external merge sort. Entries are held up to a size; then they are sorted and put behind
each other in a file without a name. At the end the sorted runs are merged, a chunk of each in
memory.
"""

from __future__ import annotations

import heapq
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from recorder.errors import DiskFailed
from recorder.model import AnyEntry, Payload
from recorder.recording import decode_entry, encode_entry

__all__ = ["MAX_HELD_BYTES", "TimeOrder"]

MAX_HELD_BYTES: Final = 32 * 1024 * 1024
"""How much is held before it goes to the file."""

_ENTRY_BYTES: Final = 1000
"""What an entry takes in memory beside its payload, about."""

_CHUNK_BYTES: Final = 64 * 1024


class TimeOrder:
    """Takes entries in any order; as an iterator gives them by ``offset_ns``, then ``seq``.

    Entries without a time come first; of equal ones the one that was added first. What is added is
    written as it is: it has passed the redaction before. *Resource handling:* the file stands in
    ``folder`` and is gone with :meth:`close`, or with the process. *Error handling:* DiskFailed.
    """

    def __init__(self, folder: Path, *, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        self._folder = folder
        self._max_held_bytes = max_held_bytes
        self._held: list[AnyEntry] = []
        self._held_bytes = 0
        self._first_ns: int | None = None
        self._file: IO[bytes] | None = None
        self._runs: list[tuple[int, int]] = []

    def add(self, entry: AnyEntry) -> None:
        """Take an entry. Raises DiskFailed."""
        if entry.offset_ns is not None and (
            self._first_ns is None or entry.offset_ns < self._first_ns
        ):
            self._first_ns = entry.offset_ns
        self._held.append(entry)
        self._held_bytes += _ENTRY_BYTES
        if isinstance(entry, Payload):
            self._held_bytes += len(entry.text or entry.base64 or "")
        if self._held_bytes > self._max_held_bytes:
            try:
                self._put_down()
            except OSError as error:
                raise self._failed("writing", error) from error

    @property
    def first_ns(self) -> int | None:
        """The earliest time of what was added, None if nothing had one."""
        return self._first_ns

    def __iter__(self) -> Iterator[AnyEntry]:
        self._held.sort(key=_place)
        return heapq.merge(*(self._run(*run) for run in self._runs), self._held, key=_place)

    def close(self) -> None:
        """Let go of everything. May be called twice."""
        self._held.clear()
        self._runs.clear()
        if self._file is not None:
            self._file.close()

    def _put_down(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - close() does
        self._held.sort(key=_place)
        start = self._file.tell()
        self._file.writelines(encode_entry(entry) + b"\n" for entry in self._held)
        self._file.flush()
        self._runs.append((start, self._file.tell()))
        self._held.clear()
        self._held_bytes = 0

    def _run(self, at: int, end: int) -> Iterator[AnyEntry]:
        """One sorted run. It has a position of its own: all are read at the same time."""
        assert self._file is not None
        begun = b""
        while at < end:
            try:
                data = os.pread(self._file.fileno(), min(_CHUNK_BYTES, end - at), at)
            except OSError as error:
                raise self._failed("reading", error) from error
            at += len(data)
            *lines, begun = (begun + data).split(b"\n")
            for line in lines:
                yield decode_entry(line, where="the file of entries that are being sorted")

    def _failed(self, what: str, error: OSError) -> DiskFailed:
        return DiskFailed(
            f"{self._folder}: {what} the entries to be sorted failed: {error.strerror}"
        )


def _place(entry: AnyEntry) -> tuple[int, int]:
    return (-1 if entry.offset_ns is None else entry.offset_ns, entry.seq)
