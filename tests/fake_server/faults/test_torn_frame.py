"""The fault ``torn-frame``."""

from __future__ import annotations

import pytest
import trio.testing
import websockets
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.faults import parse_injection
from fake_server.faults.base import Cut, Send
from recorder.wire.frames import FrameParser
from tests.fake_server.faults.support import (
    THREE,
    Served,
    hear_all,
    injections,
    line_of,
    on_loopback,
    ping,
    steps_of,
    texts,
    with_aiohttp,
    with_websockets,
)
from tests.fake_server.support import TIMEOUT, quiet, serving, text
from tests.profiles import examples


@pytest.mark.parametrize(
    ("at", "size"), [(0.5, 5), (0.1, 1), (0.01, 1), (0.2, 2), (0.9, 9), (0.99, 9)]
)
def test_a_share_of_the_frame_comes_and_then_the_end(at: float, size: int) -> None:
    steps = steps_of(line_of(f"torn-frame:at={at}"), texts(b"abcdefgh"))
    data = b"\x81\x08abcdefgh"[:size]
    assert steps == [Send(data=data, whole=False), Cut(how="fin")]


@given(st.binary(max_size=300), st.floats(0, 1, exclude_min=True, exclude_max=True))
@settings(max_examples=examples(100))
def test_it_is_never_whole_and_never_nothing(payload: bytes, at: float) -> None:
    (send,) = texts(payload)
    torn, cut = steps_of(line_of({"fault": "torn-frame", "at": at}), [send])
    assert isinstance(torn, Send)
    assert isinstance(cut, Cut)
    assert send.data.startswith(torn.data)
    parser = FrameParser()
    assert parser.feed(torn.data) == []
    assert parser.pending == len(torn.data) > 0


def test_nobody_waits_for_the_pong_to_it() -> None:
    torn, _ = steps_of(line_of("torn-frame"), [ping("u1")])
    assert getattr(torn, "ping", "") is None


async def test_nothing_follows_it(autojump_clock: trio.testing.MockClock) -> None:
    faults = injections(["torn-frame:after=2,at=0.3"])
    async with serving(quiet(*THREE), faults=faults) as fake:
        socket = await fake.socket()
        read = socket.read
        while data := await socket.stream.receive_some():
            read += bytes(data)
        torn = text(THREE[1])
        assert read == text(TIMEOUT) + text(THREE[0]) + torn[: round(len(torn) * 0.3)]
        assert fake.rules_broken == []


async def test_websockets_is_told_of_an_end_without_a_close_frame() -> None:
    def client(served: Served) -> tuple[list[bytes], websockets.ConnectionClosed]:
        with with_websockets(served) as socket:
            return hear_all(socket)

    async with on_loopback("torn-frame:after=1", session_timeout_shown="never") as served:
        heard, closed = await served.ask(client)
    assert heard == [THREE[0]]
    assert isinstance(closed, websockets.ConnectionClosedError)
    assert closed.rcvd is None
    assert isinstance(closed.__cause__, EOFError)


async def test_aiohttp_hears_of_an_abnormal_end() -> None:
    async def client(served: Served) -> tuple[int, int | None]:
        async with with_aiohttp(served) as socket:
            heard = [message async for message in socket]
            return len(heard), socket.close_code

    async with on_loopback("torn-frame:after=1", session_timeout_shown="never") as served:
        assert await served.ask_async(client) == (1, 1006)


@pytest.mark.parametrize("values", ["at=0", "at=1", "at=-0.5", "at=nan"])
def test_impossible_values_are_named(values: str) -> None:
    with pytest.raises(ValueError, match=f"torn-frame: .*{values.partition('=')[0]}"):
        parse_injection(f"torn-frame:{values}")
