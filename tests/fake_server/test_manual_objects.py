"""The manual's objects, and those that are made after them."""

from __future__ import annotations

import json

import msgspec
import pytest

from fake_server.manual_objects import (
    BEACON,
    DEVICE,
    MANUAL_BEACONS,
    MANUAL_DEVICES,
    MANUAL_POSITIONS,
    NAMED_BEACONS,
    NAMED_DEVICES,
    POSITION,
    make_device,
)

MOMENT = "2026-03-01T12:00:00.000+00:00"


def test_a_device_that_is_made_has_the_keys_of_the_manuals_and_nothing_else_of_its_own() -> None:
    made = make_device(7, "seven", "0007", 70, MOMENT)
    assert list(made) == list(DEVICE)
    own = {
        "id": 7,
        "name": "seven",
        "uniqueId": "0007",
        "positionId": 70,
        # The uuid, major and minor of the manual's are of that device.
        "attributes": {},
    }
    assert {key: made[key] for key in own} == own
    dates = [key for key, value in DEVICE.items() if isinstance(value, str) and "T1" in value]
    assert dates == ["lastUpdate", "firstDataTime"]
    assert {made[key] for key in dates} == {MOMENT}
    assert {key: made[key] for key in DEVICE if key not in own and key not in dates} == {
        key: value for key, value in DEVICE.items() if key not in own and key not in dates
    }


def test_making_one_leaves_the_manuals_as_it_is() -> None:
    before = json.dumps([DEVICE, BEACON, POSITION])
    make_device(7, "seven", "0007", None, MOMENT)["geofences"] = [1]
    make_device(8, "eight", "0008", None, MOMENT)["attributes"]["x"] = 1
    assert json.dumps([DEVICE, BEACON, POSITION]) == before
    assert make_device(9, "nine", "0009", None, MOMENT)["attributes"] == {}


@pytest.mark.parametrize(
    ("texts", "pattern"),
    [
        (MANUAL_DEVICES, DEVICE),
        (MANUAL_BEACONS, BEACON),
        (MANUAL_POSITIONS, POSITION),
    ],
    ids=["devices", "beacons", "positions"],
)
def test_no_id_is_given_twice_and_the_pattern_is_one_of_the_manuals(
    texts: tuple[bytes, ...], pattern: dict[str, object]
) -> None:
    objects = [msgspec.json.decode(text) for text in texts]
    assert pattern in objects
    objects += {DEVICE["id"]: NAMED_DEVICES, BEACON["id"]: NAMED_BEACONS}.get(pattern["id"], ())
    ids = [one["id"] for one in objects]
    assert len(ids) == len(set(ids))


def test_the_named_beacons_have_the_keys_of_the_manuals() -> None:
    assert [list(one) for one in NAMED_BEACONS] == [list(BEACON)] * len(NAMED_BEACONS)
    assert [list(one) for one in NAMED_DEVICES] == [list(DEVICE)] * len(NAMED_DEVICES)
