"""The fault ``silence``."""

from __future__ import annotations

import asyncio

import pytest
import trio
import trio.testing

from fake_server.faults import FaultBoard, parse_injection
from fake_server.faults.base import Silence
from tests.fake_server.faults.support import (
    THREE,
    Served,
    injections,
    on_loopback,
    with_aiohttp,
    with_websockets,
)
from tests.fake_server.support import Http, handshake, quiet, serving


def test_it_is_no_answer_at_all() -> None:
    board = FaultBoard(injections(["silence:hang_up_s=7"]))
    assert board.handshake(0.0, 1) == Silence(hang_up_s=7)


@pytest.mark.parametrize("hang_up_s", [0, 3600])
async def test_tcp_ends_after_its_time_without_a_byte(
    hang_up_s: int, autojump_clock: trio.testing.MockClock
) -> None:
    faults = injections([f"silence:hang_up_s={hang_up_s},count=1"])
    async with serving(quiet(*THREE), faults=faults) as fake:
        cookie = await fake.cookie()
        http = Http(fake.connect())
        begun_s = trio.current_time()
        await http.send(handshake(cookie))
        assert await http.ended()
        assert trio.current_time() == begun_s + hang_up_s
        await fake.socket(cookie)
        assert fake.rules_broken == []


async def test_others_are_served_meanwhile(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(quiet(*THREE), faults=injections(["silence:count=1"])) as fake:
        cookie = await fake.cookie()
        await Http(fake.connect()).send(handshake(cookie))
        await trio.testing.wait_all_tasks_blocked()
        begun_s = trio.current_time()
        await (await fake.socket(cookie)).frame()
        assert trio.current_time() == begun_s


async def test_websockets_gives_up_after_its_own_time() -> None:
    def client(served: Served) -> str:
        with (
            pytest.raises(TimeoutError) as silent,
            with_websockets(served, open_timeout=0.1),
        ):
            pass
        return str(silent.value)

    async with on_loopback("silence") as served:
        assert "handshake" in await served.ask(client)


async def test_websockets_sees_the_hang_up() -> None:
    def client(served: Served) -> str:
        with (
            pytest.raises(Exception, match="valid HTTP response") as ended,
            with_websockets(served),
        ):
            pass
        return type(ended.value).__name__

    async with on_loopback("silence:hang_up_s=0") as served:
        assert await served.ask(client) == "InvalidMessage"


async def test_aiohttp_gives_up_after_its_own_time() -> None:
    async def client(served: Served) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), with_aiohttp(served):
                pass

    async with on_loopback("silence") as served:
        await served.ask_async(client)


def test_impossible_values_are_named() -> None:
    with pytest.raises(ValueError, match=r"silence: hang_up_s = -1.*expected seconds"):
        parse_injection("silence:hang_up_s=-1")
