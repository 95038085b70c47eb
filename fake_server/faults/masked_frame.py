"""The fault ``masked-frame``."""

from __future__ import annotations

from typing import ClassVar

from fake_server.faults.base import MessageFault, Place, Send, Stage, Step, frame_of
from fake_server.faults.whole import forbidden

__all__ = ["MaskedFrame"]


class MaskedFrame(MessageFault, frozen=True, kw_only=True, tag="masked-frame"):
    """A frame is masked, as only a client's may be (RFC 6455 section 5.1)."""

    stage: ClassVar[Stage] = Stage.FRAMING

    def change(self, send: Send, place: Place) -> list[Step]:
        """The frame, masked with a key by chance."""
        frame = frame_of(send)
        if frame is None or frame.masking_key is not None:
            return [send]
        head = bytes((frame.head[0], frame.head[1] | 0x80)) + frame.head[2:]
        return [forbidden(send, head + place.rng.randbytes(4), frame)]
