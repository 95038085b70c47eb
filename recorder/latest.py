"""The latest objects in messages of the server (manual section 3), read from the newest message
back, so that only those are taken out that no newer one replaces. Pure.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from recorder.track.kinds import objects_of, read_message

__all__ = ["OBJECT_KINDS", "owner_of", "read_objects", "text_bytes"]

OBJECT_KINDS: Final = ("devices", "beacons", "positions")


class _Ids(msgspec.Struct, gc=False):
    id: Any = None
    deviceId: Any = None  # noqa: N815 - the backend's spelling


class _IdsOfMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The ids of a message's objects, of the usual messages: those that hold nothing else."""

    devices: list[_Ids] | None = None
    beacons: list[_Ids] | None = None
    positions: list[_Ids] | None = None


_read_ids: Final = msgspec.json.Decoder(_Ids).decode
_read_ids_of_message: Final = msgspec.json.Decoder(_IdsOfMessage).decode
_read_objects: Final = msgspec.json.Decoder(dict[str, list[msgspec.Raw]]).decode


def read_objects(text: str | bytes, newest: dict[str, dict[Any, bytes]]) -> bool:
    """Take the objects of a server's message that are not in ``newest`` yet; return whether objects
    of one kind are all that it holds, so that no PING can be in it.
    """
    try:
        ids = _read_ids_of_message(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # Broken JSON is not searched for what may be whole in it: that takes a hundred times as
        # long. Joined texts are, and JSON of another shape.
        if isinstance(error, msgspec.ValidationError) or "trailing characters" in str(error):
            for part in reversed(read_message(text_bytes(text))):
                if part.kind in newest:
                    _keep(part.kind, list(map(bytes, objects_of(part))), newest[part.kind])
        return False
    devices, beacons, positions = ids.devices, ids.beacons, ids.positions
    # As elsewhere, an object with several keys is no message of any kind.
    if (devices is not None) + (beacons is not None) + (positions is not None) == 1:
        kind = OBJECT_KINDS[0 if devices is not None else 1 if beacons is not None else 2]
        known = newest[kind]
        objects: list[msgspec.Raw] | None = None
        found = devices or beacons or positions or []
        for index in range(len(found) - 1, -1, -1):
            try:
                owner = _owner_by(kind, found[index])
                if owner is None or owner in known:
                    continue
            except TypeError:
                continue
            objects = objects or _read_objects(text)[kind]
            known[owner] = bytes(objects[index])
    return True


def _keep(kind: str, objects: list[bytes], known: dict[Any, bytes]) -> None:
    for text in reversed(objects):
        owner = owner_of(kind, text)
        if owner is not None and owner not in known:
            known[owner] = text


def owner_of(kind: str, text: bytes) -> Any:
    """What an object is the latest of: its id, of a position its device's; None if it has none."""
    try:
        owner = _owner_by(kind, _read_ids(text))
        hash(owner)
    except (ValueError, TypeError, RecursionError):
        return None
    return owner


def _owner_by(kind: str, ids: _Ids) -> Any:
    if ids.id is None or kind != "positions":
        return ids.id
    # A position without a device stands for itself.
    return ("position", ids.id) if ids.deviceId is None else ids.deviceId


def text_bytes(text: str | bytes) -> bytes:
    """A text as UTF-8."""
    return text.encode() if isinstance(text, str) else text
