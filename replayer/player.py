"""Hands out cues when they are due."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import trio

from replayer.timeline import Cue

__all__ = ["play"]


async def play(
    cues: Iterable[Cue], perform: Callable[[Cue], Awaitable[None]], *, begun_s: float | None = None
) -> None:
    """Call ``perform(cue)`` for each cue at ``begun_s`` (a moment of trio's clock; now, if None)
    plus its ``at_ns``.

    A cue whose moment has passed is performed at once, and none is left out: playback that was held
    up catches up. What ``perform`` raises passes through.
    """
    start_s = trio.current_time() if begun_s is None else begun_s
    for cue in cues:
        due_s = start_s + cue.at_ns / 1e9
        if due_s > trio.current_time():
            await trio.sleep_until(due_s)
        await perform(cue)
