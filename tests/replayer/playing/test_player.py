"""Cues are handed out when they are due."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from replayer.playing.clock import PlaybackClock
from replayer.playing.player import play
from replayer.playing.timeline import Cue
from tests.profiles import examples

S = 1_000_000_000


def cues(*at_s: float) -> list[Cue]:
    return [Cue(round(at * S), "data", b"%d" % number) for number, at in enumerate(at_s)]


@settings(max_examples=examples(150))
@given(
    st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 20)), max_size=10),
    st.integers(-100, 100) | st.none(),
)
def test_each_is_performed_when_it_is_due_or_as_soon_as_the_one_before_is_done(
    spoken: list[tuple[int, int]], begun_s: int | None
) -> None:
    spoken.sort(key=lambda pair: pair[0])

    async def main() -> None:
        await trio.sleep(100)
        start_s = 100 if begun_s is None else 100 + begun_s
        performed: list[tuple[float, bytes]] = []
        busy_s = iter([busy for _, busy in spoken])

        async def perform(cue: Cue) -> None:
            performed.append((trio.current_time(), cue.data))
            await trio.sleep(next(busy_s))

        made = [Cue(at_ns, "data", b"%d" % n) for n, (at_ns, _) in enumerate(spoken)]
        await play(made, perform, PlaybackClock(position_ns=round((100 - start_s) * S)))
        assert [data for _, data in performed] == [one.data for one in made]
        free_s = 100.0
        for (at_s, _), (at_ns, busy) in zip(performed, spoken, strict=True):
            assert at_s == pytest.approx(max(start_s + at_ns / S, free_s), abs=1e-6)
            free_s = at_s + busy

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_what_perform_raises_passes_through(autojump_clock: trio.testing.MockClock) -> None:
    async def perform(cue: Cue) -> None:
        raise LookupError(cue.data)

    with pytest.raises(LookupError):
        await play(cues(5, 6), perform, PlaybackClock())
    assert trio.current_time() == 5


async def test_an_endless_stream_is_taken_as_it_is_due(
    autojump_clock: trio.testing.MockClock,
) -> None:
    taken: list[int] = []

    def endless() -> Iterator[Cue]:
        for second in itertools.count():
            taken.append(second)
            yield Cue(second * S, "data", b"")

    performed: list[float] = []

    async def perform(cue: Cue) -> None:
        performed.append(trio.current_time())

    with trio.move_on_after(3.5):
        await play(endless(), perform, PlaybackClock())
    assert performed == [0, 1, 2, 3]
    assert taken == [0, 1, 2, 3, 4]


async def test_playback_that_is_left_ends_where_it_may(
    autojump_clock: trio.testing.MockClock,
) -> None:
    performed: list[bytes] = []
    clock = PlaybackClock()

    async def perform(cue: Cue) -> None:
        performed.append(cue.data)
        if cue.data == b"1":
            clock.leave()

    assert not await play(
        cues(1, 2, 3, 4, 5), perform, clock, may_stop=lambda: performed[-1] == b"3"
    )
    # The rest of what could not be left goes out at once.
    assert (performed, trio.current_time()) == ([b"0", b"1", b"2", b"3"], 2)
    assert await play(cues(0), perform, PlaybackClock())


async def test_nothing_to_play_is_done_at_once(autojump_clock: trio.testing.MockClock) -> None:
    async def perform(cue: Cue) -> None:
        raise AssertionError

    await play([], perform, PlaybackClock())
    assert trio.current_time() == 0
