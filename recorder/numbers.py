"""The numbers that a recording has used, so that one that goes on uses none of them twice. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from recorder.model import (
    Body,
    Checkpoint,
    FrameEntry,
    KnownEntry,
    Open,
    Request,
    Response,
    UnknownEntry,
)
from recorder.recording import encode_entry
from recorder.redaction.rules import highest_numbers

__all__ = ["HIGHEST_KEY", "Numbers"]

HIGHEST_KEY: Final = "highest"
"""The key of a checkpoint under which the numbers stand that were used before it."""


class Numbers(msgspec.Struct):
    """The highest numbers that a recording has used: of connections, of exchanges, and of the
    marks of each rule of redaction. A recording that is resumed goes on after them.
    """

    connection: int = 0
    exchange: int = 0
    marks: dict[str, int] = {}

    def feed(self, entry: KnownEntry | UnknownEntry) -> None:
        """Take the next entry."""
        if type(entry) is FrameEntry:
            if entry.redacted:
                self._count(entry.text or entry.reason or "")
            return
        if isinstance(entry, Checkpoint):
            found = entry.extra.get(HIGHEST_KEY)
            if found is not None:
                self._raise_to(found)
        elif isinstance(entry, Open):
            self.connection = max(self.connection, entry.connection)
        elif isinstance(entry, Request | Response | Body):
            self.exchange = max(self.exchange, entry.exchange)
        if isinstance(entry, UnknownEntry) or entry.redacted:
            self._count(encode_entry(entry).decode("utf-8", "replace"))

    def _raise_to(self, found: msgspec.Raw) -> None:
        try:
            other = msgspec.json.decode(found, type=Numbers)
        except (ValueError, RecursionError):
            return
        self.connection = max(self.connection, other.connection)
        self.exchange = max(self.exchange, other.exchange)
        self._merge(other.marks)

    def _count(self, text: str) -> None:
        if "[redacted:" in text:
            self._merge(highest_numbers(text))

    def _merge(self, marks: dict[str, int]) -> None:
        for rule, number in marks.items():
            self.marks[rule] = max(number, self.marks.get(rule, 0))
