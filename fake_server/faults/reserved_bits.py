"""The fault ``reserved-bits``."""

from __future__ import annotations

from typing import ClassVar

from fake_server.faults.base import MessageFault, Place, Send, Stage, Step, frame_of
from fake_server.faults.whole import forbidden

__all__ = ["ReservedBits"]


class ReservedBits(MessageFault, frozen=True, kw_only=True, tag="reserved-bits"):
    """A frame has reserved bits set though no extension was negotiated (RFC 6455 section 5.2).

    ``rsv``: the three bits as a number from 1 to 7; RSV1 is 4, RSV2 is 2, RSV3 is 1.
    """

    rsv: int = 4

    stage: ClassVar[Stage] = Stage.FRAMING

    def __post_init__(self) -> None:
        if not 1 <= self.rsv <= 7:
            raise ValueError(f"rsv = {self.rsv!r}: expected 1 to 7")

    def change(self, send: Send, place: Place) -> list[Step]:
        """The frame with these bits."""
        frame = frame_of(send)
        if frame is None:
            return [send]
        first = frame.head[0] & 0x8F | self.rsv << 4
        return [forbidden(send, bytes((first,)) + frame.head[1:], frame)]
