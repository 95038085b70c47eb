"""Routes, events and summaries of a history."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from fake_server.manual_objects import MANUAL_POSITIONS
from fake_server.reports import (
    KINDS,
    History,
    ReportError,
    ReportParameters,
    events,
    report,
    route,
    summary,
)
from recorder.track.rules import Rules
from replayer.playing.dates import read_date
from replayer.state import State
from tests.fake_server.reports.strategies import (
    FIRST_NS,
    asked,
    histories,
    history,
    moment,
    parameters,
    places,
    position,
)
from tests.profiles import examples

UNFILTERED = {
    "filter_same_location": False,
    "filter_flapping": False,
    "filter_non_beacon": False,
    "duration_min_s": 0,
}


def at_ns(text: bytes, field: str) -> int | None:
    value = json.loads(text)[field]
    moment = read_date(value) if value else None
    return moment and moment.utc_ns


@settings(max_examples=examples(200))
@given(histories(), parameters)
def test_a_route_is_a_part_of_the_history_by_device_then_time(
    known: History, asked: ReportParameters
) -> None:
    found = route(known, asked, Rules())
    assert len(found) == len(set(found))
    assert set(found) <= set(known.positions)
    field = "serverTime" if asked.use_server_time else "fixTime"
    by_device: dict[int, list[int]] = {}
    devices = [json.loads(text)["deviceId"] for text in found]
    for device, text in zip(devices, found, strict=True):
        moment_ns = at_ns(text, field)
        assert moment_ns is not None
        assert asked.from_ns <= moment_ns <= asked.to_ns
        by_device.setdefault(device, []).append(moment_ns)
    assert all(times == sorted(times) for times in by_device.values())
    assert devices == [device for device in by_device for _ in by_device[device]]
    everything = route(known, msgspec.structs.replace(asked, **UNFILTERED), Rules())
    remaining = iter(everything)
    assert all(text in remaining for text in found)


@settings(max_examples=examples(200))
@given(histories(), parameters)
def test_a_summary_agrees_with_the_route_of_the_same_parameters(
    known: History, asked: ReportParameters
) -> None:
    rows = [json.loads(row) for row in summary(known, asked, Rules())]
    positions = [json.loads(text) for text in route(known, asked, Rules())]
    assert len({row["deviceId"] for row in rows}) == len(rows)
    assert {one["deviceId"] for one in positions} <= {row["deviceId"] for row in rows}
    for row in rows:
        its = [one for one in positions if one["deviceId"] == row["deviceId"]]
        speeds = [one["speed"] or 0 for one in its]
        assert row["positionCount"] == len(its)
        assert row["beaconCount"] == len({one["beaconId"] for one in its} - {None})
        assert row["maxSpeed"] == max(speeds, default=0)
        assert row["averageSpeed"] == pytest.approx(sum(speeds) / len(its) if its else 0)


def ids(rows: list[bytes]) -> list[Any]:
    return [json.loads(row)["id"] for row in rows]


def test_positions_are_byte_for_byte_as_they_came() -> None:
    whole = ReportParameters(from_ns=0, to_ns=2**62, device_ids=(0,))
    found = route(History(positions=MANUAL_POSITIONS), whole, Rules())
    assert sorted(found) == sorted(MANUAL_POSITIONS)


def test_devices_come_in_the_order_in_which_they_were_asked_for() -> None:
    known = history(*(position(one, 10 - one, deviceId=one) for one in (1, 2, 7)))
    assert ids(route(known, asked(device_ids=(7, 1, 7)), Rules())) == [7, 1]
    assert ids(route(known, asked(device_ids=(0,)), Rules())) == [1, 2, 7]
    assert ids(route(known, asked(device_ids=(7, 0)), Rules())) == [7, 1, 2]


def test_a_group_adds_its_devices_and_none_asked_for_is_none() -> None:
    known = history(*(position(one, 0, deviceId=one) for one in (1, 2, 7)))
    assert ids(route(known, asked(device_ids=(), group_ids=(5,)), Rules())) == [2, 7]
    assert ids(route(known, asked(device_ids=(7,), group_ids=(5,)), Rules())) == [7, 2]
    assert route(known, asked(device_ids=()), Rules()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_that_there_is_not_is_refused(kind: Any) -> None:
    with pytest.raises(ReportError, match="deviceId=3; expected the id of a device") as caught:
        report(kind, history(), asked(device_ids=(1, 3)), Rules(status_unknown_id=403))
    assert (caught.value.rule, caught.value.status) == ("rest.unknown-id", 403)


def test_whether_device_0_is_all_is_a_rule() -> None:
    with pytest.raises(ReportError, match="deviceId=0"):
        route(history(), asked(), Rules(device_zero_is_all=False))


def test_a_device_that_only_its_positions_or_events_speak_of_is_one() -> None:
    known = history(position(1, 0, deviceId=60), events=(event(2, 0, deviceId=61),))
    assert ids(route(known, asked(device_ids=(60, 61)), Rules())) == [1]
    assert ids(events(known, asked(), Rules())) == [2]


def test_both_ends_of_a_period_are_in_it() -> None:
    known = history(*places("abcd"))
    period = {"from_ns": FIRST_NS + 10 * 10**9, "to_ns": FIRST_NS + 20 * 10**9}
    assert ids(route(known, asked(**period), Rules())) == [1, 2]
    turned = {"from_ns": period["to_ns"], "to_ns": period["from_ns"]}
    assert route(known, asked(**turned), Rules()) == []


def test_a_route_goes_by_fix_time_unless_by_server_time() -> None:
    early = position(1, 5, serverTime=moment(100))
    late = position(2, 6, serverTime=moment(50))
    known = history(late, early)
    assert ids(route(known, asked(), Rules())) == [1, 2]
    assert ids(route(known, asked(use_server_time=True), Rules())) == [2, 1]
    until = asked(use_server_time=True, to_ns=FIRST_NS + 60 * 10**9)
    assert ids(route(known, until, Rules())) == [2]


def event(number: int, at_s: int, name: str = "deviceOnline", **more: Any) -> bytes:
    fields = {"id": number, "type": name, "deviceId": 1, "serverTime": moment(at_s)}
    return json.dumps(fields | more).encode()


def test_events_are_those_of_the_types_by_device_and_server_time() -> None:
    known = history(
        position(9, 0),
        events=(
            event(1, 20),
            event(2, 10, "geofenceEnter", deviceTime=moment(90)),
            event(3, 0, deviceId=2),
            event(4, 30, serverTime=None),
            event(5, 86_400 - 1),
        ),
    )
    until = asked(to_ns=FIRST_NS + 60 * 10**9, filter_non_beacon=True)
    assert ids(events(known, until, Rules())) == [2, 1, 3]
    for types, found in {
        ("geofenceEnter",): [2],
        ("geofenceEnter", "allEvents"): [2, 1, 3],
        ("x",): [],
    }.items():
        only = msgspec.structs.replace(until, types=types)
        assert ids(events(known, only, Rules())) == found


def test_events_that_a_state_was_told_are_in_its_history() -> None:
    state = State()
    state.apply(b'{"events":[' + event(1, 0) + b"," + event(2, 1) + b"]}")
    state.apply(b'{"events":[' + event(1, 0, message="again") + b"]}")
    before = state.copy()
    state.apply(b'{"events":[' + event(3, 0) + b',{"type":"no id"}]}')
    assert ids(state.history("events")) == [2, 1, 3]
    assert ids(before.history("events")) == [2, 1]
    assert b"again" in before.history("events")[1]
    assert state.messages() == []


def test_positions_of_all_times_are_in_the_history_of_a_state() -> None:
    state = State()
    for text in places("abc"):
        state.apply(b'{"positions":[%s]}' % text)
    assert ids(state.history("positions")) == [0, 1, 2]
    assert ids(state.objects("positions")) == [2]


def test_what_cannot_be_read_is_in_no_report() -> None:
    broken = (b"", b"[]", b"{", b"\xff", b'{"deviceId":[1]}', b'{"deviceId":true}', b"[" * 5000)
    known = History(broken, broken, broken)
    for kind in KINDS:
        assert report(kind, known, asked(), Rules()) == []


def row(*positions: bytes, **more: Any) -> dict[str, Any]:
    found = summary(history(*positions), asked(device_ids=(1,), **more), Rules())
    one: dict[str, Any] = json.loads(found[0])
    return one


def at(at_s: int, speed: Any = 0, **attributes: Any) -> bytes:
    return position(at_s, at_s, 3, speed=speed, attributes=attributes)


NOTHING = {
    "deviceId": 1,
    "deviceName": "one",
    "distance": 0.0,
    "averageSpeed": 0.0,
    "maxSpeed": 0.0,
    "spentFuel": 0.0,
    "startOdometer": 0.0,
    "endOdometer": 0.0,
    "engineHours": 0,
    "positionCount": 0,
    "beaconCount": 0,
}


def test_the_summary_of_a_device_without_positions_is_zeros() -> None:
    assert row() == NOTHING
    assert list(row()) == list(NOTHING)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (
            {"totalDistance": 100.5},
            {"totalDistance": 300.0},
            {"distance": 199.5, "startOdometer": 100.5, "endOdometer": 300.0},
        ),
        (
            {"odometer": 1000, "totalDistance": 1},
            {"odometer": 1500, "totalDistance": 9},
            {"distance": 500.0, "startOdometer": 1000.0, "endOdometer": 1500.0},
        ),
        (
            {"totalDistance": 1},
            {"odometer": 1500, "totalDistance": 9},
            {"distance": 1500.0, "startOdometer": 1.0, "endOdometer": 9.0},
        ),
        ({"fuel": 10.25}, {"fuel": 8}, {"spentFuel": 2.2}),
        ({"fuel": 10.25}, {}, {"spentFuel": 0.0}),
        ({"hours": 1000}, {"hours": 61_000}, {"engineHours": 60_000}),
        ({"ignition": True}, {"ignition": True}, {"engineHours": 10_000}),
        ({"ignition": True}, {"ignition": False}, {"engineHours": 0}),
        ({"totalDistance": "x"}, {"totalDistance": True}, {}),
        ({"totalDistance": 10**400}, {"totalDistance": None}, {}),
    ],
)
def test_a_summary_is_what_the_ends_of_a_route_differ_by(
    first: dict[str, Any], last: dict[str, Any], expected: dict[str, Any]
) -> None:
    counted = {"positionCount": 2, "beaconCount": 1}
    assert row(at(0, **first), at(10, **last)) == NOTHING | counted | expected


def test_speeds_are_averaged_and_the_highest_kept() -> None:
    found = row(at(0, 1.5), at(1, 3), at(2, None), at(3, "fast"))
    assert (found["averageSpeed"], found["maxSpeed"]) == (1.125, 3.0)


def test_a_device_without_a_name_is_called_as_its_last_position_calls_it() -> None:
    known = history(position(1, 0, deviceId=9, deviceName="nine"))
    rows = summary(known, asked(device_ids=(9,)), Rules())
    assert json.loads(rows[0])["deviceName"] == "nine"


@pytest.mark.parametrize("attributes", [None, [], "x", 5])
def test_attributes_of_another_type_count_as_none(attributes: Any) -> None:
    found = row(position(1, 0, 3, attributes=attributes))
    assert found == NOTHING | {"positionCount": 1, "beaconCount": 1}
