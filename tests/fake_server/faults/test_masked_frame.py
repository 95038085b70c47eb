"""The fault ``masked-frame``."""

from __future__ import annotations

import websockets
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.faults.base import Send
from recorder.wire.frames import Frame, FrameParser, Opcode
from tests.fake_server.faults.support import (
    THREE,
    Served,
    hear_all,
    line_of,
    on_loopback,
    ping,
    sent,
    steps_of,
    texts,
    with_websockets,
)
from tests.profiles import examples


@given(st.binary(max_size=300), st.sampled_from([None, 2, 8]), st.integers(0, 99))
@settings(max_examples=examples(60))
def test_key_and_masked_payload_stand_behind_the_length(
    payload: bytes, form: int | None, seed: int
) -> None:
    length_bytes: object = 2 if form is None and len(payload) > 125 else form
    plain = Frame.make(Opcode.TEXT, payload, length_bytes=length_bytes)  # type: ignore[arg-type]
    data = sent(steps_of(line_of("masked-frame", seed=seed), [Send(data=plain.serialize())]))
    head = plain.head[:1] + bytes((plain.head[1] | 0x80,)) + plain.head[2:]
    key = data[len(head) :][:4]
    masked = bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))
    assert data == head + key + masked
    (frame,) = FrameParser().feed(data)
    assert isinstance(frame, Frame)
    assert frame.payload == payload


def test_the_key_is_another_each_time_and_the_same_for_a_seed() -> None:
    one, two = steps_of(line_of("masked-frame"), texts(THREE[0], THREE[0]))
    assert one != two
    assert [one, two] == steps_of(line_of("masked-frame"), texts(THREE[0], THREE[0]))


def test_a_frame_that_is_masked_already_is_left_alone() -> None:
    send = Send(data=Frame.make(Opcode.TEXT, b"x", mask=b"mask").serialize())
    assert steps_of(line_of("masked-frame"), [send]) == [send]


def test_nobody_waits_for_the_pong_to_it() -> None:
    (step,) = steps_of(line_of("masked-frame"), [ping("u1")])
    assert getattr(step, "ping", "") is None


async def test_websockets_fails_the_connection_with_1002() -> None:
    def client(served: Served) -> tuple[list[bytes], websockets.ConnectionClosed]:
        with with_websockets(served) as socket:
            return hear_all(socket)

    async with on_loopback("masked-frame:after=1", session_timeout_shown="never") as served:
        heard, closed = await served.ask(client)
    assert heard == [THREE[0]]
    assert closed.sent is not None
    assert (closed.sent.code, closed.sent.reason) == (1002, "incorrect masking")
