"""What stands in several entries and is one text: the fragments of a message, the pieces of a body,
the bytes of one direction. It is put together window by window, so that memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from recorder.leaks.inflating import Inflater, NotLookedInto, codings_of

__all__ = ["OVERLAP_BYTES", "WINDOW_BYTES", "Joined", "Window", "windows_of"]

WINDOW_BYTES: Final = 1024 * 1024
"""How much is looked at at once."""

OVERLAP_BYTES: Final = 8 * 1024
"""How much of a window the next one begins with: what is found must be shorter."""


_START_BYTES: Final = 1024
"""By as much of its start it is told whether a body is compressed."""


class Window(NamedTuple):
    """Bytes to look at, and what was undone to get them; the keys of the first and last piece."""

    data: bytes
    undone: tuple[str, ...]
    first: int
    last: int


class Joined:
    """The pieces of one text. ``content_encodings`` are what the head of a body names."""

    def __init__(self, content_encodings: list[str]) -> None:
        self.held_bytes = 0
        self._content_encodings = content_encodings
        self._inflaters: list[Inflater] | None = None
        self._undone: tuple[str, ...] = ()
        self._told = False
        self._start = b""
        self._pieces: list[bytes] = []
        self._first: int | None = None
        self._last = 0

    def feed(self, data: bytes, line: int) -> Iterator[Window | NotLookedInto]:
        """The next piece, which stands in ``line``."""
        if not data:
            return
        if self._first is None:
            self._first = line
        self._last = line
        if self._inflaters is None:
            self._start += data
            self.held_bytes = len(self._start)
            if len(self._start) < _START_BYTES:
                return
            yield from self._begin()
        else:
            yield from self._read(data)

    def close(self) -> Iterator[Window | NotLookedInto]:
        """What is left at the end."""
        if self._inflaters is None:
            yield from self._begin()
        if self._pieces:
            yield Window(b"".join(self._pieces), self._undone, self._first or 0, self._last)
        self._pieces, self._first, self.held_bytes = [], None, 0

    def _begin(self) -> Iterator[Window | NotLookedInto]:
        """Decide by the first bytes what must be undone."""
        start, self._start, self.held_bytes = self._start, b"", 0
        self._inflaters = []
        for coding in codings_of(self._content_encodings, start):
            if isinstance(coding, NotLookedInto):
                # As it stands it is looked at all the same.
                yield coding
                break
            self._inflaters.append(Inflater(coding))
            self._undone = (*self._undone, coding)
        yield from self._read(start)

    def _read(self, data: bytes) -> Iterator[Window | NotLookedInto]:
        yield from self._through(0, data)
        for inflater in self._inflaters or []:
            if inflater.problem is not None and not self._told:
                self._told = True
                yield inflater.problem

    def _through(self, step: int, data: bytes) -> Iterator[Window]:
        inflaters = self._inflaters or []
        if step == len(inflaters):
            yield from self._hold(data)
            return
        for piece in inflaters[step].feed(data):
            yield from self._through(step + 1, piece)
        if inflaters[step].problem is not None:
            yield from self._hold(data)

    def _hold(self, data: bytes) -> Iterator[Window]:
        self._pieces.append(data)
        self.held_bytes += len(data)
        if self.held_bytes >= WINDOW_BYTES:
            held = b"".join(self._pieces)
            for window in windows_of(held):
                yield Window(window, self._undone, self._first or 0, self._last)
            rest = held[_character(held, len(held) - OVERLAP_BYTES) :]
            self._pieces, self.held_bytes, self._first = [rest], len(rest), self._last


def windows_of(data: bytes) -> Iterator[bytes]:
    """``data`` in windows that overlap. No character of UTF-8 is cut."""
    start = 0
    while len(data) - start > WINDOW_BYTES:
        end = _character(data, start + WINDOW_BYTES)
        yield data[start:end]
        start = _character(data, end - OVERLAP_BYTES)
    yield data[start:]


def _character(data: bytes, at: int) -> int:
    """Where the character begins that ``at`` stands in."""
    for back in range(4):
        if at - back <= 0 or data[at - back] & 0xC0 != 0x80:
            return max(0, at - back)
    return at
