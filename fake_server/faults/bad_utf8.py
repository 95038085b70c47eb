"""The fault ``bad-utf8``."""

from __future__ import annotations

import re
from typing import ClassVar, Final, Literal

from fake_server.faults.base import MessageFault, Place, Send, Stage, Step, text_of
from fake_server.faults.json_places import edited, retold

__all__ = ["BadUtf8"]

_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_BYTES: Final = {
    "invalid-byte": b"\xff",
    "lone-continuation": b"\x80",
    "overlong": b"\xc0\xaf",
    "surrogate": b"\xed\xa0\x80",
    "cut-character": b"\xf0\x9d\x84",
}


class BadUtf8(MessageFault, frozen=True, kw_only=True, tag="bad-utf8"):
    """Bytes that are no UTF-8 stand at the end of a string, any of the message (RFC 3629; a client
    must fail the connection, RFC 6455 section 8.1).

    ``sequence``: ``invalid-byte`` FF, ``lone-continuation`` 80, ``overlong`` C0 AF,
    ``surrogate`` ED A0 80, or ``cut-character`` F0 9D 84, of which a fourth byte is missing.
    """

    sequence: Literal[
        "invalid-byte", "lone-continuation", "overlong", "surrogate", "cut-character"
    ] = "invalid-byte"

    stage: ClassVar[Stage] = Stage.CONTENT

    def change(self, send: Send, place: Place) -> list[Step]:
        """The message with these bytes in it; the same message where it holds no string."""
        payload = text_of(send)
        ends = [string.end() - 1 for string in _STRING.finditer(payload or b"")]
        if payload is None or not ends:
            return [send]
        at = place.rng.choice(ends)
        return [retold(send, edited(payload, [(at, at, _BYTES[self.sequence])]))]
