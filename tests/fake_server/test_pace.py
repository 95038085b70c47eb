"""How often clients come."""

from __future__ import annotations

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.faults import parse_injection
from fake_server.pace import MAX_WATCHED, Pace
from recorder.track.rules import Rules
from tests.fake_server.support import handshake, quiet, serving
from tests.profiles import examples

S = 1_000_000_000
MINUTE = 60 * S
waits = st.lists(st.integers(0, 40 * S), max_size=30)


@settings(max_examples=examples(200))
@given(waits, st.integers(1, 4))
def test_who_keeps_the_pace_is_never_told_and_who_does_not_at_most_once_a_minute(
    some: list[int], allowed: int
) -> None:
    pace = Pace(Rules(max_polls_per_minute=allowed))
    at_ns, calls, told = 0, [], []
    for wait_ns in some:
        at_ns += wait_ns
        calls.append(at_ns)
        too_often = pace.polled("s", "/api/devices", at_ns)
        last_minute = [one for one in calls if one > at_ns - MINUTE]
        if too_often is not None:
            assert len(last_minute) > allowed
            assert 1 <= too_often.retry_after_s <= 60
            if too_often.violation is not None:
                told.append(at_ns)
    minutes = [calls[0]] if calls else []
    for one in calls:
        if one - minutes[-1] >= MINUTE:
            minutes.append(one)
    for start in minutes:
        within = [one for one in calls if start <= one < start + MINUTE]
        assert len([one for one in told if start <= one < start + MINUTE]) == (
            1 if len(within) > allowed else 0
        )


def test_sessions_and_paths_are_counted_apart() -> None:
    pace = Pace(Rules(max_polls_per_minute=1))
    for session in ("a", "b"):
        for path in ("/api/devices", "/api/beacons"):
            assert pace.polled(session, path, 0) is None
    too_often = pace.polled("a", "/api/devices", 30 * S, connection=7)
    assert too_often is not None
    assert too_often.retry_after_s == 30
    assert too_often.violation is not None
    assert (too_often.violation.rule, too_often.violation.connection) == ("rest.polling", 7)
    again = pace.polled("a", "/api/devices", 31 * S)
    assert again is not None
    assert again.violation is None


def test_of_more_pollers_than_can_be_watched_the_first_are_forgotten() -> None:
    pace = Pace(Rules(max_polls_per_minute=1))
    for number in range(MAX_WATCHED + 1):
        assert pace.polled(str(number), "/api/devices", 0) is None
    assert pace.polled("0", "/api/devices", 0) is None
    assert pace.polled(str(MAX_WATCHED), "/api/devices", 0) is not None
    assert len(pace._polls) == MAX_WATCHED


def test_a_few_sockets_without_delay_are_no_violation_and_more_are() -> None:
    pace = Pace(Rules(reconnect_delay_min_s=1, reconnects_without_delay=2))
    at_ns = 0
    found = []
    for _ in range(5):
        found.append(pace.opened("a", at_ns))
        at_ns += 10 * S
        pace.closed("a", at_ns)
        at_ns += S // 2
    assert [one is not None for one in found] == [False, False, False, True, True]
    assert found[3] is not None
    assert found[3].rule == "socket.reconnect"
    assert "0.500 s" in found[3].seen
    assert pace.opened("b", at_ns) is None
    # Who waits once begins anew.
    assert pace.opened("a", at_ns + S // 2) is None
    pace.closed("a", at_ns + S)
    assert pace.opened("a", at_ns + S) is None


def test_a_delay_that_is_long_enough_is_none_too_short() -> None:
    pace = Pace(Rules(reconnect_delay_min_s=1, reconnects_without_delay=0))
    pace.closed("a", 0)
    assert pace.opened("a", S) is None
    assert pace.opened("a", S - 1) is not None
    free = Pace(Rules(reconnect_delay_min_s=0, reconnects_without_delay=0))
    free.closed("a", 0)
    assert free.opened("a", 0) is None


def test_accounts_that_came_long_ago_are_forgotten() -> None:
    pace = Pace(Rules(reconnects_without_delay=0))
    for number in range(MAX_WATCHED + 1):
        pace.closed(str(number), 0)
    assert pace.opened("0", 0) is None
    assert pace.opened("1", 0) is not None


def test_who_comes_again_is_not_among_those_that_came_longest_ago() -> None:
    pace = Pace(Rules(max_polls_per_minute=1, reconnects_without_delay=0))
    for number in range(MAX_WATCHED):
        pace.polled(str(number), "/api/devices", 0)
        pace.closed(str(number), 0)
    for one in ("0", "new"):
        pace.polled(one, "/api/devices", MINUTE)
        pace.closed(one, MINUTE)
    assert pace.polled("0", "/api/devices", MINUTE) is not None
    assert pace.opened("0", MINUTE) is not None
    assert pace.opened("1", 0) is None


async def test_a_storm_of_handshakes_that_a_fault_refuses_is_one_however_long_it_lasts(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(), faults=[parse_injection("refusal:status=502")]) as fake:
        cookie = await fake.cookie()
        for _ in range(20):
            http = fake.http()
            await http.send(handshake(cookie))
            assert (await http.answer()).status == 502
            await trio.sleep(0.5)
        assert fake.rules_broken == ["socket.reconnect"] * 16
        await trio.sleep(2)
        http = fake.http()
        await http.send(handshake(cookie))
        await http.answer()
        assert len(fake.rules_broken) == 16


async def test_a_reset_forgets_who_asked_by_basic_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    basic = "Basic ZGVtb0BleGFtcGxlLmNvbTpkZW1v"
    async with serving(quiet(), rules=Rules(max_polls_per_minute=1, strict=True)) as fake:
        http = fake.http()
        statuses = [(await http.ask("/api/devices", Authorization=basic)).status for _ in range(2)]
        fake.server.control.reset()
        statuses.append((await http.ask("/api/devices", Authorization=basic)).status)
    assert statuses == [200, 429, 200]
