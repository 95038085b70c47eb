"""The parts of a series as files: how they are called, which are there, which one is whose.

The parts of ``day.track.jsonl`` are ``day.000001.track.jsonl``, ``day.000002.track.jsonl`` and so
on: six digits, so that they sort by name for a million parts.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from recorder.errors import CannotRead, RecordingError
from recorder.recording.reader import Reader
from recorder.recording.zstd_frames import is_zstd

__all__ = ["find_parts", "is_part_of", "is_stillborn", "name_and_suffix", "part_path"]

_SUFFIX: Final = re.compile(r"(?:\.track)?(?:\.jsonl)?(?:\.zst)?$")
_HEADER_START: Final = b'{"kind":"header"'


def name_and_suffix(path: Path) -> tuple[str, str]:
    """A recording's file name, divided before its ``.track.jsonl``, ``.track.jsonl.zst``, or what
    there is of them.
    """
    found = _SUFFIX.search(path.name, 1)
    at = len(path.name) if found is None else found.start()
    return path.name[:at], path.name[at:]


def part_path(path: Path, part: int) -> Path:
    """Where part number ``part`` (from 1) of the series ``path`` is."""
    name, suffix = name_and_suffix(path)
    return path.with_name(f"{name}.{part:06}{suffix}")


def find_parts(path: Path) -> list[tuple[int, Path]]:
    """Number and path of each file that is called like a part of ``path``, in order. Raises
    CannotRead if the folder cannot be read; without a folder there are none.
    """
    name, suffix = map(re.escape, name_and_suffix(path))
    pattern = re.compile(rf"{name}\.([0-9]{{6,}}){suffix}")
    try:
        names = os.listdir(path.parent)
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise CannotRead(f"{path.parent} cannot be read: {exc.strerror}") from exc
    found = [(int(match[1]), one) for one in names if (match := pattern.fullmatch(one))]
    return [(part, path.with_name(one)) for part, one in sorted(found)]


def is_part_of(path: Path, series_id: str, part: int) -> bool:
    """Whether the file at ``path`` says of itself that it is this part of this series."""
    try:
        with Reader(path) as reader:
            series = reader.header.series
    except (RecordingError, CannotRead):
        return False
    return series is not None and (series.id, series.part) == (series_id, part)


def is_stillborn(path: Path) -> bool:
    """Whether a part was begun and holds no whole entry: its recorder died when it made it. Raises
    CannotRead, and RecordingError if it is something else.
    """
    try:
        with Reader(path) as reader:
            return next(reader, None) is None
    except RecordingError:
        with open(path, "rb") as file:
            start = file.read(len(_HEADER_START))
        if _HEADER_START.startswith(start) or not start.strip(b"\0") or is_zstd(start):
            return True
        raise
