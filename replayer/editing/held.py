"""Entries that go on in their order while some wait to be decided. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from recorder.model import AnyEntry, Payload, UnknownEntry

__all__ = ["MAX_HELD_BYTES", "Held", "Slot"]

MAX_HELD_BYTES: Final = 32 * 1024 * 1024
"""So much is held at most: the rest of a message that is that long is decided without its end."""

_ENTRY_BYTES: Final = 1000
"""What an entry takes in memory beside its payload, about."""


class Slot:
    """The place of one entry. ``becomes`` is what stands there in the end: None until that is
    decided.
    """

    __slots__ = ("becomes", "entry", "size_bytes")

    def __init__(self, entry: AnyEntry) -> None:
        self.entry: Final = entry
        self.becomes: list[AnyEntry] | None = None
        self.size_bytes = _ENTRY_BYTES
        if isinstance(entry, Payload):
            self.size_bytes += len(entry.text or entry.base64 or "")
        elif isinstance(entry, UnknownEntry):
            self.size_bytes += len(entry.line)

    def stay(self) -> None:
        """It stays as it is."""
        self.becomes = [self.entry]

    def go(self) -> None:
        """It goes."""
        self.becomes = []


class Held:
    """A queue of slots, which lets go of its head once that is decided."""

    def __init__(self) -> None:
        self._slots: deque[Slot] = deque()
        self._size_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether more is held than may be: then :attr:`oldest` has to be decided."""
        return self._size_bytes > MAX_HELD_BYTES

    @property
    def oldest(self) -> Slot:
        """The slot that all others wait for."""
        return self._slots[0]

    def add(self, entry: AnyEntry) -> Slot:
        """A slot for the next entry."""
        slot = Slot(entry)
        self._slots.append(slot)
        self._size_bytes += slot.size_bytes
        return slot

    def ready(self) -> Iterator[AnyEntry]:
        """What is decided, up to the first slot that is not."""
        while self._slots and (becomes := self._slots[0].becomes) is not None:
            self._size_bytes -= self._slots.popleft().size_bytes
            yield from becomes

    def undecided(self) -> Iterator[Slot]:
        """The slots that still wait, from the oldest on."""
        return (slot for slot in self._slots if slot.becomes is None)
