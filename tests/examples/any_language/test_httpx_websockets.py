"""A contract test of Python with httpx and websockets. The fixture comes with tracktape."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from fake_server.testing import TrackServer


async def listen(socket: ClientConnection, heard: list[Any]) -> None:
    """Keep every message, and answer PINGs, until the socket ends."""
    async for text in socket:
        message = json.loads(str(text).removeprefix("~"))
        heard.append(message)
        for status in message.get("status", []):
            if status["type"] == "PING":
                await socket.send(f"pong {status['message']}")


async def log_in_and_listen(track_server: TrackServer) -> None:
    """As the client does; the server looks on."""
    heard: list[Any] = []
    async with httpx.AsyncClient(base_url=track_server.base_url) as http:
        account = {"email": track_server.email, "password": track_server.password}
        (await http.post("/api/session", data=account)).raise_for_status()
        devices = (await http.get("/api/devices")).raise_for_status().json()
        cookie = f"JSESSIONID={http.cookies['JSESSIONID']}"
    async with connect(track_server.ws_url, additional_headers={"Cookie": cookie}) as socket:
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
