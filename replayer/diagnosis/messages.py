"""The JSON of a server's message as far as the rules ask for it: one typed pass over what most
messages are, and a slow and patient one over the others. Pure.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from recorder.track.kinds import Part, objects_of, ping_uuids, read_message

__all__ = ["Device", "Numbered", "Position", "Said", "Shape", "Status", "is_ping", "read"]


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
_WORD: Final = re.compile(r"\S+")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_EXCERPT: Final = 40


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


def _read_slowly(payload: bytes) -> tuple[list[Said], list[Shape]]:
    said: list[Said] = []
    shapes: list[Shape] = []
    parts = read_message(payload)
    texts = [part for part in parts if part.kind != "unparsed"]
    broken = [part for part in parts if part.kind == "unparsed"]
    if broken:
        what = f"at byte {broken[0].offset} of {len(payload)}: {_shown(broken[0].data)}"
        shapes.append(Shape("message.broken-json", f"the server sent what is no JSON {what}"))
    elif not texts:
        shapes.append(Shape("message.unknown-kind", f"a message without JSON: {_shown(payload)}"))
    if len(texts) > 1:
        shapes.append(Shape("message.several-texts", f"{len(texts)} JSON texts in one message"))
    for part in texts:
        if part.kind in ("unknown", "several-keys"):
            keys = ", ".join(map(repr, part.keys[:5]))
            what = f"a message with the keys {keys}" if keys else f"a message {_shown(part.data)}"
            shapes.append(Shape("message.unknown-kind", what))
        said.append(_members(part))
    return said, shapes


def _members(part: Part) -> Said:
    """What can be read of a text that has more, or other, than is known."""
    if not {"positions", "devices", "beacons", "status", "webSessionTimeout"} & set(part.keys):
        return Said()
    timeout = objects_of(part, "webSessionTimeout")
    uuids = ping_uuids(part.data)
    return Said(
        positions=_each(part, "positions", Position),
        devices=_each(part, "devices", Device),
        beacons=_each(part, "beacons", Numbered),
        status=[Status(message=uuid, type="PING") for uuid in uuids] or None,
        web_session_timeout=[bytes(one) for one in timeout] or None,
    )


def _each(part: Part, key: str, shape: Any) -> Any:
    if key not in part.keys:
        return None
    found = []
    for raw in objects_of(part, key):
        try:
            found.append(msgspec.json.decode(raw, type=shape))
        except (ValueError, RecursionError):
            found.append(shape())
    return found


def _shown(data: bytes) -> str:
    text = data[:_EXCERPT].decode("utf-8", "replace")
    return repr(text) + ("…" if len(data) > _EXCERPT else "")
