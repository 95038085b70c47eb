"""The fault ``ping-doubled``."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from recorder.track.kinds import ping_uuids
from tests.fake_server.faults.support import (
    Served,
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
def test_a_ping_comes_twice_and_all_else_once(live: bool) -> None:
    one, other = ping("a", live=live), texts(POSITION)[0]
    assert steps_of(line_of("ping-doubled"), [other, one, other]) == [other, one, one, other]


async def test_both_come_at_once_with_one_uuid_and_one_pong_is_enough(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(POSITION), faults=injections(["ping-doubled"])) as fake:
        socket = await fake.socket()
        begun_s = trio.current_time()
        heard = pings_of(await socket.listen(begun_s + 31, answer=False))
        assert [at_s - begun_s for at_s, _ in heard] == [30, 30]
        assert len({uuid for _, uuid in heard}) == 1
        await socket.text(f"pong {heard[0][1]}")
        heard = pings_of(await socket.listen(begun_s + 65))
        assert [at_s - begun_s for at_s, _ in heard] == [60, 60]
        assert not socket.at_end


async def test_who_answers_neither_is_closed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(POSITION), faults=injections(["ping-doubled"])) as fake:
        heard = await (await fake.socket()).listen(answer=False)
        assert heard[-1].frame.close_code == 1001
        assert fake.rules_broken == ["pong.missing"]


async def test_websockets_hears_it_twice() -> None:
    def client(served: Served) -> list[list[str]]:
        with with_websockets(served) as socket:
            return [ping_uuids(str(socket.recv(timeout=5)).encode()) for _ in range(3)]

    async with on_loopback(
        "ping-doubled", says=[POSITION], ping_interval_s=0.1, session_timeout_shown="never"
    ) as served:
        nothing, first, second = await served.ask(client)
    assert (nothing, first) == ([], second)
    assert len(first) == 1
