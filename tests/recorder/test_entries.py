"""What was parsed, as entries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.entries import body_entries
from recorder.model import MAX_BODY_PIECE_BYTES


@given(st.binary(max_size=50), st.none() | st.integers(0, 9))
def test_a_small_body_is_one_entry(data: bytes, first_ns: int | None) -> None:
    entries = body_entries(
        data, connection=1, exchange=2, sender="client", offset_ns=9, first_ns=first_ns
    )
    assert len(entries) == (1 if data else 0)
    for entry in entries:
        assert (entry.data, entry.last, entry.sender) == (data, True, "client")
        assert (entry.offset_ns, entry.first_ns) == (9, first_ns)


@pytest.mark.parametrize("extra", [0, 1])
def test_a_body_is_cut_at_64_kib(extra: int) -> None:
    data = b"\xff" * (2 * MAX_BODY_PIECE_BYTES + extra)
    entries = body_entries(data, connection=1, exchange=2, sender="server", offset_ns=None)
    assert [entry.last for entry in entries] == [False] * (1 + extra) + [True]
    assert b"".join(entry.data for entry in entries) == data
