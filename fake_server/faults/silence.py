"""The fault ``silence``."""

from __future__ import annotations

from fake_server.faults import base
from fake_server.faults.base import HandshakeFault, Place

__all__ = ["Silence"]


class Silence(HandshakeFault, frozen=True, kw_only=True, tag="silence"):
    """The handshake is not answered. Only a deadline of its own tells a client.

    ``hang_up_s``: after so many seconds TCP ends, by FIN; 0 is at once.
    """

    hang_up_s: float = 60.0

    def __post_init__(self) -> None:
        if not 0 <= self.hang_up_s < 1e9:
            raise ValueError(f"hang_up_s = {self.hang_up_s!r}: expected seconds, 0 or more")

    def answer(self, place: Place) -> base.Silence:
        """None, for so long."""
        return base.Silence(hang_up_s=self.hang_up_s)
