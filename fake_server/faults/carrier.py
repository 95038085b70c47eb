"""Takes the steps that faults decide on, each when it is due, in their order."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Final

import trio

from fake_server.faults.base import Send, Stall, Step
from fake_server.faults.line import FaultLine

__all__ = ["FaultCarrier"]

_MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
"""So much may wait for its moment on one socket."""


class FaultCarrier:
    """The way of one socket's messages while it has faults: ``perform`` is called for each step.

    Steps that are due and wait for nothing are taken at once, so that a fault which changes only
    content changes no timing. :meth:`run` does the others, in a task that ends by itself when
    nothing waits.
    """

    def __init__(
        self,
        line: FaultLine,
        perform: Callable[[Step], None],
        *,
        opened_s: float,
        start: Callable[[FaultCarrier], None],
    ) -> None:
        self.line = line
        self.stalled = False
        self._perform = perform
        self._opened_s = opened_s
        self._start = start
        self._waiting: deque[tuple[float, Step]] = deque()
        self._waiting_bytes = 0
        self._running = False
        self._last_due_s = -math.inf
        self._changed = trio.Event()

    def put(self, send: Send) -> bool:
        """Send a message as the faults will have it; False if so much waits already that the
        socket must be given up.
        """
        if not self.stalled:
            self.add(self.line.feed(send, self._age_s()))
        return self._waiting_bytes <= _MAX_WAITING_BYTES

    def add(self, steps: list[Step]) -> None:
        """Take these steps behind those that wait."""
        now_s = trio.current_time()
        for step in steps:
            pause_s = step.pause_s if isinstance(step, Send) else 0.0
            due_s = max(now_s + step.delay_s, self._last_due_s + pause_s)
            self._last_due_s = due_s
            if self._waiting or due_s > now_s:
                self._waiting.append((due_s, step))
                self._waiting_bytes += len(step.data) if isinstance(step, Send) else 0
            else:
                self._take(step)
        self.wake()

    def wake(self) -> None:
        """Look again at what is to be waited for: the line has changed."""
        if not self._running and self._due_s() < math.inf:
            self._running = True
            self._start(self)
        self._changed.set()
        self._changed = trio.Event()

    async def run(self) -> None:
        """Take the steps that wait, until none does and no fault waits for the clock."""
        try:
            while (due_s := self._due_s()) < math.inf:
                with trio.move_on_at(due_s) as sleep:
                    await self._changed.wait()
                if not sleep.cancelled_caught:
                    continue
                now_s = trio.current_time()
                while self._waiting and self._waiting[0][0] <= now_s:
                    _, step = self._waiting.popleft()
                    self._waiting_bytes -= len(step.data) if isinstance(step, Send) else 0
                    self._take(step)
                self.add(self.line.tick(self._age_s()))
        finally:
            self._running = False

    def _age_s(self) -> float:
        """Since the socket opened; not before that, nor before the fault that was waited for, by
        the rounding of sums.
        """
        now_s, due_s = trio.current_time(), self.line.due_s
        age_s = max(0.0, now_s - self._opened_s)
        return max(age_s, due_s) if now_s >= self._opened_s + due_s else age_s

    def _due_s(self) -> float:
        if self.stalled:
            return math.inf
        # What waits goes out in its order: a later step does not overtake the first.
        first_s = self._waiting[0][0] if self._waiting else math.inf
        return min(first_s, self._opened_s + self.line.due_s)

    def _take(self, step: Step) -> None:
        if self.stalled:
            return
        if isinstance(step, Stall):
            self.stalled = True
            self._waiting.clear()
            self._waiting_bytes = 0
            return
        self._perform(step)
