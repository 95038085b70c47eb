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
        self.pings_cut_off = 0
        """PINGs that were not answered because their socket ended."""
        self.last_answered_ns: int | None = None
        self.opened_ns: int | None = None
        """When the first socket opened."""
        self.gaps = 0
        """Times without a socket that are over."""
        self.gap_ns = 0
        """How long they were together."""
        self.lost_ns: int | None = None
        """Since when there is no socket, where one was lost."""
        self.attempts = 0
        """Attempts in this gap that came to nothing."""
        self.next_attempt_ns: int | None = None
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

    def count_gap(self, gap_ns: int) -> None:
        """A time without a socket is over."""
        self.gaps += 1
        self.gap_ns += gap_ns
        self.lost_ns = None
        self.attempts = 0

    def note_problems(self, problems: list[str]) -> None:
        """The server broke the protocol."""
        self.problems += problems[: KEPT_PROBLEMS - len(self.problems)]

    def line(self, now_ns: int) -> str:
        """What was seen, in one line: time or stage, the last answered PING, messages by kind,
        gaps. Two spaces stand between its parts.
        """
        if self.opened_ns is None:
            return self.stage
        parts = [_clock(now_ns - self.opened_ns), *self._socket_parts(now_ns)]
        kinds = " ".join(f"{kind} {count}" for kind, count in self.kinds.most_common())
        parts.append(kinds or "nothing yet")
        if self.gaps:
            gaps = "1 gap" if self.gaps == 1 else f"{self.gaps} gaps"
            parts.append(f"{gaps}, {self.gap_ns / 1e9:.0f} s")
        return "  ".join(parts)

    def _socket_parts(self, now_ns: int) -> list[str]:
        if self.lost_ns is not None:
            parts = [f"no socket for {(now_ns - self.lost_ns) / 1e9:.0f} s"]
            if self.next_attempt_ns is not None:
                wait_s = -(-max(0, self.next_attempt_ns - now_ns) // 1_000_000_000)
                parts.append(f"attempt {self.attempts + 1} in {wait_s} s")
            else:
                parts.append(f"attempt {self.attempts + 1}: {self.stage}")
            return parts
        if self.last_answered_ns is None:
            return ["no PING yet"]
        return [f"last PING answered {(now_ns - self.last_answered_ns) / 1e9:.0f} s ago"]

    def facts(self, now_ns: int) -> dict[str, object]:
        """The same for machines."""

        def since_s(moment_ns: int | None) -> float | None:
            return None if moment_ns is None else round((now_ns - moment_ns) / 1e9, 3)

        return {
            "stage": self.stage,
            "open_s": since_s(self.opened_ns),
            "messages": self.messages,
            "kinds": dict(self.kinds),
            "pings": self.pings,
            "pongs": self.pongs,
            "last_pong_s": since_s(self.last_answered_ns),
            "gaps": self.gaps,
            "gap_s": round(self.gap_ns / 1e9, 3),
            "no_socket_s": since_s(self.lost_ns),
            "problems": len(self.problems),
        }


def _clock(duration_ns: int) -> str:
    minutes, seconds = divmod(duration_ns // 1_000_000_000, 60)
    return f"{minutes:02d}:{seconds:02d}"
