"""The fault ``ping-repeated``."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.faults.base import Send
from recorder.track.kinds import ping_uuids
from tests.fake_server.faults.support import (
    Served,
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
from tests.profiles import examples


def test_the_uuid_of_the_first_comes_again_and_nothing_else_changes() -> None:
    other = texts(POSITION)[0]
    sends = [ping("a-1"), other, ping("longer-2"), ping("c-3")]
    steps = steps_of(line_of("ping-repeated"), sends)
    assert steps == [ping("a-1"), other, ping("a-1"), ping("a-1")]
    recorded = [ping(uuid, live=False) for uuid in ("a-1", "longer-2")]
    assert steps_of(line_of("ping-repeated"), recorded) == [ping("a-1", live=False)] * 2


def test_it_is_the_first_that_the_fault_strikes() -> None:
    steps = steps_of(line_of("ping-repeated:after=1,count=2"), [ping(uuid) for uuid in "abcd"])
    assert steps == [ping(uuid) for uuid in "abbd"]


@given(st.lists(st.text(min_size=1).filter(lambda text: not text.isspace()), min_size=2))
@settings(max_examples=examples(100))
def test_any_text_that_may_stand_in_a_ping_leaves_a_payload_that_can_be_read(
    words: list[str],
) -> None:
    import msgspec

    sends = [ping("first")]
    for word in words:
        status = [{"type": "PING", "message": word}, {"type": word}]
        sends += texts(msgspec.json.encode({"status": status}))
    for step in steps_of(line_of("ping-repeated"), sends):
        assert isinstance(step, Send)
        if b"PING" in step.data and (uuids := ping_uuids(step.data[step.data.index(b"{") :])):
            assert uuids == ["first"]


def test_each_socket_has_its_own_first() -> None:
    for number, uuid in enumerate("ab", 1):
        line = line_of("ping-repeated", socket=number)
        assert steps_of(line, [ping(uuid), ping("x")]) == [ping(uuid)] * 2


async def test_the_pong_with_the_uuid_that_came_keeps_the_socket(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(POSITION), faults=injections(["ping-repeated"])) as fake:
        socket = await fake.socket()
        heard = pings_of(await socket.listen(trio.current_time() + 200))
        assert len(heard) == 6
        assert len({uuid for _, uuid in heard}) == 1
        assert fake.rules_broken == []
        assert not socket.at_end


async def test_who_believes_to_have_answered_it_is_closed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(POSITION), faults=injections(["ping-repeated"])) as fake:
        socket = await fake.socket()
        begun_s = trio.current_time()
        ((_, uuid),) = pings_of(await socket.listen(begun_s + 31))
        heard = await socket.listen(answer=False)
        assert [again for _, again in pings_of(heard)] == [uuid]
        assert heard[-1].frame.close_code == 1001
        assert fake.rules_broken == ["pong.missing"]


async def test_websockets_hears_one_uuid_all_the_time() -> None:
    def client(served: Served) -> list[str]:
        uuids: list[str] = []
        with with_websockets(served) as socket:
            while len(uuids) < 3:
                for uuid in ping_uuids(str(socket.recv(timeout=5)).encode()):
                    uuids.append(uuid)
                    socket.send(f"pong {uuid}")
        return uuids

    async with on_loopback("ping-repeated", ping_interval_s=0.1) as served:
        uuids = await served.ask(client)
        assert served.rules_broken == []
    assert len(set(uuids)) == 1


def test_bytes_of_other_messages_are_never_touched() -> None:
    quoting = texts(b'{"events":[{"name":"a-1"},{"name": "b"}]}')
    assert sent(steps_of(line_of("ping-repeated"), [ping("a-1"), *quoting])) == sent(
        [ping("a-1"), *quoting]
    )


@pytest.mark.parametrize("live", [True, False])
def test_spacing_and_order_of_a_ping_are_kept(live: bool) -> None:
    payload = b'{ "status" : [ {"type":"PING" , "message": "b",  "n": 1.10} ] }'
    spaced = Send(data=texts(payload)[0].data, ping="b" if live else None)
    step = steps_of(line_of("ping-repeated"), [ping("a-1"), spaced])[1]
    assert isinstance(step, Send)
    assert step.data[2:] == payload.replace(b'"b"', b'"a-1"')
    assert step.ping == ("a-1" if live else None)
