"""The plugin as pytest runs it: what fails a test, and what its report says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fake_server.pytest_plugin.inner import kept, run
from tests.fake_server.support import DEVICES, POSITION, exchange, said, upgrade, write


def test_a_client_that_keeps_the_rules_passes_and_nothing_is_kept(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
def test_good(track_server):
    with open_socket(track_server) as socket:
        assert socket.recv()
    assert get(track_server, "/api/devices").startswith(b"[")
""",
    )
    result.assert_outcomes(passed=1)
    assert kept(pytester) == []


def test_a_broken_rule_fails_the_test_with_its_section_and_the_last_frames(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
def test_bad(track_server):
    with open_socket(track_server) as socket:
        socket.send("pong 1")
""",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*pong.unsolicited*manual 3.3*",
            "*'pong 1'*",
            "the last frames:",
            "*-> text*pong*1*",
            "the session is kept: track-replayer conform *test_bad.track.jsonl",
        ]
    )
    assert kept(pytester) == ["test_it.py/test_bad.track.jsonl"]


def test_what_the_mark_allows_does_not_fail_it(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
@pytest.mark.track(allow="pong.*")
def test_allowed(track_server):
    with open_socket(track_server) as socket:
        socket.send("pong 1")
""",
    )
    result.assert_outcomes(passed=1)


def test_a_socket_that_is_left_open_fails_the_test(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def test_left(track_server, request):
    socket = open_socket(track_server)
    request.addfinalizer(socket.close)
""",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "1 finding: socket.left-open (1 time)",
            "socket.left-open, 1 time: Every socket that was opened is closed.",
            "    socket 1 of demo@example.com (connection 1), open for * s",
            'What is meant to be can be allowed: allow=?"socket.left-open"?',
            "the last frames:",
            "*GET /api/socket -> 101*",
        ]
    )


def test_a_socket_of_a_fixture_is_judged_when_that_is_taken_down(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
@pytest.fixture
def client(track_server):
    with open_socket(track_server) as socket:
        yield socket

def test_closed_later(client):
    assert client.recv()
""",
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        ('recording="none.track.jsonl"', "*none.track.jsonl cannot be opened: No such file*"),
        ('recording=["1.track.jsonl", "2.track.jsonl"]', "*1.track.jsonl cannot be opened*"),
        ('recording="test_it.py"', "track_server: *test_it.py*"),
        ("recording=3", "*test_it: recording: read 3, expected a path or several"),
        ("faults=3", "*test_it: faults: read 3, expected a fault or several"),
        ('allow="pong.latte"', "*test_it: allow: there is no finding 'pong.latte'; did you mean*"),
        ("allow=3", "*test_it: allow: read 3, expected the name of a finding or several"),
        ("rules=3", "*test_it: rules: read 3, expected a path, Rules or a mapping of its fields"),
        ('rules="none.toml"', "*test_it: *none.toml*"),
        ('user_file="none"', "track_server: *none*"),
        ("colour=3", "*test_it: there is no setting 'colour'; there are *"),
        ("3", "@pytest.mark.track takes names and values, as speed=2, and read (3,)"),
    ],
)
def test_a_mark_that_cannot_be_is_told_in_a_sentence(
    mark: str, told: str, pytester: pytest.Pytester
) -> None:
    result = run(
        pytester,
        f"""
@pytest.mark.track({mark})
def test_it(track_server):
    pass
""",
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([told])
    result.stdout.no_fnmatch_line("*Error:*")


def test_a_message_that_was_never_taken_fails_a_test_that_requires_all(
    pytester: pytest.Pytester,
) -> None:
    write(pytester.path / "some.track.jsonl", [*upgrade(), said(DEVICES), said(POSITION, 1.0)])
    result = run(
        pytester,
        """
pytestmark = pytest.mark.track(recording="some.track.jsonl", require_all=True)

def test_takes_nothing(track_server):
    pass

def test_takes_all(track_server):
    with open_socket(track_server):
        track_server.expect.played()

@pytest.mark.track(allow="message.untaken")
def test_may(track_server):
    pass
""",
    )
    result.assert_outcomes(failed=1, passed=2)
    result.stdout.fnmatch_lines(
        ["message.untaken, 2 times: Every recorded message is taken.", "*devices*", "*positions*"]
    )


def test_a_request_that_the_recording_does_not_know_is_told_with_the_nearest(
    pytester: pytest.Pytester,
) -> None:
    known = exchange("/api/depots?deviceId=1", b"[]")
    write(pytester.path / "some.track.jsonl", [*upgrade(), said(DEVICES), *known])
    result = run(
        pytester,
        """
@pytest.mark.track(recording="some.track.jsonl")
def test_asks(track_server):
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(track_server, "/api/depots?deviceId=2")
    refused.value.close()
""",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["rest.not-recorded (manual 4)*"])
    text = " ".join(result.stdout.str().split())
    assert (
        "GET /api/depots?deviceId=1, which is recorded; the query has deviceId '2' where '1' was"
        " recorded"
    ) in text


def test_a_failure_of_the_server_fails_the_test(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def test_fails(track_server):
    def fail(fake):
        fake.failures.append("ValueError: a bug")
    track_server.call(fail)
""",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["server.failed*", "*ValueError: a bug*"])


def test_an_expectation_that_was_not_awaited_fails_the_test(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
import asyncio

def test_forgets(track_server):
    async def test():
        track_server.expect.pong(within_s=0.0)
    asyncio.run(test())
""",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*expect.pong()*not awaited*"])


def test_an_impossible_mark_is_told(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
@pytest.mark.track(recroding="some.track.jsonl")
def test_typo(track_server):
    pass
""",
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no setting 'recroding'; did you mean 'recording'?*"])


def test_a_failed_assertion_shows_what_the_server_saw(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def test_wrong(track_server):
    get(track_server, "/api/devices")
    assert False
""",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*track server*", "*GET /api/devices*200*"])
    assert kept(pytester) == ["test_it.py/test_wrong.track.jsonl"]


def test_failed_tests_keep_their_sessions_apart_and_in_place_whatever_their_parameters(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
@pytest.mark.parametrize("name", ["a b", "a+b", "x/y", "../../../up"])
def test_fails(name, track_server):
    assert False
""",
    )
    result.assert_outcomes(failed=4)
    assert len(list((pytester.path / "track-failures" / "test_it.py").glob("*.jsonl"))) == 4


def test_no_secret_is_in_what_is_kept(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
def test_wrong(track_server):
    cookie = track_server.login().cookie
    open("cookie", "w").write(cookie.partition("=")[2])
    get(track_server, "/api/devices", cookie)
    assert False
""",
    )
    (session,) = (pytester.path / "track-failures").rglob("*.jsonl")
    assert Path(pytester.path / "cookie").read_text() not in session.read_text()


def test_a_guarded_test_that_talks_to_anybody_else_fails(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
import contextlib

pytestmark = pytest.mark.usefixtures("track_network_guard")

def test_only_the_fake(track_server):
    assert get(track_server, "/api/devices")

def test_another(track_server):
    with contextlib.suppress(OSError):
        urllib.request.urlopen("http://192.0.2.1/")
""",
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*the network guard refused*", "*socket.connect to 192.0.2.1:80*"])


def test_a_server_that_a_test_asks_for_when_it_runs_is_judged_by_the_test(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
def test_asks(request):
    with open_socket(request.getfixturevalue("track_server")) as socket:
        socket.send("pong 1")
""",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*pong.unsolicited*manual 3.3*"])
    assert kept(pytester) == ["test_it.py/test_asks.track.jsonl"]


def test_a_name_in_allow_that_is_none_fails_the_test_in_a_sentence(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
from fake_server.testing import Settings

@pytest.fixture
def track_settings():
    return Settings(allow=("pong.latte",))

def test_passes(track_server): pass

def test_fails(track_server): assert False
""",
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "@pytest.mark.track: allow: there is no finding 'pong.latte'; did you mean*",
            "what it saw cannot be told: allow: there is no finding 'pong.latte'; did you*",
        ]
    )


def test_a_run_without_track_tests_imports_nothing_heavy(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest("""
import sys

def pytest_unconfigure():
    assert "fake_server.pytest_plugin.watch" in sys.modules
    heavy = {"httpx", "msgspec", "trio", "fake_server.testing", "recorder.backend"}
    print("heavy:", sorted(heavy & sys.modules.keys()))
""")
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_subprocess("-q", "-p", "fake_server.pytest_plugin")
    result.stdout.fnmatch_lines(["heavy: []"])
