"""The fault ``ping-doubled``."""

from __future__ import annotations

from typing import ClassVar

from fake_server.faults.base import MessageFault, Place, Send, Stage, Step

__all__ = ["PingDoubled"]


class PingDoubled(MessageFault, frozen=True, kw_only=True, tag="ping-doubled"):
    """A PING comes twice, one right behind the other, with one uuid."""

    stage: ClassVar[Stage] = Stage.ORDER
    kinds: ClassVar[tuple[str, ...]] = ("PING",)

    def change(self, send: Send, place: Place) -> list[Step]:
        """The PING, and the PING."""
        return [send, send]
