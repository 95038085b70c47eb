"""A contract test of Python with aiohttp. The fixture comes with tracktape."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp

from fake_server.testing import TrackServer


async def listen(socket: aiohttp.ClientWebSocketResponse, heard: list[Any]) -> None:
    """Keep every message, and answer PINGs, until the socket ends."""
    async for frame in socket:
        message = json.loads(frame.data.removeprefix("~"))
        heard.append(message)
        for status in message.get("status", []):
            if status["type"] == "PING":
                await socket.send_str(f"pong {status['message']}")


async def log_in_and_listen(track_server: TrackServer) -> None:
    """As the client does; the server looks on."""
    heard: list[Any] = []
    account = {"email": track_server.email, "password": track_server.password}
    # The cookies of an address are kept only where that is allowed.
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(
        track_server.base_url, cookie_jar=jar, raise_for_status=True
    ) as http:
        async with http.post("/api/session", data=account):
            pass
        async with http.get("/api/devices") as answer:
            devices = await answer.json()
        async with http.ws_connect("/api/socket") as socket:
            listening = asyncio.create_task(listen(socket, heard))
            try:
                # Fails with what the client did instead, where it does not answer.
                await track_server.expect.pong()
            finally:
                listening.cancel()
    told = {device["id"] for message in heard for device in message.get("devices", [])}
    assert told == {device["id"] for device in devices}
    assert any(message.get("positions") for message in heard)


def test_devices_are_told_and_a_ping_is_answered(track_server: TrackServer) -> None:
    """With pytest-asyncio or anyio, the test itself may be `async def`."""
    asyncio.run(log_in_and_listen(track_server))
