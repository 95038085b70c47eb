"""The fault ``chunking``."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from fake_server.faults.base import MessageFault, Place, Send, Stage, Step

__all__ = ["Chunking"]


class Chunking(MessageFault, frozen=True, kw_only=True, tag="chunking"):
    """The bytes of a frame come in chunks: the stream is cut anywhere, the message is not.

    ``size_bytes``: of a chunk; the last is what is left. ``pause_s``: between two chunks of one
    frame, in seconds.
    """

    size_bytes: int = 1
    pause_s: float = 0.01

    stage: ClassVar[Stage] = Stage.BYTES

    def __post_init__(self) -> None:
        if self.size_bytes < 1:
            raise ValueError(f"size_bytes = {self.size_bytes!r}: expected a size, 1 or more")
        if not 0 <= self.pause_s < 1e9:
            raise ValueError(f"pause_s = {self.pause_s!r}: expected seconds, 0 or more")

    def change(self, send: Send, place: Place) -> list[Step]:
        """The chunks. A PING is sent when its last one is."""
        if len(send.data) <= self.size_bytes:
            return [send]
        starts = range(0, len(send.data), self.size_bytes)
        return [
            msgspec.structs.replace(
                send,
                data=send.data[start : start + self.size_bytes],
                pause_s=self.pause_s if start else 0.0,
                whole=False,
                ping=send.ping if start == starts[-1] else None,
            )
            for start in starts
        ]
