"""A contract test of Python with trio: httpx, trio-websocket, pytest-trio. The fixture comes with
tracktape.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket_url

from fake_server.testing import TrackServer


async def listen(socket: WebSocketConnection, heard: list[Any]) -> None:
    """Keep every message, and answer PINGs, until the socket ends."""
    while True:
        try:
            text = await socket.get_message()
        except ConnectionClosed:
            return
        message = json.loads(text.removeprefix("~"))
        heard.append(message)
        for status in message.get("status", []):
            if status["type"] == "PING":
                await socket.send_message(f"pong {status['message']}")


@pytest.mark.trio
async def test_devices_are_told_and_a_ping_is_answered(track_server: TrackServer) -> None:
    heard: list[Any] = []
    async with httpx.AsyncClient(base_url=track_server.base_url) as http:
        account = {"email": track_server.email, "password": track_server.password}
        (await http.post("/api/session", data=account)).raise_for_status()
        devices = (await http.get("/api/devices")).raise_for_status().json()
        cookie = f"JSESSIONID={http.cookies['JSESSIONID']}"
    async with (
        trio.open_nursery() as nursery,
        open_websocket_url(track_server.ws_url, extra_headers=[("Cookie", cookie)]) as socket,
    ):
        nursery.start_soon(listen, socket, heard)
        # Fails with what the client did instead, where it does not answer.
        await track_server.expect.pong()
    told = {device["id"] for message in heard for device in message.get("devices", [])}
    assert told == {device["id"] for device in devices}
    assert any(message.get("positions") for message in heard)
