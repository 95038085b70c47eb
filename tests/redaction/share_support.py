"""What the tests of profile `share` have in common."""

from __future__ import annotations

import math
from typing import Any, Final

from recorder.redaction.edits import Transform
from recorder.redaction.share import RedactionKey

KEY: Final = RedactionKey(b"0123456789abcdef0123456789abcdef")
OTHER_KEY: Final = RedactionKey(b"fedcba9876543210fedcba9876543210")
EARTH_M: Final = 6_371_000.0


def applied(transform: Transform, text: str) -> str:
    """`text` with its edits put in, which must be in order and not overlap."""
    pieces: list[str] = []
    position = 0
    for edit in transform.edits(text):
        assert position <= edit.start < edit.end <= len(text), edit
        pieces += [text[position : edit.start], edit.text]
        position = edit.end
    return "".join([*pieces, text[position:]])


def distance_m(one: tuple[Any, Any], other: tuple[Any, Any]) -> float:
    """The distance of two places, (latitude, longitude), along the sphere (haversine)."""
    (lat1, lon1), (lat2, lon2) = [tuple(math.radians(float(x)) for x in p) for p in (one, other)]
    h = (
        math.sin((lat2 - lat1) / 2) ** 2
        + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    )
    return 2 * EARTH_M * math.asin(min(1.0, math.sqrt(h)))


def bearing_degrees(one: tuple[Any, Any], other: tuple[Any, Any]) -> float:
    """The course on which one leaves the first place for the other."""
    (lat1, lon1), (lat2, lon2) = [tuple(math.radians(float(x)) for x in p) for p in (one, other)]
    y = math.sin(lon2 - lon1) * math.cos(lat2)
    x = math.cos(lat1) * math.sin(lat2) - math.sin(lat1) * math.cos(lat2) * math.cos(lon2 - lon1)
    return math.degrees(math.atan2(y, x)) % 360
