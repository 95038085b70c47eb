"""The plugin with pytest-xdist: two processes at a time change no outcome, and keep the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recorder.model import FrameEntry
from recorder.recording import Reader
from tests.fake_server.pytest_plugin.inner import OPTIONS as INNER

SUITE = '''
import asyncio
import json

import pytest
from trio_websocket import open_websocket_url
from websockets.asyncio.client import connect as connect_in_asyncio
from websockets.sync.client import connect


def pong(text):
    """What a message is answered with; None where it is no PING."""
    status = json.loads(text).get("status", [{}])[0]
    return f"pong {status['message']}" if status.get("type") == "PING" else None


@pytest.mark.parametrize("n", range(2))
def test_plain(n, track_server):
    headers = track_server.login().headers
    with connect(track_server.ws_url, additional_headers=headers) as socket:
        track_server.expect.socket()
        track_server.ping()
        while (answer := pong(socket.recv())) is None:
            pass
        socket.send(answer)
        track_server.expect.pong()


@pytest.mark.parametrize("n", range(2))
def test_asyncio(n, track_server):
    async def talk():
        headers = track_server.login().headers
        async with connect_in_asyncio(track_server.ws_url, additional_headers=headers) as socket:
            await track_server.expect.socket()
            track_server.ping()
            while (answer := pong(await socket.recv())) is None:
                pass
            await socket.send(answer)
            await track_server.expect.pong()

    asyncio.run(talk())


@pytest.mark.trio
@pytest.mark.parametrize("n", range(2))
async def test_trio(n, track_server):
    headers = list(track_server.login().headers.items())
    async with open_websocket_url(track_server.ws_url, extra_headers=headers) as socket:
        await track_server.expect.socket()
        track_server.ping()
        while (answer := pong(await socket.get_message())) is None:
            pass
        await socket.send_message(answer)
        await track_server.expect.pong()


@pytest.mark.parametrize("n", range(2))
def test_unasked(n, track_server):
    headers = track_server.login().headers
    with connect(track_server.ws_url, additional_headers=headers) as socket:
        socket.send(f"pong {n} of {__name__}")


def test_in_vain(track_server):
    track_server.expect.socket(within_s=0.0)
'''
MODULES = ("test_one", "test_two")

OUTCOME = re.compile(r"^(PASSED|FAILED|ERROR) (\S+)", re.M)
EXPECTED = {
    (outcome, f"{module}.py::{test}")
    for module in MODULES
    for outcome, tests in {
        "PASSED": [f"test_{name}[{n}]" for name in ("plain", "asyncio", "trio") for n in range(2)],
        "FAILED": ["test_unasked[0]", "test_unasked[1]", "test_in_vain"],
    }.items()
    for test in tests
}


def kept(folder: Path) -> list[tuple[str | None, ...]]:
    """Each session that was kept: the file of its test, and what the client said."""
    found = []
    for path in folder.glob("*/*.track.jsonl"):
        with Reader(path) as reader:
            frames = [entry for entry in reader if isinstance(entry, FrameEntry)]
        said = [one.text for one in frames if (one.sender, one.opcode) == ("client", "text")]
        found.append((path.parent.name, *said))
    return sorted(found)


@pytest.mark.parametrize(
    "plugins",
    [
        pytest.param([], id="one"),
        pytest.param(["-p", "xdist", "-n", "2"], id="two"),
        pytest.param(
            ["-p", "xdist", "-n", "2", "-p", "track", "-p", "trio"],
            id="two-named",
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_one_process_and_two_have_the_same_outcomes_and_keep_each_failed_session(
    plugins: list[str], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    # This test may itself run in a worker.
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)
    if "track" in plugins:
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(**dict.fromkeys(MODULES, SUITE))
    if plugins:
        # The plugin of schemathesis costs each process two seconds.
        options = ["-q", "-rA", "-p", "no:cacheprovider", "-p", "no:schemathesis"]
        result = pytester.runpytest_subprocess(*options, *plugins)
    else:
        # This process is as good as one of its own, and has begun.
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        result = pytester.runpytest_inprocess("-q", "-rA", *INNER)
    text = result.stdout.str()
    assert set(OUTCOME.findall(text)) == EXPECTED
    assert kept(pytester.path / "track-failures") == sorted(
        (f"{module}.py", *said)
        for module in MODULES
        for said in ([f"pong 0 of {module}"], [f"pong 1 of {module}"], [])
    )
