"""The fault ``field-added``."""

from __future__ import annotations

import json

import pytest

from tests.fake_server.faults.support import (
    THREE,
    Served,
    hear,
    injections,
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
    steps = steps_of(line_of(f"field-added:{fields}"), texts(*payloads))
    return payloads_of(sent(steps))


def test_key_and_value_stand_behind_the_last_member_as_they_were_written() -> None:
    heard = changed("key=accuracy,value=1.10", POSITION, b'{"positions":[ { } ]}')
    assert heard == [
        b'{"positions":[{"id":11,"deviceId":1,"rssi":-64,"accuracy":1.10}]}',
        b'{"positions":[ {"accuracy":1.10 } ]}',
    ]


@pytest.mark.parametrize("value", ['"text"', "null", "1e400", "true", "[]", '{"a":{}}', '"ä€𝄞"'])
def test_a_value_of_any_type(value: str) -> None:
    (heard,) = changed(f"key=x,value={value}", MOVED)
    assert heard == MOVED[:-3] + b',"x":%s}]}' % value.encode()


def test_an_object_that_has_the_field_is_left_alone() -> None:
    assert changed("key=rssi", *THREE) == [
        DEVICES.replace(b"}", b',"rssi":null}', 2),
        POSITION,
        MOVED,
    ]


def test_a_dot_leads_into_an_object() -> None:
    payload = b'{"devices":[{"attributes":{"a":1},"id":1},{"id":2}]}'
    heard = changed("key=attributes.b,value=2", payload)
    assert heard == [payload.replace(b'"a":1', b'"a":1,"b":2')]


def test_a_key_of_any_letters_is_escaped_where_it_must_be() -> None:
    line = line_of({"fault": "field-added", "key": 'ä"\\', "value": "0"})
    (heard,) = payloads_of(sent(steps_of(line, texts(POSITION))))
    assert '"ä\\"\\\\":0'.encode() in heard
    assert json.loads(heard)["positions"][0]['ä"\\'] == 0


async def test_websockets_reads_a_field_that_it_does_not_know() -> None:
    def client(served: Served) -> list[bytes]:
        with with_websockets(served) as socket:
            return hear(socket, 3)

    fault = 'field-added:key=x,value="y",objects=positions'
    async with on_loopback(fault, session_timeout_shown="never") as served:
        heard = await served.ask(client)
    assert heard[0] == THREE[0]
    assert json.loads(heard[1]) == {"positions": [{"id": 11, "deviceId": 1, "rssi": -64, "x": "y"}]}


@pytest.mark.parametrize("value", ["", "text", "nul", "01", "{", '"a', "1 2", "NaN", "\ud800"])
def test_a_value_that_is_no_json_text_is_named(value: str) -> None:
    with pytest.raises(ValueError, match=r"field-added: value = .*expected JSON text"):
        injections([{"fault": "field-added", "key": "x", "value": value}])
