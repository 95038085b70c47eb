"""Rssi, batteries and paths."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replayer.measurements.battery import Battery
from replayer.measurements.joining import Choice
from replayer.measurements.rssi import Rssi, dbm
from replayer.measurements.track import EARTH_RADIUS_M, Path, metres
from replayer.reading.said import Said
from tests.profiles import examples
from tests.replayer.measurements.told import device, objects, position, said, tellings


def raw(text: bytes) -> Said:
    return Said(kind="positions", text=text, seq=1, offset_ns=0, connection=1, via="socket")


@settings(max_examples=examples(200))
@given(objects().map(tellings))
def test_each_position_with_an_rssi_is_a_row_spelled_as_it_came(found: list[Said]) -> None:
    fold = Rssi()
    rows = list(fold.rows(found))
    by_seq = {one.seq: json.loads(one.text) for one in found}
    for row in rows:
        fields = by_seq[row.seq]
        attributes = fields.get("attributes", {})
        for got, expected in (
            (row.rssi, fields.get("rssi")),
            (row.scan_rssi, fields.get("scanRssi")),
            (row.attributes_scan_rssi, attributes.get("scanRssi")),
        ):
            assert (None if got is None else bytes(got).decode()) == (
                None if expected is None else json.dumps(expected)
            )
    joined = len(rows) + fold.left_out.total() + fold.join.repeats
    assert joined == sum(one.kind == "positions" for one in found)


@pytest.mark.parametrize(
    ("spelled", "reading"),
    [
        (b"204", -52),
        (b"-64", -64),
        (b"-55.0", -55),
        (b"127", 127),
        (b"128", -128),
        (b"255.0", -1),
        (b"256", 256),
        (b'"204"', None),
        (b"true", None),
        (b"1e999", None),
        (b"[]", None),
        (b"1" * 400, None),
    ],
)
def test_a_raw_value_above_127_is_also_read_as_an_unsigned_byte(
    spelled: bytes, reading: float | None
) -> None:
    (row,) = Rssi().rows([raw(b'{"id":1,"rssi":%b}' % spelled)])
    assert row.rssi == msgspec.Raw(spelled)
    assert row.rssi_dbm == dbm(msgspec.Raw(spelled)) == reading


def test_attributes_that_are_no_object_have_no_scan_rssi() -> None:
    (row,) = Rssi().rows([raw(b'{"id":1,"scanRssi":-42,"attributes":"\xff"}')])
    assert (row.scan_rssi_dbm, row.attributes_scan_rssi) == (-42, None)


def test_batteries_are_told_by_devices_positions_and_beacons() -> None:
    fold = Battery()
    rows = list(
        fold.rows(
            [
                said("devices", device(1, batteryLevel=100, lastUpdate="2020-01-14")),
                said("positions", position(7, deviceId=1, attributes={"batteryLevel": 99.0})),
                said("beacons", {"id": 5, "name": "room", "batteryLevel": 50}),
                said("beacons", {"id": 5, "name": "room", "batteryLevel": 50}),
                said("beacons", {"id": 6, "batteryLevel": None}),
            ]
        )
    )
    assert [(row.kind, row.name, bytes(row.level), row.own_time) for row in rows] == [
        ("devices", "device 1", b"100", "2020-01-14"),
        ("positions", "device 1", b"99.0", None),
        ("beacons", "room", b"50", None),
    ]
    assert fold.left_out == {"beacons without a battery level": 1}
    assert fold.join.repeats == 1


@pytest.mark.parametrize(
    ("choice", "kinds"),
    [
        (Choice(device="device 1"), {"devices", "positions"}),
        (Choice(device="9"), set()),
        (Choice(beacon="room"), {"beacons"}),
        (Choice(from_ns=1), set()),
    ],
)
def test_a_battery_is_chosen_by_its_device_or_beacon(choice: Choice, kinds: set[str]) -> None:
    found = [
        said("devices", device(1, batteryLevel=100)),
        said("positions", position(7, deviceId=1, beaconName="room", batteryLevel=99)),
        said("beacons", {"id": 5, "name": "room", "batteryLevel": 50}),
    ]
    assert {row.kind for row in Battery(choice).rows(found)} == kinds


DEGREES = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@settings(max_examples=examples(200))
@given(DEGREES, DEGREES)
def test_distances_are_those_of_the_sphere(one: tuple[float, float], other: Any) -> None:
    def vector(place: tuple[float, float]) -> tuple[float, float, float]:
        north, east = map(math.radians, place)
        return (
            math.cos(north) * math.cos(east),
            math.cos(north) * math.sin(east),
            math.sin(north),
        )

    chord = math.dist(vector(one), vector(other))
    arc = 2 * math.asin(min(1.0, chord / 2))
    assert metres(*one, *other) == pytest.approx(arc * EARTH_RADIUS_M, abs=1)


def test_marked_positions_are_shown_and_are_no_part_of_the_way() -> None:
    def at(number: int, **fields: Any) -> Said:
        return said("positions", position(number, deviceId=1, deviceName="x", **fields), number)

    fold = Path()
    rows = list(
        fold.rows(
            [
                at(1, latitude=0, longitude=0),
                at(2, latitude=10.0, longitude=20),
                at(3, latitude=89, longitude=20, valid=False),
                at(4, latitude=None, longitude=20),
                at(5, latitude=91, longitude=20),
                at(6, latitude="10", longitude=20),
                at(7, latitude=10.001, longitude=20, valid=True),
            ]
        )
    )
    assert [row.marks for row in rows] == [
        ("0,0",),
        (),
        ("invalid",),
        ("no place",),
        ("no place",),
        ("no place",),
        (),
    ]
    assert [row.distance_m for row in rows[:6]] == [None] * 6
    assert rows[6].distance_m == pytest.approx(111.2, abs=0.1)
    assert fold.length_m == {1: rows[6].distance_m}


def test_each_device_has_a_way_of_its_own() -> None:
    found = [
        said("positions", position(n, deviceId=n % 2, deviceName="x", latitude=n, longitude=1), n)
        for n in range(1, 5)
    ]
    fold = Path()
    rows = list(fold.rows(found))
    assert [row.distance_m is None for row in rows] == [True, True, False, False]
    assert fold.length_m[0] == pytest.approx(metres(2, 1, 4, 1))
