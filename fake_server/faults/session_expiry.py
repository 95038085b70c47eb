"""The fault ``session-expiry``."""

from __future__ import annotations

from fake_server.faults.base import Expire, MomentFault, Place, Step

__all__ = ["SessionExpiry"]


class SessionExpiry(MomentFault, frozen=True, kw_only=True, tag="session-expiry"):
    """The session of a socket expires while the socket is open, and lives on (manual section 3.4):
    REST and the next handshake are refused until a new login.
    """

    def strike(self, place: Place) -> list[Step]:
        """The end of the session."""
        return [Expire()]
