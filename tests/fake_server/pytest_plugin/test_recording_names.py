"""Where a recording lies, at the edges of what a name may be; and how an age is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_server.pytest_plugin.modes import CannotDecide, decide, recording_path

FILE = Path("suite/test_login.py")


def name(test_name: str, class_name: str | None = None) -> str:
    return recording_path(FILE, test_name, class_name).name


def test_a_plain_name_stays_as_it_is_up_to_96_bytes() -> None:
    longest = "test_" + "x" * 91
    assert name(longest) == f"{longest}.track.jsonl"
    assert name(longest + "x").startswith(f"{longest}~")


def test_a_class_and_its_test_are_not_taken_for_another_class_and_another_test() -> None:
    assert name("c[1]", "A.b") != name("b.c[1]", "A") != name("A.b.c[1]")
    assert len({name("c[1]", "A.b"), name("b.c[1]", "A"), name("A.b.c[1]")}) == 3


@pytest.mark.parametrize(
    ("age_days", "told"),
    [(1.5, "36.0 h old"), (2.0, "2.0 days old"), (40.25, "40.2 days old")],
)
def test_an_age_is_told_in_hours_or_days(age_days: float, told: str) -> None:
    with pytest.raises(CannotDecide, match=f"it is {told}, the limit .* is 24.0 h; "):
        decide(
            "replay",
            exists=True,
            url=None,
            in_ci=False,
            told_in_ci=False,
            age_days=age_days,
            max_age_days=1.0,
        )
