"""The fixtures, small, each to be overridden in a ``conftest.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fake_server.pytest_plugin.options import OPTIONS

if TYPE_CHECKING:
    from fake_server.testing import Settings, TrackServer
    from fake_server.testing.guard import Guard
    from recorder.credentials import Credentials

__all__ = [
    "track_credentials",
    "track_network_guard",
    "track_recording",
    "track_server",
    "track_settings",
]


@pytest.fixture
def track_recording(request: pytest.FixtureRequest) -> Path | None:
    """The recording that the server of this test plays, by the nearest mark that has a
    ``recording``: a path is relative to the folder of the test; True is the one that lies beside
    the test and is named after it, which ``--track-mode`` may make. None is the synthetic fleet, or
    what else the mark says.
    """
    for mark in request.node.iter_markers("track"):
        if "recording" not in mark.kwargs:
            continue
        recording = mark.kwargs["recording"]
        if recording is True:
            from fake_server.pytest_plugin.backing import own_recording

            return own_recording(request)
        return request.path.parent / recording if isinstance(recording, str | Path) else None
    return None


@pytest.fixture
def track_settings(request: pytest.FixtureRequest, track_recording: Path | None) -> Settings:
    """What the server of this test is like: the values of its marks, the nearest first."""
    from fake_server.testing import Settings
    from recorder.errors import RecorderError

    values: dict[str, object] = {}
    for mark in reversed(list(request.node.iter_markers("track"))):
        if mark.args:
            pytest.fail(
                f"@pytest.mark.track takes names and values, as speed=2, and read {mark.args!r}",
                pytrace=False,
            )
        values |= mark.kwargs
    if isinstance(values.get("recording"), bool):
        del values["recording"]
    if track_recording is not None:
        values["recording"] = track_recording
    try:
        return Settings.of(folder=request.path.parent, **values)
    except (ValueError, RecorderError) as error:
        told = f"@pytest.mark.track of {request.node.name}: {error}"
        raise pytest.fail.Exception(told, pytrace=False) from None


@pytest.fixture
def track_credentials() -> Credentials:
    """Who logs in at the backend where a test is recorded: ``TRACK_EMAIL`` and ``TRACK_PASSWORD``.

    The test itself takes ``email`` and ``password`` of its ``track_server``, which are these then.
    """
    from recorder.credentials import (
        EMAIL_VARIABLE,
        PASSWORD_VARIABLE,
        credentials_from_environment,
    )

    found = credentials_from_environment()
    if found is None:
        pytest.fail(
            f"nobody to log in at the backend: set {EMAIL_VARIABLE} and {PASSWORD_VARIABLE}, or"
            " override the fixture track_credentials",
            pytrace=False,
        )
    return found


@pytest.fixture
def track_server(request: pytest.FixtureRequest, track_settings: Settings) -> Iterator[TrackServer]:
    """A fake Track server that runs on a free port until the test is over; where ``--track-mode``
    records, the backend itself, by way of a proxy.

    The test fails if a client broke a rule, and for all else that
    :func:`fake_server.findings.findings` tells, unless the mark's ``allow`` names it.
    """
    from fake_server.pytest_plugin.watch import watching

    with watching(request, track_settings) as server:
        yield server


@pytest.fixture
def track_network_guard(
    request: pytest.FixtureRequest, track_server: TrackServer
) -> Iterator[Guard]:
    """This process talks to nothing but ``track_server``, and to what ``allow(host, port)`` of the
    guard names, while the test runs; a test that asks for it fails if anything tried. The backend
    of ``--track-url`` may be reached, if there is one.
    """
    from fake_server.testing.guard import network_guard
    from recorder.backend import Backend

    allowed = [(track_server.host, track_server.port)]
    if (url := request.config.stash[OPTIONS].url) is not None:
        backend = Backend.parse(url)
        allowed.append((backend.host, backend.port))
    with network_guard(allowed) as guard:
        yield guard
    if guard.refused:
        tried = "\n".join(f"  {one}" for one in guard.refused)
        pytest.fail(
            f"the network guard refused what was no fake server:\n{tried}\n"
            "What is meant to be can be allowed: track_network_guard.allow(host, port)",
            pytrace=False,
        )
