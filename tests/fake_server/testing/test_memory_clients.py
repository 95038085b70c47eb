"""httpx and sockets over memory streams behave as over a network: timeouts, ends and errors."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
import trio
import trio.testing
from trio.testing import MockClock
from trio_websocket import ConnectionClosed

from fake_server.faults import parse_injection
from fake_server.server import FakeServer
from fake_server.testing.memory import connect, http_client, open_websocket
from recorder.errors import HandshakeRefused
from recorder.wire.handshake import accept_for
from tests.fake_server.support import TIMEOUT, quiet

Handle = Callable[[trio.abc.Stream], Awaitable[None]]


@asynccontextmanager
async def running(*faults: str) -> AsyncIterator[tuple[FakeServer, trio.Nursery]]:
    server = FakeServer(quiet(), faults=tuple(parse_injection(one) for one in faults))
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        yield server, nursery
        nursery.cancel_scope.cancel()


class Scripted(FakeServer):
    """What answers each connection is the test's."""

    def __init__(self, handle: Handle) -> None:
        super().__init__(quiet())
        self.handle = handle  # type: ignore[method-assign]


async def log_in(client: httpx.AsyncClient, **how: float) -> httpx.Response:
    with trio.fail_after(3600):
        return await client.post("/api/session", data={"email": "a", "password": "b"}, **how)


async def test_a_client_waits_as_long_as_it_takes_unless_it_is_told(
    autojump_clock: MockClock,
) -> None:
    async with running("slow-login:delay_s=60") as (server, nursery):
        async with http_client(server, nursery) as client:
            assert (await log_in(client)).status_code == 401
            assert trio.current_time() == pytest.approx(60)
        async with http_client(server, nursery, timeout=2) as client:
            with pytest.raises(httpx.ReadTimeout):
                await log_in(client)
            assert trio.current_time() == pytest.approx(62)
            with pytest.raises(httpx.ReadTimeout):
                await log_in(client, timeout=3)
            assert trio.current_time() == pytest.approx(65)


async def test_headers_and_bodies_reach_the_server_and_its_own_come_back(
    autojump_clock: MockClock,
) -> None:
    seen = b""

    async def handle(stream: trio.abc.Stream) -> None:
        nonlocal seen
        while not seen.endswith(b"hello"):
            seen += bytes(await stream.receive_some())
        await stream.send_all(b"HTTP/1.1 299 Fine\r\nX-Kind: odd\r\nContent-Length: 2\r\n\r\nok")

    async with trio.open_nursery() as nursery, http_client(Scripted(handle), nursery) as client:
        answer = await client.put("/a%20b?c=d", content=b"hello", headers={"X-Mine": "1"})
    assert seen.startswith(b"PUT /a%20b?c=d HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    assert b"\r\nX-Mine: 1\r\n" in seen
    assert (answer.status_code, answer.headers["X-Kind"], answer.text) == (299, "odd", "ok")


async def test_a_client_that_is_closed_leaves_no_connection(autojump_clock: MockClock) -> None:
    async with running() as (server, nursery):
        before = len(nursery.child_tasks)
        async with http_client(server, nursery) as client:
            for _ in range(3):
                assert (await client.get("/api/devices")).status_code == 401
            assert len(nursery.child_tasks) == before + 1, "one is kept alive"
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == before


async def test_an_answer_that_nobody_reads_holds_no_connection(autojump_clock: MockClock) -> None:
    async with running() as (server, nursery), http_client(server, nursery) as client:
        for _ in range(20):
            with trio.fail_after(10):
                async with client.stream("GET", "/api/devices") as answer:
                    assert answer.status_code == 401


async def test_a_connection_that_the_server_ended_is_not_used_again(
    autojump_clock: MockClock,
) -> None:
    served = 0

    async def handle(stream: trio.abc.Stream) -> None:
        nonlocal served
        served += 1
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with trio.open_nursery() as nursery, http_client(Scripted(handle), nursery) as client:
        for _ in range(2):
            assert (await client.get("/")).status_code == 200
            await trio.testing.wait_all_tasks_blocked()
    assert served == 2


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", httpx.RemoteProtocolError),
        (b"SSH-2.0-OpenSSH\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", httpx.RemoteProtocolError),
    ],
)
async def test_what_goes_wrong_is_an_error_of_httpx(
    said: bytes, error: type[Exception], autojump_clock: MockClock
) -> None:
    async def handle(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        if said:
            await stream.send_all(said)
        await stream.aclose()

    async with trio.open_nursery() as nursery, http_client(Scripted(handle), nursery) as client:
        with pytest.raises(error):
            await client.get("/")


# Sockets


async def test_a_socket_that_is_read_late_still_answers_pings_of_rfc_6455(
    autojump_clock: MockClock,
) -> None:
    async with (
        running() as (server, nursery),
        open_websocket(server, nursery, cookie=server.control.login()) as socket,
    ):
        for number in range(100):
            server.control.push(b'{"events":[%d]}' % number)
        await trio.testing.wait_all_tasks_blocked()
        server.control.drop(code=1011)
        await trio.testing.wait_all_tasks_blocked()
        # The library has read on to the close frame, behind all that nobody took.
        assert socket.closed is not None
        assert await socket.get_message() == TIMEOUT.decode()


async def test_a_message_may_be_as_large_as_a_server_may_send(autojump_clock: MockClock) -> None:
    async with (
        running() as (server, nursery),
        open_websocket(server, nursery, cookie=server.control.login()) as socket,
    ):
        assert await socket.get_message() == TIMEOUT.decode()
        large = b'{"events":["%s"]}' % (b"x" * 2_000_000)
        server.control.push(large)
        assert await socket.get_message() == large.decode()


async def test_a_server_that_does_not_close_in_turn_is_not_waited_for(
    autojump_clock: MockClock,
) -> None:
    async def handle(stream: trio.abc.Stream) -> None:
        request = bytes(await stream.receive_some())
        key = request.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0].decode()
        head = (
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept_for(key)}"
        )
        await stream.send_all(f"HTTP/1.1 101 Fine\r\n{head}\r\n\r\n".encode())
        # Until the client is gone.
        with contextlib.suppress(trio.BrokenResourceError):
            while True:
                await stream.send_all(b"\x8a\x00")
                await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        with trio.fail_after(60):
            async with open_websocket(Scripted(handle), nursery, cookie="JSESSIONID=1"):
                pass
        assert trio.current_time() == pytest.approx(2.0)


@pytest.mark.parametrize("how", ["at once", "after the request", "half"])
async def test_a_server_that_hangs_up_is_one_error_whenever_it_does(
    how: str, autojump_clock: MockClock
) -> None:
    async def handle(stream: trio.abc.Stream) -> None:
        if how != "at once":
            await stream.receive_some()
        if how == "half":
            await stream.send_all(b"HTTP/1.1 101 Swi")
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        with trio.fail_after(60), pytest.raises(HandshakeRefused, match="the server hung up"):
            async with open_websocket(Scripted(handle), nursery, cookie="JSESSIONID=1"):
                raise AssertionError("never here")


async def test_what_a_server_says_in_the_place_of_a_101_is_told_in_part(
    autojump_clock: MockClock,
) -> None:
    async def handle(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        head = b"HTTP/1.1 418 Teapot\r\nContent-Length: 999\r\n\r\n"
        await stream.send_all(head + b" " + b"x" * 998)
        assert await stream.receive_some() == b"", "the client hangs up"

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            with pytest.raises(HandshakeRefused) as caught:
                async with open_websocket(Scripted(handle), nursery, cookie="JSESSIONID=1"):
                    raise AssertionError("never here")
    assert str(caught.value) == (
        "GET /api/socket: expected 101 Switching Protocols, the server answered 418: "
        + repr("x" * 200)
    )


async def test_a_cookie_goes_out_byte_by_byte(autojump_clock: MockClock) -> None:
    seen = b""

    async def handle(stream: trio.abc.Stream) -> None:
        nonlocal seen
        seen = bytes(await stream.receive_some())
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        with pytest.raises(HandshakeRefused):
            async with open_websocket(Scripted(handle), nursery, cookie="a=\xe9"):
                raise AssertionError("never here")
    assert b"a=\xe9\r\n" in seen


async def test_what_is_no_websocket_ends_the_socket_with_1002(autojump_clock: MockClock) -> None:
    async with (
        running("reserved-bits:after=0") as (server, nursery),
        open_websocket(server, nursery, cookie=server.control.login()) as socket,
    ):
        server.control.push(b'{"events":[]}')
        with pytest.raises(ConnectionClosed) as closed:
            await socket.get_message()
    assert closed.value.reason is not None
    assert closed.value.reason.code == 1002


async def test_a_connection_of_the_test_is_its_own_to_close(autojump_clock: MockClock) -> None:
    async with running() as (server, nursery):
        before = len(nursery.child_tasks)
        stream = connect(server, nursery)
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == before + 1
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == before
