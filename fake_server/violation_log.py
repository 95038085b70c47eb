"""What clients did against the manual, as the server saw it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Final

from recorder.track.violations import Violation

__all__ = ["KEPT_VIOLATIONS", "ViolationLog"]

KEPT_VIOLATIONS: Final = 10_000
"""So many are kept word for word; all are counted."""


class ViolationLog:
    """Counts violations by rule and keeps the latest; ``on_violation`` is called for each."""

    def __init__(self, on_violation: Callable[[Violation], None] | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.latest: deque[Violation] = deque(maxlen=KEPT_VIOLATIONS)
        self._on_violation = on_violation

    def report(self, violations: Iterable[Violation]) -> None:
        """Take them in, in order."""
        for violation in violations:
            self.counts[violation.rule] += 1
            self.latest.append(violation)
            if self._on_violation is not None:
                self._on_violation(violation)

    def clear(self) -> None:
        """Forget them."""
        self.counts.clear()
        self.latest.clear()
