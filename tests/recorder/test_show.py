"""How what goes on is drawn."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from recorder.commands.show import (
    Event,
    Json,
    Lines,
    Pulse,
    Quiet,
    Terminal,
    View,
    plain,
    rows,
    size_text,
    sparkline,
)
from tests.profiles import examples

S = 1_000_000_000


def view(**changes: object) -> View:
    values: dict[str, object] = {
        "parts": ("01:13", "last PING answered 13 s ago", "positions 40 devices 3"),
        "rate": 1.26,
        "spans": (0, 1, 8),
        "size_bytes": 3_240_000,
        "free_bytes": None,
        "typed": None,
        "hint": "type a note",
        "facts": {"type": "progress", "messages": 43},
    }
    return View(**{**values, **changes})


EVENTS = [
    Event("start", "", {"type": "start"}),
    Event("note", "noted: gate", {"type": "note", "text": "noted: gate"}),
    Event("gap", "the socket was lost", {"type": "gap", "text": "the socket was lost"}),
    Event("problem", "the disk", {"type": "problem", "text": "the disk"}),
]


def test_plain_lines_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Lines().show(EVENTS, view())
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "noted: gate",
        "the socket was lost",
        "the disk",
        "01:13  1.3/s  last PING answered 13 s ago  positions 40 devices 3  3.2 MB",
    ]


def test_quiet_tells_what_goes_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    Quiet().show(EVENTS, view())
    out, err = capsys.readouterr()
    assert (out, err) == ("", "the socket was lost\nthe disk\n")


def test_json_is_one_object_a_line_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    Json().show([Event("note", "x", {"type": "note", "text": "ü\n\ud800"})], view())
    out, err = capsys.readouterr()
    assert err == ""
    assert out.isascii()
    assert [json.loads(line) for line in out.splitlines()] == [
        {"type": "note", "text": "ü\n\ud800"},
        {"type": "progress", "messages": 43},
    ]


def drawn(one: View, width: int = 80) -> list[str]:
    """What stands on a terminal so wide."""
    terminal = Terminal()
    terminal._console = console = Console(width=width, record=True, file=io.StringIO())
    console.print(terminal._drawn(one))
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_at_a_terminal_it_stands_in_few_rows() -> None:
    assert drawn(view()) == [
        "● 01:13  1.3/s ▁▂█  3.2 MB",
        "  last PING answered 13 s ago  positions 40 devices 3",
    ]
    assert drawn(view(free_bytes=312_000_000))[0].endswith("  only 312 MB of disk left")


def test_a_line_that_is_typed_stands_below() -> None:
    assert drawn(view(typed=""))[-1] == "type a note:"
    assert drawn(view(typed="the gate"))[-1] == "> the gate"


@settings(max_examples=examples(40))
@given(st.text(max_size=300), st.integers(20, 120))
def test_whatever_is_typed_has_one_row_and_its_end_shows(typed: str, width: int) -> None:
    shown = drawn(view(typed=typed), width)
    assert len(shown) <= 5
    if plain(typed).strip():
        assert shown[-1].startswith(">")
        assert plain(typed).rstrip()[-1:] in shown[-1]


@settings(max_examples=examples(40))
@given(st.lists(st.text("ab ", max_size=200), min_size=1, max_size=9), st.integers(20, 120))
def test_it_never_takes_more_than_five_rows(parts: list[str], width: int) -> None:
    assert len(drawn(view(parts=tuple(parts), typed="x"), width)) <= 5


@settings(max_examples=examples(40))
@given(st.lists(st.text("ab", min_size=1, max_size=30), max_size=12), st.integers(1, 90))
def test_rows_keep_the_parts_in_order_and_within_the_width(parts: list[str], width: int) -> None:
    filled = rows(parts, width)
    assert [part for row in filled for part in row.split("  ")] == parts
    assert all(len(row) <= width or row in parts for row in filled)


@settings(max_examples=examples(40))
@given(st.lists(st.integers(0, 10**9), max_size=40))
def test_a_sparkline_has_a_bar_a_count(counts: list[int]) -> None:
    bars = sparkline(counts)
    assert len(bars) == len(counts)
    for bar, count in zip(bars, counts, strict=True):
        assert (bar == "▁") == (count == 0)
        assert (bar == "█") == (count > 0 and sparkline([count, max(counts)])[0] == "█")
    if any(counts):
        assert bars[counts.index(max(counts))] == "█"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        *[(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_949, "99.9 kB")],
        *[(99_950, "100 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"), (5 * 10**12, "5.0 TB")],
        (5 * 10**15, "5000 TB"),
    ],
)
def test_sizes_have_few_digits(size: int, text: str) -> None:
    assert size_text(size) == text


def test_a_steady_stream_has_its_rate_and_its_spans() -> None:
    pulse = Pulse()
    for second in range(61):
        pulse.beat(10 * second, second * S)
    assert pulse.rate == pytest.approx(10, abs=0.1)
    assert pulse.spans[1:-1] == (20,) * 28


def test_the_rate_of_a_burst_decays() -> None:
    pulse = Pulse()
    pulse.beat(0, 0)
    pulse.beat(100, S)
    assert pulse.rate == pytest.approx(20)
    for second in range(2, 30):
        pulse.beat(100, second * S)
    assert 0 < pulse.rate < 0.1


@settings(max_examples=examples(40))
@given(st.lists(st.tuples(st.integers(0, 90 * S), st.integers(0, 50)), max_size=30))
def test_no_message_is_lost_from_the_spans_within_a_minute(beats: list[tuple[int, int]]) -> None:
    pulse = Pulse()
    pulse.beat(0, 0)
    at_ns = total = 0
    came: list[tuple[int, int]] = []
    for waited_ns, messages in beats:
        at_ns, total = at_ns + waited_ns, total + messages
        pulse.beat(total, at_ns)
        came.append((at_ns, messages))
    assert len(pulse.spans) == 30
    recent = sum(count for at, count in came if at // (2 * S) > at_ns // (2 * S) - 30)
    # What came without time passing shows with the next beat.
    assert 0 <= sum(pulse.spans) <= total
    if all(waited_ns for waited_ns, _ in beats):
        assert sum(pulse.spans) == recent


@settings(max_examples=examples(40))
@given(st.text(max_size=60))
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    assert plain(text).isprintable()
    if text.isprintable():
        assert plain(text) == text
