"""What a route adds up to, at the edges of numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fake_server.reports import History, summary
from recorder.track.rules import Rules
from tests.fake_server.reports.strategies import asked, history, position


def text_of(*positions: bytes) -> bytes:
    (row,) = summary(history(*positions), asked(device_ids=(1,)), Rules())
    return row


def row(*positions: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text_of(*positions))
    return found


def at(at_s: int, speed: Any = 0, **attributes: Any) -> bytes:
    return position(at_s, at_s, 3, speed=speed, attributes=attributes)


def test_fuel_that_hardly_grew_is_no_negative_zero() -> None:
    assert b'"spentFuel":0.0,' in text_of(at(0, fuel=1.0), at(10, fuel=1.04))
    assert row(at(0, fuel=1.0), at(10, fuel=2.0))["spentFuel"] == -1.0


def test_where_all_speeds_are_negative_the_highest_is_0() -> None:
    found = row(at(0, -3), at(1, -1))
    assert (found["maxSpeed"], found["averageSpeed"]) == (0.0, -2.0)


@pytest.mark.parametrize("speed", [True, "7", None, [7], 10**400, "NaN"])
def test_a_speed_that_is_no_number_counts_as_0(speed: Any) -> None:
    found = row(at(0, speed), at(1, 8))
    assert (found["maxSpeed"], found["averageSpeed"]) == (8.0, 4.0)


@pytest.mark.parametrize(
    ("states", "hours_ms"),
    [
        (("true", "true"), 10_000),
        ((True, "true"), 10_000),
        (("TRUE", True), 0),
        ((1.5, 1.5), 0),
        ((True, True, False, True, True), 20_000),
    ],
)
def test_the_engine_ran_between_positions_that_both_have_ignition(
    states: tuple[Any, ...], hours_ms: int
) -> None:
    positions = [at(10 * number, ignition=state) for number, state in enumerate(states)]
    assert row(*positions)["engineHours"] == hours_ms


def test_a_device_whose_id_is_no_number_is_nobodys_name() -> None:
    devices = (b'{"id":1,"name":"one"}', b'{"id":[1],"name":"x"}', b'{"id":true,"name":"y"}')
    (found,) = summary(History(devices, (at(0),)), asked(device_ids=(1,)), Rules())
    assert json.loads(found)["deviceName"] == "one"
