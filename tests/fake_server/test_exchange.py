"""An HTTP exchange as two values."""

from __future__ import annotations

import pytest

from fake_server.exchange import (
    Answer,
    HttpRequest,
    is_for_admin,
    json_answer,
    reason_of,
    text_answer,
)


def request(target: str = "/", *headers: tuple[str, str]) -> HttpRequest:
    return HttpRequest(method="GET", target=target, headers=headers)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/api/devices", "/api/devices", ""),
        ("/api/devices?id=1&id=2", "/api/devices", "id=1&id=2"),
        ("/api/de%76ices?a=b?c=%26", "/api/de%76ices", "a=b?c=%26"),
        ("/?", "/", ""),
    ],
)
def test_a_target_is_a_path_and_a_query_as_they_were_sent(
    target: str, path: str, query: str
) -> None:
    assert (request(target).path, request(target).query) == (path, query)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/__admin", True),
        ("/__admin?x=/", True),
        ("/__admin/", True),
        ("/__admin/faults", True),
        ("/__administrator", False),
        ("/api/__admin/", False),
        ("/?/__admin/", False),
    ],
)
def test_the_control_api_is_at_its_path_and_below(target: str, expected: bool) -> None:
    assert is_for_admin(request(target)) is expected


def test_of_a_header_the_first_counts_and_cookies_are_joined() -> None:
    asked = request("/", ("cookie", "a=1"), ("accept", "x"), ("accept", "y"), ("cookie", "b=2"))
    assert (asked.header("accept"), asked.header("host"), asked.header("host", "?")) == (
        "x",
        "",
        "?",
    )
    assert asked.cookies == "a=1; b=2"
    assert request().cookies == ""


def test_an_answer_with_more_headers_is_another_answer() -> None:
    first = json_answer(b"[]", 201)
    more = first.with_headers({"Set-Cookie": "x", "Connection": "close"})
    assert first == Answer(201, b"[]", (("Content-Type", "application/json"),))
    assert more.headers == (*first.headers, ("Set-Cookie", "x"), ("Connection", "close"))
    assert (more.status, more.body) == (201, b"[]")


def test_text_is_utf_8() -> None:
    assert text_answer(404, "ä") == Answer(
        404, "ä".encode(), (("Content-Type", "text/plain; charset=utf-8"),)
    )


@pytest.mark.parametrize(("status", "reason"), [(200, "OK"), (404, "Not Found"), (599, "")])
def test_a_status_that_nobody_named_has_no_reason(status: int, reason: str) -> None:
    assert reason_of(status) == reason
