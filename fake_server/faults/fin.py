"""The fault ``fin``."""

from __future__ import annotations

from fake_server.faults.base import Cut, MomentFault, Place, Step

__all__ = ["Fin"]


class Fin(MomentFault, frozen=True, kw_only=True, tag="fin"):
    """TCP ends in order, behind what was sent, without a close frame: code 1006 to most clients
    (RFC 6455 section 7.1.5).
    """

    def strike(self, place: Place) -> list[Step]:
        """The end by FIN."""
        return [Cut(how="fin")]
