"""The dates that Track spells: read, and moved in their own spelling. Pure.

A date is ``2025-02-21T10:05:04.906+00:00``, with these liberties (manual sections 3 and 4, and what
Traccar takes): the zone is ``Z``, ``±hh:mm``, ``±hhmm`` or missing, which is UTC; the fraction has
any number of digits or is missing; the time may be missing with all that follows it, which is
midnight UTC. Nothing else is one: no week dates, no leap seconds, no 24:00, no space for the ``T``.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

import msgspec

__all__ = ["Moment", "read_date", "shifted"]

_SECOND_NS: Final = 1_000_000_000
_MINUTE_NS: Final = 60 * _SECOND_NS
_DAY_NS: Final = 24 * 60 * _MINUTE_NS
_EPOCH: Final = datetime(1970, 1, 1)

_DATE: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.([0-9]+))?"
    r"(?:Z|([+-])([01][0-9]|2[0-3]):?([0-5][0-9]))?)?"
)
_DATE_CHARS: Final = len("2025-02-21")
_SECONDS_CHARS: Final = len("2025-02-21T10:05:04")
_FRACTION_DIGITS: Final = 9


class Moment(msgspec.Struct, frozen=True, gc=False):
    """What a date says and how it says it.

    ``utc_ns`` counts nanoseconds since 1970 in UTC, rounded down where ``text`` is finer;
    ``zone_ns`` is how far its zone is ahead of UTC; ``step_ns`` the least that it can show: a day,
    a second, or a part of one down to a nanosecond.
    """

    utc_ns: int
    text: str
    zone_ns: int
    step_ns: int


def read_date(text: str) -> Moment | None:
    """The moment that all of ``text`` spells; None if it is no date. Raises nothing."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    fraction, sign, zone_hours, zone_minutes = found.groups()
    try:
        since = datetime.fromisoformat(text[:_SECONDS_CHARS]) - _EPOCH
    except ValueError:
        return None
    # As integers: a float of seconds is not exact to the nanosecond.
    local_ns = (since.days * 86_400 + since.seconds) * _SECOND_NS
    step_ns = _DAY_NS if len(text) == _DATE_CHARS else _SECOND_NS
    if fraction is not None:
        digits = fraction[:_FRACTION_DIGITS]
        step_ns = 10 ** (_FRACTION_DIGITS - len(digits))
        local_ns += int(digits) * step_ns
    zone_ns = 0
    if sign is not None:
        zone_ns = (int(zone_hours) * 60 + int(zone_minutes)) * _MINUTE_NS
        if sign == "-":
            zone_ns = -zone_ns
    return Moment(local_ns - zone_ns, text, zone_ns, step_ns)


def shifted(text: str, by_ns: int) -> str:
    """The date ``by_ns`` later, or earlier, in the same spelling: zone, digits, length.

    It moves by what the spelling can show of ``by_ns``: a date alone by whole days, one without a
    fraction by whole seconds. The rest of ``by_ns`` is cut off, toward zero, so that a date moved
    later is rounded down, and moving it back gives the text again. Digits finer than a nanosecond
    stay. What is no date, or would leave the years 1 to 9999, stays as it is. Raises nothing.

    >>> shifted("2020-01-14T23:59:59.5+0000", 600_000_000)
    '2020-01-15T00:00:00.1+0000'
    """
    moment = read_date(text)
    if moment is None:
        return text
    step_ns = moment.step_ns
    cut_ns = by_ns // step_ns * step_ns if by_ns >= 0 else -(-by_ns // step_ns * step_ns)
    seconds, rest_ns = divmod(moment.utc_ns + moment.zone_ns + cut_ns, _SECOND_NS)
    try:
        local = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return text
    if step_ns == _DAY_NS:
        moving = _DATE_CHARS
    elif step_ns == _SECOND_NS:
        moving = _SECONDS_CHARS
    else:
        # 10 ** digits steps make a second, and a point stands before the digits.
        moving = _SECONDS_CHARS + len(str(_SECOND_NS // step_ns))
    return f"{local.isoformat()}.{rest_ns:09d}"[:moving] + text[moving:]
