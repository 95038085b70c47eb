"""The fault ``duplicate``."""

from __future__ import annotations

from typing import ClassVar

from fake_server.faults.base import MessageFault, Place, Send, Stage, Step
from fake_server.faults.whole import is_message

__all__ = ["Duplicate"]


class Duplicate(MessageFault, frozen=True, kw_only=True, tag="duplicate"):
    """A message comes several times, one right behind the other. Messages in fragments are left
    alone.

    ``times``: how often in all.
    """

    times: int = 2

    stage: ClassVar[Stage] = Stage.ORDER

    def __post_init__(self) -> None:
        if not 2 <= self.times <= 1000:
            raise ValueError(f"times = {self.times!r}: expected 2 to 1000")

    def change(self, send: Send, place: Place) -> list[Step]:
        """The message, so often."""
        return [send] * (self.times if is_message(send) else 1)
