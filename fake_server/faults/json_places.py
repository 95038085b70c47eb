"""Where things stand in the JSON texts of a payload, so that a fault changes one place and keeps
every other byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

import msgspec

from fake_server.faults.base import Send
from recorder.track.kinds import ping_uuids
from recorder.wire.frames import Frame, Opcode

__all__ = ["Edit", "Item", "edited", "items_at", "retold", "spells"]

Edit: TypeAlias = tuple[int, int, bytes]
"""From, to, and what stands there instead."""

_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_BETWEEN: Final = re.compile(rb"[ \t\n\r,]*+")
_KEY: Final = re.compile(rb"%b[ \t\n\r]*+:[ \t\n\r]*+" % _STRING, re.DOTALL)
_SCALAR: Final = re.compile(rb"%b|[^ \t\n\r,\]}]++" % _STRING, re.DOTALL)
# To the next bracket that is no part of a string: most bytes of a message are passed over by it.
_TO_BRACKET: Final = re.compile(rb'(?:[^{}\[\]"]++|%b)*+[{}\[\]]' % _STRING, re.DOTALL)
_OBJECT: Final = ord("{")


class Item(msgspec.Struct, frozen=True):
    """One member of an object, or one element of an array: it stands from ``start`` to ``end``.

    ``value`` is where its value begins: behind the key of a member, at ``start`` of an element.
    ``key`` is the key in its quotes as it stands; empty for an element.
    """

    start: int
    value: int
    end: int
    key: bytes = b""


def items_at(text: bytes, at: int) -> list[Item]:
    """What the object or array that begins at ``at`` holds, in order. ``text`` must be valid from
    there to the end of it.
    """
    found = []
    is_object = text[at] == _OBJECT
    start = _end_of(_BETWEEN, text, at + 1)
    while text[start] not in b"]}":
        value, key = start, b""
        if is_object:
            value = _end_of(_KEY, text, start)
            key = text[start : _end_of(_SCALAR, text, start)]
        end = _end_of_value(text, value)
        found.append(Item(start, value, end, key))
        start = _end_of(_BETWEEN, text, end)
    return found


def _end_of_value(text: bytes, at: int) -> int:
    if text[at] not in b"[{":
        return _end_of(_SCALAR, text, at)
    depth = 0
    while True:
        at = _end_of(_TO_BRACKET, text, at)
        depth += 1 if text[at - 1] in b"[{" else -1
        if depth == 0:
            return at


def _end_of(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    found = pattern.match(text, at)
    assert found is not None, "only valid JSON is looked into"
    return found.end()


def spells(key: bytes, name: str) -> bool:
    """Whether a key in its quotes is this name, escapes read."""
    if b"\\" not in key:
        return key[1:-1] == name.encode()
    try:
        return bool(msgspec.json.decode(key) == name)
    except ValueError:  # half of a surrogate pair
        return False


def edited(text: bytes, edits: Iterable[Edit]) -> bytes:
    """The text with these edits, which stand in its order and do not overlap."""
    pieces = []
    position = 0
    for start, end, instead in edits:
        pieces += [text[position:start], instead]
        position = end
    return b"".join((*pieces, text[position:]))


def retold(send: Send, payload: bytes) -> Send:
    """The same message with another payload. It is no live PING any more if no client could read
    the uuid in it.
    """
    ping = send.ping if send.ping in ping_uuids(payload) else None
    data = Frame.make(Opcode.TEXT, payload).serialize()
    return msgspec.structs.replace(send, data=data, ping=ping)
