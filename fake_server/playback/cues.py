"""Which cues of a source are played, and from where."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import trio

from fake_server.playback.stage import Playback
from recorder.wire.frames import CloseCode, close_frame
from replayer.playing.timeline import Cue, CueKind, looped, may_begin_with, without
from replayer.state import State

__all__ = ["END_OF_RECORDING", "cues_to_play", "kinds_left_out", "skip_to"]

END_OF_RECORDING: Final = close_frame(CloseCode.NORMAL, "end of the recording").serialize()
"""What closes a socket behind the last cue, where none of the recording did."""

_CUES_BETWEEN_BREATHS: Final = 512
"""So many cues are skipped before others may run again."""


def cues_to_play(
    settings: Playback,
    cues: Callable[[int], Iterable[Cue]],
    *,
    with_timeout: bool,
    with_close: bool,
) -> Iterator[Cue]:
    """The cues that these settings do not leave out; endless where they say ``loop``.

    ``cues`` is called for each round with how much later than the first it begins, in nanoseconds.
    ``with_timeout``, ``with_close``: whether a recorded ``webSessionTimeout`` and close frames are
    among them.
    """
    kinds = kinds_left_out(settings, with_timeout=with_timeout, with_close=with_close)
    return looped(cues, kinds) if settings.at_end == "loop" else iter(without(cues(0), kinds))


def kinds_left_out(
    settings: Playback, *, with_timeout: bool, with_close: bool = False
) -> frozenset[CueKind]:
    """What is not played under these settings."""
    left_out: set[CueKind] = set()
    if settings.pings == "live":
        left_out.add("ping")
    if not with_timeout:
        left_out.add("timeout")
    if not with_close:
        left_out.add("close")
    if settings.at_end != "close":
        # What comes behind, a PING at least, would be read as the rest of it.
        left_out.add("torn")
    return frozenset(left_out)


async def skip_to(cues: Iterable[Cue], position_ns: int, *states: State) -> Iterator[Cue]:
    """The cues from a position on, not beginning within a message; the states learn what is
    skipped. Others run meanwhile.
    """
    rest = iter(cues)
    for number, cue in enumerate(rest, 1):
        if may_begin_with(cue, position_ns):
            return itertools.chain([cue], rest)
        if cue.message is not None and cue.text:
            for state in states:
                state.apply(cue.message)
        if number % _CUES_BETWEEN_BREATHS == 0:
            await trio.lowlevel.checkpoint()
    return iter(())
