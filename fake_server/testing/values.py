"""What a TrackServer gives and raises."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fake_server.findings import Finding

__all__ = ["ContractBroken", "Login", "OpenSocket"]


class ContractBroken(AssertionError):
    """A client broke a rule, or something else is wrong that a test shall fail for. ``findings``
    say what.
    """

    def __init__(self, text: str, found: Sequence[Finding]) -> None:
        super().__init__(text)
        self.findings = tuple(found)


class Login(msgspec.Struct, frozen=True):
    """A session that was begun. ``cookie`` is the value of a ``Cookie`` header. It does not show in
    the repr.
    """

    cookie: str

    @property
    def headers(self) -> dict[str, str]:
        """The header that a request needs."""
        return {"Cookie": self.cookie}

    def __repr__(self) -> str:
        return "Login(cookie=…)"


class OpenSocket(msgspec.Struct, frozen=True, kw_only=True):
    """An open socket as it was when it was asked for. ``number`` counts sockets from 1,
    ``connection`` is that of its TCP connection, ``open_s`` for how long it is open, ``position_s``
    where its playback stands; ``unanswered`` are the uuids of PINGs.
    """

    number: int
    connection: int
    account: str
    open_s: float
    position_s: float
    messages_sent: int
    pings: int
    pongs: int
    unanswered: tuple[str, ...]
