"""The fault ``ping-late``."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from fake_server.faults import parse_injection
from recorder.track.rules import Rules
from tests.fake_server.faults.support import (
    Served,
    hear_all,
    injections,
    line_of,
    on_loopback,
    ping,
    sent,
    steps_of,
    texts,
    with_websockets,
)
from tests.fake_server.support import POSITION, pings_of, quiet, serving


@pytest.mark.parametrize("live", [True, False])
def test_only_pings_are_later(live: bool) -> None:
    sends = [ping("a", live=live), *texts(POSITION)]
    steps = steps_of(line_of("ping-late:delay_s=7"), sends)
    assert [step.delay_s for step in steps] == [7, 0]
    assert sent(steps) == sent(sends)


@pytest.mark.parametrize("live", [True, False])
def test_a_ping_in_chunks_is_later_as_a_whole(live: bool) -> None:
    line = line_of("chunking:size_bytes=60,pause_s=1", "ping-late:delay_s=7")
    steps = steps_of(line, [ping("a", live=live)])
    assert [(step.delay_s, step.pause_s) for step in steps] == [(7, 0), (7, 1)]


async def test_its_pong_is_expected_from_when_it_comes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(POSITION), faults=injections(["ping-late:delay_s=12"])) as fake:
        socket = await fake.socket()
        begun_s = trio.current_time()
        heard = await socket.listen(begun_s + 120)
        assert [at_s - begun_s for at_s, _ in pings_of(heard)] == [42, 72, 102]
        assert fake.rules_broken == []


async def test_later_than_the_interval_none_is_left_out_and_nobody_is_blamed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(POSITION), faults=injections(["ping-late:delay_s=70"])) as fake:
        socket = await fake.socket()
        begun_s = trio.current_time()
        heard = await socket.listen(begun_s + 200)
        assert [at_s - begun_s for at_s, _ in pings_of(heard)] == [100, 130, 160, 190]
        assert fake.rules_broken == []


async def test_who_does_not_answer_it_is_closed_after_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(POSITION), faults=injections(["ping-late:delay_s=12"])) as fake:
        socket = await fake.socket()
        begun_s = trio.current_time()
        heard = await socket.listen(answer=False)
        assert heard[-1].frame.close_code == 1001
        # 18 s are more than half an interval: it is to be answered before the next one is due.
        assert heard[-1].at_s - begun_s == pytest.approx(60, abs=0.1)
        assert fake.rules_broken == ["pong.missing"]
        assert Rules().ping_interval_s == 30


async def test_a_websockets_client_that_answers_lives_on() -> None:
    def client(served: Served) -> tuple[int, int | None]:
        with with_websockets(served) as socket:
            heard, closed = hear_all(socket)
            return sum(b'"PING"' in text for text in heard), closed.rcvd and closed.rcvd.code

    faults = "ping-late:delay_s=0.05", "close:code=1000,at_s=0.4"
    async with on_loopback(*faults, ping_interval_s=0.1) as served:
        pings, code = await served.ask(client)
        assert served.rules_broken == []
    assert code == 1000
    assert pings >= 1


def test_impossible_values_are_named() -> None:
    with pytest.raises(ValueError, match=r"ping-late: delay_s = -1.*expected seconds"):
        parse_injection("ping-late:delay_s=-1")
