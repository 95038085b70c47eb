"""The fault ``broken-json``."""

from __future__ import annotations

import re
from typing import ClassVar, Final, Literal

from fake_server.faults.base import MessageFault, Place, Send, Stage, Step, text_of
from fake_server.faults.json_places import Edit, edited, items_at, retold
from recorder.wire.json_texts import JsonText, split

__all__ = ["BrokenJson"]

_STRING_OR_STRUCTURE: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}\[\]:]', re.DOTALL)


class BrokenJson(MessageFault, frozen=True, kw_only=True, tag="broken-json"):
    """The last JSON text of a message is none any more (RFC 8259); its UTF-8 stays valid.

    ``mode``: ``cut`` ends it early, anywhere; ``dropped-byte`` leaves out one quote, bracket or
    colon, any; ``unquoted-key`` takes the quotes off its first key; ``trailing-comma`` puts a comma
    before its last bracket.
    """

    mode: Literal["cut", "dropped-byte", "unquoted-key", "trailing-comma"] = "cut"

    stage: ClassVar[Stage] = Stage.CONTENT

    def change(self, send: Send, place: Place) -> list[Step]:
        """The message, broken; the same message where it holds no JSON text to break."""
        payload = text_of(send)
        texts = [part for part in split(payload or b"") if isinstance(part, JsonText)]
        if payload is None or not texts:
            return [send]
        last = texts[-1]
        edits = self._edits(payload, last.offset, last.offset + len(last.data), place)
        return [retold(send, edited(payload, edits))] if edits else [send]

    def _edits(self, payload: bytes, start: int, end: int, place: Place) -> list[Edit]:
        if self.mode == "cut":
            at = place.rng.randrange(start + 1, end)
            while payload[at] & 0xC0 == 0x80:  # inside a character
                at -= 1
            return [(at, len(payload), b"")]
        if self.mode == "dropped-byte":
            # A comma may be left out of [1,2], and it is JSON still; any of these may not.
            places = []
            for token in _STRING_OR_STRUCTURE.finditer(payload, start, end):
                places += sorted({token.start(), token.end() - 1})
            at = place.rng.choice(places)
            return [(at, at + 1, b"")]
        if self.mode == "trailing-comma":
            return [(end - 1, end - 1, b",")]
        items = items_at(payload, start)
        key = items[0].key if items else b""
        return [(items[0].start, items[0].start + len(key), key[1:-1])] if key else []
