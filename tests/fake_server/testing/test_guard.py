"""The network guard before real libraries, on loopback and on addresses of no network."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import httpx
import pytest
import trio
import websockets.sync.client

from fake_server.testing.guard import NetworkRefused, Refused, network_guard

ELSEWHERE = ("192.0.2.1", 443)
"""An address of documentation (RFC 5737): nobody is there."""


@pytest.fixture
def listener() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()


def test_an_allowed_address_is_reached_by_any_name_of_this_machine(
    listener: tuple[str, int],
) -> None:
    for allowed in ("127.0.0.1", "localhost", "::1"):
        with network_guard([(allowed, listener[1])]) as guard:
            for host in ("127.0.0.1", "localhost"):
                socket.create_connection((host, listener[1])).close()
        assert guard.refused == []


def test_another_port_of_this_machine_is_refused_and_the_message_says_what_to_do(
    listener: tuple[str, int],
) -> None:
    with (
        network_guard([("127.0.0.1", 1)]) as guard,
        pytest.raises(NetworkRefused) as refused,
    ):
        socket.create_connection(listener)
    assert refused.value.errno == errno.EACCES
    assert refused.value.strerror == (
        f"network guard: socket.connect to 127.0.0.1:{listener[1]} is refused; "
        f'allowed: 127.0.0.1:1. To allow it, network_guard(allowed=[("127.0.0.1", {listener[1]})]) '
        f'or guard.allow("127.0.0.1", {listener[1]})'
    )
    assert guard.refused == [Refused("socket.connect", "127.0.0.1", listener[1])]


def test_what_is_allowed_later_is_reached(listener: tuple[str, int]) -> None:
    with network_guard() as guard:
        guard.allow(*listener)
        socket.create_connection(listener).close()


def test_after_the_guard_everything_is_reached_again(listener: tuple[str, int]) -> None:
    with network_guard():
        pass
    socket.create_connection(listener).close()


def test_of_nested_guards_each_must_allow(listener: tuple[str, int]) -> None:
    with network_guard() as outer, network_guard([listener]) as inner:
        with pytest.raises(NetworkRefused):
            socket.create_connection(listener)
        assert (len(outer.refused), inner.refused) == (1, [])
        outer.allow(*listener)
        socket.create_connection(listener).close()


def test_other_ways_out_are_refused_too() -> None:
    with (
        network_guard() as guard,
        socket.socket() as tcp,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
    ):
        for call in (
            lambda: tcp.connect_ex(ELSEWHERE),
            lambda: udp.sendto(b"?", ELSEWHERE),
            lambda: udp.sendmsg([b"?"], [], 0, ELSEWHERE),
            lambda: socket.getaddrinfo("track.example", 443),
            lambda: socket.gethostbyname("track.example"),
            lambda: socket.gethostbyaddr("192.0.2.1"),
            lambda: socket.getnameinfo(ELSEWHERE, 0),
        ):
            with pytest.raises(NetworkRefused):
                call()
    assert [str(each) for each in guard.refused] == [
        "socket.connect to 192.0.2.1:443",
        "socket.sendto to 192.0.2.1:443",
        "socket.sendmsg to 192.0.2.1:443",
        "socket.getaddrinfo to track.example",
        "socket.gethostbyname to track.example",
        "socket.gethostbyaddr to 192.0.2.1",
        "socket.getnameinfo to 192.0.2.1",
    ]


def test_unix_sockets_and_lookups_of_addresses_are_free(tmp_path: Path) -> None:
    with network_guard() as guard, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "s"))
        socket.getaddrinfo("192.0.2.1", 443)
        socket.getaddrinfo("localhost", 443)
    assert guard.refused == []


def test_what_a_library_in_another_thread_swallows_is_remembered() -> None:
    def swallow() -> None:
        with contextlib.suppress(httpx.ConnectError):
            httpx.get("http://192.0.2.1:443", trust_env=False)

    with network_guard() as guard:
        thread = threading.Thread(target=swallow)
        thread.start()
        thread.join()
    assert guard.refused == [Refused("socket.connect", *ELSEWHERE)]


def test_websockets_is_refused() -> None:
    with network_guard() as guard, pytest.raises(NetworkRefused):
        websockets.sync.client.connect("ws://192.0.2.1:443", proxy=None)
    assert guard.refused == [Refused("socket.connect", *ELSEWHERE)]


def test_asyncio_is_refused() -> None:
    with network_guard() as guard, pytest.raises(NetworkRefused):
        asyncio.run(asyncio.open_connection(*ELSEWHERE))
    assert guard.refused == [Refused("socket.connect", *ELSEWHERE)]


async def test_trio_is_refused() -> None:
    with network_guard() as guard, pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream(*ELSEWHERE)
    assert guard.refused == [Refused("socket.connect", *ELSEWHERE)]


def test_aiohttp_tells_the_refusal_in_its_error() -> None:
    async def ask() -> None:
        async with aiohttp.ClientSession() as session:
            await session.get("http://192.0.2.1:443/")

    with (
        network_guard() as guard,
        pytest.raises(aiohttp.ClientConnectorError, match=r"network guard: socket\.connect to"),
    ):
        asyncio.run(ask())
    assert guard.refused == [Refused("socket.connect", *ELSEWHERE)]
