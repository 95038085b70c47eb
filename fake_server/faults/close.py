"""The fault ``close``."""

from __future__ import annotations

from fake_server.faults.base import Finish, MomentFault, Place, Step
from recorder.wire.frames import close_frame

__all__ = ["Close"]


class Close(MomentFault, frozen=True, kw_only=True, tag="close"):
    """The server closes the socket (RFC 6455 section 5.5.1).

    ``code``: 0 to 65535, those too that must not stand in a frame (section 7.4), as 1005 or 0.
    ``reason``: at most 123 bytes of UTF-8.
    """

    code: int = 1011
    reason: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.code <= 65535:
            raise ValueError(f"code = {self.code!r}: expected 0 to 65535")
        try:
            close_frame(self.code, self.reason)
        except ValueError as error:
            raise ValueError(f"reason = {self.reason!r}: {error}") from error

    def strike(self, place: Place) -> list[Step]:
        """The close frame."""
        return [Finish(data=close_frame(self.code, self.reason).serialize())]
