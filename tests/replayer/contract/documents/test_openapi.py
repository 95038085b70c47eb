"""The OpenAPI document of the REST calls, judged by openapi-spec-validator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from openapi_spec_validator import OpenAPIV31SpecValidator

from replayer.contract.documents import openapi
from replayer.contract.model import Answer, Call, Contract, Field, Shape
from tests.profiles import examples
from tests.replayer.contract.documents.contracts import contracts, imported

STRING = Shape(seen=2, types={"string": 2})
OBJECT = Shape(seen=1, types={"object": 1})


def document(**calls: Call) -> Any:
    made = json.loads(openapi(Contract(tool="a test", calls=calls)))
    OpenAPIV31SpecValidator(made).validate()
    return made


def operation(name: str, call: Call) -> Any:
    (path,) = document(**{name: call})["paths"].values()
    (found,) = path.values()
    return found


@settings(max_examples=examples(15), deadline=None)
@given(contracts)
@example(Contract(tool=""))
def test_whatever_the_contract_the_document_is_valid(contract: Contract) -> None:
    made = openapi(contract)
    assert made.endswith(b"}\n")
    OpenAPIV31SpecValidator(json.loads(made)).validate()


def test_what_real_recordings_teach_is_valid(tmp_path: Path) -> None:
    contract, _, _ = imported(
        tmp_path, "browser.har", "har/chrome-devtools.har", "har/firefox.har", "har/mitmproxy.har"
    )
    made = json.loads(openapi(contract))
    OpenAPIV31SpecValidator(made).validate()
    assert "/api/session" in made["paths"]


def test_a_call_has_its_parameters() -> None:
    query = {"from": Field(present=2, shape=STRING), "id": Field(present=1, shape=STRING)}
    found = operation("GET /api/reports/{id}/of/{id}", Call(seen=2, query=query))
    assert [(one["name"], one["in"], one["required"]) for one in found["parameters"]] == [
        ("id", "path", True),
        ("id2", "path", True),
        ("from", "query", True),
        ("id", "query", False),
    ]
    assert found["operationId"] == "getReportsByIdOfById"


def test_bodies_are_json_or_forms_and_required_where_each_call_had_one() -> None:
    form = {
        "email": Field(present=2, shape=Shape(seen=2, masked=2)),
        "code": Field(present=1, shape=STRING),
    }
    found = operation("POST /api/session", Call(seen=2, form=form))["requestBody"]
    assert found["required"] is True
    (schema,) = (one["schema"] for one in found["content"].values())
    assert list(found["content"]) == ["application/x-www-form-urlencoded"]
    assert schema["required"] == ["email"]

    found = operation("PUT /api/devices/{id}", Call(seen=2, request=OBJECT))["requestBody"]
    assert found["required"] is False
    assert found["content"] == {
        "application/json": {"schema": {"$ref": "#/components/schemas/putDevicesById.request"}}
    }


def test_answers_stand_by_status_with_their_content_types() -> None:
    answers = {
        "200": Answer(seen=3, content_types={"application/json": 3}, shape=OBJECT),
        "204": Answer(seen=1),
        "401": Answer(seen=1, content_types={"text/html": 1}),
        "298": Answer(seen=1, shape=OBJECT),
        "999": Answer(seen=1),
    }
    found = operation("GET /api/devices", Call(seen=6, answers=answers))["responses"]
    shown = {status: (one["description"], one.get("content")) for status, one in found.items()}

    def ref(status: str) -> object:
        return {
            "application/json": {"schema": {"$ref": f"#/components/schemas/getDevices.{status}"}}
        }

    assert shown == {
        "200": ("OK", ref("200")),
        "204": ("No Content", None),
        "401": ("Unauthorized", {"text/html": {}}),
        "298": ("Status 298", ref("298")),
    }


def test_all_but_the_login_need_the_cookie_or_basic() -> None:
    made = document(**{"POST /api/session": Call(seen=1), "GET /api/session": Call(seen=1)})
    assert made["security"] == [{"session": []}, {"basic": []}]
    assert made["paths"]["/api/session"]["post"]["security"] == []
    assert "security" not in made["paths"]["/api/session"]["get"]


def test_a_method_without_a_place_is_left_out() -> None:
    made = document(**{"PURGE /api/devices": Call(seen=1), "get /api/devices": Call(seen=1)})
    assert made["paths"] == {}


def test_a_brace_in_a_path_is_no_parameter() -> None:
    made = document(**{"GET /api/{x}/{id}": Call(seen=1)})
    assert list(made["paths"]) == ["/api/%7Bx%7D/{id}"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GET /api/a-b", "GET /api/a b"),
        ("GET /api/devices/{id}", "GET /api/devices/byId"),
        ("GET /api/devices", "GET /api/devices/"),
    ],
)
def test_operations_have_names_of_their_own(one: str, other: str) -> None:
    made = document(**{one: Call(seen=1), other: Call(seen=1)})
    names = [each["operationId"] for path in made["paths"].values() for each in path.values()]
    assert len(set(names)) == 2
