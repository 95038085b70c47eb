"""The state that messages amount to: the latest object of each device, beacon and position. A pure
fold.

Objects are kept as the raw JSON text that they came in, so that number and date text stays as
recorded (``100.0`` is not ``100``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Self

import msgspec

from recorder.track.kinds import objects_of, read_message

__all__ = ["OBJECT_KINDS", "State"]

OBJECT_KINDS: Final = ("devices", "beacons", "positions")
"""The kinds whose messages hold objects with an id, in the order in which they are pushed on
opening (manual section 3).
"""

_MAX_POSITIONS: Final = 100_000
"""So many positions can be found by id; older ones are forgotten, as an endless playback must not
grow.
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

    def __init__(self) -> None:
        self.devices: dict[Any, bytes] = {}
        self.beacons: dict[Any, bytes] = {}
        self._latest: dict[Any, bytes] = {}
        self._positions_by_id: dict[Any, bytes] = {}

    def copy(self) -> Self:
        """An independent copy; the objects themselves are shared, as they are immutable."""
        other = type(self)()
        other.devices = dict(self.devices)
        other.beacons = dict(self.beacons)
        other._latest = dict(self._latest)
        other._positions_by_id = dict(self._positions_by_id)
        return other

    def apply(self, payload: bytes, *, only_new: bool = False) -> None:
        """Fold a message in. With ``only_new`` an object that is known already stays as it is."""
        for part in read_message(payload):
            if part.kind in OBJECT_KINDS:
                self.put(part.kind, map(bytes, objects_of(part)), only_new=only_new)

    def put(self, kind: str, objects: Iterable[bytes], *, only_new: bool = False) -> None:
        """Fold objects of one kind in, each a raw JSON text."""
        for text in objects:
            ids = _ids_of(text)
            if ids.id is None:
                continue
            if kind == "positions":
                self._put_position(ids, text, only_new=only_new)
            else:
                known: dict[Any, bytes] = getattr(self, kind)
                if not (only_new and ids.id in known):
                    known[ids.id] = text

    def _put_position(self, ids: _Ids, text: bytes, *, only_new: bool) -> None:
        # A position without a device stands for itself.
        owner = ("position", ids.id) if ids.deviceId is None else ids.deviceId
        if not (only_new and owner in self._latest):
            self._latest[owner] = text
        if not (only_new and ids.id in self._positions_by_id):
            self._positions_by_id.pop(ids.id, None)
            self._positions_by_id[ids.id] = text
            if len(self._positions_by_id) > _MAX_POSITIONS:
                del self._positions_by_id[next(iter(self._positions_by_id))]

    def objects(self, kind: str) -> list[bytes]:
        """All devices or beacons, or the latest position of each device, in the order of first
        sight.
        """
        return list((self._latest if kind == "positions" else getattr(self, kind)).values())

    def positions_by_id(self, ids: Iterable[Any]) -> list[bytes]:
        """The positions with these ids, in their order; unknown ones are left out."""
        return [self._positions_by_id[one] for one in ids if one in self._positions_by_id]

    def positions_of_devices(self, device_ids: Iterable[Any]) -> list[bytes]:
        """The latest position of each of these devices, in order; unknown ones are left out."""
        return [self._latest[one] for one in device_ids if one in self._latest]

    def messages(self) -> list[bytes]:
        """What a client that opens a socket now must be told: one message a kind, none for an empty
        kind.
        """
        return [
            b'{"%s":[%s]}' % (kind.encode(), b",".join(objects))
            for kind in OBJECT_KINDS
            if (objects := self.objects(kind))
        ]


def _ids_of(text: bytes) -> _Ids:
    try:
        ids = _read_ids(text)
        hash((ids.id, ids.deviceId))
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError, RecursionError):
        return _Ids()
    return ids
