"""What an account may see of messages and objects."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.sight import Sight, identity_of
from recorder.track.kinds import read_message
from tests.profiles import examples

EVERYTHING = Sight()
NOTHING = Sight(frozenset(), frozenset())

ids = st.integers(1, 4)
KINDS = ["devices", "beacons", "positions", "events", "status", "webSessionTimeout", "other"]
objects = st.fixed_dictionaries(
    {"id": ids},
    optional={
        "deviceId": st.none() | ids,
        "name": st.sampled_from(["one", "two"]),
        "uniqueId": st.sampled_from(["u1", "u2"]),
        "x": st.sampled_from([100.0, "~", "]}", None]),
    },
)
messages = st.lists(
    st.one_of(
        st.dictionaries(st.sampled_from(KINDS), st.lists(objects, max_size=3), max_size=2),
        st.just({}),
        st.just({"webSessionTimeout": [86400]}),
    ),
    min_size=1,
    max_size=3,
)
named = st.frozensets(st.one_of(ids, st.sampled_from(["one", "two", "u1", "u2"])), max_size=3)
sights = st.builds(Sight, st.none() | named, st.none() | named, st.frozensets(ids, max_size=2))


def visible(sight: Sight, kind: str, one: dict[str, Any]) -> bool:
    """The same, said another way."""
    all_devices = sight.devices is None
    owner = one.get("deviceId")
    owned = all_devices or owner in (sight.devices or ()) or owner in sight.device_ids
    match kind:
        case "status" | "webSessionTimeout":
            return True
        case "devices":
            names = {one["id"], one.get("name"), one.get("uniqueId")}
            return all_devices or bool(names & {*(sight.devices or ()), *sight.device_ids})
        case "positions" | "events":
            return owned if owner is not None else all_devices
        case "beacons" if sight.beacons is not None:
            return bool({one["id"], one.get("name")} & sight.beacons)
        case _:
            return owner is None or owned


@settings(max_examples=examples(150))
@given(messages, sights)
def test_exactly_what_is_seen_remains_and_in_its_own_text(
    texts: list[dict[str, Any]], sight: Sight
) -> None:
    payload = b"~".join(json.dumps(text).encode() for text in texts)
    expected: list[dict[str, Any]] = []
    hidden = False
    for text in texts:
        kept = {
            key: [one for one in some if not isinstance(one, dict) or visible(sight, key, one)]
            for key, some in text.items()
        }
        emptied = {key for key, some in kept.items() if not some and text[key]}
        hidden = hidden or kept != text
        left = {key: some for key, some in kept.items() if key not in emptied}
        if left or not emptied:
            expected.append(left)
    seen = sight.filtered(payload)
    if not hidden:
        assert seen is payload
    elif not expected:
        assert seen is None
    else:
        assert seen is not None
        assert [json.loads(part.data) for part in read_message(seen)] == expected
        for text in expected:
            for some in text.values():
                for one in some:
                    assert json.dumps(one).encode() in seen
        assert sight.filtered(seen) is seen


@settings(max_examples=examples(200))
@given(st.lists(objects, max_size=4), st.sampled_from(KINDS), sights)
def test_a_list_is_filtered_as_a_message_of_its_kind_is(
    some: list[dict[str, Any]], kind: str, sight: Sight
) -> None:
    texts = [json.dumps(one).encode() for one in some]
    kept = [text for text, one in zip(texts, some, strict=True) if visible(sight, kind, one)]
    assert sight.seen(kind, texts) == kept
    filtered = sight.filtered(b"[" + b",".join(texts) + b"]", kind=kind)
    assert json.loads(filtered or b"[]") == [json.loads(text) for text in kept]


@given(st.binary(max_size=40) | st.text(max_size=30).map(str.encode))
def test_what_is_no_json_passes_and_nothing_raises(noise: bytes) -> None:
    noise = b"\xff" + noise.replace(b"{", b"<").replace(b"[", b"<")
    assert NOTHING.filtered(noise) is noise


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"[]",
        b'{"devices":[]}',
        b'{"webSessionTimeout":[86400]}',
        b'{"status":[{"message":"a0b34365","type":"PING","deviceId":9}]}',
        b'{"unknown":[{"id":1},{"deviceId":null}],"other":5}',
        b'{"devices":"none"}~broken{',
    ],
)
def test_what_belongs_to_no_device_passes_as_the_very_same_bytes(payload: bytes) -> None:
    assert NOTHING.filtered(payload) is payload


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"devices":[{"id":1},{"id":2, "x":1.0}]}', b'{"devices":[{"id":2, "x":1.0}]}'),
        (b'{"devices":[{"id":1}]}', None),
        (b'{"devices":[1,null,{"id":2}]}', b'{"devices":[{"id":2}]}'),
        (b'{"positions":[{"id":5}]}', None),
        (b'{"beacons":[{"id":5,"deviceId":null},{"id":6}]}', None),
        (b'{"later":[{"deviceId":1},{"deviceId":2}]}', b'{"later":[{"deviceId":2}]}'),
        (b'{"id":7,"deviceId":1}', None),
        (b'[{"id":7,"deviceId":1}]', None),
        (
            b' {"devices":[{"id":1}]} ~ {"status":[{}]} ~torn{"a"',
            b'{"status":[{}]}~torn{"a"',
        ),
        (
            b'{"devices":[{"id":1}],"\\u00e4":[ {"x":1E+2} ]}',
            '{"ä":[ {"x":1E+2} ]}'.encode(),
        ),
    ],
)
def test_what_is_hidden_goes_and_the_rest_keeps_its_text(
    payload: bytes, expected: bytes | None
) -> None:
    sight = Sight(frozenset({2}), frozenset())
    if b"beacons" in payload:
        assert Sight(frozenset({2})).filtered(payload) is payload
    assert sight.filtered(payload) == expected


def test_who_sees_everything_is_sent_the_very_same_bytes() -> None:
    payload = b'{"devices":[{"id":1}]}'
    assert EVERYTHING.everything
    assert not NOTHING.everything
    assert EVERYTHING.filtered(payload) is payload


def test_equal_sights_have_equal_hashes() -> None:
    one, other = (Sight(frozenset({1, "a"}), None, frozenset({2})) for _ in range(2))
    assert {one: 5}[other] == 5
    assert one != Sight(frozenset({1, "a"}))


def test_a_position_is_seen_by_who_names_its_device_by_another_name() -> None:
    sight = Sight(frozenset({"one"}), None, frozenset({7}))
    assert sight.sees("positions", b'{"id":1,"deviceId":7}')
    assert not sight.sees("positions", b'{"id":1,"deviceId":8}')
    assert sight.sees("devices", b'{"id":8,"name":"one"}')
    assert sight.sees("devices", b'{"id":8,"uniqueId":"one"}')


@pytest.mark.parametrize("text", [b"", b"[]", b"1", b"{", b'{"id":[1]}', b'{"id":"\xff"}'])
def test_what_has_no_identity_is_nobody(text: bytes) -> None:
    found = identity_of(text)
    assert (found.id, found.deviceId, found.name, found.uniqueId) == (None, None, None, None)
