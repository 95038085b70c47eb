"""A small bridge from an h11 connection to an ASGI application: one request, one response (ASGI 3,
HTTP scope).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

import h11

__all__ = ["ASGIApp", "Message", "respond"]

Message = MutableMapping[str, Any]
ASGIApp = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[Message]],
        Callable[[Message], Awaitable[None]],
    ],
    Awaitable[None],
]


async def respond(
    app: ASGIApp,
    request: h11.Request,
    *,
    next_event: Callable[[], Awaitable[h11.Event | type[h11.PAUSED]]],
    send_event: Callable[[h11.Event], Awaitable[None]],
    client: tuple[str, int] | None,
) -> None:
    """Run ``app`` for one request. ``next_event`` reads the connection and ``send_event`` writes to
    it.

    Errors of the application pass through, after a 500 if no response was begun. What
    ``next_event`` raises, as for a body that breaks HTTP, passes through as it is.
    """
    path, _, query = request.target.partition(b"?")
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": request.http_version.decode("ascii"),
        "method": request.method.decode("ascii"),
        "scheme": "http",
        "path": unquote_to_bytes(path).decode("utf-8", "replace"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(bytes(name), bytes(value)) for name, value in request.headers],
        "client": client,
        "server": None,
    }
    started = False

    async def receive() -> Message:
        event = await next_event()
        if isinstance(event, h11.Data):
            return {"type": "http.request", "body": bytes(event.data), "more_body": True}
        if isinstance(event, h11.EndOfMessage):
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal started
        if message["type"] == "http.response.start":
            started = True
            await send_event(
                h11.Response(
                    status_code=message["status"], headers=list(message.get("headers", []))
                )
            )
        elif message["type"] == "http.response.body":
            if message.get("body"):
                await send_event(h11.Data(data=message["body"]))
            if not message.get("more_body", False):
                await send_event(h11.EndOfMessage())

    try:
        await app(scope, receive, send)
    except h11.RemoteProtocolError:
        raise
    except Exception:
        if not started:
            body = b"500 - Internal Server Error"
            await send(
                {
                    "type": "http.response.start",
                    "status": 500,
                    "headers": [(b"content-length", b"%d" % len(body))],
                }
            )
            await send({"type": "http.response.body", "body": body})
        raise
