"""The recording in parts that a new one is to replace: set aside until that is worth keeping.

The parts of ``day.track.jsonl`` lie at ``day.old-1a2b3c4d.000001.track.jsonl`` and so on meanwhile,
which is a series still; a failed attempt lies at ``day.new.000001.track.jsonl``.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from recorder.errors import CannotRead, DiskFailed, OutputExists, RecordingError
from recorder.recording import Reader, find_parts, name_and_suffix, part_path
from recorder.recording.files import open_locked
from recorder.recording.parts import is_part_of

__all__ = ["Former", "refuse_if_in_use"]


class Former:
    """What was at ``path``, in parts or as one file, set aside by :meth:`set_aside`. The caller
    either removes it or puts it back.
    """

    def __init__(self, path: Path, series_id: str) -> None:
        self._path = path
        self._series_id = series_id
        self._moved: list[tuple[Path, Path]] = []

    @classmethod
    def set_aside(cls, path: Path, series_id: str) -> Former:
        """Move it aside, and remove an attempt that failed before; ``series_id`` is that of the new
        recording. Raises OutputExists, and nothing was moved, if something is no part of a
        recording, in use, or cannot be moved; CannotRead.
        """
        former = cls(path, series_id)
        there = _recordings_at(path)
        attempt = _parts_at(_beside(path, "new"))
        aside = _beside(path, f"old-{os.urandom(4).hex()}")
        try:
            for part, found in there:
                target = part_path(aside, part) if part else aside
                _move(found, target)
                former._moved.append((found, target))
            for _, found in attempt:
                found.unlink()
        except OSError as exc:
            former._restore()
            raise OutputExists(f"{found} cannot be moved aside: {exc.strerror}") from exc
        return former

    def remove(self) -> None:
        """The new recording is worth keeping. Raises DiskFailed; what is left stays aside."""
        for _, aside in self._moved:
            try:
                aside.unlink()
            except OSError as exc:
                raise DiskFailed(
                    f"{aside}, of the recording of before, cannot be removed: {exc.strerror}"
                ) from exc

    def put_back(self) -> list[Path]:
        """The new recording, which is closed, is not worth it: its parts give way to the old ones.
        Returns where they are now. Raises DiskFailed.
        """
        attempt = []
        beside = _beside(self._path, "new")
        try:
            for part, found in find_parts(self._path):
                if is_part_of(found, self._series_id, part):
                    attempt.append(part_path(beside, part))
                    _move(found, attempt[-1])
            self._restore()
        except (OSError, CannotRead) as exc:
            where = self._moved[0][1] if self._moved else self._path
            raise DiskFailed(
                f"the recording of before cannot be put back, and begins in {where}: {exc}"
            ) from exc
        return attempt

    def _restore(self) -> None:
        while self._moved:
            _move(*reversed(self._moved[-1]))
            self._moved.pop()


def refuse_if_in_use(path: Path) -> None:
    """Raises OutputExists if another writer has this file open, CannotRead if it cannot be
    opened.
    """
    os.close(open_locked(os.fspath(path)))


def _beside(path: Path, word: str) -> Path:
    name, suffix = name_and_suffix(path)
    return path.with_name(f"{name}.{word}{suffix}")


def _recordings_at(path: Path) -> list[tuple[int, Path]]:
    one = [(0, path)] if path.exists() else []
    for _, found in one:
        _refuse_if_foreign(found, 0)
    return one + _parts_at(path)


def _parts_at(path: Path) -> list[tuple[int, Path]]:
    parts = find_parts(path)
    for part, found in parts:
        _refuse_if_foreign(found, part)
    return parts


def _refuse_if_foreign(found: Path, part: int) -> None:
    """Raises OutputExists for what is no recording, not this part (from 1), or in use."""
    try:
        with Reader(found) as reader:
            series = reader.header.series
    except (RecordingError, CannotRead):
        if found.stat().st_size:
            raise OutputExists(
                f"{found} is no recording, and is not overwritten: move it away"
            ) from None
    else:
        if part and (series is None or series.part != part):
            raise OutputExists(
                f"{found} is no part {part} of a series, and is not overwritten: move it away"
            )
    refuse_if_in_use(found)


def _move(source: Path, target: Path) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(target))
    os.rename(source, target)
