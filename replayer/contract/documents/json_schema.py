"""A contract as JSON Schema, draft 2020-12."""

from __future__ import annotations

from replayer.contract.documents.schemas import (
    Schema,
    about,
    definitions,
    document_text,
    document_urn,
)
from replayer.contract.model import Contract, Message

__all__ = ["json_schema"]


def json_schema(contract: Contract) -> bytes:
    """The document: ``$defs`` has a schema for each kind of message (``message.positions``) and for
    each body of a call (``getDevices.200``, ``putDevicesById.request``).

    The document itself is the schema of a JSON text from the socket: a text of a known kind must be
    as that kind was; others are let through, since new ones may come.

    Raises NoContract if a call of the contract is no method with a path.
    """
    found = definitions(contract)
    by_kind = [
        {"if": _is(message), "then": {"$ref": f"#/$defs/{found.messages[kind]}"}}
        for kind, message in contract.messages.items()
    ]
    return document_text(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": document_urn(contract, "json-schema"),
            "title": "What the Track backend says",
            "description": about(contract),
            # An empty one is not allowed.
            **({"allOf": by_kind} if by_kind else {}),
            "$defs": found.schemas,
        }
    )


def _is(message: Message) -> Schema:
    """Whether a text is of the kind: an object of exactly its keys (manual section 3)."""
    keys = list(message.shape.fields)
    return {"type": "object", "required": keys, "maxProperties": len(keys)}
