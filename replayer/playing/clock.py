"""Where a playback stands, and the waiting for where it shall stand: speed, pause, step."""

from __future__ import annotations

import math

import trio

__all__ = ["PlaybackClock"]


class PlaybackClock:
    """Maps trio's time to a position in a playback, in nanoseconds from its start.

    ``speed`` is a factor above 0; at infinity everything is due at once, and the position is that
    of the latest cue. While it is paused only steps move it.
    """

    __slots__ = (
        "_base_ns",
        "_base_s",
        "_changed",
        "_left",
        "_paused",
        "_speed",
        "_steps",
    )

    def __init__(self, speed: float = 1.0, *, position_ns: int = 0, paused: bool = False) -> None:
        self._speed = speed
        self._paused = paused
        self._base_ns = position_ns
        self._base_s = trio.current_time()
        self._steps = 0
        self._left = False
        self._changed: trio.Event | None = None

    @property
    def position_ns(self) -> int:
        """Where playback stands now."""
        if self._paused or self._speed == math.inf:
            return self._base_ns
        return self._base_ns + round((trio.current_time() - self._base_s) * self._speed * 1e9)

    def due_s(self, at_ns: int) -> float:
        """When, on trio's clock, ``at_ns`` is reached; infinity while paused."""
        if self._paused:
            return math.inf
        return self._base_s + (at_ns - self._base_ns) / self._speed / 1e9

    def pause(self) -> None:
        """Stand still."""
        self._rebase()
        self._paused = True
        self._change()

    def resume(self) -> None:
        """Go on from where it stands; steps that were not taken yet are forgotten."""
        self._rebase()
        self._paused = False
        self._steps = 0
        self._change()

    def step(self, cues: int) -> None:
        """While paused, let so many further cues pass at once."""
        if self._paused:
            self._steps += cues
            self._change()

    def set_speed(self, speed: float) -> None:
        """Go on from here at another speed."""
        self._rebase()
        self._speed = speed
        self._change()

    def leave(self) -> None:
        """Playback goes on elsewhere, on another clock: nobody waits on this one any more."""
        self._left = True
        self._change()

    async def reach(self, at_ns: int) -> bool:
        """Wait until the position is ``at_ns``, or until a step passes there; False at once when it
        was left. Positions must not go back.
        """
        while not self._left:
            if self._paused and self._steps:
                self._steps -= 1
                self._base_ns = max(self._base_ns, at_ns)
                return True
            due_s = self.due_s(at_ns)
            if due_s <= trio.current_time():
                if self._speed == math.inf:
                    self._base_ns = max(self._base_ns, at_ns)
                return True
            if self._changed is None:
                self._changed = trio.Event()
            with trio.move_on_at(due_s):
                await self._changed.wait()
        return False

    def _rebase(self) -> None:
        self._base_ns, self._base_s = self.position_ns, trio.current_time()

    def _change(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None
