"""The fault ``wrong-accept``."""

from __future__ import annotations

import base64
from typing import Any

import aiohttp
import pytest
import trio
import trio.testing
import websockets

from fake_server.faults import FaultBoard, parse_injection
from recorder.wire.handshake import check_accept
from tests.fake_server.faults.support import (
    THREE,
    Served,
    injections,
    on_loopback,
    with_aiohttp,
    with_websockets,
)
from tests.fake_server.support import KEY, Http, handshake, quiet, serving

MODES = ["another-key", "no-base64", "empty", "missing"]


def accept(mode: str, seed: int = 0) -> Any:
    answer = FaultBoard(injections([f"wrong-accept:accept={mode}"]), seed=seed).handshake(0.0, 1)
    return getattr(answer, "accept", None)


def test_the_accept_of_another_key_has_its_shape_and_follows_the_seed() -> None:
    assert len(base64.b64decode(accept("another-key"), validate=True)) == 20
    assert accept("another-key") == accept("another-key") != accept("another-key", seed=1)


@pytest.mark.parametrize(
    ("mode", "field"),
    [("no-base64", "?" * 28), ("empty", ""), ("missing", None), ("another-key", None)],
)
async def test_the_101_carries_it(
    mode: str, field: str | None, autojump_clock: trio.testing.MockClock
) -> None:
    faults = injections([f"wrong-accept:accept={mode},count=1"])
    async with serving(quiet(*THREE), faults=faults) as fake:
        cookie = await fake.cookie()
        http = Http(fake.connect())
        await http.send(handshake(cookie))
        head = await http.head()
        assert head.status == 101
        found = head.header("Sec-WebSocket-Accept")
        assert check_accept(KEY, found) is not None
        assert found == (accept(mode) if mode == "another-key" else field)
        await fake.socket(cookie)
        assert fake.rules_broken == []


@pytest.mark.parametrize("mode", MODES)
async def test_websockets_refuses_the_handshake(mode: str) -> None:
    def client(served: Served) -> websockets.InvalidHandshake:
        with pytest.raises(websockets.InvalidHandshake) as refused, with_websockets(served):
            pass
        return refused.value

    async with on_loopback(f"wrong-accept:accept={mode}") as served:
        assert "Sec-WebSocket-Accept" in str(await served.ask(client))


@pytest.mark.parametrize("mode", MODES)
async def test_aiohttp_refuses_the_handshake(mode: str) -> None:
    async def client(served: Served) -> str:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with with_aiohttp(served):
                pass
        return refused.value.message

    async with on_loopback(f"wrong-accept:accept={mode}") as served:
        assert await served.ask_async(client) == "Invalid challenge response"


def test_impossible_values_are_named() -> None:
    with pytest.raises(ValueError, match=r"wrong-accept: accept = 'right'"):
        parse_injection("wrong-accept:accept=right")
