"""What the fixtures make of marks, and of those who override them."""

from __future__ import annotations

import pytest

from fake_server.testing import run_track_server
from tests.fake_server.pytest_plugin.inner import CLIENT, OPTIONS, run
from tests.fake_server.support import DEVICES, said, upgrade, write


def test_of_marks_the_nearest_wins_value_by_value(pytester: pytest.Pytester) -> None:
    write(pytester.path / "some.track.jsonl", [*upgrade(), said(DEVICES)])
    result = run(
        pytester,
        """
pytestmark = pytest.mark.track(speed=2, fault_seed=2, at_end="loop", recording="some.track.jsonl")

@pytest.mark.track(speed=3, fault_seed=3)
class TestClass:
    @pytest.mark.track(speed=4)
    def test_all(self, track_settings, track_recording):
        found = track_settings
        assert (found.speed, found.fault_seed, found.at_end) == (4, 3, "loop")
        assert found.recording == (track_recording,)
        assert track_recording.name == "some.track.jsonl"

    @pytest.mark.track(recording=False)
    def test_fleet(self, track_settings, track_recording):
        assert (track_recording, track_settings.recording) == (None, ())

    @pytest.mark.track(recording=None)
    def test_fleet_too(self, track_settings):
        assert track_settings.recording == ()

    @pytest.mark.track(recording=["some.track.jsonl", "more.track.jsonl"])
    def test_several(self, track_settings, request):
        here = request.path.parent
        assert track_settings.recording == (here / "some.track.jsonl", here / "more.track.jsonl")
""",
    )
    result.assert_outcomes(passed=4)


def test_paths_of_a_mark_are_relative_to_the_test_and_not_to_the_shell(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pytester.mkdir("contract")
    (folder / "rules.toml").write_text("ping_interval_s = 7\n")
    (folder / "users").write_text("EMAIL=me@example.com\nPASSWORD=mine\n")
    write(folder / "some.track.jsonl", [*upgrade(), said(DEVICES)])
    (folder / "test_it.py").write_text(
        CLIENT
        + """
@pytest.mark.track(recording="some.track.jsonl", rules="rules.toml", user_file="users")
def test_it(track_server):
    assert track_server.settings.rules.ping_interval_s == 7
    assert track_server.email == "me@example.com"
    assert get(track_server, "/api/devices").startswith(b"[{")

@pytest.fixture
def track_recording(request):
    return request.path.parent / "some.track.jsonl"

def test_overridden(track_server, track_recording):
    assert track_server.settings.recording == (track_recording,)
"""
    )
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.runpytest_inprocess("-q", *OPTIONS, "contract").assert_outcomes(passed=2)


def test_the_guard_lets_a_test_reach_the_backend_that_it_names(pytester: pytest.Pytester) -> None:
    body = """
import socket

def test_asks(track_network_guard, track_server):
    assert get(track_server, "/api/devices")
    with socket.create_connection(("127.0.0.1", %d)):
        pass
"""
    with run_track_server() as backend:
        url = f"--track-url={backend.base_url}"
        run(pytester, body % backend.port, url).assert_outcomes(passed=1)
        run(pytester, body % backend.port).assert_outcomes(failed=1, errors=1)
