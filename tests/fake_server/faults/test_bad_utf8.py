"""The fault ``bad-utf8``."""

from __future__ import annotations

import pytest
import websockets
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.faults import parse_injection
from recorder.wire.frames import Frame, Opcode
from recorder.wire.messages import MessageAssembler, Problem
from tests.fake_server.faults.support import (
    THREE,
    Served,
    hear_all,
    line_of,
    on_loopback,
    payloads_of,
    ping,
    sent,
    steps_of,
    texts,
    with_aiohttp,
    with_websockets,
)
from tests.fake_server.support import POSITION
from tests.profiles import examples
from tests.strategies import json_texts

SEQUENCES = {
    "invalid-byte": b"\xff",
    "lone-continuation": b"\x80",
    "overlong": b"\xc0\xaf",
    "surrogate": b"\xed\xa0\x80",
    "cut-character": b"\xf0\x9d\x84",
}


def changed(sequence: str, payload: bytes, *, seed: int = 0) -> bytes:
    line = line_of(f"bad-utf8:sequence={sequence}", seed=seed)
    (found,) = payloads_of(sent(steps_of(line, texts(payload))))
    return found


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_the_bytes_stand_at_the_end_of_a_string_told_by_chance(sequence: str) -> None:
    bad = SEQUENCES[sequence]
    strings = (b"positions", b"id", b"deviceId", b"rssi")
    expected = {POSITION.replace(b'"%s"' % string, b'"%s%s"' % (string, bad)) for string in strings}
    assert {changed(sequence, POSITION, seed=seed) for seed in range(60)} == expected


@given(st.sampled_from(sorted(SEQUENCES)), json_texts, st.integers(0, 99))
@settings(max_examples=examples(80))
def test_what_had_a_string_is_no_utf8(sequence: str, text: str, seed: int) -> None:
    payload = text.encode()
    found = changed(sequence, payload, seed=seed)
    assert (found == payload) == (b'"' not in payload)
    if found != payload:
        events = MessageAssembler().feed(Frame.make(Opcode.TEXT, found))
        assert isinstance(events[0], Problem)


def test_nobody_waits_for_the_pong_to_it() -> None:
    (step,) = steps_of(line_of("bad-utf8"), [ping("u1")])
    assert getattr(step, "ping", "") is None


@pytest.mark.parametrize("sequence", SEQUENCES)
async def test_websockets_fails_the_connection_with_1007(sequence: str) -> None:
    def client(served: Served) -> tuple[list[bytes], websockets.ConnectionClosed]:
        with with_websockets(served) as socket:
            return hear_all(socket)

    fault = f"bad-utf8:sequence={sequence},after=1"
    async with on_loopback(fault, session_timeout_shown="never") as served:
        heard, closed = await served.ask(client)
    assert heard == [THREE[0]]
    assert closed.sent is not None
    assert closed.sent.code == 1007


async def test_aiohttp_fails_the_connection_with_1007() -> None:
    async def client(served: Served) -> tuple[list[str], int | None]:
        async with with_aiohttp(served) as socket:
            heard = [message async for message in socket]
            return [message.type.name for message in heard], socket.close_code

    async with on_loopback("bad-utf8:after=1", session_timeout_shown="never") as served:
        assert await served.ask_async(client) == (["TEXT", "ERROR"], 1007)


@pytest.mark.parametrize("values", ["sequence=utf-16"])
def test_impossible_values_are_named(values: str) -> None:
    with pytest.raises(ValueError, match=f"bad-utf8: .*{values.partition('=')[0]}"):
        parse_injection(f"bad-utf8:{values}")
