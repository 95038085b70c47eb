"""The fields of devices, beacons and positions as the manual prints them, and what a client's
object becomes by POST and PUT. Pure; every value is raw JSON text and stays as it came.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from replayer.playing.dates import read_date

__all__ = ["SHAPES", "Field", "FieldType", "created", "read_object", "updated", "wrong_field"]

FieldType: TypeAlias = Literal["number", "text", "date", "boolean", "object", "list"]


class Field(msgspec.Struct, frozen=True):
    """A field: what its values are, and which it has in an object that was sent without it."""

    type: FieldType
    default: bytes = b"null"


_TEXT: Final = Field("text")
_EMPTY_TEXT: Final = Field("text", b'""')
_DATE: Final = Field("date")
_NUMBER: Final = Field("number")
_ZERO: Final = Field("number", b"0")
_FALSE: Final = Field("boolean", b"false")
_EMPTY_LIST: Final = Field("list", b"[]")
_EMPTY_OBJECT: Final = Field("object", b"{}")

SHAPES: Final[dict[str, dict[str, Field]]] = {
    "devices": {
        "id": _ZERO,
        "name": _TEXT,
        "attributes": _EMPTY_OBJECT,
        "uniqueId": _TEXT,
        "status": Field("text", b'"offline"'),
        "lastUpdate": _DATE,
        "geofences": _EMPTY_LIST,
        "activeGeofences": _EMPTY_LIST,
        "notifications": _EMPTY_LIST,
        "positionId": _ZERO,
        "phone": _EMPTY_TEXT,
        "model": _EMPTY_TEXT,
        "contact": _EMPTY_TEXT,
        "category": _TEXT,
        "disabled": _FALSE,
        "allgeofencesenabled": _FALSE,
        "lastSuccessfulAsnJob": _DATE,
        "lastOneTimeJob": _DATE,
        "lastIncompleteAsnJob": _DATE,
        "firstDataTime": _DATE,
        "lastAttempt": _DATE,
        "lastAsnFail": _DATE,
        "lastAsnCookie": _TEXT,
        "asnConfigs": _EMPTY_LIST,
        "firmwareVersion": _TEXT,
        "batteryLevel": _NUMBER,
        "leafGroupName": _TEXT,
    },
    "beacons": {
        "id": _ZERO,
        "name": _TEXT,
        "attributes": _EMPTY_OBJECT,
        "deviceId": _NUMBER,
        "uuid": _TEXT,
        "major": _ZERO,
        "roleGroupId": _NUMBER,
        "minor": _ZERO,
        "latitude": _ZERO,
        "longitude": _ZERO,
        "lastSeen": _DATE,
        "batteryLevel": _NUMBER,
        "relative": _FALSE,
    },
    "positions": {
        "id": _ZERO,
        "name": _TEXT,
        "attributes": _EMPTY_OBJECT,
        "protocol": _TEXT,
        "serverTime": _DATE,
        "deviceTime": _DATE,
        "fixTime": _DATE,
        "outdated": _FALSE,
        "valid": _FALSE,
        "latitude": _ZERO,
        "longitude": _ZERO,
        "eventId": _NUMBER,
        "deviceId": _NUMBER,
        "scanRssi": _NUMBER,
        "rssi": _NUMBER,
        "beaconId": _NUMBER,
        "beaconName": _TEXT,
        "beaconMajor": _NUMBER,
        "beaconMinor": _NUMBER,
        "beaconUuid": _TEXT,
        "sourceDeviceId": _NUMBER,
        "deviceName": _TEXT,
    },
}
"""Of each kind the fields in the order of the manual (sections 4.2, 4.4 and 4.5). Which are null by
default is an assumption, guided by what the manual shows of objects that were just made.
"""

Members: TypeAlias = Mapping[str, msgspec.Raw]
"""An object: its fields in order, each raw JSON text."""

_read_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_object(text: bytes) -> dict[str, msgspec.Raw] | None:
    """The members of a JSON object; None if the text is none, or no UTF-8."""
    try:
        text.decode("utf-8")
        return _read_members(text)
    except (ValueError, RecursionError):
        return None


def wrong_field(kind: str, sent: Members) -> tuple[str, FieldType] | None:
    """The first field whose value the backend's mapper cannot take, and what it takes; or None.

    It is Jackson's: null is taken everywhere, numbers and true or false also as texts, and any
    scalar where text is wanted. Unknown fields are not looked at.
    """
    for name, value in sent.items():
        field = SHAPES[kind].get(name)
        if field is not None and not _fits(bytes(value), field.type):
            return name, field.type
    return None


_NUMERIC: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def _fits(value: bytes, wanted: FieldType) -> bool:
    first = value[:1]
    if first == b"n":
        return True
    if wanted in ("object", "list"):
        return first == (b"{" if wanted == "object" else b"[")
    if first in b"{[":
        return False
    if wanted == "text":
        return True
    is_number = first in b"-0123456789"
    if first != b'"':
        # A number is also a date, in milliseconds, and true unless it is 0.
        return is_number or wanted == "boolean"
    try:
        said = msgspec.json.decode(value, type=str).strip()
    except ValueError:
        return False
    if said == "":
        return True
    if wanted == "date":
        return read_date(said) is not None
    if wanted == "boolean":
        return said in ("true", "false")
    return _NUMERIC.fullmatch(said) is not None


def created(kind: str, sent: Members, object_id: int) -> bytes:
    """The object that a POST makes: the fields of its kind in their order, as sent or by default,
    then what else was sent; the id is ``object_id`` whatever was sent.
    """
    fields: dict[str, bytes | msgspec.Raw] = {
        name: sent.get(name, field.default) for name, field in SHAPES[kind].items()
    }
    fields |= sent
    fields["id"] = b"%d" % object_id
    return _joined(fields)


def updated(
    kind: str, known: Members, sent: Members, object_id: int, *, keep_missing: bool
) -> bytes:
    """What a PUT makes of a known object: its fields in their order, as sent, then what else was
    sent. A field that was not sent keeps its value, or gets its default.
    """
    fields: dict[str, bytes | msgspec.Raw] = {
        name: sent.get(name, value if keep_missing else _default(kind, name, value))
        for name, value in known.items()
    }
    fields |= sent
    fields["id"] = b"%d" % object_id
    return _joined(fields)


def _default(kind: str, name: str, value: msgspec.Raw) -> bytes:
    """The default of a field; of one that the manual does not have, by the type of its value."""
    field = SHAPES[kind].get(name)
    if field is not None:
        return field.default
    return _DEFAULT_BY_FIRST_BYTE.get(bytes(value)[:1], b"0")


_DEFAULT_BY_FIRST_BYTE: Final = {
    b"{": b"{}",
    b"[": b"[]",
    b'"': b"null",
    b"n": b"null",
    b"t": b"false",
    b"f": b"false",
}


def _joined(fields: Mapping[str, Any]) -> bytes:
    pairs = (b"%s:%s" % (msgspec.json.encode(name), bytes(text)) for name, text in fields.items())
    return b"{%s}" % b",".join(pairs)
