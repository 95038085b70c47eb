"""The fault ``slow-login``."""

from __future__ import annotations

from fake_server.faults.base import LoginFault, Place

__all__ = ["SlowLogin"]


class SlowLogin(LoginFault, frozen=True, kw_only=True, tag="slow-login"):
    """The answer to a login comes late; others are not held up.

    ``delay_s``: so late.
    """

    delay_s: float = 5.0

    def __post_init__(self) -> None:
        if not 0 <= self.delay_s < 1e9:
            raise ValueError(f"delay_s = {self.delay_s!r}: expected seconds, 0 or more")

    def wait_s(self, place: Place) -> float:
        """The delay."""
        return self.delay_s
