"""The fault ``ping-absent``."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.fake_server.faults.support import (
    Served,
    hear_all,
    injections,
    line_of,
    on_loopback,
    ping,
    steps_of,
    texts,
    with_websockets,
)
from tests.fake_server.support import POSITION, pings_of, quiet, serving


@pytest.mark.parametrize("live", [True, False])
def test_pings_do_not_come_and_all_else_does(live: bool) -> None:
    other = texts(POSITION)[0]
    line = line_of("ping-absent:after=1")
    first, second = ping("a", live=live), ping("b", live=live)
    assert steps_of(line, [first, other, second, other]) == [first, other, other]


async def test_nobody_is_blamed_for_a_ping_that_did_not_come(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(POSITION), faults=injections(["ping-absent:after=1,count=2"])) as fake:
        socket = await fake.socket()
        begun_s = trio.current_time()
        heard = await socket.listen(begun_s + 160)
        assert [at_s - begun_s for at_s, _ in pings_of(heard)] == [30, 120, 150]
        assert fake.rules_broken == []
        assert socket.at_end is False


async def test_who_does_not_answer_the_next_that_comes_is_blamed_for_that_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(POSITION), faults=injections(["ping-absent:count=2"])) as fake:
        socket = await fake.socket()
        begun_s = trio.current_time()
        heard = await socket.listen(answer=False)
        assert [at_s - begun_s for at_s, _ in pings_of(heard)] == [90]
        assert heard[-1].at_s - begun_s == pytest.approx(120, abs=0.1)
        assert fake.rules_broken == ["pong.missing"]


async def test_websockets_hears_none_and_is_not_closed_for_it() -> None:
    def client(served: Served) -> tuple[list[bytes], int | None]:
        with with_websockets(served) as socket:
            heard, closed = hear_all(socket)
            return heard, closed.rcvd and closed.rcvd.code

    faults = "ping-absent", "close:code=1000,at_s=0.25"
    async with on_loopback(
        *faults, says=[POSITION], ping_interval_s=0.05, session_timeout_shown="never"
    ) as served:
        assert await served.ask(client) == ([POSITION], 1000)
        assert served.rules_broken == []
