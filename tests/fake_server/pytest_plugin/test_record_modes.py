"""`--track-mode`: the same test is recorded against a backend and replayed anywhere. The backend is
a fake, which is as good as a real one to a proxy.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_server.testing import TrackServer, run_track_server
from recorder.recording import Reader
from replayer.playing.script import load_script
from tests.fake_server.pytest_plugin.inner import kept, run
from tests.fake_server.support import DEVICES, POSITION, exchange, said, upgrade, write

EMAIL = "someone@example.com"
PASSWORD = "correct horse battery"
HARBOURS = b'[{"id":4,"name":"harbour"}]'

GOOD = """
@pytest.mark.track(recording=True)
def test_good(track_server):
    cookie = track_server.login().cookie
    assert b"harbour" in get(track_server, "/api/harbours", cookie)
    with open_socket(track_server, cookie) as socket:
        while "positions" not in socket.recv():
            pass
    track_server.expect.request("GET", "/api/harbours")
    track_server.expect.socket()
"""
OWN = "recordings/test_it/test_good.track.jsonl"


@pytest.fixture
def backend(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TrackServer]:
    """A backend, and who may log in there in the variables."""
    folder = tmp_path_factory.mktemp("backend")
    users = folder / "users"
    users.write_text(f"EMAIL={EMAIL}\nPASSWORD='{PASSWORD}'\n")
    entries = [*exchange("/api/harbours", HARBOURS), *upgrade(), said(DEVICES), said(POSITION, 1)]
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TRACK_EMAIL", EMAIL)
    monkeypatch.setenv("TRACK_PASSWORD", PASSWORD)
    with run_track_server(
        recording=write(folder / "all.track.jsonl", entries), user_file=users, check=False
    ) as server:
        yield server


def against(backend: TrackServer, mode: str) -> tuple[str, str]:
    """The options for a run against the backend."""
    return f"--track-mode={mode}", f"--track-url={backend.base_url}"


def old_recording(pytester: pytest.Pytester) -> Path:
    """One that holds a socket and nothing else."""
    path = pytester.path / OWN
    path.parent.mkdir(parents=True)
    return write(path, [*upgrade(), said(DEVICES), said(POSITION, 1)])


def test_once_records_where_there_is_none_and_then_replays(
    pytester: pytest.Pytester, backend: TrackServer
) -> None:
    result = run(pytester, GOOD, *against(backend, "once"))
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*track recordings*", f"recorded {OWN}"])
    own = pytester.path / OWN
    with Reader(own) as reader:
        assert (reader.header.mode, reader.header.upstream) == ("proxy", backend.base_url)
        list(reader)
        assert reader.complete
    assert PASSWORD not in own.read_text()
    was = own.read_bytes()
    asked = len(backend.requests)
    for mode in ("once", "replay"):
        result = run(pytester, GOOD, f"--track-mode={mode}")
        result.assert_outcomes(passed=1)
        result.stdout.no_fnmatch_line("*track recordings*")
    assert own.read_bytes() == was
    assert len(backend.requests) == asked


def test_all_replaces_a_recording(pytester: pytest.Pytester, backend: TrackServer) -> None:
    own = old_recording(pytester)
    assert load_script(own).answer("GET", "/api/harbours") is None
    result = run(pytester, GOOD, *against(backend, "all"))
    result.assert_outcomes(passed=1)
    answer = load_script(own).answer("GET", "/api/harbours")
    assert answer is not None
    assert answer.body == HARBOURS


def test_a_test_that_fails_leaves_the_old_recording_and_keeps_its_session(
    pytester: pytest.Pytester, backend: TrackServer
) -> None:
    own = old_recording(pytester)
    was = own.read_bytes()
    result = run(
        pytester,
        GOOD + "    assert False, 'no'\n",
        *against(backend, "all"),
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "the last frames:",
            "it ran against the backend: mode all: recorded in any case",
            "the session is kept: track-replayer conform *test_good.track.jsonl",
        ]
    )
    assert own.read_bytes() == was
    assert kept(pytester) == ["test_it.py/test_good.track.jsonl"]


def test_a_rule_that_is_broken_at_the_backend_fails_the_test_and_records_nothing(
    pytester: pytest.Pytester, backend: TrackServer
) -> None:
    result = run(
        pytester,
        """
@pytest.mark.track(recording=True)
def test_bad(track_server):
    with open_socket(track_server) as socket:
        socket.send("pong 1")
""",
        *against(backend, "once"),
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*pong.unsolicited*manual 3.3*", "*it ran against the backend*"])
    assert not (pytester.path / "recordings").exists() or not list(
        (pytester.path / "recordings").rglob("*.jsonl")
    )


def test_a_socket_that_is_left_open_at_the_backend_fails_the_test(
    pytester: pytest.Pytester, backend: TrackServer
) -> None:
    result = run(
        pytester,
        """
@pytest.mark.track(recording=True)
def test_left(track_server, request):
    socket = open_socket(track_server)
    request.addfinalizer(socket.close)
""",
        *against(backend, "live"),
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*socket.left-open*"])


def test_new_asks_the_backend_what_the_recording_lacks_and_adds_it(
    pytester: pytest.Pytester, backend: TrackServer
) -> None:
    own = old_recording(pytester)
    result = run(pytester, GOOD, *against(backend, "new"))
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"added to {OWN}: GET /api/harbours"])
    script = load_script(own)
    answer = script.answer("GET", "/api/harbours")
    assert answer is not None
    assert answer.body == HARBOURS
    assert [cue.message for cue in script.cues(0)] == [DEVICES, POSITION]
    was = own.read_bytes()
    result = run(pytester, GOOD, *against(backend, "new"))
    result.assert_outcomes(passed=1)
    assert own.read_bytes() == was
    run(pytester, GOOD).assert_outcomes(passed=1)


def test_new_adds_nothing_where_the_test_fails(
    pytester: pytest.Pytester, backend: TrackServer
) -> None:
    own = old_recording(pytester)
    was = own.read_bytes()
    result = run(
        pytester,
        GOOD + "    assert False\n",
        *against(backend, "new"),
    )
    result.assert_outcomes(failed=1)
    assert own.read_bytes() == was


def test_live_runs_against_the_backend_and_keeps_nothing(
    pytester: pytest.Pytester, backend: TrackServer
) -> None:
    own = old_recording(pytester)
    was = own.read_bytes()
    result = run(pytester, GOOD, *against(backend, "live"))
    result.assert_outcomes(passed=1)
    assert own.read_bytes() == was
    assert kept(pytester) == []
    assert [one.path for one in backend.requests if one.path == "/api/harbours"]


def test_only_a_test_with_a_recording_of_its_own_is_recorded(
    pytester: pytest.Pytester, backend: TrackServer
) -> None:
    write(pytester.path / "some.track.jsonl", [*upgrade(), said(DEVICES)])
    result = run(
        pytester,
        """
def test_fleet(track_server):
    assert track_server.push({"events": []}) == 0

@pytest.mark.track(recording="some.track.jsonl")
def test_given(track_server):
    assert track_server.push({"events": []}) == 0

@pytest.mark.track(recording=True)
class TestAll:
    @pytest.mark.track(recording=False)
    def test_not_this(self, track_server):
        assert track_server.push({"events": []}) == 0
""",
        *against(backend, "all"),
    )
    result.assert_outcomes(passed=3)
    assert backend.doings == []


def test_what_only_a_fake_can_do_is_told(pytester: pytest.Pytester, backend: TrackServer) -> None:
    result = run(
        pytester,
        """
@pytest.mark.track(recording=True)
def test_pushes(track_server):
    track_server.push({"events": []})
""",
        *against(backend, "once"),
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*NeedsFake: push*"])


@pytest.mark.parametrize("mode", ["once", "live"])
def test_faults_are_refused_in_a_sentence(
    mode: str, pytester: pytest.Pytester, backend: TrackServer
) -> None:
    result = run(pytester, FAULTS, *against(backend, mode))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["track_server: faults: only a fake server can do that, and*"])


FAULTS = """
@pytest.mark.track(recording=True, faults=["duplicate:count=1"])
def test_faults(track_server):
    get(track_server, "/api/harbours")
"""


def test_a_disk_that_fails_is_told_and_the_rest_of_the_tests_runs(
    pytester: pytest.Pytester, backend: TrackServer
) -> None:
    result = run(
        pytester,
        """
pytestmark = pytest.mark.track(recording=True)

def test_full(track_server, monkeypatch):
    from recorder.errors import DiskFailed
    from recorder.recording import Writer

    def fails(self, entry):
        raise DiskFailed("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "write", fails)
        get(track_server, "/api/harbours")

def test_rest(track_server):
    get(track_server, "/api/harbours")
""",
        *against(backend, "all"),
    )
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*the disk is full*"])
    result.stdout.fnmatch_lines(["recorded recordings/test_it/test_rest.track.jsonl"])
    assert [path.name for path in (pytester.path / "recordings").rglob("*.*")] == [
        "test_rest.track.jsonl"
    ]


@pytest.mark.parametrize("mode", ["all", "new"])
def test_a_recording_that_cannot_take_its_place_fails_the_test_in_a_sentence(
    mode: str, pytester: pytest.Pytester, backend: TrackServer
) -> None:
    own = old_recording(pytester)
    result = run(
        pytester,
        f"""
from pathlib import Path

@pytest.fixture
def spoils():
    yield
    Path({str(own)!r}).unlink()
    Path({str(own)!r}).mkdir()

@pytest.fixture(autouse=True)
def first(spoils): pass
"""
        + GOOD,
        *against(backend, mode),
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["track_server: *test_good.track.jsonl could not be written: *"])
    result.stdout.no_fnmatch_line("*track recordings*")
    assert [path.name for path in own.parent.iterdir()] == [own.name]


def test_faults_are_no_backends(pytester: pytest.Pytester, backend: TrackServer) -> None:
    text = """
@pytest.mark.track(recording=True, faults="close")
def test_faults(track_server):
    raise AssertionError
"""
    result = run(pytester, text, *against(backend, "once"))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["track_server: faults: only a fake server can do that*"])
    result.stdout.no_fnmatch_line("*live.py*")


def test_a_test_that_no_client_came_to_is_not_recorded(
    pytester: pytest.Pytester, backend: TrackServer
) -> None:
    result = run(
        pytester,
        """
@pytest.mark.track(recording=True)
def test_idle(track_server):
    pass

@pytest.mark.track(recording=True)
def test_skipped(track_server):
    pytest.skip("not today")
""",
        *against(backend, "all"),
    )
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["not recorded: *test_idle.track.jsonl: no client came"])
    assert not list(pytester.path.rglob("*.track.jsonl"))


OUTCOMES = """
pytestmark = pytest.mark.track(recording=True)

@pytest.fixture
def broken_outside():
    yield
    raise RuntimeError("outside")

@pytest.fixture
def broken_inside(track_server):
    yield
    raise RuntimeError("inside")

@pytest.fixture
def broken_before(track_server):
    get(track_server, "/api/harbours")
    raise RuntimeError("before")

def test_skipped(track_server):
    get(track_server, "/api/harbours")
    pytest.skip("not today")

@pytest.mark.xfail
def test_fails_as_expected(track_server):
    get(track_server, "/api/harbours", "no cookie")

@pytest.mark.xfail(strict=True)
def test_passes_unexpectedly(track_server):
    get(track_server, "/api/harbours")

def test_outside(broken_outside, track_server):
    get(track_server, "/api/harbours")

def test_inside(broken_inside, track_server):
    get(track_server, "/api/harbours")

def test_before(broken_before, track_server):
    pass
"""


@pytest.mark.parametrize("mode", ["all", "new"])
def test_a_test_that_did_not_pass_is_not_recorded(
    mode: str, pytester: pytest.Pytester, backend: TrackServer
) -> None:
    names = ("skipped", "fails_as_expected", "passes_unexpectedly", "outside", "inside", "before")
    folder = pytester.path / "recordings" / "test_it"
    if mode == "new":
        folder.mkdir(parents=True)
        for name in names:
            write(folder / f"test_{name}.track.jsonl", [*upgrade(), said(DEVICES)])
    was = {path: path.read_bytes() for path in folder.rglob("*")}
    result = run(pytester, OUTCOMES, *against(backend, mode))
    result.assert_outcomes(passed=2, failed=1, errors=3, skipped=1, xfailed=1)
    assert {path: path.read_bytes() for path in folder.rglob("*")} == was
    result.stdout.no_fnmatch_line("*track recordings*")
    assert kept(pytester) == [
        "test_it.py/test_before.track.jsonl",
        "test_it.py/test_passes_unexpectedly.track.jsonl",
    ]


def test_a_test_of_unittest_is_recorded_if_it_passes(
    pytester: pytest.Pytester, backend: TrackServer
) -> None:
    result = run(
        pytester,
        """
import unittest

@pytest.mark.track(recording=True)
class TestIt(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _server(self, track_server):
        self.server = track_server
        get(track_server, "/api/harbours")

    def test_good(self): pass

    def test_bad(self): self.fail("bad")

    @unittest.expectedFailure
    def test_expected(self): self.fail("expected")

    def test_skipped(self): self.skipTest("skipped")

    def test_in_part(self):
        with self.subTest("part"):
            self.fail("part")
""",
        *against(backend, "all"),
    )
    folder = pytester.path / "recordings" / "test_it"
    assert [path.name for path in folder.rglob("*")] == ["TestIt.test_good.track.jsonl"]
    assert kept(pytester) == [
        "test_it.py/TestIt.test_bad.track.jsonl",
        "test_it.py/TestIt.test_in_part.track.jsonl",
    ]
    result.stdout.fnmatch_lines(
        ["*AssertionError: bad", "*Captured track server call*", "the last frames:"]
    )


def test_a_test_that_is_interrupted_keeps_its_session_and_records_nothing(
    pytester: pytest.Pytester, backend: TrackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(pytester, GOOD + "    raise KeyboardInterrupt\n", *against(backend, "all"))
    assert [path.name for path in pytester.path.rglob("*.jsonl")] == ["test_good.track.jsonl"]
    assert kept(pytester) == ["test_it.py/test_good.track.jsonl"]
    told = capsys.readouterr().out
    assert "\ntest_it.py::test_good was interrupted\n\nthe last frames:\n" in told
    assert "\nthe session is kept: " in told


def test_a_folder_that_cannot_be_made_fails_the_test_in_a_sentence(
    pytester: pytest.Pytester, backend: TrackServer
) -> None:
    (pytester.path / "recordings").write_text("a file")
    result = run(pytester, GOOD, *against(backend, "once"))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["track_server: *recordings?test_it cannot be made: Not a directory"]
    )
    assert backend.doings == []


def test_a_backend_that_is_not_there_is_recorded_by_no_client_that_bears_it(
    pytester: pytest.Pytester, backend: TrackServer
) -> None:
    result = run(
        pytester,
        """
@pytest.mark.track(recording=True)
def test_bears_it(track_server):
    with pytest.raises(urllib.error.HTTPError):
        get(track_server, "/api/harbours", "no cookie")
""",
        "--track-mode=once",
        "--track-url=http://127.0.0.1:9",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*server.failed*", "*the backend: 127.0.0.1:9: cannot connect: *"])
    assert not list((pytester.path / "recordings").rglob("*.jsonl"))


def test_a_recording_that_is_not_there_is_an_error_that_says_how_to_make_it(
    pytester: pytest.Pytester,
) -> None:
    result = run(pytester, GOOD)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [f"*{OWN}: there is none; record it with --track-mode=once --track-url=URL"]
    )


def test_in_ci_nothing_is_recorded_unless_it_is_told(
    pytester: pytest.Pytester, backend: TrackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    options = against(backend, "once")
    result = run(pytester, GOOD, *options)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*CI is set, so that mode once does not record;*"])
    assert backend.doings == []
    result = run(pytester, GOOD, *options, "--track-record-in-ci")
    result.assert_outcomes(passed=1)
    assert (pytester.path / OWN).exists()


def test_a_recording_that_is_too_old_fails_its_test_or_is_made_anew(
    pytester: pytest.Pytester, backend: TrackServer
) -> None:
    own = old_recording(pytester)
    result = run(pytester, GOOD, "--track-max-age=1h")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*old, the limit (--track-max-age) is 1.0 h*"])
    result = run(
        pytester,
        GOOD,
        "--track-max-age=1h",
        *against(backend, "once"),
    )
    result.assert_outcomes(passed=1)
    assert load_script(own).answer("GET", "/api/harbours") is not None
    run(pytester, GOOD, "--track-max-age=1h").assert_outcomes(passed=1)


def test_without_credentials_a_test_is_not_recorded(
    pytester: pytest.Pytester, backend: TrackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRACK_PASSWORD")
    result = run(pytester, GOOD, *against(backend, "once"))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*set TRACK_EMAIL and TRACK_PASSWORD*"])


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--track-max-age=soon", "*--track-max-age: 'soon' is no age; expected a number and*"),
        ("--track-url=ftp://x", "*--track-url: the scheme 'ftp' is none of*"),
        ("--track-mode=some", "*--track-mode: invalid choice: 'some'*"),
    ],
)
def test_an_option_that_cannot_be_is_told_at_once(
    option: str, told: str, pytester: pytest.Pytester
) -> None:
    result = run(pytester, GOOD, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([told])


def test_the_header_tells_the_mode(pytester: pytest.Pytester, backend: TrackServer) -> None:
    nothing = "def test_nothing(): pass"
    result = run(pytester, nothing, "-v", *against(backend, "new"))
    result.stdout.fnmatch_lines([f"track: mode new, backend {backend.base_url}"])
    run(pytester, nothing, "-v").stdout.no_fnmatch_line("track: mode*")
