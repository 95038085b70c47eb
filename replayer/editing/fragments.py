"""Which frames make one message (RFC 6455 section 5.4), while they come. Pure."""

from __future__ import annotations

from typing import Final, TypeAlias

from recorder.model import Checkpoint, Closed, FrameEntry, Resume, Sender
from replayer.editing.held import Slot
from replayer.reading.checkpoints import read_checkpoint

__all__ = ["Fragments", "Group", "Side", "is_data"]

Side: TypeAlias = tuple[int, Sender]
"""A connection and who sends on it."""

_CONTROL_OPCODES: Final = ("close", "ping", "pong")


class Group:
    """The frames of one message, in their order. ``is_whole`` once the last has come.

    ``from_before`` says that a checkpoint has its beginning, which no edit can change any more.
    """

    __slots__ = ("from_before", "is_whole", "side", "slots", "stays")

    def __init__(self, side: Side, *, from_before: bool = False) -> None:
        self.side: Final = side
        self.slots: list[Slot] = []
        self.is_whole = False
        self.from_before = from_before
        self.stays: bool | None = True if from_before else None
        """What was decided before the end came, None if nothing was."""


class Fragments:
    """The unfinished messages of a recording: one a side."""

    def __init__(self) -> None:
        self._begun: dict[Side, Group] = {}

    def take(self, slot: Slot) -> list[Group]:
        """Put the entry of the slot where it belongs; return the groups that it ends: its own, and
        those that go on no more.
        """
        entry = slot.entry
        match entry:
            case FrameEntry() if is_data(entry):
                return self._frame(slot, entry)
            case Closed():
                return self._leave({(entry.connection, "client"), (entry.connection, "server")})
            case Resume():
                return self.finish()
            case Checkpoint():
                left = self.finish()
                for side in read_checkpoint(entry).fragments:
                    self._begun[side] = Group(side, from_before=True)
                return left
        return []

    def finish(self) -> list[Group]:
        """What is left unfinished, as nothing more comes."""
        return self._leave(set(self._begun))

    def of(self, slot: Slot) -> Group | None:
        """The unfinished message that this slot is part of."""
        entry = slot.entry
        if not isinstance(entry, FrameEntry) or not is_data(entry):
            return None
        return self._begun.get((entry.connection, entry.sender))

    def _frame(self, slot: Slot, entry: FrameEntry) -> list[Group]:
        side = entry.connection, entry.sender
        ended = [] if entry.opcode == "continuation" else self._leave({side})
        group = self._begun.pop(side, None)
        continues_nothing = group is None and entry.opcode == "continuation"
        group = group or Group(side)
        group.slots.append(slot)
        if entry.fin or continues_nothing:
            group.is_whole = not continues_nothing
            return [*ended, group]
        self._begun[side] = group
        return ended

    def _leave(self, sides: set[Side]) -> list[Group]:
        return [self._begun.pop(side) for side in list(self._begun) if side in sides]


def is_data(entry: FrameEntry) -> bool:
    """Whether it is no control frame (RFC 6455 section 5.5)."""
    opcode = entry.opcode
    return opcode < 8 if isinstance(opcode, int) else opcode not in _CONTROL_OPCODES
