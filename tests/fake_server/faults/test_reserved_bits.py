"""The fault ``reserved-bits``."""

from __future__ import annotations

import pytest
import websockets

from fake_server.faults import parse_injection
from fake_server.faults.base import Send
from recorder.wire.frames import Frame, FrameParser, Opcode
from tests.fake_server.faults.support import (
    THREE,
    Served,
    hear_all,
    line_of,
    on_loopback,
    ping,
    sent,
    steps_of,
    texts,
    with_aiohttp,
    with_websockets,
)


@pytest.mark.parametrize("rsv", range(1, 8))
def test_the_bits_stand_in_the_first_byte_and_nothing_else_changes(rsv: int) -> None:
    (send,) = texts(THREE[0])
    data = sent(steps_of(line_of(f"reserved-bits:rsv={rsv}"), [send]))
    assert data == bytes((0x81 | rsv << 4,)) + send.data[1:]
    (frame,) = FrameParser().feed(data)
    assert isinstance(frame, Frame)
    assert (frame.rsv, frame.payload) == (rsv, THREE[0])


def test_a_control_frame_can_have_them_too() -> None:
    send = Send(data=Frame.make(Opcode.PING, b"x").serialize())
    assert sent(steps_of(line_of("reserved-bits"), [send])) == send.data
    assert sent(steps_of(line_of("reserved-bits:kinds=control"), [send])) == b"\xc9\x01x"


def test_bits_that_were_set_already_give_way() -> None:
    send = Send(data=Frame.make(Opcode.TEXT, b"x", rsv=4).serialize())
    assert sent(steps_of(line_of("reserved-bits:rsv=1"), [send])) == b"\x91\x01x"


def test_nobody_waits_for_the_pong_to_it() -> None:
    (step,) = steps_of(line_of("reserved-bits"), [ping("u1")])
    assert getattr(step, "ping", "") is None


@pytest.mark.parametrize("rsv", [1, 2, 4])
async def test_websockets_fails_the_connection_with_1002(rsv: int) -> None:
    def client(served: Served) -> tuple[list[bytes], websockets.ConnectionClosed]:
        with with_websockets(served) as socket:
            return hear_all(socket)

    fault = f"reserved-bits:rsv={rsv},after=1"
    async with on_loopback(fault, session_timeout_shown="never") as served:
        heard, closed = await served.ask(client)
    assert heard == [THREE[0]]
    assert closed.sent is not None
    assert (closed.sent.code, closed.sent.reason) == (1002, "reserved bits must be 0")


async def test_aiohttp_fails_the_connection_with_1002() -> None:
    async def client(served: Served) -> tuple[list[str], int | None]:
        async with with_aiohttp(served) as socket:
            heard = [message async for message in socket]
            return [message.type.name for message in heard], socket.close_code

    async with on_loopback("reserved-bits:after=1", session_timeout_shown="never") as served:
        assert await served.ask_async(client) == (["TEXT", "ERROR"], 1002)


@pytest.mark.parametrize("values", ["rsv=0", "rsv=8"])
def test_impossible_values_are_named(values: str) -> None:
    with pytest.raises(ValueError, match=f"reserved-bits: .*{values.partition('=')[0]}"):
        parse_injection(f"reserved-bits:{values}")
