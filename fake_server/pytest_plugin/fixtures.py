"""The fixtures, small, each to be overridden in a ``conftest.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fake_server.testing import Settings, TrackServer
    from fake_server.testing.guard import Guard

__all__ = ["track_network_guard", "track_recording", "track_server", "track_settings"]


@pytest.fixture
def track_recording(request: pytest.FixtureRequest) -> Path | None:
    """The recording that the server of this test plays: the mark's ``recording``, relative to the
    folder of the test; None is the synthetic fleet, or what else the mark says.
    """
    for mark in request.node.iter_markers("track"):
        recording = mark.kwargs.get("recording")
        if isinstance(recording, str | Path):
            return request.path.parent / recording
    return None


@pytest.fixture
def track_settings(request: pytest.FixtureRequest, track_recording: Path | None) -> Settings:
    """What the server of this test is like: the values of its marks, the nearest first."""
    from fake_server.testing import Settings

    values: dict[str, object] = {}
    for mark in reversed(list(request.node.iter_markers("track"))):
        if mark.args:
            pytest.fail(
                f"@pytest.mark.track takes names and values, read {mark.args!r}", pytrace=False
            )
        values |= mark.kwargs
    if track_recording is not None:
        values["recording"] = track_recording
    try:
        return Settings.of(folder=request.path.parent, **values)
    except ValueError as error:
        pytest.fail(f"@pytest.mark.track of {request.node.name}: {error}", pytrace=False)


@pytest.fixture
def track_server(request: pytest.FixtureRequest, track_settings: Settings) -> Iterator[TrackServer]:
    """A fake Track server that runs on a free port until the test is over.

    The test fails if a client broke a rule, and for all else that
    :func:`fake_server.findings.findings` tells, unless the mark's ``allow`` names it.
    """
    from fake_server.pytest_plugin.watch import watching

    with watching(request, track_settings) as server:
        yield server


@pytest.fixture
def track_network_guard(track_server: TrackServer) -> Iterator[Guard]:
    """This process talks to nothing but ``track_server``, and to what ``allow(host, port)`` of the
    guard names, while the test runs; a test that asks for it fails if anything tried.
    """
    from fake_server.testing.guard import network_guard

    with network_guard([(track_server.host, track_server.port)]) as guard:
        yield guard
    if guard.refused:
        tried = "\n".join(f"  {one}" for one in guard.refused)
        pytest.fail(f"the network guard refused what was no fake server:\n{tried}", pytrace=False)
