"""The OpenAPI document: it is valid, and it says what the server does."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_30_VALIDATOR

from fake_server.accounts import DEMO_ACCOUNT, Accounts
from fake_server.fleet import Fleet
from fake_server.manual_objects import MANUAL_BEACONS, MANUAL_DEVICES, MANUAL_POSITIONS
from fake_server.reports import PARAMETERS
from fake_server.rest.openapi import openapi_json
from fake_server.rest.routes import ROUTES
from fake_server.rest.shapes import SHAPES
from fake_server.rest.start import SERVER
from recorder.track.rules import Rules


def document(**rules: Any) -> Any:
    return json.loads(openapi_json(Rules(**rules)))


def operations(**rules: Any) -> dict[tuple[str, str], Any]:
    paths = document(**rules)["paths"]
    return {(path, method): one for path, some in paths.items() for method, one in some.items()}


def validator(name: str) -> jsonschema_rs.Draft7Validator:
    """Of one of the schemas, as JSON Schema, which says otherwise what may be null."""

    def converted(value: Any) -> Any:
        if isinstance(value, list):
            return [converted(one) for one in value]
        if not isinstance(value, dict):
            return value
        made = {
            key: converted(one)
            for key, one in value.items()
            if key not in ("example", "format", "nullable")
        }
        return {"anyOf": [made, {"type": "null"}]} if value.get("nullable") is True else made

    components = converted(document()["components"])
    return jsonschema_rs.Draft7Validator(
        {"$ref": f"#/components/schemas/{name}", "components": components}
    )


@pytest.mark.parametrize("rules", [{}, {"strict": True, "basic_auth": False, "cookie_name": "SID"}])
def test_the_document_is_valid_openapi_3_0(rules: dict[str, Any]) -> None:
    made = document(**rules)
    assert made["openapi"] == "3.0.3"
    assert [str(error) for error in OPENAPI_30_VALIDATOR.iter_errors(made)] == []


def test_every_reference_leads_somewhere() -> None:
    names = set(re.findall(rb'"\$ref":"#/components/schemas/(\w+)"', openapi_json(Rules())))
    schemas = document()["components"]["schemas"]
    assert {name.decode() for name in names} <= set(schemas)


def test_every_endpoint_is_in_it_with_its_parameters_and_nothing_else_is() -> None:
    found = operations()
    assert set(found) == {(route.path, route.method.lower()) for route in ROUTES}
    for route in ROUTES:
        operation = found[route.path, route.method.lower()]
        in_query = {one["name"] for one in operation["parameters"] if one["in"] == "query"}
        assert in_query == route.parameter_names
        in_path = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
        assert in_path == re.findall(r"{(\w+)}", route.path)
        assert ("requestBody" in operation) == (route.body != "none")


def test_every_operation_has_a_name_of_its_own_and_its_evidence() -> None:
    found = operations().values()
    assert len({one["operationId"] for one in found}) == len(found)
    assert all(one["description"].startswith("Manual section ") for one in found)


@pytest.mark.parametrize(
    ("rules", "path", "method", "status"),
    [
        ({}, "/api/devices", "post", "200"),
        ({"status_created": 201}, "/api/devices", "post", "201"),
        ({"status_updated": 202}, "/api/beacons/{id}", "put", "202"),
        ({"status_deleted": 200}, "/api/positions/{id}", "delete", "200"),
        ({"status_unknown_id": 403}, "/api/beacons/{id}", "delete", "403"),
        ({"status_bad_id": 422}, "/api/positions", "get", "422"),
        ({"status_rest_no_session": 403}, "/api/reports/route", "get", "403"),
        ({"status_session_absent": 401}, "/api/session", "get", "401"),
        ({"status_wrong_password": 403}, "/api/session", "post", "403"),
        ({"status_missing_field": 422}, "/api/session", "post", "422"),
        ({"status_json_login": 400}, "/api/session", "post", "400"),
        ({"strict": True}, "/api/devices", "get", "429"),
        ({"strict": True}, "/api/reports/events", "post", "406"),
    ],
)
def test_statuses_are_those_of_the_rules(
    rules: dict[str, Any], path: str, method: str, status: str
) -> None:
    assert status in operations(**rules)[path, method]["responses"]
    if rules:
        assert status not in operations()[path, method]["responses"] or status == "400"


def test_the_other_rules_that_clients_see_are_in_it() -> None:
    assert document()["components"]["securitySchemes"]["cookie"]["name"] == "JSESSIONID"
    renamed = document(cookie_name="SID")["components"]["securitySchemes"]
    assert renamed["cookie"]["name"] == "SID"
    assert "basic" not in document(basic_auth=False)["components"]["securitySchemes"]
    assert document(basic_auth=False)["security"] == [{"cookie": []}]
    assert "/api/server" not in document(start_endpoints=False)["paths"]
    refused = operations(error_content_type="text/plain")["/api/devices", "get"]["responses"]["401"]
    assert list(refused["content"]) == ["text/plain"]


def test_only_what_needs_no_session_says_so() -> None:
    free = {key for key, one in operations().items() if one.get("security") == [{}]}
    assert free == {("/api/session", "post"), ("/api/session", "get"), ("/api/server", "get")}


@pytest.mark.parametrize(
    ("name", "objects"),
    [
        ("Device", [*MANUAL_DEVICES, *Fleet().opening.objects("devices")]),
        ("Beacon", [*MANUAL_BEACONS, *Fleet().opening.objects("beacons")]),
        ("Position", [*MANUAL_POSITIONS, *Fleet().opening.objects("positions")]),
        ("User", [Accounts().user_json(DEMO_ACCOUNT.email)]),
        ("Server", [SERVER]),
    ],
)
def test_what_the_manual_prints_and_the_fake_answers_is_as_the_schemas_say(
    name: str, objects: list[bytes]
) -> None:
    for text in objects:
        validator(name).validate(json.loads(text))


def test_the_schemas_have_the_fields_of_what_is_answered() -> None:
    schemas = document()["components"]["schemas"]
    for kind, name in {"devices": "Device", "beacons": "Beacon", "positions": "Position"}.items():
        assert list(schemas[f"{name}Fields"]["properties"]) == list(SHAPES[kind])
        assert schemas[f"{name}Update"]["allOf"][1]["required"] == list(SHAPES[kind])
    user = json.loads(Accounts().user_json(DEMO_ACCOUNT.email))
    assert list(schemas["User"]["properties"]) == list(user)
    names = {one.name for one in PARAMETERS} | {one.body_name for one in PARAMETERS} - {""}
    assert set(schemas["Report"]["properties"]) == names - {""}


@pytest.mark.parametrize("name", ["DeviceUpdate", "Summary", "Event", "Report", "User", "Server"])
def test_examples_are_as_their_schemas_say(name: str) -> None:
    example = document()["components"]["schemas"][name]["example"]
    validator(name).validate(example)
    for field in required_of(name):
        lacking = {key: value for key, value in example.items() if key != field}
        assert not validator(name).is_valid(lacking)


def required_of(name: str) -> list[str]:
    schema = document()["components"]["schemas"][name]
    required: list[str] = schema.get("required") or schema["allOf"][1]["required"]
    assert required
    return required


def test_examples_of_the_manual_stand_as_it_prints_them() -> None:
    for text in (MANUAL_DEVICES[1], MANUAL_BEACONS[1], MANUAL_POSITIONS[2]):
        assert b'"example":' + bytes(msgspec.Raw(text.strip())) in openapi_json(Rules())


def test_an_object_with_an_id_of_another_type_is_not_as_the_schemas_say() -> None:
    assert not validator("Device").is_valid({"id": "1"})
    assert not validator("Device").is_valid({"name": "one"})
    assert not validator("Position").is_valid({"id": 1, "valid": "yes"})
    assert validator("Position").is_valid({"id": 1, "valid": None, "unknown": [1]})
