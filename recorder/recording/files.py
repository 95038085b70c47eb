"""Open the file of a recording for a writer that has it for itself, and the seam between a writer
and its file.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from typing import Protocol

from recorder.errors import CannotRead, OutputExists

__all__ = ["File", "OsFile", "create_locked", "open_locked", "sync_folder"]


class File(Protocol):
    """What a writer needs of an open file. Every method raises OSError when it fails."""

    def write(self, data: memoryview, position: int) -> int:
        """Write at ``position``; return how many bytes were taken, at least one."""

    def truncate(self, size_bytes: int) -> None:
        """Cut the file to this size."""

    def sync(self) -> None:
        """Return once all that was written is on the disk. Called from any thread."""

    def close(self) -> None:
        """Close it, which also gives up the lock."""


class OsFile:
    """A file of the operating system, by its descriptor, which it owns."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: memoryview, position: int) -> int:
        return os.pwrite(self._descriptor, data, position)

    def truncate(self, size_bytes: int) -> None:
        os.ftruncate(self._descriptor, size_bytes)

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


def create_locked(name: str, *, force: bool) -> int:
    """Make the file, empty and locked; return its descriptor. Raises OutputExists."""
    try:
        descriptor = os.open(
            name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (0 if force else os.O_EXCL), 0o666
        )
    except FileExistsError as exc:
        raise OutputExists(
            f"{name} exists already: choose another name, or overwrite it with --force"
        ) from exc
    except FileNotFoundError as exc:
        raise OutputExists(
            f"{name} cannot be made: its folder does not exist; make the folder first"
        ) from exc
    except OSError as exc:
        raise OutputExists(f"{name} cannot be made: {exc.strerror}") from exc
    _lock(descriptor, name)
    try:
        # Only now that it is locked: another recorder may be writing to it.
        os.ftruncate(descriptor, 0)
    except OSError as exc:
        os.close(descriptor)
        raise OutputExists(f"{name} cannot be made: {exc.strerror}") from exc
    return descriptor


def sync_folder(name: str, file_of: Callable[[int], File]) -> None:
    """Sync the folder of a new file: the file's name is part of that. Raises OSError."""
    folder = file_of(os.open(os.path.dirname(name) or ".", os.O_RDONLY | os.O_CLOEXEC))
    try:
        folder.sync()
    finally:
        folder.close()


def open_locked(name: str) -> int:
    """Open the file to write on in it, locked; return its descriptor. Raises CannotRead or
    OutputExists.
    """
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_CLOEXEC)
    except OSError as exc:
        raise CannotRead(f"{name} cannot be opened to go on with it: {exc.strerror}") from exc
    _lock(descriptor, name)
    return descriptor


def _lock(descriptor: int, name: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(descriptor)
        if isinstance(exc, BlockingIOError):
            raise OutputExists(
                f"{name} is being written by another recorder: choose another name"
            ) from exc
        raise OutputExists(
            f"{name} cannot be locked: {exc.strerror}; choose another file system"
        ) from exc
