"""The fault ``session-expiry``."""

from __future__ import annotations

import aiohttp
import trio
import trio.testing

from fake_server.faults.base import Expire
from recorder.track.rules import Rules
from tests.fake_server.faults.support import (
    THREE,
    Served,
    injections,
    line_of,
    on_loopback,
    steps_of,
    texts,
    with_aiohttp,
)
from tests.fake_server.support import (
    TIMEOUT,
    Http,
    data_of,
    handshake,
    pings_of,
    quiet,
    serving,
    text,
)


def test_the_session_ends_between_two_messages() -> None:
    sends = texts(*THREE)
    assert steps_of(line_of("session-expiry:after=2"), sends) == [*sends[:2], Expire(), sends[2]]


async def test_the_socket_lives_on_and_rest_and_the_next_handshake_are_refused(
    autojump_clock: trio.testing.MockClock,
) -> None:
    faults = injections(["session-expiry:at_s=40,sockets=1"])
    async with serving(quiet(*THREE), faults=faults) as fake:
        cookie = await fake.cookie()
        socket = await fake.socket(cookie)
        begun_s = trio.current_time()
        await socket.listen(begun_s + 39)
        assert (await fake.http().ask("/api/devices", Cookie=cookie)).status == 200
        heard = await socket.listen(begun_s + 100)
        assert [at_s - begun_s for at_s, _ in pings_of(heard)] == [60, 90]
        assert not socket.at_end
        assert (await fake.http().ask("/api/devices", Cookie=cookie)).status == 401
        http = Http(fake.connect())
        await http.send(handshake(cookie))
        assert (await http.answer()).status == 503
        assert "pong.missing" not in fake.rules_broken
        # A new login is a new session.
        again = await fake.cookie()
        assert (await fake.http().ask("/api/devices", Cookie=again)).status == 200


async def test_other_sessions_live_on(autojump_clock: trio.testing.MockClock) -> None:
    faults = injections(["session-expiry:at_s=40,sockets=1"])
    async with serving(quiet(*THREE), faults=faults) as fake:
        other = await fake.cookie()
        await (await fake.socket()).listen(trio.current_time() + 50)
        assert (await fake.http().ask("/api/devices", Cookie=other)).status == 200


async def test_the_timeout_is_shown_where_the_rules_have_it_shown_at_expiry(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(
        quiet(*THREE),
        faults=injections(["session-expiry:at_s=40"]),
        rules=Rules(session_timeout_shown="expiry"),
    ) as fake:
        socket = await fake.socket()
        begun_s = trio.current_time()
        heard = data_of(await socket.listen(begun_s + 100))
        assert heard[-1] == (begun_s + 40, text(TIMEOUT))


async def test_aiohttp_is_refused_by_rest_while_its_socket_is_open() -> None:
    async def client(served: Served) -> tuple[int, int, bool]:
        async with with_aiohttp(served) as socket:
            for _ in range(4):
                await socket.receive_str()
            url = f"http://127.0.0.1:{served.port}/api/devices"
            async with aiohttp.ClientSession(headers={"Cookie": served.cookie}) as session:
                async with session.get(url) as response:
                    rest = response.status
                try:
                    await session.ws_connect(url.replace("devices", "socket"))
                except aiohttp.WSServerHandshakeError as refused:
                    return rest, refused.status, socket.closed
        raise AssertionError("the handshake was answered 101")

    async with on_loopback("session-expiry:after=3") as served:
        assert await served.ask_async(client) == (401, 503, False)
