"""What a report is asked for, from the query of a GET or the JSON body of a POST.

Names and kinds are in :data:`PARAMETERS`. Whatever names the table lacks is left alone here: to
tell of unknown parameters is for whoever reads the whole request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import msgspec

from fake_server.reports.errors import ReportError
from recorder.track.rules import Rules
from replayer.playing.dates import read_date

__all__ = ["PARAMETERS", "Parameter", "ReportParameters", "read_parameters"]

ValueKind = Literal["id", "date", "boolean", "seconds", "text"]


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of the reports: how its value is read and what it means.

    ``source`` is the evidence: a section of the manual, Traccar lineage, seen in clients, or
    assumption. ``body_name`` is a second name that JSON bodies may have for it.
    """

    name: str
    kind: ValueKind
    description: str
    source: str
    repeatable: bool = False
    required: bool = False
    body_name: str = ""


PARAMETERS: Final = (
    Parameter(
        "deviceId",
        "id",
        "Devices, in the order of the report; 0 is all, none at all is none.",
        "manual 4.6; repeatable: Traccar lineage; 0: seen in clients",
        repeatable=True,
        body_name="deviceIds",
    ),
    Parameter(
        "groupId",
        "id",
        "Also the devices whose groupId this is.",
        "Traccar lineage",
        repeatable=True,
        body_name="groupIds",
    ),
    Parameter("from", "date", "The first moment of the period.", "manual 4.6", required=True),
    Parameter("to", "date", "The last moment of the period.", "manual 4.6", required=True),
    Parameter(
        "type",
        "text",
        "Types of events; none, or allEvents, is all. Only of the report of events.",
        "Traccar lineage",
        repeatable=True,
        body_name="types",
    ),
    Parameter(
        "filterSameLocation",
        "boolean",
        "Of consecutive positions at one place keep one.",
        "manual 4.6; how: assumption",
    ),
    Parameter(
        "filterFlapping",
        "boolean",
        "Drop a short stay at B where a device goes from A to B and back.",
        "manual 4.6; how: assumption",
    ),
    Parameter(
        "filterNonBeacon",
        "boolean",
        "Drop positions without a beacon.",
        "seen in clients; how: assumption",
    ),
    Parameter(
        "filterDurationMin",
        "seconds",
        "Drop stays that end sooner than so many seconds after they began; 0 drops none.",
        "seen in clients; how: assumption",
    ),
    Parameter(
        "gapTime",
        "seconds",
        "With filterSameLocation: a position that comes more than so many seconds after the one "
        "before it is kept even at the same place; 0 keeps none.",
        "seen in clients; how: assumption",
    ),
    Parameter(
        "useServerTime",
        "boolean",
        "Period and order of positions go by serverTime, not by fixTime.",
        "seen in clients; how: assumption",
    ),
    Parameter(
        "includeNoRssiFilterDevices",
        "boolean",
        "Read and without effect, as its meaning is not known.",
        "seen in clients",
    ),
    Parameter(
        "trackableId",
        "text",
        "Read and without effect, as its meaning is not known.",
        "seen in clients",
        repeatable=True,
        body_name="trackableIds",
    ),
    Parameter(
        "queryId",
        "text",
        "Read and without effect, as its meaning is not known.",
        "seen in clients",
    ),
)
"""Every parameter of the reports, of all three alike."""


class ReportParameters(msgspec.Struct, frozen=True, kw_only=True):
    """What a report is asked for. ``from_ns`` and ``to_ns`` are UTC, both within the period.

    The meaning of each field is in :data:`PARAMETERS`.
    """

    from_ns: int
    to_ns: int
    device_ids: tuple[int, ...] = ()
    group_ids: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    filter_same_location: bool = False
    filter_flapping: bool = False
    filter_non_beacon: bool = False
    duration_min_s: int = 0
    gap_time_s: int = 0
    use_server_time: bool = False


def read_parameters(given: str | bytes, rules: Rules) -> ReportParameters:
    """The parameters in a query (str, as it was sent) or in a JSON body (bytes).

    A value that is empty or null counts as left out: the script of manual section 4.6 leaves an
    ``&`` unquoted, so that its query ends in ``&to=…&``. Of a parameter that is not repeatable the
    first value counts (Traccar lineage). Raises ReportError naming the parameter, what was read
    and what was expected.
    """
    values: dict[str, list[Any]] = {}
    found = _from_query(given) if isinstance(given, str) else _from_body(given)
    for parameter in PARAMETERS:
        values[parameter.name] = [
            _read(parameter, name, value, rules)
            for name in (parameter.name, parameter.body_name)
            for value in found.get(name, ())
        ]
        if parameter.required and not values[parameter.name]:
            raise ReportError.missing(parameter.name, _EXPECTED[parameter.kind])

    def first(name: str, default: Any) -> Any:
        return values[name][0] if values[name] else default

    return ReportParameters(
        from_ns=first("from", 0),
        to_ns=first("to", 0),
        device_ids=tuple(values["deviceId"]),
        group_ids=tuple(values["groupId"]),
        types=tuple(values["type"]),
        filter_same_location=first("filterSameLocation", False),
        filter_flapping=first("filterFlapping", False),
        filter_non_beacon=first("filterNonBeacon", False),
        duration_min_s=first("filterDurationMin", 0),
        gap_time_s=first("gapTime", 0),
        use_server_time=first("useServerTime", False),
    )


def _from_query(query: str) -> Mapping[str, list[Any]]:
    values: dict[str, list[Any]] = {}
    for name, value in parse_qsl(query):
        values.setdefault(name, []).append(value)
    return values


def _from_body(body: bytes) -> Mapping[str, list[Any]]:
    try:
        members = msgspec.json.decode(body, type=dict[str, Any])
    except (ValueError, RecursionError) as exc:
        raise ReportError(
            "rest.bad-value", 400, seen="a body that is no JSON object", expected="a JSON object"
        ) from exc
    values: dict[str, list[Any]] = {}
    for parameter in PARAMETERS:
        for name in filter(None, (parameter.name, parameter.body_name)):
            value = members.get(name)
            if not parameter.repeatable:
                value = [] if value is None else [value]
            elif value is not None and not isinstance(value, list):
                raise ReportError.bad_value(name, value, "a list")
            values[name] = [one for one in value or () if one != ""]
    return values


_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,19}")
"""What Java's ``Long.parseLong`` takes, its range aside; Python's ``int`` takes more."""

_SECONDS: Final = re.compile(r"[0-9]{1,9}")

_NEW_SPELLING: Final = re.compile(r".*T.*(?:Z|[+-][0-9]{2}:[0-9]{2})")

_EXPECTED: Final = {
    "id": "a whole number of 64 bits",
    "date": "a date such as 2025-02-21T10:00:00.000Z (in a URL the + of a zone is %2B)",
    "boolean": "true or false",
    "seconds": "whole seconds, 0 to 999999999",
    "text": "text",
}


def _read(parameter: Parameter, name: str, value: Any, rules: Rules) -> Any:
    read = _READERS[parameter.kind](value, rules)
    if read is None:
        # Jersey finds no method for an id that is no number, hence the other status.
        status = rules.status_bad_id if parameter.kind == "id" else 400
        expected = _EXPECTED[parameter.kind]
        raise ReportError.bad_value(name, value, expected, status=status)
    return read


def _read_id(value: Any, _: Rules) -> int | None:
    number = _whole(value, _NUMBER)
    return number if number is not None and -(2**63) <= number < 2**63 else None


def _read_seconds(value: Any, _: Rules) -> int | None:
    number = _whole(value, _SECONDS)
    return number if number is not None and 0 <= number <= 999_999_999 else None


def _whole(value: Any, pattern: re.Pattern[str]) -> int | None:
    if type(value) is int:
        return value
    return int(value) if isinstance(value, str) and pattern.fullmatch(value) else None


def _read_date(value: Any, rules: Rules) -> int | None:
    if not isinstance(value, str):
        return None
    if rules.date_spellings == "new" and not _NEW_SPELLING.fullmatch(value):
        return None
    moment = read_date(value)
    return None if moment is None else moment.utc_ns


def _read_boolean(value: Any, _: Rules) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def _read_text(value: Any, _: Rules) -> str | None:
    if type(value) is int:
        return str(value)
    return value if isinstance(value, str) else None


_READERS: Final = {
    "id": _read_id,
    "date": _read_date,
    "boolean": _read_boolean,
    "seconds": _read_seconds,
    "text": _read_text,
}
