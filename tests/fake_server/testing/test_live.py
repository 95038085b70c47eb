"""One test body, run against a fake and against a backend by way of the recording proxy."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from socket import SHUT_RDWR
from threading import Timer
from typing import Any, TypeAlias

import pytest
import trio
import websockets
from trio_websocket import open_websocket_url
from websockets.sync.client import ClientConnection, connect

from fake_server.expectations import ExpectationFailed
from fake_server.findings import Finding
from fake_server.testing import TrackServer, run_track_server
from fake_server.testing.live import LiveServer, NeedsFake, run_live_server
from fake_server.testing.values import ContractBroken
from recorder.credentials import Credentials
from recorder.errors import DiskFailed, LoginRefused, Unreachable
from recorder.recording import Reader, Writer
from recorder.tls import self_signed_context
from recorder.track.kinds import ping_uuids
from replayer.playing.script import load_script
from tests.recorder.scripted import COOKIE, CREDENTIALS, answer, saying, scripted

WHO = Credentials("someone@example.com", "hunter-22")
PINGS_OFTEN = {"rules": {"ping_interval_s": 0.1}}

Client: TypeAlias = Callable[[TrackServer], object]
Run: TypeAlias = Callable[..., AbstractContextManager[TrackServer]]


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users.toml"
    path.write_text(f'[[account]]\nemail = "{WHO.email}"\npassword = "{WHO.password}"\n')
    return path


@pytest.fixture
def live(users: Path, tmp_path: Path) -> Callable[..., AbstractContextManager[LiveServer]]:
    """Runs a fake as the backend, and what stands before it."""

    @contextmanager
    def run(**values: Any) -> Iterator[LiveServer]:
        path = tmp_path / "recordings" / "some.track.jsonl"
        with (
            run_track_server(
                rules=values.get("rules", {}), user_file=users, check=False
            ) as backend,
            run_live_server(backend.base_url, WHO, path, **values) as server,
        ):
            yield server

    return run


@pytest.fixture(params=["fake", "live"])
def run(request: pytest.FixtureRequest, users: Path, live: Run) -> Run:
    if request.param == "live":
        return live

    @contextmanager
    def fake(**values: Any) -> Iterator[TrackServer]:
        with run_track_server(user_file=users, **values) as server:
            yield server

    return fake


def findings_of(client: Client, run: Run, **values: Any) -> Sequence[Finding]:
    """What a client fails a test for."""

    def block() -> None:
        with run(**values) as server:
            client(server)

    with pytest.raises(ContractBroken) as broken:
        block()
    return broken.value.findings


def ask(server: TrackServer, path: str, headers: dict[str, str] | None = None) -> bytes:
    request = urllib.request.Request(f"{server.base_url}{path}", headers=headers or {})
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())


def open_socket(server: TrackServer) -> ClientConnection:
    return connect(server.ws_url, additional_headers=server.login().headers)


def uuids_in(message: str | bytes) -> list[str]:
    return ping_uuids(message if isinstance(message, bytes) else message.encode())


def next_ping(socket: ClientConnection) -> str:
    while not (uuids := uuids_in(socket.recv())):
        pass
    return uuids[0]


# The same body


def test_a_client_that_keeps_the_rules_is_seen_and_nothing_is_found(run: Run) -> None:
    with run(**PINGS_OFTEN) as server:
        login = server.login()
        assert server.doings == []
        ask(server, "/api/devices?all=true", login.headers)
        [request] = server.requests
        assert (request.method, request.target, request.status) == (
            "GET",
            "/api/devices?all=true",
            200,
        )
        assert server.expect.request(path="/api/devices").value == request
        with connect(server.ws_url, additional_headers=login.headers) as socket:
            assert server.expect.socket().value.socket == 1
            [seen] = server.sockets
            assert (seen.number, seen.account) == (1, WHO.email)
            uuid = next_ping(socket)
            socket.send(f"pong {uuid}")
            assert server.expect.pong().value.uuid == uuid
            assert server.wait_for(lambda one: one.sockets[0].pongs).value == 1
        assert server.expect.close(1000).value.socket == 1
        assert server.expect.ended().value.socket == 1
        assert server.violations == []
        assert (server.email, server.password) == (WHO.email, WHO.password)


async def test_a_test_in_trio_awaits_the_same(run: Run) -> None:
    with run(**PINGS_OFTEN) as server:
        headers = [("Cookie", server.login().cookie)]
        async with open_websocket_url(server.ws_url, extra_headers=headers) as socket:
            while not (uuids := uuids_in(await socket.get_message())):
                pass
            await socket.send_message(f"pong {uuids[0]}")
            assert (await server.expect.pong()).uuid == uuids[0]
        assert (await server.expect.close(1000)).socket == 1


def test_a_test_in_asyncio_awaits_the_same(run: Run) -> None:
    async def test(server: TrackServer) -> None:
        headers = server.login().headers
        async with websockets.connect(server.ws_url, additional_headers=headers) as socket:
            while not (uuids := uuids_in(await socket.recv())):
                pass
            await socket.send(f"pong {uuids[0]}")
            assert (await server.expect.pong()).uuid == uuids[0]
        assert (await server.expect.close(1000)).socket == 1

    with run(**PINGS_OFTEN) as server:
        asyncio.run(test(server))


def test_a_client_that_answers_no_ping_is_found_out(run: Run) -> None:
    def never_answers(server: TrackServer) -> None:
        with open_socket(server) as socket, suppress(websockets.ConnectionClosed):
            while True:
                socket.recv()
        assert server.expect.ended()
        assert [one.rule for one in server.violations] == ["pong.missing"]

    # The proxy sees a PING later than it was sent: by how much of the interval is tolerated.
    [found] = findings_of(never_answers, run, rules={"ping_interval_s": 0.4})
    assert (found.name, found.section, found.count) == ("pong.missing", "3.3", 1)


def test_a_client_that_says_what_is_no_pong_is_found_out(run: Run) -> None:
    def greets(server: TrackServer) -> None:
        with open_socket(server) as socket:
            socket.send("hello")
            assert server.expect.text("hello").value.socket == 1

    assert [one.name for one in findings_of(greets, run)] == ["text.unknown"]


def test_a_socket_that_is_left_open_is_found(run: Run) -> None:
    with ExitStack() as left:
        [found] = findings_of(lambda server: left.enter_context(open_socket(server)), run)
    assert found.name == "socket.left-open"
    assert found.detail[0].startswith(f"socket 1 of {WHO.email} (connection ")


def test_a_client_that_hangs_up_without_a_word_has_left_nothing_open(run: Run) -> None:
    with run() as server, open_socket(server) as socket:
        socket.socket.shutdown(SHUT_RDWR)


def test_a_refused_request_is_told(run: Run) -> None:
    with run(allow="session.*") as server:
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            ask(server, "/api/devices")
        refused.value.close()
        assert [one.status for one in server.requests] == [401]
        assert [one.rule for one in server.violations] == ["session.no-cookie"]
        with pytest.raises(ExpectationFailed, match="a login; meanwhile the client did nothing"):
            server.expect.login(within_s=0.0)
        with pytest.raises(LookupError):
            server.login("nobody@example.com")


# What only a LiveServer does


def test_what_only_a_fake_can_do_says_so(live: Callable[..., Any]) -> None:
    with live() as server:
        for name in (
            *("push", "ping", "inject", "remove_fault", "drop", "advance", "pause", "resume"),
            *("step", "seek", "set_speed", "reset", "call"),
        ):
            with pytest.raises(NeedsFake, match=f"^{name}: only a fake server can do that"):
                getattr(server, name)(1)
        for name in ("fake", "admin_url"):
            with pytest.raises(NeedsFake, match=f"^{name}: only a fake"):
                getattr(server, name)
        with pytest.raises(NeedsFake, match=r"^expect\.played: only a fake"):
            server.expect.played()
    with pytest.raises(NeedsFake, match=r"^faults: only a fake"), live(faults="silence"):
        pass


def test_a_pong_is_waited_for_until_the_backend_may_have_sent_a_ping(
    live: Callable[..., Any],
) -> None:
    expected = r"waited 0\.1 s for a pong; .*nothing"
    with live(**PINGS_OFTEN) as server, pytest.raises(ExpectationFailed, match=expected):
        server.expect.pong(within_s=0.0)


def test_a_socket_whose_end_is_on_its_way_is_not_left_open(live: Callable[..., Any]) -> None:
    with ExitStack() as opened, live() as server:
        socket = opened.enter_context(open_socket(server))
        timer = Timer(0.05, socket.close)
        opened.callback(timer.join)
        timer.start()


def test_a_backend_refuses_nothing_for_strict_rules(users: Path, tmp_path: Path) -> None:
    with (
        run_track_server(user_file=users, check=False) as backend,
        run_live_server(
            backend.base_url, WHO, tmp_path / "a", rules={"strict": True}, allow="text.unknown"
        ) as server,
        open_socket(server) as socket,
    ):
        for text in ("one", "two"):
            socket.send(text)
            assert server.expect.text(text).value.socket == 1
        assert len(server.violations) == 2


def test_a_login_of_ours_is_no_use(live: Callable[..., Any]) -> None:
    with live() as server:
        assert not server.was_used
        login = server.login()
        assert not server.was_used
        ask(server, "/api/devices", login.headers)
        assert server.was_used


def test_what_was_kept_can_be_replayed_and_holds_no_secret(
    live: Callable[..., Any], tmp_path: Path
) -> None:
    with live(allow="session.no-cookie") as server:
        with pytest.raises(urllib.error.HTTPError, match="40") as refused:
            ask(server, f"/api/{WHO.password}")
        refused.value.close()
        login = server.login()
        ask(server, "/api/devices", login.headers)
        assert sum("GET /api/devices" in line for line in server.last_frames()) == 1
        with pytest.raises(ExpectationFailed, match="the nearest request was") as failed:
            server.expect.request(path=f"/api/{WHO.password[:-1]}", within_s=0.0)
        assert WHO.password not in str(failed.value)
        server.keep()
    path = tmp_path / "recordings" / "some.track.jsonl"
    assert load_script(path).answer("GET", "/api/devices") is not None
    with Reader(path) as reader:
        assert len(list(reader)) > 4
        assert reader.complete
    for secret in (WHO.password, login.cookie.partition("=")[2]):
        assert secret not in path.read_text()


def test_what_fails_replaces_nothing_and_may_go_elsewhere(
    live: Callable[..., Any], tmp_path: Path
) -> None:
    path, elsewhere = tmp_path / "recordings" / "some.track.jsonl", tmp_path / "failed" / "a.jsonl"
    path.parent.mkdir()
    path.write_text("old")

    def greets(server: TrackServer) -> None:
        with open_socket(server) as socket:
            socket.send("hello")

    for decide in (LiveServer.keep, lambda server: server.keep_at(elsewhere)):
        findings_of(lambda server, decide=decide: (decide(server), greets(server)), live)
        assert path.read_text() == "old"
    assert "hello" in elsewhere.read_text()
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_an_error_in_observing_is_a_finding_and_relaying_goes_on(
    live: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: object, entry: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("fake_server.testing.observing.Observer._feed", fails)
    [found] = findings_of(lambda server: ask(server, "/api/devices", server.login().headers), live)
    assert found.name == "server.failed"
    assert found.detail[0].startswith("ZeroDivisionError: a bug, at File ")


def test_a_login_that_the_backend_refuses_is_told_without_the_password(
    users: Path, tmp_path: Path
) -> None:
    wrong = Credentials(WHO.email, "not this one")
    with (
        run_track_server(user_file=users, check=False) as backend,
        run_live_server(backend.base_url, wrong, tmp_path / "a.track.jsonl") as server,
        pytest.raises(LoginRefused, match="the backend refused the login: 401; check") as caught,
    ):
        server.login()
    assert wrong.password not in str(caught.value)


def test_a_backend_that_is_not_there_is_told_also_where_a_client_makes_nothing_of_it(
    tmp_path: Path,
) -> None:
    nowhere = partial(run_live_server, "http://127.0.0.1:9", WHO, tmp_path / "a.track.jsonl")

    def asks(server: TrackServer) -> None:
        with pytest.raises(Unreachable, match=r"^127\.0\.0\.1:9: cannot connect: "):
            server.login()
        with pytest.raises(urllib.error.HTTPError):
            ask(server, "/api/devices")

    [found] = findings_of(asks, nowhere)
    assert (found.name, found.count) == ("server.failed", 2)
    assert found.detail[0].startswith("the backend: 127.0.0.1:9: cannot connect: ")


async def test_a_backend_over_tls_is_reached_with_the_authority_that_is_named(
    tmp_path: Path,
) -> None:
    authority, path = tmp_path / "ca.pem", tmp_path / "some.track.jsonl"
    rest = {"/api/groups": saying(answer("200 OK", body=b"[]"))}

    def use(url: str) -> None:
        with run_live_server(url, CREDENTIALS, path, ca_file=authority) as server:
            assert ask(server, "/api/groups", server.login().headers) == b"[]"
            server.keep()

    def use_without_it(url: str) -> None:
        with (
            run_live_server(url, CREDENTIALS, path, check=False) as server,
            pytest.raises(Unreachable, match="the certificate is not to be trusted"),
        ):
            server.login()

    async with scripted(rest=rest, tls=self_signed_context(authority)) as backend:
        assert backend.url.startswith("https:")
        await trio.to_thread.run_sync(use, backend.url)
        await trio.to_thread.run_sync(use_without_it, backend.url)
    text = path.read_text()
    assert "/api/groups" in text
    assert all(secret not in text for secret in (CREDENTIALS.email, CREDENTIALS.password, COOKIE))


def test_a_disk_that_fails_is_told_at_the_end_and_the_old_recording_stays(
    live: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "recordings" / "some.track.jsonl"
    path.parent.mkdir()
    path.write_text("old")

    def fails(self: Writer, entry: object) -> None:
        raise DiskFailed("the disk is full")

    def block() -> None:
        with live() as server:
            server.keep()
            monkeypatch.setattr(Writer, "write", fails)
            with pytest.raises((Unreachable, DiskFailed)):
                server.login()

    with pytest.raises(DiskFailed, match="the disk is full"):
        block()
    assert path.read_text() == "old"


async def test_a_wait_that_goes_on_when_the_block_ends_does_not_hang_it(
    live: Callable[..., Any],
) -> None:
    with live() as server:
        waited = server.expect.pong(within_s=3600)
    with pytest.raises(RuntimeError, match="the track server has ended"):
        await waited
