"""The fault ``ping-absent``."""

from __future__ import annotations

from typing import ClassVar

from fake_server.faults.base import MessageFault, Place, Send, Stage, Step

__all__ = ["PingAbsent"]


class PingAbsent(MessageFault, frozen=True, kw_only=True, tag="ping-absent"):
    """A PING does not come, with all that stands in one message with it. No pong is expected."""

    stage: ClassVar[Stage] = Stage.ORDER
    kinds: ClassVar[tuple[str, ...]] = ("PING",)

    def change(self, send: Send, place: Place) -> list[Step]:
        """Nothing."""
        return []
