"""A contract's messages as an AsyncAPI 3.0.0 document of the socket (manual section 3)."""

from __future__ import annotations

from typing import Final

from recorder.backend import SOCKET_PATH
from replayer.contract.documents.schemas import (
    Schema,
    about,
    as_of,
    definitions,
    document_text,
    document_urn,
    unique,
)
from replayer.contract.model import Contract

__all__ = ["asyncapi"]

_ROLE: Final = (
    "The application that this document describes is a client of the Track backend: it receives"
    " what the backend says, and answers each PING."
)

_SUMMARIES: Final = {
    "devices": "Devices: all known ones on opening, then each that changed (manual section 3).",
    "beacons": "Beacons: all known ones on opening, then each that changed (manual section 3).",
    "positions": "The latest position of each device on opening, then each new one (manual"
    " section 3).",
    "events": "Events of devices (lineage: Traccar).",
    "status": "Notices about the connection; a PING is one of them (manual section 3.3).",
    "webSessionTimeout": "After how many seconds without user activity the session ends (manual"
    " section 3.4).",
    "": "An empty object, a sign of life (lineage: later versions of Traccar).",
}

_UUID: Final = "a0b34365-908f-4868-a52a-84a3ed83bd59"

_IS_PING: Final[Schema] = {
    "type": "object",
    "required": ["status"],
    "properties": {
        "status": {
            "type": "array",
            "contains": {
                "type": "object",
                "required": ["message", "type"],
                "properties": {
                    "message": {"type": "string", "pattern": "^\\S+$"},
                    "type": {"const": "PING"},
                },
            },
        }
    },
}

_PONG: Final[Schema] = {
    "name": "pong",
    "title": "pong",
    "summary": "The answer to a PING: the word pong, a space, and the PING's uuid.",
    "contentType": "text/plain",
    "payload": {"type": "string", "pattern": "^pong \\S+$", "examples": [f"pong {_UUID}"]},
}


def asyncapi(contract: Contract) -> bytes:
    """The document: a server, the channel ``/api/socket``, an operation for each kind of message
    that the client receives, and ``answerPing``, whose reply is the pong. PING and pong stand there
    as the manual has them, seen or not.

    Raises NoContract if a call of the contract is no method with a path.
    """
    found = definitions(contract)
    messages: dict[str, Schema] = {"ping": _ping(found.messages.get("status")), "pong": _PONG}
    operations: dict[str, Schema] = {
        "answerPing": {
            "action": "receive",
            "channel": {"$ref": "#/channels/socket"},
            "summary": "Every 30 s; the socket stays open while each PING is answered.",
            "messages": [{"$ref": "#/channels/socket/messages/ping"}],
            "reply": {
                "channel": {"$ref": "#/channels/socket"},
                "messages": [{"$ref": "#/channels/socket/messages/pong"}],
            },
        }
    }
    for kind, name in found.messages.items():
        key = unique(kind or "empty", messages)
        messages[key] = {
            "name": kind or "empty",
            "title": kind or "empty",
            "summary": _SUMMARIES.get(kind, "A kind of message that the manual does not name."),
            "contentType": "application/json",
            "payload": {"$ref": f"#/components/schemas/{name}"},
        }
        operations[unique(f"receive-{key}", operations)] = {
            "action": "receive",
            "channel": {"$ref": "#/channels/socket"},
            "messages": [{"$ref": f"#/channels/socket/messages/{key}"}],
        }
    return document_text(
        {
            "asyncapi": "3.0.0",
            "id": document_urn(contract, "asyncapi"),
            "info": {
                "title": "The socket of the Track backend",
                "version": as_of(contract),
                "description": f"{_ROLE} {about(contract)}",
            },
            "defaultContentType": "application/json",
            "servers": {
                "track": {
                    "host": "track.safectory.com",
                    "protocol": "wss",
                    "security": [{"$ref": "#/components/securitySchemes/session"}],
                }
            },
            "channels": {"socket": _channel(messages)},
            "operations": operations,
            "components": {
                "messages": messages,
                "schemas": {name: found.schemas[name] for name in found.messages.values()},
                "securitySchemes": {
                    "session": {
                        "type": "httpApiKey",
                        "in": "cookie",
                        "name": "JSESSIONID",
                        "description": "The cookie that POST /api/session sets (manual section 2).",
                    }
                },
            },
        }
    )


def _channel(messages: dict[str, Schema]) -> Schema:
    return {
        "address": SOCKET_PATH,
        "description": "Text messages, each one JSON text, or several that are joined by `~`.",
        "servers": [{"$ref": "#/servers/track"}],
        "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in messages},
        "bindings": {"ws": {"method": "GET"}},
    }


def _ping(status: str | None) -> Schema:
    payload = _IS_PING
    if status is not None:
        payload = {"allOf": [{"$ref": f"#/components/schemas/{status}"}, _IS_PING]}
    return {
        "name": "ping",
        "title": "PING",
        "summary": "Asks whether the client is there, by a new uuid (manual section 3.3).",
        "contentType": "application/json",
        "payload": payload,
    }
