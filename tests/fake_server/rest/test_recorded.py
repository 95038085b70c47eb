"""Recorded exchanges, what web clients ask for on start, and reports by REST."""

from __future__ import annotations

import gzip
import io

import openpyxl
import pytest

from fake_server.accounts import Account, Accounts
from fake_server.reports import XLSX
from replayer.playing.script import RecordedAnswer
from tests.fake_server.rest.support import Caller, account

ROUTE = "/api/reports/route"
PERIOD = "from=2025-02-21T10:00:00.000Z&to=2025-02-21T20%3A00%3A00.000Z"
POSITIONS = (
    b'{"positions":[{"id":11,"deviceId":1,"beaconId":5,"fixTime":"2025-02-21T11:00:00.000+00:00"},'
    b'{"id":21,"deviceId":2,"beaconId":5,"fixTime":"2025-02-21T11:00:00.000+00:00"},'
    b'{"id":12,"deviceId":1,"beaconId":5,"fixTime":"2025-02-21T11:30:00.000+00:00"}]}'
)
DEVICES = b'{"devices":[{"id":1,"name":"one"},{"id":2,"name":"two"}]}'


# Recorded exchanges


def test_whatever_else_was_recorded_is_answered_as_recorded() -> None:
    caller = Caller(
        answers={
            "/api/statistics": b'{"id":1,"version":"4.0"}',
            "/api/statistics?deviceId=1&from=a&to=b": b'["with"]',
            "/api/statistics?deviceId=1&deviceId=2": b'["two"]',
            "POST /api/commands": b'["posted"]',
            "/api/gone": RecordedAnswer(410, [("Date", "x")], b"Gone - E"),
        }
    )
    assert caller.ask("/api/statistics").body == b'{"id":1,"version":"4.0"}'
    for query in ("deviceId=1&from=a&to=b", "to=b&from=a&deviceId=1"):
        heard = caller.ask(f"/api/statistics?{query}")
        assert (heard.status, heard.body) == (200, b'["with"]')
        assert heard.header("Content-Type") == "application/json"
    assert caller.ask("/api/statistics?deviceId=2&deviceId=1").body == b'["two"]'
    assert caller.send("POST", "/api/commands", {}).body == b'["posted"]'
    gone = caller.ask("/api/gone")
    assert (gone.status, gone.body, gone.header("Date")) == (410, b"Gone - E", None)
    assert caller.broken == []
    assert caller.ask("/api/statistics?deviceId=1&from=a").status == 404
    assert caller.broken == ["rest.not-recorded"]


def test_a_recorded_answer_keeps_its_content_encoding() -> None:
    packed = gzip.compress(b"[1]")
    headers = [("content-encoding", "gzip"), ("Content-Type", "application/json")]
    caller = Caller(answers={"/api/packed": RecordedAnswer(200, headers, packed)})
    heard = caller.ask("/api/packed")
    assert (heard.body, heard.header("Content-Encoding")) == (packed, "gzip")


def test_a_recorded_answer_to_a_method_that_the_endpoint_has_not_is_given_too() -> None:
    caller = Caller(answers={"/api/devices/1": b'{"id":1}'})
    assert caller.ask("/api/devices/1").body == b'{"id":1}'
    assert caller.ask("/api/devices/1", cookie="").status == 405


def test_who_sees_less_gets_a_recorded_answer_without_what_is_hidden() -> None:
    rows = b'[{"id":1,"deviceId":1,"x":1.0},{"id":2,"deviceId":2},{"id":3}]'
    headers = [("Content-Encoding", "gzip"), ("Content-Type", "application/json")]
    packed = RecordedAnswer(200, headers, gzip.compress(rows))
    caller = Caller(
        DEVICES,
        answers={"/api/statistics": packed, f"{ROUTE}?{PERIOD}&deviceId=0": rows},
        accounts=Accounts([Account(credentials=account("a@x"), devices=frozenset({"one"}))]),
    )
    cookie = caller.log_in("a@x")
    heard = caller.ask("/api/statistics", cookie=cookie)
    assert heard.body == b'[{"id":1,"deviceId":1,"x":1.0},{"id":3}]'
    assert heard.header("Content-Encoding") is None
    # A position without a device is nobody's.
    target = f"{ROUTE}?deviceId=0&{PERIOD}"
    assert caller.ask(target, cookie=cookie, accept="application/json").ids == [1]


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/api/devices/2", b'{"id":2,"name":"two"}'),
        ("/api/positions/21", b'{"id":21,"deviceId":2}'),
        ("/api/statistics.csv", b"deviceId;name\n2;two\n"),
        (f"{ROUTE}?deviceId=0&{PERIOD}", b"PK two"),
    ],
)
def test_who_sees_less_never_gets_what_is_hidden_or_cannot_be_looked_into(
    target: str, body: bytes
) -> None:
    caller = Caller(
        DEVICES,
        answers={target: RecordedAnswer(200, [("Content-Type", XLSX)], body)},
        accounts=Accounts(
            [
                Account(credentials=account("a@x"), devices=frozenset({"one"})),
                Account(credentials=account("all@x")),
            ]
        ),
    )
    limited, everything = caller.log_in("a@x"), caller.log_in("all@x")
    assert caller.ask(target, cookie=everything, accept=XLSX).body == body
    assert b"two" not in caller.ask(target, cookie=limited, accept=XLSX).body


def test_what_is_not_recorded_is_404_and_a_violation_without_query_session_or_control() -> None:
    caller = Caller()
    heard = caller.ask("/api/x%1b%5b31mRED;jsessionid=node0secret.node0?token=hunter2")
    assert (heard.status, heard.text) == (404, "HTTP 404 Not Found - NotFoundException (...)")
    assert heard.header("Content-Type") == "text/plain; charset=utf-8"
    [violation] = caller.violations.latest
    assert violation.rule == "rest.not-recorded"
    assert "GET /api/x" in str(violation)
    assert "hunter2" not in str(violation)
    assert "secret" not in str(violation)
    assert str(violation).isprintable()


def test_what_stands_beside_the_api_needs_no_session() -> None:
    caller = Caller(answers={"/index.html": b"<html>", "/track/api/devices": b"[]"})
    assert caller.ask("/index.html", cookie="").body == b"<html>"
    assert caller.ask("/other.html", cookie="").status == 404
    assert caller.ask("/track/api/devices", cookie="").status == 401


# What web clients ask for on start


def test_the_settings_of_the_server_are_for_anybody() -> None:
    heard = Caller().ask("/api/server", cookie="")
    assert heard.status == 200
    wanted = {"id", "attributes", "registration", "newServer", "map", "latitude", "longitude"}
    assert wanted | {"zoom", "version", "openIdEnabled"} <= heard.json.keys()


@pytest.mark.parametrize(
    "name", ["geofences", "groups", "drivers", "maintenance", "calendars", "notifications"]
)
def test_the_lists_that_web_clients_ask_for_are_empty(name: str) -> None:
    caller = Caller()
    assert caller.ask(f"/api/{name}?userId=1").body == b"[]"
    assert caller.ask(f"/api/{name}", cookie="").status == 401
    assert caller.broken == ["session.no-cookie"]


def test_a_recorded_answer_wins_over_what_is_made_up() -> None:
    caller = Caller(answers={"/api/server": b'{"id":7}', "/api/groups": b'[{"id":8}]'})
    assert caller.ask("/api/server").body == b'{"id":7}'
    assert caller.ask("/api/groups").body == b'[{"id":8}]'


# Reports


def test_a_report_is_made_of_what_was_played_and_written() -> None:
    caller = Caller(DEVICES, POSITIONS)
    target = f"{ROUTE}?deviceId=1&{PERIOD}&"
    assert caller.ask(target, accept="application/json").ids == [11, 12]
    filtered = f"{target}filterSameLocation=true"
    assert caller.ask(filtered, accept="text/html, application/json;q=0.9").ids == [11]
    caller.ask("/api/positions/11", "DELETE")
    made = {"deviceId": 1, "fixTime": "2025-02-21T12:00:00.000Z"}
    new = caller.send("POST", "/api/positions", made).json["id"]
    assert caller.ask(target, accept="application/json").ids == [12, new]
    assert caller.broken == []


def test_a_report_by_post_has_its_parameters_in_the_body() -> None:
    caller = Caller(DEVICES, POSITIONS)
    wanted = {"deviceIds": [2], "from": "2025-02-21T10:00:00Z", "to": "2025-02-21T20:00:00Z"}
    heard = caller.send("POST", ROUTE, wanted, accept="application/json")
    assert heard.ids == [21]
    assert caller.ask(ROUTE, "POST", b"deviceId=2", content_type="text/plain").status == 415


def test_an_unknown_parameter_in_a_reports_body_is_told_of_too() -> None:
    wanted = {"deviceIds": [2], "from": "2025-02-21T10:00:00Z", "to": "2025-02-21T20:00:00Z"}
    for strict, status in ((False, 200), (True, 400)):
        caller = Caller(DEVICES, POSITIONS, strict=strict)
        sent = {**wanted, "filterFlaping": True}
        assert caller.send("POST", ROUTE, sent, accept="application/json").status == status
        assert caller.broken == ["rest.unknown-parameter"]
        assert "filterFlaping" in str(caller.violations.latest[0])


def test_summary_and_events_are_reports_too() -> None:
    caller = Caller(
        DEVICES,
        POSITIONS,
        b'{"events":[{"id":9,"deviceId":1,"serverTime":"2025-02-21T11:00:00.000+00:00"}]}',
    )
    json = "application/json"
    summary = caller.ask(f"/api/reports/summary?deviceId=1&{PERIOD}", accept=json)
    assert [row["deviceId"] for row in summary.json] == [1]
    assert caller.ask(f"/api/reports/events?deviceId=1&{PERIOD}", accept=json).ids == [9]


@pytest.mark.parametrize("accept", ["", "*/*", "text/html"])
def test_without_accept_a_report_is_a_spreadsheet_and_a_violation(accept: str) -> None:
    caller = Caller(DEVICES, POSITIONS)
    heard = caller.ask(f"{ROUTE}?deviceId=1&{PERIOD}", accept=accept)
    assert heard.status == 200
    spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert heard.header("Content-Type") == spreadsheet
    assert heard.header("Content-Disposition") == "attachment; filename=report.xlsx"
    assert openpyxl.load_workbook(io.BytesIO(heard.body)).sheetnames
    assert caller.broken == ["report.no-accept"]
    assert caller.ask(f"{ROUTE}?deviceId=1&{PERIOD}", accept=spreadsheet).body == heard.body
    assert caller.broken == ["report.no-accept"]


def test_without_accept_a_report_is_refused_where_rules_are_strict() -> None:
    caller = Caller(DEVICES, POSITIONS, strict=True)
    assert caller.ask(f"{ROUTE}?deviceId=1&{PERIOD}").status == 406
    assert caller.broken == ["report.no-accept"]


@pytest.mark.parametrize(
    ("query", "status", "rule"),
    [
        ("deviceId=1&from=2025-02-21T10:00:00Z", 400, "rest.bad-value"),
        # Unencoded, the + is a space.
        (
            "deviceId=1&from=2025-02-21T10:00:00+00:00&to=2025-02-22T10:00:00Z",
            400,
            "rest.bad-value",
        ),
        (f"deviceId=abc&{PERIOD}", 404, "rest.bad-value"),
        (f"deviceId=9&{PERIOD}", 400, "rest.unknown-id"),
    ],
)
def test_a_report_that_cannot_be_made_is_refused(query: str, status: int, rule: str) -> None:
    caller = Caller(DEVICES, POSITIONS)
    heard = caller.ask(f"{ROUTE}?{query}", accept="application/json")
    assert (heard.status, caller.broken) == (status, [rule])


def test_a_recorded_report_of_the_very_same_call_wins() -> None:
    query = f"deviceId=1&{PERIOD}"
    caller = Caller(DEVICES, POSITIONS, answers={f"{ROUTE}?{query}": b'[{"id":77}]'})
    assert caller.ask(f"{ROUTE}?{query}", accept="application/json").ids == [77]
    other = f"{ROUTE}?{query}&filterFlapping=false"
    assert caller.ask(other, accept="application/json").ids == [11, 12]


@pytest.mark.parametrize(
    ("recorded", "asked", "body"),
    [
        ("application/json", XLSX, b'[{"id":77}]'),
        ("application/json;charset=UTF-8", "", b'[{"id":77}]'),
        (XLSX, "application/json", b"PK recorded"),
    ],
)
def test_a_recorded_report_of_another_type_than_is_asked_for_is_none(
    recorded: str, asked: str, body: bytes
) -> None:
    target = f"{ROUTE}?deviceId=1&{PERIOD}"
    caller = Caller(
        DEVICES,
        POSITIONS,
        answers={target: RecordedAnswer(200, [("Content-Type", recorded)], body)},
    )
    heard = caller.ask(target, accept=asked)
    assert heard.body != body
    assert heard.header("Content-Type") == ("application/json" if recorded == XLSX else XLSX)


def test_a_recorded_report_by_post_answers_no_other_body() -> None:
    caller = Caller(DEVICES, POSITIONS, answers={f"POST {ROUTE}": b'[{"id":77}]'})
    wanted = {"deviceIds": [2], "from": "2025-02-21T10:00:00Z", "to": "2025-02-21T20:00:00Z"}
    assert caller.send("POST", ROUTE, wanted, accept="application/json").ids == [21]


def test_a_report_is_of_what_the_account_sees() -> None:
    caller = Caller(
        DEVICES,
        POSITIONS,
        b'{"events":[{"id":8,"deviceId":1,"serverTime":"2025-02-21T11:00:00.000+00:00"},'
        b'{"id":9,"deviceId":2,"serverTime":"2025-02-21T11:00:00.000+00:00"}]}',
        accounts=Accounts([Account(credentials=account("a@x"), devices=frozenset({2}))]),
    )
    cookie = caller.log_in("a@x")
    target = f"{ROUTE}?deviceId=0&{PERIOD}"
    assert caller.ask(target, cookie=cookie, accept="application/json").ids == [21]
    target = f"/api/reports/events?deviceId=0&{PERIOD}"
    assert caller.ask(target, cookie=cookie, accept="application/json").ids == [9]
    target = f"{ROUTE}?deviceId=1&{PERIOD}"
    assert caller.ask(target, cookie=cookie, accept="application/json").status == 400


def test_a_recorded_head_is_answered_where_its_get_was_not_recorded() -> None:
    caller = Caller(answers={"HEAD /pages/a": RecordedAnswer(204, [], b"")})
    assert caller.ask("/pages/a", "HEAD").status == 204
    assert caller.ask("/pages/a").status == 404
    both = {"HEAD /pages/a": RecordedAnswer(204, [], b""), "/pages/a": b"[]"}
    assert Caller(answers=both).ask("/pages/a").status == 200
