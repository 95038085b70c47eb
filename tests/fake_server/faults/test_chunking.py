"""The fault ``chunking``."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.faults import parse_injection
from fake_server.faults.base import Send
from recorder.track.rules import Rules
from tests.fake_server.faults.support import (
    THREE,
    Served,
    hear,
    injections,
    line_of,
    on_loopback,
    ping,
    sent,
    steps_of,
    texts,
    with_websockets,
)
from tests.fake_server.support import pings_of, quiet, serving, text
from tests.profiles import examples


def test_a_frame_comes_in_chunks_with_pauses_between() -> None:
    steps = steps_of(line_of("chunking:size_bytes=3,pause_s=0.5"), texts(b"abcde"))
    assert steps == [
        Send(data=b"\x81\x05a", whole=False),
        Send(data=b"bcd", whole=False, pause_s=0.5),
        Send(data=b"e", whole=False, pause_s=0.5),
    ]


@given(st.binary(max_size=300), st.integers(1, 310))
@settings(max_examples=examples(60))
def test_the_bytes_are_the_same(payload: bytes, size_bytes: int) -> None:
    (send,) = texts(payload)
    steps = steps_of(line_of(f"chunking:size_bytes={size_bytes}"), [send])
    assert sent(steps) == send.data
    assert len(steps) == -(-len(send.data) // size_bytes)


def test_a_frame_that_fits_one_chunk_is_left_whole() -> None:
    (send,) = texts(b"abcde")
    assert steps_of(line_of("chunking:size_bytes=7"), [send]) == [send]


def test_a_ping_is_sent_when_its_last_chunk_is() -> None:
    steps = steps_of(line_of("chunking:size_bytes=50"), [ping("u1")])
    assert [getattr(step, "ping", "") for step in steps] == [None, "u1"]


async def test_a_reader_sees_every_chunk_when_it_is_due(
    autojump_clock: trio.testing.MockClock,
) -> None:
    faults = injections(["chunking:size_bytes=20,pause_s=0.5"])
    rules = Rules(session_timeout_shown="never")
    async with serving(quiet(THREE[1]), faults=faults, rules=rules) as fake:
        socket = await fake.socket(lockstep=True)
        begun_s = trio.current_time()
        chunks = []
        for _ in range(3):
            data = bytes(await socket.stream.receive_some())
            chunks.append((trio.current_time() - begun_s, data))
    data = text(THREE[1])
    assert chunks == [(0, data[:20]), (0.5, data[20:40]), (1, data[40:])]


async def test_frames_that_are_sent_at_once_have_their_pauses_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    faults = injections(["chunking:size_bytes=40,pause_s=0.5"])
    rules = Rules(session_timeout_shown="never")
    async with serving(quiet(THREE[1], THREE[2]), faults=faults, rules=rules) as fake:
        socket = await fake.socket()
        begun_s = trio.current_time()
        heard = await socket.listen(begun_s + 10)
    assert [one.at_s - begun_s for one in heard] == [0.5, 1.0]


async def test_pings_in_chunks_are_answered_in_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    faults = injections(["chunking:size_bytes=1,pause_s=0.1"])
    async with serving(quiet(), faults=faults) as fake:
        begun_s = trio.current_time()
        heard = await (await fake.socket()).listen(begun_s + 100)
        size = len(ping("x" * 36).data)
        late_s = (size - 1) * 0.1
        expected = [30 + late_s, 60 + late_s, 90 + late_s]
        assert [at_s - begun_s for at_s, _ in pings_of(heard)] == pytest.approx(
            [at_s for at_s in expected if at_s <= 100]
        )
        assert fake.rules_broken == []


async def test_websockets_hears_whole_messages() -> None:
    def client(served: Served) -> list[bytes]:
        with with_websockets(served) as socket:
            return hear(socket, 3)

    fault = "chunking:size_bytes=7,pause_s=0.001"
    async with on_loopback(fault, session_timeout_shown="never") as served:
        assert await served.ask(client) == [*THREE]


@pytest.mark.parametrize("values", ["size_bytes=0", "pause_s=-1", "pause_s=nan", "pause_s=inf"])
def test_impossible_values_are_named(values: str) -> None:
    with pytest.raises(ValueError, match=f"chunking: .*{values.partition('=')[0]}"):
        parse_injection(f"chunking:{values}")
