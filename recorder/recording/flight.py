"""A flight recorder: of a recording only the last minutes are kept, on the disk, and saved when
somebody asks.

What is kept is a series of short parts in a folder beside the recording,
``day.track.jsonl.ring`` for ``day.track.jsonl``; parts that are too old are removed. Saving joins
the parts into one recording, ``day-20261122T170000Z.track.jsonl``.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Unpack

import msgspec

from recorder.errors import CannotRead, DiskFailed, OutputExists
from recorder.model import Header
from recorder.recording.files import OsFile, sync_folder
from recorder.recording.joined import OpenParts, Saved
from recorder.recording.parts import find_parts, is_stillborn, name_and_suffix
from recorder.recording.series import Fold, Rotation, Series, WriterOptions

__all__ = ["FlightRecorder"]

_PARTS: Final = 20
"""What is kept is divided into so many parts, so that at most so little more is."""


class FlightRecorder:
    """Keeps the last ``keep_ns`` of a recording. ``series`` is what entries are written to.

    At most a twentieth more is kept, and what is written in the second that a cut may wait.

    *Resource handling:* after ``series`` was closed, :meth:`close`, which gives up the folder.
    """

    def __init__(self, path: Path, folder: Path, lock: int, series: Series) -> None:
        self._path = path
        self._folder = folder
        self._lock = lock
        self.series: Final = series

    @classmethod
    def open(
        cls,
        path: Path,
        header: Header,
        fold: Fold,
        keep_ns: int,
        *,
        max_disk_bytes: int | None = None,
        **options: Unpack[WriterOptions],
    ) -> tuple[FlightRecorder, Saved | None]:
        """Begin; what a recorder that died left in the folder is saved first, and returned.

        ``max_disk_bytes`` limits what is kept further. Raises OutputExists if another recorder uses
        the folder or it cannot be made; CannotRead, RecordingError and DiskFailed if what was left
        cannot be saved, and DiskFailed if nothing can be written.
        """
        folder = path.with_name(f"{path.name}.ring")
        lock = _lock(folder)
        try:
            left = _save_left(path, folder)
            rotation = Rotation(
                size_bytes=None if max_disk_bytes is None else max_disk_bytes // _PARTS,
                every_ns=keep_ns // _PARTS,
                max_disk_bytes=max_disk_bytes,
                keep_ns=keep_ns,
            )
            series = Series.create(folder / path.name, header, fold, rotation, **options)
        except BaseException:
            os.close(lock)
            raise
        return cls(path, folder, lock, series), left

    def begin_save(self) -> OpenParts:
        """What is kept now, as files that stay whatever happens: quick. :meth:`save` does the rest.

        Of what redaction still holds nothing is in it. Raises DiskFailed, CannotRead.
        """
        self.series.cut(self.series.offset_ns or 0)
        return OpenParts([part.path for part in self.series.ring.parts])

    def save(self, parts: OpenParts, wall_ns: int) -> Saved:
        """Write and close ``parts`` as one recording, named after the wall clock ``wall_ns``. May
        run in any thread, beside the recording. Raises as :meth:`OpenParts.save`.
        """
        with parts:
            return _save(parts, self._path, self._folder, wall_ns)

    def save_all(self, wall_ns: int) -> Saved:
        """Save all that is kept, after ``series`` was closed; its parts are removed then."""
        found = find_parts(self._folder / self._path.name)
        saved = self.save(OpenParts([path for _, path in found]), wall_ns)
        _remove(found)
        return saved

    def discard(self) -> None:
        """Remove all that is kept, after ``series`` was closed."""
        _remove(find_parts(self._folder / self._path.name))

    def close(self) -> None:
        """Give up the folder, and remove it if it is empty."""
        with suppress(OSError):
            self._folder.rmdir()
        os.close(self._lock)


def _lock(folder: Path) -> int:
    """Make the folder, and have it alone; returns a descriptor that holds the lock."""
    try:
        folder.mkdir(exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise OutputExists(f"{folder} cannot be made: {exc.strerror}") from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(descriptor)
        why = (
            "it is in use by another recorder" if isinstance(exc, BlockingIOError) else exc.strerror
        )
        raise OutputExists(f"{folder} cannot be locked: {why}; choose another name") from exc
    return descriptor


def _save_left(path: Path, folder: Path) -> Saved | None:
    """Save what a recorder that died left behind."""
    for unfinished in folder.glob("saving-*"):
        unfinished.unlink()
    found = find_parts(folder / path.name)
    whole = [one for one in found if not is_stillborn(one[1])]
    saved = None
    if whole:
        with OpenParts([one for _, one in whole]) as parts:
            saved = _save(
                parts,
                path,
                folder,
                whole[-1][1].stat().st_mtime_ns,
                note="saved after the recorder died: what it had not written yet is missing",
            )
    _remove(found)
    return saved


def _save(
    parts: OpenParts, path: Path, folder: Path, wall_ns: int, *, note: str | None = None
) -> Saved:
    name, suffix = name_and_suffix(path)
    unfinished = folder / f"saving-{os.urandom(4).hex()}{suffix}"
    saved = parts.save(unfinished, note=note)
    moment = f"{datetime.fromtimestamp(wall_ns // 10**9, UTC):%Y%m%dT%H%M%SZ}"
    final, number = path.with_name(f"{name}-{moment}{suffix}"), 1
    while final.exists():
        number += 1
        final = path.with_name(f"{name}-{moment}-{number}{suffix}")
    try:
        os.rename(unfinished, final)
        sync_folder(os.fspath(final), OsFile)
    except OSError as exc:
        raise DiskFailed(
            f"{final} cannot be made: {exc.strerror}; what was saved is in {unfinished}"
        ) from exc
    return msgspec.structs.replace(saved, path=final)


def _remove(parts: list[tuple[int, Path]]) -> None:
    for _, path in parts:
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            raise CannotRead(f"{path} cannot be removed: {exc.strerror}") from exc
