"""What a request that nobody knows comes nearest to, in words."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fake_server.rest.nearest import nearest
from fake_server.rest.routes import ROUTES
from replayer.playing.answers import exchange_key
from replayer.playing.rebase import Rebased
from tests.fake_server.rest.support import Caller
from tests.profiles import examples

GENERAL = "a call that this server computes or that the recording holds"
RECORDED = [
    exchange_key("GET", "/api/reports/trips?deviceId=1&from=a"),
    exchange_key("GET", "/api/reports/trips?deviceId=3&from=b"),
    exchange_key("POST", "/api/commands"),
    exchange_key("GET", "/api/groups"),
    exchange_key("PUT", "/api/groups?id=1"),
    exchange_key("GET", "/api/events?from=a&to=b"),
    exchange_key("GET", "/api/events?id=1"),
    exchange_key("GET", "/api/users?token=first-secret&deviceId=1"),
]


@pytest.mark.parametrize(
    ("method", "target", "words"),
    [
        (
            "GET",
            "/api/reports/trips?deviceId=2&from=a",
            "GET /api/reports/trips?deviceId=1&from=a, which is recorded; "
            "the query has deviceId '2' where '1' was recorded",
        ),
        (
            "GET",
            "/api/reports/trips?from=b",
            "GET /api/reports/trips?deviceId=3&from=b, which is recorded; "
            "the query lacks deviceId '3'",
        ),
        (
            "GET",
            "/api/groups?all=true&all=false",
            "GET /api/groups, which is recorded; the query has all 'false' and 'true' too",
        ),
        (
            "GET",
            "/api/groups?id=1",
            "GET /api/groups, which is recorded; the query has id '1' too",
        ),
        (
            "GET",
            "/api/events?from=c&to=d",
            "GET /api/events?from=a&to=b, which is recorded; "
            "the query has from 'c' where 'a' was recorded, "
            "the query has to 'd' where 'b' was recorded",
        ),
        (
            "GET",
            "/api/commands",
            "POST /api/commands, which is recorded; the method is GET where POST was recorded",
        ),
        (
            "POST",
            "/api/comands",
            "POST /api/commands, which is recorded; "
            "the path has 'comands' where 'commands' was recorded",
        ),
        (
            "GET",
            "/api/v2/devices?id=1",
            "GET /api/devices, which this server computes; the path has 'v2' too",
        ),
        (
            "PUT",
            "/api/device/7",
            "PUT /api/devices/7, which this server computes; "
            "the path has 'device' where 'devices' is expected",
        ),
        (
            "GET",
            "/reports/trips?deviceId=1&from=a",
            "GET /api/reports/trips?deviceId=1&from=a, which is recorded; the path lacks 'api'",
        ),
        ("GET", "/zzz", GENERAL),
    ],
)
def test_the_nearest_is_named_and_what_differs(method: str, target: str, words: str) -> None:
    assert nearest(method, target, RECORDED, ROUTES) == words


def test_secrets_in_either_target_are_masked() -> None:
    words = nearest("GET", "/api/users?token=other-secret&deviceId=1", RECORDED, ROUTES)
    assert "secret" not in words
    assert "the query has token '[redacted:token-" in words
    recorded = [exchange_key("GET", "/login?password=first-secret")]
    words = nearest("GET", "/login?password=other-secret", recorded, ROUTES)
    assert words == (
        "GET /login?password=[redacted], which is recorded; "
        "the query has another password, which is masked"
    )


def test_of_many_differences_some_are_told() -> None:
    query = "&".join(f"p{number}={number}" for number in range(9))
    words = nearest("GET", f"/api/groups?{query}", RECORDED, ROUTES)
    assert words.endswith("the query has p4 '4' too, and 4 differences more")


def test_a_violation_tells_the_nearest_recorded_call() -> None:
    caller = Caller(answers={"/api/statistics?deviceId=1": b"[]"})
    assert caller.ask("/api/statistics?deviceId=2").status == 404
    [violation] = caller.violations.latest
    assert str(violation).endswith(
        "GET /api/statistics; expected GET /api/statistics?deviceId=1, which is recorded; "
        "the query has deviceId '2' where '1' was recorded [rest.not-recorded, manual 4]"
    )


def test_endpoints_that_the_rules_leave_out_are_not_the_nearest() -> None:
    caller = Caller(start_endpoints=False)
    assert caller.ask("/api/server").status == 404
    [violation] = caller.violations.latest
    assert not violation.expected.startswith("GET /api/server ")


@pytest.mark.parametrize("by_days", [0, 1, -400])
def test_a_rebased_recording_knows_the_calls_that_it_answers(by_days: int) -> None:
    target = "/api/reports/trips?deviceId=1&from=2025-02-21T10%3A00%3A00%2B01%3A00&to=now&name=a+b"
    source = Caller(answers={target: b"[]", "POST /api/commands": b"{}"}).source
    rebased = Rebased(source, by_days * 86400 * 10**9)
    keys = list(rebased.requests())
    assert len(keys) == 2
    for method, path, query in keys:
        assert rebased.answer(method, f"{path}?{urlencode(query)}") is not None
    assert (set(keys) == set(source.requests())) == (by_days == 0)


@settings(max_examples=examples(100))
@given(
    st.sampled_from(["GET", "POST", "x" * 99]),
    st.text(max_size=40),
    st.lists(st.text(max_size=20), max_size=3),
)
@example("GET", "//[", ["//[", "?[=1"])
@example("GET", "/api/devices/\x1b[31m", ["/api/devices/\x1b[31n"])
@example("GET", "/" * 3000, ["/" * 2999])
def test_whatever_is_asked_and_recorded_gives_a_line_of_words(
    method: str, target: str, recorded: list[str]
) -> None:
    words = nearest(method, target, [exchange_key("GET", one) for one in recorded], ROUTES)
    assert words
    assert words.isprintable()
    assert len(words) < 2000
