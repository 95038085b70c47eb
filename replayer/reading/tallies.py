"""What :mod:`replayer.reading.statistics` counts with: seconds, and the longest of many times."""

from __future__ import annotations

from heapq import heappush, heappushpop
from typing import Final

from replayer.reading.facts import LISTED_SILENCES, Silence

__all__ = ["BusiestSecond", "Longest"]

_SECOND_NS: Final = 1_000_000_000


class BusiestSecond:
    """Counts messages by whole seconds, and keeps the second that had most, the first of several.

    Moments come in their order. To count one: :meth:`turn` if it is not below ``end_ns``, then
    ``count`` grows by one (so that a loop may do it without a call).
    """

    def __init__(self) -> None:
        self.end_ns = 0
        self.count = 0
        self._most = (0, 0)

    def turn(self, at_ns: int) -> None:
        """Begin the second of this moment."""
        self._keep()
        self.end_ns = (at_ns // _SECOND_NS + 1) * _SECOND_NS
        self.count = 0

    def most(self) -> tuple[int, int]:
        """How many messages the busiest second had, and when it began, in nanoseconds."""
        self._keep()
        return self._most

    def _keep(self) -> None:
        if self.count > self._most[0]:
            self._most = (self.count, self.end_ns - _SECOND_NS)


class Longest:
    """Times of a kind: all are counted, the longest :data:`LISTED_SILENCES` kept."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[Silence] = []

    def add(self, from_ns: int, to_ns: int) -> None:
        """One more."""
        self.count += 1
        one = Silence(length_ns=to_ns - from_ns, from_ns=from_ns)
        if len(self._kept) < LISTED_SILENCES:
            heappush(self._kept, one)
        else:
            heappushpop(self._kept, one)

    def longest(self) -> list[Silence]:
        """Those that were kept, the longest first."""
        return sorted(self._kept, reverse=True)
