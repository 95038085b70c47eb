"""What stands behind a test's server, decided without running one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fake_server.pytest_plugin.backing import backing_of, own_recording
from fake_server.pytest_plugin.modes import Decision
from fake_server.pytest_plugin.options import OPTIONS, Options
from fake_server.testing import Settings, run_track_server
from tests.fake_server.pytest_plugin.inner import kept, run
from tests.fake_server.support import DEVICES, said, upgrade, write


def request(
    folder: Path, *, cls: type | None = None, credentials: bool = True, **options: Any
) -> pytest.FixtureRequest:
    """That of ``test_it`` in ``test_file.py``."""
    stash = pytest.Stash()
    stash[OPTIONS] = Options(failures=folder / "failures", **options)

    def getfixturevalue(name: str) -> object:
        assert credentials, "nobody logs in"
        return SimpleNamespace(email="me@example.com", password="mine")

    made = SimpleNamespace(
        path=folder / "test_file.py",
        node=SimpleNamespace(name="test_it"),
        cls=cls,
        config=SimpleNamespace(stash=stash),
        getfixturevalue=getfixturevalue,
    )
    return cast(pytest.FixtureRequest, made)


class TestOuter:
    class TestInner:
        """Its name alone may be another's too."""


def test_a_recording_of_its_own_is_named_after_the_classes_too(tmp_path: Path) -> None:
    folder = tmp_path / "recordings" / "test_file"
    assert own_recording(request(tmp_path)) == folder / "test_it.track.jsonl"
    inner = own_recording(request(tmp_path, cls=TestOuter.TestInner))
    assert inner == folder / "TestOuter.TestInner.test_it.track.jsonl"


def test_only_its_own_recording_and_that_alone_is_ever_recorded(tmp_path: Path) -> None:
    asked = request(tmp_path, mode="all", url="https://track.example")
    own = own_recording(asked)
    for recording in ((), (tmp_path / "other",), (own, tmp_path / "other")):
        _, decision = backing_of(asked, Settings(recording=recording), tmp_path)
        assert decision == Decision("replay", "")
    _, decision = backing_of(asked, Settings(recording=(own,)), tmp_path)
    assert decision.action == "record"


def test_who_replays_needs_neither_credentials_nor_an_age_that_nobody_asked_for(
    tmp_path: Path,
) -> None:
    asked = request(tmp_path, credentials=False)
    own = own_recording(asked)
    own.parent.mkdir(parents=True)
    own.write_text("what it is, its player will say")
    _, decision = backing_of(asked, Settings(recording=(own,)), tmp_path)
    assert decision == Decision("replay", "mode replay")


def test_in_ci_it_is_not_recorded_unless_that_was_said(tmp_path: Path) -> None:
    options = {"mode": "once", "url": "https://track.example", "in_ci": True}
    own = own_recording(request(tmp_path))
    with pytest.raises(pytest.fail.Exception, match="CI is set, so that mode once does not"):
        backing_of(request(tmp_path, **options), Settings(recording=(own,)), tmp_path)
    told = request(tmp_path, **options, record_in_ci=True)
    _, decision = backing_of(told, Settings(recording=(own,)), tmp_path)
    assert decision.action == "record"


def test_the_recording_is_named_as_seen_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(tmp_path)
    settings = Settings(recording=(own_recording(asked),))
    for here, told in (
        (tmp_path, "track_server: recordings/test_file/test_it.track.jsonl: there is none"),
        (tmp_path.parent.parent, None),
        (Path("/usr"), f"track_server: {tmp_path}/recordings/test_file/test_it.track.jsonl: "),
    ):
        monkeypatch.chdir(here)
        told = told or f"track_server: {tmp_path.relative_to(here)}/recordings/test_file/"
        with pytest.raises(pytest.fail.Exception) as caught:
            backing_of(asked, settings, tmp_path)
        assert str(caught.value).startswith(told)


# With a backend


def recorded(pytester: pytest.Pytester) -> list[Path]:
    return [path for path in (pytester.path / "recordings").rglob("*") if path.is_file()]


def test_what_did_not_pass_is_not_recorded_and_a_live_run_leaves_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = """
pytestmark = pytest.mark.track(recording=True)

def test_skipped(track_server):
    get(track_server, "/api/devices")
    pytest.skip("not today")

@pytest.fixture
def broken(track_server):
    get(track_server, "/api/devices")
    raise KeyError("mine")

def test_not_begun(track_server, broken):
    pass
"""
    monkeypatch.delenv("CI", raising=False)
    with run_track_server(check=False) as backend:
        monkeypatch.setenv("TRACK_EMAIL", backend.email)
        monkeypatch.setenv("TRACK_PASSWORD", backend.password)
        url = f"--track-url={backend.base_url}"
        run(pytester, body, "--track-mode=all", url).assert_outcomes(skipped=1, errors=1)
        assert len([one for one in backend.requests if one.path == "/api/devices"]) == 2
        assert recorded(pytester) == []
        passes = """
@pytest.mark.track(recording=True)
def test_passes(track_server):
    get(track_server, "/api/devices")
    import pathlib
    assert not list(pathlib.Path("recordings").rglob("*.jsonl*")), "it is recorded elsewhere"
"""
        result = run(pytester, passes, "--track-mode=live", url)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*track recordings*")
    assert recorded(pytester) == []


@pytest.mark.parametrize("mode", ["all", "live", "new"])
def test_the_authorities_that_were_named_are_trusted_in_every_mode(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted: list[object] = []

    def note(*arguments: object, ca_file: object, **options: object) -> Any:
        trusted.append(ca_file)
        raise KeyError("far enough")

    monkeypatch.setattr("fake_server.testing.live.run_live_server", note)
    monkeypatch.setattr("fake_server.testing.adding.Adding", note)
    asked = request(tmp_path, mode=mode, url="https://track.example", ca_file=tmp_path / "ca.pem")
    own = own_recording(asked)
    own.parent.mkdir(parents=True)
    own.touch()
    backing, _ = backing_of(asked, Settings(recording=(own,)), tmp_path)
    outcome: Any = SimpleNamespace(kept=tmp_path / "kept", failed=False, passed=False)
    with pytest.raises(KeyError, match="far enough"), backing(outcome):
        raise AssertionError("never here")
    assert trusted == [tmp_path / "ca.pem"]


def test_in_mode_new_what_failed_is_kept_and_what_asked_nothing_new_changes_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    for test in ("fails", "passes"):
        own = pytester.path / "recordings" / "test_it" / f"test_{test}.track.jsonl"
        own.parent.mkdir(parents=True, exist_ok=True)
        write(own, [*upgrade(), said(DEVICES)])
    was = {path: path.read_bytes() for path in recorded(pytester)}
    monkeypatch.delenv("CI", raising=False)
    with run_track_server(check=False) as backend:
        monkeypatch.setenv("TRACK_EMAIL", backend.email)
        monkeypatch.setenv("TRACK_PASSWORD", backend.password)
        body = """
pytestmark = pytest.mark.track(recording=True)

def test_fails(track_server):
    get(track_server, "/api/devices")
    assert False, "mine"

def test_passes(track_server):
    get(track_server, "/api/devices")
"""
        result = run(pytester, body, "--track-mode=new", f"--track-url={backend.base_url}")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.no_fnmatch_line("*added to*")
    assert kept(pytester) == ["test_it.py/test_fails.track.jsonl"]
    assert {path: path.read_bytes() for path in recorded(pytester)} == was
