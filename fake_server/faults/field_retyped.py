"""The fault ``field-retyped``."""

from __future__ import annotations

import re
from typing import Final

from fake_server.faults.fields import FieldFault, JsonObject
from fake_server.faults.json_places import Edit, items_at

__all__ = ["FieldRetyped"]

_NUMBER: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class FieldRetyped(FieldFault, frozen=True, kw_only=True, tag="field-retyped"):
    """The field has another type: numbers, booleans and null become strings of the same letters; a
    string becomes the number that it spells, else ``0``; an object stands in an array, and an array
    becomes an object with the keys ``"0"``, ``"1"``…
    """

    def edits(self, text: bytes, found: JsonObject, name: str) -> list[Edit]:
        """Only quotes, brackets and keys come and go: numbers keep their spelling."""
        return [
            edit
            for member in found.named(name)
            for edit in _retyped(text, member.value, member.end)
        ]


def _retyped(text: bytes, start: int, end: int) -> list[Edit]:
    first = text[start : start + 1]
    if first == b'"':
        content = text[start + 1 : end - 1]
        return [(start, end, content if _NUMBER.fullmatch(content) else b"0")]
    if first == b"{":
        return [(start, start, b"["), (end, end, b"]")]
    if first == b"[":
        keys = [
            (item.start, item.start, b'"%d":' % index)
            for index, item in enumerate(items_at(text, start))
        ]
        return [(start, start + 1, b"{"), *keys, (end - 1, end, b"}")]
    return [(start, end, b'"' + text[start:end] + b'"')]
