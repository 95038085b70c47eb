"""What is learnt of recordings, and what is not."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import Body, Entry, Request, Response
from recorder.wire.frames import Opcode
from replayer.contract import learning
from replayer.contract.learning import Learner, path_of
from replayer.contract.model import Contract, Shape, encode_contract
from replayer.contract.places import MAX_FIELDS, MAX_SUBJECTS, MAX_VALUES, Batch, Place
from tests.profiles import examples
from tests.replayer.contract.backend import Said, entries_of, learnt
from tests.replayer.recordings import frame, header, session


def at(contract: Contract, where: str, *names: str) -> Shape:
    """The shape of a place of the objects of a message, or of an answer with 200."""
    if " " in where:
        shape = contract.calls[where].answers["200"].shape
        assert shape is not None
    else:
        shape = contract.messages[where].shape.fields[where].shape
    for name in ("*", *names):
        found = shape.items if name == "*" else shape.fields[name].shape
        assert found is not None
        shape = found
    return shape


def learnt_of(values: list[Any], name: str = "value", ids: list[int] | None = None) -> Shape:
    objects = [
        {"id": whose, name: value} for whose, value in zip(ids or range(99), values, strict=False)
    ]
    return at(learnt(entries_of([Said("devices", [each]) for each in objects])), "devices", name)


def test_each_type_is_counted() -> None:
    shape = learnt_of([1, 1.5, None, True, "a", [1, 2], {"x": 1}, 2])
    assert shape.seen == 8
    assert shape.types == {
        "null": 1,
        "boolean": 1,
        "integer": 2,
        "number": 1,
        "string": 1,
        "array": 1,
        "object": 1,
    }
    assert (shape.minimum, shape.maximum, shape.fewest, shape.most) == (1, 2, 2, 2)
    assert shape.fields["x"].present == 1


def test_numbers_and_examples_stand_as_they_were_spelled() -> None:
    texts = [
        b'{"positions":[{"id":1,"speed": 1.10,"far":[1E2,-0.50]}]}',
        b'{"positions":[{"id":1,"speed":100.0,"far":[]}]}',
    ]
    contract = learnt([frame("server", text) for text in texts])
    text = encode_contract(contract).decode()
    for spelled in ('"minimum": 1.10', '"maximum": 100.0', '"maximum": 1E2', '"minimum": -0.50'):
        assert spelled in text


def test_of_two_spellings_the_shorter_is_kept_in_any_order() -> None:
    texts = [b'{"positions":[{"speed":%s}]}' % spelled for spelled in (b"1.10", b"1.1", b"1.100")]
    recordings = [[frame("server", text)] for text in texts]
    for order in (recordings, recordings[::-1]):
        assert b'"minimum":1.1,' in msgspec.json.encode(learnt(*order))


def test_a_field_counts_objects_and_their_devices() -> None:
    objects = [{"deviceId": whose, "x": 1} for whose in (1, 1, 2)] + [
        {"deviceId": 1},
        {"deviceId": 3},
    ]
    contract = learnt(entries_of([Said("positions", objects)]))
    field = at(contract, "positions").fields["x"]
    assert (field.present, field.subjects, field.without) == (3, 2, 2)
    assert at(contract, "positions").subjects == {"object": 3}


def test_more_devices_than_are_kept_are_not_counted() -> None:
    objects = [{"id": number, "x": 1} for number in range(MAX_SUBJECTS + 1)]
    shape = at(learnt(entries_of([Said("devices", objects)])), "devices")
    assert (shape.subjects, shape.fields["x"].subjects) == ({}, 0)


def test_few_words_that_repeat_over_devices_are_an_enumeration() -> None:
    words = ["online", "offline"] * 12
    shape = learnt_of(words, "status", list(range(24)))
    assert shape.values == {"offline": 12, "online": 12}


@pytest.mark.parametrize(
    ("values", "name", "ids"),
    [
        (["online", "offline"] * 6, "status", list(range(12))),
        ([*["online"] * 23, "moving"], "status", list(range(24))),
        (["online", "offline"] * 12, "status", [1, 2] * 12),
        (["online", "online", "offline", "offline"] * 6, "status", [1, 2] * 12),
        ([f"word {number % 13}" for number in range(90)], "status", list(range(90))),
        (["1", "2"] * 12, "floor", list(range(24))),
        (["2025-02-21"] * 24, "since", list(range(24))),
        (["Halle", "Hof"] * 12, "beaconName", list(range(24))),
        (["a" * 41] * 24, "status", list(range(24))),
        ([*["on", "off"] * 12, "[redacted]"], "status", list(range(25))),
        (["on", "off"] * 12, "password", list(range(24))),
    ],
)
def test_what_is_rare_or_of_one_device_or_free_is_no_enumeration(
    values: list[str], name: str, ids: list[int]
) -> None:
    assert learnt_of(values, name, ids).values is None


def test_the_type_of_a_ping_is_an_enumeration_though_it_is_of_no_device() -> None:
    objects = [{"message": f"a0b34365-{number}", "type": "PING"} for number in range(20)]
    contract = learnt(entries_of([Said("status", [each]) for each in objects]))
    assert at(contract, "status", "type").values == {"PING": 20}
    assert at(contract, "status", "message").values is None


def test_marks_of_redaction_are_no_values() -> None:
    shape = learnt_of(["[redacted]", "[redacted:email-1]", "a@[redacted]", "x"], "contact")
    assert (shape.seen, shape.masked, shape.types, shape.example) == (4, 3, {"string": 1}, "x")


def test_an_example_is_one_of_those_that_are_no_secret() -> None:
    assert learnt_of(["a", "zoe@example.com", "b"], "contact").example == "b"


def test_secrets_become_no_examples() -> None:
    password, token = "geheim-4711", "eyJhbGciOi.eyJzdWIiOiIx.c2lnbmF0dXJl"
    objects = [
        {
            "id": 1,
            "password": password,
            "token": [token],
            "pin": 471147,
            "phone": token,
            "contact": "somebody@example.com",
            "attributes": {"note": f"Bearer {token * 2}", "apiKey": {"of": password}},
            "somebody@example.com": 1,
        }
    ]
    form = f"email=somebody%40example.com&password={password}".encode()
    headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Cookie", password)]
    entries: list[Entry] = [
        *entries_of([Said("devices", objects), Said("GET /api/devices 200", objects)] * 30),
        Request(
            offset_ns=0,
            connection=1,
            exchange=1,
            method="POST",
            target=f"/api/session?token={token}",
            headers=headers,
        ),
        Body(offset_ns=0, connection=1, exchange=1, sender="client", last=True, text=form.decode()),
        Response(offset_ns=0, connection=1, exchange=1, status=401, headers=headers),
    ]
    contract = learnt(entries)
    text = encode_contract(contract).decode()
    for secret in (password, token, "471147", "somebody"):
        assert secret not in text
    call = contract.calls["POST /api/session"]
    assert (list(call.form), list(call.query)) == (["email", "password"], ["token"])
    assert call.answers["401"].content_types == {"application/x-www-form-urlencoded": 1}


def test_names_that_are_data_are_counted_and_not_learnt() -> None:
    objects = [{"id": 1, "attributes": {f"key {number}": 1}} for number in range(300)]
    shape = at(learnt(entries_of([Said("devices", objects)])), "devices", "attributes")
    assert (len(shape.fields), shape.others) == (MAX_FIELDS, 300 - MAX_FIELDS)


def test_many_different_words_are_not_kept() -> None:
    objects = [{"id": number, "status": f"word {number}"} for number in range(MAX_VALUES + 1)]
    learner = Learner()
    learner.learn(header(), entries_of([Said("devices", objects)]))
    assert at(learner.contract("", all_values=True), "devices", "status").values is None


def test_values_nested_deeper_than_is_learnt_are_counted() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = {"a": [deep]}
    contract = learnt(entries_of([Said("devices", [deep])]))
    assert b'"others":1' in msgspec.json.encode(contract)


def test_fragments_and_joined_texts_are_read_as_messages() -> None:
    entries = [
        frame("server", b'{"devices":[{"id":', fin=False),
        frame("server", b"", opcode=Opcode.PING),
        frame("client", b"pong 1"),
        frame("server", b'{"beacons":[]}', connection=2),
        frame("server", b"1}]}", opcode=Opcode.CONTINUATION),
        frame("server", b'{"devices":[{"id":2}]}~{}~[1]~{"a":1,"b":2}'),
        frame("server", b'{"devices":[{"id":3}]}~{"torn":[{}'),
        frame("server", b'{"binary":[]}', opcode=Opcode.BINARY),
    ]
    learner = Learner()
    learner.learn(header(), entries)
    contract = learner.contract("")
    assert {kind: each.seen for kind, each in contract.messages.items()} == {
        "": 1,
        "a+b": 1,
        "beacons": 1,
        "devices": 2,
    }
    # The array, the message that is torn, and the binary one.
    assert (learner.unreadable, contract.unreadable) == (3, 3)
    assert at(contract, "devices", "id").maximum == 2


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/api/devices", "/api/devices"),
        ("/api/devices/?all=true", "/api/devices"),
        ("/track/api/devices/794513675", "/api/devices/{id}"),
        ("/api/beacons/9a06de64642b4441b377b63c2d5cd828", "/api/beacons/{id}"),
        ("/api/users/[redacted:token-1]", "/api/users/{id}"),
        ("/index.html", None),
        ("/apis/x", None),
    ],
)
def test_a_call_is_known_by_its_path(target: str, path: str | None) -> None:
    assert path_of(target) == path


def test_a_session_with_everything_is_learnt() -> None:
    contract = learnt(session())
    assert set(contract.calls) == {"POST /api/session"}
    assert contract.calls["POST /api/session"].answers.keys() == {"200", "401"}
    assert {"devices", "positions", "status"} <= contract.messages.keys()


def test_a_long_answer_is_learnt_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [{"id": number, "speed": number / 4} for number in range(1200)]
    said = [Said("GET /api/positions 200", objects)]
    whole = learnt(entries_of(said))
    monkeypatch.setattr(learning, "_BATCH_CHARACTERS", 100)
    assert learnt(entries_of(said)).calls == whole.calls
    shape = at(whole, "GET /api/positions")
    assert shape.types == {"object": 1200}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "deviceId", "a", "b", "name"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=examples(150), deadline=None)
@given(values=st.lists(json_values, min_size=1, max_size=8), at=st.integers(0, 8))
def test_any_json_is_learnt_alike_in_one_batch_and_in_two(values: list[Any], at: int) -> None:
    def learn(*batches: list[Any]) -> Shape:
        place = Place()
        for batch in filter(None, batches):
            texts = [json.dumps(each) for each in batch]
            place.learn(list(map(msgspec.json.decode, texts)), None, Batch(texts))
        return place.shape()

    assert learn(values) == learn(values[:at], values[at:])
    assert learn(values).seen == len(values)
