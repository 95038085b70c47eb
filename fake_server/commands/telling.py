"""What a person is told of a running server: lines as it goes, a list at the end."""

from __future__ import annotations

import contextlib
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from recorder.console import say
from recorder.track.violations import Violation

__all__ = ["LINES_OF_A_KIND", "Telling", "listed", "plural"]

LINES_OF_A_KIND: Final = 5
"""So many lines of one kind are told. A flood then cannot fill a pipe that nobody reads, which
would stop the server.
"""

_COLUMNS: Final = 80


class Telling:
    """Tells violations as they come (call it with each) and counts them all; what `/__admin`
    forgets stays counted here.

    ``started_ns`` is when the server started, by the clock of the violations: times are told from
    there. ``tell`` takes a line.
    """

    def __init__(self, started_ns: int, *, tell: Callable[[str], None] = say) -> None:
        self.counts: Counter[str] = Counter()
        self._first: dict[str, Violation] = {}
        self._lines: Counter[str] = Counter()
        self.started_ns = started_ns
        self._tell = tell

    def __call__(self, violation: Violation) -> None:
        """Take in a violation."""
        if violation.at_ns is not None:
            at_ns = violation.at_ns - self.started_ns
            violation = msgspec.structs.replace(violation, at_ns=at_ns)
        self.counts[violation.rule] += 1
        self._first.setdefault(violation.rule, violation)
        self.line(violation.rule, f"violation: {violation}", further="only counted")

    def line(self, kind: str, line: str, *, further: str = "not told") -> None:
        """Tell a line, unless many of its kind were told; ``further`` is what becomes of those."""
        self._lines[kind] += 1
        # Who closed our stderr wants to hear no more, and a server shall not end for that.
        with contextlib.suppress(BrokenPipeError):
            if self._lines[kind] <= LINES_OF_A_KIND:
                self._tell(line)
            elif self._lines[kind] == LINES_OF_A_KIND + 1:
                self._tell(f"{kind}: further ones are {further}")

    def summary(self) -> Iterator[str]:
        """Every rule that was broken, in the order of the first time: how often, the section, and
        that first time; lines of at most 80 columns.
        """
        for rule, first in self._first.items():
            times = plural(self.counts[rule], "time")
            source = first.section if first.section.startswith("RFC") else f"manual {first.section}"
            yield f"{rule}: {times} ({source})"
            words = str(first).removesuffix(f" [{rule}, {source}]")
            yield from textwrap.wrap(
                words, _COLUMNS, initial_indent="    ", subsequent_indent="    "
            )

    def total(self) -> str:
        """How many there were, in words."""
        if not self.counts:
            return "no violations"
        rules = plural(len(self.counts), "rule")
        return f"{plural(self.counts.total(), 'violation')} of {rules}"


def listed(counts: Counter[str]) -> str:
    """The counts of rules on one line."""
    return ", ".join(f"{rule} {count}" for rule, count in sorted(counts.items())) or "none"


def plural(count: int, noun: str) -> str:
    """``1 socket``, ``2 sockets``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
