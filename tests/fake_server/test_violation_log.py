"""What clients did against the manual is counted, kept and told."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fake_server.violation_log import KEPT_VIOLATIONS, ViolationLog
from recorder.track.violations import RULES, Violation


def broken(rule: str, at_ns: int = 0) -> Violation:
    return Violation.of(rule, seen="this", expected="that", at_ns=at_ns)


@given(st.lists(st.lists(st.sampled_from(sorted(RULES)).map(broken), max_size=4), max_size=6))
def test_each_is_counted_kept_and_told_once_and_in_order(reports: list[list[Violation]]) -> None:
    told: list[Violation] = []
    log = ViolationLog(told.append)
    for report in reports:
        log.report(iter(report))
    everything = [violation for report in reports for violation in report]
    assert told == list(log.latest) == everything
    assert log.counts == Counter(violation.rule for violation in everything)


def test_of_very_many_the_latest_are_kept_and_all_are_counted() -> None:
    log = ViolationLog()
    log.report(broken("pong.late", number) for number in range(KEPT_VIOLATIONS + 3))
    assert len(log.latest) == KEPT_VIOLATIONS
    assert (log.latest[0].at_ns, log.latest[-1].at_ns) == (3, KEPT_VIOLATIONS + 2)
    assert log.counts == {"pong.late": KEPT_VIOLATIONS + 3}
