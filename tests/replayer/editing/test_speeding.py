"""Only times change, exactly."""

from __future__ import annotations

import json
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import AnyEntry, Checkpoint, Note, UnknownEntry
from replayer.editing.cutting import cut
from replayer.editing.speeding import speed
from tests.profiles import examples
from tests.replayer.editing.support import ended, messages, plain
from tests.replayer.recordings import ms, session
from tests.replayer.traffic import polite
from tests.strategies import entry_lists


@settings(max_examples=examples(60))
@given(polite)
def test_twice_as_fast_and_half_is_as_it_was(entries: list[AnyEntry]) -> None:
    source = ended(entries)
    made = list(speed(speed(source, Fraction(2)), Fraction(1, 2)))
    assert [type(entry) for entry in made] == [type(entry) for entry in source]
    for old, new in zip(source, made, strict=True):
        assert 0 <= (old.offset_ns or 0) - (new.offset_ns or 0) <= 1
    assert [one[1:] for one in messages(made)] == [one[1:] for one in messages(source)]


@settings(max_examples=examples(60))
@given(entry_lists(), st.fractions("0.001", 1000))
def test_every_entry_is_at_its_time_over_the_factor(
    entries: list[AnyEntry], factor: Fraction
) -> None:
    for old, new in zip(entries, speed(entries, factor), strict=True):
        assert new.offset_ns == int((old.offset_ns or 0) / factor)
        if isinstance(new, UnknownEntry):
            assert json.loads(new.line)["offset_ns"] == new.offset_ns
        elif isinstance(old, Checkpoint) or not isinstance(old, UnknownEntry):
            assert new.first_ns == (None if old.first_ns is None else int(old.first_ns / factor))
    assert plain(speed(entries, Fraction(1))) == plain(entries)


def test_a_long_time_stays_exact() -> None:
    (made,) = speed([Note(offset_ns=10**18 + 1, text="")], Fraction(1, 3))
    assert made.offset_ns == 3 * 10**18 + 3


def test_a_ping_in_a_checkpoint_moves_too() -> None:
    source = list(cut(ended(session()), from_ns=ms(30_110)))
    (checkpoint, *_) = speed(source, Fraction(10))
    assert isinstance(checkpoint, Checkpoint)
    assert json.loads(bytes(checkpoint.pings[0]))["offset_ns"] == -ms(1)
