"""A cut is what stands between two moments, and plays by itself."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import AnyEntry, Checkpoint, End
from replayer.editing.cutting import cut
from replayer.reading.checkpoints import read_checkpoint
from tests.profiles import examples
from tests.replayer.editing.support import ended, is_sound, messages, plain
from tests.replayer.recordings import PING, frame, ms, session
from tests.replayer.traffic import polite, proxied

UUID = "a0b34365-908f-4868-a52a-84a3ed83bd59"


def moments(entries: Sequence[AnyEntry], places: list[int]) -> list[int]:
    """Moments at entries and just beside them, in their order."""
    times = sorted({(entry.offset_ns or 0) + by for entry in entries for by in (0, 1)})
    return sorted(times[place % len(times)] for place in places)


@settings(max_examples=examples(60))
@given(polite)
def test_a_cut_of_all_is_all(entries: list[AnyEntry]) -> None:
    assert list(cut(ended(entries)))[:-1] == ended(entries)[:-1]


@settings(max_examples=examples(150))
@given(polite, st.tuples(st.integers(0, 200), st.integers(0, 200)), st.booleans(), st.booleans())
def test_a_cut_has_the_messages_of_its_time_and_keeps_the_rules(
    entries: list[AnyEntry], places: tuple[int, int], keep_start: bool, through_a_proxy: bool
) -> None:
    entries = proxied(entries) if through_a_proxy else entries
    from_ns, to_ns = moments(entries, [*places])
    source = ended(entries)
    made = list(cut(source, from_ns=from_ns, to_ns=to_ns, keep_start=keep_start))
    by_ns = 0 if keep_start else from_ns
    assert messages(made, by_ns=by_ns) == [
        one for one in messages(source) if from_ns <= one[0] < to_ns
    ]
    assert is_sound(made, source)
    assert isinstance(made[-1], End)
    assert all((entry.offset_ns or 0) >= from_ns - by_ns for entry in made)


@settings(max_examples=examples(60))
@given(polite, st.tuples(st.integers(0, 200), st.integers(0, 200), st.integers(0, 200)))
def test_a_cut_of_a_cut_is_a_cut(entries: list[AnyEntry], places: tuple[int, int, int]) -> None:
    first, second, last = moments(entries, [*places])
    once = plain(cut(ended(entries), from_ns=second, to_ns=last))
    outer = ended(cut(ended(entries), from_ns=first))[:-1]
    twice = plain(cut(outer, from_ns=second - first, to_ns=last - first))
    assert plain(once, but=(End, Checkpoint)) == plain(twice, but=(End, Checkpoint))


def test_what_was_open_stands_in_a_checkpoint() -> None:
    made = list(cut(ended(session()), from_ns=ms(102.5), to_ns=ms(30_141)))
    checkpoint = made[0]
    assert isinstance(checkpoint, Checkpoint)
    standing = read_checkpoint(checkpoint)
    assert checkpoint.offset_ns == 0
    assert [one.is_socket for one in standing.connections.values()] == [True]
    assert [*standing.fragments] == [(2, "server")]
    assert made[-1].offset_ns == ms(30_141) - ms(102.5)


def test_a_ping_before_the_cut_is_waited_for_as_long_as_it_was() -> None:
    entries = [*session()[:11], frame("server", PING % UUID.encode(), at=1000, connection=2)]
    pong = frame("client", f"pong {UUID}".encode(), at=30_900, connection=2)
    made = list(cut(ended([*entries, pong]), from_ns=ms(2000)))
    (ping,) = read_checkpoint(made[0]).pings  # type: ignore[arg-type]
    assert ping.offset_ns == -ms(1000)
    assert is_sound(made)


def test_a_cut_that_begins_with_a_checkpoint_needs_no_second_one() -> None:
    once = ended(cut(ended(session()), from_ns=ms(1250)))[:-1]
    assert plain(cut(once)) == plain(once)
    again = list(cut(once, from_ns=1))
    assert [type(entry) for entry in again[:2]] == [Checkpoint, type(once[1])]


def test_nothing_is_read_behind_the_cut() -> None:
    source = iter(ended(session()))
    assert list(cut(source, to_ns=ms(50)))[-1].offset_ns == ms(50)
    assert next(source).offset_ns == ms(90)


def test_a_quiet_cut_still_says_what_was_open() -> None:
    made = list(cut(ended(session()), from_ns=ms(40_000), to_ns=ms(50_000)))
    assert [type(entry) for entry in made] == [Checkpoint, End]
    assert made[-1].offset_ns == ms(10_000)
