"""What the faults of fields share: finding the objects, and the place in them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import msgspec

from fake_server.faults.base import MessageFault, Place, Send, Stage, Step, text_of
from fake_server.faults.json_places import Edit, Item, edited, items_at, retold, spells
from recorder.wire.json_texts import JsonText, split

__all__ = ["FieldFault", "JsonObject"]

_ARRAY, _OBJECT = b"[{"


class JsonObject(msgspec.Struct, frozen=True):
    """An object that begins at ``at``, and its members."""

    at: int
    members: list[Item]

    def named(self, name: str) -> list[Item]:
        """Its members of this name: one, or none; several only in JSON that repeats itself."""
        return [member for member in self.members if spells(member.key, name)]


class FieldFault(MessageFault, frozen=True, kw_only=True):
    """Changes a field of the devices, positions, beacons… in a message.

    ``key``: the field's, as ``deviceId``; a dot leads into an object, as ``attributes.floor``.
    ``objects``: those under this one key of the message, as ``positions``; empty is all.
    ``every``: 1 changes all objects that can be changed, n every n-th of them on each socket.
    """

    key: str
    objects: str = ""
    every: int = 1

    stage: ClassVar[Stage] = Stage.CONTENT

    def __post_init__(self) -> None:
        if not (all(self.key.split(".")) and self.key.isprintable()):
            raise ValueError(f"key = {self.key!r}: expected a name, as 'attributes.floor'")
        if not self.objects.isprintable():
            raise ValueError(f"objects = {self.objects!r}: expected a key, as 'positions'")
        if self.every < 1:
            raise ValueError(f"every = {self.every!r}: expected a count, 1 for all objects")

    @abstractmethod
    def edits(self, text: bytes, found: JsonObject, name: str) -> list[Edit]:
        """What becomes of the field ``name`` of this object; empty leaves it alone."""

    def change(self, send: Send, place: Place) -> list[Step]:
        """The message with the field changed; the same message where there is none."""
        text = text_of(send)
        if text is None:
            return [send]
        *way, name = self.key.split(".")
        edits: list[Edit] = []
        for at in self._objects_in(text):
            holder: int | None = at
            for step in way:
                holder = _object_under(text, holder, step) if holder is not None else None
            if holder is None:
                continue
            if wanted := self.edits(text, JsonObject(holder, items_at(text, holder)), name):
                place.memory["seen"] = place.memory.get("seen", 0) + 1
                if place.memory["seen"] % self.every == 0:
                    edits += wanted
        return [retold(send, edited(text, edits))] if edits else [send]

    def _objects_in(self, text: bytes) -> Iterator[int]:
        for part in split(text):
            if isinstance(part, JsonText) and part.data.startswith(b"{"):
                for kind in items_at(text, part.offset):
                    if text[kind.value] == _ARRAY and (
                        not self.objects or spells(kind.key, self.objects)
                    ):
                        for item in items_at(text, kind.value):
                            if text[item.value] == _OBJECT:
                                yield item.value


def _object_under(text: bytes, at: int, name: str) -> int | None:
    for member in JsonObject(at, items_at(text, at)).named(name):
        if text[member.value] == _OBJECT:
            return member.value
    return None
