"""schemathesis against a running fake on loopback: what the OpenAPI document says is what it does.

Every check of schemathesis is on but for the tables below, each exception with the fact behind it.
It is driven by its Python API: its pytest plugin takes a second of every test session's start.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
import schemathesis
import trio
from schemathesis import engine
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.engine import Status, events

from fake_server.accounts import DEMO_ACCOUNT
from fake_server.fleet import Fleet
from fake_server.rest.routes import ROUTES
from fake_server.server import FakeServer
from recorder.track.rules import Rules

RULES: Final = Rules(
    # By default an unknown id is answered 400 (Traccar lineage), which no client, and no checker,
    # can tell from a value that cannot be.
    status_unknown_id=404,
    # By default the line of text that an error is says that it is JSON (Traccar lineage).
    error_content_type="text/plain; charset=utf-8",
    # A checker asks for lists all the time.
    max_polls_per_minute=0,
)
"""The rules that the server goes by."""

OFF: Final[dict[str, dict[str, str]]] = {
    "valid": {},
    "broken": {
        "response_schema_conformance": (
            "The backend's mapper (Jackson) takes numbers and true or false where text is wanted, "
            "and the other way round; the fake keeps what was sent as it came, so that later "
            "answers have it."
        ),
    },
}
"""Checks that are off, by what is sent: calls that the document allows, or ones that it forbids."""

ACCEPTED: Final = {
    "post(Devices|Beacons|Positions)|put(Device|Beacon|Position)": (
        "Jackson takes scalars of other types than the field's."
    ),
    "getDevices": "Jersey reads whatever is not true as false: all=213.",
    "get(Geofences|Groups|Drivers|Maintenance|Calendars|Notifications)": (
        "Parameters that an endpoint does not know are let pass (Jersey), and are reported; those "
        "that it knows mean nothing here."
    ),
    "getPositions": "from and to are read only where there is also a deviceId.",
    "getReports.*": (
        "An empty value counts as left out: the script of manual section 4.6 sends one."
    ),
}
"""Operations whose negative_data_rejection is off, as a pattern of their names."""

DATES: Final = (
    "Old versions spell dates with +0000 (manual section 3.2), which is no date-time of RFC 3339."
)
"""Why the formats of what is answered are not looked at."""


@contextmanager
def running() -> Iterator[str]:
    """A server in a thread of its own; yields its URL."""
    started = threading.Event()
    port = 0
    stop = trio.CancelScope()
    token: trio.lowlevel.TrioToken | None = None

    async def main() -> None:
        nonlocal port, token
        server = FakeServer(Fleet(), rules=RULES)
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        token = trio.lowlevel.current_trio_token()
        with stop:
            async with trio.open_nursery() as nursery:
                await nursery.start(server.serve, listeners)
                started.set()

    def run() -> None:
        try:
            trio.run(main)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="fake server")
    thread.start()
    started.wait()
    try:
        assert token is not None, "the server did not start"
        yield f"http://127.0.0.1:{port}"
    finally:
        if token is not None:
            trio.from_thread.run_sync(stop.cancel, trio_token=token)
        thread.join()


def configuration(url: str, sent: str, max_examples: int, max_steps: int) -> Any:
    """What schemathesis goes by; it reads and writes no files."""
    mode = {"valid": "positive", "broken": "negative"}[sent]
    generation = {
        "mode": mode,
        "max-examples": max_examples,
        "deterministic": True,
        "database": "none",
    }
    checks: dict[str, Any] = {
        "response_schema_conformance": {"validate-formats": False},
    } | {name: {"enabled": False} for name in OFF[sent]}
    return schemathesis.Config.from_dict(
        {
            "base-url": url,
            "seed": 1,
            "cache": {"enabled": False},
            # Not the session: DELETE /api/session would end it for all calls that follow.
            "auth": {"basic": {"username": DEMO_ACCOUNT.email, "password": DEMO_ACCOUNT.password}},
            "headers": {"Accept": "application/json"},
            "generation": generation,
            "phases": {
                "stateful": {
                    "enabled": max_steps > 0,
                    "max-steps": max(2, max_steps),
                    "generation": {**generation, "max-examples": max(1, max_examples // 4)},
                }
            },
            "checks": checks,
            "operations": [
                {
                    "include-operation-id-regex": f"^({pattern})$",
                    "checks": {"negative_data_rejection": {"enabled": False}},
                }
                for pattern in ACCEPTED
                if sent == "broken"
            ],
        }
    )


class Found:
    """What a run found: failures as text, each kind once an operation, and how many calls it made
    of which operations.
    """

    def __init__(self) -> None:
        self.failures: dict[tuple[str, str, str], str] = {}
        self.errors: list[str] = []
        self.calls: dict[tuple[str, str], int] = {}
        self.checked: set[str] = set()

    def add(self, event: Any) -> None:
        if isinstance(event, events.NonFatalError | events.FatalError):
            self.errors.append(str(getattr(event, "info", event)))
        elif isinstance(event, events.ScenarioFinished):
            recorder = event.recorder
            for node in recorder.cases.values():
                key = (node.value.method, node.value.path)
                self.calls[key] = self.calls.get(key, 0) + 1
            for case_id, checks in recorder.checks.items():
                case = recorder.cases[case_id].value
                for check in checks:
                    self.checked.add(check.name)
                    if check.failure_info is not None:
                        failure = check.failure_info.failure
                        text = f"{failure.title}\n{failure.message}"
                        shown = f"{text[:1500]}\n{check.failure_info.code_sample[:1500]}"
                        self.failures.setdefault((check.name, case.method, case.path), shown)

    def __str__(self) -> str:
        shown = [f"{' '.join(key)}\n{text}" for key, text in self.failures.items()]
        return "\n\n".join([*self.errors, *shown])


def check(sent: str, *, max_examples: int, max_steps: int) -> Found:
    """Run all phases; returns what was found."""
    found = Found()
    with running() as url:
        config = configuration(url, sent, max_examples, max_steps)
        schema = schemathesis.openapi.from_url(f"{url}/api/openapi.json", config=config)
        schema.validate()
        for event in engine.from_schema(schema).execute():
            found.add(event)
            if isinstance(event, events.PhaseFinished):
                assert event.status != Status.INTERRUPTED
    assert not found.failures, str(found)
    assert not found.errors, str(found)
    return found


def test_every_exception_is_of_a_check_that_there_is() -> None:
    load_all_checks()
    assert {name for names in OFF.values() for name in names} <= set(CHECKS.get_all_names())


@pytest.mark.parametrize("sent", ["valid", "broken"])
def test_calls_are_answered_as_the_document_says(sent: str) -> None:
    found = check(sent, max_examples=2, max_steps=0)
    assert {(route.method, route.path) for route in ROUTES} <= set(found.calls)
    assert found.checked == set(CHECKS.get_all_names()) - set(OFF[sent])


@pytest.mark.nightly
@pytest.mark.parametrize("sent", ["valid", "broken"])
def test_many_calls_and_sequences_of_them_are_answered_as_the_document_says(sent: str) -> None:
    check(sent, max_examples=30, max_steps=6)
