"""Where a place is moved to: one rotation of the whole sphere, given by the key.

A rotation keeps every distance along the sphere, and with it every speed and every angle between
two ways. What differs is what depends on where on the Earth one is: distances by the ellipsoid
(WGS 84) change by up to 1 %, for its radius of curvature lies between 6335 and 6400 km; those of
the backend are taken along a sphere (lineage) and hold.
"""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple

from recorder.redaction.share.key import RedactionKey

__all__ = ["MIN_DECIMALS", "Motion", "Moved", "turned_course"]

MIN_DECIMALS: Final = 6
"""A place with fewer decimals gets so many: 0.11 m. Rounded like the original it would be off by
kilometres, for what was a round number is none once it is moved.
"""
_MAX_DECIMALS: Final = 15

_NUMBER: Final = re.compile(
    r"\s*+([+-]?[0-9]{1,20}+)(?:\.([0-9]{0,40}+))?+(?:[eE]([+-]?[0-9]{1,3}))?+\s*+"
)


class Moved(NamedTuple):
    """A place after its move, as numbers are spelled, and by how many degrees north has turned
    clockwise there.
    """

    latitude: str
    longitude: str
    turn_degrees: float


class Motion:
    """A rotation of the sphere, evenly drawn from all rotations by the key (Shoemake, "Uniform
    random rotations", Graphics Gems III).
    """

    def __init__(self, key: RedactionKey) -> None:
        drawn = key.derived("motion")
        u, v, w = (int.from_bytes(drawn[at : at + 8], "big") / 2**64 for at in (0, 8, 16))
        a, b = math.sqrt(1 - u), math.sqrt(u)
        x, y = a * math.sin(math.tau * v), a * math.cos(math.tau * v)
        z, s = b * math.sin(math.tau * w), b * math.cos(math.tau * w)
        self._rows: Final = (
            (1 - 2 * (y * y + z * z), 2 * (x * y - z * s), 2 * (x * z + y * s)),
            (2 * (x * y + z * s), 1 - 2 * (x * x + z * z), 2 * (y * z - x * s)),
            (2 * (x * z - y * s), 2 * (y * z + x * s), 1 - 2 * (x * x + y * y)),
        )

    def moved(self, latitude: float, longitude: float) -> tuple[float, float, float]:
        """Latitude and longitude after the move, and the turn of north there, all in degrees."""
        lat, lon = math.radians(latitude), math.radians(longitude)
        sin_lat, cos_lat = math.sin(lat), math.cos(lat)
        sin_lon, cos_lon = math.sin(lon), math.cos(lon)
        x, y, z = self._rotated(cos_lat * cos_lon, cos_lat * sin_lon, sin_lat)
        # The way north from the old place, seen from the new one: its parts to the east and north.
        dx, dy, dz = self._rotated(-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat)
        radius = math.hypot(x, y) or 1e-300
        east = (x * dy - y * dx) / radius
        north = dz * radius - z * (x * dx + y * dy) / radius
        return (
            math.degrees(math.atan2(z, radius)),
            math.degrees(math.atan2(y, x)),
            math.degrees(math.atan2(east, north)),
        )

    def moved_texts(self, latitude: str, longitude: str) -> Moved | None:
        """The same for numbers as they are spelled; decimals are kept, but at least
        :data:`MIN_DECIMALS`.

        None if either is no number or beyond 90 and 180 degrees. 0, 0 stays as it is: it stands for
        a place that is not known, and where it is moved to would tell of the motion.
        """
        lat, lon = _number(latitude), _number(longitude)
        if lat is None or lon is None or abs(lat[0]) > 90 or abs(lon[0]) > 180:
            return None
        if lat[0] == 0 and lon[0] == 0:
            return Moved(latitude, longitude, 0.0)
        new_lat, new_lon, turn = self.moved(lat[0], lon[0])
        return Moved(
            _spelled(new_lat, max(lat[1], MIN_DECIMALS)),
            _spelled(new_lon, max(lon[1], MIN_DECIMALS)),
            turn,
        )

    def _rotated(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        (a, b, c), (d, e, f), (g, h, i) = self._rows
        return a * x + b * y + c * z, d * x + e * y + f * z, g * x + h * y + i * z


def turned_course(course: str, turn_degrees: float) -> str | None:
    """A course after the move of its place, its decimals kept; None if it is to stay.

    It stays if it is no number, or 0: that is what the backend shows where no course is known
    (lineage), and such a course, turned, would point to where the North Pole was moved.
    """
    number = _number(course)
    if number is None or number[0] == 0 or not math.isfinite(number[0]):
        return None
    value, decimals = number
    turned = _spelled((value + turn_degrees) % 360, decimals)
    return _spelled(0, decimals) if float(turned) >= 360 else turned


def _number(text: str) -> tuple[float, int] | None:
    """The value of a number's text and its decimals."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    decimals = len(found[2] or "") - int(found[3] or 0)
    return float(text), min(max(decimals, 0), _MAX_DECIMALS)


def _spelled(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text
