"""The fault ``flood``."""

from __future__ import annotations

from typing import Final

from fake_server.faults.base import MomentFault, Place, Send, Step
from recorder.wire.frames import Frame, Opcode

__all__ = ["Flood"]

_MAX_FLOOD_BYTES: Final = 32 * 1024 * 1024
"""Half of what may wait for its moment on one socket."""

_BEGIN: Final = b'{"positions":['
_END: Final = b"]}"
_LEAST_BYTES: Final = len(_BEGIN) + len(_END)


class Flood(MomentFault, frozen=True, kw_only=True, tag="flood"):
    """Many messages at once. What the server would send meanwhile waits behind them; a client that
    does not keep up is closed, as any that reads too slowly.

    ``messages``: so many. ``size_bytes``: of each, which is an empty list of positions, spread by
    spaces; 0 sends the last message that was no PING once more, or ``{}`` where there was none.
    ``messages_per_s``: at this pace. All together are at most 32 MiB: fewer messages, if need be.
    """

    messages: int = 1000
    size_bytes: int = 0
    messages_per_s: float = 1000.0

    def __post_init__(self) -> None:
        if not 1 <= self.messages <= 1_000_000:
            raise ValueError(f"messages = {self.messages!r}: expected 1 to 1000000")
        if self.size_bytes and not _LEAST_BYTES <= self.size_bytes <= _MAX_FLOOD_BYTES // 2:
            raise ValueError(
                f"size_bytes = {self.size_bytes!r}: expected {_LEAST_BYTES} to"
                f" {_MAX_FLOOD_BYTES // 2}, or 0 for the last message"
            )
        if not 0 < self.messages_per_s <= 1e6:
            raise ValueError(
                f"messages_per_s = {self.messages_per_s!r}: expected a rate, more than 0, up to 1e6"
            )

    def strike(self, place: Place) -> list[Step]:
        """The messages, each at its time."""
        data = self._message(place)
        count = max(1, min(self.messages, _MAX_FLOOD_BYTES // len(data)))
        return [Send(data=data, delay_s=number / self.messages_per_s) for number in range(count)]

    def _message(self, place: Place) -> bytes:
        if not self.size_bytes:
            return place.last_message or Frame.make(Opcode.TEXT, b"{}").serialize()
        spaces = b" " * (self.size_bytes - _LEAST_BYTES)
        return Frame.make(Opcode.TEXT, _BEGIN + spaces + _END).serialize()
