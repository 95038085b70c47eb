"""What a report is made of, and the reports of route and events: which objects of a history are in
a period, in which order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from fake_server.reports.errors import ReportError
from fake_server.reports.filters import Fix, filtered
from fake_server.reports.parameters import ReportParameters
from recorder.track.rules import Rules
from replayer.playing.dates import read_date

__all__ = ["History", "device_ids", "events", "route", "routes"]


class History(msgspec.Struct, frozen=True):
    """What an account sees, all of it: raw JSON texts of objects, devices in the order of a
    report of all, positions and events in any order.
    """

    devices: Sequence[bytes] = ()
    positions: Sequence[bytes] = ()
    events: Sequence[bytes] = ()


class _Device(msgspec.Struct):
    id: Any = None
    groupId: Any = None  # noqa: N815 - the backend's spelling


class _Position(msgspec.Struct):
    deviceId: Any = None  # noqa: N815
    fixTime: Any = None  # noqa: N815
    serverTime: Any = None  # noqa: N815
    beaconId: Any = None  # noqa: N815
    latitude: Any = None
    longitude: Any = None


class _Event(msgspec.Struct):
    deviceId: Any = None  # noqa: N815
    serverTime: Any = None  # noqa: N815
    type: Any = None


_read_device: Final = msgspec.json.Decoder(_Device).decode
_read_position: Final = msgspec.json.Decoder(_Position).decode
_read_event: Final = msgspec.json.Decoder(_Event).decode


def route(history: History, parameters: ReportParameters, rules: Rules) -> list[bytes]:
    """The positions of each device, filtered; by device, then by time (Traccar lineage). Texts are
    as they came. Raises ReportError.
    """
    found = routes(history, parameters, rules)
    return [fix.text for fixes in found.values() for fix in fixes]


def routes(
    history: History, parameters: ReportParameters, rules: Rules
) -> dict[Any, Sequence[Fix]]:
    """The same, apart: for each device that was asked for, in order, also where there is nothing.

    Positions whose time cannot be read are in no period.
    """
    found: dict[Any, list[Fix]] = {one: [] for one in device_ids(history, parameters, rules)}
    for text in history.positions:
        position = _read(_read_position, text)
        fixes = found.get(position.deviceId) if position and _is_id(position.deviceId) else None
        if position is None or fixes is None:
            continue
        at_ns = _utc_ns(position.serverTime if parameters.use_server_time else position.fixTime)
        if at_ns is not None and parameters.from_ns <= at_ns <= parameters.to_ns:
            place = position.beaconId
            has_beacon = place is not None
            if not has_beacon:
                place = (position.latitude, position.longitude)
            fixes.append(Fix(text, at_ns, (has_beacon, place), has_beacon))
    for fixes in found.values():
        fixes.sort(key=lambda fix: fix.at_ns)
    return {one: filtered(fixes, parameters, rules) for one, fixes in found.items()}


def events(history: History, parameters: ReportParameters, rules: Rules) -> list[bytes]:
    """The events of each device, of the types that were asked for; by device, then by serverTime,
    which the period is of, too (Traccar lineage). Filters are of positions. Raises ReportError.
    """
    found: dict[Any, list[tuple[int, bytes]]] = {
        one: [] for one in device_ids(history, parameters, rules)
    }
    every_type = not parameters.types or "allEvents" in parameters.types
    for text in history.events:
        event = _read(_read_event, text)
        if event is None or not _is_id(event.deviceId) or event.deviceId not in found:
            continue
        at_ns = _utc_ns(event.serverTime)
        if at_ns is None or not parameters.from_ns <= at_ns <= parameters.to_ns:
            continue
        if every_type or event.type in parameters.types:
            found[event.deviceId].append((at_ns, text))
    return [text for one in found.values() for _, text in sorted(one, key=lambda pair: pair[0])]


def device_ids(history: History, parameters: ReportParameters, rules: Rules) -> list[int]:
    """The devices that a report is of, each once, in its order: as they were asked for, then those
    of the groups; all in the order of the history.

    A device that only positions or events speak of is one, too. Raises ReportError if one that was
    asked for by id is none.
    """
    groups = {
        device.id: device.groupId
        for text in history.devices
        if (device := _read(_read_device, text)) is not None and _is_id(device.id)
    }
    known = dict.fromkeys(groups)
    if any(one not in known for one in parameters.device_ids):
        known |= dict.fromkeys(_owners(history.positions, _read_position))
        known |= dict.fromkeys(_owners(history.events, _read_event))
    asked: dict[int, None] = {}
    for one in parameters.device_ids:
        if one in known:
            asked[one] = None
        elif one == 0 and rules.device_zero_is_all:
            asked |= known
        else:
            raise ReportError.unknown_device(one, rules)
    for one, group in groups.items():
        if group in parameters.group_ids:
            asked[one] = None
    return list(asked)


def _owners(texts: Iterable[bytes], read: Callable[[bytes], Any]) -> list[int]:
    objects = (_read(read, text) for text in texts)
    return [one.deviceId for one in objects if one is not None and _is_id(one.deviceId)]


def _read(read: Callable[[bytes], Any], text: bytes) -> Any:
    """The object, or None if it is none that can be read."""
    try:
        return read(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _is_id(value: Any) -> bool:
    return type(value) is int


def _utc_ns(text: Any) -> int | None:
    moment = read_date(text) if isinstance(text, str) else None
    return None if moment is None else moment.utc_ns
