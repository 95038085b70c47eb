"""Moments as somebody names them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replayer.reading.moment import AskedMoment, read_moment
from tests.replayer.recordings import header

START = "2026-11-22T17:00:00.123456789Z"


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("0", 0),
        ("90", 90 * 10**9),
        ("1.5s", 1_500_000_000),
        ("0.000000001", 1),
        ("1m30s", 90 * 10**9),
        ("1m30", 90 * 10**9),
        ("2h", 7200 * 10**9),
        ("1h1m1.5s", 3_661_500_000_000),
        (START, 0),
        ("2026-11-22T17:00:30.123456790Z", 30 * 10**9 + 1),
        ("2026-11-22T18:00:00.123456789+01:00", 0),
        ("2026-11-22T18:00:00.123456789+0100", 0),
        ("2026-11-22T17:00:00.123456789", 0),
        ("2026-11-22T17:00:00Z", -123_456_789),
        ("2026-11-23", 7 * 3600 * 10**9 - 123_456_789),
    ],
)
def test_a_moment_is_read(text: str, expected_ns: int) -> None:
    assert read_moment(text).offset_in(header(started_at=START)) == expected_ns


@pytest.mark.parametrize(
    "text",
    [
        *("", "s", "-1", "1x", "30s1m", "1e3", "1.", "0.0000000001", "٣", "17:00:30"),
        *("2026-13-01", "2026-11-22 17:00:30", "2026-11-22T17:00"),
    ],
)
def test_what_is_no_moment_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no time; expected seconds .* 1m30s, or a wall clock"):
        read_moment(text)


@given(st.integers(0, 10**15), st.sampled_from([-720, -90, 0, 60, 330]))
def test_a_wall_clock_names_the_moment_that_it_showed(offset_us: int, zone_min: int) -> None:
    started = datetime(2026, 11, 22, 17, tzinfo=UTC)
    zone = timezone(timedelta(minutes=zone_min))
    wall = (started + timedelta(microseconds=offset_us)).astimezone(zone).isoformat()
    head = header(started_at="2026-11-22T17:00:00.000000000Z")
    assert read_moment(wall).offset_in(head) == offset_us * 1000


def test_an_untimed_recording_has_no_moments() -> None:
    for text in ("1", START):
        with pytest.raises(ValueError, match="has no times"):
            read_moment(text).offset_in(header(timing="none"))


def test_a_recording_whose_start_is_no_date_has_no_wall_clock() -> None:
    broken = header(started_at="yesterday")
    assert read_moment("1").offset_in(broken) == 10**9
    with pytest.raises(ValueError, match="no wall clock"):
        read_moment(START).offset_in(broken)


def test_the_end_is_no_other_moment() -> None:
    assert AskedMoment().is_end
    assert not read_moment("0").is_end
    assert not read_moment(START).is_end
