"""Places in a text: a latitude and a longitude that belong together, shapes of geofences, and pairs
of numbers that look like a place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from recorder.redaction.edits import Edit
from recorder.redaction.rules import WHOLE_MARK, mark
from recorder.redaction.share.fields import Field
from recorder.redaction.share.sphere import Motion, Moved, turned_course

__all__ = ["Found", "Places"]

_RULE: Final = "coordinate"
_REMEMBERED: Final = 65_536

_NUMBER: Final = r"-?[0-9]{1,3}(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?"
# OGC 06-103r4 section 7, with the latitude first, as the backend has it (lineage). In a form a
# space is `+`.
_SHAPE: Final = re.compile(
    r"(?<!\w)(?:CIRCLE|POLYGON|LINESTRING|POINT|MULTIPOINT|MULTIPOLYGON|MULTILINESTRING)"
    r"[\s+]*+\([-+0-9.eE,\s()]++",
    re.IGNORECASE,
)
_SHAPE_POINT: Final = re.compile(rf"(?<![\w.])({_NUMBER})[\s+]++({_NUMBER})(?![\w.])")
# Four decimals tell eleven metres; versions and measurements seldom have so many.
_PRECISE: Final = r"-?[0-9]{1,3}\.[0-9]{4,20}+"
_RUN: Final = re.compile(
    rf"(?<![\w.,-]){_PRECISE}(?:(?:[ \t]*+[,;/][ \t]*+|[ \t]++){_PRECISE})++(?![\w.])"
)
_SEPARATED: Final = re.compile(rf"({_PRECISE})[ \t,;/]++({_PRECISE})")
# What a pair needs at least, in a text where all digits are one.
_DIGITS: Final = bytes(
    ord("0") if chr(code) in "0123456789" else ord(",") if chr(code) in "\t ,;/" else code
    for code in range(256)
)
_MAY_BE_PAIR: Final = re.compile(rb"0000,++-?+0")


class Found(NamedTuple):
    """``text[start:end]`` stands under a field that belongs to a place."""

    start: int
    end: int
    field: Field


class Places:
    """Edits that move places. Keeps the last moves, and leaves what it moved where it is."""

    def __init__(self, motion: Motion) -> None:
        self._motion = motion
        self._moves: dict[tuple[str, str], Moved] = {}

    def edits(self, text: str, found: list[Found]) -> list[Edit]:
        """The edits of the latitudes, longitudes and courses of one object, or one text.

        What stands alone, or is beyond 90 and 180 degrees, becomes 0; what is no number a mark. A
        course turns as the first place of its object does.
        """
        edits: list[Edit] = []
        turn: float | None = None
        groups: dict[str, tuple[list[Found], list[Found]]] = {}
        for one in found:
            if one.field.rule != "course":
                pair = groups.setdefault(one.field.group, ([], []))
                pair[one.field.rule == "longitude"].append(one)
        for latitudes, longitudes in groups.values():
            paired = min(len(latitudes), len(longitudes))
            for lat, lon in zip(latitudes, longitudes, strict=False):
                old = text[lat.start : lat.end], text[lon.start : lon.end]
                moved = self._moved(*old)
                if moved is None:
                    edits += [*_emptied(text, lat), *_emptied(text, lon)]
                    continue
                turn = moved.turn_degrees if turn is None else turn
                edits += [
                    Edit(one.start, one.end, new, _RULE)
                    for one, was, new in zip((lat, lon), old, moved[:2], strict=True)
                    if new != was
                ]
            for alone in (*latitudes[paired:], *longitudes[paired:]):
                edits += _emptied(text, alone)
        if turn:
            for one in found:
                old_course = text[one.start : one.end]
                if one.field.rule == "course" and (new := turned_course(old_course, turn)):
                    edits.append(Edit(one.start, one.end, new, _RULE))
        return edits

    def is_shape(self, text: str, start: int) -> bool:
        """Whether :meth:`shapes` reads what stands at ``start`` as a geofence's shape."""
        return _SHAPE.match(text, start) is not None

    def shapes(self, text: str) -> Iterator[Edit]:
        """The edits of the shapes in a text, and of pairs of numbers that look like a place; they
        may overlap.
        """
        if "(" in text:
            for shape in _SHAPE.finditer(text):
                # With the character behind it, which a number may go on with.
                for point in _SHAPE_POINT.finditer(text, shape.start(), shape.end() + 1):
                    yield from self._pair(point)
        if _MAY_BE_PAIR.search(text.encode("iso-8859-1", "replace").translate(_DIGITS)) is None:
            return
        for run in _RUN.finditer(text):
            # More than two numbers are measurements.
            pair = _SEPARATED.fullmatch(text, *run.span())
            if pair is not None:
                yield from self._pair(pair)

    def _pair(self, pair: re.Match[str]) -> Iterator[Edit]:
        moved = self._moved(pair[1], pair[2])
        if moved is not None:
            for group, new in ((1, moved.latitude), (2, moved.longitude)):
                if new != pair[group]:
                    yield Edit(pair.start(group), pair.end(group), new, _RULE)

    def _moved(self, latitude: str, longitude: str) -> Moved | None:
        moved = self._moves.get((latitude, longitude))
        if moved is None:
            moved = self._motion.moved_texts(latitude, longitude)
            if moved is not None:
                while len(self._moves) >= _REMEMBERED:
                    del self._moves[next(iter(self._moves))]
                self._moves[latitude, longitude] = moved
                # Asked about what it was moved to, it stays there.
                self._moves[moved.latitude, moved.longitude] = moved._replace(turn_degrees=0.0)
        return moved


def _emptied(text: str, one: Found) -> list[Edit]:
    """A coordinate that cannot be moved, replaced by 0 with its decimals, so that whoever reads a
    number finds one.
    """
    old = text[one.start : one.end]
    if WHOLE_MARK.fullmatch(old) or not old.strip() or old in ("null", "undefined"):
        return []
    _, point, decimals = old.partition(".")
    if re.fullmatch(r"[-+0-9.eE]+", old) is None:
        new = mark(_RULE)
    else:
        new = "0." + "0" * sum(map(str.isdigit, decimals)) if point and decimals else "0"
    return [Edit(one.start, one.end, new, _RULE)] if new != old else []
