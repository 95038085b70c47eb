"""Cues, and pure transforms of their streams: loop, merge, start in the middle.

A cue is what a server shall put on one socket, and when. Streams of cues are plain iterators in the
order of ``at_ns``, so that an endless fleet and a recording play through the same code.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

import msgspec

__all__ = ["Cue", "CueKind", "looped", "may_begin_with", "merged", "whole_messages", "without"]

CueKind = Literal["data", "ping", "timeout", "control", "close", "torn"]
"""``data``, a frame of a message; ``ping``, of a PING message; ``timeout``, of the
``webSessionTimeout``; ``control``, a ping or pong frame; ``close``, a close frame; ``torn``, bytes
that no frame could be made of, or a frame of a message that has no end: nothing can follow it.
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


def looped(
    cues: Callable[[int], Iterable[Cue]], left_out: frozenset[CueKind] = frozenset()
) -> Iterator[Cue]:
    """The cues but those of some kinds, again and again.

    ``cues`` is called for each round with how much later than the first it begins, in nanoseconds.
    Each round begins when the one before had its last cue, of whatever kind, at least a second
    after its own beginning. Ends if a round has nothing to play.
    """
    start_ns = 0
    while True:
        last_ns = 0
        played = False
        for cue in cues(start_ns):
            last_ns = cue.at_ns
            if cue.kind not in left_out:
                played = True
                yield msgspec.structs.replace(cue, at_ns=start_ns + cue.at_ns)
        if not played:
            return
        start_ns += max(last_ns, _SHORTEST_LOOP_NS)


def whole_messages(cues: Iterable[Cue]) -> Iterator[Cue]:
    """The same with the fragments of each message as one cue, due when its last one is.

    For streams that are to be merged or joined late: the fragments of one message must not be
    interleaved with another message (RFC 6455 section 5.4).
    """
    fragments: list[bytes] = []
    for cue in cues:
        if cue.kind in ("control", "close"):
            yield cue
            continue
        fragments.append(cue.data)
        if cue.message is not None or cue.kind == "torn":
            data = b"".join(fragments) if len(fragments) > 1 else cue.data
            yield msgspec.structs.replace(cue, data=data)
            fragments.clear()


def merged(streams: Iterable[Iterable[Cue]]) -> Iterator[Cue]:
    """Several streams as one, by ``at_ns``; of cues due at once those of the earlier stream come
    first.
    """
    counted = (zip(stream, itertools.repeat(number)) for number, stream in enumerate(streams))
    return (cue for cue, _ in heapq.merge(*counted, key=lambda pair: (pair[0].at_ns, pair[1])))


def without(cues: Iterable[Cue], kinds: frozenset[CueKind]) -> Iterator[Cue]:
    """The cues of other kinds."""
    return (cue for cue in cues if cue.kind not in kinds)


def may_begin_with(cue: Cue, position_ns: int) -> bool:
    """Whether a playback that begins at ``position_ns`` begins with this cue: it is not earlier,
    and not within a message.
    """
    return cue.at_ns >= position_ns and not (cue.kind != "torn" and cue.data[0] & 0x0F == 0)
