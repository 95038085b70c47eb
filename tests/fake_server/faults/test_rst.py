"""The fault ``rst``."""

from __future__ import annotations

import contextlib
import socket as stdlib_socket

import trio
import trio.testing
import websockets

from fake_server.faults.base import Cut
from tests.fake_server.faults.support import (
    THREE,
    Served,
    hear_all,
    injections,
    line_of,
    on_loopback,
    steps_of,
    texts,
    with_websockets,
)
from tests.fake_server.support import handshake, quiet, serving, texts_of


def test_tcp_is_reset_at_its_moment() -> None:
    sends = texts(*THREE)
    assert steps_of(line_of("rst:after=2"), sends) == [*sends[:2], Cut(how="rst"), sends[2]]


async def test_over_any_stream_it_ends_without_a_word(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(*THREE), faults=injections(["rst:at_s=10"])) as fake:
        socket = await fake.socket()
        begun_s = trio.current_time()
        heard = await socket.listen()
        assert texts_of(heard)[1:] == [*THREE]
        assert trio.current_time() == begun_s + 10


async def test_tcp_says_connection_reset() -> None:
    def client(served: Served) -> bytes:
        heard = b""
        with stdlib_socket.create_connection(("127.0.0.1", served.port)) as tcp:
            tcp.sendall(handshake(served.cookie))
            try:
                while data := tcp.recv(65536):
                    heard += data
            except ConnectionResetError:
                return heard
        return b"no reset"

    async with on_loopback("rst:at_s=0.1") as served:
        assert (await served.ask(client)).endswith(THREE[2])


async def test_websockets_sees_an_end_without_a_close_frame_and_why() -> None:
    def client(served: Served) -> tuple[websockets.ConnectionClosed, int | None]:
        with with_websockets(served) as socket:
            closed = hear_all(socket)[1]
            return closed, socket.close_code

    async with on_loopback("rst:at_s=0.1") as served:
        closed, code = await served.ask(client)
    assert code == 1006
    assert closed.rcvd is None
    assert isinstance(closed.__cause__, ConnectionResetError)


async def test_other_sockets_go_on() -> None:
    def client(served: Served) -> list[bytes]:
        with with_websockets(served) as first, with_websockets(served) as second:
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    first.recv(timeout=5)
            return [str(second.recv(timeout=5)).encode() for _ in range(4)][1:]

    async with on_loopback("rst:at_s=0.1,sockets=1") as served:
        assert await served.ask(client) == [*THREE]
