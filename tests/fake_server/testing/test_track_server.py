"""TrackServer in the hands of plain tests, of asyncio and of trio."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import websockets
from trio_websocket import open_websocket_url
from websockets.sync.client import ClientConnection, connect

from fake_server.exchange import Answer, HttpRequest
from fake_server.expectations import ExpectationFailed
from fake_server.testing import Settings, TrackServer, run_track_server
from fake_server.testing.values import ContractBroken
from recorder.track.kinds import ping_uuids
from tests.fake_server.support import DEVICES, POSITION, said, upgrade, write

QUIET = {"session_timeout_shown": "expiry"}
"""A socket begins with what is recorded."""


def open_socket(server: TrackServer) -> ClientConnection:
    return connect(server.ws_url, additional_headers=server.login().headers)


def answer_ping(message: str | bytes) -> str:
    text = message if isinstance(message, bytes) else message.encode()
    return f"pong {ping_uuids(text)[0]}"


def recorded(folder: Path, *payloads: bytes) -> Path:
    entries = [*upgrade(), *(said(one, at_s) for at_s, one in enumerate(payloads))]
    return write(folder / "some.track.jsonl", entries)


def test_a_plain_test_waits_for_a_pong(tmp_path: Path) -> None:
    with run_track_server(rules=QUIET, recording=recorded(tmp_path, DEVICES)) as server:
        with open_socket(server) as socket:
            assert socket.recv() == DEVICES.decode()
            (uuid,) = server.ping()
            socket.send(answer_ping(socket.recv()))
            assert server.expect.pong().value.uuid == uuid
        assert server.expect.close(1000).value.socket == 1


async def test_a_test_in_trio_awaits_the_same(tmp_path: Path) -> None:
    with run_track_server(rules=QUIET, recording=recorded(tmp_path, DEVICES)) as server:
        headers = [("Cookie", server.login().cookie)]
        async with open_websocket_url(server.ws_url, extra_headers=headers) as socket:
            assert await socket.get_message() == DEVICES.decode()
            (uuid,) = server.ping()
            await socket.send_message(answer_ping(await socket.get_message()))
            assert (await server.expect.pong()).uuid == uuid
        assert (await server.expect.close(1000)).socket == 1


def test_a_test_in_asyncio_awaits_the_same(tmp_path: Path) -> None:
    async def test(server: TrackServer) -> None:
        headers = server.login().headers
        async with websockets.connect(server.ws_url, additional_headers=headers) as socket:
            assert await socket.recv() == DEVICES.decode()
            (uuid,) = server.ping()
            await socket.send(answer_ping(await socket.recv()))
            assert (await server.expect.pong()).uuid == uuid
        assert (await server.expect.close(1000)).socket == 1

    with run_track_server(rules=QUIET, recording=recorded(tmp_path, DEVICES)) as server:
        asyncio.run(test(server))


async def test_who_forgets_to_await_is_told() -> None:
    with run_track_server(check=False) as server:
        waited = server.expect.pong(within_s=0.0)
        with pytest.raises(RuntimeError, match=r"expect\.pong\(\) was not awaited: write `await`"):
            _ = waited.value
        assert not waited.is_awaited
        with pytest.raises(ExpectationFailed, match="no socket is open"):
            await waited


def test_an_expectation_that_fails_says_what_the_client_did_instead() -> None:
    expected = r"waited 0\.0 s for a pong; .*nothing"
    with run_track_server() as server, pytest.raises(ExpectationFailed, match=expected):
        server.expect.pong(within_s=0.0)


def test_wait_for_gives_what_held() -> None:
    with run_track_server() as server, open_socket(server):
        assert server.wait_for(lambda one: one.sockets).value[0].account == server.email
        with pytest.raises(ExpectationFailed, match=r"waited 0\.0 s for two sockets; the last"):
            server.wait_for(lambda one: len(one.sockets) == 2, within_s=0.0, what="two sockets")


def test_it_steers_the_server(tmp_path: Path) -> None:
    with (
        run_track_server(
            rules=QUIET, recording=recorded(tmp_path, DEVICES, POSITION), paused=True
        ) as server,
        open_socket(server) as socket,
    ):
        server.step()
        assert socket.recv() == DEVICES.decode()
        assert server.push({"events": []}) == 1
        assert json.loads(socket.recv()) == {"events": []}
        server.resume()
        assert socket.recv() == POSITION.decode()
        assert server.expect.played().value.socket == 1
        number = server.inject("duplicate:after=0,count=1")
        server.push("{}")
        assert [socket.recv(), socket.recv()] == ["{}", "{}"]
        server.remove_fault(number)
        with pytest.raises(LookupError, match="no fault"):
            server.remove_fault(number)
        server.drop(code=1011)
        with pytest.raises(websockets.ConnectionClosed):
            socket.recv()


def test_a_session_ends_when_a_day_has_passed() -> None:
    with run_track_server(allow="session.expired-cookie") as server:
        login = server.login()
        server.advance(86_400)
        request = urllib.request.Request(f"{server.base_url}/api/devices", headers=login.headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        refused.value.close()
        assert refused.value.code == 401
        assert [one.status for one in server.requests] == [401]


def test_a_broken_rule_is_raised_at_the_end_of_the_block() -> None:
    with (
        pytest.raises(ContractBroken, match=r"text\.unknown \(manual 3\.3\)") as broken,
        run_track_server() as server,
        open_socket(server) as socket,
    ):
        socket.send("hello")
    assert [one.name for one in broken.value.findings] == ["text.unknown"]


def test_a_server_that_has_ended_says_so() -> None:
    with run_track_server() as server:
        pass
    with pytest.raises(RuntimeError, match="the track server has ended"):
        _ = server.violations


def test_what_cannot_be_played_is_raised_where_the_server_is_started(tmp_path: Path) -> None:
    with (
        pytest.raises(Exception, match=r"none\.track\.jsonl"),
        run_track_server(recording=tmp_path / "none.track.jsonl"),
    ):
        pass


def test_a_cookie_does_not_show() -> None:
    with run_track_server() as server:
        login = server.login()
        assert login.cookie not in repr(login)
        assert server.password not in repr(server.settings)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"playbak": "shared"}, "no setting 'playbak'; did you mean 'playback'"),
        ({"playback": "both"}, "'both' .*; expected 'per-connection' or 'shared'"),
        ({"speed": 0}, "speed: read 0, expected a factor above 0"),
        ({"rules": {"ping_intervall_s": 1}}, "did you mean 'ping_interval_s'"),
        ({"faults": "clse"}, "clse"),
    ],
)
def test_settings_that_cannot_be_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings.of(**values)


async def test_a_wait_that_goes_on_when_the_block_ends_does_not_hang_it() -> None:
    with run_track_server() as server:
        waited = server.expect.pong(within_s=3600)
    with pytest.raises(RuntimeError, match="the track server has ended"):
        await waited


def test_what_adding_gives_answers_what_nobody_knows() -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def adding() -> AsyncIterator[Callable[[HttpRequest], Awaitable[Answer]]]:
        async def answer(request: HttpRequest) -> Answer:
            steps.append(request.target)
            return Answer(200, b"added")

        yield answer
        await trio.lowlevel.checkpoint()
        steps.append("left")

    with run_track_server(adding=adding()) as server:
        url = f"{server.base_url}/api/unheard-of"
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=server.login().headers)
        ) as it:
            assert it.read() == b"added"
    assert steps == ["/api/unheard-of", "left"]


def test_what_adding_raises_is_raised_where_the_server_is_started() -> None:
    @asynccontextmanager
    async def adding() -> AsyncIterator[Any]:
        raise LookupError("no backend")
        yield

    with pytest.raises(LookupError, match="no backend"), run_track_server(adding=adding()):
        pass


def test_a_server_that_is_never_idle_is_judged_all_the_same(tmp_path: Path) -> None:
    endless = {"recording": recorded(tmp_path, DEVICES, POSITION), "at_end": "loop"}
    with (
        run_track_server(**endless, speed=1e9, check=False) as server,
        open_socket(server) as socket,
    ):
        reader = threading.Thread(target=lambda: [None for _ in socket])
        reader.start()
        assert [one.name for one in server.findings()] == ["socket.left-open"]
        socket.close()
        reader.join()
