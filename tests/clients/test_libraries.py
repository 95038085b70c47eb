"""Clients of Python and of Node through the proxy, as programs use them: login, REST, socket.

Each WebSocket library here offers permessage-deflate unless told otherwise.
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import aiohttp
import httpx
import pytest
import websockets
import websockets.sync.client
import websockets.sync.server

from recorder.model import Closed
from recorder.wire.handshake import header_value
from tests.clients.support import EMAIL, FORM, PASSWORD, Recorded, proxy
from tests.fake_server.support import write
from tests.fake_server.test_clients import messages, pong_to, recorded
from tests.processes import clean_environment, fake_server
from tests.programs import NODE_MODULES, require_node

CREDENTIALS = {"email": EMAIL, "password": PASSWORD}
PINGS = 1
SEED = 7
DEVICES = 2
"""Of the recording that is played, as REST knows it."""

Message = str | bytes


class Heard(NamedTuple):
    """What a client heard until it had answered some PINGs, and its session's id."""

    messages: list[Message]
    session: str


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a fake that says every sort of message, fragmented too."""
    folder = tmp_path_factory.mktemp("backend")
    user_file = folder / "userdata"
    user_file.write_text(f"EMAIL={EMAIL}\nPASSWORD='{PASSWORD}'\n")
    recording = write(folder / "played.track.jsonl", recorded(SEED))
    playing = ("--speed", "max", "--ping-interval", 1.5)
    with fake_server(recording, "--user-file", user_file, *playing) as url:
        yield url


def hear_with_httpx_and_websockets(url: str) -> Heard:
    with httpx.Client(base_url=url, trust_env=False, timeout=20) as client:
        assert client.post("/api/session", data=CREDENTIALS).json()["name"]
        session = client.cookies["JSESSIONID"]
        assert isinstance(client.get("/api/devices").json(), list)
    heard: list[Message] = []
    pings = 0
    with websockets.sync.client.connect(
        f"{url.replace('http', 'ws', 1)}/api/socket",
        additional_headers={"Cookie": f"JSESSIONID={session}"},
        max_size=None,
        proxy=None,
    ) as socket:
        assert socket.protocol.extensions == []
        while pings < PINGS:
            message = socket.recv(timeout=20)
            heard.append(message)
            if (pong := pong_to(message)) is not None:
                socket.send(pong)
                pings += 1
    assert socket.close_code == 1000
    return Heard(heard, session)


def hear_with_asyncio_websockets(url: str) -> Heard:
    return asyncio.run(_hear_with_asyncio_websockets(url))


async def _hear_with_asyncio_websockets(url: str) -> Heard:
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client:
        assert (await client.post("/api/session", data=CREDENTIALS)).status_code == 200
        session = client.cookies["JSESSIONID"]
    heard: list[Message] = []
    pings = 0
    async with (
        asyncio.timeout(20),
        websockets.connect(
            f"{url.replace('http', 'ws', 1)}/api/socket",
            additional_headers={"Cookie": f"JSESSIONID={session}"},
            max_size=None,
            proxy=None,
        ) as socket,
    ):
        async for message in socket:
            heard.append(message)
            if (pong := pong_to(message)) is not None:
                await socket.send(pong)
                pings += 1
            if pings == PINGS:
                break
    assert socket.close_code == 1000
    return Heard(heard, session)


def hear_with_aiohttp(url: str) -> Heard:
    return asyncio.run(_hear_with_aiohttp(url))


async def _hear_with_aiohttp(url: str) -> Heard:
    heard: list[Message] = []
    pings = 0
    jar = aiohttp.CookieJar(unsafe=True)
    async with asyncio.timeout(20), aiohttp.ClientSession(cookie_jar=jar) as session:
        async with session.post(f"{url}/api/session", data=CREDENTIALS) as response:
            assert response.status == 200
        async with session.get(f"{url}/api/devices") as response:
            assert isinstance(await response.json(), list)
        connecting = session.ws_connect(f"{url}/api/socket", max_msg_size=0, compress=15)
        async with connecting as socket:
            assert socket.compress == 0
            while pings < PINGS:
                message = (await socket.receive()).data
                heard.append(message)
                if (pong := pong_to(message)) is not None:
                    await socket.send_str(pong)
                    pings += 1
        assert socket.close_code == 1000
    [cookie] = [one for one in jar if one.key == "JSESSIONID"]
    return Heard(heard, cookie.value)


def hear_with_node(url: str) -> Heard:
    require_node("ws")
    done = subprocess.run(
        ["node", str(Path(__file__).parent / "node" / "client.js"), url, FORM, str(PINGS)],
        env=clean_environment(NODE_PATH=str(NODE_MODULES)),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, *lines, last = map(json.loads, done.stdout.splitlines())
    assert first["devices"] == DEVICES
    assert last == {"closed": 1000, "extensions": ""}
    heard = [line["text"] if "text" in line else base64.b64decode(line["binary"]) for line in lines]
    return Heard(heard, first["cookie"].partition("=")[2])


@pytest.mark.parametrize(
    "hear",
    [
        hear_with_httpx_and_websockets,
        hear_with_asyncio_websockets,
        hear_with_aiohttp,
        hear_with_node,
    ],
)
def test_what_a_client_hears_and_says_is_in_the_recording(
    hear: Callable[[str], Heard], backend: str, tmp_path: Path
) -> None:
    with proxy(backend, tmp_path) as front:
        heard, session = hear(front.url)
    assert [one for one in heard if pong_to(one) is None] == messages(SEED)
    found = Recorded(front.path, session)
    assert found.messages("server") == heard
    pongs = [pong for one in heard if (pong := pong_to(one)) is not None]
    assert found.messages("client") == pongs
    [socket] = found.sockets()
    end = found.closed(socket)
    assert (end.how, end.detail.split()[:2]) == ("eof", ["close", "1000"])
    upgrade = found.exchange("/api/socket")
    offer, sent = upgrade.request_header("Sec-WebSocket-Extensions")
    assert offer is not None
    assert offer.startswith("permessage-deflate")
    assert sent is None
    assert any(f"connection {socket}: " in note and offer in note for note in found.notes)
    for entry in found.of(Closed):
        assert entry.how == "eof"
    assert found.redacted["password"] == 1


@contextmanager
def compressing() -> Iterator[str]:
    """A server that compresses for whoever offers it; it says one text and ends."""

    def talk(socket: websockets.sync.server.ServerConnection) -> None:
        socket.send("all in words " * 100)
        socket.recv(timeout=20)

    with websockets.sync.server.serve(talk, "127.0.0.1", 0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_a_server_that_would_compress_is_recorded_in_the_clear(tmp_path: Path) -> None:
    def ask(url: str) -> list[str]:
        with websockets.sync.client.connect(url.replace("http", "ws"), proxy=None) as socket:
            assert socket.recv(timeout=20) == "all in words " * 100
            socket.send("thanks")
        return [extension.name for extension in socket.protocol.extensions]

    with compressing() as url:
        assert ask(url) == ["permessage-deflate"]
        with proxy(url, tmp_path) as front:
            assert ask(front.url) == []
    found = Recorded(front.path)
    assert found.messages("server") == ["all in words " * 100]
    assert found.messages("client") == ["thanks"]
    [one] = found.exchanges
    assert one.response is not None
    assert header_value(one.response.headers, "Sec-WebSocket-Extensions") is None
