"""A moment of a recording as somebody names it: seconds since its start, or a wall clock. Pure."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from recorder.model import Header
from replayer.playing.dates import read_date

__all__ = ["EXPECTED", "AskedMoment", "read_moment"]

EXPECTED: Final = (
    "expected seconds since the recording's start, such as 90, 1.5s or 1m30s, or a wall clock, such"
    " as 2026-11-22T17:00:30Z"
)
_LENGTH: Final = re.compile(
    r"(?=\d)(?:(\d{1,12})h)?(?:(\d{1,12})m)?(?:(\d{1,12}(?:\.\d{1,9})?)s?)?", re.ASCII
)


class AskedMoment(msgspec.Struct, frozen=True):
    """``offset_ns`` since the recording's start, or ``wall_ns`` since 1970 in UTC; the other is
    None. Both are of the recording's end."""

    offset_ns: int | None = None
    wall_ns: int | None = None

    @property
    def is_end(self) -> bool:
        """Whether it is the end, wherever that is."""
        return self.offset_ns is None and self.wall_ns is None

    def offset_in(self, header: Header) -> int:
        """Nanoseconds since the start of this recording; negative if it began later. Raises
        ValueError if it has no times, or a wall clock cannot be told in it. Not for its end.
        """
        if header.timing == "none":
            raise ValueError("it has no times")
        if self.offset_ns is not None:
            return self.offset_ns
        assert self.wall_ns is not None
        started = read_date(header.started_at)
        if started is None:
            raise ValueError("the date that it started at cannot be read, so it has no wall clock")
        return self.wall_ns - started.utc_ns


def read_moment(text: str) -> AskedMoment:
    """What the text names: ``90``, ``1.5s``, ``1m30s``, ``2h``, or a date and time of ISO 8601,
    which is in UTC where it has no zone. Raises ValueError, which says what was expected.
    """
    length = _LENGTH.fullmatch(text)
    if length is not None:
        hours, minutes, rest = length.groups(default="0")
        whole, _, fraction = rest.partition(".")
        whole_s = int(hours) * 3600 + int(minutes) * 60 + int(whole)
        # As integers: a float of seconds is not exact to the nanosecond.
        return AskedMoment(offset_ns=whole_s * 1_000_000_000 + int(fraction.ljust(9, "0")))
    wall = read_date(text)
    if wall is None:
        raise ValueError(f"{text!r} is no time; {EXPECTED}")
    return AskedMoment(wall_ns=wall.utc_ns)
