"""The fault ``slow-login``."""

from __future__ import annotations

import time

import aiohttp
import pytest
import trio
import trio.testing

from fake_server.faults import FaultBoard, parse_injection
from tests.fake_server.faults.support import THREE, Served, injections, on_loopback
from tests.fake_server.support import quiet, serving

CREDENTIALS = {"email": "demo@example.com", "password": "demo"}


def test_delays_of_several_add_up_on_their_schedules() -> None:
    board = FaultBoard(injections(["slow-login:delay_s=2,count=2", "slow-login:delay_s=3,after=1"]))
    assert [board.login_wait_s(0.0) for _ in range(3)] == [2, 5, 3]


async def test_logins_are_late_good_or_bad_and_nothing_else_is(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(*THREE), faults=injections(["slow-login:delay_s=8"])) as fake:
        begun_s = trio.current_time()
        assert (await fake.http().log_in()).status == 200
        assert trio.current_time() == begun_s + 8
        assert (await fake.http().log_in(password="wrong")).status == 401
        assert trio.current_time() == begun_s + 16
        await fake.http().ask("/api/session")
        await fake.http().ask("/api/session", method="DELETE")
        assert trio.current_time() == begun_s + 16


async def test_others_are_not_held_up(autojump_clock: trio.testing.MockClock) -> None:
    faults = injections(["slow-login:delay_s=8,count=1"])
    async with serving(quiet(*THREE), faults=faults) as fake:
        begun_s = trio.current_time()
        answered_s: list[float] = []

        async def log_in() -> None:
            assert (await fake.http().log_in()).status == 200
            answered_s.append(trio.current_time() - begun_s)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(log_in)
            nursery.start_soon(log_in)
        assert answered_s == [0, 8]


async def test_aiohttp_waits_for_it() -> None:
    async def client(served: Served) -> float:
        begun_s = time.monotonic()
        url = f"http://127.0.0.1:{served.port}/api/session"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=CREDENTIALS) as response,
        ):
            assert response.status == 200
        return time.monotonic() - begun_s

    async with on_loopback("slow-login:delay_s=0.2") as served:
        assert await served.ask_async(client) >= 0.2


async def test_aiohttp_gives_up_after_its_own_time() -> None:
    async def client(served: Served) -> None:
        url = f"http://127.0.0.1:{served.port}/api/session"
        timeout = aiohttp.ClientTimeout(total=0.1)
        with pytest.raises(TimeoutError):
            async with aiohttp.ClientSession(timeout=timeout) as session:
                await session.post(url, data=CREDENTIALS)

    async with on_loopback("slow-login:delay_s=60") as served:
        await served.ask_async(client)


def test_impossible_values_are_named() -> None:
    with pytest.raises(ValueError, match=r"slow-login: delay_s = -1.*expected seconds"):
        parse_injection("slow-login:delay_s=-1")
