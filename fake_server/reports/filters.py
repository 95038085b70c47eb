"""The filters of the positions of one device, each a pure sub-sequence of what it is given.

A *place* is a beacon, or the coordinates where there is none. A *stay* is a run of consecutive
positions at one place; it lasts until the first position of the next stay. How the backend filters
is not known: manual section 4.6 names two filters, clients three more, and what each does here is
an assumption.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, groupby, pairwise
from typing import Any, Final

import msgspec

from fake_server.reports.parameters import ReportParameters
from recorder.track.rules import Rules

__all__ = ["Fix", "filtered"]

_NS_PER_S: Final = 1_000_000_000


class Fix(msgspec.Struct, frozen=True):
    """A position: its JSON text as it came, when it was (UTC, by the clock that the report goes
    by), and the place, of which only equality counts. ``has_beacon`` says of what kind that is.
    """

    text: bytes
    at_ns: int
    place: Any
    has_beacon: bool


def filtered(fixes: Sequence[Fix], parameters: ReportParameters, rules: Rules) -> Sequence[Fix]:
    """What the filters that were asked for leave of one device's positions, which are in order of
    time.

    The order of the filters is this: a stay must not be short because of positions that do not
    count, and what is left of a place after flapping is one stay.
    """
    if parameters.filter_non_beacon:
        fixes = [fix for fix in fixes if fix.has_beacon]
    if parameters.filter_flapping:
        fixes = without_flapping(fixes, round(rules.flapping_stay_max_s * _NS_PER_S))
    if parameters.duration_min_s:
        fixes = without_short_stays(fixes, parameters.duration_min_s * _NS_PER_S)
    if parameters.filter_same_location:
        gap_ns = parameters.gap_time_s * _NS_PER_S
        fixes = one_a_stay(fixes, gap_ns, keep_last=rules.same_location_keeps == "last")
    return fixes


def stays(fixes: Sequence[Fix]) -> list[list[Fix]]:
    """The stays, in order."""
    return [list(group) for _, group in groupby(fixes, key=lambda fix: fix.place)]


def without_flapping(fixes: Sequence[Fix], stay_max_ns: int) -> list[Fix]:
    """Without each stay at B of A-B-A that lasts ``stay_max_ns`` at most. What is left of A is one
    stay then, and may itself be the short middle of another three. Linear in time.
    """
    kept: list[list[Fix]] = []
    for stay in stays(fixes):
        if (
            len(kept) >= 2
            and kept[-2][0].place == stay[0].place
            and stay[0].at_ns - kept[-1][0].at_ns <= stay_max_ns
        ):
            kept.pop()
            kept[-1].extend(stay)
        else:
            kept.append(stay)
    return list(chain.from_iterable(kept))


def without_short_stays(fixes: Sequence[Fix], stay_min_ns: int) -> list[Fix]:
    """Without stays that last less than ``stay_min_ns``. The last one stays: nobody knows when it
    ended.
    """
    found = stays(fixes)
    kept = [
        stay
        for stay, following in pairwise(found)
        if following[0].at_ns - stay[0].at_ns >= stay_min_ns
    ]
    return list(chain.from_iterable([*kept, *found[-1:]]))


def one_a_stay(fixes: Sequence[Fix], gap_ns: int, *, keep_last: bool) -> list[Fix]:
    """The first (or last) position of each stay; what comes more than ``gap_ns`` after the position
    before it begins a stay of its own, unless that is 0.
    """
    kept: list[Fix] = []
    previous: Fix | None = None
    for fix in fixes:
        is_new = (
            previous is None
            or fix.place != previous.place
            or bool(gap_ns and fix.at_ns - previous.at_ns > gap_ns)
        )
        if is_new:
            kept.append(fix)
        elif keep_last:
            kept[-1] = fix
        previous = fix
    return kept
