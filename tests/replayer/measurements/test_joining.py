"""Whose a position is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replayer.measurements.joining import Choice, Join
from replayer.reading.said import Said
from tests.profiles import examples
from tests.replayer.measurements.told import device, objects, position, said, tellings


def naive(found: list[Said]) -> set[tuple[int, Any]]:
    """Each telling of a position that says something new, by its seq, with each device that names
    it or that it names; None without any. All objects are in memory."""
    read = [(one, json.loads(one.text)) for one in found]
    claims = {
        (each["positionId"], each["id"])
        for one, each in read
        if one.kind == "devices" and "positionId" in each
    }
    last: dict[Any, bytes] = {}
    rows: set[tuple[int, Any]] = set()
    for one, each in read:
        if one.kind == "positions" and last.get(each["id"]) != one.text:
            last[each["id"]] = one.text
            owners = {owner for named, owner in claims if named == each["id"]}
            owners |= {each["deviceId"]} if "deviceId" in each else set()
            rows |= {(one.seq, owner) for owner in owners or {None}}
    return rows


@settings(max_examples=examples(300))
@given(objects().map(tellings))
def test_the_join_is_that_of_all_objects_in_memory_whatever_came_first(found: list[Said]) -> None:
    joined = list(Join().through(found))
    rows = [(one.seq, None if one.device is None else one.device.id) for one in joined]
    assert len(rows) == len(set(rows))
    assert set(rows) == naive(found)
    for one in joined:
        fields = json.loads(one.text)
        assert (one.joined_by in ("deviceId", "both")) == ("deviceId" in fields)
        assert (one.joined_by == "nothing") == (one.device is None)


@settings(max_examples=examples(100))
@given(objects().map(tellings), st.integers(1, 3))
def test_no_more_wait_than_may_and_nothing_is_lost_by_it(found: list[Said], held: int) -> None:
    join = Join(held=held)
    rows = []
    for one in found:
        rows += join.feed(one)
        assert len(join._waiting) <= held
        assert len(join._claims) <= held
    rows += join.finish()
    assert {row.seq for row in rows} == {seq for seq, _ in naive(found)}
    assert not join._by_device
    assert not join._by_position


def only(*found: tuple[str, dict[str, Any]]) -> list[tuple[int, object, object, str]]:
    joined = Join().through(said(kind, one, number) for number, (kind, one) in enumerate(found))
    return [
        (one.seq, one.device and one.device.id, one.device and one.device.name, one.joined_by)
        for one in joined
    ]


def test_a_position_joins_the_device_that_named_it_before() -> None:
    found = only(("devices", device(1, positionId=7)), ("positions", position(7)))
    assert found == [(1, 1, "device 1", "positionId")]


def test_a_position_that_came_first_joins_when_its_devices_message_comes() -> None:
    found = only(
        ("positions", position(7)),
        ("positions", position(8, deviceId=2)),
        ("devices", device(2)),
        ("devices", device(1, positionId=7)),
    )
    assert found == [(1, 2, "device 2", "deviceId"), (0, 1, "device 1", "positionId")]


@pytest.mark.parametrize("fields", [{"positionId": 7}, {}])
def test_what_waits_is_joined_at_once_when_its_device_is_told(fields: dict[str, int]) -> None:
    join = Join()
    waiting = position(7) if fields else position(7, deviceId=1)
    assert join.feed(said("positions", waiting)) == []
    assert [one.position_id for one in join.feed(said("devices", device(1, **fields)))] == [7]
    assert join.finish() == []


def test_the_way_of_a_device_keeps_its_order_when_a_position_names_it() -> None:
    nameless, named = position(7, deviceId=1), position(8, deviceId=1, deviceName="x")
    found = only(("positions", nameless), ("positions", named))
    assert [(seq, name) for seq, _, name, _ in found] == [(0, "x"), (1, "x")]


def test_a_position_with_a_device_name_waits_for_nobody() -> None:
    join = Join()
    found = join.feed(said("positions", position(7, deviceId=3, deviceName="Käthe")))
    assert [one.device and one.device.name for one in found] == ["Käthe"]


def test_a_position_that_two_devices_lay_claim_to_is_of_both() -> None:
    found = only(("devices", device(1, positionId=7)), ("positions", position(7, deviceId=2)))
    assert {(owner, by) for _, owner, _, by in found} == {(1, "positionId"), (2, "deviceId")}


def test_what_is_told_again_with_the_same_text_is_left_out_and_counted() -> None:
    join = Join()
    rows = list(join.through([said("positions", position(7, deviceId=1), n) for n in range(3)]))
    assert (len(rows), join.repeats) == (1, 2)


def test_what_is_no_object_is_counted() -> None:
    join = Join()
    text = Said(kind="positions", text=b"[1]", seq=1, offset_ns=0, connection=1, via="socket")
    odd = said("devices", {"id": {"not": "hashable"}})
    assert [*join.feed(text), *join.feed(odd)] == []
    assert join.unread == 2


@pytest.mark.parametrize("wanted", ["1", "device 1", "49151"])
def test_a_device_is_called_by_id_name_or_unique_id(wanted: str) -> None:
    found = [
        said("devices", device(1, uniqueId="49151")),
        said("positions", position(7, deviceId=1, beaconId=5, beaconName="room")),
        said("positions", position(8, deviceId=2)),
    ]
    joined = list(Join().through(found))
    assert [one.position_id for one in joined if Choice(device=wanted).takes(one)] == [7]
    assert [one.position_id for one in joined if Choice(beacon="room").takes(one)] == [7]
    assert [one.position_id for one in joined if Choice(beacon="5").takes(one)] == [7]


def test_a_device_without_a_name_of_its_own_has_the_one_that_its_positions_tell() -> None:
    found = [
        ("devices", {"id": 1, "uniqueId": "u"}),
        ("positions", position(1, deviceId=1, deviceName="cart")),
    ]
    join = Join()
    (one,) = join.through(tellings(found))
    assert one.device is not None
    assert (one.device.name, one.device.unique_id) == ("cart", "u")
    assert [each.id for each in join.called("cart")] == [1]
