"""The fault ``field-removed``."""

from __future__ import annotations

from fake_server.faults.fields import FieldFault, JsonObject
from fake_server.faults.json_places import Edit, spells

__all__ = ["FieldRemoved"]


class FieldRemoved(FieldFault, frozen=True, kw_only=True, tag="field-removed"):
    """The field is left out, with one comma."""

    def edits(self, text: bytes, found: JsonObject, name: str) -> list[Edit]:
        """The key, the value and the comma before them; behind them, where they come first."""
        edits: list[Edit] = []
        kept_end: int | None = None
        for index, member in enumerate(found.members):
            if not spells(member.key, name):
                kept_end = member.end
            elif kept_end is not None:
                edits.append((found.members[index - 1].end, member.end, b""))
            elif index + 1 < len(found.members):
                edits.append((member.start, found.members[index + 1].start, b""))
            else:
                edits.append((member.start, member.end, b""))
        return edits
