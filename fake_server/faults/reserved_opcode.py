"""The fault ``reserved-opcode``."""

from __future__ import annotations

from typing import ClassVar

from fake_server.faults.base import MessageFault, Place, Send, Stage, Step, frame_of
from fake_server.faults.whole import forbidden

__all__ = ["ReservedOpcode"]


class ReservedOpcode(MessageFault, frozen=True, kw_only=True, tag="reserved-opcode"):
    """A frame has an opcode that means nothing (RFC 6455 section 5.2).

    ``opcode``: 3 to 7, which are for data frames, or 11 to 15, for control frames.
    """

    opcode: int = 3

    stage: ClassVar[Stage] = Stage.FRAMING

    def __post_init__(self) -> None:
        if not (3 <= self.opcode <= 7 or 11 <= self.opcode <= 15):
            raise ValueError(f"opcode = {self.opcode!r}: expected 3 to 7 or 11 to 15")

    def change(self, send: Send, place: Place) -> list[Step]:
        """The frame with this opcode."""
        frame = frame_of(send)
        if frame is None:
            return [send]
        first = frame.head[0] & 0xF0 | self.opcode
        return [forbidden(send, bytes((first,)) + frame.head[1:], frame)]
