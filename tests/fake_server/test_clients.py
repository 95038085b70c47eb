"""Clients that others wrote, over loopback: they log in, connect with the cookie, answer PINGs and
hear everything.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import math
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trio
import websockets
import websockets.sync.client

from fake_server.playback import Playback
from fake_server.server import FakeServer
from recorder.model import Entry
from recorder.track.rules import Rules
from recorder.wire.frames import Frame, Opcode
from tests.fake_server.support import DEVICES, POSITION, TIMEOUT, said, script_of, upgrade

PING_INTERVAL_S = 1.5
PINGS = 2
RULES = Rules(ping_interval_s=PING_INTERVAL_S)
CREDENTIALS = {"email": "demo@example.com", "password": "demo"}

Message = str | bytes


def messages(seed: int) -> list[Message]:
    """Some of everything, in an order told by the seed."""
    chance = random.Random(seed)
    some: list[Message] = [
        DEVICES.decode(),
        POSITION.decode() + "~" + DEVICES.decode(),
        "",
        "{}",
        "~~~",
        "ä€𝄞" * 50,
        b"",
        bytes(range(256)) * 300,
        "x" * 125,
        "x" * 126,
        "x" * 65_535,
        "x" * 65_536,
        "x" * 1_000_000,
    ]
    return [TIMEOUT.decode(), *(chance.choice(some) for _ in range(60)), *some]


def frames_of(message: Message, chance: random.Random) -> list[Frame]:
    """The message, sometimes in fragments with a control frame between."""
    payload = message.encode() if isinstance(message, str) else message
    opcode = Opcode.TEXT if isinstance(message, str) else Opcode.BINARY
    if chance.random() < 0.5:
        return [Frame.make(opcode, payload)]
    place = chance.randint(0, len(payload))
    return [
        Frame.make(opcode, payload[:place], fin=False),
        Frame.make(Opcode.PING, b"between"),
        Frame.make(Opcode.CONTINUATION, b"", fin=False),
        Frame.make(Opcode.CONTINUATION, payload[place:]),
    ]


def recorded(seed: int) -> list[Entry]:
    chance = random.Random(seed)
    frames = [frame for message in messages(seed) for frame in frames_of(message, chance)]
    return [*upgrade(), *map(said, frames)]


def pong_to(message: Message) -> str | None:
    """The answer that the message wants, told without this project's code."""
    if not isinstance(message, str) or '"PING"' not in message:
        return None
    return "pong " + str(json.loads(message)["status"][0]["message"])


def hear_with_websockets(host: str, port: int) -> list[Message]:
    """Everything until some PINGs are answered."""
    connection = http.client.HTTPConnection(host, port, timeout=10)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/api/session", "email=demo%40example.com&password=demo", form)
    response = connection.getresponse()
    assert b'"name"' in response.read()
    cookie = (response.getheader("Set-Cookie") or "").partition(";")[0]
    connection.close()
    heard: list[Message] = []
    pings = 0
    with websockets.sync.client.connect(
        f"ws://{host}:{port}/api/socket",
        additional_headers={"Cookie": cookie},
        max_size=None,
        open_timeout=10,
        close_timeout=5,
        proxy=None,
    ) as socket:
        while pings < PINGS:
            message = socket.recv(timeout=10)
            if (pong := pong_to(message)) is None:
                heard.append(message)
            else:
                socket.send(pong)
                pings += 1
    assert socket.close_code == 1000
    return heard


def hear_with_aiohttp(host: str, port: int) -> list[Message]:
    return asyncio.run(_hear_with_aiohttp(f"http://{host}:{port}"))


async def _hear_with_aiohttp(url: str) -> list[Message]:
    heard: list[Message] = []
    pings = 0
    async with asyncio.timeout(20):
        # A jar that keeps cookies of IP addresses; what it sends is told by the cookie's Path.
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            async with session.post(f"{url}/api/session", data=CREDENTIALS) as response:
                assert response.status == 200
            async with session.get(f"{url}/api/devices") as response:
                assert response.status == 200
                assert isinstance(await response.json(), list)
            async with session.ws_connect(f"{url}/api/socket", max_msg_size=0) as socket:
                while pings < PINGS:
                    received = await socket.receive()
                    assert received.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)
                    message = received.data
                    if (pong := pong_to(message)) is None:
                        heard.append(message)
                    else:
                        await socket.send_str(pong)
                        pings += 1
            assert socket.close_code == 1000
    return heard


@asynccontextmanager
async def listening(source: Any, **options: Any) -> AsyncIterator[tuple[FakeServer, int]]:
    server = FakeServer(source, rules=RULES, **options)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, listeners)
        yield server, listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("hear", [hear_with_websockets, hear_with_aiohttp])
@pytest.mark.parametrize("mode", ["per-connection", "shared"])
async def test_a_client_hears_every_message_in_order_and_is_kept_for_its_pongs(
    mode: Any, hear: Callable[[str, int], list[Message]], seed: int, tmp_path: Path
) -> None:
    # A PING between two fragments would end this with 1002.
    script = script_of(tmp_path, recorded(seed))
    playback = Playback(mode=mode, speed=math.inf)
    async with listening(script, playback=playback) as (server, port):
        with trio.fail_after(30):
            heard = await trio.to_thread.run_sync(hear, "127.0.0.1", port)
        assert server.violations.counts == {}
    assert heard == messages(seed)


def hear_until_closed(socket: Any) -> None:
    while True:
        socket.recv(timeout=10)


async def test_a_websockets_client_that_does_not_pong_is_told_why_it_is_closed(
    tmp_path: Path,
) -> None:
    def hear(port: int, cookie: str) -> tuple[int, str]:
        with (
            websockets.sync.client.connect(
                f"ws://127.0.0.1:{port}/api/socket",
                additional_headers={"Cookie": cookie},
                proxy=None,
            ) as socket,
            pytest.raises(websockets.ConnectionClosed) as closed,
        ):
            hear_until_closed(socket)
        received = closed.value.rcvd
        assert received is not None
        return received.code, received.reason

    async with listening(script_of(tmp_path, [*upgrade(), said(TIMEOUT)])) as (server, port):
        session = server.desk.login("demo@example.com")
        with trio.fail_after(10):
            cookie = f"JSESSIONID={session.id}"
            told = await trio.to_thread.run_sync(hear, port, cookie)
    assert told == (1001, "Idle timeout expired: 1500/1500 ms")


async def test_a_websockets_client_without_a_cookie_is_refused_with_503(tmp_path: Path) -> None:
    def connect(port: int) -> int:
        with (
            pytest.raises(websockets.InvalidStatus) as refused,
            websockets.sync.client.connect(f"ws://127.0.0.1:{port}/api/socket", proxy=None),
        ):
            pass
        return refused.value.response.status_code

    async with listening(script_of(tmp_path, [*upgrade(), said(TIMEOUT)])) as (_, port):
        with trio.fail_after(10):
            assert await trio.to_thread.run_sync(connect, port) == 503
