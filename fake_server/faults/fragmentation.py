"""The fault ``fragmentation``."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import msgspec

from fake_server.faults.base import MessageFault, Place, Send, Stage, Step, frame_of
from recorder.wire.frames import Frame, Opcode

__all__ = ["Fragmentation"]


class Fragmentation(MessageFault, frozen=True, kw_only=True, tag="fragmentation"):
    """A message comes in several frames, which RFC 6455 section 5.4 allows; they may divide a
    character of UTF-8.

    ``pieces``: so many frames, of about one size, empty ones where there is too little.
    ``size_bytes``: if not 0, in place of that, payloads of this size, the last of what is left.
    ``control_between``: an empty control ping stands between any two of them.
    """

    pieces: int = 2
    size_bytes: int = 0
    control_between: bool = False

    stage: ClassVar[Stage] = Stage.FRAMING

    def __post_init__(self) -> None:
        if not 2 <= self.pieces <= 1000:
            raise ValueError(f"pieces = {self.pieces!r}: expected 2 to 1000")
        if self.size_bytes < 0:
            raise ValueError(f"size_bytes = {self.size_bytes!r}: expected a size, 0 for none")

    def change(self, send: Send, place: Place) -> list[Step]:
        """The frames of the message; control frames must not be divided (5.5)."""
        frame = frame_of(send)
        if frame is None or frame.is_control:
            return [send]
        payloads = self._divided(frame.payload)
        last = len(payloads) - 1
        if not last:
            return [send]
        steps: list[Step] = []
        for index, payload in enumerate(payloads):
            if index and self.control_between:
                ping = Frame.make(Opcode.PING).serialize()
                steps.append(msgspec.structs.replace(send, data=ping, ping=None))
            fragment = Frame.make(
                Opcode.CONTINUATION if index else frame.opcode,
                payload,
                fin=frame.fin and index == last,
                # "A fragmented message" is one message: its flags stand in its first frame.
                rsv=0 if index else frame.rsv,
                mask=frame.masking_key,
            )
            uuid = send.ping if index == last else None
            steps.append(msgspec.structs.replace(send, data=fragment.serialize(), ping=uuid))
        return steps

    def _divided(self, payload: bytes) -> list[bytes]:
        size = len(payload)
        if self.size_bytes:
            borders = [*range(0, size, self.size_bytes), size] if size else [0, 0]
        else:
            borders = [size * index // self.pieces for index in range(self.pieces + 1)]
        return [payload[start:end] for start, end in pairwise(borders)]
