"""The carrier: when steps are taken, in which order, and how much may wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from fake_server.faults import carrier
from fake_server.faults.base import Cut, Send, Stall, Step
from fake_server.faults.carrier import FaultCarrier
from tests.fake_server.faults.support import line_of, texts

Taken = list[tuple[float, Step]]


@asynccontextmanager
async def carrying(*faults: str) -> AsyncIterator[tuple[FaultCarrier, Taken]]:
    """A carrier, and what it took with the second at which it did."""
    taken: Taken = []
    began_s = trio.current_time()
    async with trio.open_nursery() as nursery:
        made = FaultCarrier(
            line_of(*faults),
            lambda step: taken.append((round(trio.current_time() - began_s, 6), step)),
            opened_s=began_s,
            start=lambda one: nursery.start_soon(one.run),
        )
        yield made, taken


def send(data: bytes, *, delay_s: float = 0.0, pause_s: float = 0.0) -> Send:
    return Send(data=data, delay_s=delay_s, pause_s=pause_s)


async def test_what_is_due_is_taken_at_once_and_needs_no_task(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with carrying() as (to, taken):
        for one in texts(b"1", b"2"):
            assert to.put(one)
        assert taken == [(0.0, one) for one in texts(b"1", b"2")]


async def test_nothing_overtakes_what_waits(autojump_clock: trio.testing.MockClock) -> None:
    steps = [send(b"late", delay_s=3), send(b"at once"), send(b"later", delay_s=5)]
    async with carrying() as (to, taken):
        to.add(steps)
        assert taken == []
    assert taken == list(zip((3.0, 3.0, 5.0), steps, strict=True))


async def test_what_is_due_and_was_not_taken_yet_is_not_overtaken_either(
    mock_clock: trio.testing.MockClock,
) -> None:
    steps = [send(b"late", delay_s=3), send(b"at once")]
    async with carrying() as (to, taken):
        to.add(steps[:1])
        mock_clock.jump(3)
        to.add(steps[1:])
    assert [step for _, step in taken] == steps


@pytest.mark.parametrize(("opened_s", "at_s"), [(93.9, 0.3), (651.6, 7.9)])
async def test_a_moment_comes_also_where_the_sum_is_rounded_down(
    opened_s: float, at_s: float, mock_clock: trio.testing.MockClock
) -> None:
    assert (opened_s + at_s) - opened_s < at_s
    mock_clock.jump(opened_s - trio.current_time())
    taken: Taken = []
    async with trio.open_nursery() as nursery:
        to = FaultCarrier(
            line_of(f"close:at_s={at_s}"),
            lambda step: taken.append((trio.current_time(), step)),
            opened_s=opened_s,
            start=lambda one: nursery.start_soon(one.run),
        )
        to.wake()
        mock_clock.jump(opened_s + at_s - trio.current_time())
        # A task that found it too early would wait for what has come already, over and over.
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert len(taken) == 1


async def test_a_pause_is_kept_from_what_stands_in_front(
    autojump_clock: trio.testing.MockClock,
) -> None:
    steps = [send(b"1", delay_s=1), send(b"2", pause_s=2), send(b"3", pause_s=2)]
    async with carrying() as (to, taken):
        to.add(steps)
        await trio.sleep(2)
        # Its own pause counts from the last of those that wait.
        to.add([send(b"4", pause_s=2)])
    assert [at_s for at_s, _ in taken] == [1.0, 3.0, 5.0, 7.0]


async def test_behind_a_stall_nothing_is_taken_whatever_waits(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with carrying() as (to, taken):
        to.add([send(b"before"), Stall(delay_s=1), send(b"behind"), Cut(how="fin", delay_s=9)])
        await trio.sleep(2)
        assert to.stalled
        assert all(to.put(one) for one in texts(b"x" * 1000) * 3)
        to.add([send(b"added")])
    assert taken == [(0.0, send(b"before"))]
    assert trio.current_time() < 9


async def test_more_than_may_wait_is_told_until_it_has_gone_out(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, another = texts(b"x" * 100, b"y" * 100)
    monkeypatch.setattr(carrier, "_MAX_WAITING_BYTES", 2 * len(one.data))
    async with carrying("delay:delay_s=5") as (to, taken):
        assert [to.put(each) for each in (one, another, one)] == [True, True, False]
        await trio.sleep(6)
        assert len(taken) == 3
        assert [to.put(each) for each in (another, one, another)] == [True, True, False]
    assert [at_s for at_s, _ in taken] == [5.0] * 3 + [11.0] * 3
