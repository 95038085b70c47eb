"""What clients wrote by POST, PUT and DELETE, over the state that playback amounts to. Pure.

What was written wins over the state until it is reset, and what was deleted stays deleted.
"""

from __future__ import annotations

from typing import Any, Final

from fake_server.sight import identity_of

__all__ = ["Written"]

_ID_STEP: Final = 1_000_000
"""New ids begin at the next million, so that those of positions that playback is still to bring
stay free.
"""


class Written:
    """Written objects by id, each its raw JSON text, or None where it was deleted.

    ``devices``, ``beacons`` and ``positions`` are to be read only.
    """

    def __init__(self) -> None:
        self.devices: dict[Any, bytes | None] = {}
        self.beacons: dict[Any, bytes | None] = {}
        self.positions: dict[Any, bytes | None] = {}
        # The device of each position that was created, in order: those may be its latest.
        self._created: dict[Any, Any] = {}
        self._deleted_devices: set[Any] = set()
        self._last_id = 0

    @property
    def changes_positions(self) -> bool:
        """Whether any position of the state may be another now."""
        return bool(self.positions or self._deleted_devices)

    def new_id(self, highest_known: int) -> int:
        """An id above every one that was given out or is known."""
        if highest_known >= self._last_id:
            self._last_id = highest_known - highest_known % _ID_STEP + _ID_STEP
        self._last_id += 1
        return self._last_id

    def put(self, kind: str, object_id: Any, text: bytes, *, created: bool = False) -> None:
        """An object was created or updated. A position that was created is the latest of its
        device.
        """
        self._of(kind)[object_id] = text
        if kind == "positions" and (created or object_id in self._created):
            device = identity_of(text).deviceId
            # A position without a device stands for itself.
            self._created[object_id] = ("position", object_id) if device is None else device

    def delete(self, kind: str, object_id: Any) -> None:
        """An object was deleted; with a device go its positions."""
        self._of(kind)[object_id] = None
        if kind == "devices":
            self._deleted_devices.add(object_id)
        elif kind == "positions":
            self._created.pop(object_id, None)

    def get(self, kind: str, object_id: Any, otherwise: bytes | None) -> bytes | None:
        """One object: as it was written, else ``otherwise``, which is the state's; None if there is
        none.
        """
        text = self._of(kind).get(object_id, otherwise)
        if text is not None and kind == "positions" and self._deleted_devices:
            return None if identity_of(text).deviceId in self._deleted_devices else text
        return text

    def overlay(self, kind: str, objects: list[bytes]) -> list[bytes]:
        """A list of the state (of positions: the latest of each device) as it is with what was
        written. Each object keeps its place; new ones follow. The same list if nothing was written.
        """
        written = self._of(kind)
        if kind == "positions":
            return self._overlaid_positions(objects) if self.changes_positions else objects
        if not written:
            return objects
        after: dict[Any, bytes | None] = {}
        for number, text in enumerate(objects):
            known = identity_of(text).id
            # What has no id is kept, under a key that no id can equal.
            after[known if known is not None else (number,)] = text
        after.update(written)
        return [text for text in after.values() if text is not None]

    def history(self, positions: list[bytes]) -> list[bytes]:
        """Positions of any time, each as it is with what was written; what was created follows."""
        if not self.changes_positions:
            return positions
        after = {identity_of(text).id: text for text in positions}
        for object_id in self._created:
            after.setdefault(object_id, b"")
        texts = (self.get("positions", object_id, text) for object_id, text in after.items())
        return [text for text in texts if text is not None]

    def reset(self) -> None:
        """Forget everything that was written; ids are not given out again."""
        self.devices.clear()
        self.beacons.clear()
        self.positions.clear()
        self._created.clear()
        self._deleted_devices.clear()

    def _of(self, kind: str) -> dict[Any, bytes | None]:
        written: dict[Any, bytes | None] = getattr(self, kind)
        return written

    def _overlaid_positions(self, objects: list[bytes]) -> list[bytes]:
        # Later ones replace earlier ones of their device.
        latest = {device: position for position, device in self._created.items()}
        after: list[bytes] = []
        for text in objects:
            found = identity_of(text)
            newest = (
                latest.pop(found.deviceId, found.id) if found.deviceId is not None else found.id
            )
            now = self.get("positions", newest, text)
            if now is not None:
                after.append(now)
        for position in latest.values():
            now = self.get("positions", position, None)
            if now is not None:
                after.append(now)
        return after
