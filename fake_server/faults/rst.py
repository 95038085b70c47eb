"""The fault ``rst``."""

from __future__ import annotations

from fake_server.faults.base import Cut, MomentFault, Place, Step

__all__ = ["Rst"]


class Rst(MomentFault, frozen=True, kw_only=True, tag="rst"):
    """TCP is reset: "connection reset by peer". What was sent just before may be lost with it."""

    def strike(self, place: Place) -> list[Step]:
        """The end by RST."""
        return [Cut(how="rst")]
