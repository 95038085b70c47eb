"""What an account may see: which objects REST lists for it, and what of a message its sockets are
sent. Pure.

Devices are named by id, name or uniqueId; a position or an event is seen by who sees its device. A
beacon is seen if the account names it, or names no beacons and the beacon has no device or one that
is seen.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

from recorder.track.kinds import Part, read_message

__all__ = ["Identity", "Named", "Sight", "identity_of"]

Named: TypeAlias = frozenset[int | str]
"""Objects as an account names them: numbers are ids; texts are ids, names or uniqueIds."""

_NEVER_HIDDEN: Final = frozenset({"status", "webSessionTimeout"})


class Identity(msgspec.Struct, frozen=True):
    """What of an object says which it is; None where it has no such field, or no scalar there."""

    id: Any = None
    deviceId: Any = None  # noqa: N815 - the backend's spelling
    name: Any = None
    uniqueId: Any = None  # noqa: N815 - the backend's spelling


_read_identity: Final = msgspec.json.Decoder(Identity).decode
_NOBODY: Final = Identity()


def identity_of(object_text: bytes | msgspec.Raw) -> Identity:
    """The identity of one object, raw JSON text; all None if it is no object that can be read."""
    try:
        identity = _read_identity(object_text)
        hash((identity.id, identity.deviceId, identity.name, identity.uniqueId))
    except (ValueError, TypeError, RecursionError):
        return _NOBODY
    return identity


class Sight(msgspec.Struct, frozen=True):
    """What one account, or several that see the same, may see. Equal sights have equal hashes.

    ``devices`` and ``beacons`` are what the account names, None for all; ``device_ids`` are the ids
    of the devices it names by name or uniqueId, as far as they are known; ``beacon_ids`` those of
    the beacons it created.
    """

    devices: Named | None = None
    beacons: Named | None = None
    device_ids: frozenset[Any] = frozenset()
    beacon_ids: frozenset[Any] = frozenset()

    @property
    def everything(self) -> bool:
        """Whether nothing is hidden."""
        return self.devices is None and self.beacons is None

    def names_device(self, device: Identity) -> bool:
        """Whether a device is seen."""
        named = self.devices
        return (
            named is None
            or device.id in named
            or device.id in self.device_ids
            or device.name in named
            or device.uniqueId in named
        )

    def sees_device_id(self, device_id: Any) -> bool:
        """Whether the device with that id is seen; None is no device."""
        if self.devices is None:
            return True
        return device_id is not None and (device_id in self.devices or device_id in self.device_ids)

    def sees(self, kind: str, object_text: bytes | msgspec.Raw) -> bool:
        """Whether an object of a kind is seen. One of another kind than the manual's is hidden only
        if it has a device that is.
        """
        if self.everything or kind in _NEVER_HIDDEN:
            return True
        found = identity_of(object_text)
        if kind == "devices":
            return self.names_device(found)
        if kind in ("positions", "events"):
            return self.sees_device_id(found.deviceId)
        if kind == "beacons" and found.id in self.beacon_ids:
            return True
        if kind == "beacons" and self.beacons is not None:
            return found.id in self.beacons or found.name in self.beacons
        return found.deviceId is None or self.sees_device_id(found.deviceId)

    def seen(self, kind: str, objects: list[bytes]) -> list[bytes]:
        """Those of the objects that are seen; the same list if nothing is hidden."""
        return objects if self.everything else [one for one in objects if self.sees(kind, one)]

    def filtered(self, payload: bytes, *, kind: str = "") -> bytes | None:
        """A payload as this account is sent it: the very same bytes if nothing in it is hidden,
        None if nothing remains.

        What remains keeps the text of every object; what is hidden goes with its comma, a list
        that is emptied with its key, and a JSON text without a key left as a whole. PINGs,
        ``webSessionTimeout``, ``{}`` and what is no JSON always pass. ``kind`` is that of the
        objects in a payload that is a list, or of the one object that it is, as REST answers them.
        """
        if self.everything:
            return payload
        parts = read_message(payload)
        kept = [self._kept(part, kind) for part in parts]
        if all(after is part.data for part, after in zip(parts, kept, strict=True)):
            return payload
        remaining = [text for text in kept if text is not None]
        return b"~".join(remaining) if remaining else None

    def _kept(self, part: Part, kind: str) -> bytes | None:
        """One JSON text: the same bytes, or what remains of it, or None."""
        if part.kind in ("empty", "unparsed"):
            return part.data
        if part.data.startswith(b"["):
            return self._kept_list(kind, part.data)
        if (kind or "deviceId" in part.keys) and not self.sees(kind, part.data):
            return None
        members: dict[str, msgspec.Raw] = _decoded(part.data, dict[str, msgspec.Raw]) or {}
        kept: dict[str, bytes | msgspec.Raw] = {}
        hidden = False
        for key, value in members.items():
            text = bytes(value)
            remains = self._kept_list(key, text) if text.startswith(b"[") else text
            hidden = hidden or remains is not text
            if remains is not None:
                kept[key] = remains
        if not hidden:
            return part.data
        if not kept:
            return None
        pairs = (b"%s:%s" % (msgspec.json.encode(key), text) for key, text in kept.items())
        return b"{%s}" % b",".join(pairs)

    def _kept_list(self, kind: str, text: bytes) -> bytes | None:
        elements: list[msgspec.Raw] = _decoded(text, list[msgspec.Raw]) or []
        kept = [one for one in elements if self.sees(kind, one)]
        if len(kept) == len(elements):
            return text
        return b"[%s]" % b",".join(map(bytes, kept)) if kept else None


def _decoded(text: bytes, shape: Any) -> Any:
    try:
        return msgspec.json.decode(text, type=shape)
    except (ValueError, RecursionError):
        # Nested deeper than the decoder goes: nothing of ours is in it.
        return None
