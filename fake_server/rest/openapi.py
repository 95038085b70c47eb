"""The OpenAPI 3.0.3 document of REST, made from the table of its routes.

3.0 and not 3.1, as the bundled Swagger UI reads that.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec

from fake_server.reports import XLSX
from fake_server.rest.routes import ROUTES, Parameter, Route
from fake_server.rest.schemas import (
    NAMES,
    JsonSchema,
    schema_of_kind,
    schema_of_value,
    schemas,
)
from recorder.track.rules import Rules

__all__ = ["openapi_json"]

_JSON: Final = "application/json"
_ANYBODY: Final[list[dict[str, list[str]]]] = [{}]

_DESCRIPTION: Final = """\
The REST side of a fake Track backend. Each operation names the section of the manual that it \
stands in, or the evidence where the manual does not have it. Log in with `POST /api/session`, \
which sets a cookie, or send HTTP Basic.

`/api/socket`, the WebSocket, is not in this document."""

_PARAMETER_EXAMPLES: Final = {
    "deviceId": 794513675,
    "from": "2025-02-21T10:00:00.000Z",
    "to": "2025-02-21T20:00:00.000Z",
}
"""Those of manual section 4.6."""


@lru_cache(maxsize=4)
def openapi_json(rules: Rules) -> bytes:
    """The document of a server that goes by ``rules``, as JSON."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        if rules.start_endpoints or route.endpoint != "start":
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, rules)
    schemes = _security_schemes(rules)
    document = {
        "openapi": "3.0.3",
        "info": {"title": "Track", "version": "4", "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{name: []} for name in schemes],
        "paths": paths,
        "components": {"schemas": schemas(), "securitySchemes": schemes},
    }
    return msgspec.json.encode(document)


def _security_schemes(rules: Rules) -> dict[str, Any]:
    schemes: dict[str, Any] = {
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": rules.cookie_name,
            "description": "Set by POST /api/session. Manual section 2.",
        }
    }
    if rules.basic_auth:
        schemes["basic"] = {
            "type": "http",
            "scheme": "basic",
            "description": "Email and password on every call. Traccar lineage, seen in clients.",
        }
    return schemes


def _operation(route: Route, rules: Rules) -> dict[str, Any]:
    evidence = "" if route.source == "manual" else f" Source: {route.source}."
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "tags": ["reports" if route.endpoint == "report" else route.kind],
        "summary": route.summary,
        "description": f"Manual section {route.section}.{evidence}",
        "parameters": [_parameter(one, route) for one in route.parameters],
        "responses": _responses(route, rules),
    }
    if route.path.endswith("{id}"):
        operation["parameters"].insert(
            0,
            {
                "name": "id",
                "in": "path",
                "required": True,
                "description": "Which object.",
                "schema": schema_of_value("id"),
            },
        )
    body = _body(route)
    if body is not None:
        operation["requestBody"] = body
    if not route.needs_session:
        operation["security"] = _ANYBODY
    return operation


def _operation_id(route: Route) -> str:
    """Such as ``getReportsRoute``, ``putDevice``."""
    words = route.path.removeprefix("/api/").split("/")
    if words[-1] == "{id}":
        words = [words[0].removesuffix("s")]
    return route.method.lower() + "".join(word.capitalize() for word in words)


def _parameter(parameter: Parameter, route: Route) -> dict[str, Any]:
    # Of what is ignored any value will do.
    value = schema_of_value("text" if route.endpoint == "start" else parameter.type)
    made: dict[str, Any] = {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": f"{parameter.description} Source: {parameter.source}.",
        "schema": {"type": "array", "items": value} if parameter.repeatable else value,
    }
    example = _PARAMETER_EXAMPLES.get(parameter.name)
    if example is not None:
        made["example"] = [example] if parameter.repeatable else example
    return made


def _body(route: Route) -> dict[str, Any] | None:
    """What a request carries."""
    match route.body:
        case "none":
            return None
        case "login":
            content_type = "application/x-www-form-urlencoded"
            schema: JsonSchema = {
                "type": "object",
                "required": ["email", "password"],
                "properties": {
                    "email": {"type": "string"},
                    "password": {"type": "string", "format": "password"},
                },
            }
        case "report":
            content_type, schema = _JSON, schema_of_kind("Report")
        case kind:
            form = "Update" if route.method == "PUT" else "Fields"
            content_type, schema = _JSON, schema_of_kind(f"{NAMES[kind]}{form}")
    return {"required": True, "content": {content_type: {"schema": schema}}}


_LISTS: Final = NAMES | {"route": "Position", "events": "Event", "summary": "Summary"}


def _responses(route: Route, rules: Rules) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "Done."}
    schema = _answer_schema(route)
    if schema is not None:
        success = {"description": "What was asked for.", "content": {_JSON: {"schema": schema}}}
    if route.endpoint == "report":
        binary = {"type": "string", "format": "binary"}
        success["content"][XLSX] = {"schema": binary}
        success["description"] = (
            "The rows: JSON if Accept names it, else a spreadsheet (Traccar lineage)."
        )
    if route.body == "login":
        cookie = {"schema": {"type": "string"}, "description": "The session."}
        success["headers"] = {"Set-Cookie": cookie}
    responses = {str(route.status(rules)): success}
    for status, reasons in sorted(_errors(route, rules).items()):
        responses[str(status)] = {
            "description": " ".join(reasons),
            "content": {rules.error_content_type: {"schema": schema_of_kind("Error")}},
        }
    return responses


def _answer_schema(route: Route) -> JsonSchema | None:
    match route.answer:
        case "none":
            return None
        case "user" | "server":
            return schema_of_kind(route.answer.capitalize())
        case "object":
            return schema_of_kind(NAMES[route.kind])
        case "empty":
            return {"type": "array", "items": {}}
        case kind:
            return {"type": "array", "items": schema_of_kind(_LISTS[kind])}


def _errors(route: Route, rules: Rules) -> dict[int, list[str]]:
    """Why a call may fail, by status; every reason is a sentence."""
    reasons: list[tuple[int, str]] = []
    if route.needs_session:
        reasons.append((rules.status_rest_no_session, "Nobody is logged in."))
    if route.endpoint == "session" and route.method == "GET":
        reasons.append((rules.status_session_absent, "Nobody is logged in."))
    if route.body == "login":
        reasons += [
            (rules.status_wrong_password, "The email and the password do not belong together."),
            (rules.status_missing_field, "A field is missing."),
            (rules.status_json_login, "The body is no form."),
            (413, "The body is too long."),
        ]
    elif route.body != "none":
        reasons += [
            (400, "The body is no JSON object, or a value in it cannot be."),
            (413, "The body is too long."),
            (415, "The body is not said to be JSON."),
        ]
    if route.path.endswith("{id}") or _names_objects(route):
        reasons += [
            (rules.status_bad_id, "An id is no number."),
            (rules.status_unknown_id, "An object is named that the account does not see."),
        ]
    if any(one.type in ("date", "boolean", "seconds") for one in route.parameters):
        reasons.append((400, "A value of a parameter cannot be."))
    if rules.strict:
        reasons.append((400, "The call breaks a rule."))
        if route.endpoint == "objects" and route.method == "GET":
            reasons.append((429, "The list is asked for too often."))
        if route.endpoint == "report":
            reasons.append((406, "Accept does not name JSON."))
    by_status: dict[int, list[str]] = {}
    for status, reason in reasons:
        by_status.setdefault(status, []).append(reason)
    return by_status


def _names_objects(route: Route) -> bool:
    return route.endpoint == "report" or (
        route.endpoint == "objects" and any(one.type == "id" for one in route.parameters)
    )
