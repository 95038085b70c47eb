"""What a TrackServer makes its server do, and what it tells of it."""

from __future__ import annotations

import contextlib
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
import websockets
from trio_websocket import ConnectionClosed, WebSocketConnection
from websockets.sync.client import connect

from fake_server.expectations import ExpectationFailed
from fake_server.testing import Settings, open_track_server, run_track_server
from fake_server.testing.values import ContractBroken
from recorder.recording import Reader
from recorder.track.kinds import ping_uuids
from tests.fake_server.support import (
    DEVICES,
    MOVED,
    POSITION,
    Client,
    handshake,
    said,
    upgrade,
    write,
)

QUIET = {"session_timeout_shown": "expiry"}
"""A socket begins with what is recorded."""


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    entries = [*upgrade(), *(said(one, at_s) for at_s, one in enumerate((DEVICES, POSITION)))]
    return write(tmp_path / "some.track.jsonl", [*entries, said(MOVED, 3600)])


async def nothing_comes(socket: WebSocketConnection, within_s: float = 1.0) -> None:
    with pytest.raises(trio.TooSlowError), trio.fail_after(within_s):
        await socket.get_message()


async def test_one_socket_or_all_are_pushed_to_pinged_and_dropped(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with (
        open_track_server(paused=True, rules=QUIET) as server,
        server.open_websocket() as first,
        server.open_websocket() as second,
    ):
        assert server.push(b'{"events":[]}', socket=2) == 1
        assert await second.get_message() == '{"events":[]}'
        await nothing_comes(first)
        assert server.push("~") == 2
        assert [await one.get_message() for one in (first, second)] == ["~", "~"]
        (uuid,) = server.ping(2)
        assert ping_uuids((await second.get_message()).encode()) == [uuid]
        await nothing_comes(first)
        assert [one.unanswered for one in server.sockets] == [(), (uuid,)]
        await second.send_message(f"pong {uuid}")
        assert len(server.ping()) == 2
        for one in (first, second):
            (uuid,) = ping_uuids((await one.get_message()).encode())
            await one.send_message(f"pong {uuid}")
        assert server.drop(2, code=1011, reason="out of order") == 1
        with pytest.raises(ConnectionClosed) as closed:
            await second.get_message()
        assert closed.value.reason is not None
        assert (closed.value.reason.code, closed.value.reason.reason) == (1011, "out of order")
        assert [one.number for one in server.sockets] == [1]
        assert server.drop(how="fin") == 1
        with pytest.raises(ConnectionClosed) as closed:
            await first.get_message()
        assert closed.value.reason is not None
        assert closed.value.reason.code == 1006


async def test_playback_is_stepped_paused_sought_and_sped_up(
    autojump_clock: trio.testing.MockClock, recording: Path
) -> None:
    async with (
        open_track_server(recording=recording, speed=1, paused=True, rules=QUIET) as server,
        server.open_websocket() as socket,
    ):
        await nothing_comes(socket)
        server.step(2)
        assert await socket.get_message() == DEVICES.decode()
        assert await socket.get_message() == POSITION.decode()
        await nothing_comes(socket)
        server.resume()
        started_s = trio.current_time()
        server.set_speed(360)
        server.pause()
        await nothing_comes(socket, 11)
        server.resume()
        assert await socket.get_message() == MOVED.decode()
        assert trio.current_time() - started_s == pytest.approx(11 + 10, abs=0.1)
        server.seek(0)
        assert await socket.get_message() == DEVICES.decode()


async def test_a_reset_forgets_what_was_done_and_closes_the_sockets(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with (
        open_track_server(paused=True) as server,
        server.open_websocket() as socket,
        server.http_client() as http,
    ):
        server.inject("duplicate")
        assert (await http.get("/api/devices")).status_code == 401
        assert [one.kind for one in server.doings] == ["socket", "request"]
        assert [one.path for one in server.requests] == ["/api/devices"]
        server.reset()
        assert (server.doings, server.violations) == ([], [])
        assert server.call(lambda fake: list(fake.faults.injections)) == []
        assert await socket.get_message() == '{"webSessionTimeout":[86400]}'
        with pytest.raises(ConnectionClosed):
            await socket.get_message()


async def test_faults_are_taken_away_one_by_one_or_all() -> None:
    async with open_track_server() as server:
        first, second, third = (server.inject("duplicate") for _ in range(3))
        server.remove_fault(second)

        def left() -> list[int]:
            return server.call(lambda fake: list(fake.faults.injections))

        assert left() == [first, third]
        server.remove_fault()
        assert left() == []


async def test_a_login_is_of_the_account_that_is_named(tmp_path: Path) -> None:
    users = tmp_path / "users.toml"
    users.write_text(
        "".join(f'[[account]]\nemail = "{one}@x"\npassword = "pw-{one}"\n' for one in "ab")
    )
    async with open_track_server(user_file=users, paused=True) as server:
        assert (server.email, server.password) == ("a@x", "pw-a")
        for email in (None, "b@x"):
            async with server.open_websocket(server.login(email).cookie):
                assert [one.account for one in server.sockets] == [email or "a@x"]
        with pytest.raises(LookupError, match="no account 'c@x'"):
            server.login("c@x")


async def test_a_wait_asks_in_the_servers_loop_and_must_not_wait_itself() -> None:
    async with open_track_server() as server:
        assert await server.wait_for(lambda one: one.base_url) == server.base_url
        with pytest.raises(RuntimeError, match=r"expect\.pong\(\): what is waited for must not"):
            await server.wait_for(lambda one: one.expect.pong())
        with pytest.raises(ExpectationFailed, match=r"waited 0\.0 s for never; the client did"):
            await server.wait_for(never, within_s=0.0)
        assert all(one.is_awaited for one in server.waits)
        assert len(server.waits) == 3


def never(server: Any) -> bool:
    return False


@pytest.mark.parametrize("check", [True, False])
def test_findings_are_raised_at_the_end_of_the_block_if_that_is_asked_for(
    check: bool, recording: Path
) -> None:
    def run() -> None:
        with run_track_server(recording=recording, require_all=True, check=check):
            pass

    if not check:
        run()
        return
    with pytest.raises(ContractBroken, match=r"message\.untaken") as broken:
        run()
    assert [one.name for one in broken.value.findings] == ["message.untaken"]


async def test_findings_in_a_block_of_a_trio_test_may_be_left_to_the_test(
    autojump_clock: trio.testing.MockClock, recording: Path
) -> None:
    async with (
        open_track_server(recording=recording, speed=1, require_all=True, check=False) as server,
        server.open_websocket() as socket,
    ):
        await socket.get_message()
        names = [one.name for one in server.findings()]
        assert names == ["message.untaken", "socket.left-open"]
        names = [one.name for one in server.findings(open_sockets=False)]
        assert names == ["message.untaken"]


async def test_a_server_is_as_its_settings_say(recording: Path) -> None:
    settings = Settings.of(
        recording=recording,
        speed=2,
        at_end="loop",
        faults="loss:probability=0.5",
        fault_seed=7,
        rules={"ping_interval_s": 9},
    )
    async with open_track_server(settings) as server:
        fake = server.fake
        assert fake.hub.settings == settings.playback_settings()
        assert fake.hub.rules == settings.rules
        assert tuple(fake.faults.injections.values()) == settings.faults
        assert server.settings == settings


async def test_the_seed_of_the_faults_decides_what_they_strike(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def heard(seed: int) -> list[str]:
        async with (
            open_track_server(
                paused=True, rules=QUIET, faults="loss:probability=0.5", fault_seed=seed
            ) as server,
            server.open_websocket() as socket,
        ):
            for number in range(40):
                server.push(f'{{"events":[{number}]}}')
            seen = []
            with trio.move_on_after(1):
                while True:
                    seen.append(await socket.get_message())
        return seen

    one, same, other = [await heard(seed) for seed in (1, 1, 2)]
    assert one == same
    assert one != other
    assert 0 < len(one) < 40


# The end


async def test_the_last_that_a_client_did_is_judged_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def hasty() -> None:
        async with open_track_server() as server:
            stream = server.connect()
            await stream.send_all(b"GET /api/devices HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

    with pytest.raises(ContractBroken, match=r"session\.no-cookie"):
        await hasty()


def test_what_a_plain_client_sent_just_now_is_judged_too() -> None:
    with (
        run_track_server(rules=QUIET, paused=True, check=False) as server,
        connect(server.ws_url, additional_headers=server.login().headers) as socket,
    ):
        socket.send("hello")
        assert "text.unknown" in [one.name for one in server.findings()]


@pytest.mark.parametrize("cancelled", [False, True])
async def test_sockets_that_are_open_at_the_end_are_closed_with_1001(
    cancelled: bool, autojump_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with open_track_server(
                nursery=nursery, paused=True, rules=QUIET, check=False
            ) as server:
                assert len(nursery.child_tasks) == 1
                client = Client(server.connect())
                await client.stream.send_all(handshake(server.login().cookie))
                await server.expect.socket()
                if cancelled:
                    scope.cancel()
                    await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught == cancelled
        said = b""
        while b"\r\n\r\n\x88" not in said:
            said += bytes(await client.stream.receive_some()) or pytest.fail(f"{said!r} and no end")
        assert int.from_bytes(said.partition(b"\r\n\r\n\x88")[2][1:3]) == 1001
        await client.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 0, "the server has ended, and not the test"


def test_sockets_that_are_open_when_its_thread_ends_are_closed_with_1001() -> None:
    with contextlib.ExitStack() as stack:
        with run_track_server(rules=QUIET, paused=True, allow="socket.left-open") as server:
            headers = server.login().headers
            socket = stack.enter_context(connect(server.ws_url, additional_headers=headers))
            server.expect.socket()
        with pytest.raises(websockets.ConnectionClosed) as closed:
            socket.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


# What is kept


def test_what_clients_did_is_recorded_whole_and_without_secrets(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("EMAIL=me@example.com\nPASSWORD=staple-battery\n")
    path = tmp_path / "session.track.jsonl"
    with run_track_server(record_to=path, user_file=users, allow="rest.*") as server:
        assert server.last_frames() == []
        # It is masked because it is known to be one, not for where it stands.
        url = f"{server.base_url}/api/devices?name={server.password}"
        request = urllib.request.Request(url, headers=server.login().headers)
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200
        seen = "\n".join(server.last_frames())
        assert "GET /api/devices" in seen
        assert server.password not in seen
    with Reader(path) as reader:
        list(reader)
        assert reader.complete
    assert "staple-battery" not in path.read_text()


def test_without_a_recording_there_are_no_last_frames() -> None:
    with run_track_server() as server:
        assert server.last_frames() == []
        assert server.recorded_to is None
        assert repr(server) == f"<TrackServer at {server.base_url}>"
        assert server.admin_url == f"{server.base_url}/__admin"
