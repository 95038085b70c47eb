"""The state that messages amount to: the latest object of each device, beacon and position, and the
history of positions and events. A pure fold.

Objects are kept as the raw JSON text that they came in, so that number and date text stays as
recorded (``100.0`` is not ``100``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final, Self

import msgspec

from recorder.track.kinds import objects_of, read_message

__all__ = ["OBJECT_KINDS", "State"]

OBJECT_KINDS: Final = ("devices", "beacons", "positions")
"""The kinds whose messages hold objects with an id, in the order in which they are pushed on
opening (manual section 3).
"""

_MAX_POSITIONS: Final = 100_000
"""So many positions can be found by id, and as many events are kept; older ones are forgotten, as
an endless playback must not grow.
"""


class _Ids(msgspec.Struct):
    id: Any = None
    deviceId: Any = None  # noqa: N815 - the backend's spelling


_read_ids = msgspec.json.Decoder(_Ids).decode


class State:
    """Devices, beacons and positions as of now.

    ``apply`` folds one message payload in; what it cannot read, or an object without an id, changes
    nothing.
    """

    __slots__ = (
        "_events_by_id",
        "_latest",
        "_positions_by_id",
        "beacons",
        "devices",
    )

    def __init__(self) -> None:
        self.devices: dict[Any, bytes] = {}
        self.beacons: dict[Any, bytes] = {}
        self._latest: dict[Any, bytes] = {}
        # Not plain dicts: to find the oldest key of one, all that were forgotten are passed over.
        self._positions_by_id: OrderedDict[Any, bytes] = OrderedDict()
        self._events_by_id: OrderedDict[Any, bytes] = OrderedDict()

    def copy(self) -> Self:
        """An independent copy; the objects themselves are shared, as they are immutable."""
        other = type(self)()
        other.devices = dict(self.devices)
        other.beacons = dict(self.beacons)
        other._latest = dict(self._latest)
        other._positions_by_id = self._positions_by_id.copy()
        other._events_by_id = self._events_by_id.copy()
        return other

    def mapped(self, change: Callable[[bytes], bytes]) -> Self:
        """A copy in which each object's text is what ``change`` makes of it; ids and order stay."""
        other = self.copy()
        for known in (
            other.devices,
            other.beacons,
            other._latest,
            other._positions_by_id,
            other._events_by_id,
        ):
            known.update({one: change(text) for one, text in known.items()})
        return other

    def apply(self, payload: bytes, *, only_new: bool = False) -> None:
        """Fold a message in. With ``only_new`` an object that is known already stays as it is."""
        for part in read_message(payload):
            if part.kind in OBJECT_KINDS or part.kind == "events":
                self.put(part.kind, map(bytes, objects_of(part)), only_new=only_new)

    def put(self, kind: str, objects: Iterable[bytes], *, only_new: bool = False) -> None:
        """Fold objects of one kind in, each a raw JSON text."""
        for text in objects:
            ids = _ids_of(text)
            if ids.id is None:
                continue
            if kind == "positions":
                self._put_position(ids, text, only_new=only_new)
            elif kind == "events":
                _remember(self._events_by_id, ids.id, text, only_new=only_new)
            else:
                known: dict[Any, bytes] = getattr(self, kind)
                if not (only_new and ids.id in known):
                    known[ids.id] = text

    def _put_position(self, ids: _Ids, text: bytes, *, only_new: bool) -> None:
        # A position without a device stands for itself.
        owner = ("position", ids.id) if ids.deviceId is None else ids.deviceId
        if not (only_new and owner in self._latest):
            self._latest[owner] = text
        _remember(self._positions_by_id, ids.id, text, only_new=only_new)

    def objects(self, kind: str) -> list[bytes]:
        """All devices or beacons, or the latest position of each device, in the order of first
        sight.
        """
        return list((self._latest if kind == "positions" else getattr(self, kind)).values())

    def get(self, kind: str, object_id: Any) -> bytes | None:
        """The object with that id, of positions also one that is not the latest; or None."""
        known: dict[Any, bytes] = (
            self._positions_by_id if kind == "positions" else getattr(self, kind)
        )
        return known.get(object_id)

    def highest_id(self) -> int:
        """The highest id of all devices, beacons and positions that is a whole number; 0 without
        any.
        """
        known = (self.devices, self.beacons, self._positions_by_id)
        return max((one for ids in known for one in ids if type(one) is int), default=0)

    def positions_by_id(self, ids: Iterable[Any]) -> list[bytes]:
        """The positions with these ids, in their order; unknown ones are left out."""
        return [self._positions_by_id[one] for one in ids if one in self._positions_by_id]

    def positions_of_devices(self, device_ids: Iterable[Any]) -> list[bytes]:
        """The latest position of each of these devices, in order; unknown ones are left out."""
        return [self._latest[one] for one in device_ids if one in self._latest]

    def history(self, kind: str) -> list[bytes]:
        """All ``positions`` or ``events`` that are kept, each id once, in the order in which they
        came.
        """
        return list((self._events_by_id if kind == "events" else self._positions_by_id).values())

    def messages(self) -> list[bytes]:
        """What a client that opens a socket now must be told: one message a kind, none for an empty
        kind.
        """
        return [
            b'{"%s":[%s]}' % (kind.encode(), b",".join(objects))
            for kind in OBJECT_KINDS
            if (objects := self.objects(kind))
        ]


def _remember(known: OrderedDict[Any, bytes], key: Any, text: bytes, *, only_new: bool) -> None:
    """Keep a text as the newest; the oldest is forgotten."""
    if only_new and key in known:
        return
    known.pop(key, None)
    known[key] = text
    if len(known) > _MAX_POSITIONS:
        known.popitem(last=False)


def _ids_of(text: bytes) -> _Ids:
    try:
        ids = _read_ids(text)
        hash((ids.id, ids.deviceId))
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError, RecursionError):
        return _Ids()
    return ids
