"""The fault ``oversized-frame``."""

from __future__ import annotations

import pytest
import websockets

from fake_server.faults import parse_injection
from fake_server.faults.base import Send
from recorder.wire.frames import Frame, Opcode
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


@pytest.mark.parametrize(
    ("size_bytes", "head"),
    [
        (65_536, "817f 0000000000010000"),
        (2**32, "817f 0000000100000000"),
        (2**63 - 1, "817f 7fffffffffffffff"),
    ],
)
def test_the_header_claims_so_much_and_the_payload_stands_behind_it(
    size_bytes: int, head: str
) -> None:
    steps = steps_of(line_of(f"oversized-frame:size_bytes={size_bytes}"), texts(THREE[0], b""))
    assert sent(steps[:1]) == bytes.fromhex(head) + THREE[0]
    assert sent(steps[1:]) == bytes.fromhex(head)


def test_flags_opcode_and_mask_stay() -> None:
    frame = Frame.make(Opcode.BINARY, b"abcd", fin=False, rsv=4, mask=b"mask")
    data = sent(steps_of(line_of("oversized-frame"), [Send(data=frame.serialize())]))
    assert data == b"\x42\xff\x7f" + b"\xff" * 7 + frame.serialize()[2:]


def test_a_payload_that_is_larger_is_left_alone() -> None:
    sends = texts(bytes(65_536), bytes(65_535))
    steps = steps_of(line_of("oversized-frame:size_bytes=65536"), sends)
    assert steps[0] == sends[0]
    assert steps[1] != sends[1]


def test_nobody_waits_for_the_pong_to_it() -> None:
    (step,) = steps_of(line_of("oversized-frame"), [ping("u1")])
    assert getattr(step, "ping", "") is None


async def test_websockets_fails_the_connection_with_1009_at_the_header() -> None:
    def client(served: Served) -> tuple[list[bytes], websockets.ConnectionClosed]:
        with with_websockets(served, max_size=2**20) as socket:
            return hear_all(socket)

    async with on_loopback("oversized-frame:after=1", session_timeout_shown="never") as served:
        heard, closed = await served.ask(client)
    assert heard == [THREE[0]]
    assert closed.sent is not None
    assert closed.sent.code == 1009


async def test_websockets_without_a_limit_takes_all_that_follows_for_its_payload() -> None:
    def client(served: Served) -> tuple[list[bytes], websockets.ConnectionClosed]:
        with with_websockets(served) as socket:
            return hear_all(socket)

    faults = ["oversized-frame:after=1,count=1", "fin:after=3"]
    async with on_loopback(*faults, says=(*THREE, b"{}"), session_timeout_shown="never") as served:
        heard, closed = await served.ask(client)
    assert heard == [THREE[0]]
    assert closed.rcvd is None


async def test_aiohttp_fails_the_connection_with_1009() -> None:
    async def client(served: Served) -> tuple[list[str], int | None]:
        async with with_aiohttp(served, max_msg_size=2**20) as socket:
            heard = [message async for message in socket]
            return [message.type.name for message in heard], socket.close_code

    fault = "oversized-frame:after=1,size_bytes=16777216"
    async with on_loopback(fault, session_timeout_shown="never") as served:
        assert await served.ask_async(client) == (["TEXT", "ERROR"], 1009)


@pytest.mark.parametrize("values", ["size_bytes=65535", f"size_bytes={2**63}", "size_bytes=x"])
def test_impossible_values_are_named(values: str) -> None:
    with pytest.raises(ValueError, match=f"oversized-frame: .*{values.partition('=')[0]}"):
        parse_injection(f"oversized-frame:{values}")
