"""The finished parts of a series on the disk, of which the oldest give way."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import Final

import msgspec

from recorder.errors import DiskFailed
from recorder.recording.parts import is_part_of

__all__ = ["Part", "Ring"]


class Part(msgspec.Struct, frozen=True):
    """A finished part: its first entry has ``offset_ns``, None where that is not known."""

    number: int
    path: Path
    size_bytes: int
    offset_ns: int | None


class Ring:
    """The finished parts of the series ``series_id``, oldest first.

    Parts are removed by :meth:`make_room` and :meth:`forget`. Before a file is removed, its header
    is asked whether it is this part of this series: what somebody put in its place stays. The last
    finished part is never removed for room. DiskFailed if a part cannot be removed.
    """

    def __init__(self, series_id: str, parts: list[Part]) -> None:
        self._series_id: Final = series_id
        self._parts: Final = deque(parts)
        self.size_bytes = sum(part.size_bytes for part in parts)
        """How big they are together."""
        self.removed = 0
        """How many parts were removed so far."""
        self.foreign: list[Path] = []
        """Files that were no part any more when they should have been removed."""

    @property
    def parts(self) -> list[Part]:
        """The parts that are there."""
        return list(self._parts)

    def add(self, part: Part) -> None:
        """A part was finished."""
        self._parts.append(part)
        self.size_bytes += part.size_bytes

    def make_room(self, size_bytes: int, max_bytes: int) -> list[Part]:
        """Remove the oldest parts until the rest and ``size_bytes`` of other files are at most
        ``max_bytes`` together; return them.
        """
        removed = []
        while self.size_bytes + size_bytes > max_bytes and len(self._parts) > 1:
            removed.append(self._remove_oldest())
        return removed

    def forget(self, before_ns: int, next_offset_ns: int) -> None:
        """Remove the parts that hold nothing at or after the offset ``before_ns``;
        ``next_offset_ns`` is where the part begins that is being written.
        """
        while self._parts:
            after = self._parts[1].offset_ns if len(self._parts) > 1 else next_offset_ns
            if after is None or after >= before_ns:
                return
            self._remove_oldest()

    def remove_all(self) -> None:
        """Remove every part."""
        while self._parts:
            self._remove_oldest()

    def _remove_oldest(self) -> Part:
        part = self._parts[0]
        if is_part_of(part.path, self._series_id, part.number):
            try:
                os.unlink(part.path)
            except OSError as exc:
                raise DiskFailed(
                    f"{part.path} cannot be removed, to make room for what is recorded: "
                    f"{exc.strerror}"
                ) from exc
            self.removed += 1
        elif os.path.lexists(part.path):
            self.foreign.append(part.path)
        self._parts.popleft()
        self.size_bytes -= part.size_bytes
        return part
