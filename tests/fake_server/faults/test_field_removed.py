"""The fault ``field-removed``."""

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
    ping,
    sent,
    steps_of,
    texts,
    with_websockets,
)


def changed(fields: str, *payloads: bytes) -> list[bytes]:
    steps = steps_of(line_of(f"field-removed:{fields}"), texts(*payloads))
    return payloads_of(sent(steps))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a", b'{ "b" : "x,y" ,\n"c":[1, {"a":2}] }'),
        ("b", b'{ "a": 1.10 ,\n"c":[1, {"a":2}] }'),
        ("c", b'{ "a": 1.10 , "b" : "x,y" }'),
    ],
)
def test_the_key_the_value_and_one_comma_are_gone(key: str, expected: bytes) -> None:
    payload = b'{ "a": 1.10 , "b" : "x,y" ,\n"c":[1, {"a":2}] }'
    (heard,) = changed(f"key={key}", b'{"devices":[%s]}' % payload)
    assert heard == b'{"devices":[%s]}' % expected
    assert json.loads(heard)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"a":1}', b"{}"),
        (b'{"a":1,"a":2}', b"{}"),
        (b'{"a":1,"a":2,"b":3}', b'{"b":3}'),
        (b'{"b":3,"a":1,"a":2}', b'{"b":3}'),
        (b'{"a":1,"b":3,"a":2}', b'{"b":3}'),
        (b'{"a":1,"b":3,"a":2,"c":4,"a":5}', b'{"b":3,"c":4}'),
        (b'{"b":3}', b'{"b":3}'),
    ],
)
def test_a_field_that_stands_alone_or_several_times(before: bytes, after: bytes) -> None:
    assert changed("key=a", b'{"devices":[%s]}' % before) == [b'{"devices":[%s]}' % after]


def test_nobody_waits_for_the_pong_to_a_ping_without_its_uuid() -> None:
    (step,) = steps_of(line_of("field-removed:key=message"), [ping("u1")])
    assert getattr(step, "ping", "") is None
    (step,) = steps_of(line_of("field-removed:key=localeKey"), [ping("u1")])
    assert getattr(step, "ping", "") == "u1"


async def test_websockets_reads_an_object_without_it() -> None:
    def client(served: Served) -> list[bytes]:
        with with_websockets(served) as socket:
            return hear(socket, 3)

    fault = "field-removed:key=deviceId"
    async with on_loopback(fault, session_timeout_shown="never") as served:
        heard = await served.ask(client)
    assert heard[0] == THREE[0]
    assert json.loads(heard[1]) == {"positions": [{"id": 11, "rssi": -64}]}
