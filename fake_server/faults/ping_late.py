"""The fault ``ping-late``."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from fake_server.faults.base import MessageFault, Place, Send, Stage, Step

__all__ = ["PingLate"]


class PingLate(MessageFault, frozen=True, kw_only=True, tag="ping-late"):
    """A PING comes late, and what stands behind it waits. Its pong is expected from when it comes.

    ``delay_s``: so late.
    """

    delay_s: float = 5.0

    stage: ClassVar[Stage] = Stage.TIME
    kinds: ClassVar[tuple[str, ...]] = ("PING",)

    def __post_init__(self) -> None:
        if not 0 <= self.delay_s < 1e9:
            raise ValueError(f"delay_s = {self.delay_s!r}: expected seconds, 0 or more")

    def change(self, send: Send, place: Place) -> list[Step]:
        """The same, later."""
        return [msgspec.structs.replace(send, delay_s=send.delay_s + self.delay_s)]
