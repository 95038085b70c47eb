"""Other numbers for what an entry belongs to, so that recordings can stand together. Pure."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from recorder.model import AnyEntry, Checkpoint, FrameEntry, UnknownEntry
from recorder.numbers import Numbers
from recorder.recording import decode_entry, encode_entry
from recorder.wire.frames import Frame
from replayer.editing.moving import Change, renumbered_checkpoint, with_numbers

__all__ = ["count_numbers", "renumbered"]

# A mark with a pseudonym is told from others by that.
_MARK: Final = re.compile(rb"\[redacted:([a-z]+)-([1-9][0-9]{0,17})\]")


def count_numbers(numbers: Numbers, entry: AnyEntry) -> None:
    """Raise ``numbers`` to those of an entry, wherever they stand, the marks in it too."""
    numbers.feed(entry)

    def connection(number: int) -> int:
        numbers.connection = max(numbers.connection, number)
        return number

    def exchange(number: int) -> int:
        numbers.exchange = max(numbers.exchange, number)
        return number

    if isinstance(entry, FrameEntry):
        connection(entry.connection)
    elif isinstance(entry, UnknownEntry):
        with_numbers(entry.line, _numbers_under(connection, exchange))
    elif isinstance(entry, Checkpoint):
        renumbered_checkpoint(entry, _numbers_under(connection, exchange))
    else:
        connection(getattr(entry, "connection", 0))
        connection(getattr(entry, "paired_with", None) or 0)
        exchange(getattr(entry, "exchange", 0))


def renumbered(entry: AnyEntry, add: Numbers) -> AnyEntry:
    """The entry with this added to its numbers: connections, exchanges, marks."""
    if add.marks:
        entry = _remarked(entry, add.marks)
    if not (add.connection or add.exchange):
        return entry
    connection, exchange = _adding(add.connection), _adding(add.exchange)
    if isinstance(entry, UnknownEntry):
        line = with_numbers(entry.line, _numbers_under(connection, exchange))
        return msgspec.structs.replace(entry, line=line)
    if isinstance(entry, Checkpoint):
        return renumbered_checkpoint(entry, _numbers_under(connection, exchange))
    changes = {
        name: change(value)
        for name, change in _numbers_under(connection, exchange).items()
        if (value := getattr(entry, name, None)) is not None
    }
    return msgspec.structs.replace(entry, **changes) if changes else entry


def _numbers_under(connection: Change, exchange: Change) -> dict[str, Change]:
    return {"connection": connection, "paired_with": connection, "exchange": exchange}


def _adding(number: int) -> Change:
    return lambda found: found + number


def _remarked(entry: AnyEntry, add: dict[str, int]) -> AnyEntry:
    """The entry with these numbers added to its marks of redaction; a frame's head fits again."""
    if not isinstance(entry, UnknownEntry | Checkpoint) and not entry.redacted:
        return entry

    def marked(found: re.Match[bytes]) -> bytes:
        rule, number = found.groups()
        return b"[redacted:%b-%d]" % (rule, int(number) + add.get(rule.decode(), 0))

    line = encode_entry(entry)
    new = _MARK.sub(marked, line)
    if new == line:
        return entry
    made = decode_entry(new, where=f"entry {entry.seq}")
    if isinstance(made, FrameEntry) and isinstance(entry, FrameEntry):
        old, data = entry.frame(), made.data
        if len(data) != len(old.payload):
            head = Frame.make(old.opcode, data, fin=old.fin, rsv=old.rsv, mask=old.masking_key).head
            made = msgspec.structs.replace(made, head=head.hex())
    return made
