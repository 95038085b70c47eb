"""`/api/session`: login, who is logged in, logout (manual section 2), and who may call what."""

from __future__ import annotations

import base64
import re
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.accounts import Accounts
from fake_server.rest.session import MAX_LOGIN_BYTES
from recorder.credentials import Credentials
from recorder.track.sessions import random_session_id
from tests.fake_server.rest.support import FORM, NOBODY, Caller, Heard
from tests.profiles import examples

GOOD = b"email=demo%40example.com&password=demo"
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
BASIC = "Basic " + base64.b64encode(b"demo@example.com:demo").decode()


def post(caller: Caller, body: bytes, content_type: str | None = FORM) -> Heard:
    headers = {} if content_type is None else {"content_type": content_type}
    return caller.ask("/api/session", "POST", body, cookie=NOBODY, **headers)


# Login


def test_a_login_is_answered_with_the_user_and_a_cookie() -> None:
    caller = Caller()
    heard = post(caller, GOOD)
    assert heard.status == 200
    assert heard.header("Content-Type") == "application/json"
    assert re.fullmatch(
        r"JSESSIONID=node0[0-9a-f]{32}\.node0; Path=/api", heard.header("Set-Cookie") or ""
    )
    assert heard.header("Expires") == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert b'"name"' in heard.body
    assert heard.json["email"] == "demo@example.com"
    assert heard.json["password"] is None
    assert [session.account for session in caller.logins] == ["demo@example.com"]
    assert caller.broken == []


def test_each_login_is_a_session_of_its_own() -> None:
    caller = Caller()
    assert len({post(caller, GOOD).header("Set-Cookie") for _ in range(5)}) == 5


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"email":"demo@example.com","password":"demo"}', "application/json", 415),
        (b'{"email":"demo@example.com"}', "application/json; charset=utf-8", 415),
        (b"email=demo%40example.com", FORM, 400),
        (b"password=demo", FORM, 400),
        (b"", FORM, 400),
        (b"", None, 400),
        (b"email=demo%40example.com&password=Demo", FORM, 401),
        (b"email=demo%40example.com&password=", FORM, 401),
        (b"email=nobody%40example.com&password=demo", FORM, 401),
        (b"email=nobody%40example.com&password=", FORM, 401),
        (b"email=" + b"x" * MAX_LOGIN_BYTES + b"&password=demo", FORM, 413),
    ],
)
def test_a_login_that_is_refused_says_why_by_its_status_and_sets_no_cookie(
    body: bytes, content_type: str | None, status: int
) -> None:
    caller = Caller()
    heard = post(caller, body, content_type)
    assert heard.status == status
    assert heard.header("Set-Cookie") is None
    # The manual's scripts look for "name" to tell a login that worked.
    assert b"name" not in heard.body
    assert heard.header("WWW-Authenticate") is None
    assert heard.header("Content-Type") == "application/json"
    assert caller.broken == ([] if status == 413 else ["login.refused"])
    assert caller.logins == []


@pytest.mark.parametrize("content_type", [FORM.upper(), f"{FORM}; charset=UTF-8", f"{FORM} ;x=y"])
def test_the_content_type_may_have_any_case_and_parameters(content_type: str) -> None:
    assert post(Caller(), GOOD, content_type).status == 200


def test_of_a_field_that_stands_there_twice_the_first_counts() -> None:
    assert post(Caller(), GOOD + b"&password=wrong").status == 200
    assert post(Caller(), b"password=wrong&" + GOOD).status == 401


@settings(max_examples=examples(60))
@given(texts, texts)
def test_any_email_and_password_can_log_in(email: str, password: str) -> None:
    caller = Caller(accounts=Accounts([Credentials(email, password)]))
    heard = post(caller, f"email={quote_plus(email)}&password={quote_plus(password)}".encode())
    assert heard.status == 200
    assert heard.json["email"] == email
    wrong = f"email={quote_plus(email)}&password={quote_plus(password + 'x')}"
    assert post(caller, wrong.encode()).status == 401


def test_a_refused_login_reports_nothing_that_holds_a_secret() -> None:
    caller = Caller()
    post(caller, b"email=demo%40example.com&password=hunter2")
    post(caller, b'{"password":"hunter2"}', "application/json")
    assert caller.violations.latest
    assert "hunter2" not in str(list(caller.violations.latest))


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (403, "HTTP 403 Forbidden - WebApplicationException (...)"),
        (499, "HTTP 499 - WebApplicationException (...)"),
    ],
)
def test_a_refusal_is_worded_as_its_status_says(status: int, text: str) -> None:
    heard = post(Caller(status_wrong_password=status), b"email=a&password=b")
    assert (heard.status, heard.text) == (status, text)


# Who is logged in, and logout


def test_who_is_logged_in_is_told_until_the_logout() -> None:
    caller = Caller()
    assert caller.ask("/api/session", cookie="").status == 404
    heard = caller.ask("/api/session")
    assert (heard.status, heard.json["email"]) == (200, "demo@example.com")
    gone = caller.ask("/api/session", "DELETE")
    assert (gone.status, gone.body, gone.header("Content-Type")) == (204, b"", None)
    assert caller.logouts == caller.logins
    assert caller.ask("/api/session").status == 404
    assert caller.broken == []
    assert caller.ask("/api/session", "DELETE").status == 401
    assert caller.broken == ["session.unknown-cookie"]


def test_a_recorded_login_of_another_time_is_no_answer_for_who_is_not_logged_in() -> None:
    caller = Caller(answers={"/api/session": b'{"id":1}'})
    assert caller.ask("/api/session", cookie="").status == 404


def test_calls_renew_the_session_which_ends_when_none_come() -> None:
    caller = Caller(session_timeout_s=100)
    for _ in range(3):
        caller.now_ns += 99_000_000_000
        assert caller.ask("/api/devices").status == 200
    caller.now_ns += 100_000_000_000
    assert caller.ask("/api/devices").status == 401
    assert caller.broken == ["session.expired-cookie"]


# Without a session


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/api/devices"),
        ("GET", "/api/positions?id=abc"),
        ("GET", "/api/whatever"),
        ("POST", "/api/beacons"),
        ("PUT", "/api/beacons/1"),
        ("DELETE", "/api/beacons/1"),
        ("DELETE", "/api/session"),
        ("GET", "/api/reports/route"),
        ("GET", "/api/geofences"),
    ],
)
def test_without_a_session_the_answer_is_401_with_a_challenge(method: str, target: str) -> None:
    caller = Caller(b'{"devices":[{"id":1,"name":"one"}]}')
    unknown = f"JSESSIONID={random_session_id()}"
    for cookie, script in (("", ""), (unknown, ""), (NOBODY, "XMLHttpRequest")):
        heard = caller.ask(target, method, cookie=cookie, x_requested_with=script)
        assert heard.status == 401
        assert heard.header("WWW-Authenticate") == (None if script else 'Basic realm="api"')
        assert heard.text == "HTTP 401 Unauthorized - WebApplicationException (...)"
    assert caller.broken == [
        "session.no-cookie",
        "session.unknown-cookie",
        "session.no-cookie",
    ]


def test_http_basic_is_taken_on_every_call_and_makes_no_session() -> None:
    caller = Caller(b'{"devices":[{"id":1,"name":"one"}]}')
    assert caller.ask("/api/devices", cookie=NOBODY, authorization=BASIC).ids == [1]
    assert caller.asked_for == [None]
    assert caller.ask("/api/session", cookie="", authorization=BASIC).json["id"] == 1
    gone = caller.ask("/api/session", "DELETE", cookie="", authorization=BASIC)
    assert gone.status == 204
    sent = caller.ask(
        "/api/devices/1",
        "PUT",
        b'{"id":1,"name":"two"}',
        cookie="",
        authorization=BASIC.replace("Basic", "basic"),
        content_type="application/json",
    )
    assert sent.status == 200
    assert (caller.desk.live, caller.logins, caller.logouts, caller.broken) == ([], [], [], [])


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic " + base64.b64encode(b"demo@example.com:hunter2").decode(),
        "Basic " + base64.b64encode(b"demo@example.com").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
        "Basic ???",
        "Basic",
        "Bearer hunter2",
    ],
)
def test_http_basic_without_an_accounts_password_is_answered_401(authorization: str) -> None:
    caller = Caller()
    heard = caller.ask("/api/devices", cookie="", authorization=authorization)
    assert (heard.status, caller.broken) == (401, ["login.refused"])
    assert "hunter2" not in f"{heard}{list(caller.violations.latest)}"
    assert caller.ask("/api/session", cookie="", authorization=authorization).status == 404


# Methods and CORS


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("PUT", "/api/session", "DELETE,GET,HEAD,OPTIONS,POST"),
        ("GET", "/api/devices/1", "DELETE,OPTIONS,PUT"),
        ("POST", "/api/beacons/1", "DELETE,OPTIONS,PUT"),
        ("DELETE", "/api/positions", "GET,HEAD,OPTIONS,POST"),
        ("PATCH", "/api/devices", "GET,HEAD,OPTIONS,POST"),
        ("PUT", "/api/reports/route", "GET,HEAD,OPTIONS,POST"),
        ("POST", "/api/server", "GET,HEAD,OPTIONS"),
    ],
)
def test_another_method_is_answered_405_with_those_that_there_are(
    method: str, target: str, allow: str
) -> None:
    caller = Caller()
    heard = caller.ask(target, method, cookie=NOBODY)
    assert (heard.status, heard.header("Allow")) == (405, allow)
    assert heard.text == "HTTP 405 Method Not Allowed - NotAllowedException (...)"
    assert heard.header("Content-Type") == "text/plain; charset=utf-8"
    assert caller.broken == ["rest.wrong-method"]


def test_a_head_is_answered_as_its_get() -> None:
    caller = Caller(b'{"devices":[{"id":1}]}')
    assert caller.ask("/api/devices", "HEAD") == caller.ask("/api/devices")


ORIGIN = "https://app.example"


@pytest.mark.parametrize(
    ("method", "target", "headers", "status"),
    [
        ("GET", "/api/devices", {}, 200),
        ("GET", "/api/devices?id=x", {}, 404),
        ("GET", "/api/whatever", {}, 404),
        ("PATCH", "/api/devices", {}, 405),
        ("GET", "/api/devices", {"cookie": NOBODY}, 401),
        ("DELETE", "/api/session", {}, 204),
        ("OPTIONS", "/api/beacons/1", {"cookie": ""}, 200),
        ("OPTIONS", "/api/whatever", {"cookie": ""}, 200),
    ],
)
def test_every_answer_lets_the_pages_of_the_callers_origin_read_it(
    method: str, target: str, headers: dict[str, Any], status: int
) -> None:
    caller = Caller()
    heard = caller.ask(target, method, origin=ORIGIN, **headers)
    assert heard.status == status
    assert heard.header("Access-Control-Allow-Origin") == ORIGIN
    assert heard.header("Access-Control-Allow-Credentials") == "true"
    assert (
        heard.header("Access-Control-Allow-Headers")
        == "origin, content-type, accept, authorization"
    )
    assert heard.header("Access-Control-Allow-Methods") == "GET, POST, PUT, DELETE, OPTIONS"
    without = caller.ask(target, method, **headers)
    assert without.header("Access-Control-Allow-Origin") == "*"


def test_a_preflight_is_no_breach_and_has_no_body() -> None:
    caller = Caller()
    heard = caller.ask("/api/devices", "OPTIONS", cookie="", origin=ORIGIN)
    assert (heard.body, heard.header("Content-Type"), caller.broken) == (b"", None, [])
    assert heard.header("Allow") == "GET,HEAD,OPTIONS,POST"
    elsewhere = caller.ask("/api/whatever", "OPTIONS", cookie="")
    assert elsewhere.header("Allow") == "DELETE,GET,HEAD,OPTIONS,POST,PUT"


def test_the_controls_of_the_server_send_no_cors_headers() -> None:
    heard = Caller().ask("/__admin/reset", "POST", cookie="", origin=ORIGIN)
    assert not [name for name, _ in heard.headers if name.startswith("Access-Control")]
