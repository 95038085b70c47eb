"""What a text message means: the kinds of its JSON texts, the PINGs in them, and the pongs that
answer.

A message of Track is a JSON object with one key, and the key is its kind. Newer versions may add
keys and kinds (manual section 1), so whatever is not known is told apart and kept, and nothing
raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from recorder.wire.json_texts import JsonText, split

__all__ = [
    "Kind",
    "Part",
    "PongText",
    "classify",
    "objects_of",
    "parse_pong",
    "ping_uuids",
    "pong_text",
    "quick_kind",
    "read_message",
]

Kind = Literal[
    "devices",
    "positions",
    "beacons",
    "events",
    "status",
    "webSessionTimeout",
    "empty",
    "several-keys",
    "unknown",
    "unparsed",
]
"""The first six are the one key of the object; manual sections 3.3, 3.4 and 3.6 and Traccar have
them.

``empty`` is ``{}``, a keep-alive of later Traccar versions. ``several-keys`` is an object with more
than one key, ``unknown`` any other JSON text, ``unparsed`` a span of a payload that no JSON text
could be made of.
"""

_KIND_OF_KEY: Final[dict[str, Kind]] = {
    "devices": "devices",
    "positions": "positions",
    "beacons": "beacons",
    "events": "events",
    "status": "status",
    "webSessionTimeout": "webSessionTimeout",
}


class Part(msgspec.Struct, frozen=True):
    """One JSON text of a message, or a span that is none.

    ``data`` is its bytes as they came, ``offset`` where they begin in the payload, ``keys`` the
    keys of the object in order; empty where the text is no object.
    """

    kind: Kind
    data: bytes
    offset: int
    keys: tuple[str, ...]


def read_message(payload: bytes) -> list[Part]:
    """The JSON texts of a payload, in order: most often one, or several joined by ``~``. Spans
    between them are kept.
    """
    if payload[:1] == b"{" and payload[-1:] == b"}":
        # Nearly every message is one object: then one pass tells all.
        members = _members(payload)
        if members is not None and (payload.isascii() or _is_utf8(payload)):
            return [Part(_kind(members), payload, 0, tuple(members))]
    parts = []
    for span in split(payload):
        if isinstance(span, JsonText):
            members = _members(span.data)
            parts.append(Part(_kind(members), span.data, span.offset, tuple(members or ())))
        else:
            parts.append(Part("unparsed", span.data, span.offset, ()))
    return parts


def quick_kind(text: str) -> Kind | None:
    """The kind of a message of devices, positions, beacons or events that is one JSON text with
    that one key, in one pass; None of any other, which :func:`read_message` tells."""
    found = _QUICK.get(text[:_QUICK_START])
    if found is None:
        return None
    kind, decode = found
    try:
        decode(text)
    except (ValueError, RecursionError):
        return None
    return kind


def classify(json_text: bytes) -> Kind:
    """The kind of one JSON text; ``unknown`` if it is no JSON at all."""
    return _kind(_members(json_text))


def _kind(members: dict[str, msgspec.Raw] | None) -> Kind:
    if members is None:
        return "unknown"
    if not members:
        return "empty"
    if len(members) > 1:
        return "several-keys"
    return _KIND_OF_KEY.get(next(iter(members)), "unknown")


def objects_of(part: Part, key: str | None = None) -> list[msgspec.Raw]:
    """The elements of the array under ``key``, or under every key in order, each as raw JSON
    (numbers as they came).

    Empty where there is no such key or no array under it. What is returned are views of
    ``part.data``.
    """
    members = _members(part.data) or {}
    names = part.keys if key is None else (key,)
    return [element for name in names for element in _elements(members.get(name))]


def ping_uuids(payload: bytes) -> list[str]:
    """The uuids of the PINGs in a payload from the server, in order. Manual section 3.3.

    A PING is an entry of ``status`` with the type ``PING`` and a uuid as its message: one word, of
    whatever letters.
    """
    # Nearly every message is none, and this search costs an eighth of reading it. The second term
    # is for a PING whose letters are escaped.
    if b"PING" not in payload and b"\\u00" not in payload:
        return []
    uuids = []
    for span in split(payload):
        if isinstance(span, JsonText):
            members = _members(span.data) or {}
            for entry in _elements(members.get("status")):
                status = _decode(entry, _Status, _NO_STATUS)
                message = status.message
                if status.type == "PING" and isinstance(message, str) and _WORD.fullmatch(message):
                    uuids.append(message)
    return uuids


def pong_text(uuid: str) -> str:
    """The text that answers a PING: ``pong <uuid>``. Manual section 3.3."""
    return f"pong {uuid}"


class PongText(msgspec.Struct, frozen=True):
    """A client's text that is a pong, or was meant as one: then ``uuid`` is None."""

    uuid: str | None


def parse_pong(text: bytes) -> PongText | None:
    """Read a client's text as a pong; None if it is something else, which the backend ignores.

    Only ``pong``, one space and one word, without anything before or after, is one. Other case,
    spaces or quotes, a missing uuid, or JSON that says ``"pong"`` were meant as pongs and are not.
    """
    try:
        exact = _PONG.fullmatch(text.decode("utf-8"))
    except UnicodeDecodeError:
        exact = None
    if exact is not None:
        return PongText(exact[1])
    return PongText(None) if _MEANT_AS_PONG.search(text) else None


_QUICK_START: Final = 6
_QUICK: Final[dict[str, tuple[Kind, Callable[[str], Any]]]] = {
    f'{{"{kind}'[:_QUICK_START]: (
        kind,
        # A struct of one field that forbids others is decoded in half of the time of a dict.
        msgspec.json.Decoder(
            msgspec.defstruct("_Only", [(kind, msgspec.Raw)], forbid_unknown_fields=True)
        ).decode,
    )
    for kind in ("devices", "positions", "beacons", "events")
}
"""By how the text begins: all that it may be, and what reads it as that."""

_WORD: Final = re.compile(r"\S+")
_PONG: Final = re.compile(r"pong (\S+)")
_MEANT_AS_PONG: Final = re.compile(rb'\A\W*pong|"pong"', re.IGNORECASE)


class _Status(msgspec.Struct):
    message: Any = None
    type: Any = None


_NO_STATUS: Final = _Status()


def _decode(json_text: bytes | msgspec.Raw, shape: Any, otherwise: Any) -> Any:
    try:
        return msgspec.json.decode(json_text, type=shape)
    # ValueError: another shape, bad UTF-8 or no JSON; RecursionError: nested deeper than the
    # decoder goes.
    except (ValueError, RecursionError):
        return otherwise


_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _members(json_text: bytes) -> dict[str, msgspec.Raw] | None:
    try:
        return _decode_members(json_text)
    except (ValueError, RecursionError):
        return None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _elements(value: msgspec.Raw | None) -> list[msgspec.Raw]:
    elements: list[msgspec.Raw] = [] if value is None else _decode(value, list[msgspec.Raw], [])
    return elements
