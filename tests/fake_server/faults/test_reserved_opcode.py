"""The fault ``reserved-opcode``."""

from __future__ import annotations

import pytest
import websockets

from fake_server.faults import parse_injection
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
    with_websockets,
)

RESERVED = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]


@pytest.mark.parametrize("opcode", RESERVED)
def test_the_opcode_stands_in_the_first_byte_and_nothing_else_changes(opcode: int) -> None:
    (send,) = texts(THREE[0])
    data = sent(steps_of(line_of(f"reserved-opcode:opcode={opcode}"), [send]))
    assert data == bytes((0x80 | opcode,)) + send.data[1:]


def test_nobody_waits_for_the_pong_to_it() -> None:
    (step,) = steps_of(line_of("reserved-opcode"), [ping("u1")])
    assert getattr(step, "ping", "") is None


@pytest.mark.parametrize("opcode", [3, 7, 11, 15])
async def test_websockets_fails_the_connection_with_1002(opcode: int) -> None:
    def client(served: Served) -> tuple[list[bytes], websockets.ConnectionClosed]:
        with with_websockets(served) as socket:
            return hear_all(socket)

    fault = f"reserved-opcode:opcode={opcode},after=1"
    async with on_loopback(fault, session_timeout_shown="never") as served:
        heard, closed = await served.ask(client)
    assert heard == [THREE[0]]
    assert closed.sent is not None
    assert closed.sent.code == 1002


@pytest.mark.parametrize("values", ["opcode=1", "opcode=8", "opcode=10", "opcode=16"])
def test_impossible_values_are_named(values: str) -> None:
    with pytest.raises(ValueError, match=f"reserved-opcode: .*{values.partition('=')[0]}"):
        parse_injection(f"reserved-opcode:{values}")
