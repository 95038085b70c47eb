"""The fault ``reorder``."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.faults import parse_injection
from fake_server.faults.base import Send
from fake_server.playback import Playback
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
from tests.fake_server.support import (
    DEVICES,
    MOVED,
    POSITION,
    pings_of,
    quiet,
    serving,
)
from tests.profiles import examples

FIVE = (b"a", b"b", b"c", b"d", b"e")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("reorder", b"badc"),
        ("reorder:by=2", b"bcae"),
        ("reorder:count=1", b"bacde"),
        ("reorder:count=1,after=1,by=3", b"acdeb"),
    ],
)
def test_one_message_comes_behind_so_many_others(fault: str, expected: bytes) -> None:
    assert b"".join(payloads_of(sent(steps_of(line_of(fault), texts(*FIVE))))) == expected


def test_others_of_any_kind_pass_it() -> None:
    steps = steps_of(line_of("reorder:kinds=devices"), texts(*THREE))
    assert payloads_of(sent(steps)) == [POSITION, DEVICES, MOVED]


def test_it_does_not_come_between_the_fragments_of_another() -> None:
    (held,) = texts(DEVICES)
    frames = [
        Frame.make(Opcode.TEXT, b"{", fin=False),
        Frame.make(Opcode.PING),
        Frame.make(Opcode.CONTINUATION, b"}"),
    ]
    sends = [Send(data=frame.serialize()) for frame in frames]
    assert steps_of(line_of("reorder"), [held, *sends]) == [*sends, held]


def test_fragments_are_not_held_back() -> None:
    frames = [Frame.make(Opcode.TEXT, b"{", fin=False), Frame.make(Opcode.CONTINUATION, b"}")]
    sends = [Send(data=frame.serialize()) for frame in frames]
    assert steps_of(line_of("reorder"), sends) == sends


def test_what_is_held_back_goes_out_before_a_close_frame_or_without_the_fault() -> None:
    (held,) = texts(DEVICES)
    close = Send(data=Frame.make(Opcode.CLOSE).serialize())
    assert steps_of(line_of("reorder"), [held, close]) == [held, close]
    line = line_of("reorder")
    assert steps_of(line, [held]) == []
    assert line.set({}) == [held]
    assert line.set({}) == []


@given(
    st.lists(st.sampled_from(FIVE), max_size=12),
    st.integers(1, 4),
    st.integers(0, 5),
    st.integers(0, 99),
)
@settings(max_examples=examples(100))
def test_nothing_is_lost_and_nothing_is_late_by_more(
    letters: list[bytes], by: int, count: int, seed: int
) -> None:
    says = [b"%s%d" % (letter, place) for place, letter in enumerate(letters)]
    line = line_of(f"reorder:by={by},count={count},probability=0.5", seed=seed)
    heard = payloads_of(sent([*steps_of(line, texts(*says)), *line.set({})]))
    assert sorted(heard) == sorted(says)
    assert all(heard.index(said) - place <= by for place, said in enumerate(says))


async def test_a_ping_counts_from_when_it_goes_out(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(), faults=injections(["reorder:kinds=PING"])) as fake:
        begun_s = trio.current_time()
        heard = await (await fake.socket()).listen(begun_s + 130)
        # The first goes out behind the second, at 60 s, the third behind the fourth.
        assert [at_s - begun_s for at_s, _ in pings_of(heard)] == pytest.approx([60, 60, 120, 120])
        assert fake.rules_broken == []


async def test_what_is_held_back_goes_out_before_the_server_closes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    faults = injections(["reorder:kinds=positions,by=9"])
    playback = Playback(at_end="close")
    async with serving(quiet(*THREE[:2]), faults=faults, playback=playback) as fake:
        heard = await (await fake.socket()).listen()
    assert [one.frame.payload for one in heard[1:3]] == [*THREE[:2]]
    assert heard[-1].frame.opcode == Opcode.CLOSE


async def test_websockets_hears_a_position_before_its_device() -> None:
    def client(served: Served) -> list[bytes]:
        with with_websockets(served) as socket:
            return hear(socket, 3)

    fault = "reorder:kinds=devices"
    async with on_loopback(fault, session_timeout_shown="never") as served:
        assert await served.ask(client) == [POSITION, DEVICES, MOVED]


@pytest.mark.parametrize("values", ["by=0", "by=1001"])
def test_impossible_values_are_named(values: str) -> None:
    with pytest.raises(ValueError, match=f"reorder: .*{values.partition('=')[0]}"):
        parse_injection(f"reorder:{values}")
