"""Which objects of a history are in a report, and in which order, at the edges."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fake_server.reports import KINDS, History, events, report, route
from recorder.track.rules import Rules
from tests.fake_server.reports.strategies import FIRST_NS, asked, moment, position

UNREADABLE = (b'{"id":"\xff","deviceId":1}', b'{"id":' + b"[" * 100_000, b'{"deviceId":1e999}')


def event(number: Any, at_s: int, **more: Any) -> bytes:
    fields = {"id": number, "type": "alarm", "deviceId": 1, "serverTime": moment(at_s)}
    return json.dumps(fields | more).encode()


def test_of_equal_times_the_order_of_the_history_stays() -> None:
    same = [position("zxy"[number], 5, number) for number in range(3)]
    told = [event("zxy"[number], 5) for number in range(3)]
    known = History((b'{"id":1}',), same, told)
    assert route(known, asked(), Rules()) == same
    assert events(known, asked(), Rules()) == told


def test_both_ends_of_a_period_are_in_it_for_events_too() -> None:
    told = tuple(event(number, 10 * number) for number in range(4))
    period = asked(from_ns=FIRST_NS + 10 * 10**9, to_ns=FIRST_NS + 20 * 10**9)
    assert events(History(events=told), period, Rules()) == list(told[1:3])


@pytest.mark.parametrize("broken", UNREADABLE, ids=["no UTF-8", "too deep", "no number"])
def test_beside_what_cannot_be_read_the_rest_is_found(broken: bytes) -> None:
    device, place, told = b'{"id":1,"name":"one"}', position(1, 0), event(1, 0)
    known = History((broken, device), (broken, place), (broken, told))
    assert route(known, asked(), Rules()) == [place]
    assert events(known, asked(), Rules()) == [told]
    assert len(report("summary", known, asked(), Rules())) == 1


def test_true_is_not_the_device_1() -> None:
    """In Python they are equal."""
    known = History((b'{"id":true,"name":"no"}', b'{"id":1,"name":"one"}', b'{"id":true}'))
    for kind in KINDS:
        rows = [json.loads(row) for row in report(kind, known, asked(), Rules())]
        assert [row["deviceName"] for row in rows] == (["one"] if kind == "summary" else [])
    assert route(History(positions=(position(1, 0, deviceId=True),)), asked(), Rules()) == []
