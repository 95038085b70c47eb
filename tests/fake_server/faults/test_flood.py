"""The fault ``flood``."""

from __future__ import annotations

import json

import pytest
import trio
import trio.testing

from fake_server.faults import parse_injection
from fake_server.faults.base import Send
from recorder.wire.frames import Frame, Opcode
from tests.fake_server.faults.support import (
    THREE,
    Served,
    injections,
    line_of,
    on_loopback,
    payloads_of,
    ping,
    sent,
    steps_of,
    texts,
    with_websockets,
)
from tests.fake_server.support import (
    MOVED,
    POSITION,
    TIMEOUT,
    data_of,
    handshake,
    quiet,
    serving,
    text,
)


def test_the_last_message_comes_once_more_so_often_at_its_pace() -> None:
    line = line_of("flood:messages=3,messages_per_s=10,after=2")
    first, last, following = texts(*THREE)
    steps = steps_of(line, [first, last, following])
    assert steps[:2] == [first, last]
    assert steps[2:] == [*(Send(data=last.data, delay_s=at / 10) for at in range(3)), following]


@pytest.mark.parametrize("size_bytes", [16, 125, 126, 1024, 70_000])
def test_or_messages_of_a_size_which_say_nothing_new(size_bytes: int) -> None:
    line = line_of(f"flood:messages=2,size_bytes={size_bytes}")
    payloads = payloads_of(sent(steps_of(line, texts(POSITION))))
    assert [len(payload) for payload in payloads] == [size_bytes] * 2 + [len(POSITION)]
    assert [json.loads(payload) for payload in payloads[:2]] == [{"positions": []}] * 2


def test_nothing_that_was_said_is_an_empty_object() -> None:
    steps = steps_of(line_of("flood:messages=2"), texts(POSITION))
    assert payloads_of(sent(steps)) == [b"{}", b"{}", POSITION]


@pytest.mark.parametrize("live", [True, False])
def test_neither_pings_nor_control_frames_nor_fragments_come_again(live: bool) -> None:
    others = [
        Send(data=Frame.make(Opcode.PONG, b"x").serialize()),
        Send(data=Frame.make(Opcode.TEXT, b"{", fin=False).serialize()),
        Send(data=Frame.make(Opcode.CONTINUATION, b"}").serialize()),
        ping("some-uuid", live=live),
    ]
    line = line_of("flood:messages=1,at_s=5")
    steps_of(line, [*texts(POSITION), *others])
    assert payloads_of(sent(line.tick(5.0))) == [POSITION]


def test_it_divides_no_fragmented_message() -> None:
    line = line_of("flood:messages=1,after=1", "fragmentation:pieces=2")
    flooded = payloads_of(sent(steps_of(line, texts(b"ab", b"cd"))))
    assert flooded == [b"a", b"b", b"ab", b"c", b"d"]
    recorded = [
        Send(data=Frame.make(Opcode.TEXT, b"1", fin=False).serialize()),
        Send(data=Frame.make(Opcode.CONTINUATION, b"2").serialize()),
        *texts(b"3"),
    ]
    line = line_of("flood:messages=1,after=1")
    assert payloads_of(sent(steps_of(line, recorded))) == [b"1", b"2", b"{}", b"3"]


def test_all_together_are_bounded() -> None:
    line = line_of("flood:messages=1000000,size_bytes=1000000")
    steps = steps_of(line, texts(POSITION))[:-1]
    assert 30e6 < sum(len(step.data) for step in steps if isinstance(step, Send)) <= 2**25


async def test_a_second_of_flood_and_what_is_behind_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    faults = injections(["flood:messages=10,messages_per_s=10,after=2"])
    async with serving(quiet(POSITION, MOVED), faults=faults) as fake:
        socket = await fake.socket()
        begun_s = trio.current_time()
        heard = await socket.listen(begun_s + 20)
        assert [(round(at_s - begun_s, 6), data) for at_s, data in data_of(heard)] == [
            (0, text(TIMEOUT)),
            (0, text(POSITION)),
            *((number / 10, text(POSITION)) for number in range(10)),
            (0.9, text(MOVED)),
        ]
        assert fake.rules_broken == []


async def test_websockets_hears_every_one() -> None:
    def client(served: Served) -> list[str | bytes]:
        with with_websockets(served) as socket:
            return [socket.recv(timeout=5) for _ in range(2003)]

    fault = "flood:messages=2000,size_bytes=1000,messages_per_s=100000,after=1"
    async with on_loopback(fault, session_timeout_shown="never") as served:
        heard = await served.ask(client)
        assert served.rules_broken == []
    assert [heard[0], *heard[-2:]] == [payload.decode() for payload in THREE]
    assert {len(message) for message in heard[1:-2]} == {1000}


async def test_a_client_that_does_not_read_is_closed_and_reported() -> None:
    fault = "flood:messages=1000000,size_bytes=1000000,messages_per_s=1e6"
    async with on_loopback(fault) as served:
        with trio.fail_after(20):
            async with await trio.open_tcp_stream("127.0.0.1", served.port) as stream:
                await stream.send_all(handshake(served.cookie))
                await stream.receive_some(1)
                await trio.testing.wait_all_tasks_blocked()
                for socket in served.server.hub.sockets:
                    await socket.ended()
        assert served.rules_broken == ["socket.too-slow"]


@pytest.mark.parametrize(
    "field", ["messages=0", "size_bytes=15", "size_bytes=99999999", "messages_per_s=0"]
)
def test_impossible_values_are_named(field: str) -> None:
    with pytest.raises(ValueError, match=f"flood: {field.partition('=')[0]} = "):
        parse_injection(f"flood:{field}")
