"""How many messages came, by kind, in windows of one length. A pure fold."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from replayer.errors import NothingLearnt
from replayer.reading.conversation import DataMessage, Item

__all__ = ["MAX_WINDOWS", "RateRow", "Rates"]

MAX_WINDOWS: Final = 100_000
"""More rows nobody reads, and all are held until the last message is read."""

_ROWS: Final = 80
"""So many rows at most where nobody says how long a window is."""

_SECOND_NS: Final = 1_000_000_000
_LENGTHS_NS: Final = (
    *(_SECOND_NS // 1000, _SECOND_NS // 200, _SECOND_NS // 100, _SECOND_NS // 20),
    *(_SECOND_NS // 10, _SECOND_NS // 2, _SECOND_NS, 5 * _SECOND_NS, 10 * _SECOND_NS),
    *(30 * _SECOND_NS, 60 * _SECOND_NS, 300 * _SECOND_NS, 600 * _SECOND_NS, 1800 * _SECOND_NS),
    *(3600 * _SECOND_NS, 6 * 3600 * _SECOND_NS, 24 * 3600 * _SECOND_NS),
)
"""Each is a whole number of the one before, so that windows can be put together."""


class RateRow(msgspec.Struct, frozen=True, kw_only=True):
    """One window: ``from_ns`` is in it, ``from_ns + length_ns`` is not. ``counts`` has the messages
    of each kind, ``per_second`` all of them over the window's length.

    The recording ends within the last window, and may begin within the first.
    """

    from_ns: int
    length_ns: int
    messages: int
    per_second: float
    counts: dict[str, int]


class Rates:
    """Messages in windows of ``every_ns``; without it, of the shortest round length that makes no
    more than 80. ``kinds`` are those that were seen, in that order, once rows were given; a
    message that holds several kinds counts under their names joined by ``+``.
    """

    def __init__(self, every_ns: int | None = None) -> None:
        self.every_ns = every_ns or _LENGTHS_NS[0]
        self.kinds: list[str] = []
        self._is_fixed = every_ns is not None
        self._windows: dict[int, Counter[str]] = {}
        self._first = self._last = 0

    def rows(self, items: Iterable[Item]) -> Iterator[RateRow]:
        """The windows from the first to the last message, empty ones too, after all was read. None
        without a message that is timed.

        Raises NothingLearnt if there are more than :data:`MAX_WINDOWS`, and what ``items`` raise.
        """
        for item in items:
            if isinstance(item, DataMessage) and item.offset_ns is not None:
                self._count(item.offset_ns, "+".join(item.kinds))
        self.kinds = list(dict.fromkeys(kind for each in self._windows.values() for kind in each))
        for number in range(self._first, self._last + 1 if self._windows else self._first):
            counts = self._windows.get(number, Counter())
            yield RateRow(
                from_ns=number * self.every_ns,
                length_ns=self.every_ns,
                messages=counts.total(),
                per_second=counts.total() * _SECOND_NS / self.every_ns,
                counts=dict(counts),
            )

    def _count(self, offset_ns: int, kind: str) -> None:
        number = offset_ns // self.every_ns
        if not self._windows:
            self._first = self._last = number
        elif number > self._last or number < self._first:
            self._first, self._last = min(self._first, number), max(self._last, number)
            if self._last - self._first >= (MAX_WINDOWS if self._is_fixed else _ROWS):
                self._widen()
                number = offset_ns // self.every_ns
        self._windows.setdefault(number, Counter())[kind] += 1

    def _widen(self) -> None:
        """Put windows together until there are few enough."""
        if self._is_fixed:
            raise NothingLearnt(
                f"there are more than {MAX_WINDOWS} windows of {self.every_ns / 1e9:g} s; choose a"
                " longer time with --every"
            )
        while self._last - self._first >= _ROWS:
            at = bisect.bisect_right(_LENGTHS_NS, self.every_ns)
            wider_ns = _LENGTHS_NS[at] if at < len(_LENGTHS_NS) else 2 * self.every_ns
            times = wider_ns // self.every_ns
            together: dict[int, Counter[str]] = {}
            for number, counts in self._windows.items():
                together.setdefault(number // times, Counter()).update(counts)
            self._windows = together
            self._first, self._last = self._first // times, self._last // times
            self.every_ns = wider_ns
