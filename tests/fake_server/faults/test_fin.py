"""The fault ``fin``."""

from __future__ import annotations

import trio
import trio.testing
import websockets

from fake_server.faults.base import Cut
from tests.fake_server.faults.support import (
    THREE,
    Served,
    hear_all,
    injections,
    line_of,
    on_loopback,
    steps_of,
    texts,
    with_aiohttp,
    with_websockets,
)
from tests.fake_server.support import quiet, serving, texts_of


def test_tcp_ends_behind_the_messages_before_it() -> None:
    sends = texts(*THREE)
    assert steps_of(line_of("fin:after=2"), sends) == [*sends[:2], Cut(how="fin"), sends[2]]


async def test_the_stream_ends_behind_whole_frames_without_a_close(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(*THREE), faults=injections(["fin:after=3"])) as fake:
        socket = await fake.socket()
        heard = await socket.listen()
        assert texts_of(heard)[1:] == [*THREE[:2]]
        assert len(heard) == 3
        assert socket.at_end
        assert fake.rules_broken == []


async def test_websockets_sees_an_end_without_a_close_frame() -> None:
    def client(served: Served) -> tuple[list[bytes], websockets.ConnectionClosed, int | None]:
        with with_websockets(served) as socket:
            return *hear_all(socket), socket.close_code

    async with on_loopback("fin:after=2", session_timeout_shown="never") as served:
        heard, closed, code = await served.ask(client)
    assert heard == [*THREE[:2]]
    assert str(closed) == "no close frame received or sent"
    assert code == 1006


async def test_aiohttp_sees_an_abnormal_closure() -> None:
    async def client(served: Served) -> int | None:
        async with with_aiohttp(served) as socket:
            async for _ in socket:
                pass
            return socket.close_code

    async with on_loopback("fin:after=1") as served:
        assert await served.ask_async(client) == 1006
