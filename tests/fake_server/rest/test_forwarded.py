"""What is forwarded to a backend, where there is one: all that the recording shows nothing of."""

from __future__ import annotations

import pytest

from tests.fake_server.rest.support import Caller
from tests.fake_server.support import DEVICES

FORWARDED = 299
PERIOD = "from=2025-02-21T00%3A00%3A00Z&to=2025-02-22T00%3A00%3A00Z"
ROUTE = f"/api/reports/route?deviceId=1&{PERIOD}"


def status(caller: Caller, target: str, method: str = "GET") -> int:
    return caller.ask(target, method, accept="application/json").status


@pytest.mark.parametrize(
    ("target", "method"),
    [
        ("/api/harbours", "GET"),
        ("/api/harbours?id=3", "GET"),
        ("/api/harbours", "POST"),
        ("/pages/a", "GET"),
        # Computed, but of nothing that the recording shows.
        ("/api/beacons", "GET"),
        ("/api/beacons", "HEAD"),
        ("/api/positions?id=3", "GET"),
        ("/api/server", "GET"),
        ("/api/groups", "GET"),
        (ROUTE, "GET"),
    ],
)
def test_what_the_recording_shows_nothing_of_is_forwarded(target: str, method: str) -> None:
    caller = Caller(DEVICES, forwards=True)
    assert status(caller, target, method) == FORWARDED
    assert caller.broken == []
    assert status(Caller(DEVICES), target, method) != FORWARDED


def test_what_is_recorded_or_computed_of_it_is_not_forwarded() -> None:
    recorded = dict.fromkeys(("/api/harbours", "/api/beacons", "/api/groups", ROUTE), b"[]")
    caller = Caller(DEVICES, answers=recorded, forwards=True)
    for target in (*recorded, "/api/devices", "/api/devices?id=1", "/api/session"):
        assert status(caller, target) == 200, target


def test_what_breaks_a_rule_is_not_forwarded() -> None:
    caller = Caller(DEVICES, forwards=True)
    assert caller.ask("/api/harbours", cookie="").status == 401
    assert caller.ask("/api/beacons", cookie="").status == 401
    assert caller.ask("/api/devices", "PATCH").status == 405
    assert caller.ask("/api/devices?id=99").status == 400
    assert caller.broken == [
        "session.no-cookie",
        "session.no-cookie",
        "rest.wrong-method",
        "rest.unknown-id",
    ]
