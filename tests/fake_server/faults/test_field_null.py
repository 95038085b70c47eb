"""The fault ``field-null``."""

from __future__ import annotations

import json

import pytest

from fake_server.faults import parse_injection
from tests.fake_server.faults.support import (
    THREE,
    Served,
    hear,
    line_of,
    on_loopback,
    payloads_of,
    sent,
    steps_of,
    texts,
    with_websockets,
)
from tests.fake_server.support import DEVICES, MOVED, POSITION


def changed(fields: str, *payloads: bytes) -> list[bytes]:
    steps = steps_of(line_of(f"field-null:{fields}"), texts(*payloads))
    return payloads_of(sent(steps))


def test_the_value_is_null_and_every_other_byte_stays() -> None:
    assert changed("key=rssi", POSITION, MOVED) == [
        b'{"positions":[{"id":11,"deviceId":1,"rssi":null}]}',
        b'{"positions":[{"id":12,"deviceId":1,"rssi":null}]}',
    ]


@pytest.mark.parametrize(
    ("value", "null"),
    [
        (b'"a,]}\\""', b"null"),
        (b'{"b":[1,{"a":2}]}', b"null"),
        (b"[ ]", b"null"),
        (b"-1.50", b"null"),
    ],
)
def test_a_value_of_any_type(value: bytes, null: bytes) -> None:
    payload = b'{ "positions" : [ {"x": 1.10 , "a" : %s , "y": 1e400} ] }'
    assert changed("key=a", payload % value) == [payload % null]


def test_objects_of_one_kind() -> None:
    heard = changed("key=id,objects=devices", *THREE)
    assert heard == [
        DEVICES.replace(b'"id":1', b'"id":null').replace(b'"id":2', b'"id":null'),
        *THREE[1:],
    ]


def test_every_so_many_of_those_that_can_be_changed() -> None:
    payload = b'{"positions":[{"a":1},{"a":2},{},{"a":null},{"a":3},{"a":4}]}'
    assert (
        changed("key=a,every=2", payload, payload)
        == [payload.replace(b"2", b"null").replace(b"4", b"null")] * 2
    )
    assert changed("key=a,every=3", payload, payload) == [
        payload.replace(b"3", b"null"),
        payload.replace(b"2", b"null"),
    ]


def test_a_dot_leads_into_an_object() -> None:
    payload = b'{"positions":[{"attributes":{"floor":"2","x":{"floor":1}},"floor":3}]}'
    assert changed("key=attributes.floor", payload) == [payload.replace(b'"2"', b"null")]
    assert changed("key=attributes.x.floor", payload) == [
        payload.replace(b'{"floor":1}', b'{"floor":null}')
    ]
    assert changed("key=floor.x", payload) == [payload]
    assert changed("key=none.x", payload) == [payload]


def test_a_key_is_found_however_it_is_spelled() -> None:
    payload = rb'{"positions":[{"\u0061\/":1,"a":2,"\ud800":3}]}'
    assert changed("key=a/", payload) == [payload.replace(b"1,", b"null,")]
    assert changed("key=a", payload) == [payload.replace(b"2,", b"null,")]


def test_in_joined_texts_each_is_changed() -> None:
    assert changed("key=rssi", POSITION + b" ~ " + MOVED) == [
        b'{"positions":[{"id":11,"deviceId":1,"rssi":null}]} ~ '
        b'{"positions":[{"id":12,"deviceId":1,"rssi":null}]}'
    ]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"hello",
        b"{}",
        b"[]",
        b'{"a":1}',
        b'{"positions":{"a":1}}',
        b'{"positions":[1,"a",[{"a":1}],null]}',
        b'{"positions":[{"a":null}]}',
        b'{"positions":[{"b":"a"}]}',
        b'{"positions":[{"a":1}',
        b'{"positions":[{"a":"\xff"}]}',
    ],
)
def test_what_has_no_such_field_is_left_alone(payload: bytes) -> None:
    assert changed("key=a", payload) == [payload]


async def test_websockets_reads_null() -> None:
    def client(served: Served) -> list[bytes]:
        with with_websockets(served) as socket:
            return hear(socket, 3)

    fault = "field-null:key=deviceId"
    async with on_loopback(fault, session_timeout_shown="never") as served:
        heard = await served.ask(client)
    assert heard[0] == THREE[0]
    assert json.loads(heard[1]) == {"positions": [{"id": 11, "deviceId": None, "rssi": -64}]}


@pytest.mark.parametrize("values", ["key=", "key=a..b", "key=.a", "key=a,every=0"])
def test_impossible_values_are_named(values: str) -> None:
    with pytest.raises(ValueError, match=f"field-null: .*{values.rpartition('=')[0][-3:]}"):
        parse_injection(f"field-null:{values}")


def test_a_key_must_be_given() -> None:
    with pytest.raises(ValueError, match=r"field-null: .*key"):
        parse_injection("field-null")
