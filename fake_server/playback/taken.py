"""Which recorded messages were sent to somebody, and which never were. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from replayer.playing.timeline import Cue, CueKind

__all__ = ["Place", "Taken", "Untaken"]

Untaken: TypeAlias = tuple[int, int, bytes]
"""A message that was never sent: the number of its recorded socket from 1, or 0 where recorded
sockets are played as one; ``at_ns``; its payload."""


class Place:
    """Where one playback stands in a stream of cues: at message ``number``, from 0; -1 before the
    first.
    """

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = -1

    def over(self, cues: Iterable[Cue]) -> Iterator[Cue]:
        """The same cues, from the start; the number is of the latest that was asked for."""
        self.number = -1
        for cue in cues:
            if cue.message is not None:
                self.number += 1
            yield cue


class Taken:
    """The messages of one stream of cues that were sent; a byte each."""

    __slots__ = ("_marks",)

    def __init__(self) -> None:
        self._marks = bytearray()

    def add(self, number: int) -> None:
        """The message of that number, from 0, was sent."""
        while len(self._marks) <= number:
            self._marks.append(0)
        self._marks[number] = 1

    def missing(
        self, cues: Iterable[Cue], left_out: frozenset[CueKind], *, socket: int
    ) -> Iterator[Untaken]:
        """The messages of ``cues``, the same stream from its start, that were not sent, but for
        those of kinds that are not played; ``socket`` is told with each. Ends if the cues do.
        """
        place = Place()
        for cue in place.over(cues):
            if cue.message is None or cue.kind in left_out:
                continue
            if place.number >= len(self._marks) or not self._marks[place.number]:
                yield socket, cue.at_ns, cue.message
