"""The way that devices went: their positions, and the metres between them. A pure fold."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from replayer.measurements.fields import ABSENT, Spelled, given, number_of, text_of
from replayer.measurements.joining import Choice, Join, Joined, JoinedBy
from replayer.reading.said import Said

__all__ = ["EARTH_RADIUS_M", "Path", "PathRow", "metres", "place_of"]

EARTH_RADIUS_M: Final = 6_371_008.8
"""The mean radius of the earth (IUGG)."""


class PathRow(msgspec.Struct, frozen=True, kw_only=True):
    """One position of a device. Numbers are kept as they came, None where they are null or missing.

    ``marks`` says what is wrong with the place: ``invalid`` where ``valid`` is false, ``0,0``,
    which positions have that come from a beacon (manual section 3.6), ``no place`` without two
    numbers that can be one. ``distance_m`` is that to the position before of the same device; None
    for the first one, and where this one has a mark. Marked ones are no part of the way.
    """

    seq: int
    offset_ns: int | None
    fix_time: str | None
    device_time: str | None
    device_id: Any
    device_name: str | None
    joined_by: JoinedBy
    position_id: Any
    latitude: Spelled | None
    longitude: Spelled | None
    beacon_id: Any
    beacon_name: str | None
    accuracy: Spelled | None
    speed: Spelled | None
    distance_m: float | None
    marks: tuple[str, ...]


class _Fields(msgspec.Struct, rename="camel"):
    latitude: msgspec.Raw = ABSENT
    longitude: msgspec.Raw = ABSENT
    valid: msgspec.Raw = ABSENT
    accuracy: msgspec.Raw = ABSENT
    speed: msgspec.Raw = ABSENT
    fix_time: msgspec.Raw = ABSENT
    device_time: msgspec.Raw = ABSENT


_read: Final = msgspec.json.Decoder(_Fields).decode


def metres(latitude: float, longitude: float, latitude_2: float, longitude_2: float) -> float:
    """The distance of two places, in degrees, along the great circle of a sphere (haversine)."""
    phi, phi_2 = math.radians(latitude), math.radians(latitude_2)
    across = math.sin(math.radians(longitude_2 - longitude) / 2) ** 2
    squared = math.sin((phi_2 - phi) / 2) ** 2 + math.cos(phi) * math.cos(phi_2) * across
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, squared)))


def place_of(latitude: Spelled | None, longitude: Spelled | None) -> tuple[float, float] | None:
    """Latitude and longitude in degrees; None if they cannot be those of a place."""
    north, east = number_of(latitude), number_of(longitude)
    if north is None or east is None or abs(north) > 90 or abs(east) > 180:
        return None
    return north, east


class Path:
    """The rows of the objects that a recording tells of, in the order in which they were told.

    ``length_m`` is the way of each device so far, by id.
    """

    def __init__(self, choice: Choice | None = None) -> None:
        self.join = Join()
        self.left_out: Counter[str] = Counter()
        self.length_m: dict[Any, float] = {}
        self._choice = choice or Choice()
        self._last: dict[Any, tuple[float, float]] = {}

    def rows(self, said: Iterable[Said]) -> Iterator[PathRow]:
        """One row a position, once for each device that it is joined with. Raises what ``said``
        raises."""
        for one in self.join.through(said):
            if self._choice.takes(one):
                yield self._row(one)

    def _row(self, one: Joined) -> PathRow:
        fields = _read(one.text)
        latitude, longitude = given(fields.latitude), given(fields.longitude)
        place = place_of(latitude, longitude)
        marks = []
        if place is None:
            marks.append("no place")
        elif place == (0, 0):
            marks.append("0,0")
        if bytes(fields.valid).strip() == b"false":
            marks.append("invalid")
        device = one.device
        distance_m = None
        if place is not None and not marks and device is not None:
            before = self._last.get(device.id)
            self._last[device.id] = place
            if before is not None:
                distance_m = metres(*before, *place)
            self.length_m[device.id] = self.length_m.get(device.id, 0.0) + (distance_m or 0.0)
        return PathRow(
            seq=one.seq,
            offset_ns=one.offset_ns,
            fix_time=text_of(given(fields.fix_time)),
            device_time=text_of(given(fields.device_time)),
            device_id=None if device is None else device.id,
            device_name=None if device is None else device.name,
            joined_by=one.joined_by,
            position_id=one.position_id,
            latitude=latitude,
            longitude=longitude,
            beacon_id=one.beacon_id,
            beacon_name=one.beacon_name,
            accuracy=given(fields.accuracy),
            speed=given(fields.speed),
            distance_m=distance_m,
            marks=tuple(marks),
        )
