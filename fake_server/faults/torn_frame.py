"""The fault ``torn-frame``."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from fake_server.faults.base import Cut, MessageFault, Place, Send, Stage, Step

__all__ = ["TornFrame"]


class TornFrame(MessageFault, frozen=True, kw_only=True, tag="torn-frame"):
    """A frame begins, and TCP ends in the middle of it, by FIN, without a close frame.

    ``at``: where, as the share of its bytes that still come, between 0 and 1. At least one comes,
    and one does not.
    """

    at: float = 0.5

    stage: ClassVar[Stage] = Stage.BYTES

    def __post_init__(self) -> None:
        if not 0 < self.at < 1:
            raise ValueError(f"at = {self.at!r}: expected a share, between 0 and 1")

    def change(self, send: Send, place: Place) -> list[Step]:
        """The first bytes, and the end."""
        size = max(1, min(round(len(send.data) * self.at), len(send.data) - 1))
        torn = msgspec.structs.replace(send, data=send.data[:size], whole=False, ping=None)
        return [torn, Cut(how="fin", delay_s=send.delay_s)]
