"""The schemas that the three documents share: one for each kind of message, and for each body of a
REST call.

They are JSON Schema in words that draft 7 (AsyncAPI 3.0) and draft 2020-12 (OpenAPI 3.1) read
alike. A schema takes what the backend may say tomorrow and still keep its word (manual section 1:
new fields may come): further fields are allowed, and what was learnt of ranges and lengths stands
under ``x-seen``, where it binds nobody.
"""

from __future__ import annotations

import re
import uuid
from typing import Any, Final, TypeAlias

import msgspec

from replayer.contract.documents.formats import rule_of_forms
from replayer.contract.model import JSON_TYPES, Contract, Field, Shape, encode_contract
from replayer.errors import NoContract
from replayer.reading.words import counted

__all__ = [
    "Definitions",
    "Schema",
    "about",
    "as_of",
    "definitions",
    "document_text",
    "document_urn",
    "fields_schema",
    "schema_of",
    "split_call",
    "unique",
]

Schema: TypeAlias = dict[str, Any]

_EXTENTS: Final = ("minimum", "maximum", "shortest", "longest", "fewest", "most")


def schema_of(shape: Shape) -> Schema:
    """The schema of what stood in one place.

    Where redaction had masked a value nothing is said of type and form, and where only null was
    seen nothing either: neither tells what may come. A number that was never seen with a fraction
    is an integer, which ``100.0`` is too in JSON Schema.
    """
    types = _types(shape)
    schema: Schema = {}
    if types:
        schema["type"] = types[0] if len(types) == 1 else types
        schema |= _rule_of_strings(shape, types)
    if "object" in shape.types:
        schema |= fields_schema(shape.fields, shape.types["object"])
    if shape.items is not None:
        schema["items"] = schema_of(shape.items)
    if shape.example is not None:
        schema["examples"] = [shape.example]
    schema["x-seen"] = _seen(shape)
    return schema


def fields_schema(fields: dict[str, Field], objects: int) -> Schema:
    """What is said of objects that have these fields: one is required that each of ``objects``
    had."""
    schema: Schema = {
        # AsyncAPI's parser takes a property of the name `$ref` for a reference, and fails.
        "properties": {
            name: schema_of(field.shape) for name, field in fields.items() if name != "$ref"
        }
    }
    required = [name for name, field in fields.items() if field.present == objects]
    if required:
        schema["required"] = required
    schema["additionalProperties"] = True
    return schema


def _types(shape: Shape) -> list[str]:
    seen = [name for name in JSON_TYPES if shape.types.get(name)]
    if shape.masked or seen == ["null"]:
        return []
    # Every integer is a number.
    return [name for name in seen if name != "integer" or "number" not in seen]


def _rule_of_strings(shape: Shape, types: list[str]) -> Schema:
    """What binds the strings among the values; it lets the others through."""
    if "string" not in types:
        return {}
    if shape.values:
        others = [name for name in types if name not in ("null", "string")]
        allowed: Schema = {"enum": [*shape.values, *([None] if "null" in types else [])]}
        return {"anyOf": [allowed, {"type": others}]} if others else allowed
    return rule_of_forms(shape.formats)


def _seen(shape: Shape) -> Schema:
    seen: Schema = {"values": shape.seen}
    if len(shape.types) > 1 or set(shape.types) == {"null"}:
        seen["types"] = shape.types
    if shape.masked:
        seen["masked"] = shape.masked
    seen |= {name: value for name in _EXTENTS if (value := getattr(shape, name)) is not None}
    return seen


class Definitions(msgspec.Struct, frozen=True):
    """All schemas of a contract, by names of letters, digits, ``-``, ``_`` and ``.``; and the names
    of what they are: of a message by its kind, of a JSON request by its call, of an answer by call
    and status."""

    schemas: dict[str, Schema]
    messages: dict[str, str]
    requests: dict[str, str]
    answers: dict[tuple[str, str], str]
    calls: dict[str, str]
    """A name for each call itself: ``putDevicesById``."""


def definitions(contract: Contract) -> Definitions:
    """The schemas of a contract. Raises NoContract if a call is no method with a path."""
    schemas: dict[str, Schema] = {}
    messages: dict[str, str] = {}
    requests: dict[str, str] = {}
    answers: dict[tuple[str, str], str] = {}
    calls: dict[str, str] = {}
    for kind, message in contract.messages.items():
        messages[kind] = unique(f"message.{kind or 'empty'}", schemas)
        schemas[messages[kind]] = schema_of(message.shape)
    for call, seen in contract.calls.items():
        calls[call] = unique(_call_name(call), calls.values())
        if seen.request is not None:
            requests[call] = unique(f"{calls[call]}.request", schemas)
            schemas[requests[call]] = schema_of(seen.request)
        for status, answer in seen.answers.items():
            if answer.shape is not None:
                name = unique(f"{calls[call]}.{status}", schemas)
                answers[call, status] = name
                schemas[name] = schema_of(answer.shape)
    return Definitions(schemas, messages, requests, answers, calls)


def split_call(call: str) -> tuple[str, str]:
    """Method and path of a contract's call. Raises NoContract if it is none."""
    method, _, path = call.partition(" ")
    if not method or not path.startswith("/"):
        raise NoContract(
            f"the contract's call {call!r} is no method with a path; expected one as"
            " 'GET /api/devices'"
        )
    return method, path


def _call_name(call: str) -> str:
    method, path = split_call(call)
    parts = [part for part in path.removeprefix("/api/").split("/") if part]
    words = ["By" + part[1:-1].capitalize() if part[:1] == "{" else part for part in parts]
    return method.lower() + "".join(word[:1].upper() + word[1:] for word in words)


def unique(wanted: str, taken: Any) -> str:
    """``wanted`` as a name of letters, digits, ``-``, ``_`` and ``.`` that is not among
    ``taken``."""
    # JavaScript's tools stumble over `__proto__`.
    name = base = re.sub(r"[^A-Za-z0-9_.-]|__", "-", wanted)
    number = 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name


def about(contract: Contract) -> str:
    """In words: what the contract was learnt from."""
    messages = sum(message.seen for message in contract.messages.values())
    calls = sum(call.seen for call in contract.calls.values())
    return (
        f"Learnt by {contract.tool} from {counted(len(contract.learnt_from), 'recordings')}:"
        f" {counted(messages, 'messages')} and {counted(calls, 'calls')}. It says what was seen;"
        " further fields may come."
    )


def as_of(contract: Contract) -> str:
    """A version for the documents: when the newest of the recordings was started."""
    return max((one.started_at for one in contract.learnt_from), default="") or "unknown"


def document_urn(contract: Contract, form: str) -> str:
    """A name for the document, the same whenever the contract is (RFC 9562 section 5.5)."""
    content = encode_contract(contract).decode("utf-8")
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{form}\n{content}").urn


def document_text(document: Schema) -> bytes:
    """The file: numbers of examples as they came, indented, with a line end."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
