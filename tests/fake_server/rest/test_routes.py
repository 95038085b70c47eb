"""The table of endpoints."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fake_server.rest.routes import ROUTES, methods_of
from recorder.track.rules import Rules


def test_each_method_of_a_path_stands_there_once() -> None:
    calls = [(route.method, route.path) for route in ROUTES]
    assert len(calls) == len(set(calls))


def test_every_route_is_found_by_its_path() -> None:
    for route in ROUTES:
        methods, found = methods_of(route.path.replace("{id}", "5"))
        assert methods[route.method] is route
        assert found == ("5" if "{id}" in route.path else "")


def test_every_success_is_a_status() -> None:
    assert {route.status(Rules()) for route in ROUTES} == {200, 204}


def test_every_route_says_what_it_is_and_how_that_is_known() -> None:
    for route in ROUTES:
        assert route.summary.endswith(".")
        assert route.source in ("manual", "Traccar lineage", "seen in clients")
        for parameter in route.parameters:
            assert parameter.description
            assert parameter.source


@given(st.text("/;api devicso{}1%", max_size=20))
def test_any_path_has_routes_or_none(path: str) -> None:
    methods, one = methods_of(path)
    assert "/" not in one
    assert bool(methods) or not any(route.path == path for route in ROUTES)
