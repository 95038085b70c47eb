"""Which recordings are meant: files, folders and patterns. The parts of a series are one."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from recorder.errors import CannotRead, RecorderError
from recorder.recording import Reader
from recorder.recording.parts import name_and_suffix

__all__ = ["SUFFIXES", "Found", "find", "readable", "shard"]

SUFFIXES: Final = (".track.jsonl", ".track.jsonl.zst")
"""How recordings are called; in a folder only these are taken for some."""

_PART: Final = re.compile(r"(.+)\.[0-9]{6,}")


class Found(msgspec.Struct, frozen=True):
    """A recording that is there. ``parts`` are its files, and ``path`` is what the first one is
    called, as text: bytes of a name that are no UTF-8 stand there as escapes. ``size_bytes`` is of
    all, ``mtime_ns`` the latest of them, nanoseconds since 1970."""

    path: str
    parts: tuple[str, ...]
    size_bytes: int
    mtime_ns: int


def find(arguments: Iterable[str]) -> list[Found]:
    """The recordings that ``arguments`` name, each once, sorted by path.

    A folder stands for all recordings in it and below, a pattern (``*``, ``?``, ``[``, ``**``) for
    what it fits; any other argument for itself, whatever its name. A folder that cannot be listed
    stands there as a recording that cannot be read. Files called like parts of a series whose
    headers say that they belong together are one recording. Raises CannotRead if an argument is or
    fits nothing, or is a folder without recordings.
    """
    # Under one name, if links or other spellings give a file several.
    by_file: dict[str, str] = {}
    for file in sorted({file for argument in arguments for file in _files_of(argument)}):
        by_file.setdefault(os.path.realpath(file), file)
    files = list(by_file.values())
    bases = {file: _base_of(file) for file in files}
    # Only these are opened: most recordings were never rotated.
    rotated = {base for file, base in bases.items() if base != file}
    groups: dict[tuple[str, str | None], list[str]] = {}
    for file, base in bases.items():
        series_id = _series_id(file) if base in rotated else None
        group = (file, None) if series_id is None else (base, series_id)
        groups.setdefault(group, []).append(file)
    return sorted((_found(parts) for parts in groups.values()), key=lambda each: each.path)


def shard(found: Sequence[Found], number: int, of: int) -> list[Found]:
    """The recordings of one of ``of`` shards, from 1, in their order.

    Balanced by size: the largest recording goes first, each to the shard that has least so far. So
    all shards take about as long; a file more or another size can change who has which.
    """
    loads = [0] * of
    chosen = set()
    for each in sorted(found, key=lambda one: (-one.size_bytes, one.path)):
        least = loads.index(min(loads))
        # A file costs something even if there is little in it.
        loads[least] += each.size_bytes + 4096
        if least == number - 1:
            chosen.add(each.path)
    return [each for each in found if each.path in chosen]


def _files_of(argument: str) -> Iterator[str]:
    if os.path.isdir(argument):
        found = _files_in(argument)
        if not found:
            raise CannotRead(
                f"{argument}: there is no recording in this folder; expected files called"
                f" *{SUFFIXES[0]} or *{SUFFIXES[1]}"
            )
    elif os.path.lexists(argument):
        found = [argument]
    else:
        fitting = glob.glob(argument, recursive=True)
        found = [file for file in fitting if not os.path.isdir(file)]
        if not found:
            found = [file for folder in fitting for file in _files_in(folder)]
        if not found:
            raise CannotRead(
                f"{argument}: there is no such file or folder, and no recording fits it"
            )
    yield from map(os.path.normpath, found)


def _files_in(folder: str) -> list[str]:
    """What is called like a recording in a folder and below. Links to folders are not followed:
    they may lead back."""
    found = []

    def cannot_be_listed(exc: OSError) -> None:
        found.append(os.fspath(exc.filename))

    for below, _, names in os.walk(folder, onerror=cannot_be_listed):
        for name in names:
            file = os.path.join(below, name)
            # No pipes, which nobody may ever write to; but links to nothing, which are to be told.
            if name.endswith(SUFFIXES) and (os.path.isfile(file) or not os.path.exists(file)):
                found.append(file)
    return found


def _base_of(file: str) -> str:
    """What a file would be called if it was no part."""
    path = Path(file)
    name, suffix = name_and_suffix(path)
    part = _PART.fullmatch(name)
    return file if part is None else str(path.with_name(part[1] + suffix))


def _series_id(file: str) -> str | None:
    """Which series a file says that it is a part of. A name alone makes none."""
    try:
        with Reader(file) as reader:
            series = reader.header.series
    except RecorderError:
        return None
    return None if series is None else series.id


def _found(parts: list[str]) -> Found:
    size_bytes = mtime_ns = 0
    for part in parts:
        try:
            status = os.stat(part)
        except OSError:
            # Whoever reads it says what is wrong with it.
            continue
        size_bytes += status.st_size
        mtime_ns = max(mtime_ns, status.st_mtime_ns)
    return Found(readable(parts[0]), tuple(parts), size_bytes, mtime_ns)


def readable(name: str) -> str:
    """A file's name as text that can be encoded."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
