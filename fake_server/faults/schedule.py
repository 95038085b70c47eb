"""When a fault strikes: after so many messages, at a time, by chance, on some sockets."""

from __future__ import annotations

import random
from typing import Any, Final

import msgspec

from fake_server.faults.base import Fault

__all__ = ["Injection", "Progress", "Schedule"]


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every condition that is given must hold. What is counted and timed is, for faults of sockets,
    the messages of each socket and the seconds since it opened; for faults of handshakes and
    logins, all of those and the seconds since the server started. A moment that is named by
    ``at_s`` alone strikes once, whatever ``count`` says.

    ``after``: so many pass first. ``count``: so often it strikes (0: without end; faults that
    happen at a moment strike once unless told otherwise). ``at_s``, ``until_s``: from when, until
    when. ``probability``: each time, of 1. ``sockets``: their numbers, in the order of opening,
    from 1; empty is all. ``kinds``: only messages of these kinds, by their one key, or ``PING``,
    ``control``, ``close``, ``fragment``; empty leaves it to the fault.
    """

    after: int = 0
    count: int | None = None
    at_s: float = 0.0
    until_s: float | None = None
    probability: float = 1.0
    sockets: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        expectations = (
            ("after", self.after >= 0, "a count, 0 or more"),
            ("count", self.count is None or self.count >= 0, "a count, 0 for no end"),
            ("at_s", 0 <= self.at_s < 1e9, "seconds, 0 or more"),
            (
                "until_s",
                self.until_s is None or self.at_s < self.until_s < 1e9,
                "seconds, more than at_s",
            ),
            ("probability", 0 <= self.probability <= 1, "a number from 0 to 1"),
            ("sockets", all(number >= 1 for number in self.sockets), "numbers from 1"),
        )
        for name, holds, expected in expectations:
            if not holds:
                raise ValueError(f"{name} = {getattr(self, name)!r}: expected {expected}")


_ALWAYS: Final = msgspec.to_builtins(Schedule())


class Injection(msgspec.Struct, frozen=True):
    """A fault and when it strikes."""

    fault: Fault
    schedule: Schedule = Schedule()

    def to_builtins(self) -> dict[str, Any]:
        """Both as one flat object, as the control API and configuration files have it: what differs
        from the defaults of the schedule, and all of the fault.
        """
        schedule = {
            name: value
            for name, value in msgspec.to_builtins(self.schedule).items()
            if value != _ALWAYS[name]
        }
        return {**msgspec.to_builtins(self.fault), **schedule}


class Progress:
    """How far a schedule has come, for one socket (or for all handshakes, or all logins)."""

    def __init__(self, schedule: Schedule, *, strikes: int | None) -> None:
        """``strikes``: how often at most, unless the schedule says; None for no end."""
        self.schedule = schedule
        self._limit = strikes if schedule.count is None else schedule.count or None
        self.passed = 0
        self.struck = 0

    @property
    def is_over(self) -> bool:
        """Whether it never strikes again, whatever the time."""
        return self._limit is not None and self.struck >= self._limit

    def strikes(self, at_s: float, rng: random.Random) -> bool:
        """Whether it strikes now, at this one; counts it."""
        schedule = self.schedule
        self.passed += 1
        if self.is_over or self.passed <= schedule.after or at_s < schedule.at_s:
            return False
        if schedule.until_s is not None and at_s >= schedule.until_s:
            return False
        if schedule.probability < 1 and rng.random() >= schedule.probability:
            return False
        self.struck += 1
        return True
