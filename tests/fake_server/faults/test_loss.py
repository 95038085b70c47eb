"""The fault ``loss``."""

from __future__ import annotations

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.faults.base import Send
from recorder.wire.frames import Frame, Opcode
from tests.fake_server.faults.support import (
    THREE,
    Served,
    hear,
    injections,
    line_of,
    on_loopback,
    payloads_of,
    sent,
    steps_of,
    texts,
    with_websockets,
)
from tests.fake_server.support import DEVICES, MOVED, quiet, serving
from tests.profiles import examples


def test_a_message_does_not_come() -> None:
    steps = steps_of(line_of("loss:after=1,count=1"), texts(*THREE))
    assert payloads_of(sent(steps)) == [DEVICES, MOVED]


@given(st.lists(st.sampled_from(THREE), max_size=30), st.integers(0, 99))
@settings(max_examples=examples(60))
def test_of_what_is_left_the_order_is_kept(says: list[bytes], seed: int) -> None:
    heard = payloads_of(sent(steps_of(line_of("loss:probability=0.5", seed=seed), texts(*says))))
    rest = iter(says)
    assert all(payload in rest for payload in heard)


def test_about_so_many_are_lost_as_the_probability_says() -> None:
    steps = steps_of(line_of("loss:probability=0.25"), texts(*[DEVICES] * 1000))
    assert 700 < len(steps) < 800


def test_fragments_are_left_alone() -> None:
    frames = [Frame.make(Opcode.TEXT, b"{", fin=False), Frame.make(Opcode.CONTINUATION, b"}")]
    sends = [Send(data=frame.serialize()) for frame in frames]
    assert steps_of(line_of("loss"), sends) == sends


async def test_nobody_is_blamed_for_the_pong_to_a_lost_ping(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(), faults=injections(["loss:kinds=PING"])) as fake:
        heard = await (await fake.socket()).listen(trio.current_time() + 200)
        assert [one.frame.payload for one in heard] == [b'{"webSessionTimeout":[86400]}']
        assert fake.rules_broken == []


async def test_websockets_never_hears_of_it() -> None:
    def client(served: Served) -> list[bytes]:
        with with_websockets(served) as socket:
            return hear(socket, 2)

    fault = "loss:kinds=positions,count=1"
    async with on_loopback(fault, session_timeout_shown="never") as served:
        assert await served.ask(client) == [DEVICES, MOVED]
