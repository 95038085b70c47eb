"""The faults of a server: which are set, and what they make of handshakes, logins and sockets."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable

from fake_server.faults.base import (
    HandshakeFault,
    LoginFault,
    Place,
    Refusal,
    Silence,
    WrongAccept,
)
from fake_server.faults.line import FaultLine
from fake_server.faults.schedule import Injection, Progress

__all__ = ["FaultBoard"]


class FaultBoard:
    """Holds injections under numbers from 1. ``seed`` decides all chance: the same seed, faults and
    order of sockets give the same run.

    ``on_change`` is called when an injection is added or removed, so that open sockets follow.
    """

    def __init__(self, injections: Iterable[Injection] = (), *, seed: int = 0) -> None:
        self.seed = seed
        self.on_change: Callable[[], None] = lambda: None
        self._injections: dict[int, Injection] = {}
        self._others: dict[int, tuple[Progress, Place]] = {}
        self._next = 1
        self._struck: Counter[int] = Counter()
        for injection in injections:
            self.add(injection)

    @property
    def injections(self) -> dict[int, Injection]:
        """What is set, by number."""
        return dict(self._injections)

    def struck(self, number: int) -> int:
        """How often a fault has struck so far, and changed something, on all sockets together."""
        return self._struck[number]

    def add(self, injection: Injection) -> int:
        """Set a fault; returns its number. Open sockets get it too."""
        number = self._next
        self._next += 1
        self._injections[number] = injection
        if isinstance(injection.fault, HandshakeFault | LoginFault):
            progress = Progress(injection.schedule, strikes=None)
            self._others[number] = progress, Place(self._rng(number, 0))
        self.on_change()
        return number

    def remove(self, number: int) -> bool:
        """Take a fault away; what it held back goes out. False if there is none of that number."""
        self._others.pop(number, None)
        if self._injections.pop(number, None) is None:
            return False
        self.on_change()
        return True

    def clear(self) -> None:
        """Take all away."""
        self._injections.clear()
        self._others.clear()
        self.on_change()

    def reset(self) -> None:
        """Take all away and be as new: the next one is number 1 again, for chance goes by that."""
        self.clear()
        self._struck.clear()
        self._next = 1

    def line_for(self, socket_number: int) -> FaultLine:
        """What the faults make of one socket; see :meth:`FaultLine.set`."""
        return FaultLine(socket_number, self._rng, self._count)

    def handshake(self, at_s: float, socket_number: int) -> Refusal | WrongAccept | Silence | None:
        """What becomes of the handshake that would open this socket; None if it succeeds. ``at_s``
        is since the server started.
        """
        for number, (progress, place) in list(self._others.items()):
            fault, schedule = self._injections[number].fault, progress.schedule
            if (
                isinstance(fault, HandshakeFault)
                and (not schedule.sockets or socket_number in schedule.sockets)
                and progress.strikes(at_s, place.rng)
            ):
                self._count(number)
                return fault.answer(place)
        return None

    def login_wait_s(self, at_s: float) -> float:
        """So many seconds a login's answer is late."""
        wait_s = 0.0
        for number, (progress, place) in list(self._others.items()):
            fault = self._injections[number].fault
            if isinstance(fault, LoginFault) and progress.strikes(at_s, place.rng):
                self._count(number)
                wait_s += fault.wait_s(place)
        return wait_s

    def _count(self, number: int) -> None:
        self._struck[number] += 1

    def _rng(self, number: int, socket_number: int) -> random.Random:
        return random.Random(f"{self.seed}/{number}/{socket_number}")
