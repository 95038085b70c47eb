"""Where a playback stands, whatever was done to it, and when it reaches a cue."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from replayer.playing.clock import PlaybackClock
from tests.profiles import examples

SPEEDS = st.sampled_from([0.25, 0.5, 1.0, 1.5, 3.0, 10.0])

Act: TypeAlias = tuple[float, Literal["pause", "resume"] | float]
"""Wait so many seconds, then do this; a number is a speed."""

ACTS = st.lists(
    st.tuples(
        st.integers(0, 64).map(lambda sixteenths: sixteenths / 16),
        st.sampled_from(["pause", "resume"]) | SPEEDS,
    ),
    max_size=12,
)


def ns(at_s: float) -> int:
    return round(at_s * 1e9)


def do(clock: PlaybackClock, act: str | float) -> None:
    match act:
        case "pause":
            clock.pause()
        case "resume":
            clock.resume()
        case float():
            clock.set_speed(act)


class Integral:
    """The position by its definition: the integral of the speed, which is 0 while paused."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.is_paused = False
        self.position_s = 0.0

    def wait(self, wait_s: float) -> None:
        self.position_s += 0.0 if self.is_paused else wait_s * self.speed

    def do(self, act: str | float) -> None:
        if isinstance(act, float):
            self.speed = act
        else:
            self.is_paused = act == "pause"


def reached_s(speed: float, acts: list[Act], target_s: float) -> float:
    """When the integral of the speed is `target_s`; infinity for never."""
    integral = Integral(speed)
    now_s = 0.0
    for wait_s, act in [*acts, (math.inf, 1.0)]:
        rate = 0.0 if integral.is_paused else integral.speed
        left_s = target_s - integral.position_s
        if left_s <= 0 or (rate and left_s / rate <= wait_s):
            return now_s + max(left_s, 0.0) / (rate or 1.0)
        if wait_s == math.inf:
            return math.inf
        now_s += wait_s
        integral.wait(wait_s)
        integral.do(act)
    raise AssertionError


@settings(max_examples=examples(100))
@given(SPEEDS, ACTS)
def test_the_position_is_the_integral_of_the_speed_and_never_goes_back(
    speed: float, acts: list[Act]
) -> None:
    async def run() -> None:
        clock, integral, before_ns = PlaybackClock(speed), Integral(speed), 0
        for wait_s, act in acts:
            await trio.sleep(wait_s)
            integral.wait(wait_s)
            for done in (lambda: None, lambda act=act: do(clock, act)):
                done()
                assert clock.position_ns == pytest.approx(ns(integral.position_s), abs=len(acts))
                assert clock.position_ns >= before_ns
                before_ns = clock.position_ns
            integral.do(act)

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


@settings(max_examples=examples(100))
@given(SPEEDS, ACTS, st.integers(0, 400).map(lambda eighths: eighths / 8))
def test_reach_returns_at_the_very_moment_that_the_integral_of_the_speed_gives(
    speed: float, acts: list[Act], target_s: float
) -> None:
    async def run() -> None:
        clock = PlaybackClock(speed)
        expected_s = reached_s(speed, acts, target_s)
        returned_s = math.inf

        async def steer() -> None:
            for wait_s, act in acts:
                await trio.sleep(wait_s)
                do(clock, act)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(steer)
            with trio.move_on_at(1000):
                assert await clock.reach(ns(target_s))
                returned_s = trio.current_time()
        # What a task does at the very moment of a pause is done before it or after it.
        at_a_pause = any(
            act == "pause" and expected_s == pytest.approx(sum(w for w, _ in acts[: number + 1]))
            for number, (_, act) in enumerate(acts)
        )
        if not at_a_pause:
            assert returned_s == pytest.approx(expected_s, abs=1e-7)

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


@settings(max_examples=examples(50))
@given(st.lists(st.integers(0, 50), min_size=1, max_size=10).map(sorted), st.integers(1, 12))
def test_while_paused_as_many_cues_pass_as_steps_were_given_and_the_position_is_that_of_the_last(
    dues_s: list[int], steps: int
) -> None:
    async def run() -> None:
        clock = PlaybackClock(paused=True)
        passed: list[int] = []

        async def wait() -> None:
            for due_s in dues_s:
                await clock.reach(ns(due_s))
                passed.append(due_s)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.sleep(100)
            assert (passed, clock.position_ns) == ([], 0)
            clock.step(steps)
            await trio.sleep(100)
            assert passed == dues_s[:steps]
            assert clock.position_ns == ns(passed[-1])
            nursery.cancel_scope.cancel()

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_steps_that_no_cue_took_are_forgotten_when_playback_goes_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    clock = PlaybackClock(paused=True)
    clock.step(3)
    clock.resume()
    clock.pause()
    with trio.move_on_after(10) as patience:
        await clock.reach(ns(1))
    assert patience.cancelled_caught


async def test_a_step_while_it_runs_lets_nothing_pass(
    autojump_clock: trio.testing.MockClock,
) -> None:
    clock = PlaybackClock()
    clock.step(1)
    assert await clock.reach(ns(5))
    assert trio.current_time() == 5


async def test_at_infinite_speed_all_is_due_at_once_and_the_position_is_that_of_the_latest_cue(
    autojump_clock: trio.testing.MockClock,
) -> None:
    clock = PlaybackClock(math.inf)
    for at_s in (0, 7, 9000):
        assert await clock.reach(ns(at_s))
        assert clock.position_ns == ns(at_s)
    assert trio.current_time() == 0


async def test_from_infinite_speed_it_goes_on_where_the_latest_cue_was(
    autojump_clock: trio.testing.MockClock,
) -> None:
    clock = PlaybackClock(math.inf)
    await clock.reach(ns(100))
    await trio.sleep(50)
    clock.set_speed(2)
    await clock.reach(ns(110))
    assert trio.current_time() == 55


async def test_a_cue_that_is_waited_for_is_due_at_once_when_the_speed_becomes_infinite(
    autojump_clock: trio.testing.MockClock,
) -> None:
    clock = PlaybackClock()

    async def hurry() -> None:
        await trio.sleep(3)
        clock.set_speed(math.inf)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hurry)
        assert await clock.reach(ns(1000))
    assert trio.current_time() == 3
    assert clock.position_ns == ns(1000)


async def test_who_waits_on_a_clock_that_is_left_is_told_so_and_so_is_who_comes_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    clock = PlaybackClock()

    async def leave() -> None:
        await trio.sleep(3)
        clock.leave()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(leave)
        assert not await clock.reach(ns(1000))
    assert trio.current_time() == 3
    assert not await clock.reach(0)


async def test_it_may_begin_anywhere_and_paused(autojump_clock: trio.testing.MockClock) -> None:
    clock = PlaybackClock(2, position_ns=ns(10), paused=True)
    await trio.sleep(100)
    assert clock.position_ns == ns(10)
    assert clock.due_s(ns(11)) == math.inf
    clock.resume()
    assert clock.due_s(ns(11)) == 100.5
    await clock.reach(ns(11))
    assert trio.current_time() == 100.5
