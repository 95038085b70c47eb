"""The lists of devices, beacons and positions (manual sections 4.2 to 4.5)."""

from __future__ import annotations

import pytest

from fake_server.accounts import Account, Accounts
from tests.fake_server.rest.support import Caller, account

DEVICES = b'{"devices":[{"id":3,"x":1.0,"uniqueId":"u3"},{"id":1},{"x":[],"id":2}]}'
BEACONS = b'{"beacons":[{"id":30},{"id":10}]}'
POSITIONS = (
    b'{"positions":[{"id":13,"deviceId":3,"fixTime":"2025-02-21T10:00:00.000+00:00"},'
    b'{"id":11,"deviceId":1,"speed":100.0,"fixTime":"2025-02-21T11:00:00.000+00:00"}]}'
)
LATER = b'{"positions":[{"id":12,"deviceId":1,"fixTime":"2025-02-21T10:30:00.000+00:00"}]}'
DEVICE_3, DEVICE_2 = b'{"id":3,"x":1.0,"uniqueId":"u3"}', b'{"x":[],"id":2}'
POSITION_13 = b'{"id":13,"deviceId":3,"fixTime":"2025-02-21T10:00:00.000+00:00"}'


def full() -> Caller:
    return Caller(DEVICES, BEACONS, POSITIONS)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/api/devices", [DEVICE_3, b'{"id":1}', DEVICE_2]),
        ("/api/devices/", [DEVICE_3, b'{"id":1}', DEVICE_2]),
        ("/api/devices;jsessionid=node0x.node0", [DEVICE_3, b'{"id":1}', DEVICE_2]),
        ("/api/devices?", [DEVICE_3, b'{"id":1}', DEVICE_2]),
        ("/api/devices?all=true", [DEVICE_3, b'{"id":1}', DEVICE_2]),
        ("/api/devices?userId=1", [DEVICE_3, b'{"id":1}', DEVICE_2]),
        ("/api/devices?userId=0", [DEVICE_3, b'{"id":1}', DEVICE_2]),
        ("/api/devices?id=2&id=3", [DEVICE_2, DEVICE_3]),
        ("/api/devices?uniqueId=u3", [DEVICE_3]),
        ("/api/devices?uniqueId=u3&id=2", [DEVICE_2, DEVICE_3]),
        ("/api/devices?responseType=json&delimiter=,", [DEVICE_3, b'{"id":1}', DEVICE_2]),
        ("/api/beacons", [b'{"id":30}', b'{"id":10}']),
        ("/api/beacons?id=10", [b'{"id":10}']),
        ("/api/positions?id=13", [POSITION_13]),
        ("/api/positions?deviceId=3", [POSITION_13]),
        ("/api/positions?deviceId=3&deviceId=1", [POSITION_13]),
        ("/api/positions?deviceId=2", []),
    ],
)
def test_filters_choose_and_keep_their_order_byte_for_byte(
    target: str, expected: list[bytes]
) -> None:
    caller = full()
    heard = caller.ask(target)
    assert (heard.status, heard.body) == (200, b"[" + b",".join(expected) + b"]")
    assert heard.header("Content-Type") == "application/json"
    assert caller.broken == []


@pytest.mark.parametrize(
    ("target", "ids"),
    [
        ("/api/positions", [13, 11]),
        ("/api/positions?deviceId=0", [13, 11]),
        ("/api/positions?id=13&id=11", [13, 11]),
        ("/api/positions?id=11&id=13", [11, 13]),
        ("/api/positions?deviceId=3&id=11", [11]),
    ],
)
def test_ids_win_over_a_device_and_zero_is_all(target: str, ids: list[int]) -> None:
    assert full().ask(target).ids == ids


@pytest.mark.parametrize(
    "target",
    [
        "/api/devices?id=99",
        "/api/devices?id=1&id=99",
        "/api/devices?uniqueId=nobody",
        "/api/devices?userId=2",
        "/api/beacons?id=1",
        "/api/positions?id=99",
        "/api/positions?deviceId=99",
    ],
)
def test_what_there_is_not_is_answered_400(target: str) -> None:
    caller = full()
    heard = caller.ask(target)
    assert heard.status == 400
    assert heard.text.endswith(" access denied - SecurityException (...)")
    assert heard.header("Content-Type") == "application/json"
    assert caller.broken == ["rest.unknown-id"]


@pytest.mark.parametrize(
    "target",
    [
        "/api/positions?id=abc",
        "/api/positions?deviceId=abc",
        "/api/devices?id=abc",
        "/api/devices?id=1&id=",
        "/api/devices?userId=me",
        "/api/beacons?id=1.5",
        "/api/devices?id=9223372036854775808",
        # Python's int takes these, the backend's Long.parseLong does not.
        "/api/devices?id=1_1",
        "/api/devices?id=+1",  # a space, once it is decoded
        "/api/devices?id=%D9%A1",
    ],
)
def test_a_filter_that_is_no_number_is_answered_404(target: str) -> None:
    caller = full()
    assert caller.ask(target).status == 404
    assert caller.broken == ["rest.bad-value"]


def test_a_device_that_only_positions_speak_of_is_one() -> None:
    assert Caller(POSITIONS).ask("/api/positions?deviceId=3").ids == [13]


def test_a_position_that_is_not_the_latest_is_still_found_by_its_id() -> None:
    caller = full()
    caller.state.apply(LATER)
    assert caller.ask("/api/positions?id=11").ids == [11]
    assert caller.ask("/api/positions").ids == [13, 12]


# History


def test_with_from_and_to_a_device_has_its_history_by_fix_time() -> None:
    caller = full()
    caller.state.apply(LATER)
    period = "from=2025-02-21T10:00:00.000Z&to=2025-02-21T12:00:00Z"
    assert caller.ask(f"/api/positions?deviceId=1&{period}").ids == [12, 11]
    period = "from=2025-02-21T10:45:00.000Z&to=2025-02-21T13%3A00%3A00%2B01:00"
    assert caller.ask(f"/api/positions?deviceId=1&{period}").ids == [11]
    assert caller.broken == []


def test_a_recorded_history_wins_over_what_is_known() -> None:
    target = "/api/positions?deviceId=1&from=2025-02-21T10:00:00Z&to=2025-02-21T12:00:00Z"
    caller = Caller(DEVICES, answers={target: b'[{"id":77}]'})
    assert caller.ask(target).ids == [77]


@pytest.mark.parametrize("query", ["from=2025-02-21T10:00:00Z", "from=x", "from=&to=", "to=x"])
def test_half_a_period_is_none(query: str) -> None:
    assert full().ask(f"/api/positions?deviceId=3&{query}").ids == [13]


@pytest.mark.parametrize("start", ["yesterday", "2025-02-21T10:00:00.000+00:00", "1740132000000"])
def test_a_date_that_is_none_is_answered_400(start: str) -> None:
    caller = full()
    heard = caller.ask(f"/api/positions?deviceId=3&from={start}&to=2025-02-22T00:00:00Z")
    assert (heard.status, caller.broken) == (400, ["rest.bad-value"])
    assert "from" in heard.text


# What an account sees

LIMITED = Accounts(
    [
        Account(credentials=account("all@x")),
        Account(credentials=account("some@x"), devices=frozenset({"u3", 2})),
    ]
)
KNOWN = (
    DEVICES,
    POSITIONS,
    b'{"beacons":[{"id":30,"deviceId":1},{"id":31,"deviceId":3},{"id":32,"deviceId":null}]}',
)


def test_an_account_sees_its_devices_and_what_belongs_to_them() -> None:
    caller = Caller(*KNOWN, accounts=LIMITED)
    cookie = caller.log_in("some@x")
    assert caller.ask("/api/devices", cookie=cookie).ids == [3, 2]
    assert caller.ask("/api/beacons", cookie=cookie).ids == [31, 32]
    assert caller.ask("/api/positions", cookie=cookie).ids == [13]
    assert caller.ask("/api/positions?deviceId=3", cookie=cookie).ids == [13]
    everything = caller.log_in("all@x")
    assert caller.ask("/api/devices", cookie=everything).ids == [3, 1, 2]


@pytest.mark.parametrize(
    "target",
    [
        "/api/devices?id=1",
        "/api/beacons?id=30",
        "/api/positions?id=11",
        "/api/positions?deviceId=1",
        "/api/devices?userId=1",
    ],
)
def test_what_an_account_may_not_see_is_answered_as_what_there_is_not(target: str) -> None:
    caller = Caller(*KNOWN, accounts=LIMITED)
    heard = caller.ask(target, cookie=caller.log_in("some@x"))
    assert (heard.status, caller.broken) == (400, ["rest.unknown-id"])


# Parameters


def test_a_parameter_that_the_endpoint_does_not_know_is_told_by_name_and_let_pass() -> None:
    caller = full()
    assert caller.ask("/api/devices?deviceId=hunter2&nonsense=1").ids == [3, 1, 2]
    [violation] = caller.violations.latest
    assert violation.rule == "rest.unknown-parameter"
    assert "'deviceId', 'nonsense'" in violation.seen
    assert "hunter2" not in str(violation)
    assert (violation.connection, violation.at_ns) == (7, 0)


def test_an_unknown_parameter_is_refused_where_rules_are_strict() -> None:
    caller = Caller(DEVICES, strict=True)
    heard = caller.ask("/api/devices?nonsense=1")
    assert heard.status == 400
    assert "nonsense" in heard.text
    assert caller.broken == ["rest.unknown-parameter"]
    assert caller.ask("/api/devices?delimiter=,").status == 200


# Polling


def test_a_list_that_is_asked_for_all_the_time_is_reported_once_a_minute() -> None:
    caller = Caller(DEVICES, max_polls_per_minute=3)
    for _ in range(10):
        assert caller.ask("/api/devices").status == 200
    assert caller.broken == ["rest.polling"]
    caller.ask("/api/beacons")
    caller.now_ns += 60_000_000_000
    for _ in range(3):
        caller.ask("/api/devices")
    assert caller.broken == ["rest.polling"]
    caller.ask("/api/devices")
    assert caller.broken == ["rest.polling"] * 2


def test_a_poller_is_refused_where_rules_are_strict_and_told_when_to_come_again() -> None:
    caller = Caller(DEVICES, max_polls_per_minute=1, strict=True)
    assert caller.ask("/api/devices").status == 200
    caller.now_ns += 15_500_000_000
    for _ in range(2):
        heard = caller.ask("/api/devices")
        assert (heard.status, heard.header("Retry-After")) == (429, "45")
    caller.now_ns += 45_000_000_000
    assert caller.ask("/api/devices").status == 200
