"""What a person is told, in words."""

from __future__ import annotations

from collections import Counter

import pytest

from fake_server.commands.telling import LINES_OF_A_KIND, Telling, listed, plural
from recorder.track.violations import Violation


def test_counts_are_listed_by_name() -> None:
    counts = Counter({"text.unknown": 1, "pong.late": 12, "pong.missing": 2})
    assert listed(counts) == "pong.late 12, pong.missing 2, text.unknown 1"
    assert listed(Counter()) == "none"


@pytest.mark.parametrize(("count", "words"), [(0, "0 sockets"), (1, "1 socket"), (2, "2 sockets")])
def test_one_is_singular(count: int, words: str) -> None:
    assert plural(count, "socket") == words


def test_each_kind_of_line_has_its_own_end_and_says_what_becomes_of_further_ones() -> None:
    told: list[str] = []
    telling = Telling(0, tell=told.append)
    for number in range(LINES_OF_A_KIND + 3):
        telling.line("handshakes", f"handshake {number}")
        telling.line("connections", f"connection {number}", further="counted")
    assert [line for line in told if line.startswith("handshake")] == [
        *[f"handshake {number}" for number in range(LINES_OF_A_KIND)],
        "handshakes: further ones are not told",
    ]
    assert told[-1] == "connections: further ones are counted"
    assert len(told) == 2 * (LINES_OF_A_KIND + 1)
    assert not telling.counts
    assert telling.total() == "no violations"


def test_of_a_rule_the_list_shows_the_first_time() -> None:
    """Also where no time is known, and where the rule is that of an RFC."""
    told: list[str] = []
    telling = Telling(1_000_000_000, tell=told.append)
    for at_ns, seen in ((None, "first"), (3_000_000_000, "second")):
        telling(Violation.of("pong.late", seen=seen, expected="that", connection=3, at_ns=at_ns))
    assert "2.000 s: second" in told[1]
    assert list(telling.summary()) == [
        "pong.late: 2 times (manual 3.3)",
        "    connection 3: first; expected that",
    ]
    assert telling.total() == "2 violations of 1 rule"
