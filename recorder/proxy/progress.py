"""What a proxy has seen so far, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable

from recorder.wire.frames import Sender

__all__ = ["ProxyProgress"]


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
        self.problems = 0
        """How often something went wrong."""
        self.on_problem: Callable[[str], object] = _ignore
        """Told what went wrong, in words, at once."""

    def problem(self, words: str) -> None:
        """Something went wrong that whoever watches should know."""
        self.problems += 1
        self.on_problem(words)

    def line(self) -> str:
        """The counts in one line; two spaces stand between its parts."""
        return "  ".join(
            [
                f"clients: {self.open} open of {self.connections}",
                f"exchanges: {self.exchanges}",
                f"sockets: {self.open_sockets} open of {self.sockets}",
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
            "problems": self.problems,
        }


def _ignore(_: str) -> None:
    return None
