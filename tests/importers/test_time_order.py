"""Entries in the order of time."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder.errors import DiskFailed
from recorder.importers.time_order import TimeOrder
from recorder.model import MessageEntry, UnknownEntry
from tests.profiles import examples


def message(at: int | None, place: int, text: str = "") -> MessageEntry:
    return MessageEntry(
        offset_ns=at, seq=place, connection=1, sender="server", opcode="text", text=text
    )


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.none() | st.integers(0, 5), st.integers(0, 3), st.text(max_size=9))),
    st.integers(0, 5000),
)
def test_any_entries_come_in_order_whether_held_or_put_down(
    tmp_path: Path, made: list[tuple[int | None, int, str]], max_held_bytes: int
) -> None:
    entries = [
        message(at, place, f"{number} {text}") for number, (at, place, text) in enumerate(made)
    ]
    order = TimeOrder(tmp_path, max_held_bytes=max_held_bytes)
    for entry in entries:
        order.add(entry)
    key = lambda each: (-1 if each.offset_ns is None else each.offset_ns, each.seq)  # noqa: E731
    assert list(order) == sorted(entries, key=key)
    times = [each.offset_ns for each in entries if each.offset_ns is not None]
    assert order.first_ns == min(times, default=None)
    order.close()
    assert not list(tmp_path.iterdir())


def test_the_file_has_no_name_while_it_is_used(tmp_path: Path) -> None:
    order = TimeOrder(tmp_path, max_held_bytes=0)
    order.add(message(1, 1, "x"))
    order.add(
        UnknownEntry(kind="new", seq=0, offset_ns=0, line=b'{"kind":"new","seq":0,"offset_ns":0}')
    )
    assert not list(tmp_path.iterdir())
    assert [each.kind for each in order] == ["new", "message"]
    order.close()


def test_a_folder_that_takes_no_file_is_said(tmp_path: Path) -> None:
    order = TimeOrder(tmp_path / "none", max_held_bytes=0)
    with pytest.raises(DiskFailed, match="No such file or directory"):
        order.add(message(1, 1))
