"""What is near to a request, where there is much to look at, or an id that is none."""

from __future__ import annotations

from fake_server.rest.nearest import nearest
from fake_server.rest.routes import ROUTES
from replayer.playing.answers import ExchangeKey, exchange_key

FAR = "a call that this server computes or that the recording holds"


def recorded(*targets: str) -> list[ExchangeKey]:
    return [exchange_key("GET", target) for target in targets]


def test_a_route_is_shown_with_the_id_that_was_asked_for_if_it_is_one() -> None:
    assert nearest("PATCH", "/api/devices/7", (), ROUTES).startswith("PUT /api/devices/7")
    words = nearest("PATCH", "/api/devices/x7", (), ROUTES)
    assert words.startswith("GET /api/devices")
    assert "/x7" not in words


def test_the_very_call_that_is_recorded_and_not_given_may_not_be_seen() -> None:
    words = nearest("GET", "/api/groups?a=1", recorded("/api/groups?a=1"), ())
    assert words.endswith("is recorded; this account may not see it")


def test_only_the_first_200_paths_are_looked_at_unless_it_is_the_path_itself() -> None:
    others = [f"/{number}" for number in range(200)]
    last = "/api/reports/trips"
    known = recorded(*others, last)
    assert nearest("GET", "/api/reports/trip", known, ()) == FAR
    assert f"GET {last}" in nearest("GET", "/api/reports/trip", known[1:], ())
    assert f"GET {last}" in nearest("GET", f"{last}?a=1", known, ())


def test_paths_that_are_too_long_to_compare_are_not_near() -> None:
    known = recorded("/api/" + "x" * 400)
    assert nearest("GET", "/api/" + "x" * 399, known, ()) == FAR


def test_a_long_path_is_compared_by_its_beginning() -> None:
    known = recorded("/api/" + "x" * 150)
    assert nearest("GET", "/api/" + "x" * 2000, known, ()) != FAR


def test_paths_that_differ_where_they_are_not_shown_differ_all_the_same() -> None:
    long = "/api" + "/x" * 60
    words = nearest("GET", f"{long}/1", recorded(f"{long}/2"), ())
    assert "the path differs" in words


def test_a_method_is_cut_and_an_empty_value_is_told() -> None:
    words = nearest("M" * 99, "/api/groups?a=", recorded("/api/groups?a=1"), ())
    assert f"the method is {'M' * 20}… where GET was recorded" in words
    assert "the query has a '' where '1' was recorded" in words
