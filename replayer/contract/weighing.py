"""Whether something is another, or may be so by chance. Pure.

Everything that is found is weighed before it is called a change. A value that the contract never
had, in ``k`` of ``m`` of the candidate, may have been that rare before: the chance that ``n``
objects show none of it is ``(1 - k / (m + 1)) ** n``. A field that was optional, in ``p`` of ``n``,
and is in none of ``m``, may be missing by chance: ``(1 - p / n) ** m``. It is a change only where
that chance is below :data:`CHANCE`. Where it is not, it is said to be undecided.

Objects of one device are much alike, so the same is asked of devices: what only some of the
devices have is weighed by how many devices were seen, since the other recording may have been of
others.
"""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["CHANCE", "ENOUGH", "Share", "Total", "chance_of_none"]

CHANCE: Final = 0.001
"""What may come by chance more often than this is no change."""

ENOUGH: Final = 5
"""A place that was seen less often, in the contract or in the candidate, is not compared."""


class Share(msgspec.Struct, frozen=True):
    """In how many of how many it was seen, and with how many of how many subjects; 0 subjects where
    those are not known."""

    count: int
    of: int
    subjects: int = 0
    of_subjects: int = 0


class Total(msgspec.Struct, frozen=True):
    """How much was seen on the other side, where it never was."""

    seen: int
    subjects: int = 0


def chance_of_none(share: Share, total: Total, *, smoothed: bool) -> float:
    """How likely so many objects show none of what was seen in that share of others."""
    chance = (1 - share.count / (share.of + smoothed)) ** total.seen
    if total.subjects and 0 < share.subjects < share.of_subjects:
        return max(chance, (1 - share.subjects / share.of_subjects) ** total.subjects)
    return chance
