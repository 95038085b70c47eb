"""Where two recordings part, byte for byte: the first message of the server that differs. Pure, and
streaming.

What is compared is what the server said: its data messages in the order of the recording, over all
connections, opcode and payload, byte for byte. PINGs stand aside, since every one has a new uuid
(manual section 3.3); so do times, fragmentation and control frames, which are not what a message
says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Final

import msgspec

from recorder.model import KnownEntry, UnknownEntry
from recorder.track.kinds import ping_uuids
from replayer.reading.conversation import DataMessage, converse
from replayer.reading.legs import client_legs
from replayer.reading.words import printable

__all__ = ["EXCERPT_BYTES", "Difference", "Place", "first_difference"]

EXCERPT_BYTES: Final = 60
"""How much of a payload a :class:`Place` shows."""

_BEFORE_BYTES: Final = 20
"""How much of that stands before the byte that differs."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a difference: the message, and its payload around the byte that differs, made
    printable."""

    seq: int
    connection: int
    opcode: str | int
    size_bytes: int
    excerpt: str


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The first message that is not the same.

    ``index`` counts the compared messages from 0, so it is also how many are equal. ``a`` or ``b``
    is None where that recording has no message left. ``at_byte`` is the first byte that differs, or
    the length of the shorter payload; None where only the opcode differs or a side is missing.
    ``count_a`` and ``count_b`` are all messages that take part.
    """

    index: int
    a: Place | None
    b: Place | None
    at_byte: int | None
    count_a: int
    count_b: int

    def __str__(self) -> str:
        what = "is missing on one side" if self.a is None or self.b is None else "differs"
        where = "" if self.at_byte is None else f" from byte {self.at_byte} on"
        return "\n".join(
            [
                f"message {self.index} {what}{where}",
                f"  a: {_shown(self.a)}",
                f"  b: {_shown(self.b)}",
                f"{self.count_a} messages in a, {self.count_b} in b, without PINGs",
            ]
        )


def _shown(place: Place | None) -> str:
    if place is None:
        return "no message left"
    return f"entry {place.seq}, {place.opcode}, {place.size_bytes} bytes: {place.excerpt}"


def first_difference(
    a: Iterable[KnownEntry | UnknownEntry], b: Iterable[KnownEntry | UnknownEntry]
) -> Difference | None:
    """Compare what the server said in two recordings; None if it is the same.

    Both are read to their end, for the counts. Raises what
    :func:`~replayer.reading.conversation.converse` does.
    """
    pairs = zip_longest(_said(a), _said(b))
    for index, (left, right) in enumerate(pairs):
        if left is not None and right is not None and _same(left, right):
            continue
        at_byte = None
        if left is not None and right is not None and left.payload != right.payload:
            at_byte = _parting(left.payload, right.payload)
        count_a = index + (left is not None)
        count_b = index + (right is not None)
        for more_a, more_b in pairs:
            count_a += more_a is not None
            count_b += more_b is not None
        return Difference(
            index=index,
            a=_place(left, at_byte),
            b=_place(right, at_byte),
            at_byte=at_byte,
            count_a=count_a,
            count_b=count_b,
        )
    return None


def _said(entries: Iterable[KnownEntry | UnknownEntry]) -> Iterator[DataMessage]:
    for item in converse(client_legs(entries)):
        if isinstance(item, DataMessage) and item.sender == "server":
            # Parsed only where the cheap search found a PING; a message that says more than PING
            # takes part.
            if ping_uuids(item.payload) and item.kinds == ("PING",):
                continue
            yield item


def _same(left: DataMessage, right: DataMessage) -> bool:
    return left.payload == right.payload and left.opcode == right.opcode


def _parting(left: bytes, right: bytes) -> int:
    shorter = min(len(left), len(right))
    return next((at for at in range(shorter) if left[at] != right[at]), shorter)


def _place(message: DataMessage | None, at_byte: int | None) -> Place | None:
    if message is None:
        return None
    start = max(0, (at_byte or 0) - _BEFORE_BYTES)
    stop = start + EXCERPT_BYTES
    before, after = "…" if start else "", "…" if stop < len(message.payload) else ""
    # A cut inside a character leaves bytes that are none; they are not what differs.
    text = message.payload[start:stop].decode("utf-8", "backslashreplace")
    return Place(
        seq=message.seq,
        connection=message.connection,
        opcode=message.opcode,
        size_bytes=len(message.payload),
        excerpt=f"{before}{printable(text)}{after}",
    )
