"""The fault ``field-retyped``."""

from __future__ import annotations

import json

import pytest

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
    steps = steps_of(line_of(f"field-retyped:{fields}"), texts(*payloads))
    return payloads_of(sent(steps))


@pytest.mark.parametrize(
    ("value", "other"),
    [
        (b"1.10", b'"1.10"'),
        (b"-64", b'"-64"'),
        (b"true", b'"true"'),
        (b"null", b'"null"'),
        (b'"2"', b"2"),
        (b'"-1.50E+7"', b"-1.50E+7"),
        (b'"01"', b"0"),
        (b'"4242 "', b"0"),
        (b'"LynKey"', b"0"),
        (b'""', b"0"),
        (b'{ "b":[] }', b'[{ "b":[] }]'),
        (b"{}", b"[{}]"),
        (b"[]", b"{}"),
        (b'[ 1.0, {"b":[2]} ,"c"]', b'{ "0":1.0, "1":{"b":[2]} ,"2":"c"}'),
    ],
)
def test_what_becomes_of_a_value(value: bytes, other: bytes) -> None:
    payload = b'{"devices":[{"x":1.10, "a": %s ,"y":[]}]}'
    (heard,) = changed("key=a", payload % value)
    assert heard == payload % other
    before, after = (json.loads(data)["devices"][0]["a"] for data in (payload % value, heard))
    assert type(before) is not type(after)


def test_every_second_object_of_one_kind() -> None:
    heard = changed("key=id,objects=devices,every=2", *THREE)
    assert heard == [DEVICES.replace(b'"id":2', b'"id":"2"'), POSITION, MOVED]


async def test_websockets_reads_another_type() -> None:
    def client(served: Served) -> list[bytes]:
        with with_websockets(served) as socket:
            return hear(socket, 3)

    fault = "field-retyped:key=deviceId"
    async with on_loopback(fault, session_timeout_shown="never") as served:
        heard = await served.ask(client)
    assert heard[0] == THREE[0]
    assert json.loads(heard[1]) == {"positions": [{"id": 11, "deviceId": "1", "rssi": -64}]}
