"""What all faults of fields share: the way to the field, and what has none."""

from __future__ import annotations

import pytest

from fake_server.faults import parse_injection
from fake_server.faults.base import Send
from fake_server.faults.fields import FieldFault
from recorder.wire.frames import Frame, Opcode
from tests.fake_server.faults.support import line_of, payloads_of, sent, steps_of, texts

FAULTS = (
    "field-null:key={}",
    "field-removed:key={}",
    "field-added:key={},value=1",
    "field-retyped:key={}",
)
"""One of each; ``{}`` is the key."""


def became(fault: str, *payloads: bytes) -> list[bytes]:
    return payloads_of(sent(steps_of(line_of(fault), texts(*payloads))))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("value", [b"null", b'"x{y"', b"5", b"true", b'[{"floor":"2"}]'])
def test_a_way_that_leads_into_no_object_leads_nowhere(fault: str, value: bytes) -> None:
    payload = b'{"positions":[{"attributes":%s,"floor":"1"}]}' % value
    assert became(fault.format("attributes.floor"), payload) == [payload]
    assert became(fault.format("attributes.floor.deeper"), payload) == [payload]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    "payload",
    [
        b'[[{"id":1}]]',
        b'[{"positions":[{"id":1}]}]',
        b'"[{"',
        b'{"positions":{"id":1}}',
        b'{"positions":{"a":{"id":1}}}',
        b'{"positions":[[{"id":1}],2,"{"]}',
        b"no JSON [{",
        b"",
    ],
)
def test_what_is_no_message_with_lists_of_objects_stays(fault: str, payload: bytes) -> None:
    assert became(fault.format("id"), payload) == [payload]


@pytest.mark.parametrize("fault", FAULTS[:2])
def test_each_of_several_json_texts_in_one_message_is_changed(fault: str) -> None:
    one = b'{"positions":[{"a":{"b":true}}]}'
    (alone,) = became(fault.format("a.b"), one)
    assert alone != one
    assert became(fault.format("a.b"), one + b" " + one) == [alone + b" " + alone]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_message_in_fragments_stays(fault: str) -> None:
    line = line_of(fault.format("id"))
    fragment = Frame.make(Opcode.TEXT, b'{"positions":[{"id":1}]}', fin=False)
    send = Send(data=fragment.serialize())
    assert steps_of(line, [send]) == [send]


@pytest.mark.parametrize("fields", ["key=", "key=a..b", "key=a,every=0", "key=a,objects=\a"])
def test_fields_that_cannot_be_are_refused(fields: str) -> None:
    with pytest.raises(ValueError, match="expected a"):
        parse_injection(f"field-null:{fields}")


def test_they_are_all_that_there_are() -> None:
    kinds = {type(parse_injection(fault.format("id")).fault) for fault in FAULTS}
    assert kinds == set(FieldFault.__subclasses__())
