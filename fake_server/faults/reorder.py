"""The fault ``reorder``."""

from __future__ import annotations

from typing import ClassVar

from fake_server.faults.base import MessageFault, Place, Send, Stage, Step, frame_of
from fake_server.faults.whole import is_message
from recorder.wire.frames import Opcode

__all__ = ["Reorder"]


class Reorder(MessageFault, frozen=True, kw_only=True, tag="reorder"):
    """A message is held back until others, of any kind, have passed. Messages in fragments are left
    alone; they count as one that passed.

    ``by``: so many others.
    """

    by: int = 1

    stage: ClassVar[Stage] = Stage.ORDER

    def __post_init__(self) -> None:
        if not 1 <= self.by <= 1000:
            raise ValueError(f"by = {self.by!r}: expected 1 to 1000")

    def change(self, send: Send, place: Place) -> list[Step]:
        """Nothing, if none is held back already."""
        if "held" in place.memory or not is_message(send):
            return self.let_pass(send, place)
        place.memory["held"] = send
        place.memory["to_pass"] = self.by
        return []

    def let_pass(self, send: Send, place: Place) -> list[Step]:
        """The message, and behind it the one held back, if so many have passed. A close frame lets
        it go first, or it never would.
        """
        frame = frame_of(send)
        if "held" not in place.memory or frame is None:
            return [send]
        if frame.opcode == Opcode.CLOSE:
            return [*self.release(place), send]
        # Not between the fragments of another message (RFC 6455 section 5.4).
        if frame.is_control or not frame.fin:
            return [send]
        place.memory["to_pass"] -= 1
        return [send] if place.memory["to_pass"] else [send, *self.release(place)]

    def release(self, place: Place) -> list[Step]:
        """The message that is held back."""
        held: Send | None = place.memory.pop("held", None)
        return [] if held is None else [held]
