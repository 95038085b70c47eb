"""The fault ``joined-texts``."""

from __future__ import annotations

import json

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.faults.base import Send
from recorder.track.kinds import ping_uuids
from recorder.wire.frames import Frame, Opcode
from tests.fake_server.faults.support import (
    THREE,
    Served,
    hear,
    injections,
    line_of,
    on_loopback,
    payloads_of,
    ping,
    sent,
    steps_of,
    texts,
    with_websockets,
)
from tests.fake_server.support import DEVICES, MOVED, POSITION, pings_of, quiet, serving, texts_of
from tests.profiles import examples


def test_two_messages_become_one_payload() -> None:
    steps = steps_of(line_of("joined-texts"), texts(*THREE, DEVICES))
    assert payloads_of(sent(steps)) == [DEVICES + b"~" + POSITION, MOVED + b"~" + DEVICES]


def test_how_many_and_what_stands_between_can_be_told() -> None:
    line = line_of({"fault": "joined-texts", "texts": 3, "separator": " ~\n"})
    assert payloads_of(sent(steps_of(line, texts(*THREE)))) == [b" ~\n".join(THREE)]
    line = line_of({"fault": "joined-texts", "separator": ""})
    assert payloads_of(sent(steps_of(line, texts(DEVICES, MOVED)))) == [DEVICES + MOVED]


def test_one_strike_is_one_joined_payload() -> None:
    steps = steps_of(line_of("joined-texts:count=1,after=1"), texts(*THREE, DEVICES))
    assert payloads_of(sent(steps)) == [DEVICES, POSITION + b"~" + MOVED, DEVICES]


def test_what_follows_joins_whatever_its_kind_so_that_order_is_kept() -> None:
    steps = steps_of(line_of("joined-texts:kinds=devices"), texts(*THREE, DEVICES, MOVED))
    assert payloads_of(sent(steps)) == [DEVICES + b"~" + POSITION, MOVED, DEVICES + b"~" + MOVED]


@pytest.mark.parametrize("live", [True, False])
def test_a_ping_goes_out_at_once_with_what_waits(live: bool) -> None:
    line = line_of("joined-texts:texts=9")
    alone = ping("u1", live=live)
    assert line.feed(alone, 0) == [alone]
    assert line.feed(texts(DEVICES)[0], 0) == []
    (step,) = line.feed(ping("u2", live=live), 0)
    assert isinstance(step, Send)
    assert step.ping == ("u2" if live else None)
    (payload,) = payloads_of(step.data)
    assert payload.startswith(DEVICES + b'~{"status"')
    assert ping_uuids(payload) == ["u2"]


@pytest.mark.parametrize(
    "frame",
    [
        Frame.make(Opcode.BINARY, b"\0"),
        Frame.make(Opcode.TEXT, b"{", fin=False),
        Frame.make(Opcode.CLOSE),
    ],
)
def test_what_is_no_whole_text_sends_what_waits_before_it(frame: Frame) -> None:
    (first,) = texts(DEVICES)
    last = Send(data=frame.serialize())
    assert steps_of(line_of("joined-texts"), [first, last]) == [first, last]


def test_a_control_ping_passes_and_nothing_is_sent_for_it() -> None:
    between = Send(data=Frame.make(Opcode.PING).serialize())
    first, second = texts(DEVICES, MOVED)
    steps = steps_of(line_of("joined-texts"), [first, between, second])
    assert steps == [between, *texts(DEVICES + b"~" + MOVED)]


def test_what_waits_goes_out_when_the_fault_is_taken_away() -> None:
    line = line_of("joined-texts:texts=3")
    first, second = texts(DEVICES, MOVED)
    assert steps_of(line, [first]) == []
    assert line.set({}) == [first]
    line = line_of("joined-texts:texts=3")
    assert steps_of(line, [first, second]) == []
    assert line.set({}) == texts(DEVICES + b"~" + MOVED)


@given(st.integers(2, 5), st.lists(st.sampled_from(THREE), max_size=12), st.integers(0, 12))
@settings(max_examples=examples(100))
def test_nothing_is_lost_and_order_is_kept(size: int, says: list[bytes], count: int) -> None:
    line = line_of(f"joined-texts:texts={size},count={count},probability=0.5")
    steps = [*steps_of(line, texts(*says)), *line.set({})]
    payloads = payloads_of(sent(steps))
    assert b"~".join(payloads) == b"~".join(says)
    assert all(payload.count(b"~") < size for payload in payloads)


async def test_a_ping_is_answered_and_counted_in_a_joined_payload(
    autojump_clock: trio.testing.MockClock,
) -> None:
    faults = injections(["joined-texts:texts=9"])
    async with serving(quiet(DEVICES, MOVED), faults=faults) as fake:
        heard = await (await fake.socket()).listen(trio.current_time() + 100)
        assert texts_of(heard) == []
        assert heard[0].frame.payload.count(b"~") == 3
        assert len(pings_of(heard)) == 3
        assert fake.rules_broken == []


async def test_websockets_hears_one_message_of_two_texts() -> None:
    def client(served: Served) -> list[bytes]:
        with with_websockets(served) as socket:
            return hear(socket, 2)

    fault = "joined-texts:after=1"
    async with on_loopback(fault, session_timeout_shown="never") as served:
        heard = await served.ask(client)
    assert heard == [DEVICES, POSITION + b"~" + MOVED]
    with pytest.raises(json.JSONDecodeError, match="Extra data"):
        json.loads(heard[1])


@pytest.mark.parametrize(
    "values", [{"texts": 1}, {"texts": 1001}, {"separator": "\0"}, {"separator": "\ud800"}]
)
def test_impossible_values_are_named(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"joined-texts: .*{next(iter(values))}"):
        injections([{"fault": "joined-texts", **values}])
