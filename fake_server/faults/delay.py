"""The fault ``delay``."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from fake_server.faults.base import MessageFault, Place, Send, Stage, Step

__all__ = ["Delay"]


class Delay(MessageFault, frozen=True, kw_only=True, tag="delay"):
    """A message comes later. Order is kept: what stands behind one that is late waits, too.

    ``delay_s``: so much later. ``jitter_s``: up to so much more, by chance, for each message.
    """

    delay_s: float = 1.0
    jitter_s: float = 0.0

    stage: ClassVar[Stage] = Stage.TIME

    def __post_init__(self) -> None:
        for name in ("delay_s", "jitter_s"):
            if not 0 <= getattr(self, name) < 1e9:
                raise ValueError(f"{name} = {getattr(self, name)!r}: expected seconds, 0 or more")

    def change(self, send: Send, place: Place) -> list[Step]:
        """The same, later."""
        late_s = self.delay_s + place.rng.uniform(0, self.jitter_s)
        return [msgspec.structs.replace(send, delay_s=send.delay_s + late_s)]
