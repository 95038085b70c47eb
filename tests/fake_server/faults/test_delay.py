"""The fault ``delay``."""

from __future__ import annotations

import time

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.faults import parse_injection
from fake_server.faults.base import Send
from recorder.wire.frames import Frame, Opcode
from tests.fake_server.faults.support import (
    THREE,
    Served,
    injections,
    line_of,
    on_loopback,
    sent,
    steps_of,
    texts,
    with_websockets,
)
from tests.fake_server.support import TIMEOUT, data_of, quiet, serving, text
from tests.profiles import examples


def test_each_message_is_so_much_later_and_its_bytes_are_the_same() -> None:
    sends = texts(*THREE)
    steps = steps_of(line_of("delay:delay_s=0.5"), sends)
    assert [step.delay_s for step in steps] == [0.5] * 3
    assert sent(steps) == sent(sends)


@given(st.integers(), st.floats(0, 10), st.floats(0, 10))
@settings(max_examples=examples(100))
def test_jitter_adds_up_to_so_much_by_the_seed(seed: int, delay_s: float, jitter_s: float) -> None:
    fault = {"fault": "delay", "delay_s": delay_s, "jitter_s": jitter_s}
    steps, again = (steps_of(line_of(fault, seed=seed), texts(*THREE)) for _ in range(2))
    assert steps == again
    assert all(delay_s <= step.delay_s <= delay_s + jitter_s for step in steps)


def test_jitter_is_not_the_same_each_time() -> None:
    steps = steps_of(line_of("delay:delay_s=0,jitter_s=1"), texts(*THREE))
    assert len({step.delay_s for step in steps}) == 3


def test_control_frames_are_not_late_by_themselves() -> None:
    control = Send(data=Frame.make(Opcode.PONG, b"x").serialize())
    assert steps_of(line_of("delay"), [control]) == [control]


def test_several_add_up() -> None:
    steps = steps_of(line_of("delay:delay_s=1", "delay:delay_s=0.5"), texts(*THREE))
    assert [step.delay_s for step in steps] == [1.5] * 3


def test_all_chunks_of_a_message_of_the_kind_are_late() -> None:
    line = line_of("chunking:size_bytes=20,pause_s=0.1", "delay:delay_s=2,kinds=positions")
    devices, positions = (steps_of(line, texts(payload)) for payload in THREE[:2])
    assert [(step.delay_s, step.pause_s) for step in devices[:2]] == [(0, 0), (0, 0.1)]
    assert [(step.delay_s, step.pause_s) for step in positions[:2]] == [(2, 0), (2, 0.1)]


async def test_messages_come_later_in_their_order(
    autojump_clock: trio.testing.MockClock,
) -> None:
    faults = injections(["delay:delay_s=5,kinds=devices"])
    async with serving(quiet(*THREE), faults=faults) as fake:
        socket = await fake.socket()
        begun_s = trio.current_time()
        heard = await socket.listen(begun_s + 20)
    # What stands behind the late one waits for it.
    assert data_of(heard) == [
        (begun_s, text(TIMEOUT)),
        *((begun_s + 5, text(payload)) for payload in THREE),
    ]


async def test_websockets_waits_for_what_is_late() -> None:
    def client(served: Served) -> float:
        begun_s = time.monotonic()
        with with_websockets(served) as socket:
            assert socket.recv(timeout=10) == THREE[0].decode()
        return time.monotonic() - begun_s

    async with on_loopback("delay:delay_s=0.2", session_timeout_shown="never") as served:
        assert await served.ask(client) >= 0.2


async def test_a_deadline_of_websockets_passes_before_what_is_too_late() -> None:
    def client(served: Served) -> None:
        with with_websockets(served) as socket, pytest.raises(TimeoutError):
            socket.recv(timeout=0.05)

    async with on_loopback("delay:delay_s=60", session_timeout_shown="never") as served:
        await served.ask(client)


@pytest.mark.parametrize("field", ["delay_s=-1", "delay_s=nan", "jitter_s=-0.1", "jitter_s=inf"])
def test_impossible_values_are_named(field: str) -> None:
    with pytest.raises(ValueError, match=f"delay: {field[:5]}.*expected seconds"):
        parse_injection(f"delay:{field}")
