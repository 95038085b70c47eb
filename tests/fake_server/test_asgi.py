"""The bridge from h11 to an ASGI application."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_server.asgi import ASGIApp, respond


async def ask(
    app: ASGIApp, request: bytes, client: tuple[str, int] | None = ("127.0.0.1", 4)
) -> bytes:
    """What goes out on the connection for the first request of `request`."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(request)
    sent = bytearray()

    async def next_event() -> Any:
        return server.next_event()

    async def send_event(event: h11.Event) -> None:
        sent.extend(server.send(event) or b"")

    head = server.next_event()
    assert isinstance(head, h11.Request)
    try:
        await respond(app, head, next_event=next_event, send_event=send_event, client=client)
    finally:
        ask.sent = bytes(sent)  # type: ignore[attr-defined]
    return bytes(sent)


def answering(*parts: bytes, status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        left = deque(parts)
        while left:
            body = left.popleft()
            await send({"type": "http.response.body", "body": body, "more_body": bool(left)})

    return app


async def test_the_scope_says_what_was_asked() -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await answering(b"")(scope, receive, send)

    await ask(
        app,
        b"PUT /api/d%C3%A9v%20ices?a=%20b&a=c HTTP/1.1\r\nHost: x\r\nX-Some: Value\r\n"
        b"X-Some: other\r\nContent-Length: 0\r\n\r\n",
    )
    (scope,) = scopes
    assert scope["type"] == "http"
    assert scope["asgi"]["version"].startswith("3")
    assert (scope["method"], scope["http_version"], scope["scheme"]) == ("PUT", "1.1", "http")
    assert scope["path"] == "/api/dév ices"
    assert scope["raw_path"] == b"/api/d%C3%A9v%20ices"
    assert scope["query_string"] == b"a=%20b&a=c"
    assert scope["client"] == ("127.0.0.1", 4)
    headers = [pair for pair in scope["headers"] if pair[0] == b"x-some"]
    assert headers == [(b"x-some", b"Value"), (b"x-some", b"other")]


@given(st.binary(max_size=300))
async def test_the_body_arrives_whole(body: bytes) -> None:
    received: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            assert message["type"] == "http.request"
            received.append(message.get("body", b""))
            more = message.get("more_body", False)
        await answering(b"")(scope, receive, send)

    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    await ask(app, head % len(body) + body)
    assert b"".join(received) == body


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_a_response_goes_out_with_status_headers_and_body() -> None:
    sent = await ask(
        answering(b"one", b"", b"two", status=207, headers=[(b"content-length", b"6")]), GET
    )
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 207 ")
    assert b"content-length: 6" in head.lower()
    assert body == b"onetwo"


async def test_a_response_without_a_length_is_chunked() -> None:
    sent = await ask(answering(b"one", b"two"), GET)
    head, _, body = sent.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head.lower()
    assert body == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


async def test_an_application_that_fails_before_its_response_is_answered_500() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("a bug that holds hunter2")

    with pytest.raises(LookupError):
        await ask(app, GET)
    sent: bytes = ask.sent  # type: ignore[attr-defined]
    assert sent.startswith(b"HTTP/1.1 500 ")
    assert b"hunter2" not in sent


async def test_an_application_that_fails_within_its_response_gets_no_second_one() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError

    with pytest.raises(LookupError):
        await ask(app, GET)
    assert ask.sent.count(b"HTTP/1.1") == 1  # type: ignore[attr-defined]
