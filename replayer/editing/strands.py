"""Recordings that are to be merged: what has to be known of them beforehand, and which of them
continue one another. Pure.

What edits made of one recording, one piece behind the other in time, is one *strand*: it shares its
numbers. Of different strands no two numbers are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from recorder.errors import RecordingError
from recorder.model import AnyEntry, End, Header
from recorder.numbers import Numbers
from replayer.editing.heading import origin_of, started_ns
from replayer.editing.renumbering import count_numbers

__all__ = ["Piece", "Strand", "strands_of", "survey"]


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One recording to be merged, read through once: what has to be known of it beforehand.

    ``start_ns`` is its ``started_at`` since 1970, ``first_ns`` and ``last_ns`` when its first and
    last entries stand, both by that. ``numbers`` are the highest it uses.
    """

    name: str
    header: Header
    start_ns: int
    first_ns: int
    last_ns: int
    numbers: Numbers
    entries: Callable[[], Iterable[AnyEntry]]


class Strand(msgspec.Struct, frozen=True):
    """Pieces of one recording, one behind the other, and what is added to their numbers."""

    pieces: list[Piece]
    add: Numbers


def survey(
    name: str, header: Header, entries: Iterable[AnyEntry], again: Callable[[], Iterable[AnyEntry]]
) -> Piece:
    """Read a recording for what has to be known before it is merged; ``again`` gives its entries
    once more. Raises RecordingError if it has no times.
    """
    if header.timing == "none":
        raise RecordingError(
            f"{name} has no times, so its place among others cannot be told: expected recordings"
            " whose timing is measured; merge what a recorder made"
        )
    start_ns = started_ns(header, name)
    numbers = Numbers()
    first_ns: int | None = None
    last_ns = 0
    for entry in entries:
        if type(entry) is End:
            continue
        last_ns = entry.offset_ns or 0
        first_ns = last_ns if first_ns is None else first_ns
        count_numbers(numbers, entry)
    return Piece(
        name=name,
        header=header,
        start_ns=start_ns,
        first_ns=start_ns + (first_ns or 0),
        last_ns=start_ns + last_ns,
        numbers=numbers,
        entries=again,
    )


def strands_of(pieces: Sequence[Piece]) -> list[Strand]:
    """The pieces as strands, each with numbers that no other has: the first keeps its own."""
    gathered: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda one: (one.first_ns, one.last_ns)):
        for strand in gathered:
            last = strand[-1]
            same = origin_of(last.header) == origin_of(piece.header)
            if same and last.last_ns <= piece.first_ns:
                strand.append(piece)
                break
        else:
            gathered.append([piece])
    gathered.sort(key=lambda strand: min(map(pieces.index, strand)))
    used = Numbers()
    strands = []
    for strand in gathered:
        strands.append(Strand(strand, Numbers(used.connection, used.exchange, dict(used.marks))))
        used.connection += max(piece.numbers.connection for piece in strand)
        used.exchange += max(piece.numbers.exchange for piece in strand)
        marks: Counter[str] = Counter()
        for piece in strand:
            marks |= Counter(piece.numbers.marks)
        used.marks = dict(Counter(used.marks) + marks)
    return strands
