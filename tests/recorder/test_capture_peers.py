"""A capture against servers that others wrote: websockets, aiohttp, and our own fake."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio
from aiohttp import web
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Opcode as TheirOpcode
from websockets.server import ServerProtocol

from fake_server.accounts import Accounts
from fake_server.playback import Playback
from fake_server.server import FakeServer
from recorder.backend import Backend
from recorder.capture import Outcome
from replayer.playing.script import load_script
from tests.recorder.scripted import (
    COOKIE,
    CREDENTIALS,
    EMAIL,
    PASSWORD,
    Peer,
    Session,
    answer,
    ping,
    pong,
    saying,
    scripted,
    text,
    wire,
)

DEVICES = '{"devices":[{"id":1,"name":"täg"}]}'


def assert_nothing_is_compressed(session: Session) -> None:
    upgrade = session.of("request")[-1]
    accepted = session.of("response")[-1]
    assert accepted.status == 101
    for head in (upgrade, accepted):
        assert "sec-websocket-extensions" not in {name.lower() for name, _ in head.headers}
    for entry in session.of("frame"):
        assert entry.frame().rsv == 0


# websockets, without its I/O


async def test_against_websockets(tmp_path: Path) -> None:
    pongs: list[bytes] = []

    async def script(peer: Peer, head: bytes) -> None:
        server = ServerProtocol(extensions=[ServerPerMessageDeflateFactory()])
        server.receive_data(head)
        (request,) = server.events_received()
        server.send_response(server.accept(request))
        await send(peer, server)
        peer.accept_head = len(peer.sent)
        server.send_text(DEVICES.encode())
        server.send_text(ping(1)[:20], fin=False)
        server.send_continuation(ping(1)[20:], fin=True)
        server.send_ping(b"?")
        server.send_text((DEVICES * 3000).encode())
        await send(peer, server)
        while len(pongs) < 2:
            for event in await receive(peer, server):
                assert event.opcode in (TheirOpcode.TEXT, TheirOpcode.PONG)
                pongs.append(event.data)
        server.send_close(1000, "done")
        await send(peer, server)
        while not any(event.opcode is TheirOpcode.CLOSE for event in await receive(peer, server)):
            pass
        assert server.parser_exc is None

    async def send(peer: Peer, server: ServerProtocol) -> None:
        for data in server.data_to_send():
            if data:
                await peer.send(data)

    async def receive(peer: Peer, server: ServerProtocol) -> list:
        data = await peer.stream.receive_some()
        assert data
        peer.received += data
        server.receive_data(data)
        return server.events_received()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        assert await session.run() == Outcome("closed by the server", "done")
    assert sorted(pongs) == [b"?", pong(1)]
    assert_nothing_is_compressed(session)
    assert wire(session.entries, "server") == server.socket.server_frames
    assert wire(session.entries, "client") == server.socket.client_frames
    assert session.progress.problems == []


# aiohttp, in a thread of its own


@contextmanager
def aiohttp_server(received: list[str]) -> Iterator[Backend]:
    """The manual's backend in aiohttp, which compresses for whoever offers it."""

    async def login(request: web.Request) -> web.Response:
        form = await request.post()
        if (form.get("email"), form.get("password")) != (EMAIL, PASSWORD):
            return web.Response(status=401)
        answer = web.json_response({"name": "kim"})
        answer.set_cookie("JSESSIONID", COOKIE, path="/api")
        return answer

    async def devices(request: web.Request) -> web.Response:
        assert request.cookies["JSESSIONID"] == COOKIE
        answer = web.json_response([{"id": 1}])
        answer.enable_compression()
        answer.enable_chunked_encoding()
        return answer

    async def socket(request: web.Request) -> web.StreamResponse:
        if request.cookies.get("JSESSIONID") != COOKIE:
            return web.Response(status=503)
        ws = web.WebSocketResponse(compress=True)
        await ws.prepare(request)
        await ws.send_str(DEVICES)
        for number in (1, 2):
            await ws.send_str(ping(number).decode())
            received.append(await ws.receive_str(timeout=10))
        await ws.close(code=1000, message=b"done")
        return ws

    loop = asyncio.new_event_loop()
    app = web.Application()
    app.add_routes(
        [
            web.post("/api/session", login),
            web.get("/api/devices", devices),
            web.get("/api/socket", socket),
        ]
    )
    runner = web.AppRunner(app)

    async def start() -> int:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner.addresses[0][1]

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        yield Backend(tls=False, host="127.0.0.1", port=port)
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def test_against_aiohttp(tmp_path: Path) -> None:
    received: list[str] = []
    with aiohttp_server(received) as backend, trio.fail_after(20):
        session = Session(tmp_path, backend, rest=("devices",))
        assert await session.run() == Outcome("closed by the server", "done")
    assert received == [pong(1).decode(), pong(2).decode()]
    assert_nothing_is_compressed(session)
    snapshot = next(entry for entry in session.of("body") if entry.exchange == 2)
    assert snapshot.data == b'[{"id": 1}]'
    texts = [e.data for e in session.of("frame") if e.sender == "server" and e.opcode == "text"]
    assert texts == [DEVICES.encode(), ping(1), ping(2)]
    assert session.progress.problems == []


# The fake server


async def test_what_was_captured_is_played_by_the_fake_server_and_captured_again(
    tmp_path: Path,
) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(DEVICES.encode()) + text(b'{"positions":[]}'))
        await peer.send(text(ping(1)))
        await peer.read_text()
        await peer.close_in_order()

    rest = {"/api/devices": saying(answer("200 OK", body=b"[]"))}
    async with scripted(script, rest=rest) as server:
        first = Session(tmp_path, server.backend, rest=("devices",), redact="secrets")
        await first.run()

    fake = FakeServer(
        load_script(first.path),
        accounts=Accounts([CREDENTIALS]),
        playback=Playback(at_end="close"),
    )
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    backend = Backend(tls=False, host="127.0.0.1", port=listeners[0].socket.getsockname()[1])
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(fake.serve, listeners)
            second = Session(tmp_path, backend, rest=("devices",), redact="secrets")
            outcome = await second.run()
            nursery.cancel_scope.cancel()
    assert outcome == Outcome("closed by the server", "done")
    assert data_messages(second) == data_messages(first) == [DEVICES, '{"positions":[]}']
    assert second.progress.problems == []
    assert fake.violations.counts == {}


def data_messages(session: Session) -> list[str]:
    """What the server sent, without what the fake has of its own: PINGs, the session's time."""
    texts = [e.text for e in session.of("frame") if e.sender == "server" and e.opcode == "text"]
    return [one for one in texts if "PING" not in one and "webSessionTimeout" not in one]
