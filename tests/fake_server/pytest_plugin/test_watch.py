"""What the report of a failed test says, and what it does not."""

from __future__ import annotations

import pytest

from tests.fake_server.pytest_plugin.inner import CLIENT, OPTIONS, kept, run
from tests.fake_server.support import DEVICES, said, upgrade, write

KEPT = "the session is kept: track-replayer conform track-failures/test_it.py/"


def test_a_test_that_raised_is_told_what_it_did_wrong_and_not_what_it_had_no_time_for(
    pytester: pytest.Pytester,
) -> None:
    own = pytester.mkdir("recordings") / "test_it" / "test_own.track.jsonl"
    own.parent.mkdir()
    write(own, [*upgrade(), said(DEVICES)])
    result = run(
        pytester,
        """
@pytest.mark.track(recording=True)
def test_own(track_server):
    assert False, "mine"

def test_open(track_server, request):
    socket = open_socket(track_server)
    request.addfinalizer(socket.close)
    socket.send("hello")
    track_server.expect.text("hello")
    assert False, "mine"
""",
    )
    result.assert_outcomes(failed=2)
    text = result.stdout.str()
    assert f"{KEPT}test_own.track.jsonl\n" in text
    assert f"{KEPT}test_open.track.jsonl\n" in text
    assert "text.unknown (manual 3.3)" in text
    assert "socket.left-open" not in text
    assert "it ran against the backend" not in text
    # It failed once: what is wrong with its server is no error of taking it down.
    assert "ERROR" not in text


def test_what_fails_a_test_is_told_once(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def test_bad(track_server):
    with open_socket(track_server) as socket:
        socket.send("pong 1")
""",
    )
    result.assert_outcomes(failed=1)
    # In CI pytest repeats a failure's words in the summary.
    text = result.stdout.str().partition("short test summary")[0]
    assert text.count("the session is kept") == 1
    assert text.count("the last frames:") == 1


def test_what_comes_behind_the_test_is_judged_when_it_is_taken_down(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
@pytest.fixture
def client(track_server):
    with open_socket(track_server) as socket:
        yield socket
        socket.send("pong 1")

def test_passes(client):
    pass

@pytest.fixture
def leaky(track_server):
    sockets.append(open_socket(track_server))

sockets = []

def test_leaves(leaky):
    pass

def teardown_module():
    for socket in sockets:
        socket.close()
""",
    )
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(["*pong.unsolicited (manual 3.3)*", "*socket.left-open*"])
    assert kept(pytester) == [
        "test_it.py/test_leaves.track.jsonl",
        "test_it.py/test_passes.track.jsonl",
    ]


def test_tests_that_lie_outside_of_the_root_keep_their_sessions_inside_and_apart(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = pytester.mkdir("root")
    for name in ("one", "two"):
        body = f"def test_it(track_server):\n    assert False, {name!r}\n"
        (pytester.mkdir(name) / f"test_{name}.py").write_text(CLIENT + body)
    monkeypatch.chdir(root)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    result = pytester.runpytest_inprocess(
        "-q", *OPTIONS, "--rootdir=.", "../one/test_one.py", "../two/test_two.py"
    )
    result.assert_outcomes(failed=2)
    found = sorted(pytester.path.rglob("*.jsonl"))
    assert [path.parent.name for path in found] == ["test_one.py", "test_two.py"]
    for path in found:
        assert path.is_relative_to(root / "track-failures")
        assert path.name == "test_it.track.jsonl"
