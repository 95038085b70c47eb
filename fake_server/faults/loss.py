"""The fault ``loss``."""

from __future__ import annotations

from typing import ClassVar

from fake_server.faults.base import MessageFault, Place, Send, Stage, Step
from fake_server.faults.whole import is_message

__all__ = ["Loss"]


class Loss(MessageFault, frozen=True, kw_only=True, tag="loss"):
    """A message does not come, and the connection lives on. Messages in fragments are left alone.

    A lost PING is as if it had never been: nobody waits for its pong.
    """

    stage: ClassVar[Stage] = Stage.ORDER

    def change(self, send: Send, place: Place) -> list[Step]:
        """Nothing."""
        return [] if is_message(send) else [send]
