"""The batteries of devices and beacons over time. A pure fold.

``batteryLevel`` stands in devices (manual section 3.6), in the ``attributes`` of positions, and in
beacons (manual section 4.7); its unit is taken for percent (assumption).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from replayer.measurements.fields import ABSENT, Spelled, given, name_of, number_of, text_of
from replayer.measurements.joining import Choice, Device, Join, Joined, Repeats
from replayer.reading.said import Said

__all__ = ["Battery", "BatteryRow"]


class BatteryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One level that was told. ``kind`` is that of the object that it stood in and ``field`` where
    in it; ``id`` and ``name`` are the device's, or the beacon's if ``kind`` is ``beacons``.

    ``level`` is kept as it came; ``percent`` is its number. ``own_time`` is the object's own time
    as it came: ``fixTime`` of positions, ``lastUpdate`` of devices, ``lastSeen`` of beacons.
    """

    seq: int
    offset_ns: int | None
    own_time: str | None
    kind: str
    id: Any
    name: str | None
    field: str
    level: Spelled
    percent: float | None


class _Attributes(msgspec.Struct, rename="camel"):
    battery_level: msgspec.Raw = ABSENT


class _Levels(msgspec.Struct, rename="camel"):
    battery_level: msgspec.Raw = ABSENT
    attributes: msgspec.Raw = ABSENT
    fix_time: msgspec.Raw = ABSENT
    last_update: msgspec.Raw = ABSENT
    last_seen: msgspec.Raw = ABSENT


class _Named(_Levels, rename="camel"):
    id: Any = None
    name: Any = None


_read_levels: Final = msgspec.json.Decoder(_Levels).decode
_read_named: Final = msgspec.json.Decoder(_Named).decode
_read_attributes: Final = msgspec.json.Decoder(_Attributes).decode


class Battery:
    """The rows of the objects that a recording tells of. ``left_out`` counts what is none, by name.

    With a ``choice`` of a device, beacons are left out, and the other way round: a beacon's battery
    is no device's.
    """

    def __init__(self, choice: Choice | None = None) -> None:
        self.join = Join()
        self.beacons: dict[Any, str | None] = {}
        """Every beacon that was told of, by id, with its name."""
        self.left_out: Counter[str] = Counter()
        self._choice = choice or Choice()
        self._told = Repeats()

    def rows(self, said: Iterable[Said]) -> Iterator[BatteryRow]:
        """One row a level, of objects that were not told before with the same text. Raises what
        ``said`` raises."""
        for one in said:
            # A device's message is joined first, as its positions may have waited for it.
            for joined in self.join.feed(one):
                yield from self._of_position(joined)
            if one.kind in ("devices", "beacons"):
                yield from self._of_object(one)
        for joined in self.join.finish():
            yield from self._of_position(joined)

    def _of_position(self, joined: Joined) -> Iterator[BatteryRow]:
        # A position's level is its device's, wherever that was heard.
        if self._choice.beacon is None and self._choice.takes(joined):
            device = joined.device or Device(id=None)
            yield from self._rows(joined, "positions", device, _read_levels(joined.text))

    def _of_object(self, said: Said) -> Iterator[BatteryRow]:
        try:
            fields = _read_named(said.text)
            is_repeat = self._told.has(said.kind, fields.id, said.text)
        except (ValueError, TypeError, RecursionError):
            # Those of devices were counted by the join.
            self.join.unread += said.kind == "beacons"
            return
        owner = Device(id=fields.id, name=name_of(fields.name))
        if said.kind == "beacons" and owner.id is not None:
            self.beacons[owner.id] = owner.name
        if is_repeat:
            self.join.repeats += 1
        elif self._takes(said, owner):
            yield from self._rows(said, said.kind, owner, fields)

    def _takes(self, said: Said, owner: Device) -> bool:
        choice = self._choice
        if not choice.takes_time(said.offset_ns):
            return False
        if said.kind == "beacons":
            wanted, other = choice.beacon, choice.device
        else:
            wanted, other = choice.device, choice.beacon
            owner = self.join.devices.get(owner.id, owner)
        return other is None and (wanted is None or owner.is_called(wanted))

    def _rows(
        self, where: Joined | Said, kind: str, owner: Device, fields: _Levels
    ) -> Iterator[BatteryRow]:
        levels = {
            "batteryLevel": given(fields.battery_level),
            "attributes.batteryLevel": _inner(fields.attributes),
        }
        times = map(given, (fields.fix_time, fields.last_update, fields.last_seen))
        own_time = next((time for time in times if time is not None), None)
        if all(level is None for level in levels.values()):
            self.left_out[f"{kind} without a battery level"] += 1
        for field, level in levels.items():
            if level is not None:
                yield BatteryRow(
                    seq=where.seq,
                    offset_ns=where.offset_ns,
                    own_time=text_of(own_time),
                    kind=kind,
                    id=owner.id,
                    name=owner.name,
                    field=field,
                    level=level,
                    percent=number_of(level),
                )


def _inner(attributes: msgspec.Raw) -> Spelled | None:
    try:
        return given(_read_attributes(attributes).battery_level)
    except (ValueError, RecursionError):
        return None
