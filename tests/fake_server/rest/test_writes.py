"""POST, PUT and DELETE (manual sections 4.1 and 4.7)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.accounts import Account, Accounts
from fake_server.manual_objects import BEACON, DEVICE, MANUAL_BEACONS, POSITION
from fake_server.rest.shapes import SHAPES
from tests.fake_server.rest.support import Caller, account
from tests.profiles import examples

BEACON_ID = 794524643
BEACONS = b'{"beacons":[%s]}' % MANUAL_BEACONS[1]
# The manual's own PUT, section 4.7, and the object that it leads to.
MANUAL_PUT = (
    b'{"id":794524643,"name":"quickstart-guide-beacon-2","attributes":{},\n'
    b'"deviceId":794524642,"uuid":"d87b32bdcc0e437a81b3383833bc5ff8","major":4242,\n'
    b'"roleGroupId":794314697,"minor":2,"lastSeen":"2025-02-21T12:04:24.093+00:00",\n'
    b'"batteryLevel":100.0,"relative":false,"latitude":49.897644460986925,\n'
    b'"longitude":10.878723934292793}'
)
MANUAL_PUT_ANSWER = (
    b'{"id":794524643,"name":"quickstart-guide-beacon-2","attributes":{},'
    b'"deviceId":794524642,"uuid":"d87b32bdcc0e437a81b3383833bc5ff8","major":4242,'
    b'"roleGroupId":794314697,"minor":2,"latitude":49.897644460986925,'
    b'"longitude":10.878723934292793,"lastSeen":"2025-02-21T12:04:24.093+00:00",'
    b'"batteryLevel":100.0,"relative":false}'
)


def test_the_shapes_are_the_manuals() -> None:
    for kind, printed in (("devices", DEVICE), ("beacons", BEACON), ("positions", POSITION)):
        assert list(SHAPES[kind]) == list(printed)
        for field in SHAPES[kind].values():
            json.loads(field.default)


# PUT


def test_the_manuals_put_is_answered_with_the_object_in_the_fields_order() -> None:
    caller = Caller(BEACONS)
    heard = caller.send("PUT", f"/api/beacons/{BEACON_ID}", MANUAL_PUT)
    # The manual shows 100 for the 100.0 that it sent; here numbers stay as they came.
    assert (heard.status, heard.body) == (200, MANUAL_PUT_ANSWER)
    assert caller.ask("/api/beacons").body == b"[" + MANUAL_PUT_ANSWER + b"]"
    assert caller.pushed == [("beacons", MANUAL_PUT_ANSWER)]
    assert caller.broken == []


def test_a_put_without_a_field_loses_it_and_is_reported_with_the_fields_names() -> None:
    caller = Caller(b'{"beacons":[{"id":7,"name":"room","major":5,"lastSeen":"x","own":[1]}]}')
    heard = caller.send("PUT", "/api/beacons/7", {"id": 7, "name": "hall", "extra": "new"})
    assert heard.body == (
        b'{"id":7,"name":"hall","major":0,"lastSeen":null,"own":[],"extra":"new"}'
    )
    [violation] = caller.violations.latest
    assert violation.rule == "rest.partial-put"
    assert "major, lastSeen, own" in violation.seen


def test_a_field_that_a_put_leaves_out_stays_where_the_rules_say_so() -> None:
    caller = Caller(b'{"beacons":[{"id":7,"name":"room","speed":100.0}]}', put_missing_field="keep")
    heard = caller.send("PUT", "/api/beacons/7", {"id": 7, "name": "hall"})
    assert heard.body == b'{"id":7,"name":"hall","speed":100.0}'
    assert caller.broken == ["rest.partial-put"]


@pytest.mark.parametrize(
    ("put_id", "path", "body", "changed"),
    [
        ("body", "1", '{"id":2,"name":"x"}', 2),
        ("path", "1", '{"id":2,"name":"x"}', 1),
        ("path", "1", '{"name":"x"}', 1),
    ],
)
def test_ids_that_differ_are_reported_and_the_rules_say_which_counts(
    put_id: str, path: str, body: str, changed: int
) -> None:
    caller = Caller(b'{"devices":[{"id":1,"name":"a"},{"id":2,"name":"b"}]}', put_id=put_id)
    heard = caller.send("PUT", f"/api/devices/{path}", body.encode())
    assert (heard.status, heard.json) == (200, {"id": changed, "name": "x"})
    assert caller.broken == ["rest.mismatched-put"]


def test_an_id_as_text_is_the_number_that_it_spells() -> None:
    caller = Caller(b'{"devices":[{"id":1,"name":"a"}]}')
    assert caller.send("PUT", "/api/devices/1", {"id": "1", "name": "b"}).json["id"] == 1
    assert caller.broken == []


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("PUT", "/api/devices/9", {"id": 9}),
        ("PUT", "/api/devices/1", {"name": "no id in the body"}),
        ("DELETE", "/api/devices/9", None),
        ("DELETE", "/api/beacons/1", None),
    ],
)
def test_what_there_is_not_can_be_neither_updated_nor_deleted(
    method: str, target: str, body: Any
) -> None:
    caller = Caller(b'{"devices":[{"id":1}]}')
    heard = caller.send(method, target, body)
    assert heard.status == 400
    assert caller.broken[-1] == "rest.unknown-id"
    assert caller.pushed == []
    assert caller.ask("/api/devices").body == b'[{"id":1}]'


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("one", ["abc", "1.5", "%31x", "99999999999999999999", "1%2F2"])
def test_an_id_in_the_path_that_is_no_number_is_answered_404(method: str, one: str) -> None:
    caller = Caller(b'{"devices":[{"id":1}]}')
    assert caller.send(method, f"/api/devices/{one}", {"id": 1}).status == 404
    assert caller.broken == ["rest.bad-value"]


def test_an_id_in_the_path_may_be_percent_encoded() -> None:
    caller = Caller(b'{"devices":[{"id":1}]}')
    assert caller.ask("/api/devices/%31;v=1", "DELETE").status == 204


# POST


def test_a_post_gives_an_id_and_defaults_and_keeps_every_text_as_it_came() -> None:
    caller = Caller(b'{"devices":[{"id":794513675}]}', b'{"positions":[{"id":794524664}]}')
    sent = b'{ "id": 5, "name":"\\u00e4", "own" : 1E+2, "major": 4242, "batteryLevel":100.0 }'
    heard = caller.send("POST", "/api/beacons", sent)
    assert heard.status == 200
    assert heard.body == (
        b'{"id":795000001,"name":"\\u00e4","attributes":{},"deviceId":null,"uuid":null,'
        b'"major":4242,"roleGroupId":null,"minor":0,"latitude":0,"longitude":0,"lastSeen":null,'
        b'"batteryLevel":100.0,"relative":false,"own":1E+2}'
    )
    assert caller.ask("/api/beacons").body == b"[" + heard.body + b"]"
    assert caller.pushed == [("beacons", heard.body)]
    assert caller.send("POST", "/api/beacons", {}).json["id"] == 795000002


def test_a_position_that_was_posted_is_the_latest_of_its_device() -> None:
    caller = Caller(b'{"devices":[{"id":1}]}', b'{"positions":[{"id":11,"deviceId":1}]}')
    first = caller.send("POST", "/api/positions", {"deviceId": 1, "rssi": -64}).json
    assert caller.ask("/api/positions").ids == [first["id"]]
    assert caller.ask("/api/positions?deviceId=1").ids == [first["id"]]
    assert caller.ask("/api/positions?id=11").ids == [11]
    caller.state.apply(b'{"positions":[{"id":12,"deviceId":1}]}')
    assert caller.ask("/api/positions").ids == [first["id"]]
    assert caller.ask(f"/api/positions/{first['id']}", "DELETE").status == 204
    assert caller.ask("/api/positions").ids == [12]


def test_an_account_sees_what_it_posted_itself_and_others_do_not() -> None:
    some, other = (
        Account(credentials=account(f"{who}@x"), devices=frozenset({1}), beacons=frozenset())
        for who in ("some", "other")
    )
    caller = Caller(b'{"devices":[{"id":1},{"id":2}]}', accounts=Accounts([some, other]))
    cookie, others = caller.log_in("some@x"), caller.log_in("other@x")
    device = caller.send("POST", "/api/devices", {"name": "mine"}, cookie=cookie).json
    beacon = caller.send("POST", "/api/beacons", {"name": "mine"}, cookie=cookie).json
    caller.send("POST", "/api/positions", {"deviceId": device["id"]}, cookie=cookie)
    assert caller.ask("/api/devices", cookie=cookie).ids == [1, device["id"]]
    assert caller.ask("/api/beacons", cookie=cookie).ids == [beacon["id"]]
    assert len(caller.ask("/api/positions", cookie=cookie).json) == 1
    assert caller.ask("/api/devices", cookie=others).ids == [1]
    assert caller.ask("/api/beacons", cookie=others).ids == []
    assert caller.ask("/api/positions", cookie=others).ids == []


# DELETE


def test_what_was_deleted_stays_deleted_until_the_reset() -> None:
    caller = Caller(b'{"devices":[{"id":1},{"id":2}]}', b'{"positions":[{"id":11,"deviceId":1}]}')
    heard = caller.ask("/api/devices/1", "DELETE")
    assert (heard.status, heard.body) == (204, b"")
    caller.state.apply(b'{"devices":[{"id":1,"name":"again"}]}')
    assert caller.ask("/api/devices").ids == [2]
    assert caller.ask("/api/positions").ids == []
    assert caller.ask("/api/positions?id=11").status == 400
    assert caller.ask("/api/devices/1", "DELETE").status == 400
    assert caller.pushed == []
    caller.written.reset()
    assert caller.ask("/api/devices").ids == [1, 2]
    assert caller.ask("/api/positions").ids == [11]


# What is refused


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_is_not_said_to_be_json_is_answered_415(content_type: str) -> None:
    caller = Caller(b'{"devices":[{"id":1}]}')
    for method, target in (("POST", "/api/devices"), ("PUT", "/api/devices/1")):
        assert caller.ask(target, method, b'{"id":1}', content_type=content_type).status == 415
    assert caller.broken == ["rest.bad-value"] * 2
    assert caller.pushed == []


def test_the_content_type_may_have_any_case_and_parameters() -> None:
    caller = Caller(b'{"devices":[{"id":1}]}')
    content_type = "Application/JSON; charset=utf-8"
    heard = caller.ask("/api/devices/1", "PUT", b'{"id":1}', content_type=content_type)
    assert heard.status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"1",
        b"{",
        b'{"id":1',
        b'{"id":1}x',
        b'{"name":NaN}',
        b'{"name":"\xff"}',
        b'{"name":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"name":{}}',
        b'{"attributes":5}',
        b'{"attributes":[]}',
        b'{"geofences":{}}',
        b'{"lastUpdate":"yesterday"}',
        b'{"disabled":"maybe"}',
        b'{"positionId":"abc"}',
        b'{"positionId":true}',
    ],
)
def test_a_body_that_is_no_object_of_its_kind_is_answered_400(body: bytes) -> None:
    caller = Caller(b'{"devices":[{"id":1}]}')
    for method, target in (("POST", "/api/devices"), ("PUT", "/api/devices/1")):
        heard = caller.send(method, target, body)
        assert heard.status == 400
        assert heard.text.endswith("Exception (...)")
    assert set(caller.broken) == {"rest.bad-value"}
    assert caller.pushed == []
    assert caller.ask("/api/devices").body == b'[{"id":1}]'


def test_values_that_the_backends_mapper_takes_are_taken() -> None:
    caller = Caller()
    sent = {
        "name": 5,
        "attributes": None,
        "positionId": "5",
        "batteryLevel": "",
        "disabled": "true",
        "lastUpdate": 1740132000000,
        "firstDataTime": "2025-02-21",
    }
    heard = caller.send("POST", "/api/devices", sent)
    assert heard.status == 200
    assert {name: heard.json[name] for name in sent} == sent


def test_a_body_beyond_the_bound_is_answered_413() -> None:
    caller = Caller()
    assert caller.send("POST", "/api/devices", b" " * 1024 * 1024 + b"{}").status == 413
    assert caller.send("POST", "/api/devices", b"{}" + b" " * 1024 * 1023).status == 200


@pytest.mark.parametrize(
    ("target", "body", "rule"),
    [
        ("/api/devices/1", {"id": 1}, "rest.partial-put"),
        ("/api/devices/2", {"id": 1, "name": "b"}, "rest.mismatched-put"),
        ("/api/devices/1?force=true", {"id": 1, "name": "b"}, "rest.unknown-parameter"),
    ],
)
def test_where_rules_are_strict_a_breach_is_refused_and_nothing_is_written(
    target: str, body: Any, rule: str
) -> None:
    caller = Caller(b'{"devices":[{"id":1,"name":"a"},{"id":2,"name":"b"}]}', strict=True)
    before = caller.ask("/api/devices").body
    heard = caller.send("PUT", target, body)
    assert (heard.status, caller.broken) == (400, [rule])
    assert rule in heard.text
    assert caller.ask("/api/devices").body == before
    assert caller.pushed == []


# Whatever clients write

ids = st.integers(1, 5)
objects = st.fixed_dictionaries(
    {}, optional={"name": st.text(max_size=3), "deviceId": ids, "own": st.integers() | st.none()}
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["POST", "PUT", "DELETE"]),
        st.sampled_from(["devices", "beacons"]),
        ids,
        objects,
    ),
    max_size=12,
)


@settings(max_examples=examples(100))
@given(steps)
def test_lists_are_what_was_posted_put_and_deleted_in_the_order_of_first_sight(
    written: list[tuple[str, str, int, dict[str, Any]]],
) -> None:
    caller = Caller(b'{"devices":[{"id":1},{"id":2}]}', b'{"beacons":[{"id":3,"own":5.0}]}')
    model: dict[str, dict[int, Any]] = {
        "devices": {1: {"id": 1}, 2: {"id": 2}},
        "beacons": {3: {"id": 3, "own": 5.0}},
    }
    for method, kind, one, sent in written:
        known = model[kind]
        # Of the objects that there are, the one-th.
        object_id = list(known)[one % len(known)] if known else one
        if method == "POST":
            heard = caller.send("POST", f"/api/{kind}", {**sent, "id": one})
            made = heard.json
            assert made["id"] not in known
            assert {name: made[name] for name in sent} == sent
            known[made["id"]] = made
        elif method == "PUT":
            heard = caller.send("PUT", f"/api/{kind}/{object_id}", {**sent, "id": object_id})
            assert heard.status == (200 if known else 400)
            if known:
                assert heard.json.keys() == known[object_id].keys() | sent.keys()
                known[object_id] = heard.json
        else:
            heard = caller.ask(f"/api/{kind}/{object_id}", "DELETE")
            assert heard.status == (204 if known else 400)
            known.pop(object_id, None)
        for name, expected in model.items():
            assert caller.ask(f"/api/{name}").json == list(expected.values())
