"""Cues, and pure transforms of their streams."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from replayer.timeline import Cue, at_speed, looped, merged, without
from tests.profiles import examples

KINDS = ["data", "ping", "timeout", "control", "close", "torn"]
SECOND = 1_000_000_000

cue = st.builds(
    Cue, st.integers(0, 10**13), st.sampled_from(KINDS), st.binary(max_size=4), st.none()
)
streams = st.lists(cue, max_size=10).map(lambda cues: sorted(cues, key=lambda one: one.at_ns))
speeds = st.floats(0.001, 1e6)


def data(at_ns: int, name: bytes = b"") -> Cue:
    return Cue(at_ns, "data", name)


@settings(max_examples=examples(300))
@given(streams, speeds)
def test_speed_divides_the_times_and_changes_nothing_else(cues: list[Cue], speed: float) -> None:
    faster = list(at_speed(cues, speed))
    assert [(one.kind, one.data) for one in faster] == [(one.kind, one.data) for one in cues]
    for one, other in zip(faster, cues, strict=True):
        assert abs(one.at_ns - other.at_ns / speed) <= max(1, other.at_ns / speed * 1e-12)
    assert [one.at_ns for one in faster] == sorted(one.at_ns for one in faster)


@given(streams)
def test_at_infinite_speed_all_is_due_at_once(cues: list[Cue]) -> None:
    assert [one.at_ns for one in at_speed(cues, math.inf)] == [0] * len(cues)


@given(streams)
def test_at_the_recorded_speed_the_cues_are_the_recorded_ones(cues: list[Cue]) -> None:
    assert list(at_speed(cues, 1.0)) == cues


@settings(max_examples=examples(300))
@given(st.lists(streams, max_size=5))
def test_a_merge_is_a_stable_sort_by_time(several: list[list[Cue]]) -> None:
    expected = sorted(itertools.chain(*several), key=lambda one: one.at_ns)
    assert list(merged(several)) == expected


def test_a_merge_takes_of_each_stream_only_what_is_due_next() -> None:
    endless = [
        (data(at_ns, b"even") for at_ns in itertools.count(0, 2)),
        (data(at_ns, b"odd") for at_ns in itertools.count(1, 2)),
    ]
    first = [one.at_ns for one in itertools.islice(merged(endless), 6)]
    assert first == [0, 1, 2, 3, 4, 5]


@given(streams, st.sets(st.sampled_from(KINDS)))
def test_without_leaves_out_the_kinds_and_nothing_else(cues: list[Cue], kinds: set[str]) -> None:
    left = list(without(cues, frozenset(kinds)))  # type: ignore[arg-type]
    assert left == [one for one in cues if one.kind not in kinds]


@settings(max_examples=examples(300))
@given(streams.filter(bool), st.integers(1, 4))
def test_a_loop_begins_each_round_when_the_one_before_had_its_last_cue(
    cues: list[Cue], rounds: int
) -> None:
    length_ns = max(cues[-1].at_ns, SECOND)
    taken = list(itertools.islice(looped(lambda: cues), rounds * len(cues)))
    assert [(one.at_ns, one.kind, one.data) for one in taken] == [
        (number * length_ns + one.at_ns, one.kind, one.data)
        for number in range(rounds)
        for one in cues
    ]


def test_a_loop_without_a_cue_ends() -> None:
    assert list(looped(list)) == []


def test_a_loop_takes_its_cues_as_they_come() -> None:
    def endless() -> Iterator[Cue]:
        return (data(at_ns) for at_ns in itertools.count())

    assert [one.at_ns for one in itertools.islice(looped(endless), 3)] == [0, 1, 2]


@given(streams.filter(bool), speeds)
def test_a_loop_at_another_speed_is_a_loop_that_is_played_faster(
    cues: list[Cue], speed: float
) -> None:
    taken = list(itertools.islice(at_speed(looped(lambda: cues), speed), 3 * len(cues)))
    assert [one.at_ns for one in taken] == sorted(one.at_ns for one in taken)
