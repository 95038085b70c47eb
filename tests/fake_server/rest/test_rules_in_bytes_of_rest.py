"""Every field of `Rules` about REST changes what is answered: one case a field."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.fake_server.rest.support import FORM, JSON, NOBODY, Caller, Heard

DEVICES = b'{"devices":[{"id":1,"name":"one"},{"id":2,"name":"two"}]}'
POSITIONS = (
    b'{"positions":[{"id":11,"deviceId":1,"beaconId":5,"fixTime":"2025-02-21T10:00:00Z"},'
    b'{"id":12,"deviceId":1,"beaconId":6,"fixTime":"2025-02-21T10:00:10Z"},'
    b'{"id":13,"deviceId":1,"beaconId":5,"fixTime":"2025-02-21T10:00:40Z"},'
    b'{"id":14,"deviceId":1,"beaconId":5,"fixTime":"2025-02-21T10:00:50Z"}]}'
)
REPORT = "/api/reports/route?from=2025-02-21T00:00:00Z&to=2025-02-22T00:00:00Z"
SPREADSHEET = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
BASIC = "Basic ZGVtb0BleGFtcGxlLmNvbTpkZW1v"

Watch = Callable[[Caller], Heard]


def status(watch: Watch) -> Callable[[Caller], bytes]:
    return lambda caller: b"%d" % watch(caller).status


def header(name: str, watch: Watch) -> Callable[[Caller], bytes]:
    return lambda caller: (watch(caller).header(name) or "none").encode()


def body(watch: Watch) -> Callable[[Caller], bytes]:
    return lambda caller: watch(caller).body


def ids(watch: Watch) -> Callable[[Caller], bytes]:
    return lambda caller: b" ".join(b"%d" % one for one in watch(caller).ids)


def getting(target: str, **headers: Any) -> Watch:
    return lambda caller: caller.ask(target, **headers)


def calling(method: str, target: str, sent: bytes = b"{}", **headers: Any) -> Watch:
    return lambda caller: caller.send(method, target, sent, **headers)


def posting(form: bytes, content_type: str = FORM) -> Watch:
    return lambda caller: caller.ask(
        "/api/session", "POST", form, cookie=NOBODY, content_type=content_type
    )


def after_a_wait(caller: Caller) -> Heard:
    cookie = caller.cookie
    caller.now_ns += 2_000_000_000_000
    return caller.ask("/api/devices", cookie=cookie)


def new_session(caller: Caller) -> bytes:
    """The cookie of a login, its random part left out."""
    value = posting(b"email=demo%40example.com&password=demo")(caller).header("Set-Cookie") or ""
    return re.sub(r"[0-9a-f]{32}(?=[.;])", "…", value).encode()


def violations_of(watch: Watch) -> Callable[[Caller], bytes]:
    def broken(caller: Caller) -> bytes:
        watch(caller)
        return " ".join(caller.broken).encode()

    return broken


def polls(caller: Caller) -> bytes:
    for _ in range(61):
        caller.ask("/api/devices")
    return " ".join(caller.broken).encode()


def absent(caller: Caller) -> Heard:
    return caller.ask("/api/session", cookie="")


class Case(NamedTuple):
    """A field's other value, what to watch, and what is seen by default and with that value."""

    value: Any
    watch: Callable[[Caller], bytes]
    by_default: bytes
    changed: bytes


CASES = {
    "session_timeout_s": Case(1800.0, status(after_a_wait), b"200", b"401"),
    "cookie_name": Case(
        "SID",
        new_session,
        "JSESSIONID=node0….node0; Path=/api".encode(),
        "SID=node0….node0; Path=/api".encode(),
    ),
    "cookie_path": Case(
        "/",
        new_session,
        "JSESSIONID=node0….node0; Path=/api".encode(),
        "JSESSIONID=node0….node0; Path=/".encode(),
    ),
    "session_id_shape": Case(
        "track-{random}",
        new_session,
        "JSESSIONID=node0….node0; Path=/api".encode(),
        "JSESSIONID=track-…; Path=/api".encode(),
    ),
    "login_expires_header": Case(
        "",
        header("Expires", posting(b"email=demo%40example.com&password=demo")),
        b"Thu, 01 Jan 1970 00:00:00 GMT",
        b"none",
    ),
    "status_wrong_password": Case(
        403, status(posting(b"email=demo%40example.com&password=x")), b"401", b"403"
    ),
    "status_missing_field": Case(422, status(posting(b"email=demo%40example.com")), b"400", b"422"),
    "status_json_login": Case(400, status(posting(b"{}", JSON)), b"415", b"400"),
    "status_session_absent": Case(401, status(absent), b"404", b"401"),
    "status_rest_no_session": Case(
        403, status(getting("/api/devices", cookie=NOBODY)), b"401", b"403"
    ),
    "basic_auth": Case(
        False, status(getting("/api/devices", cookie=NOBODY, authorization=BASIC)), b"200", b"401"
    ),
    "basic_realm": Case(
        "Track",
        header("WWW-Authenticate", getting("/api/devices", cookie=NOBODY)),
        b'Basic realm="api"',
        b'Basic realm="Track"',
    ),
    "challenge_scripts": Case(
        True,
        header(
            "WWW-Authenticate",
            getting("/api/devices", cookie=NOBODY, x_requested_with="XMLHttpRequest"),
        ),
        b"none",
        b'Basic realm="api"',
    ),
    "cors": Case(
        "none",
        header("Access-Control-Allow-Origin", getting("/api/devices", origin="https://a.example")),
        b"https://a.example",
        b"none",
    ),
    "strict": Case(True, status(getting("/api/devices?nonsense=1")), b"200", b"400"),
    "status_created": Case(201, status(calling("POST", "/api/devices")), b"200", b"201"),
    "status_updated": Case(
        202, status(calling("PUT", "/api/devices/1", b'{"id":1,"name":"x"}')), b"200", b"202"
    ),
    "status_deleted": Case(200, status(calling("DELETE", "/api/devices/1")), b"204", b"200"),
    "put_id": Case(
        "path",
        body(calling("PUT", "/api/devices/1", b'{"id":2,"name":"x"}')),
        b'{"id":2,"name":"x"}',
        b'{"id":1,"name":"x"}',
    ),
    "put_missing_field": Case(
        "keep",
        body(calling("PUT", "/api/devices/1", b'{"id":1}')),
        b'{"id":1,"name":null}',
        b'{"id":1,"name":"one"}',
    ),
    "status_unknown_id": Case(404, status(getting("/api/devices?id=9")), b"400", b"404"),
    "status_bad_id": Case(400, status(getting("/api/devices?id=x")), b"404", b"400"),
    "error_content_type": Case(
        "text/plain",
        header("Content-Type", getting("/api/devices?id=9")),
        b"application/json",
        b"text/plain",
    ),
    "device_zero_is_all": Case(
        False, status(getting(f"{REPORT}&deviceId=0", accept=JSON)), b"200", b"400"
    ),
    "date_spellings": Case(
        "new",
        status(getting("/api/positions?deviceId=1&from=2025-02-21&to=2025-02-22")),
        b"200",
        b"400",
    ),
    "report_without_accept": Case(
        "json",
        header("Content-Type", getting(f"{REPORT}&deviceId=1")),
        SPREADSHEET,
        b"application/json",
    ),
    "same_location_keeps": Case(
        "last",
        ids(getting(f"{REPORT}&deviceId=1&filterSameLocation=true", accept=JSON)),
        b"11 12 13",
        b"11 12 14",
    ),
    "flapping_stay_max_s": Case(
        5.0,
        ids(getting(f"{REPORT}&deviceId=1&filterFlapping=true", accept=JSON)),
        b"11 13 14",
        b"11 12 13 14",
    ),
    "start_endpoints": Case(False, status(getting("/api/server")), b"200", b"404"),
    "tolerated_parameters": Case(
        ("nonsense",),
        violations_of(getting("/api/devices?responseType=json")),
        b"",
        b"rest.unknown-parameter",
    ),
    "max_polls_per_minute": Case(0, polls, b"rest.polling", b""),
}


@pytest.mark.parametrize("field", CASES)
def test_a_changed_field_changes_the_answer(field: str) -> None:
    case = CASES[field]
    assert case.watch(Caller(DEVICES, POSITIONS)) == case.by_default
    assert case.watch(Caller(DEVICES, POSITIONS, **{field: case.value})) == case.changed
    assert case.by_default != case.changed


def test_without_polls_to_count_none_are_refused() -> None:
    caller = Caller(DEVICES, max_polls_per_minute=0, strict=True)
    assert {caller.ask("/api/devices").status for _ in range(200)} == {200}


def test_a_cookie_of_another_name_logs_in_under_that_name() -> None:
    caller = Caller(DEVICES, cookie_name="SID")
    assert caller.cookie.startswith("SID=")
    assert caller.ask("/api/devices").status == 200
    wrong = caller.cookie.replace("SID=", "JSESSIONID=")
    assert caller.ask("/api/devices", cookie=wrong).status == 401
