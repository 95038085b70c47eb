"""A contract test of Python with aiohttp: track-fake-server run --check -- python contract.py"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import aiohttp

URL = os.environ["TRACK_URL"]


async def admin(client: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> Any:
    """Steer the server; an order that it refuses, or an expectation that fails, is an error."""
    async with client.post(os.environ["TRACK_ADMIN_URL"] + path, json=body) as answer:
        said = await answer.json()
        assert answer.ok, said["error"]
        return said


async def listen(socket: aiohttp.ClientWebSocketResponse, heard: list[Any]) -> None:
    """Keep every message, and answer PINGs, until the socket ends."""
    async for frame in socket:
        message = json.loads(frame.data.removeprefix("~"))
        heard.append(message)
        for status in message.get("status", []):
            if status["type"] == "PING":
                await socket.send_str(f"pong {status['message']}")


async def main() -> None:
    """Log in, listen, answer a PING, hear of an event."""
    credentials = {"email": os.environ["TRACK_EMAIL"], "password": os.environ["TRACK_PASSWORD"]}
    # The cookies of an address are kept only where that is allowed.
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as client:
        async with client.post(f"{URL}/api/session", data=credentials) as answer:
            assert answer.status == 200
        heard: list[Any] = []
        async with client.ws_connect(os.environ["TRACK_WS_URL"]) as socket:
            listening = asyncio.create_task(listen(socket, heard))
            pushed = await admin(client, "/push", {"message": {"events": []}})
            assert pushed == {"sent": 1}
            # Fails with what the client did instead, where it does not answer.
            await admin(client, "/expect", {"what": "pong", "within_s": 5})
            await socket.close()
            await listening
    assert {"events": []} in heard
    print("a PING was answered, and a pushed message heard")


asyncio.run(main())
