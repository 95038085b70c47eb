"""The AsyncAPI document of the socket, judged by AsyncAPI's own parser."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from replayer.contract.documents import asyncapi
from replayer.contract.model import Contract, Field, Message, Shape
from tests.processes import clean_environment
from tests.programs import NODE_MODULES, require_node
from tests.replayer.contract.documents.contracts import contracts, imported, learnt

VALIDATE = Path(__file__).parents[3] / "clients" / "node" / "validate_asyncapi.js"
PING = (
    '{"status":[{"message":"a0b34365-908f-4868-a52a-84a3ed83bd59","type":"PING",'
    '"localeKey":null,"localeValues":null}]}'
)


def problems(documents: list[bytes]) -> list[list[dict[str, Any]]]:
    """What AsyncAPI's parser says of each: errors and warnings, its hints aside."""
    require_node("@asyncapi/parser")
    done = subprocess.run(
        ["node", str(VALIDATE)],
        input=b"[" + b",".join(documents) + b"]",
        env=clean_environment(NODE_PATH=str(NODE_MODULES)),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout, done.stderr.decode()
    found = [[one for one in each if one["severity"] < 2] for each in json.loads(done.stdout)]
    errors = any(one["severity"] == 0 for each in found for one in each)
    assert done.returncode == errors, done.stderr.decode()
    return found


def test_documents_are_valid_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    contract, _, _ = imported(tmp_path, "browser.har")
    kinds = ("", "ping", "pong", "a+b", "a-b", "ä", "$ref", "__proto__")
    fields = {name: Field(present=1, shape=Shape()) for name in ("$ref", "required", "type")}
    shape = Shape(seen=1, types={"object": 1}, fields=fields)
    odd = {kind: Message(seen=1, shape=shape) for kind in kinds}
    some = msgspec.structs.replace(contract, messages={**contract.messages, **odd})
    wrong = asyncapi(Contract(tool="a test")).replace(b'"action": "receive"', b'"action": "hear"')
    right, told = problems([asyncapi(some), wrong])
    assert right == []
    assert told


@pytest.mark.nightly
@settings(max_examples=2, deadline=None, phases=[Phase.generate])
@given(st.lists(contracts, min_size=10, max_size=10))
def test_whatever_the_contract_the_document_is_valid(some: list[Contract]) -> None:
    assert problems([asyncapi(contract) for contract in some]) == [[]] * len(some)


def document(contract: Contract) -> Any:
    return json.loads(asyncapi(contract))


def test_the_server_the_channel_and_the_cookie_are_those_of_the_manual() -> None:
    made = document(Contract(tool="a test"))
    server, channel = made["servers"]["track"], made["channels"]["socket"]
    assert f"{server['protocol']}://{server['host']}{channel['address']}" == (
        "wss://track.safectory.com/api/socket"
    )
    scheme = made["components"]["securitySchemes"]["session"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("httpApiKey", "cookie", "JSESSIONID")


def test_each_kind_has_an_operation_and_a_ping_has_its_reply() -> None:
    made = document(learnt(['{"positions":[]}', PING, '{"webSessionTimeout":[86400]}']))
    operations = made["operations"]
    assert set(operations) == {
        "answerPing",
        "receive-positions",
        "receive-status",
        "receive-webSessionTimeout",
    }
    assert {one["action"] for one in operations.values()} == {"receive"}
    assert operations["answerPing"]["reply"]["messages"] == [
        {"$ref": "#/channels/socket/messages/pong"}
    ]
    assert "is a client of the Track backend" in made["info"]["description"]


@pytest.mark.parametrize(
    ("message", "text", "holds"),
    [
        ("ping", PING, True),
        ("ping", PING.replace("PING", "OTHER"), False),
        ("ping", PING.replace("a0b34365-", "a b"), False),
        ("ping", '{"positions":[]}', False),
        ("pong", '"pong a0b34365-908f-4868-a52a-84a3ed83bd59"', True),
        ("pong", '"pong"', False),
        ("pong", '"PONG a0b3"', False),
    ],
)
def test_ping_and_pong_are_told_from_other_texts(message: str, text: str, holds: bool) -> None:
    made = document(learnt([PING, '{"positions":[]}']))
    payload = made["components"]["messages"][message]["payload"]
    schema = Draft7Validator({**payload, "components": made["components"]})
    assert schema.is_valid(json.loads(text)) is holds
