"""The schemas of the OpenAPI document: what the objects of REST look like (manual sections 4.2 to
4.7), in the JSON Schema of OpenAPI 3.0.

Objects may have more fields than these, and versions of the backend leave some out (manual section
1), so that only the id is required of what is answered. What is sent to POST may leave out
anything; PUT wants every field.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

from fake_server.manual_objects import MANUAL_BEACONS, MANUAL_DEVICES, MANUAL_POSITIONS
from fake_server.reports import PARAMETERS, Parameter, Summary
from fake_server.rest.shapes import SHAPES, Field
from fake_server.rest.start import SERVER

__all__ = ["NAMES", "JsonSchema", "schema_of_kind", "schema_of_value", "schemas"]

JsonSchema: TypeAlias = dict[str, Any]

NAMES: Final = {"devices": "Device", "beacons": "Beacon", "positions": "Position"}
"""The schema of each kind of objects."""

_EXAMPLES: Final = {
    "Device": MANUAL_DEVICES[1],
    "Beacon": MANUAL_BEACONS[1],
    "Position": MANUAL_POSITIONS[2],
}

_DATE_EXAMPLE: Final = "2025-02-21T10:05:04.906+00:00"

_WHOLE_NUMBERS: Final = frozenset({"id", "major", "minor", "beaconMajor", "beaconMinor"})
"""Numbers without a fraction; so is every field that ends in ``Id``."""

_ID_MAX: Final = 2**63 - 1

_USER: Final = (
    b'{"id":1,"attributes":{},"name":"account","login":"","email":"account@yourdomain.de","phone":"",'
    b'"readonly":false,"administrator":false,"map":"","latitude":0.0,"longitude":0.0,"zoom":0,'
    b'"twelveHourFormat":false,"coordinateFormat":"","disabled":false,"expirationTime":null,'
    b'"deviceLimit":-1,"userLimit":0,"deviceReadonly":false,"token":null,"limitCommands":false,'
    b'"poiLayer":"","password":null}'
)

_EVENT: Final = (
    b'{"id":795000001,"name":null,"attributes":{},"type":"deviceOnline","deviceId":794513675,'
    b'"trackableId":null,"serverTime":"2025-02-21T10:05:04.906+00:00","deviceTime":null,'
    b'"positionId":794513912,"geofenceId":0,"message":null,"userId":0,"beaconId":794513671,'
    b'"beaconName":"quickstart-guide-beacon-2","beaconMajor":4242,"beaconMinor":2,'
    b'"beaconUuid":"d87b32bdcc0e437a81b3383833bc5ff8"}'
)


_VALUES: Final[dict[str, JsonSchema]] = {
    "id": {"type": "integer", "format": "int64", "minimum": -_ID_MAX - 1, "maximum": _ID_MAX},
    "date": {"type": "string", "format": "date-time"},
    "boolean": {"type": "boolean"},
    "seconds": {"type": "integer", "minimum": 0, "maximum": 999_999_999},
    "text": {"type": "string"},
}

_FIELDS: Final[dict[str, JsonSchema]] = {
    "number": {"type": "number"},
    "text": {"type": "string"},
    "date": {"type": "string", "format": "date-time", "example": _DATE_EXAMPLE},
    "boolean": {"type": "boolean"},
    "object": {"type": "object"},
    "list": {"type": "array", "items": {}},
}


def schema_of_value(kind: str) -> JsonSchema:
    """The schema of a parameter's value, ``kind`` being its type in the table of routes."""
    return dict(_VALUES[kind])


def schema_of_kind(name: str) -> JsonSchema:
    """A reference to one of the :func:`schemas`."""
    return {"$ref": f"#/components/schemas/{name}"}


def schemas() -> dict[str, JsonSchema]:
    """All schemas by name, with the objects that the manual prints as examples."""
    found: dict[str, JsonSchema] = {}
    for kind, name in NAMES.items():
        fields = SHAPES[kind]
        found[f"{name}Fields"] = {
            "type": "object",
            "properties": {one: _schema_of_field(one, field) for one, field in fields.items()},
        }
        found[name] = _with_required(name, ["id"], "manual sections 3 and 4")
        found[f"{name}Update"] = _with_required(
            name, list(fields), "the full object: what it leaves out is lost (manual section 4.1)"
        )
    found["Event"] = _schema_like(_EVENT, "an event", required=["id"])
    found["Summary"] = _schema_like(
        msgspec.json.encode(Summary(deviceId=794513675, deviceName="quickstart-guide-device-1")),
        "a row of the report summary; speeds in knots, distances in metres, hours in milliseconds",
        required=list(Summary.__struct_fields__),
    )
    found["User"] = _schema_like(_USER, "an account; the password is never told", required=["id"])
    found["Server"] = _schema_like(SERVER, "the settings of the server", required=["id"])
    found["Report"] = _report()
    found["Error"] = {
        "type": "string",
        "description": "One line: what happened and the name of an exception. It is no JSON, "
        "whatever its content type says (Traccar lineage).",
        "example": "HTTP 404 Not Found - NotFoundException (...)",
    }
    return found


def _with_required(name: str, required: list[str], description: str) -> JsonSchema:
    return {
        "allOf": [schema_of_kind(f"{name}Fields"), {"type": "object", "required": required}],
        "description": f"A {name.lower()}: {description}.",
        "example": msgspec.Raw(_EXAMPLES[name].strip()),
    }


def _schema_of_field(name: str, field: Field) -> JsonSchema:
    schema = dict(_FIELDS[field.type])
    if field.type == "number" and _is_whole(name):
        schema = {"type": "integer", "format": "int64"}
    # An object of the backend has an id; any other field may be null, also in what is sent.
    return schema if name == "id" else schema | {"nullable": True}


def _schema_like(example: bytes, description: str, *, required: list[str]) -> JsonSchema:
    """The schema of objects that look like an example; what is null there is nullable text."""
    members: dict[str, Any] = msgspec.json.decode(example)
    return {
        "type": "object",
        "properties": {name: _schema_of_member(name, value) for name, value in members.items()},
        "required": required,
        "description": f"{description[0].upper()}{description[1:]}.",
        "example": msgspec.Raw(example),
    }


def _schema_of_member(name: str, value: Any) -> JsonSchema:
    if isinstance(value, bool):
        return {"type": "boolean"}
    if _is_whole(name):
        schema: JsonSchema = {"type": "integer", "format": "int64"}
        return schema if name in ("id", "deviceId") else schema | {"nullable": True}
    if isinstance(value, int | float):
        return {"type": "number"}
    if isinstance(value, dict):
        return {"type": "object", "nullable": True}
    if name.endswith("Time"):
        return {"type": "string", "format": "date-time", "nullable": True}
    return {"type": "string", "nullable": True}


def _is_whole(name: str) -> bool:
    return name in _WHOLE_NUMBERS or name.endswith("Id")


def _report() -> JsonSchema:
    """The body of a report that is asked for by POST."""
    properties: dict[str, JsonSchema] = {}
    for parameter in PARAMETERS:
        properties[parameter.name] = _schema_of_parameter(parameter)
        if parameter.body_name:
            properties[parameter.body_name] = _schema_of_parameter(parameter)
    return {
        "type": "object",
        "properties": properties,
        "required": [parameter.name for parameter in PARAMETERS if parameter.required],
        "description": "What a report is asked for (seen in clients).",
        "example": {
            "deviceIds": [0],
            "from": "2025-02-21T10:00:00.000Z",
            "to": "2025-02-21T20:00:00.000Z",
            "filterSameLocation": True,
            "filterFlapping": True,
        },
    }


def _schema_of_parameter(parameter: Parameter) -> JsonSchema:
    value = schema_of_value(parameter.kind)
    if parameter.kind == "text":
        # The backend's mapper makes text of numbers; clients send ids as either.
        value = {"anyOf": [{"type": "string"}, {"type": "integer"}]}
    schema: JsonSchema = {"type": "array", "items": value} if parameter.repeatable else dict(value)
    if not parameter.required:
        schema["nullable"] = True
    return schema | {"description": f"{parameter.description} Source: {parameter.source}."}
