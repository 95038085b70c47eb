"""``edit merge``: several recordings in one, by what their wall clocks showed. Pure.

Connections and exchanges of the first keep their numbers, those of the next go on after them, and
so do the marks of redaction, which would else join what is not the same. Pieces of one recording
share theirs (:mod:`replayer.editing.strands`), and join where they were cut.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, Final

import msgspec

from recorder.checkpoint import SoFar
from recorder.latest import owner_of
from recorder.model import AnyEntry, Checkpoint, Clock, End, Note, Resume
from recorder.numbers import HIGHEST_KEY, Numbers
from recorder.sink import wall_clock_ns
from replayer.editing.moving import retimed
from replayer.editing.renumbering import renumbered
from replayer.editing.strands import Piece, Strand
from replayer.reading.checkpoints import read_checkpoint, without_connections
from replayer.state import OBJECT_KINDS

__all__ = ["Merging"]

_STEP_BACK_NS: Final = 1_000_000_000
"""A wall clock that went back by so much was set; what goes back less is the drift of clocks."""


class Merging:
    """The entries of all strands as one recording; for one pass.

    Of several recordings the wall clocks count: ``started_at`` and offset, and from each ``clock``
    on what that showed. Within one, nothing goes back: a clock that was set back by a second or
    more is told in :attr:`problems` and not followed, as otherwise all would stand still until
    then. Of one strand alone the times are exact, and no clock is asked.

    A note says where each recording begins, if there are several. Where one begins with a
    checkpoint, or was resumed, while others have connections open, a checkpoint of all stands
    instead. Memory: that of :class:`~recorder.checkpoint.SoFar` once. Raises what the pieces raise.
    """

    def __init__(self, strands: Sequence[Strand]) -> None:
        pieces = [piece for strand in strands for piece in strand.pieces]
        self.start_ns: Final = min(piece.start_ns for piece in pieces)
        """When the merged recording starts, nanoseconds since 1970."""
        self.problems: list[str] = []
        """What is wrong with the clocks, as far as they were read."""
        self._strands = strands
        self._alone = len(pieces) == 1
        self._so_far = SoFar()
        self._highest = Numbers()
        for strand in strands:
            for piece in strand.pieces:
                _raise_by(self._highest, strand.add, piece.numbers)

    def entries(self) -> Iterator[AnyEntry]:
        """The entries in their order, with one ``end``."""
        streams = [self._timed(number) for number in range(len(self._strands))]
        redaction: Counter[str] = Counter()
        begun: set[int] = set()
        ended_ns = 0
        for at_ns, number, piece, entry in heapq.merge(*streams, key=itemgetter(0)):
            ended_ns = at_ns
            if type(entry) is End:
                redaction.update(entry.redaction)
                continue
            is_first = id(piece) not in begun
            begun.add(id(piece))
            opens = isinstance(entry, Checkpoint)
            if is_first and not opens and not self._alone:
                yield self._note(piece, at_ns)
            for placed in self._placed(entry, at_ns, number, piece):
                if not self._alone:
                    self._so_far.feed(placed)
                yield placed
            if is_first and opens and not self._alone:
                yield self._note(piece, at_ns)
        yield End(offset_ns=ended_ns, entries=0, redaction=dict(redaction), sha256="")

    def _timed(self, number: int) -> Iterator[tuple[int, int, Piece, AnyEntry]]:
        """A strand's entries, each with its moment in the merged recording."""
        follows_clock = len(self._strands) > 1
        clock = _WallClock()
        latest_ns = 0
        for piece in self._strands[number].pieces:
            for entry in piece.entries():
                at_ns = piece.start_ns + (entry.offset_ns or 0)
                if follows_clock:
                    if isinstance(entry, Clock) and (back_ns := clock.take(entry, at_ns)):
                        self.problems.append(
                            f"{piece.name}: its wall clock was set back by {back_ns / 1e9:.3f} s at"
                            f" {(entry.offset_ns or 0) / 1e9:.3f} s; its entries keep their pace"
                        )
                    at_ns += clock.ahead_ns
                latest_ns = max(latest_ns, at_ns - self.start_ns)
                yield latest_ns, number, piece, entry

    def _placed(self, entry: AnyEntry, at_ns: int, number: int, piece: Piece) -> Iterator[AnyEntry]:
        """The entry with its moment and numbers, or what stands in its place."""
        strand = self._strands[number]
        by_ns = at_ns - (entry.offset_ns or 0)
        if by_ns:
            entry = retimed(entry, lambda ns: ns + by_ns)
        entry = renumbered(entry, strand.add)
        if self._alone or not isinstance(entry, Checkpoint | Resume):
            yield entry
            return
        before = self._so_far.checkpoint(at_ns)
        own = self._own(before, number)
        others = without_connections(before, own)
        if isinstance(entry, Checkpoint):
            if piece is not strand.pieces[0] and _says_the_same(entry, before, own):
                return
            yield self._together(others, entry)
        elif not others.connections:
            yield entry
        else:
            yield Note(
                offset_ns=at_ns,
                text=f"the recording of {piece.name} was resumed here, at {entry.wall}; of what was"
                f" recorded before, {entry.cut_bytes} bytes were lost",
            )
            yield self._together(others, Checkpoint(offset_ns=at_ns))

    def _own(self, checkpoint: Checkpoint, number: int) -> set[int]:
        """Which of the connections in a checkpoint are of this strand."""
        strand = self._strands[number]
        first = strand.add.connection
        last = first + max(piece.numbers.connection for piece in strand.pieces)
        standing = read_checkpoint(checkpoint)
        listed = {*standing.connections, *(one.connection for one in standing.pings)}
        listed |= {connection for connection, _ in standing.fragments}
        return {connection for connection in listed if first < connection <= last}

    def _together(self, others: Checkpoint, entry: Checkpoint) -> Checkpoint:
        """What both checkpoints say."""
        lists: dict[str, Any] = {
            name: [*getattr(others, name), *getattr(entry, name)]
            for name in ("connections", "fragments", "pings")
        }
        for kind in OBJECT_KINDS:
            latest = {owner_of(kind, bytes(raw)): raw for raw in getattr(others, kind)}
            latest |= {owner_of(kind, bytes(raw)): raw for raw in getattr(entry, kind)}
            lists[kind] = list(latest.values())
        highest = msgspec.Raw(msgspec.json.encode(self._highest))
        return msgspec.structs.replace(entry, **lists, extra=entry.extra | {HIGHEST_KEY: highest})

    def _note(self, piece: Piece, at_ns: int) -> Note:
        header = piece.header
        of = f" of {header.upstream}" if header.upstream else ""
        return Note(
            offset_ns=at_ns,
            text=f"{piece.name} begins here: {header.mode}{of}, started {header.started_at}, id"
            f" {header.id}",
        )


class _WallClock:
    """How far the wall clock of a recording is ahead of its ``started_at`` and offsets."""

    def __init__(self) -> None:
        self.ahead_ns = 0
        self._seen_ns = 0

    def take(self, entry: Clock, at_ns: int) -> int:
        """Follow the clock that stands at ``at_ns``; say by how much it was set back, if it was."""
        try:
            ahead_ns = wall_clock_ns(entry.wall) - at_ns
        except ValueError:
            return 0
        step_ns = ahead_ns - self._seen_ns
        self._seen_ns = ahead_ns
        if step_ns <= -_STEP_BACK_NS:
            return -step_ns
        self.ahead_ns += step_ns
        return 0


def _says_the_same(entry: Checkpoint, before: Checkpoint, own: set[int]) -> bool:
    """Whether the checkpoint of a further piece says nothing that is not known before it."""
    said, known = read_checkpoint(entry), read_checkpoint(before)
    return (
        said.connections
        == {number: one for number, one in known.connections.items() if number in own}
        and said.fragments == {side: one for side, one in known.fragments.items() if side[0] in own}
        and {(one.connection, one.uuid) for one in said.pings}
        == {(one.connection, one.uuid) for one in known.pings if one.connection in own}
        and all(
            {bytes(raw) for raw in getattr(entry, kind)}
            <= {bytes(raw) for raw in getattr(before, kind)}
            for kind in OBJECT_KINDS
        )
    )


def _raise_by(highest: Numbers, add: Numbers, numbers: Numbers) -> None:
    """Count the numbers of a piece with what is added to them."""
    highest.connection = max(highest.connection, add.connection + numbers.connection)
    highest.exchange = max(highest.exchange, add.exchange + numbers.exchange)
    for rule, number in numbers.marks.items():
        number += add.marks.get(rule, 0)
        highest.marks[rule] = max(highest.marks.get(rule, 0), number)
