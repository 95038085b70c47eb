"""Cues, and pure transforms of their streams."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from replayer.playing.timeline import Cue, looped, may_begin_with, merged, without
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
    taken = list(itertools.islice(looped(lambda later_ns: cues), rounds * len(cues)))
    assert [(one.at_ns, one.kind, one.data) for one in taken] == [
        (number * length_ns + one.at_ns, one.kind, one.data)
        for number in range(rounds)
        for one in cues
    ]


def test_a_loop_without_a_cue_ends() -> None:
    assert list(looped(lambda later_ns: [])) == []


def test_a_loop_takes_its_cues_as_they_come() -> None:
    def endless(later_ns: int) -> Iterator[Cue]:
        return (data(at_ns) for at_ns in itertools.count())

    assert [one.at_ns for one in itertools.islice(looped(endless), 3)] == [0, 1, 2]


@given(st.integers(0, 10), st.integers(0, 10), st.sampled_from([0x00, 0x80, 0x01, 0x81, 0x89]))
def test_playback_begins_with_what_is_not_earlier_and_no_fragment_behind_another(
    at_ns: int, position_ns: int, first_byte: int
) -> None:
    cue = data(at_ns, bytes([first_byte, 0]))
    is_continuation = first_byte & 0x0F == 0
    assert may_begin_with(cue, position_ns) == (at_ns >= position_ns and not is_continuation)
