"""What is to be drawn, as it is collected from rows: few bytes a point. Pure."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from recorder.model import Header
from replayer.playing.dates import read_date

__all__ = ["Axis", "Clock", "Line", "Points", "axis_of"]

Axis: TypeAlias = Literal["offset", "wall", "own", "number"]
"""What the axis of time shows: time since the recording's start, the wall clock of the recorder,
the time that objects tell of themselves, or their number."""

_UNKNOWN: Final = math.nan
_DRAWABLE: Final = 1e100
"""Axes are computed with floats, whose differences must be floats too."""


class Clock(msgspec.Struct, frozen=True):
    """The axis of time. ``offset`` is in seconds since the start; ``wall`` and ``own`` are in
    seconds since 1970, in UTC."""

    axis: Axis
    started_s: float

    def at(self, offset_ns: int) -> float:
        """Where a moment of the recording stands on it."""
        return offset_ns / 1e9 + (self.started_s if self.axis == "wall" else 0.0)


def axis_of(header: Header, *, wall: bool) -> Clock | None:
    """The axis for what happened in a recording; None if it has no times. ``wall`` asks for the
    wall clock, which a recording lacks whose start cannot be read."""
    if header.timing == "none":
        return None
    started = read_date(header.started_at)
    if wall and started is not None:
        return Clock("wall", started.utc_ns / 1e9)
    return Clock("offset", 0.0)


class _Series:
    def __init__(self) -> None:
        self.name = ""
        self.offset_s = array("d")
        self.own_s = array("d")
        self.number = array("d")
        self.y = array("d")


class Line(NamedTuple):
    """One series on an axis. ``id`` tells it from others that have the same ``name``; ``suffix``
    says which of several values of that id it shows."""

    id: str
    name: str
    suffix: str
    xs: Sequence[float]
    ys: Sequence[float]


class Points:
    """Points of several series, in the order in which these came; 32 bytes a point."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], _Series] = {}
        self.count = 0
        self.left_out = 0
        """So many were too large to be drawn."""

    def add(
        self,
        series_id: str,
        name: str,
        y: float,
        *,
        offset_ns: int | None,
        own_time: str | None,
        suffix: str = "",
    ) -> None:
        """One more point of the series of this id and suffix, which is called so now. ``own_time``
        is the object's own date, as it came."""
        if abs(y) > _DRAWABLE:
            self.left_out += 1
            return
        self.count += 1
        own = None if own_time is None else read_date(own_time)
        series = self._series.setdefault((series_id, suffix), _Series())
        series.name = name
        series.offset_s.append(_UNKNOWN if offset_ns is None else offset_ns / 1e9)
        series.own_s.append(_UNKNOWN if own is None else own.utc_ns / 1e9)
        series.number.append(self.count)
        series.y.append(y)

    def clock(self, header: Header, *, wall: bool) -> Clock:
        """The axis that fits these points: the recording's time, else their own if each has one
        that is a date, else their number."""
        found = axis_of(header, wall=wall)
        if found is not None:
            return found
        dated = all(map(math.isfinite, (at for one in self._series.values() for at in one.own_s)))
        return Clock("own" if dated else "number", 0.0)

    def on(self, clock: Clock) -> list[Line]:
        """The series on that axis, each ordered by x."""
        read: dict[Axis, Callable[[_Series], list[float]]] = {
            "offset": lambda one: list(one.offset_s),
            "wall": lambda one: [at + clock.started_s for at in one.offset_s],
            "own": lambda one: list(one.own_s),
            "number": lambda one: list(one.number),
        }
        return [
            Line(series_id, one.name, suffix, *_by_x(read[clock.axis](one), one.y))
            for (series_id, suffix), one in self._series.items()
        ]


def _by_x(x: list[float], y: array[float]) -> tuple[list[float], list[float]]:
    # A position may have waited for its device; what has no time at all is left out.
    pairs = sorted(
        (pair for pair in zip(x, y, strict=True) if math.isfinite(pair[0])), key=lambda one: one[0]
    )
    return [one for one, _ in pairs], [one for _, one in pairs]
