"""The dates that Track spells: read, and moved in their own spelling."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from replayer.playing.dates import Moment, read_date, shifted
from tests.profiles import examples

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

zones = st.sampled_from(["", "Z", "+00:00", "+0000", "-0000", "+02:00", "-0930", "+23:59"])
fractions = st.just("") | st.text("0123456789", min_size=1, max_size=12).map(".{}".format)
seconds = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)).map(
    lambda moment: moment.replace(microsecond=0)
)


@st.composite
def dates(draw: st.DrawFn, moments: st.SearchStrategy[datetime] = seconds) -> str:
    moment = draw(moments).isoformat()
    if draw(st.integers(0, 5)) == 0:
        return moment[:10]
    return moment + draw(fractions) + draw(zones)


near_dates = dates(
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(
        lambda moment: moment.replace(microsecond=0)
    )
)
shifts = st.integers(-50 * 365 * DAY, 50 * 365 * DAY)


def utc_ns(text: str) -> int:
    """What Python's own reader makes of a date; it drops digits beyond the microsecond."""
    read = datetime.fromisoformat(text)
    microseconds = (read.replace(tzinfo=read.tzinfo or UTC) - EPOCH) // timedelta(microseconds=1)
    fraction = re.search(r"\.([0-9]+)", text)
    finer = fraction[1][6:9].ljust(3, "0") if fraction else "0"
    return microseconds * 1000 + int(finer)


def moment_of(text: str) -> Moment:
    moment = read_date(text)
    assert moment is not None, text
    return moment


def spelling(text: str) -> tuple[str, str]:
    """The form of a date, and what must stand as it is: the zone and the digits below a
    nanosecond.
    """
    parts = re.fullmatch(r"(.{19}(?:\.[0-9]{1,9})?)([0-9]*)(.*)|.{10}", text)
    assert parts is not None
    return re.sub("[0-9]", "0", parts[1] or text), (parts[2] or "") + (parts[3] or "")


@settings(max_examples=examples(400))
@given(dates())
def test_a_date_is_read_as_by_pythons_own_reader(text: str) -> None:
    moment = moment_of(text)
    assert moment.utc_ns == utc_ns(text)
    assert moment.text == text


@settings(max_examples=examples(400))
@given(near_dates, shifts)
def test_a_moved_date_keeps_its_spelling_and_tells_what_it_can_of_the_shift(
    text: str, by_ns: int
) -> None:
    moved = shifted(text, by_ns)
    assert spelling(moved) == spelling(text)
    before, after = moment_of(text), moment_of(moved)
    told_ns = after.utc_ns - before.utc_ns
    assert (after.zone_ns, after.step_ns) == (before.zone_ns, before.step_ns)
    assert told_ns % before.step_ns == 0
    assert abs(by_ns) - before.step_ns < abs(told_ns) <= abs(by_ns)
    assert told_ns == 0 or (told_ns > 0) == (by_ns > 0)


@settings(max_examples=examples(400))
@given(near_dates, shifts)
def test_a_date_moved_and_moved_back_is_the_same_text(text: str, by_ns: int) -> None:
    assert shifted(shifted(text, by_ns), -by_ns) == text
    assert shifted(text, 0) == text


@settings(max_examples=examples(300))
@given(near_dates, shifts, st.integers(0, 400 * DAY))
def test_dates_of_one_spelling_keep_their_distance(text: str, by_ns: int, apart_ns: int) -> None:
    later = shifted(text, apart_ns)
    before_ns = moment_of(later).utc_ns - moment_of(text).utc_ns
    moved = (moment_of(shifted(one, by_ns)).utc_ns for one in (text, later))
    assert -next(moved) + next(moved) == before_ns


@settings(max_examples=examples(300))
@given(st.text(max_size=40) | st.from_regex(r"\A[0-9]{4}-[0-9T:.Z+-]*\Z"), st.integers())
@example("0001-01-01T00:00:00Z", -1 * SECOND)
@example("9999-12-31T23:59:59.999999999+23:59", 1)
@example("9999-12-31", 10**40)
@example("0001-01-01T00:00:00+02:00", -(10**40))
def test_whatever_the_text_and_the_shift_nothing_raises_and_the_length_stays(
    text: str, by_ns: int
) -> None:
    assert len(shifted(text, by_ns)) == len(text)
    if read_date(text) is None:
        assert shifted(text, by_ns) == text


def test_a_date_that_would_leave_the_calendar_stays() -> None:
    assert shifted("9999-12-31T23:59:59.5Z", SECOND) == "9999-12-31T23:59:59.5Z"
    assert shifted("9999-12-31T23:59:58.5Z", SECOND) == "9999-12-31T23:59:59.5Z"
    assert shifted("0001-01-01", -DAY) == "0001-01-01"
    assert shifted("2025-02-21", 10**40) == "2025-02-21"


@pytest.mark.parametrize(
    ("text", "by_ns", "expected"),
    [
        # As the manual spells them.
        ("2025-02-21T10:05:04.906+00:00", 1_094 * 10**6, "2025-02-21T10:05:06.000+00:00"),
        ("2020-01-14T23:59:59.514+0000", SECOND, "2020-01-15T00:00:00.514+0000"),
        ("2025-02-21T20:00:00.000Z", -HOUR, "2025-02-21T19:00:00.000Z"),
        # The zone's own midnight, a leap day.
        ("2024-02-28T23:30:00+02:00", HOUR, "2024-02-29T00:30:00+02:00"),
        # What cannot be shown is cut off, toward zero.
        ("2025-02-21T10:05:04Z", SECOND - 1, "2025-02-21T10:05:04Z"),
        ("2025-02-21T10:05:04Z", -(SECOND - 1), "2025-02-21T10:05:04Z"),
        ("2025-02-21T10:05:04.9", 2 * 10**8 - 1, "2025-02-21T10:05:05.0"),
        ("2025-02-21", 2 * DAY - 1, "2025-02-22"),
        ("2025-02-21", -DAY, "2025-02-20"),
        # Finer than a nanosecond.
        ("2025-02-21T10:05:04.123456789012Z", 211, "2025-02-21T10:05:04.123457000012Z"),
        ("1969-12-31T23:59:59.999999999Z", 1, "1970-01-01T00:00:00.000000000Z"),
    ],
)
def test_examples_of_moved_dates(text: str, by_ns: int, expected: str) -> None:
    assert shifted(text, by_ns) == expected


@pytest.mark.parametrize(
    ("text", "zone_ns", "step_ns"),
    [
        ("2025-02-21", 0, DAY),
        ("2025-02-21T00:00:00", 0, SECOND),
        ("2025-02-21T00:00:00.0Z", 0, SECOND // 10),
        ("2025-02-21T02:00:00.000+02:00", 2 * HOUR, 10**6),
        ("2025-02-20T14:30:00.000000000-0930", -(9 * HOUR + HOUR // 2), 1),
    ],
)
def test_one_moment_in_several_spellings(text: str, zone_ns: int, step_ns: int) -> None:
    assert read_date(text) == Moment(20_140 * DAY, text, zone_ns, step_ns)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "2025",
        "2025-02",
        "2025-02-29",
        "2025-13-01",
        "0000-01-01",
        "2025-2-1",
        "20250221",
        "2025-W08-5",
        "2025-02-21Z",
        "2025-02-21T",
        "2025-02-21T10:05",
        "2025-02-21 10:05:04",
        "2025-02-21T10:05:04 00:00",
        "2025-02-21T10:05:04.",
        "2025-02-21T10:05:04,5",
        "2025-02-21T24:00:00",
        "2025-02-21T10:60:00",
        "2025-02-21T10:05:60Z",
        "2025-02-21T10:05:04z",
        "2025-02-21T10:05:04+24:00",
        "2025-02-21T10:05:04+02:60",
        "2025-02-21T10:05:04+02",
        "2025-02-21T10:05:04Z ",
        "2025-02-21T10:05:04Z\n",
        " 2025-02-21",
        "+2025-02-21",
        "٢٠٢٥-02-21",
    ],
)
def test_what_is_no_date_is_not_read_and_stays(text: str) -> None:
    assert read_date(text) is None
    assert shifted(text, DAY) == text


def test_a_fraction_of_any_length_is_read() -> None:
    text = f"2025-02-21T10:05:04.{'9' * 20_000}Z"
    assert moment_of(text).utc_ns % SECOND == SECOND - 1
    assert len(shifted(text, 1)) == len(text)
