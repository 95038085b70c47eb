"""Recordings to test with: written quickly, torn anywhere."""

from __future__ import annotations

import os
from pathlib import Path

from recorder.model import Header, KnownEntry, UnknownEntry
from recorder.recording import OsFile, Reader, Writer
from tests.strategies import WALL, make_header

__all__ = ["NoSync", "read", "record", "resume"]


class NoSync(OsFile):
    """A file that is never synced: for tests of what is written, which would take minutes else."""

    def sync(self) -> None:
        """Trust the operating system."""


def record(
    path: Path,
    entries: list[KnownEntry | UnknownEntry],
    *,
    header: Header | None = None,
    flush_every: int = 0,
    end: bool = True,
) -> list[KnownEntry | UnknownEntry]:
    """Write a recording over whatever is there; return the entries as written, without the end."""
    writer = Writer.create(
        path, header or make_header(), force=True, file_of=NoSync, clock=lambda: 0
    )
    written = []
    for number, entry in enumerate(entries, 1):
        written.append(writer.write(entry))
        if flush_every and number % flush_every == 0:
            writer.flush()
    if end:
        writer.close()
    else:
        writer.abort()
    return written


def read(path: Path, *, salvage: bool = False) -> tuple[list[KnownEntry | UnknownEntry], Reader]:
    """All entries, and the reader at its end, closed."""
    with Reader(path, salvage=salvage) as reader:
        return list(reader), reader


def resume(path: Path) -> Writer:
    """Go on with a recording, without syncing."""
    assert os.path.exists(path)
    return Writer.resume(path, wall=WALL, file_of=NoSync, clock=lambda: 0)
