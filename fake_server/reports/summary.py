"""The report of summaries: what a device's route adds up to (Traccar lineage).

Speeds are in knots and distances in metres, as positions have them; engine hours are in
milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import msgspec

from fake_server.reports.filters import Fix
from fake_server.reports.history import History, routes
from fake_server.reports.parameters import ReportParameters
from recorder.track.rules import Rules

__all__ = ["Summary", "summary"]

_NS_PER_MS: Final = 1_000_000
_TOTAL: Final = "totalDistance"


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One row; its fields are spelled as clients have seen them. Of a device without positions all
    but its name and id is 0.
    """

    deviceId: int  # noqa: N815 - the backend's spelling
    deviceName: Any  # noqa: N815
    distance: float = 0.0
    averageSpeed: float = 0.0  # noqa: N815
    maxSpeed: float = 0.0  # noqa: N815
    spentFuel: float = 0.0  # noqa: N815
    startOdometer: float = 0.0  # noqa: N815
    endOdometer: float = 0.0  # noqa: N815
    engineHours: int = 0  # noqa: N815
    positionCount: int = 0  # noqa: N815
    beaconCount: int = 0  # noqa: N815


class _Named(msgspec.Struct):
    id: Any = None
    name: Any = None


class _Measured(msgspec.Struct):
    """What of a position counts here."""

    speed: Any = None
    attributes: Any = None
    deviceName: Any = None  # noqa: N815

    def has(self, name: str) -> bool:
        return isinstance(self.attributes, dict) and self.attributes.get(name) is not None

    def number(self, name: str) -> float:
        """An attribute; 0 where there is none, or none that is a number."""
        return _number(self.attributes.get(name)) if self.has(name) else 0.0


_read_named: Final = msgspec.json.Decoder(_Named).decode
_read_measured: Final = msgspec.json.Decoder(_Measured).decode


def summary(history: History, parameters: ReportParameters, rules: Rules) -> list[bytes]:
    """One object for each device that was asked for, in order, of the route that the same
    parameters give. Raises ReportError.
    """
    found = routes(history, parameters, rules)
    names = _names(history)
    return [
        msgspec.json.encode(_summary_of(device_id, names.get(device_id), fixes))
        for device_id, fixes in found.items()
    ]


def _summary_of(device_id: int, name: Any, fixes: Sequence[Fix]) -> Summary:
    if not fixes:
        return Summary(deviceId=device_id, deviceName=name)
    positions = [_read_measured(fix.text) for fix in fixes]
    first, last = positions[0], positions[-1]
    speeds = [_number(position.speed) for position in positions]
    odometer = "odometer" if first.number("odometer") and last.number("odometer") else _TOTAL
    return Summary(
        deviceId=device_id,
        deviceName=last.deviceName if name is None else name,
        distance=_distance(first, last),
        averageSpeed=sum(speeds) / len(speeds),
        maxSpeed=max(0.0, *speeds),
        spentFuel=_difference(first, last, "fuel"),
        startOdometer=first.number(odometer),
        endOdometer=last.number(odometer),
        engineHours=_engine_hours_ms(fixes, positions),
        positionCount=len(fixes),
        # Any JSON may stand for a beacon's id, also what has no hash.
        beaconCount=len({repr(fix.place) for fix in fixes if fix.has_beacon}),
    )


def _distance(first: _Measured, last: _Measured) -> float:
    """By odometer where either end shows one, else by the distance that the server counts."""
    start, end = first.number("odometer"), last.number("odometer")
    if start or end:
        return end - start
    return last.number(_TOTAL) - first.number(_TOTAL) if _both(first, last, _TOTAL) else 0.0


def _difference(first: _Measured, last: _Measured, name: str) -> float:
    """How much less of it there is at the end, to a tenth."""
    left = round(first.number(name) - last.number(name), 1) if _both(first, last, name) else 0.0
    return left or 0.0  # not -0.0


def _engine_hours_ms(fixes: Sequence[Fix], positions: Sequence[_Measured]) -> int:
    """By the counter where both ends have it, else the time between positions with ignition on."""
    first, last = positions[0], positions[-1]
    if _both(first, last, "hours"):
        return round(last.number("hours") - first.number("hours"))
    steps = zip(pairwise(fixes), pairwise(positions), strict=True)
    return sum(
        (later.at_ns - earlier.at_ns) // _NS_PER_MS
        for (earlier, later), (before, after) in steps
        if _ignition(before) and _ignition(after)
    )


def _ignition(position: _Measured) -> bool:
    return position.has("ignition") and position.attributes["ignition"] in (True, "true")


def _both(first: _Measured, last: _Measured, name: str) -> bool:
    return first.has(name) and last.has(name)


def _number(value: Any) -> float:
    """A finite number, else 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    try:
        number = float(value)
    except OverflowError:  # an integer beyond all floats
        return 0.0
    return number if math.isfinite(number) else 0.0


def _names(history: History) -> dict[Any, Any]:
    names = {}
    for text in history.devices:
        try:
            device = _read_named(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if type(device.id) is int:
            names[device.id] = device.name
    return names
