"""What a proxy has seen so far, for whoever shows it."""

from __future__ import annotations

from typing import Final

from recorder.wire.frames import Sender

__all__ = ["KEPT_PROBLEMS", "ProxyProgress"]

KEPT_PROBLEMS: Final = 100


class ProxyProgress:
    """The counts of one proxy, over all its clients."""

    def __init__(self) -> None:
        self.open = 0
        """Clients that are connected."""
        self.connections = 0
        self.exchanges = 0
        self.open_sockets = 0
        self.sockets = 0
        self.frames: dict[Sender, int] = {"client": 0, "server": 0}
        self.bytes: dict[Sender, int] = {"client": 0, "server": 0}
        """What was relayed."""
        self.problems: list[str] = []
        """What went wrong, in words; the first hundred."""

    def problem(self, words: str) -> None:
        """Something went wrong that the person at the terminal should know."""
        if len(self.problems) < KEPT_PROBLEMS:
            self.problems.append(words)

    def line(self) -> str:
        """The counts in one line; two spaces stand between its parts."""
        return "  ".join(
            [
                f"{self.open} of {self.connections} clients",
                f"{self.exchanges} exchanges",
                f"{self.open_sockets} of {self.sockets} sockets",
                f"frames: {self.frames['server']} received, {self.frames['client']} sent",
            ]
        )

    def facts(self) -> dict[str, object]:
        """The counts, for machines. ``messages`` is the frames of both."""
        return {
            "messages": self.frames["client"] + self.frames["server"],
            "open_connections": self.open,
            "connections": self.connections,
            "exchanges": self.exchanges,
            "open_sockets": self.open_sockets,
            "sockets": self.sockets,
            "frames_from_client": self.frames["client"],
            "frames_from_server": self.frames["server"],
            "bytes_from_client": self.bytes["client"],
            "bytes_from_server": self.bytes["server"],
            "problems": len(self.problems),
        }
