"""``edit speed``: the same, faster or slower. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from recorder.model import AnyEntry
from replayer.editing.moving import retimed

__all__ = ["speed"]


def speed(entries: Iterable[AnyEntry], factor: Fraction) -> Iterator[AnyEntry]:
    """The entries with every ``offset_ns`` and ``first_ns``, and those in checkpoints, divided by
    ``factor`` and rounded down, exactly. What a ``clock`` saw, and dates in messages, stay.
    """
    over, under = factor.denominator, factor.numerator

    def sooner(ns: int) -> int:
        return ns * over // under

    for entry in entries:
        yield retimed(entry, sooner)
