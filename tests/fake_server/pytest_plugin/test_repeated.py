"""A contract test of each kind, two hundred times: it ends alike, whichever thread is ahead.

Each gives the server orders as soon as its client has a socket, and waits for nothing in between: a
server that knows less than its client would fail now and then.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket_url
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_in_asyncio
from websockets.sync.client import connect

from fake_server.testing import TrackServer

pytestmark = [pytest.mark.nightly, pytest.mark.parametrize("n", range(200))]

NEWS = {"events": [{"id": 7}]}


class Client:
    """What a client heard, and what it answers."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def take(self, text: str | bytes) -> list[str]:
        """Keep a message; returns what is to be sent for it."""
        message = json.loads(text)
        self.heard.append(message)
        statuses = message.get("status", ())
        return [f"pong {one['message']}" for one in statuses if one["type"] == "PING"]


def order(track_server: TrackServer) -> str:
    """A message, and a PING whose uuid is returned, for the only socket that there is."""
    assert track_server.push(NEWS) == 1
    (uuid,) = track_server.ping()
    return uuid


def test_plain(n: int, track_server: TrackServer) -> None:
    client = Client()
    headers = track_server.login().headers
    with connect(track_server.ws_url, additional_headers=headers) as socket:
        uuid = order(track_server)
        while not (pongs := client.take(socket.recv(timeout=10))):
            pass
        socket.send(pongs[0])
        track_server.expect.pong(uuid)
    track_server.expect.close(1000)
    assert NEWS in client.heard


def test_in_asyncio(n: int, track_server: TrackServer) -> None:
    client = Client()

    async def answer(socket: ClientConnection) -> None:
        async for text in socket:
            for pong in client.take(text):
                await socket.send(pong)

    async def talk() -> None:
        headers = track_server.login().headers
        async with connect_in_asyncio(track_server.ws_url, additional_headers=headers) as socket:
            uuid = order(track_server)
            answering = asyncio.create_task(answer(socket))
            await track_server.expect.pong(uuid)
        await answering
        await track_server.expect.close(1000)

    asyncio.run(talk())
    assert NEWS in client.heard


async def test_in_trio(n: int, track_server: TrackServer) -> None:
    client = Client()

    async def answer(socket: WebSocketConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                for pong in client.take(await socket.get_message()):
                    await socket.send_message(pong)

    headers = list(track_server.login().headers.items())
    async with (
        trio.open_nursery() as nursery,
        open_websocket_url(track_server.ws_url, extra_headers=headers) as socket,
    ):
        uuid = order(track_server)
        nursery.start_soon(answer, socket)
        await track_server.expect.pong(uuid)
    await track_server.expect.close(1000)
    assert NEWS in client.heard
