"""The fault ``joined-texts``."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from fake_server.faults.base import (
    MessageFault,
    Place,
    Send,
    Stage,
    Step,
    frame_of,
    kind_of,
    text_of,
)
from fake_server.faults.json_places import retold
from recorder.wire.frames import Opcode

__all__ = ["JoinedTexts"]


class JoinedTexts(MessageFault, frozen=True, kw_only=True, tag="joined-texts"):
    """A message waits for those behind it, and all go out as one payload.

    ``texts``: so many messages a payload. ``separator``: what stands between them. A PING is not
    kept waiting: it goes out at once, with what waits. What is no whole text sends what waits
    before it.
    """

    texts: int = 2
    separator: str = "~"

    stage: ClassVar[Stage] = Stage.CONTENT

    def __post_init__(self) -> None:
        if not 2 <= self.texts <= 1000:
            raise ValueError(f"texts = {self.texts!r}: expected 2 to 1000")
        if not all(letter.isprintable() or letter.isspace() for letter in self.separator):
            raise ValueError(f"separator = {self.separator!r}: expected text or white space")

    def change(self, send: Send, place: Place) -> list[Step]:
        """Nothing, or the payload that this message completes."""
        if text_of(send) is None:
            return self.let_pass(send, place)
        held: list[Send] = place.memory.setdefault("held", [])
        held.append(send)
        if len(held) < self.texts and kind_of(send) != "PING":
            return []
        return self.release(place)

    def let_pass(self, send: Send, place: Place) -> list[Step]:
        """A text behind one that waits joins it, whoever's turn it is: so order is kept."""
        if not place.memory.get("held"):
            return [send]
        if text_of(send) is not None:
            return self.change(send, place)
        frame = frame_of(send)
        if frame is not None and frame.is_control and frame.opcode != Opcode.CLOSE:
            return [send]
        return [*self.release(place), send]

    def release(self, place: Place) -> list[Step]:
        """The payload as far as it has come."""
        held: list[Send] = place.memory.pop("held", [])
        if len(held) < 2:
            return [*held]
        payload = self.separator.encode().join(text_of(send) or b"" for send in held)
        # Only the last can be a live PING.
        last = msgspec.structs.replace(held[-1], delay_s=max(send.delay_s for send in held))
        return [retold(last, payload)]
