"""The JSON Schema of a contract: valid, kind to all that was seen, strict where it should be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from replayer.contract.documents import json_schema
from replayer.contract.model import Call, Contract, Message, Shape
from replayer.errors import NoContract
from tests.profiles import examples
from tests.replayer.contract.documents.contracts import contracts, imported, learnt
from tests.strategies import as_raw


def validator(contract: Contract, definition: str | None = None) -> Draft202012Validator:
    """Of a JSON text from the socket; of one definition, if it is named."""
    document = json.loads(json_schema(contract))
    if definition is not None:
        document = {"$ref": f"#/$defs/{definition}", "$defs": document["$defs"]}
    return Draft202012Validator(document, format_checker=Draft202012Validator.FORMAT_CHECKER)


@settings(max_examples=examples(50))
@given(contracts)
@example(Contract(tool=""))
def test_whatever_the_contract_the_schema_is_valid(contract: Contract) -> None:
    document = json_schema(contract)
    assert document.endswith(b"}\n")
    Draft202012Validator.check_schema(json.loads(document))
    assert document == json_schema(contract)


FIXTURES = ("curl-capture.bin", "browser.har", "har/chrome-devtools.har", "har/mitmproxy.har")


def test_all_that_it_was_learnt_from_is_valid(tmp_path: Path) -> None:
    contract, texts, rest = imported(tmp_path, *FIXTURES)
    assert len(texts) > 40
    messages = validator(contract)
    for text in texts:
        messages.validate(json.loads(text))
    bodies = [call for call in rest if call.response is not None and call.response_body]
    judged = 0
    for call in bodies:
        assert call.response is not None
        name = call.request.target.removeprefix("/api/").capitalize()
        definition = f"{call.request.method.lower()}{name}.{call.response.status}"
        if definition in json.loads(json_schema(contract))["$defs"]:
            validator(contract, definition).validate(json.loads(call.response_body or b""))
            judged += 1
    assert judged > 2


values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        [
            *("2020-02-26T16:05:26.469+0000", "2025-02-21T10:05:04.882+00:00", "online", "null"),
            *("2025-02-21", "a0b34365-908f-4868-a52a-84a3ed83bd59", "00:1b:44:11:3a:b7", ""),
            *("2020-02-26T16:05Z", "2020-02-26 16:05:26", "demo@example.com", "10.0.0.1", "12"),
            "[redacted:token-1]",
        ]
    )
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "name", "at", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
messages = st.dictionaries(
    st.sampled_from(["devices", "positions", "status", "new"]), values, max_size=2
)


@settings(max_examples=examples(100))
@given(st.lists(messages, min_size=1, max_size=6))
def test_any_messages_are_valid_by_what_they_teach(said: list[dict[str, Any]]) -> None:
    schema = validator(learnt([json.dumps(message) for message in said]))
    for message in said:
        schema.validate(message)


def device(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"drill {number}",
        "status": ("online", "offline")[number % 2],
        "uuid": "a0b34365-908f-4868-a52a-84a3ed83bd59",
        "at": "2020-02-26T16:05:26.469+0000",
        "group": (None, 7)[number % 2],
    }


DEVICES = [json.dumps({"devices": [device(number)]}) for number in range(40)]


@pytest.mark.parametrize(
    ("changed", "holds"),
    [
        ({}, True),
        ({"new": [{"field": 1}]}, True),
        ({"id": 100.0}, True),
        ({"id": 2**70}, True),
        ({"name": "whatever comes"}, True),
        ({"group": None}, True),
        ({"at": "1999-12-31T23:59:59.999-0130"}, True),
        ({"id": "7"}, False),
        ({"id": 7.5}, False),
        ({"id": None}, False),
        ({"id": ...}, False),
        ({"group": "seven"}, False),
        ({"status": "unknown"}, False),
        ({"at": "2020-02-26T16:05:26.469+00:00"}, False),
        ({"uuid": "a0b34365"}, False),
    ],
)
def test_what_binds_is_what_clients_parse_by(changed: dict[str, Any], holds: bool) -> None:
    fields = {key: value for key, value in (device(1) | changed).items() if value is not ...}
    assert validator(learnt(DEVICES)).is_valid({"devices": [fields]}) is holds


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("{}", True),
        ('{"tomorrow":[1]}', True),
        # Another kind than that of devices alone.
        ('{"devices":7,"positions":8}', True),
        ('{"devices":7}', False),
        ('{"devices":[7]}', False),
        ('{"devices":[]}', True),
    ],
)
def test_a_text_is_judged_by_its_kind(text: str, holds: bool) -> None:
    assert validator(learnt(DEVICES)).is_valid(json.loads(text)) is holds


def test_where_only_null_or_a_mark_was_seen_anything_may_come() -> None:
    contract = learnt(
        [
            '{"devices":[{"at":null,"note":"[redacted:token-1]"}]}',
            '{"devices":[{"at":null,"note":"plain"}]}',
        ]
    )
    for value in (None, 1, "x", [], {}):
        message = {"devices": [{"at": value, "note": value}]}
        assert validator(contract).is_valid(message)


def test_several_forms_are_allowed_and_no_third() -> None:
    contract = learnt(
        ['{"a":[{"at":"2020-02-26T16:05:26Z"}]}', '{"a":[{"at":""}]}', '{"a":[{"at":null}]}']
    )
    for value, holds in (("2024-01-01T00:00:00Z", True), ("", True), (None, True), ("now", False)):
        assert validator(contract).is_valid({"a": [{"at": value}]}) is holds


def test_ranges_and_counts_are_told_and_bind_nobody() -> None:
    contract = learnt(['{"a":[{"n":1.10}]}', '{"a":[{"n":-3},{"n":20}]}'])
    text = json_schema(contract).decode()
    field = json.loads(text)["$defs"]["message.a"]["properties"]["a"]["items"]["properties"]["n"]
    assert field["type"] == "number"
    assert field["x-seen"]["minimum"] == -3
    assert field["x-seen"]["types"] == {"integer": 2, "number": 1}
    assert validator(contract).is_valid({"a": [{"n": 99}] * 9})


def test_numbers_stand_there_as_they_came() -> None:
    shape = Shape(seen=1, types={"number": 1}, minimum=as_raw("1.10"), example=as_raw("-1.5E+07"))
    contract = Contract(tool="a test", messages={"n": Message(seen=1, shape=shape)})
    text = json_schema(contract).decode()
    assert '"minimum": 1.10' in text
    assert "-1.5E+07" in text
    assert json.loads(text)["$defs"]["message.n"]["examples"] == [-1.5e7]


def test_an_enumeration_lets_values_of_other_types_through() -> None:
    shape = Shape(seen=9, types={"null": 1, "integer": 4, "string": 4}, values={"on": 4})
    contract = Contract(tool="a test", messages={"n": Message(seen=9, shape=shape)})
    schema = validator(contract, "message.n")
    for value, holds in ((None, True), (7, True), ("on", True), ("off", False), (True, False)):
        assert schema.is_valid(value) is holds


def test_names_that_are_no_names_stay_apart() -> None:
    kinds = {kind: Message(seen=1, shape=Shape()) for kind in ("a+b", "a-b", "a/b", "")}
    document = json.loads(json_schema(Contract(tool="a test", messages=kinds)))
    assert list(document["$defs"]) == [
        "message.a-b",
        "message.a-b-2",
        "message.a-b-3",
        "message.empty",
    ]


def test_its_urn_changes_with_the_contract() -> None:
    one, other = (json.loads(json_schema(Contract(tool=tool)))["$id"] for tool in ("a", "b"))
    assert one.startswith("urn:uuid:")
    assert one != other


@pytest.mark.parametrize("name", ["GET", "GET devices", "", "/api/devices"])
def test_a_call_that_is_none_is_an_error(name: str) -> None:
    with pytest.raises(NoContract, match="is no method with a path"):
        json_schema(Contract(tool="a test", calls={name: Call(seen=1)}))
