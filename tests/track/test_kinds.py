from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.track.kinds import (
    PongText,
    classify,
    objects_of,
    parse_pong,
    ping_uuids,
    pong_text,
    read_message,
)
from tests.profiles import examples

UUID = "a0b34365-908f-4868-a52a-84a3ed83bd59"
PING = (
    b'{"status":[{"message":"a0b34365-908f-4868-a52a-84a3ed83bd59","type":"PING",'
    b'"localeKey":null,"localeValues":null}]}'
)


@pytest.mark.parametrize(
    ("json_text", "kind"),
    [
        (b'{"devices":[]}', "devices"),
        (b'{"positions":[{"id":1}]}', "positions"),
        (b'{"beacons":null}', "beacons"),
        (b'{"events":[]}', "events"),
        (PING, "status"),
        (b'{"webSessionTimeout":[86400]}', "webSessionTimeout"),
        (b"{}", "empty"),
        (b" {\n} ", "empty"),
        (b'{"Devices":[]}', "unknown"),
        (b'{"kind":"devices"}', "unknown"),
        (b'{"\\u0064evices":[]}', "devices"),
        (b'{"devices":[],"positions":[]}', "several-keys"),
        (b"[]", "unknown"),
        (b"1", "unknown"),
        (b"", "unknown"),
        (b'{"devices":', "unknown"),
        (b'{"devices":"\\ud800"}', "unknown"),
        (b'{"devices":' + b"[" * 9999 + b"]" * 9999 + b"}", "unknown"),
    ],
)
def test_the_one_key_of_an_object_is_its_kind(json_text: bytes, kind: str) -> None:
    assert classify(json_text) == kind


def test_a_message_of_several_texts_is_read_in_order_and_nothing_is_dropped() -> None:
    parts = read_message(b'{"devices":["~"]}~ {} ~oops~{"new":1,"devices":2}')
    assert [(part.kind, part.data, part.offset, part.keys) for part in parts] == [
        ("devices", b'{"devices":["~"]}', 0, ("devices",)),
        ("empty", b"{}", 19, ()),
        ("unparsed", b"oops", 23, ()),
        ("several-keys", b'{"new":1,"devices":2}', 28, ("new", "devices")),
    ]


def test_objects_are_raw_and_keep_their_numbers() -> None:
    (part,) = read_message(b'{"positions":[{"id":1.10}, {"id" : 2}]}')
    assert [bytes(element) for element in objects_of(part)] == [b'{"id":1.10}', b'{"id" : 2}']


def test_objects_of_several_keys_are_told_apart_by_the_key() -> None:
    (part,) = read_message(b'{"devices":[1],"positions":[2,3],"new":{}}')
    assert [bytes(element) for element in objects_of(part)] == [b"1", b"2", b"3"]
    assert [bytes(element) for element in objects_of(part, "positions")] == [b"2", b"3"]
    assert objects_of(part, "new") == objects_of(part, "beacons") == []


@pytest.mark.parametrize("payload", [b"{}", b"[1]", b'{"devices":null}', b'{"devices":{"a":[1]}}'])
def test_what_is_no_array_has_no_objects(payload: bytes) -> None:
    (part,) = read_message(payload)
    assert objects_of(part) == []


@settings(max_examples=examples(1000))
@given(payload=st.binary() | st.text('{}[]"~:,\\ status1PING').map(str.encode))
@example(b'{"\xff":1}')
@example(b'{"status":[{"type":"PING","message":1e999}]}')
@example(b'{"status":[{"type":"PING","message":"\xff"}]}')
def test_any_payload_is_read_without_raising(payload: bytes) -> None:
    uuids = ping_uuids(payload)
    parts = read_message(payload)
    for part in parts:
        assert payload[part.offset : part.offset + len(part.data)] == part.data
        objects_of(part)
        classify(part.data)
    assert not uuids or any("status" in part.keys for part in parts)


# PINGs


def test_the_ping_of_the_manual_has_its_uuid() -> None:
    assert ping_uuids(PING) == [UUID]


@pytest.mark.parametrize(
    "payload",
    [
        b'{"devices":[{"name":"PING","type":"PING","message":"u"}]}',
        b'{"status":[{"message":"u","type":"SUCCESS","localeKey":"PING"}]}',
        b'{"status":[{"message":"PING","type":"INFO"}]}',
        b'{"status":[{"message":"u","type":"ping"}]}',
        b'{"status":[{"message":null,"type":"PING"}]}',
        b'{"status":[{"message":7,"type":"PING"}]}',
        b'{"status":[{"message":"","type":"PING"}]}',
        b'{"status":[{"message":"no uuid","type":"PING"}]}',
        b'{"status":[{"type":"PING"}]}',
        b'{"status":{"message":"u","type":"PING"}}',
        b'{"status":["PING"]}',
        b'{"name":"{\\"status\\":[{\\"message\\":\\"u\\",\\"type\\":\\"PING\\"}]}"}',
        b'[{"status":[{"message":"u","type":"PING"}]}]',
        b'{"data":{"status":[{"message":"u","type":"PING"}]}}',
        b"PING",
    ],
)
def test_what_only_resembles_a_ping_is_none(payload: bytes) -> None:
    assert ping_uuids(payload) == []


values = st.none() | st.integers() | st.text(max_size=5) | st.just("PING")
statuses = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["PING", "PING", "SUCCESS", "ping", None]),
        "message": st.uuids().map(str) | values,
        "localeKey": values,
        "localeValues": values,
    },
)
messages = st.dictionaries(
    st.sampled_from(["status", "status", "devices", "Status"]),
    st.lists(statuses | values, max_size=4) | values,
    max_size=3,
)


@st.composite
def spelled(draw: st.DrawFn, message: Any) -> bytes:
    """A JSON text of the message: keys in any order, white space anywhere, letters escaped."""

    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shuffled(value[key]) for key in draw(st.permutations(list(value)))}
        return [shuffled(each) for each in value] if isinstance(value, list) else value

    text = json.dumps(
        shuffled(message),
        indent=draw(st.sampled_from([None, 0, 2, "\t"])),
        separators=draw(st.sampled_from([(",", ":"), (" ,\r\n", " :\t")])),
        ensure_ascii=draw(st.booleans()),
    )
    escapes = draw(st.sampled_from([{}, {"P": "\\u0050", "N": "\\u004e"}, {"G": "\\u0047"}]))
    for letter, escape in escapes.items():
        text = text.replace(letter, escape)
    return text.encode("utf-8", "surrogatepass")


@settings(max_examples=examples(1000))
@given(st.data())
def test_pings_are_found_in_any_spelling_and_nowhere_else(data: st.DataObject) -> None:
    drawn = data.draw(st.lists(messages, max_size=3))
    texts = [data.draw(spelled(message)) for message in drawn]
    expected = [
        status["message"]
        for message in drawn
        if isinstance(message.get("status"), list)
        for status in message["status"]
        if isinstance(status, dict) and status.get("type") == "PING"
        if isinstance(status.get("message"), str) and status["message"]
        if not any(character.isspace() for character in status["message"])
    ]
    assert ping_uuids(b"~".join(texts)) == expected


# pongs


@given(st.uuids().map(str))
def test_a_pong_text_is_read_back(uuid: str) -> None:
    assert pong_text(uuid) == f"pong {uuid}"
    assert parse_pong(pong_text(uuid).encode()) == PongText(uuid)


@pytest.mark.parametrize("message", ["u", "ü", '"', "pong", "a0B3", "a\\b"])
def test_every_uuid_of_a_ping_can_be_answered(message: str) -> None:
    payload = json.dumps({"status": [{"type": "PING", "message": message}]}).encode()
    assert [parse_pong(pong_text(uuid).encode()) for uuid in ping_uuids(payload)] == [
        PongText(message)
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"pong",
        b"pong ",
        b"Pong " + UUID.encode(),
        b"PONG " + UUID.encode(),
        b"pong  " + UUID.encode(),
        b"pong\t" + UUID.encode(),
        b"pong:" + UUID.encode(),
        b"pong" + UUID.encode(),
        b" pong " + UUID.encode(),
        b"\xef\xbb\xbfpong " + UUID.encode(),
        b"pong " + UUID.encode() + b" ",
        b"pong " + UUID.encode() + b"\n",
        b"pong " + UUID.encode() + b"\r\n",
        b"pong " + UUID.encode() + b" again",
        b'"pong ' + UUID.encode() + b'"',
        b'{"pong":"' + UUID.encode() + b'"}',
        b'{"message":"' + UUID.encode() + b'","type":"PONG"}',
        b"pong \xff",
    ],
)
def test_what_was_meant_as_a_pong_is_malformed(text: bytes) -> None:
    assert parse_pong(text) == PongText(None)


@pytest.mark.parametrize("text", [b"", b"hello", b"ping " + UUID.encode(), b'{"a":1}', b"\xff"])
def test_other_texts_of_a_client_are_no_pongs(text: bytes) -> None:
    assert parse_pong(text) is None
