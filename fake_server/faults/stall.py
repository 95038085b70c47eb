"""The fault ``stall``."""

from __future__ import annotations

from fake_server.faults import base
from fake_server.faults.base import MomentFault, Place, Step

__all__ = ["Stall"]


class Stall(MomentFault, frozen=True, kw_only=True, tag="stall"):
    """Nothing more comes, no PING either, and TCP stays open: what a client sees of a server that
    hangs, or of a cut network. Only a deadline of its own tells it.
    """

    def strike(self, place: Place) -> list[Step]:
        """The end of all sending."""
        return [base.Stall()]
