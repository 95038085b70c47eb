"""The fault ``fragmentation``."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fake_server.faults import parse_injection
from fake_server.faults.base import Send
from recorder.wire.frames import Frame, FrameParser, Opcode
from recorder.wire.messages import Message, MessageAssembler
from tests.fake_server.faults.support import (
    THREE,
    Served,
    line_of,
    on_loopback,
    ping,
    sent,
    steps_of,
    texts,
    with_aiohttp,
    with_websockets,
)
from tests.fake_server.support import DEVICES
from tests.profiles import examples


def bytes_of(fault: str, payload: bytes) -> bytes:
    return sent(steps_of(line_of(fault), texts(payload)))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("pieces=2", b"\x01\x02ab\x80\x03cde"),
        ("pieces=3", b"\x01\x01a\x00\x02bc\x80\x02de"),
        ("pieces=2,control_between=true", b"\x01\x02ab\x89\x00\x80\x03cde"),
        ("size_bytes=2", b"\x01\x02ab\x00\x02cd\x80\x01e"),
        ("size_bytes=4", b"\x01\x04abcd\x80\x01e"),
        ("size_bytes=5", b"\x81\x05abcde"),
    ],
)
def test_the_bytes_of_the_fragments(fields: str, expected: bytes) -> None:
    assert bytes_of(f"fragmentation:{fields}", b"abcde") == expected


def test_a_character_may_be_divided() -> None:
    data = bytes_of("fragmentation:size_bytes=1", "€".encode())
    assert data == b"\x01\x01\xe2\x00\x01\x82\x80\x01\xac"


def test_where_there_is_too_little_fragments_are_empty() -> None:
    assert bytes_of("fragmentation:pieces=3", b"") == b"\x01\x00\x00\x00\x80\x00"


@given(
    st.binary(max_size=300),
    st.sampled_from([Opcode.TEXT, Opcode.BINARY]),
    st.integers(2, 9),
    st.integers(0, 9),
    st.booleans(),
)
@settings(max_examples=examples(100))
@example("€€€".encode(), Opcode.TEXT, 2, 1, True)
def test_put_together_again_it_is_the_message(
    payload: bytes, opcode: Opcode, pieces: int, size_bytes: int, between: bool
) -> None:
    fault = {
        "fault": "fragmentation",
        "pieces": pieces,
        "size_bytes": size_bytes,
        "control_between": between,
    }
    send = Send(data=Frame.make(opcode, payload).serialize())
    steps = steps_of(line_of(fault), [send])
    frames = FrameParser().feed(sent(steps))
    assert len(frames) == len(steps)
    messages = MessageAssembler()
    events = []
    for frame in frames:
        assert isinstance(frame, Frame)
        assert frame.check("server") == []
        events += messages.feed(frame)
    assert [(event.opcode, event.payload) for event in events if isinstance(event, Message)] == [
        (opcode, payload)
    ]


def test_a_fragment_is_divided_into_fragments_of_its_message() -> None:
    frames = [Frame.make(Opcode.TEXT, b"ab", fin=False), Frame.make(Opcode.CONTINUATION, b"cd")]
    sends = [Send(data=frame.serialize()) for frame in frames]
    data = sent(steps_of(line_of("fragmentation"), sends))
    assert data == b"\x01\x01a\x00\x01b\x00\x01c\x80\x01d"


def test_reserved_bits_stand_in_the_first_fragment_and_a_mask_in_all() -> None:
    send = Send(data=Frame.make(Opcode.TEXT, b"abcd", rsv=4, mask=b"mask").serialize())
    frames = FrameParser().feed(sent(steps_of(line_of("fragmentation"), [send])))
    shown = [(one.rsv, one.masking_key, one.payload) for one in frames if isinstance(one, Frame)]
    assert shown == [(4, b"mask", b"ab"), (0, b"mask", b"cd")]


def test_control_frames_are_not_divided() -> None:
    send = Send(data=Frame.make(Opcode.CLOSE, b"\x03\xe8bye").serialize())
    assert steps_of(line_of("fragmentation:kinds=close+control"), [send]) == [send]


def test_a_ping_is_sent_when_its_last_fragment_is() -> None:
    steps = steps_of(line_of("fragmentation:pieces=3,control_between=true"), [ping("u1")])
    assert [getattr(step, "ping", "") for step in steps] == [*[None] * 4, "u1"]


async def test_websockets_hears_the_fragments_of_one_message() -> None:
    def client(served: Served) -> list[str | bytes]:
        with with_websockets(served) as socket:
            return [*socket.recv_streaming(), *socket.recv_streaming()]

    fault = "fragmentation:size_bytes=50,control_between=true"
    async with on_loopback(fault, session_timeout_shown="never") as served:
        heard = await served.ask(client)
    assert heard == [DEVICES[:50].decode(), DEVICES[50:].decode(), THREE[1].decode()]


async def test_aiohttp_puts_characters_together_again() -> None:
    async def client(served: Served) -> tuple[aiohttp.WSMsgType, object]:
        async with with_aiohttp(served) as socket, asyncio.timeout(5):
            message = await socket.receive()
            return message.type, message.data

    fault = "fragmentation:size_bytes=1,control_between=true"
    async with on_loopback(
        fault, says=['{"ä€𝄞":[]}'.encode()], session_timeout_shown="never"
    ) as on:
        assert await on.ask_async(client) == (aiohttp.WSMsgType.TEXT, '{"ä€𝄞":[]}')


@pytest.mark.parametrize("values", ["pieces=1", "pieces=1001", "size_bytes=-1"])
def test_impossible_values_are_named(values: str) -> None:
    with pytest.raises(ValueError, match=f"fragmentation: .*{values.partition('=')[0]}"):
        parse_injection(f"fragmentation:{values}")
