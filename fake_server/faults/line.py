"""What the faults make of the messages of one socket. Pure: sends in, steps out."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from fake_server.faults.base import (
    MessageFault,
    MomentFault,
    Place,
    Send,
    Step,
    kind_of,
)
from fake_server.faults.schedule import Injection, Progress, Schedule

__all__ = ["FaultLine"]

# First bytes of frames (RFC 6455 section 5.2).
_CONTINUATIONS: Final = (b"\x00", b"\x80")
_WHOLE_TEXT: Final = b"\x81"


class _Station:
    """One fault on the line."""

    def __init__(self, number: int, fault: MessageFault | MomentFault, progress: Progress) -> None:
        self.number = number
        self.fault = fault
        self.progress = progress
        self.place: Place


class FaultLine:
    """The faults of one socket, in the order of their stages; those of a moment come last.

    Times are seconds since the socket opened. ``on_strike`` is called with the number of a fault
    that changed something.
    """

    def __init__(
        self,
        socket_number: int,
        rng_for: Callable[[int, int], random.Random],
        on_strike: Callable[[int], None] = lambda number: None,
    ) -> None:
        self._socket_number = socket_number
        self._rng_for = rng_for
        self._on_strike = on_strike
        self._stations: list[_Station] = []

    def __bool__(self) -> bool:
        """Whether there is any fault on it."""
        return bool(self._stations)

    def set(self, injections: Mapping[int, Injection]) -> list[Step]:
        """Have exactly these faults, each keeping how far it has come; returns what those taken
        away had held back.
        """
        released: list[Step] = []
        for station in self._stations:
            if station.number not in injections and isinstance(station.fault, MessageFault):
                released += station.fault.release(station.place)
        kept = {
            station.number: station for station in self._stations if station.number in injections
        }
        for number, injection in injections.items():
            sockets, fault = injection.schedule.sockets, injection.fault
            if number in kept or (sockets and self._socket_number not in sockets):
                continue
            if isinstance(fault, MessageFault | MomentFault):
                limit = 1 if isinstance(fault, MomentFault) else None
                station = _Station(number, fault, Progress(injection.schedule, strikes=limit))
                station.place = Place(self._rng_for(number, self._socket_number))
                kept[number] = station
        self._stations = sorted(kept.values(), key=_stage)
        return released

    def release(self) -> list[Step]:
        """What faults hold back: it goes out now, for the socket is about to be closed."""
        return [
            step
            for station in self._stations
            if isinstance(station.fault, MessageFault)
            for step in station.fault.release(station.place)
        ]

    def feed(self, send: Send, at_s: float) -> list[Step]:
        """What is done in place of ``send``."""
        steps: list[Step] = [send]
        for station in self._stations:
            fault = station.fault
            if isinstance(fault, MomentFault):
                steps = self._before(station, fault, send, steps, at_s)
                continue
            changed: list[Step] = []
            for step in steps:
                if not isinstance(step, Send):
                    changed.append(step)
                    continue
                strikes = self._concerns(station, step) and station.progress.strikes(
                    at_s, station.place.rng
                )
                act = fault.change if strikes else fault.let_pass
                became = act(step, station.place)
                if strikes and became != [step]:
                    self._on_strike(station.number)
                changed += became
            steps = changed
        return steps

    def _before(
        self, station: _Station, fault: MomentFault, send: Send, steps: list[Step], at_s: float
    ) -> list[Step]:
        """A moment is named by the messages that go out before it, whatever they became, and
        divides none.
        """
        if not steps or not self._concerns(station, send) or send.data[:1] in _CONTINUATIONS:
            return steps
        if not _is_clocked(station.progress.schedule) and station.progress.strikes(
            at_s, station.place.rng
        ):
            self._on_strike(station.number)
            steps = [*_delayed(fault.strike(station.place), steps[0].delay_s), *steps]
        if send.data[:1] == _WHOLE_TEXT and kind_of(send) != "PING":
            station.place.last_message = send.data
        return steps

    @property
    def due_s(self) -> float:
        """When the next fault strikes by the clock alone; infinity for never."""
        return min(
            (
                station.progress.schedule.at_s
                for station in self._stations
                if _waits_for_the_clock(station)
            ),
            default=math.inf,
        )

    def tick(self, at_s: float) -> list[Step]:
        """What is done because it is ``at_s`` now."""
        steps: list[Step] = []
        for station in self._stations:
            fault = station.fault
            if (
                isinstance(fault, MomentFault)
                and _waits_for_the_clock(station)
                and at_s >= station.progress.schedule.at_s
                and station.progress.strikes(at_s, station.place.rng)
            ):
                self._on_strike(station.number)
                steps += fault.strike(station.place)
        return steps

    def _concerns(self, station: _Station, send: Send) -> bool:
        kinds = station.progress.schedule.kinds
        if not kinds and isinstance(station.fault, MessageFault):
            kinds = station.fault.kinds
        if not kinds:
            return not send.data or send.data[0] & 0x0F < 8 or not send.whole
        return kind_of(send) in kinds


def _stage(station: _Station) -> tuple[int, int]:
    if isinstance(station.fault, MessageFault):
        return int(station.fault.stage), station.number
    return 99, station.number


def _is_clocked(schedule: Schedule) -> bool:
    """Whether a moment is named by the time alone, and by no count or kind of messages."""
    return schedule.at_s > 0 and schedule.after == 0 and not schedule.kinds


def _waits_for_the_clock(station: _Station) -> bool:
    return (
        isinstance(station.fault, MomentFault)
        and _is_clocked(station.progress.schedule)
        and not station.progress.passed
    )


def _delayed(steps: list[Step], by_s: float) -> list[Step]:
    if not by_s:
        return steps
    return [msgspec.structs.replace(step, delay_s=step.delay_s + by_s) for step in steps]
