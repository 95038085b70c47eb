"""What a capture has seen so far, for whoever shows it."""

from __future__ import annotations

from collections import Counter
from typing import Final

from recorder.track.kinds import read_message
from recorder.wire.messages import Message

__all__ = ["KEPT_PROBLEMS", "Progress"]

KEPT_PROBLEMS: Final = 100


class Progress:
    """The counts of one capture; moments are the recording's ``offset_ns``."""

    def __init__(self) -> None:
        self.stage = "starting"
        self.kinds: Counter[str] = Counter()
        """How many server messages there were of each kind."""
        self.messages = 0
        """Server messages, PINGs not counted."""
        self.pings = 0
        self.pongs = 0
        """PINGs that were answered in time."""
        self.last_answered_ns: int | None = None
        self.opened_ns: int | None = None
        self.problems: list[str] = []
        """What RFC 6455 forbids in what the server sent; the first hundred."""

    def count(self, message: Message, *, is_ping: bool) -> None:
        """The server sent a message."""
        kinds: set[str] = {"binary"}
        if message.is_text:
            kinds = {part.kind for part in read_message(message.payload)}
        if is_ping:
            # Data may stand beside it, joined by `~`.
            kinds.discard("status")
            self.kinds["PING"] += 1
        if kinds or not is_ping:
            self.messages += 1
            self.kinds.update(kinds)

    def note_problems(self, problems: list[str]) -> None:
        """The server broke the protocol."""
        self.problems += problems[: KEPT_PROBLEMS - len(self.problems)]
