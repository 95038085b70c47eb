"""Where a test's recording lies, and when it is made."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fake_server.pytest_plugin.modes import (
    MODES,
    CannotDecide,
    Mode,
    age_days,
    decide,
    parse_age,
    recording_path,
)
from recorder.sink import wall_clock_text
from tests.profiles import examples

URL = "https://track.example.com"
FILE = Path("suite/test_login.py")
DAY_NS = 86_400 * 10**9


def decided(mode: Mode, **given: Any) -> str:
    """The action, or what the error says."""
    usual: dict[str, Any] = {
        "exists": True,
        "url": None,
        "in_ci": False,
        "told_in_ci": False,
        "age_days": 1.0,
        "max_age_days": None,
    }
    try:
        return decide(mode, **(usual | given)).action
    except CannotDecide as error:
        return str(error)


@pytest.mark.parametrize(
    ("mode", "there", "absent", "there_without_url", "absent_without_url"),
    [
        ("replay", "replay", "there is none", "replay", "there is none"),
        ("once", "replay", "record", "replay", "needs a backend"),
        ("new", "add", "record", "needs a backend", "needs a backend"),
        ("all", "record", "record", "needs a backend", "needs a backend"),
        ("live", "live", "live", "needs a backend", "needs a backend"),
    ],
)
def test_each_mode_does_what_its_name_says(
    mode: Mode, there: str, absent: str, there_without_url: str, absent_without_url: str
) -> None:
    assert decided(mode, url=URL) == there
    assert absent in decided(mode, url=URL, exists=False)
    assert there_without_url in decided(mode)
    assert absent_without_url in decided(mode, exists=False)


def test_an_old_recording_is_an_error_in_replay_and_made_anew_where_it_can_be() -> None:
    old: dict[str, Any] = {"age_days": 45.0, "max_age_days": 30.0}
    assert decided("replay", **old) == (
        "the recording: it is 45.0 days old, the limit (--track-max-age) is 30.0 days; "
        "record it with --track-mode=all --track-url=URL"
    )
    for mode in ("once", "new"):
        assert decided(mode, url=URL, **old) == "record"
        assert decided(mode, **old) == (
            "the recording: it is 45.0 days old, the limit (--track-max-age) is 30.0 days, and "
            f"mode {mode} needs a backend: say which with --track-url=URL, as {URL}"
        )
    assert "it does not tell its age" in decided("replay", age_days=None, max_age_days=30.0)
    assert decided("replay", age_days=30.0, max_age_days=30.0) == "replay"


@pytest.mark.parametrize("mode", ["once", "new", "all"])
def test_in_ci_a_mode_that_records_replays_unless_it_is_told_to(mode: Mode) -> None:
    assert decided(mode, url=URL, in_ci=True) == "replay"
    assert decided(mode, url=None, in_ci=True) == "replay"
    assert decided(mode, url=URL, in_ci=True, exists=False, path=Path("a.track.jsonl")) == (
        f"a.track.jsonl: there is none; CI is set, so that mode {mode} does not record; record it "
        "on a machine of your own with --track-mode=once --track-url=URL and commit it, or allow "
        "it here with --track-record-in-ci"
    )
    assert "--track-record-in-ci" in decided(
        mode, url=URL, in_ci=True, age_days=2.0, max_age_days=1.0
    )
    told = decided(mode, url=URL, in_ci=True, told_in_ci=True)
    assert told == decided(mode, url=URL)


ages = st.none() | st.floats(0, 100)


@settings(max_examples=examples(500))
@given(st.sampled_from(MODES), st.booleans(), st.none() | st.just(URL), st.booleans(), ages, ages)
def test_nothing_is_ever_recorded_in_ci_by_who_was_not_told(
    mode: Mode, exists: bool, url: str | None, in_ci: bool, age: float | None, limit: float | None
) -> None:
    given: dict[str, Any] = {"exists": exists, "url": url, "age_days": age, "max_age_days": limit}
    action = decided(mode, in_ci=True, told_in_ci=False, **given)
    assert action not in ("record", "add")
    anywhere = decided(mode, in_ci=in_ci, told_in_ci=True, **given)
    if anywhere in ("record", "add", "live"):
        assert url is not None
    if anywhere in ("replay", "add"):
        assert exists
        assert limit is None or (age is not None and age <= limit)


# Where it lies


@pytest.mark.parametrize(
    ("test_name", "class_name", "expected"),
    [
        ("test_login", None, r"test_login\.track\.jsonl"),
        ("test_login", "TestUser", r"TestUser\.test_login\.track\.jsonl"),
        ("test_login[1-a/b]", None, r"test_login-1-a-b~[0-9a-f]{12}\.track\.jsonl"),
        ("test_login[../../etc]", None, r"test_login-\.\.-\.\.-etc~[0-9a-f]{12}\.track\.jsonl"),
        ("test_login[Straße 1.5]", None, r"test_login-Straße-1\.5~[0-9a-f]{12}\.track\.jsonl"),
        ("test_" + "x" * 300, None, r"test_x{91}~[0-9a-f]{12}\.track\.jsonl"),
    ],
)
def test_a_recording_lies_beside_its_test_and_is_named_after_it(
    test_name: str, class_name: str | None, expected: str
) -> None:
    path = recording_path(FILE, test_name, class_name)
    assert path.parent == Path("suite/recordings/test_login")
    assert re.fullmatch(expected, path.name)


names = st.text(st.characters() | st.sampled_from("a./[]~- é"), max_size=130)


@settings(max_examples=examples(600))
@given(names, st.none() | names, names, st.none() | names)
@example("b", "a", "a.b", None)
@example("b.c", "a", "c", "a.b")
@example("a[\ud800]", None, "a[\ud801]", None)
@example("a[1]", None, "a-1", None)
@example("", None, "", "")
@example("é" * 200, None, "é" * 201, None)
def test_a_name_is_safe_and_no_two_tests_share_one(
    first: str, of_class: str | None, second: str, of_second: str | None
) -> None:
    path = recording_path(FILE, first, of_class)
    assert path.parent == Path("suite/recordings/test_login")
    assert len(path.name.encode()) <= 125
    assert not path.name.startswith(".")
    assert path.name.isprintable()
    other = recording_path(FILE, second, of_second)
    assert (path == other) == ((first, of_class) == (second, of_second))


# How old it is


@settings(max_examples=examples(200))
@given(st.integers(0, 4 * 10**18), st.integers(0, 10**17))
def test_an_age_is_what_passed_since_the_recording_started(started_ns: int, ns: int) -> None:
    started_at = wall_clock_text(started_ns)
    assert age_days(started_at, started_ns + ns) == pytest.approx(ns / DAY_NS)
    assert age_days(started_at, started_ns - ns) == 0


def test_a_start_that_is_no_time_gives_no_age() -> None:
    assert age_days("yesterday", 0) is None


@pytest.mark.parametrize(
    ("text", "days"), [("30d", 30.0), ("12h", 0.5), ("2w", 14.0), (" 1.5 d ", 1.5)]
)
def test_an_age_is_written_with_its_unit(text: str, days: float) -> None:
    assert parse_age(text) == days


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "30 days", "1e3d", "٣d"])
def test_an_age_without_number_and_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="12h, 30d or 2w"):
        parse_age(text)
