"""The fault ``close``."""

from __future__ import annotations

import pytest
import trio
import trio.testing
import websockets
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fake_server.faults import parse_injection
from fake_server.faults.base import Finish
from tests.fake_server.faults.support import (
    THREE,
    Served,
    hear_all,
    injections,
    line_of,
    on_loopback,
    steps_of,
    texts,
    with_aiohttp,
    with_websockets,
)
from tests.fake_server.support import quiet, serving
from tests.profiles import examples


@given(st.integers(0, 65535), st.text(st.characters(codec="utf-8"), max_size=40))
@settings(max_examples=examples(100))
@example(0, "")
@example(65535, "ä" * 61)
def test_any_code_and_reason_stand_in_the_frame(code: int, reason: str) -> None:
    if len(reason.encode()) > 123:
        reason = ""
    (send,) = texts(THREE[0])
    fault = {"fault": "close", "code": code, "reason": reason, "after": 1}
    finish, _ = steps_of(line_of(fault), [send, send])[1:]
    body = code.to_bytes(2, "big") + reason.encode()
    assert finish == Finish(data=bytes((0x88, len(body))) + body)


async def test_it_begins_the_closing_handshake_and_nothing_follows(
    autojump_clock: trio.testing.MockClock,
) -> None:
    faults = injections(["close:code=1012,reason=restart,after=2"])
    async with serving(quiet(*THREE), faults=faults) as fake:
        socket = await fake.socket()
        begun_s = trio.current_time()
        heard = await socket.listen()
        assert [one.frame.close_code for one in heard] == [None, None, 1012]
        assert socket.read.endswith(b"\x88\x09\x03\xf4restart")
        # A client that does not answer it has a moment; then TCP ends.
        assert 1 <= trio.current_time() - begun_s <= 5
        assert fake.rules_broken == []


async def test_it_waits_until_the_chunks_of_a_frame_are_out(
    autojump_clock: trio.testing.MockClock,
) -> None:
    faults = injections(["chunking:size_bytes=10,pause_s=1", "close:at_s=2"])
    async with serving(quiet(*THREE), faults=faults) as fake:
        heard = await (await fake.socket()).listen()
        assert [one.frame.payload for one in heard[1:]] == [*THREE, b"\x03\xf3"]


async def ended(code: int) -> tuple[list[bytes], websockets.ConnectionClosed]:
    def client(served: Served) -> tuple[list[bytes], websockets.ConnectionClosed]:
        with with_websockets(served) as socket:
            return hear_all(socket)

    faults = f"close:code={code},reason=on purpose,after=2"
    async with on_loopback(faults, session_timeout_shown="never") as served:
        return await served.ask(client)


@pytest.mark.parametrize("code", [1000, 1011, 1014, 3000, 4999])
async def test_websockets_is_told_the_code_and_the_reason(code: int) -> None:
    heard, closed = await ended(code)
    assert heard == [*THREE[:2]]
    assert closed.rcvd is not None
    assert (closed.rcvd.code, closed.rcvd.reason) == (code, "on purpose")
    assert isinstance(closed, websockets.ConnectionClosedOK) == (code == 1000)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535])
async def test_websockets_refuses_a_code_that_must_not_stand_in_a_frame(code: int) -> None:
    heard, closed = await ended(code)
    assert heard == [*THREE[:2]]
    assert isinstance(closed, websockets.ConnectionClosedError)
    assert closed.rcvd is None
    assert closed.sent is not None
    assert closed.sent.code == 1002


async def test_aiohttp_is_told_the_code() -> None:
    async def client(served: Served) -> int | None:
        async with with_aiohttp(served) as socket:
            async for _ in socket:
                pass
            return socket.close_code

    async with on_loopback("close:code=4001,after=1") as served:
        assert await served.ask_async(client) == 4001


@pytest.mark.parametrize(
    "values", ["code=-1", "code=65536", "code=x", "reason=" + "x" * 124, "reason=" + "ä" * 62]
)
def test_impossible_values_are_named(values: str) -> None:
    with pytest.raises(ValueError, match=f"close: .*{values.partition('=')[0]}"):
        parse_injection(f"close:{values}")
