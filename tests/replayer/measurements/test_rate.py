"""Messages a second."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replayer.errors import NothingLearnt
from replayer.measurements.rate import Rates
from replayer.reading.conversation import converse
from tests.profiles import examples
from tests.replayer.recordings import message, ms, ping, session

KINDS = {b'{"devices":[]}': "devices", b'{"positions":[]}': "positions", b"{}": "empty"}
MOMENTS = st.lists(st.tuples(st.integers(0, 10**9), st.sampled_from(list(KINDS))), max_size=30)


@settings(max_examples=examples(150))
@given(MOMENTS, st.none() | st.sampled_from([10_000, 60_000, 3_600_000]))
def test_every_message_is_in_its_window_and_windows_have_no_holes(
    found: list[tuple[int, bytes]], every_ms: int | None
) -> None:
    every_ns = None if every_ms is None else ms(every_ms)
    fold = Rates(every_ns)
    try:
        rows = list(fold.rows(converse(message("server", data, at=at) for at, data in found)))
    except NothingLearnt:
        assert every_ns is not None
        return
    assert every_ns in (None, fold.every_ns)
    assert bool(rows) == bool(found)
    assert every_ns is not None or len(rows) <= 80
    for before, after in pairwise(rows):
        assert after.from_ns == before.from_ns + before.length_ns
    for row in rows:
        inside = [KINDS[data] for at, data in found if 0 <= ms(at) - row.from_ns < row.length_ns]
        assert row.counts == dict(Counter(inside))
        assert row.per_second == pytest.approx(len(inside) * 1e9 / row.length_ns)
    assert sum(row.messages for row in rows) == len(found)


def test_without_a_length_a_recording_has_some_sixty_rows() -> None:
    for length_s in (1, 60, 600, 7200, 86_400, 864_000):
        found = (message("server", b"{}", at=length_s * number) for number in range(1000))
        assert 12 <= len(list(Rates().rows(converse(found)))) <= 80


def test_the_kinds_are_those_of_show() -> None:
    fold = Rates()
    assert sum(row.messages for row in fold.rows(converse(session()))) == 12
    assert {"PING", "pong", "devices+unknown"} <= set(fold.kinds)


def test_too_many_windows_are_refused_before_they_take_memory() -> None:
    found = [message("server", ping("a"), at=at) for at in (0, 10**9)]
    with pytest.raises(NothingLearnt, match="--every"):
        list(Rates(ms(1)).rows(converse(found)))
