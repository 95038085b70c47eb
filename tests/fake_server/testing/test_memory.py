"""A test's client over memory streams, on the test's clock."""

from __future__ import annotations

import httpx
import pytest
import trio
import trio_websocket
from trio.testing import MockClock

from fake_server.accounts import DEMO_ACCOUNT
from fake_server.faults import Injection
from fake_server.faults.silence import Silence
from fake_server.server import FakeServer
from fake_server.testing.memory import connect, http_client, open_websocket
from recorder.errors import HandshakeRefused
from recorder.track.kinds import ping_uuids
from recorder.track.rules import Rules
from tests.fake_server.support import DEVICES, quiet

DAY_S = 86400


async def running(nursery: trio.Nursery, **options: object) -> FakeServer:
    server = FakeServer(quiet(DEVICES), **options)  # type: ignore[arg-type]
    await nursery.start(server.run)
    return server


async def log_in(client: httpx.AsyncClient) -> str:
    form = {"email": DEMO_ACCOUNT.email, "password": DEMO_ACCOUNT.password}
    answer = await client.post("/api/session", data=form)
    assert answer.status_code == 200
    return answer.headers["Set-Cookie"].partition(";")[0]


async def cookie_of(server: FakeServer, nursery: trio.Nursery) -> str:
    async with http_client(server, nursery) as client:
        return await log_in(client)


async def only_read(websocket: trio_websocket.WebSocketConnection) -> None:
    while True:
        await websocket.get_message()


async def test_a_client_that_answers_each_ping_lives_through_2880_of_them(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    server = await running(nursery, rules=Rules(session_timeout_s=2 * DAY_S))
    answered = 0
    async with open_websocket(
        server, nursery, cookie=await cookie_of(server, nursery)
    ) as websocket:
        with trio.move_on_after(DAY_S + 1):
            while True:
                message = await websocket.get_message()
                for uuid in ping_uuids(message.encode()):
                    await websocket.send_message(f"pong {uuid}")
                    answered += 1
        assert websocket.closed is None
    assert answered == 2880
    assert list(server.violations.latest) == []


async def test_a_client_that_answers_no_ping_is_closed_after_a_minute(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    server = await running(nursery)
    cookie = await cookie_of(server, nursery)
    async with open_websocket(server, nursery, cookie=cookie) as websocket:
        opened_s = trio.current_time()
        with pytest.raises(trio_websocket.ConnectionClosed):
            await only_read(websocket)
        assert trio.current_time() - opened_s == pytest.approx(60, abs=1)
    assert "pong.missing" in [violation.rule for violation in server.violations.latest]


async def test_a_session_expires_on_the_virtual_clock(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    server = await running(nursery)
    async with http_client(server, nursery) as client:
        await log_in(client)
        assert (await client.get("/api/devices")).status_code == 200
        await trio.sleep(DAY_S + 1)
        # The server hung up on the idle connection long ago: a new one is made unasked.
        assert (await client.get("/api/devices")).status_code == 401


async def test_the_admin_answers(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with http_client(await running(nursery), nursery) as client:
        assert (await client.get("/__admin/violations")).status_code == 200


async def test_a_refused_socket_is_one_clear_error(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    server = await running(nursery)
    with pytest.raises(HandshakeRefused, match=r"expected 101 .* answered 503"):
        async with open_websocket(server, nursery, cookie="JSESSIONID=none"):
            raise AssertionError("not reached")


async def test_a_server_that_hangs_up_before_the_101_is_one_clear_error(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    server = await running(nursery, faults=[Injection(Silence(hang_up_s=5))])
    cookie = await cookie_of(server, nursery)
    with pytest.raises(HandshakeRefused, match="hung up"):
        async with open_websocket(server, nursery, cookie=cookie):
            raise AssertionError("not reached")


async def test_what_the_block_raises_comes_in_no_group(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    server = await running(nursery)
    with pytest.raises(KeyError):
        async with open_websocket(server, nursery, cookie=await cookie_of(server, nursery)):
            raise KeyError("a test's own")


async def test_an_error_of_the_transport_is_one_of_httpx(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    server = await running(nursery)
    async with http_client(server, nursery) as client:
        with pytest.raises(httpx.UnsupportedProtocol, match="http only"):
            await client.get("https://127.0.0.1/api/session")


async def test_a_raw_connection_is_served(nursery: trio.Nursery) -> None:
    async with connect(await running(nursery), nursery) as stream:
        await stream.send_all(b"GET /api/session HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 4")
