"""Whose a position is: device to ``positionId`` to position, as the manual's section 3.6 joins
them, and position to device by ``deviceId``, as live updates have it. Pure.

Strategy: a device's message claims the position that its ``positionId`` names. A position goes to
those that claim it and to the device of its ``deviceId``, at once where one of them is known. Else
it waits for a message that makes it known, so long as no more than :data:`HELD` wait; then, or at
the end, it goes as it is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, TypeAlias, TypeVar

import msgspec

from replayer.measurements.fields import name_of
from replayer.reading.said import Said

__all__ = ["HELD", "Choice", "Device", "Join", "Joined", "JoinedBy", "Repeats"]

HELD: Final = 10_000
"""So many positions wait for their device, and so many claims for their position."""

_REMEMBERED: Final = 100_000

JoinedBy: TypeAlias = Literal["positionId", "deviceId", "both", "nothing"]
"""Which field said whose a position is, as far as it was known then."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """Who measured: an id of whatever type, and the names that were told of it so far."""

    id: Any
    name: str | None = None
    unique_id: str | None = None

    def is_called(self, wanted: str) -> bool:
        """Whether ``wanted`` is its id, its name or its uniqueId."""
        return wanted in (str(self.id), self.name, self.unique_id)


class Joined(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A position with its device, None where nothing says whose it is. ``text`` is its JSON,
    ``seq`` and ``offset_ns`` are those of the message that told it."""

    seq: int
    offset_ns: int | None
    text: bytes
    position_id: Any
    beacon_id: Any
    beacon_name: str | None
    device: Device | None
    joined_by: JoinedBy


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which measurements are wanted: of a device or beacon by id or name, and from when to when,
    both ends included. None takes all; a time takes nothing that is untimed."""

    device: str | None = None
    beacon: str | None = None
    from_ns: int | None = None
    to_ns: int | None = None

    def takes(self, one: Joined) -> bool:
        """Whether the position is wanted."""
        if self.device is not None and (
            one.device is None or not one.device.is_called(self.device)
        ):
            return False
        if self.beacon is not None and self.beacon not in (str(one.beacon_id), one.beacon_name):
            return False
        return self.takes_time(one.offset_ns)

    def takes_time(self, offset_ns: int | None) -> bool:
        """Whether what came at that moment is wanted."""
        if self.from_ns is None and self.to_ns is None:
            return True
        if offset_ns is None:
            return False
        return (self.from_ns or 0) <= offset_ns and (self.to_ns is None or offset_ns <= self.to_ns)


class _Position(msgspec.Struct, rename="camel"):
    id: Any = None
    device_id: Any = None
    device_name: Any = None
    beacon_id: Any = None
    beacon_name: Any = None


class _Device(msgspec.Struct, rename="camel"):
    id: Any = None
    name: Any = None
    unique_id: Any = None
    position_id: Any = None


_read_position: Final = msgspec.json.Decoder(_Position).decode
_read_device: Final = msgspec.json.Decoder(_Device).decode


class Repeats:
    """Tells what says nothing new: an object whose last text was the same. On opening a socket, and
    in answers of REST, the backend tells again what it told before. The objects that were told last
    are remembered, 100 000 of them."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, Any], int] = OrderedDict()

    def has(self, kind: str, object_id: Any, text: bytes) -> bool:
        """Whether the text is a repeat; it is remembered. What has no id is none."""
        if object_id is None:
            return False
        key, value = (kind, object_id), hash(text)
        if self._last.get(key) == value:
            return True
        _remember(self._last, key, value, _REMEMBERED)
        return False


class _Waiting(msgspec.Struct, frozen=True):
    said: Said
    position: _Position


class Join:
    """The fold: :meth:`feed` each object that was said, :meth:`finish` at the end; both give the
    positions that are joined by then. ``repeats`` counts those that were told again with the same
    text, and left out; ``unread`` the objects that could not be read as one.

    ``devices`` holds every device that was told of, by id: with the positions that wait, and the
    claims, that is its memory.
    """

    def __init__(self, *, held: int = HELD) -> None:
        self.devices: dict[Any, Device] = {}
        self.repeats = 0
        self.unread = 0
        self._held = held
        self._told = Repeats()
        self._claims: OrderedDict[Any, tuple[Any, ...]] = OrderedDict()
        self._waiting: OrderedDict[int, _Waiting] = OrderedDict()
        self._by_position: dict[Any, list[int]] = {}
        self._by_device: dict[Any, list[int]] = {}
        self._count = 0

    def called(self, wanted: str) -> list[Device]:
        """The devices that have this id, name or uniqueId: names need not be unique."""
        return [one for one in self.devices.values() if one.is_called(wanted)]

    def through(self, said: Iterable[Said]) -> Iterator[Joined]:
        """All of it: the positions among the objects, joined. Raises what ``said`` raises."""
        for one in said:
            yield from self.feed(one)
        yield from self.finish()

    def feed(self, said: Said) -> list[Joined]:
        """What one object makes known."""
        try:
            if said.kind == "positions":
                position = _read_position(said.text)
                hash((position.id, position.device_id, position.beacon_id))
                return self._position(said, position)
            if said.kind == "devices":
                device = _read_device(said.text)
                hash((device.id, device.position_id))
                return self._device(device)
        except (ValueError, TypeError, RecursionError):
            self.unread += 1
        return []

    def finish(self) -> list[Joined]:
        """The positions that still wait, in the order in which they came."""
        return [one for key in list(self._waiting) for one in self._release(key)]

    def _device(self, told: _Device) -> list[Joined]:
        if told.id is None:
            return []
        known = self.devices.get(told.id)
        self.devices[told.id] = Device(
            id=told.id,
            name=name_of(told.name) or (known.name if known else None),
            unique_id=name_of(told.unique_id) or (known.unique_id if known else None),
        )
        released = self._by_device.get(told.id, [])
        if told.position_id is not None:
            claims = self._claims.get(told.position_id, ())
            if told.id not in claims:
                _remember(self._claims, told.position_id, (*claims, told.id), self._held)
            released = released + self._by_position.get(told.position_id, [])
        return [one for key in sorted(set(released)) for one in self._release(key)]

    def _position(self, said: Said, position: _Position) -> list[Joined]:
        if self._told.has("positions", position.id, said.text):
            self.repeats += 1
            return []
        owner = position.device_id
        name = name_of(position.device_name)
        released: list[Joined] = []
        known = self.devices.get(owner)
        if owner is not None and name is not None and (known is None or known.name is None):
            self.devices[owner] = Device(
                id=owner, name=name, unique_id=None if known is None else known.unique_id
            )
            # Those of the same device go first, so that its way keeps its order.
            waited = list(self._by_device.get(owner, ()))
            released = [row for key in waited for row in self._release(key)]
        one = _Waiting(said, position)
        if owner in self.devices or self._claims.get(position.id):
            return released + self._rows(one)
        self._count += 1
        self._waiting[self._count] = one
        if position.id is not None:
            self._by_position.setdefault(position.id, []).append(self._count)
        if owner is not None:
            self._by_device.setdefault(owner, []).append(self._count)
        if len(self._waiting) > self._held:
            return self._release(next(iter(self._waiting)))
        return []

    def _release(self, key: int) -> list[Joined]:
        one = self._waiting.pop(key)
        for index, name in (
            (self._by_position, one.position.id),
            (self._by_device, one.position.device_id),
        ):
            if name is not None:
                index[name].remove(key)
                if not index[name]:
                    del index[name]
        return self._rows(one)

    def _rows(self, one: _Waiting) -> list[Joined]:
        position = one.position
        owners: dict[Any, JoinedBy] = dict.fromkeys(self._claims.get(position.id, ()), "positionId")
        if position.device_id is not None:
            owners[position.device_id] = "both" if position.device_id in owners else "deviceId"
        if not owners:
            owners[None] = "nothing"
        return [
            Joined(
                seq=one.said.seq,
                offset_ns=one.said.offset_ns,
                text=one.said.text,
                position_id=position.id,
                beacon_id=position.beacon_id,
                beacon_name=name_of(position.beacon_name),
                device=None if owner is None else self.devices.get(owner, Device(id=owner)),
                joined_by=by,
            )
            for owner, by in owners.items()
        ]


def _remember(known: OrderedDict[_Key, _Value], key: _Key, value: _Value, limit: int) -> None:
    """Keep a value as the newest; the oldest is forgotten. A plain dict would look for its first
    key among all that were deleted before it."""
    known[key] = value
    known.move_to_end(key)
    if len(known) > limit:
        known.popitem(last=False)
