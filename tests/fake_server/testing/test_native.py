"""A server in the test's own trio run, on its clock."""

from __future__ import annotations

import contextlib

import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed

from fake_server.expectations import ExpectationFailed
from fake_server.testing import open_track_server
from fake_server.testing.values import ContractBroken
from recorder.track.kinds import ping_uuids


async def test_a_day_passes_at_once(autojump_clock: trio.testing.MockClock) -> None:
    async with open_track_server(paused=True) as server, server.open_websocket() as socket:
        with trio.move_on_after(86_400):
            while True:
                for uuid in ping_uuids((await socket.get_message()).encode()):
                    await socket.send_message(f"pong {uuid}")
        assert server.sockets[0].pongs in (2879, 2880)
        assert trio.current_time() >= 86_400


async def test_who_does_not_answer_is_closed_after_a_minute(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def never_answers() -> None:
        async with open_track_server(paused=True) as server, server.open_websocket() as socket:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await socket.get_message()
            assert trio.current_time() == pytest.approx(60, abs=0.1)

    with pytest.raises(ContractBroken, match=r"pong\.missing"):
        await never_answers()


async def test_a_session_ends_on_the_clock_of_the_test(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with (
        open_track_server(
            paused=True, rules={"session_timeout_s": 60}, allow="session.*"
        ) as server,
        server.http_client(headers=server.login().headers) as http,
    ):
        assert (await http.get("/api/devices")).status_code == 200
        await trio.sleep(61)
        assert (await http.get("/api/devices")).status_code == 401


async def test_an_expectation_waits_on_the_clock_of_the_test(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_track_server(paused=True) as server:
        with pytest.raises(ExpectationFailed, match=r"waited 3600\.0 s for a socket"):
            await server.expect.socket(within_s=3600)
        assert trio.current_time() == pytest.approx(3600)


async def test_it_runs_in_a_nursery_of_the_test(nursery: trio.Nursery) -> None:
    async with open_track_server(nursery=nursery, paused=True) as server, server.open_websocket():
        assert (await server.expect.socket()).socket == 1


async def test_what_a_block_raises_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError):
        async with open_track_server():
            raise KeyError("mine")
