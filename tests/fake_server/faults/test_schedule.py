"""When a fault strikes, at the edges."""

from __future__ import annotations

import random
from typing import Any

import pytest

from fake_server.faults.close import Close
from fake_server.faults.schedule import Injection, Progress, Schedule


def strikes(*at_s: float, once: bool = False, **schedule: Any) -> list[bool]:
    progress = Progress(Schedule(**schedule), strikes=1 if once else None)
    return [progress.strikes(one, random.Random(1)) for one in at_s]


def test_at_s_is_in_its_time_and_until_s_is_not() -> None:
    assert strikes(0.9, 1.0, 1.9, 2.0, at_s=1.0, until_s=2.0) == [False, True, True, False]


def test_after_so_many_it_strikes_as_often_as_count_says() -> None:
    assert strikes(*[0.0] * 5, after=2, count=2) == [False, False, True, True, False]
    assert strikes(*[0.0] * 3, once=True) == [True, False, False]
    assert strikes(*[0.0] * 3, once=True, count=2) == [True, True, False]
    assert strikes(*[0.0] * 3, once=True, count=0) == [True, True, True]


def test_what_passes_before_its_time_counts_as_passed() -> None:
    assert strikes(0.0, 0.0, 5.0, after=2, at_s=1.0) == [False, False, True]


def test_it_is_over_when_it_has_struck_as_often_as_it_may() -> None:
    progress = Progress(Schedule(count=1, probability=0.0), strikes=None)
    assert not progress.strikes(0.0, random.Random(1))
    assert not progress.is_over
    progress = Progress(Schedule(count=1), strikes=None)
    assert progress.strikes(0.0, random.Random(1))
    assert progress.is_over


def test_certainty_draws_no_chance() -> None:
    """So that a fault beside it, which does, repeats itself whether it is there or not."""
    rng = random.Random(1)
    before = rng.getstate()
    progress = Progress(Schedule(), strikes=None)
    assert progress.strikes(0.0, rng)
    assert rng.getstate() == before


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"after": -1}, "after = -1: expected a count"),
        ({"count": -1}, "count = -1: expected a count"),
        ({"at_s": float("nan")}, "at_s = nan: expected seconds"),
        ({"at_s": 2.0, "until_s": 2.0}, "until_s = 2.0: expected seconds, more than at_s"),
        ({"probability": 1.01}, "probability = 1.01: expected a number from 0 to 1"),
        ({"sockets": (1, 0)}, r"sockets = \(1, 0\): expected numbers from 1"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Schedule(**values)


def test_as_one_object_it_has_of_the_schedule_what_differs_from_the_defaults() -> None:
    """A value that is false may differ, too."""
    plain = Injection(Close()).to_builtins()
    assert plain["fault"] == "close"
    assert not plain.keys() & set(Schedule.__struct_fields__)
    chosen = Schedule(count=0, probability=0.0, sockets=(2,))
    assert Injection(Close(), chosen).to_builtins() == {
        **plain,
        "count": 0,
        "probability": 0.0,
        "sockets": (2,),
    }
