"""The filters of positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.reports import route
from fake_server.reports.filters import (
    Fix,
    filtered,
    one_a_stay,
    stays,
    without_flapping,
    without_short_stays,
)
from recorder.track.rules import Rules
from tests.fake_server.reports.strategies import asked, history, places, position
from tests.profiles import examples

S = 10**9

Filter = Callable[[Sequence[Fix]], Sequence[Fix]]


@st.composite
def some_fixes(draw: st.DrawFn) -> list[Fix]:
    """At few places, in order of time, moments may repeat."""
    steps = draw(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4)), max_size=14))
    fixes: list[Fix] = []
    at_ns = 0
    for number, (place, step_s) in enumerate(steps):
        at_ns += step_s * S
        fixes.append(Fix(b"%d" % number, at_ns, place, place != "c"))
    return fixes


filters = st.sampled_from(
    [
        partial(without_flapping, stay_max_ns=3 * S),
        partial(without_short_stays, stay_min_ns=3 * S),
        partial(one_a_stay, gap_ns=0, keep_last=False),
        partial(one_a_stay, gap_ns=0, keep_last=True),
        partial(one_a_stay, gap_ns=2 * S, keep_last=False),
        lambda fixes: filtered(fixes, asked(filter_non_beacon=True), Rules()),
    ]
)


@settings(max_examples=examples(300))
@given(some_fixes(), filters)
def test_a_filter_leaves_a_sub_sequence_and_done_twice_is_done_once(
    fixes: list[Fix], one: Filter
) -> None:
    left = list(one(fixes))
    remaining = iter(fixes)
    assert all(fix in remaining for fix in left)
    assert list(one(left)) == left


def flapping_by_hand(fixes: list[Fix], stay_max_ns: int) -> list[Fix]:
    """Take the first short B of A-B-A out, and look again from the beginning."""
    while True:
        found = stays(fixes)
        for before, between, after in zip(found, found[1:], found[2:], strict=False):
            short = after[0].at_ns - between[0].at_ns <= stay_max_ns
            if short and before[0].place == after[0].place:
                fixes = [fix for fix in fixes if fix not in between]
                break
        else:
            return fixes


@settings(max_examples=examples(300))
@given(some_fixes(), st.integers(0, 9))
def test_flapping_is_what_is_found_by_hand(fixes: list[Fix], stay_max_s: int) -> None:
    assert without_flapping(fixes, stay_max_s * S) == flapping_by_hand(fixes, stay_max_s * S)


@given(some_fixes())
def test_of_stays_one_position_each_remains(fixes: list[Fix]) -> None:
    assert one_a_stay(fixes, 0, keep_last=False) == [stay[0] for stay in stays(fixes)]
    assert one_a_stay(fixes, 0, keep_last=True) == [stay[-1] for stay in stays(fixes)]


@given(some_fixes())
def test_filters_are_off_unless_they_are_asked_for(fixes: list[Fix]) -> None:
    assert filtered(fixes, asked(), Rules()) == fixes


def left(positions: list[bytes], rules: Rules | None = None, **more: Any) -> str:
    """The places of the route that is left, as numbers of the positions."""
    texts = route(history(*positions), asked(**more), rules or Rules())
    return " ".join(str(positions.index(text)) for text in texts)


@pytest.mark.parametrize(
    ("went", "keeps", "remain"),
    [
        ("aaa", "first", "0"),
        ("aaa", "last", "2"),
        ("aabba", "first", "0 2 4"),
        ("aabba", "last", "1 3 4"),
    ],
)
def test_of_consecutive_positions_at_one_place_one_is_kept(
    went: str, keeps: Any, remain: str
) -> None:
    rules = Rules(same_location_keeps=keeps)
    assert left(places(went), rules, filter_same_location=True) == remain


def test_a_place_is_a_beacon_wherever_that_is_or_else_the_coordinates() -> None:
    positions = [
        position(0, 0, 3),
        position(1, 10, 3, latitude=5),
        position(2, 20, 4),
        position(3, 30, None, latitude=0, longitude=0),
        position(4, 40, None, latitude=0.0, longitude=0),
        position(5, 50, None, latitude=0, longitude=1),
    ]
    assert left(positions, filter_same_location=True) == "0 2 3 5"


def test_a_position_after_a_gap_is_kept_at_the_same_place() -> None:
    positions = [position(0, 0, 3), position(1, 90, 3), position(2, 181, 3)]
    assert left(positions, filter_same_location=True, gap_time_s=90) == "0 2"
    assert left(positions, filter_same_location=True) == "0"
    assert left(positions, gap_time_s=90) == "0 1 2"


@pytest.mark.parametrize(
    ("went", "remain"),
    [
        ("aba", "0 2"),
        ("abba", "0 3"),
        ("abbbbbba", "0 7"),
        ("abbbbbbba", "0 1 2 3 4 5 6 7 8"),
        ("abca", "0 1 2 3"),
        ("abcba", "0 4"),
        ("abab", "0 2 3"),
        ("ab", "0 1"),
    ],
)
def test_a_stay_of_a_minute_at_most_between_two_at_one_place_is_flapping(
    went: str, remain: str
) -> None:
    assert left(places(went), filter_flapping=True) == remain


def test_how_long_a_flapping_stay_is_at_most_is_a_rule() -> None:
    rules = Rules(flapping_stay_max_s=9)
    assert left(places("aba"), rules, filter_flapping=True) == "0 1 2"
    assert left(places("aba", step_s=9), rules, filter_flapping=True) == "0 2"


def test_positions_without_a_beacon_are_dropped() -> None:
    positions = [position(0, 0, 3), position(1, 1, "a"), position(2, 2, 0)]
    assert left(positions, filter_non_beacon=True) == "0 2"


def test_short_stays_are_dropped_but_never_the_last() -> None:
    assert left(places("aabccc"), duration_min_s=20) == "0 1 3 4 5"
    assert left(places("a"), duration_min_s=999) == "0"


def test_what_flapping_leaves_of_a_place_is_one_stay() -> None:
    assert left(places("abac"), filter_flapping=True, duration_min_s=30) == "0 2 3"
    assert left(places("abac"), duration_min_s=30) == "3"
    assert left(places("aba"), filter_flapping=True, filter_same_location=True) == "0"


def test_positions_without_a_beacon_make_no_stay_short() -> None:
    positions = [position(0, 0, 3), position(1, 10, "a"), position(2, 20, 3), position(3, 30, 4)]
    assert left(positions, filter_non_beacon=True, duration_min_s=30) == "0 2 3"


def test_many_positions_are_filtered_in_linear_time() -> None:
    fixes = [Fix(b"", number * S, "ab"[number % 2], True) for number in range(50_000)]
    assert len(without_flapping(fixes, 60 * S)) == 25_001
