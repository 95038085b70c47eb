"""Whether something is another, or may be so by chance. Pure.

Everything that is found is weighed before it is called a change. A value that the contract never
had, in ``k`` of ``m`` of the candidate, may have been that rare before: the chance that ``n``
objects show none of it is ``(1 - k / (m + 1)) ** n``. A field that was optional, in ``p`` of ``n``,
and is in none of ``m``, may be missing by chance: ``(1 - p / n) ** m``. It is a change only where
that chance is below :data:`CHANCE`. Where it is not, it is said to be undecided.

Objects of one device are much alike, so the same is asked of devices. Had ``k`` of the ``m``
devices of one recording it, and none of the ``n`` of the other, and were they dealt to the two by
chance, then all ``k`` fell on one side with a chance of ``C(m, k) / C(m + n, k)`` (Fisher's exact
test). Only what all devices have, where they are the same in both, is weighed by objects alone.
"""

from __future__ import annotations

from math import comb, exp, lgamma
from typing import Final

import msgspec

__all__ = [
    "CHANCE",
    "ENOUGH",
    "Share",
    "Subjects",
    "Total",
    "chance_of_none",
    "chance_of_so_many",
    "is_of_subjects",
]

CHANCE: Final = 0.001
"""What may come by chance more often than this is no change."""

ENOUGH: Final = 5
"""A place that was seen less often, in the contract or in the candidate, is not compared."""


class Subjects(msgspec.Struct, frozen=True):
    """Of how many subjects a place was seen before and after; 0 where those are not known. ``same``
    where they are the same ones, as far as their number, the least id and the greatest tell."""

    before: int = 0
    after: int = 0
    same: bool = False


class Share(msgspec.Struct, frozen=True):
    """In how many of how many it was seen, and with how many of how many subjects; 0 subjects where
    those are not known."""

    count: int
    of: int
    subjects: int = 0
    of_subjects: int = 0


class Total(msgspec.Struct, frozen=True):
    """How much was seen on the other side, where it never was; and whether of the same subjects."""

    seen: int
    subjects: int = 0
    same: bool = False


def chance_of_none(share: Share, total: Total, *, smoothed: bool) -> float:
    """How likely so many objects show none of what was seen in that share of others."""
    chance: float = (1 - share.count / (share.of + smoothed)) ** total.seen
    if not is_of_subjects(share, total):
        return chance
    of = share.of_subjects
    return max(chance, comb(of, share.subjects) / comb(of + total.subjects, share.subjects))


def is_of_subjects(share: Share, total: Total) -> bool:
    """Whether it may be a matter of which subjects were seen."""
    if not total.subjects or not 0 < share.subjects <= share.of_subjects:
        return False
    return share.subjects < share.of_subjects or not total.same


def chance_of_so_many(now: Share, before: Share) -> float:
    """How likely at least ``now.count`` of all that have it, ``now.count + before.count``, fall
    among the ``now.of`` by chance (Fisher's exact test, one-sided)."""
    having, of = now.count + before.count, now.of + before.of
    most = min(having, now.of)
    return sum(
        exp(_log_comb(now.of, count) + _log_comb(before.of, having - count) - _log_comb(of, having))
        for count in range(now.count, most + 1)
        if having - count <= before.of
    )


def _log_comb(of: int, count: int) -> float:
    return lgamma(of + 1) - lgamma(count + 1) - lgamma(of - count + 1)
