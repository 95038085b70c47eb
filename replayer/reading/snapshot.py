"""How all devices and beacons stood at one moment of a recording: a fold over what was said up to
it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from recorder.model import AnyEntry
from replayer.reading.phrases import rssi_words
from replayer.reading.said import objects_said
from replayer.state import OBJECT_KINDS, State

__all__ = ["BeaconRow", "DeviceRow", "Snapshot", "state_at"]


_KEPT_OBJECTS: Final = 10_000


class DeviceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A device in words, each empty where nothing was told. ``place`` is the beacon or the
    coordinates of its latest position.

    ``status``, ``updated`` and ``battery`` are as they came; a battery is the device's own, else
    that of its position's attributes (manual sections 3.2 and 3.6).
    """

    device_id: str
    name: str
    status: str
    updated: str
    place: str
    rssi: str
    battery: str
    beacon: frozenset[str]
    """Id and name of the beacon that it is at."""
    is_from_position: bool
    """Whether no object of its own was told of it, but a position alone."""


class BeaconRow(msgspec.Struct, frozen=True, kw_only=True):
    """A beacon in words."""

    beacon_id: str
    name: str


class _Fields(msgspec.Struct, rename="camel"):
    """What is shown of a device, beacon or position, as raw JSON."""

    id: msgspec.Raw = msgspec.Raw()
    name: msgspec.Raw = msgspec.Raw()
    status: msgspec.Raw = msgspec.Raw()
    last_update: msgspec.Raw = msgspec.Raw()
    battery_level: msgspec.Raw = msgspec.Raw()
    attributes: msgspec.Raw = msgspec.Raw()
    device_id: msgspec.Raw = msgspec.Raw()
    device_name: msgspec.Raw = msgspec.Raw()
    beacon_id: msgspec.Raw = msgspec.Raw()
    beacon_name: msgspec.Raw = msgspec.Raw()
    latitude: msgspec.Raw = msgspec.Raw()
    longitude: msgspec.Raw = msgspec.Raw()
    rssi: msgspec.Raw = msgspec.Raw()


_read: Final = msgspec.json.Decoder(_Fields).decode
_NOTHING: Final = _Fields()


def state_at(entries: Iterable[AnyEntry], at_ns: int | None) -> State:
    """The state after all that came up to ``at_ns``, inclusive; None is the recording's end. What
    REST answered counts as what a socket said.

    Give it the client legs of what a proxy recorded. Raises what
    :func:`~replayer.reading.said.objects_said` does.
    """
    state = State()
    for number, said in enumerate(objects_said(_until(entries, at_ns)), 1):
        state.put(said.kind, [said.text])
        if number % _KEPT_OBJECTS == 0:
            state = _without_history(state)
    return state


def _without_history(state: State) -> State:
    """The latest of all, in the same order: what came before fills memory and is not asked for."""
    latest = State()
    for kind in OBJECT_KINDS:
        latest.put(kind, state.objects(kind))
    return latest


def _until(entries: Iterable[AnyEntry], at_ns: int | None) -> Iterator[AnyEntry]:
    for entry in entries:
        if at_ns is not None and (entry.offset_ns or 0) > at_ns:
            return
        yield entry


class Snapshot:
    """A state in rows, of the devices and beacons with these ids or names; of all where a set is
    empty. Of the devices only those are told that are at one of the beacons asked for.
    """

    def __init__(
        self,
        state: State,
        devices: frozenset[str] = frozenset(),
        beacons: frozenset[str] = frozenset(),
    ) -> None:
        self._devices = devices
        self._beacons = beacons
        self._own: dict[str, tuple[bytes, _Fields]] = {}
        self._positions: dict[str, tuple[bytes, _Fields]] = {}
        for text in state.objects("devices"):
            fields = _fields(text)
            self._own[_plain(fields.id)] = text, fields
        for text in state.objects("positions"):
            fields = _fields(text)
            self._positions[_plain(fields.device_id)] = text, fields
        self._beacon_texts = [(text, _fields(text)) for text in state.objects("beacons")]
        self._beacon_names = {_plain(one.id): _plain(one.name) for _, one in self._beacon_texts}

    def devices(self) -> list[DeviceRow]:
        """One row a device, in the order in which they were told first; those that are known from a
        position alone are last.
        """
        rows = (self._row(one) for one in dict.fromkeys((*self._own, *self._positions)) if one)
        return [row for row in rows if self._takes(row)]

    def beacons(self) -> list[BeaconRow]:
        """One row a beacon; none where devices alone were asked for."""
        return [
            BeaconRow(beacon_id=_plain(one.id), name=_plain(one.name))
            for _, one in self._taken_beacons()
        ]

    def objects(self) -> Iterator[tuple[str, bytes]]:
        """The same as the objects that came: kind and JSON text, devices, then beacons, then
        positions.
        """
        ids = [row.device_id for row in self.devices()]
        for one in ids:
            if one in self._own:
                yield "devices", self._own[one][0]
        for text, _ in self._taken_beacons():
            yield "beacons", text
        for one in ids:
            if one in self._positions:
                yield "positions", self._positions[one][0]

    def _taken_beacons(self) -> list[tuple[bytes, _Fields]]:
        if self._devices and not self._beacons:
            return []
        return [
            (text, one)
            for text, one in self._beacon_texts
            if not self._beacons or not self._beacons.isdisjoint((_plain(one.id), _plain(one.name)))
        ]

    def _takes(self, row: DeviceRow) -> bool:
        return (not self._devices or not self._devices.isdisjoint((row.device_id, row.name))) and (
            not self._beacons or not self._beacons.isdisjoint(row.beacon)
        )

    def _row(self, device_id: str) -> DeviceRow:
        own = self._own.get(device_id, (b"", _NOTHING))[1]
        position = self._positions.get(device_id, (b"", _NOTHING))[1]
        beacon_id = _plain(position.beacon_id)
        beacon = _plain(position.beacon_name) or self._beacon_names.get(beacon_id, "")
        place = beacon or beacon_id
        if not place and _plain(position.latitude) and _plain(position.longitude):
            place = f"{_plain(position.latitude)}, {_plain(position.longitude)}"
        return DeviceRow(
            device_id=device_id,
            name=_plain(own.name) or _plain(position.device_name),
            status=_plain(own.status),
            updated=_plain(own.last_update),
            place=place,
            rssi=rssi_words(_value(position.rssi)),
            battery=_plain(own.battery_level)
            or _plain(_fields(bytes(position.attributes)).battery_level),
            beacon=frozenset(one for one in (beacon_id, beacon) if one),
            is_from_position=device_id not in self._own,
        )


def _fields(text: bytes) -> _Fields:
    try:
        return _read(text)
    except (ValueError, RecursionError):
        return _NOTHING


def _value(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw) if bytes(raw) else None
    except (ValueError, RecursionError):
        return None


def _plain(raw: msgspec.Raw) -> str:
    """A string without its quotes, a number as it stood; empty for anything else."""
    value = _value(raw)
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return bytes(raw).decode("ascii").strip()
    return ""
