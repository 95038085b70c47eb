"""A run of one side that is longer than a window: the order is lost, said so, and found again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import Entry
from replayer.difference.alignment import LaneAligner
from replayer.difference.comparison import Comparison, compare
from tests.profiles import examples
from tests.replayer.recordings import frame, numbered

WINDOW = 8


@pytest.fixture(autouse=True, scope="module")
def small_window() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LaneAligner.__init__, "__kwdefaults__", {"window": WINDOW})
        yield


def said(numbers: range, more: str = "") -> list[Entry]:
    text = '{"positions":[{"id":%d,"deviceId":%d%s}]}'
    return [frame("server", (text % (number, number % 3 + 1, more)).encode()) for number in numbers]


def compared(a: list[Entry], b: list[Entry]) -> Comparison:
    return compare(numbered(a), numbered(b))


@settings(max_examples=examples(60))
@given(st.integers(0, 60), st.integers(0, 10), st.booleans())
def test_behind_a_long_run_the_same_is_found_again(run: int, before: int, swapped: bool) -> None:
    tail = 300
    whole, rest = range(1, before + run + tail), range(before + run, before + run + tail)
    a, b = said(whole), said(range(1, before)) + said(rest)
    found = compared(b, a) if swapped else compared(a, b)
    assert found.verdict == ("different" if a != b else "same")
    # What was given away until the run had passed is lost on both sides.
    assert found.same >= tail - 2 * run - 4 * WINDOW
    assert (found.guessed_from is None) or run >= WINDOW // 2
    alone = {group.side: group.count for group in found.one_sided}
    assert found.same + found.changed + alone.get("a", 0) == found.statements_a
    assert found.same + found.changed + alone.get("b", 0) == found.statements_b


def test_a_change_in_each_message_is_no_loss_of_order() -> None:
    found = compared(said(range(1, 100)), said(range(1, 100), ',"new":1'))
    assert (found.changed, found.guessed_from) == (99, None)


def test_other_messages_altogether_are_no_loss_that_could_be_found_again() -> None:
    found = compared(said(range(1, 100)), said(range(1000, 1100), ',"new":1'))
    assert found.same == 0
    assert found.guessed_from is not None


def test_a_side_that_begins_to_speak_late_may_have_said_what_was_given_away() -> None:
    call = frame("server", b"nonsense")
    found = compared(said(range(1, 100)), [call, *said(range(60, 100))])
    assert found.guessed_from is not None
