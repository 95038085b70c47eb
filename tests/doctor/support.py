"""Backends over memory streams for the doctor, and what it says of them."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import trio
import trio.testing

from fake_server.accounts import DEMO_ACCOUNT
from recorder.credentials import Credentials
from recorder.doctor import STEPS, Address, CheckOptions, Result, Step, Surroundings, check
from recorder.exits import Exit
from tests.fake_server.support import Fake
from tests.recorder.scripted import (
    CREDENTIALS,
    NO_TLS,
    Peer,
    Script,
    answer,
    assert_no_secret,
    log_in,
    saying,
)

URL = "http://track.example"
NOW_S = 1_800_000_000.0
V4 = Address(int(socket.AF_INET), ("192.0.2.1", 80))
V6 = Address(int(socket.AF_INET6), ("2001:db8::1", 80, 0, 0))
DEMO = Credentials(DEMO_ACCOUNT.email, DEMO_ACCOUNT.password)

NOT_LOGGED_IN = answer("404 Not Found", "Content-Type: application/json", body=b"HTTP 404")
ONE = answer("200 OK", "Content-Type: application/json", body=b'[{"id":1}]')
LISTS: Mapping[str, Script] = {
    f"/api/{name}": saying(ONE) for name in ("devices", "beacons", "positions")
}
NOT_YET = saying(NOT_LOGGED_IN)
HTML = ("Content-Type: text/html", b"<!DOCTYPE html><html><body>welcome</body></html>")

Handle = Callable[[trio.abc.Stream], Awaitable[None]]


def page(status: str, *headers: str) -> bytes:
    """A web page as an answer."""
    return answer(status, HTML[0], *headers, body=HTML[1])


def backend(
    socket: Script | None = None,
    *,
    first: Script = NOT_YET,
    login: Script = log_in,
    rest: Mapping[str, Script] = LISTS,
    prefix: str = "",
) -> Handle:
    """A backend whose parts are scripts; without ``socket`` it refuses one with 503."""

    async def handle(stream: trio.abc.Stream) -> None:
        peer = Peer(stream)
        async with stream:
            while (head := await peer.read_head()) is not None:
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                if length:
                    await peer.read_exactly(int(length[1]))
                method, target, _ = head.decode().split(" ", 2)
                target = target.removeprefix(prefix)
                if target == "/api/session":
                    await (login if method == "POST" else first)(peer, head)
                elif target == "/api/socket":
                    refused = saying(answer("503 Service Unavailable"))
                    await (socket or refused)(peer, head)
                    return
                else:
                    await rest[target](peer, head)

    return handle


def replying(data: bytes) -> Handle:
    """Whatever is asked, these bytes come, and then the end."""

    async def handle(stream: trio.abc.Stream) -> None:
        async with stream:
            await stream.receive_some()
            if data:
                await stream.send_all(data)

    return handle


async def silent(stream: trio.abc.Stream) -> None:
    """Reads, and says nothing."""
    async for _ in stream:
        pass


async def examine(
    handle: Handle | None = None,
    *,
    url: str = URL,
    credentials: Credentials | None = CREDENTIALS,
    tls: ssl.SSLContext = NO_TLS,
    addresses: Sequence[Address] = (V4,),
    connect: Callable[[Address], Awaitable[trio.abc.Stream]] | None = None,
    resolve: Callable[[str, int], Awaitable[list[Address]]] | None = None,
    proxies: tuple[str, ...] = (),
    now_s: float = NOW_S,
    sink: Any = None,
    **options: Any,
) -> dict[Step, Result]:
    """What the doctor says of a backend, by step; nothing secret is in it."""
    async with trio.open_nursery() as nursery:

        async def connect_in_memory(address: Address) -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            assert handle is not None
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(_serve, handle, theirs)
            return ours

        async def resolve_in_memory(host: str, port: int) -> list[Address]:
            await trio.lowlevel.checkpoint()
            return list(addresses)

        told: list[Result] = []
        results = await check(
            url,
            credentials,
            CheckOptions(**options),
            tls=tls,
            surroundings=Surroundings(
                resolve=resolve or resolve_in_memory,
                connect=connect or connect_in_memory,
                wall_clock_s=lambda: now_s,
                proxies=lambda: proxies,
            ),
            sink=sink,
            on_result=told.append,
        )
        nursery.cancel_scope.cancel()
    assert told == results
    assert [result.step for result in results] == list(STEPS)
    for result in results:
        assert (result.exit_code != Exit.OK) == (result.outcome == "fail")
        assert bool(result.do) <= bool(result.means)
        assert all(line and "\n" not in line for line in result.seen)
    assert_no_secret(repr(results))
    return {result.step: result for result in results}


async def _serve(handle: Handle, stream: trio.abc.Stream) -> None:
    try:
        await handle(stream)
    except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
        # The doctor had seen enough.
        pass
    finally:
        await trio.aclose_forcefully(stream)


async def examine_fake(fake: Fake, **more: Any) -> dict[Step, Result]:
    """The same of a fake server."""

    async def connect(address: Address) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return fake.connect()

    return await examine(connect=connect, **{"credentials": DEMO, "now_s": time.time(), **more})


def says(result: Result, outcome: str, *words: str, exit_code: Exit = Exit.OK) -> None:
    """The result is such a one, and each of the words is in what it shows."""
    assert (result.outcome, result.exit_code) == (outcome, exit_code), result
    shown = " ".join([*result.seen, result.means, result.do])
    for word in words:
        assert word in shown, result


def outcomes(results: dict[Step, Result]) -> str:
    """The first letters of the outcomes, in order: o, w, f, s."""
    return "".join(result.outcome[0] for result in results.values())
