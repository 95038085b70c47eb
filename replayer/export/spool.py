"""What is to be written later: in a file, so that it takes no memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Final

__all__ = ["Spool"]

_BLOCK_BYTES: Final = 32 * 1024


class Spool:
    """Byte sequences that are appended to piece by piece and read again, in one file, which the
    caller closes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._blocks: dict[int, list[tuple[int, int]]] = {}
        self._begun: dict[int, bytearray] = {}

    def add(self, key: int, data: bytes) -> None:
        """Put data behind what the sequence ``key`` holds."""
        begun = self._begun.setdefault(key, bytearray())
        begun += data
        if len(begun) > _BLOCK_BYTES:
            at = self._file.seek(0, 2)
            self._file.write(begun)
            self._blocks.setdefault(key, []).append((at, len(begun)))
            begun.clear()

    def take(self, key: int) -> Iterator[bytes]:
        """All that was added, and forget it."""
        for at, size_bytes in self._blocks.pop(key, []):
            self._file.seek(at)
            yield self._file.read(size_bytes)
        yield bytes(self._begun.pop(key, b""))
