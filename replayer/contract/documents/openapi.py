"""A contract's calls as an OpenAPI 3.1.0 document of REST (manual sections 2 and 4).

3.1, since its schemas are those of JSON Schema: a type may be null without a word of its own.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from recorder.backend import SESSION_PATH
from replayer.contract.documents.schemas import (
    Definitions,
    Schema,
    about,
    as_of,
    definitions,
    document_text,
    fields_schema,
    schema_of,
    split_call,
)
from replayer.contract.model import Answer, Call, Contract, Field

__all__ = ["METHODS", "openapi"]

METHODS: Final = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")
"""Those that OpenAPI has a place for (section 4.8.9)."""

_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
_LOGIN: Final = f"POST {SESSION_PATH}"
_STATUS: Final = re.compile("[1-5][0-9]{2}")


def openapi(contract: Contract) -> bytes:
    """The document: each call with its parameters, its bodies, and its answers by status. A call
    of another method than :data:`METHODS`, and an answer of a status beyond 599, have no place in
    it and are left out.

    Raises NoContract if a call of the contract is no method with a path.
    """
    found = definitions(contract)
    paths: dict[str, dict[str, Schema]] = {}
    for name, call in contract.calls.items():
        method, path = split_call(name)
        if method in METHODS:
            path, ids = _path(path)
            paths.setdefault(path, {})[method.lower()] = _operation(name, call, ids, found)
    return document_text(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "REST of the Track backend",
                "version": as_of(contract),
                "description": about(contract),
            },
            "servers": [{"url": "https://track.safectory.com"}],
            "security": [{"session": []}, {"basic": []}],
            "paths": paths,
            "components": {
                "schemas": {
                    name: found.schemas[name]
                    for name in (*found.requests.values(), *found.answers.values())
                },
                "securitySchemes": {
                    "session": {
                        "type": "apiKey",
                        "in": "cookie",
                        "name": "JSESSIONID",
                        "description": f"The cookie that {_LOGIN} sets (manual section 2).",
                    },
                    "basic": {
                        "type": "http",
                        "scheme": "basic",
                        "description": "Email and password with each call (lineage: Traccar).",
                    },
                },
            },
        }
    )


def _path(path: str) -> tuple[str, list[str]]:
    """The path with a name of its own for each id in it, and those names. A brace that stood there
    itself is escaped."""
    names: list[str] = []

    def named(found: re.Match[str]) -> str:
        if found[0] != "{id}":
            return quote(found[0])
        names.append(f"id{len(names) + 1}" if names else "id")
        return f"{{{names[-1]}}}"

    return re.sub(r"\{id\}|[{}]", named, path), names


def _operation(name: str, call: Call, ids: list[str], found: Definitions) -> Schema:
    operation: Schema = {"operationId": found.calls[name]}
    if name == _LOGIN:
        operation |= {"summary": "Log in (manual section 2).", "security": []}
    parameters = [
        {"name": each, "in": "path", "required": True, "schema": {"type": ["integer", "string"]}}
        for each in ids
    ]
    parameters += [_query(key, field, call.seen) for key, field in call.query.items()]
    if parameters:
        operation["parameters"] = parameters
    body = _request_body(name, call, found)
    if body is not None:
        operation["requestBody"] = body
    responses = {
        status: _response(status, answer, found.answers.get((name, status)))
        for status, answer in call.answers.items()
        if _STATUS.fullmatch(status)
    }
    if responses:
        operation["responses"] = responses
    operation["x-seen"] = {"calls": call.seen}
    return operation


def _query(name: str, field: Field, calls: int) -> Schema:
    return {
        "name": name,
        "in": "query",
        "required": field.present == calls,
        "schema": schema_of(field.shape),
    }


def _request_body(name: str, call: Call, found: Definitions) -> Schema | None:
    content: Schema = {}
    always = False
    if call.request is not None:
        content[_JSON] = {"schema": {"$ref": f"#/components/schemas/{found.requests[name]}"}}
        always = call.request.seen == call.seen
    if call.form:
        forms = max(field.present for field in call.form.values())
        content[_FORM] = {"schema": {"type": "object", **fields_schema(call.form, forms)}}
        always = always or forms == call.seen
    return {"required": always, "content": content} if content else None


def _response(status: str, answer: Answer, schema: str | None) -> Schema:
    response: Schema = {"description": _phrase(status), "x-seen": {"answers": answer.seen}}
    content: Schema = {kind: {} for kind in answer.content_types if kind}
    if schema is not None:
        for kind in [kind for kind in content if "json" in kind.lower()] or [_JSON]:
            content[kind] = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    if content:
        response["content"] = content
    return response


def _phrase(status: str) -> str:
    try:
        return HTTPStatus(int(status)).phrase
    except ValueError:
        return f"Status {status}"
