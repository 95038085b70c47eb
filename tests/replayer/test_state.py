"""The state that messages amount to."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from replayer import state as module
from replayer.state import OBJECT_KINDS, State
from tests.profiles import examples

ids = st.integers(1, 4)
objects = st.fixed_dictionaries({"id": ids}, optional={"deviceId": ids, "x": st.integers(0, 9)})
messages = st.lists(
    st.tuples(st.sampled_from([*OBJECT_KINDS, "events"]), st.lists(objects, max_size=3)), max_size=8
)


def message(kind: str, *some: Any) -> bytes:
    return json.dumps({kind: list(some)}).encode()


def folded(*payloads: bytes, only_new: bool = False) -> State:
    state = State()
    for payload in payloads:
        state.apply(payload, only_new=only_new)
    return state


def shown(state: State) -> list[list[bytes]]:
    return [state.objects(kind) for kind in OBJECT_KINDS]


@settings(max_examples=examples(500))
@given(messages)
def test_the_latest_object_of_each_id_stands_in_the_order_of_first_sight(
    sent: list[tuple[str, list[Any]]],
) -> None:
    model: dict[str, dict[Any, Any]] = {kind: {} for kind in (*OBJECT_KINDS, "events")}
    by_id: dict[int, Any] = {}
    for kind, some in sent:
        for one in some:
            owner: Any = one["id"]
            if kind == "positions":
                owner = ("device", one["deviceId"]) if "deviceId" in one else one["id"]
                by_id[one["id"]] = one
            model[kind][owner] = one
    state = folded(*(message(kind, *some) for kind, some in sent))
    for kind in OBJECT_KINDS:
        assert [json.loads(text) for text in state.objects(kind)] == list(model[kind].values())
    asked = [3, 1, 9, 2, 4, 1]
    found = [json.loads(text) for text in state.positions_by_id(asked)]
    assert found == [by_id[one] for one in asked if one in by_id]
    found = [json.loads(text) for text in state.positions_of_devices(asked)]
    latest = model["positions"]
    assert found == [latest["device", one] for one in asked if ("device", one) in latest]


@settings(max_examples=examples(300))
@given(messages)
def test_with_only_new_the_first_object_of_each_id_stays(
    sent: list[tuple[str, list[Any]]],
) -> None:
    model: dict[str, dict[Any, Any]] = {kind: {} for kind in (*OBJECT_KINDS, "events")}
    by_id: dict[int, Any] = {}
    for kind, some in sent:
        for one in some:
            owner: Any = one["id"]
            if kind == "positions" and "deviceId" in one:
                owner = ("device", one["deviceId"])
            model[kind].setdefault(owner, one)
            if kind == "positions":
                by_id.setdefault(one["id"], one)
    state = folded(*(message(kind, *some) for kind, some in sent), only_new=True)
    for kind in OBJECT_KINDS:
        assert [json.loads(text) for text in state.objects(kind)] == list(model[kind].values())
    found = [json.loads(text) for text in state.positions_by_id([1, 2, 3, 4])]
    assert found == [by_id[one] for one in (1, 2, 3, 4) if one in by_id]


@given(messages)
def test_the_messages_of_a_state_amount_to_it(sent: list[tuple[str, list[Any]]]) -> None:
    state = folded(*(message(kind, *some) for kind, some in sent))
    told = state.messages()
    assert shown(folded(*told)) == shown(state)
    kinds = [next(iter(json.loads(one))) for one in told]
    assert kinds == [kind for kind in OBJECT_KINDS if state.objects(kind)]


@given(st.one_of(st.binary(max_size=60), st.text(max_size=40).map(str.encode)), messages)
def test_what_cannot_be_read_changes_nothing_and_raises_nothing(
    noise: bytes, sent: list[tuple[str, list[Any]]]
) -> None:
    state = folded(*(message(kind, *some) for kind, some in sent))
    before = shown(state)
    state.apply(b"\xff" + noise.replace(b"{", b"<").replace(b"[", b"<"))
    assert shown(state) == before


def test_objects_without_an_id_or_of_other_shapes_change_nothing() -> None:
    state = folded(
        b'{"devices":[{"name":"no id"},{"id":null},{"id":[1]},{"id":{"a":1}},1,"x",null,[]]}',
        b'{"devices":{"id":1}}',
        b'{"devices":null}',
        b'{"positions":[{"deviceId":1},{"id":1,"deviceId":[1]}]}',
        b'{"events":[{"id":1}]}',
        b'{"devices":[' + b"[" * 3000 + b"]" * 3000 + b"]}",
        b"",
        b"{}",
    )
    assert shown(state) == [[], [], []]


def test_text_is_kept_byte_for_byte() -> None:
    text = b'{"speed":100.0,"id":1,"n":1E+2, "d":"2026-01-01T00:00:00.000+0000","u":"\\u00e4"}'
    state = folded(b'{"devices":[ ' + text + b" ]}")
    assert state.objects("devices") == [text]
    assert state.messages() == [b'{"devices":[' + text + b"]}"]


def test_several_json_texts_in_one_payload_all_count() -> None:
    state = folded(b'{"devices":[{"id":1}]}~{"beacons":[{"id":2}]}~{"positions":[{"id":3}]}')
    assert [len(some) for some in shown(state)] == [1, 1, 1]


def test_positions_come_latest_by_device_and_each_by_its_id() -> None:
    state = folded(
        message("positions", {"id": 1, "deviceId": 7}),
        message("positions", {"id": 2, "deviceId": 7}),
        message("positions", {"id": 7}),
    )
    assert [json.loads(text)["id"] for text in state.objects("positions")] == [2, 7]
    assert [json.loads(text)["id"] for text in state.positions_by_id([1, 2])] == [1, 2]
    assert [json.loads(text)["id"] for text in state.positions_of_devices([7])] == [2]


def test_ids_may_be_words() -> None:
    state = folded(
        message("devices", {"id": "a"}, {"id": 1}), message("devices", {"id": "a", "x": 1})
    )
    assert [json.loads(text) for text in state.objects("devices")] == [
        {"id": "a", "x": 1},
        {"id": 1},
    ]


def test_a_copy_goes_its_own_way() -> None:
    state = folded(message("devices", {"id": 1}), message("positions", {"id": 2, "deviceId": 1}))
    other = state.copy()
    before = shown(state)
    for kind in OBJECT_KINDS:
        other.apply(message(kind, {"id": 5, "deviceId": 5}))
    assert shown(state) == before
    assert state.positions_by_id([5]) == []
    assert [len(some) for some in shown(other)] == [2, 1, 2]


def test_an_endless_playback_does_not_grow_without_end() -> None:
    state = State()
    count = module._MAX_POSITIONS + 10
    state.put("positions", (b'{"id":%d,"deviceId":1}' % number for number in range(count)))
    assert state.positions_by_id([9]) == []
    assert len(state.positions_by_id([10, count - 1])) == 2
    assert len(state.objects("positions")) == 1


def test_a_position_that_is_shown_again_is_not_among_the_oldest() -> None:
    state = State()
    state.put("positions", [b'{"id":1}', b'{"id":2}', b'{"id":1,"x":1}'])
    count = module._MAX_POSITIONS - 1
    state.put("positions", (b'{"id":%d,"deviceId":1}' % (number + 10) for number in range(count)))
    assert state.positions_by_id([2, 1]) == [b'{"id":1,"x":1}']


@settings(max_examples=examples(100))
@given(messages)
def test_each_object_is_found_by_its_id_and_the_highest_id_is_known(
    sent: list[tuple[str, list[Any]]],
) -> None:
    state = folded(*(message(kind, *some) for kind, some in sent))
    model: dict[tuple[str, int], Any] = {
        (kind, one["id"]): one for kind, some in sent for one in some
    }
    for kind in OBJECT_KINDS:
        for one in (1, 2, 3, 4, 5):
            found = state.get(kind, one)
            assert (json.loads(found) if found else None) == model.get((kind, one))
    assert state.highest_id() == max((one for kind, one in model if kind != "events"), default=0)


def test_of_ids_that_are_no_whole_numbers_none_is_the_highest() -> None:
    state = folded(message("devices", {"id": "z"}, {"id": 9.5}, {"id": 3}, {"id": True}))
    assert state.highest_id() == 3
    assert State().highest_id() == 0
