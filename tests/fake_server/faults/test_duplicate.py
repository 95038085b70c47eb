"""The fault ``duplicate``."""

from __future__ import annotations

import pytest

from fake_server.faults import parse_injection
from fake_server.faults.base import Send
from recorder.wire.frames import Frame, Opcode
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
from tests.fake_server.support import DEVICES, MOVED, POSITION


def test_a_message_comes_twice_with_the_same_bytes() -> None:
    (send,) = texts(DEVICES)
    assert steps_of(line_of("duplicate"), [send]) == [send, send]


def test_so_often_as_is_told() -> None:
    steps = steps_of(line_of("duplicate:times=5,after=1,count=1"), texts(*THREE))
    assert payloads_of(sent(steps)) == [DEVICES, *[POSITION] * 5, MOVED]


def test_a_live_ping_stays_one_in_every_copy() -> None:
    assert steps_of(line_of("duplicate"), [ping("u1")]) == [ping("u1")] * 2


def test_fragments_are_left_alone() -> None:
    frames = [
        Frame.make(Opcode.TEXT, b"{", fin=False),
        Frame.make(Opcode.CONTINUATION, b"", fin=False),
        Frame.make(Opcode.CONTINUATION, b"}"),
    ]
    sends = [Send(data=frame.serialize()) for frame in frames]
    assert steps_of(line_of("duplicate"), sends) == sends


async def test_websockets_hears_each_copy() -> None:
    def client(served: Served) -> list[bytes]:
        with with_websockets(served) as socket:
            return hear(socket, 5)

    fault = "duplicate:times=3,kinds=devices"
    async with on_loopback(fault, session_timeout_shown="never") as served:
        assert await served.ask(client) == [DEVICES, DEVICES, DEVICES, POSITION, MOVED]


@pytest.mark.parametrize("values", ["times=1", "times=1001", "times=x"])
def test_impossible_values_are_named(values: str) -> None:
    with pytest.raises(ValueError, match=f"duplicate: .*{values.partition('=')[0]}"):
        parse_injection(f"duplicate:{values}")
