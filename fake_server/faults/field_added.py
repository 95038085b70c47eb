"""The fault ``field-added``."""

from __future__ import annotations

import json

import msgspec

from fake_server.faults.fields import FieldFault, JsonObject
from fake_server.faults.json_places import Edit

__all__ = ["FieldAdded"]


class FieldAdded(FieldFault, frozen=True, kw_only=True, tag="field-added"):
    """A field that was not there stands at the end of the object.

    ``value``: its value, as JSON text: ``1.10``, ``"text"``, ``{"a":[]}``. It goes out as it is
    written.
    """

    value: str = "null"

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            msgspec.json.decode(self.value.encode(), type=msgspec.Raw)
        except (ValueError, RecursionError) as error:
            expected = 'JSON text, as 1.10 or null, and strings in their quotes, as "text"'
            raise ValueError(f"value = {self.value!r}: expected {expected}") from error

    def edits(self, text: bytes, found: JsonObject, name: str) -> list[Edit]:
        """Key and value behind the last member; an object that has the field stays as it is."""
        if found.named(name):
            return []
        end = found.members[-1].end if found.members else found.at + 1
        comma = b"," if found.members else b""
        key = json.dumps(name, ensure_ascii=False).encode()
        return [(end, end, comma + key + b":" + self.value.encode())]
