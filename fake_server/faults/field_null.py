"""The fault ``field-null``."""

from __future__ import annotations

from fake_server.faults.fields import FieldFault, JsonObject
from fake_server.faults.json_places import Edit

__all__ = ["FieldNull"]


class FieldNull(FieldFault, frozen=True, kw_only=True, tag="field-null"):
    """The field is ``null``."""

    def edits(self, text: bytes, found: JsonObject, name: str) -> list[Edit]:
        """``null`` for what stands there; an object that has no such field, or has it null, stays
        as it is.
        """
        return [
            (member.value, member.end, b"null")
            for member in found.named(name)
            if text[member.value : member.end] != b"null"
        ]
