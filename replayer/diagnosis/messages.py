"""The JSON of a server's message as far as the rules ask for it: one typed pass over what most
messages are, and a slow and patient one over the others. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from recorder.track.kinds import Part, objects_of, read_message

__all__ = ["Device", "Numbered", "Position", "Said", "Shape", "Status", "is_ping", "read", "shown"]


class Device(msgspec.Struct, rename="camel"):
    """What joins need of a device (manual section 3.6)."""

    id: Any = None
    position_id: Any = None


class Position(msgspec.Struct, rename="camel"):
    """What joins need of a position (manual section 3.6)."""

    id: Any = None
    device_id: Any = None
    beacon_id: Any = None


class Numbered(msgspec.Struct):
    """What joins need of a beacon."""

    id: Any = None


class Status(msgspec.Struct):
    """What a PING is told by (manual section 3.3)."""

    message: Any = None
    type: Any = None


class Said(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """One JSON text of a message. What it does not hold is None."""

    positions: list[Position] | None = None
    devices: list[Device] | None = None
    beacons: list[Numbered] | None = None
    status: list[Status] | None = None
    events: list[Numbered] | None = None
    web_session_timeout: Any = None


class Shape(msgspec.Struct, frozen=True):
    """What is to be said of a message's form: which rule, and what was seen."""

    rule: str
    seen: str


_read_text: Final = msgspec.json.Decoder(Said).decode
_read_values: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_WORD: Final = re.compile(r"\S+")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_EXCERPT: Final = 40
_LISTS: Final = frozenset({"positions", "devices", "beacons", "events", "status"})


def read(payload: bytes) -> tuple[list[Said], list[Shape]]:
    """The JSON texts of a message, and what is to be said of its form."""
    try:
        return [_read_text(payload)], []
    except (ValueError, RecursionError):
        return _read_slowly(payload)


def is_ping(status: Status) -> bool | None:
    """Whether an entry of ``status`` is a PING; None if it was meant as one, and is not."""
    message = status.message
    if status.type == "PING":
        return True if isinstance(message, str) and _WORD.fullmatch(message) else None
    return None if isinstance(message, str) and _UUID.fullmatch(message) else False


def shown(value: Any) -> str:
    """A value as JSON spells it, cut if it is long; null is also what is missing."""
    if value is None:
        return "null or missing"
    text = json.dumps(value, ensure_ascii=False, default=repr)
    # A lone surrogate cannot be said in UTF-8.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…"


def _read_slowly(payload: bytes) -> tuple[list[Said], list[Shape]]:
    parts = read_message(payload)
    texts = [part for part in parts if part.kind != "unparsed"]
    broken = [part for part in parts if part.kind == "unparsed"]
    if not texts and (not broken or _is_json(payload)):
        shapes = [Shape("message.unknown-kind", f"a message without objects: {_shown(payload)}")]
    elif broken:
        # Its pieces are the server's no more: what they look like says nothing of it.
        what = f"at byte {broken[0].offset} of {len(payload)}: {_shown(broken[0].data)}"
        shapes = [Shape("message.broken-json", f"the server sent what is no JSON {what}")]
    else:
        shapes = list(_forms(texts))
    return [_members(part) for part in texts], shapes


def _is_json(payload: bytes) -> bool:
    """Whether it is a JSON text, as ``null`` and ``"text"`` are."""
    try:
        json.loads(payload, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return False
    return True


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON (RFC 8259 section 6)")


def _forms(texts: list[Part]) -> Iterator[Shape]:
    """What is to be said of texts that are whole."""
    if len(texts) > 1:
        yield Shape("message.several-texts", f"{len(texts)} JSON texts in one message")
    for part in texts:
        if part.kind in ("unknown", "several-keys"):
            keys = ", ".join(map(repr, part.keys[:5]))
            what = f"a message with the keys {keys}" if keys else f"a message {_shown(part.data)}"
            yield Shape("message.unknown-kind", what)
        for key in _LISTS.intersection(part.keys):
            value = bytes(_read_values(part.data)[key])
            if value[:1] != b"[" and value != b"null":
                yield Shape("message.unknown-kind", f"{key} that are no list: {_shown(value)}")


def _members(part: Part) -> Said:
    """What can be read of a text that has more, or other, than is known."""
    if not {"positions", "devices", "beacons", "status", "webSessionTimeout"} & set(part.keys):
        return Said()
    timeout = objects_of(part, "webSessionTimeout")
    return Said(
        positions=_each(part, "positions", Position),
        devices=_each(part, "devices", Device),
        beacons=_each(part, "beacons", Numbered),
        status=_each(part, "status", Status),
        web_session_timeout=[bytes(one) for one in timeout] or None,
    )


def _each(part: Part, key: str, shape: Any) -> Any:
    if key not in part.keys:
        return None
    return [_one(bytes(raw), shape) for raw in objects_of(part, key)]


def _one(raw: bytes, shape: Any) -> Any:
    try:
        return msgspec.json.decode(raw, type=shape)
    except (ValueError, RecursionError):
        pass
    try:
        # Takes the numbers that are too large for the other.
        values = json.loads(raw)
    except (ValueError, RecursionError):
        return shape()
    if not isinstance(values, dict):
        return shape()
    names = zip(shape.__struct_fields__, shape.__struct_encode_fields__, strict=True)
    return shape(**{field: values.get(name) for field, name in names})


def _shown(data: bytes) -> str:
    text = data[:_EXCERPT].decode("utf-8", "replace")
    return repr(text) + ("…" if len(data) > _EXCERPT else "")
