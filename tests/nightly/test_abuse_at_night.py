"""Abuse in the size that a night has time for."""

from __future__ import annotations

import pytest

from recorder.wire.frames import Frame, Opcode
from tests.fake_server.abuse import MIB, flood, linux, storm, text
from tests.fake_server.support import MASK

pytestmark = [pytest.mark.nightly, linux]


async def test_ten_thousand_connections_that_hang_up_leave_nothing() -> None:
    await storm(10_000)


async def test_a_million_pings_whose_pongs_are_not_read_take_bounded_memory() -> None:
    ping = Frame.make(Opcode.PING, b"x", mask=MASK).serialize()
    await flood([ping * 10_000] * 100, 40 * MIB, rule="socket.too-slow")


async def test_a_million_wrong_pongs_fill_neither_memory_nor_the_terminal() -> None:
    await flood([text(b"pong " + b"x" * 36) * 1000] * 1000, 24 * MIB, rule="pong.")


async def test_a_million_empty_fragments_fill_no_memory() -> None:
    empty = Frame.make(Opcode.CONTINUATION, fin=False, mask=MASK).serialize()
    first = text(b"p", fin=False) + empty * 9999
    await flood([first, *[empty * 10_000] * 99], MIB, rule="")
