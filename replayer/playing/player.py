"""Hands out cues when they are due."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from replayer.playing.clock import PlaybackClock
from replayer.playing.timeline import Cue

__all__ = ["play"]


async def play(
    cues: Iterable[Cue],
    perform: Callable[[Cue], Awaitable[None]],
    clock: PlaybackClock,
    *,
    may_stop: Callable[[], bool] = lambda: True,
) -> bool:
    """Call ``perform(cue)`` for each cue when ``clock`` reaches its ``at_ns``.

    A cue whose moment has passed is performed at once, and none is left out: playback that was held
    up catches up. When the clock is left, playback ends as soon as ``may_stop`` allows: not within
    a message. Returns whether the cues came to their end. What ``perform`` raises passes through.
    """
    for cue in cues:
        if not await clock.reach(cue.at_ns) and may_stop():
            return False
        await perform(cue)
    return True
