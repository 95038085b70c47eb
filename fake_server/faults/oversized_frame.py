"""The fault ``oversized-frame``."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from fake_server.faults.base import MessageFault, Place, Send, Stage, Step, frame_of

__all__ = ["OversizedFrame"]


class OversizedFrame(MessageFault, frozen=True, kw_only=True, tag="oversized-frame"):
    """A header claims more than comes: the payload stands behind it, and then whatever is sent
    next, which a client takes for more of it (RFC 6455 section 5.2).

    ``size_bytes``: what is claimed, 65536 to 2⁶³ - 1. A payload that is larger is left alone.
    """

    size_bytes: int = 2**63 - 1

    stage: ClassVar[Stage] = Stage.FRAMING

    def __post_init__(self) -> None:
        if not 65536 <= self.size_bytes < 2**63:
            raise ValueError(f"size_bytes = {self.size_bytes!r}: expected 65536 to 2**63 - 1")

    def change(self, send: Send, place: Place) -> list[Step]:
        """The header that claims so much, and the payload as it is."""
        frame = frame_of(send)
        if frame is None or len(frame.payload) >= self.size_bytes:
            return [send]
        flags = bytes((frame.head[0], frame.head[1] & 0x80 | 127))
        behind = send.data[len(frame.head) - len(frame.masking_key or b"") :]
        data = flags + self.size_bytes.to_bytes(8, "big") + behind
        return [msgspec.structs.replace(send, data=data, whole=False, ping=None)]
