"""Cues, and pure transforms of their streams: speed, loop, merge.

A cue is what a server shall put on one socket, and when. Streams of cues are plain iterators in the
order of ``at_ns``, so that an endless fleet and a recording play through the same code.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

import msgspec

__all__ = ["Cue", "CueKind", "at_speed", "looped", "merged", "without"]

CueKind = Literal["data", "ping", "timeout", "control", "close", "bytes"]
"""``data``, a frame of a message; ``ping``, of a PING message; ``timeout``, of the
``webSessionTimeout``; ``control``, a ping or pong frame; ``close``, a close frame; ``bytes``, what
no frame could be made of.
"""

_SHORTEST_LOOP_NS: Final = 1_000_000_000
"""A loop of a recording without timing begins again after a second, not at once."""


class Cue(msgspec.Struct, frozen=True, gc=False):
    """``data`` is due ``at_ns`` after playback began: one frame as it stands on the wire.

    ``message`` is the payload of the message that this frame completes, if it completes one;
    ``text`` whether that message is text.
    """

    at_ns: int
    kind: CueKind
    data: bytes
    message: bytes | None = None
    text: bool = True


def at_speed(cues: Iterable[Cue], speed: float) -> Iterator[Cue]:
    """The cues at ``speed`` times the recorded pace; infinity makes all of them due at once."""
    if speed == 1.0:
        return iter(cues)
    return (msgspec.structs.replace(cue, at_ns=int(cue.at_ns / speed)) for cue in cues)


def looped(cues: Callable[[], Iterable[Cue]]) -> Iterator[Cue]:
    """The cues again and again; each round begins when the one before had its last cue, at least a
    second after its own beginning. Ends if a round has no cue.
    """
    start_ns = 0
    while True:
        last_ns: int | None = None
        for cue in cues():
            last_ns = cue.at_ns
            yield msgspec.structs.replace(cue, at_ns=start_ns + cue.at_ns) if start_ns else cue
        if last_ns is None:
            return
        start_ns += max(last_ns, _SHORTEST_LOOP_NS)


def merged(streams: Iterable[Iterable[Cue]]) -> Iterator[Cue]:
    """Several streams as one, by ``at_ns``; of cues due at once those of the earlier stream come
    first.
    """
    counted = (zip(stream, itertools.repeat(number)) for number, stream in enumerate(streams))
    return (cue for cue, _ in heapq.merge(*counted, key=lambda pair: (pair[0].at_ns, pair[1])))


def without(cues: Iterable[Cue], kinds: frozenset[CueKind]) -> Iterator[Cue]:
    """The cues of other kinds."""
    return (cue for cue in cues if cue.kind not in kinds)
