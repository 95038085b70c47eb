"""What clients wrote, over the state."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.written import Written
from tests.profiles import examples

ids = st.integers(1, 4)


def text(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


@settings(max_examples=examples(200))
@given(
    st.lists(ids, unique=True),
    st.lists(st.tuples(ids, st.none() | st.integers(0, 9)), max_size=6),
)
def test_each_object_keeps_its_place_and_new_ones_follow(
    known: list[int], written: list[tuple[int, int | None]]
) -> None:
    over = Written()
    objects = [text(id=one) for one in known]
    model: dict[int, bytes | None] = {one: text(id=one) for one in known}
    order: dict[int, bytes | None] = {}
    for one, value in written:
        if value is None:
            over.delete("beacons", one)
        else:
            over.put("beacons", one, text(id=one, x=value))
        order[one] = None if value is None else text(id=one, x=value)
    model |= order
    after = over.overlay("beacons", objects)
    assert after == [one for one in model.values() if one is not None]
    assert after is objects or written
    assert [over.get("beacons", one, model.get(one)) for one in ids_of(model)] == [*model.values()]
    over.reset()
    assert over.overlay("beacons", objects) is objects


def ids_of(model: dict[int, bytes | None]) -> list[int]:
    return list(model)


positions = st.lists(st.tuples(ids, ids), max_size=5, unique_by=lambda pair: pair[1])


@settings(max_examples=examples(200))
@given(positions, st.lists(st.tuples(st.sampled_from("cud"), ids, ids), max_size=8))
def test_of_each_device_the_position_that_was_created_last_is_the_latest(
    known: list[tuple[int, int]], steps: list[tuple[str, int, int]]
) -> None:
    """`known` are position and device; ids of created ones are from 100."""
    latest = {device: 10 * device + one for one, device in known}
    over = Written()
    objects = [text(id=one, deviceId=device) for device, one in latest.items()]
    created: dict[int, int] = {}
    deleted: set[int] = set()
    changed: set[int] = set()
    for number, (step, device, one) in enumerate(steps):
        if step == "c":
            over.put(
                "positions", 100 + number, text(id=100 + number, deviceId=device), created=True
            )
            created[100 + number] = device
            continue
        target = [*latest.values(), *created][one % max(1, len(latest) + len(created)) :][:1]
        for position in target:
            if step == "d":
                over.delete("positions", position)
                created.pop(position, None)
                deleted.add(position)
            elif position not in deleted:
                owner = created.get(position) or position // 10
                over.put("positions", position, text(id=position, deviceId=owner, x=1))
                changed.add(position)
    newest = {device: one for one, device in created.items()}
    expected = [newest.get(device, one) for device, one in latest.items()]
    expected += [one for device, one in newest.items() if device not in latest]
    found = [json.loads(one) for one in over.overlay("positions", objects)]
    assert [one["id"] for one in found] == [one for one in expected if one not in deleted]
    assert {one["id"] for one in found if "x" in one} == changed & {one["id"] for one in found}
    history = [json.loads(one)["id"] for one in over.history(objects)]
    assert history == [one for one in [*latest.values(), *created] if one not in deleted]


def test_with_a_device_go_its_positions() -> None:
    over = Written()
    objects = [text(id=11, deviceId=1), text(id=12, deviceId=2)]
    over.put("positions", 13, text(id=13, deviceId=1), created=True)
    over.delete("devices", 1)
    assert over.overlay("positions", objects) == [objects[1]]
    assert over.history(objects) == [objects[1]]
    assert over.get("positions", 11, objects[0]) is None
    assert over.get("positions", 13, None) is None
    assert over.get("positions", 12, objects[1]) == objects[1]


def test_objects_without_an_id_stay() -> None:
    over = Written()
    over.delete("devices", 1)
    objects = [b'{"name":"x"}', b"5", b'{"id":1}']
    assert over.overlay("devices", objects) == objects[:2]


def test_ids_rise_above_all_that_is_known_and_never_repeat() -> None:
    over = Written()
    assert [over.new_id(794513675) for _ in range(2)] == [795000001, 795000002]
    assert over.new_id(795000100) == 796000001
    over.reset()
    assert over.new_id(5) == 796000002
    assert Written().new_id(0) == 1000001
    assert Written().new_id(999_999) == 1000001


def test_positions_without_a_device_stand_each_for_itself() -> None:
    over = Written()
    for one in (100, 101):
        over.put("positions", one, text(id=one), created=True)
    known = [text(id=1), text(id=2)]
    found = [json.loads(one)["id"] for one in over.overlay("positions", known)]
    assert found == [1, 2, 100, 101]
