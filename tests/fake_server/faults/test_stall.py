"""The fault ``stall``."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from fake_server.faults.base import Stall
from recorder.wire.frames import Frame, close_frame
from tests.fake_server.faults.support import (
    THREE,
    Served,
    injections,
    line_of,
    on_loopback,
    steps_of,
    texts,
    with_websockets,
)
from tests.fake_server.support import MASK, data_of, quiet, serving, text


def test_it_is_the_end_of_all_sending_at_its_moment() -> None:
    sends = texts(*THREE)
    assert steps_of(line_of("stall:after=1"), sends[:2]) == [sends[0], Stall(), sends[1]]


async def test_nothing_more_comes_neither_pings_nor_answers_and_the_connection_stays(
    autojump_clock: trio.testing.MockClock,
) -> None:
    faults = injections(["stall:after=2"])
    async with serving(quiet(*THREE), faults=faults) as fake:
        socket = await fake.socket()
        heard = await socket.listen(trio.current_time() + 3600)
        assert len(data_of(heard)) == 2
        assert data_of(heard)[1][1] == text(THREE[0])
        assert len(heard) == 2
        assert not socket.at_end
        assert len(fake.server.hub.sockets) == 1
        # Nobody is blamed for what was not sent.
        assert fake.rules_broken == []


async def test_neither_a_close_frame_nor_a_broken_one_is_answered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(*THREE), faults=injections(["stall:after=2"])) as fake:
        for frame in (close_frame(1000, mask=MASK), Frame.make(11, b"", mask=MASK)):
            socket = await fake.socket()
            await socket.listen(trio.current_time() + 1)
            await socket.send(frame)
            assert await socket.listen(trio.current_time() + 3600) == []
            assert not socket.at_end
            await socket.stream.aclose()
            await trio.sleep(5)
            assert fake.server.hub.sockets == []


async def test_by_the_clock_it_comes_between_pings(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(), faults=injections(["stall:at_s=70"])) as fake:
        socket = await fake.socket()
        begun_s = trio.current_time()
        heard = await socket.listen(begun_s + 200)
        assert [one.at_s - begun_s for one in heard] == [0, 30, 60]
        assert fake.rules_broken == []


async def test_the_server_can_still_be_stopped(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(*THREE), faults=injections(["stall"])) as fake:
        await fake.socket()
        with trio.fail_after(10):
            await fake.server.stop()


async def test_websockets_finds_out_by_a_ping_of_its_own_that_nobody_answers() -> None:
    def client(served: Served) -> str:
        with with_websockets(served, ping_interval=0.1, ping_timeout=0.1) as socket:
            assert socket.recv(timeout=5) == THREE[0].decode()
            with pytest.raises(Exception, match="ping timeout") as closed:
                socket.recv(timeout=5)
            return type(closed.value).__name__

    async with on_loopback("stall:after=1", session_timeout_shown="never") as served:
        assert await served.ask(client) == "ConnectionClosedError"
