"""Which parts to try to leave out, and in what order: delta debugging, pure.

Strategy: halves first. While one half fails alone, the other is dropped, which for one culprit
among n takes at most 2 log2(n) trials, each half as long as the one before: a client need not read
a long recording through more than a few times. Where neither half fails alone both hold something
that is needed; then the needed parts of the later half are looked for with the earlier one kept
whole, and those of the earlier one beside what was found (A. Zeller, "Yesterday, my program worked.
Today, it does not. Why?", 1999). At last each part that is left is left out once, so that what
remains is 1-minimal whatever the failure depends on: it fails, and without any one of its parts it
does not.

A search is a generator. It yields a round: candidates, in order, made as they are asked for; it is
sent the number of the first one that fails, or None. So several may be tried at once and the answer
be the same. It returns what is left; that is what it began with, or the last candidate that failed.
Every candidate that fails is part of the one that failed before.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TypeAlias

__all__ = ["Search", "minimal", "one_minimal"]

Search: TypeAlias = Generator[Iterator[list[int]], int | None, list[int]]
"""Yields rounds, is sent the number of the first candidate that fails, returns what is left."""


def minimal(items: list[int]) -> Search:
    """Of ``items``, which fail and are in order, as few as still fail.

    Runs: none of them at all, then up to 2 log2(n) for each item that is needed, and one for each
    that is left.
    """
    if (yield iter([[]])) is not None:
        return []
    return (yield from one_minimal((yield from _needed(items, []))))


def one_minimal(items: list[int]) -> Search:
    """Of ``items``, which fail, what is left when no single one can be left out any more. All of
    them are tried, again and again while that helps.
    """
    start, has_changed = 0, False
    while True:
        first = yield (_without(items, number) for number in range(start, len(items)))
        if first is not None:
            items = _without(items, start + first)
            start += first
            has_changed = True
        elif has_changed:
            start, has_changed = 0, False
        else:
            return items


def _needed(items: list[int], besides: list[int]) -> Search:
    """Of ``items`` as few as fail together with ``besides``, given that all of them do."""
    while len(items) > 1:
        middle = len(items) // 2
        halves = items[:middle], items[middle:]
        first = yield (sorted(besides + half) for half in halves)
        if first is None:
            late = yield from _needed(halves[1], besides + halves[0])
            early = yield from _needed(halves[0], besides + late)
            return early + late
        items = halves[first]
    return items


def _without(items: list[int], number: int) -> list[int]:
    return items[:number] + items[number + 1 :]
