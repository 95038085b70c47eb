"""What the doctor needs of the machine: names, connections, wall clock. Tests give their own."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import trio

__all__ = ["Address", "Surroundings"]

_PROXY_VARIABLES: Final = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY")


class Address(msgspec.Struct, frozen=True):
    """Where to connect to. ``sockaddr`` is what the operating system wants; it begins with the IP
    address.
    """

    family: int
    sockaddr: tuple[Any, ...]

    def __str__(self) -> str:
        family = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}.get(
            socket.AddressFamily(self.family), "other"
        )
        return f"{self.sockaddr[0]} ({family})"


async def _resolve(host: str, port: int) -> list[Address]:
    found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(Address(int(family), sockaddr) for family, *_, sockaddr in found))


async def _connect(address: Address) -> trio.abc.Stream:
    made = trio.socket.socket(address.family, socket.SOCK_STREAM)
    try:
        await made.connect(address.sockaddr)
        return trio.SocketStream(made)
    except BaseException:
        made.close()
        raise


def _proxies() -> tuple[str, ...]:
    return tuple(name for name in _PROXY_VARIABLES if os.environ.get(name))


class Surroundings(msgspec.Struct, frozen=True):
    """The machine and its network; by default the real ones.

    ``resolve(host, port)`` gives addresses in the order in which to try them, or raises
    ``socket.gaierror``. ``connect(address)`` gives a stream that the caller closes, or raises
    OSError. ``wall_clock_s`` is seconds since 1970. ``proxies`` names the environment's variables
    for proxies that are set. Durations are of trio's clock.
    """

    resolve: Callable[[str, int], Awaitable[list[Address]]] = _resolve
    connect: Callable[[Address], Awaitable[trio.abc.Stream]] = _connect
    wall_clock_s: Callable[[], float] = time.time
    proxies: Callable[[], tuple[str, ...]] = _proxies
