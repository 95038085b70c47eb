"""Frames: what is parsed is what was sent, however it is cut; nothing is lost, nothing raises."""

from __future__ import annotations

import doctest
import tracemalloc
from typing import Any

import pytest
import websockets.frames
import wsproto.events
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from wsproto.connection import Connection, ConnectionType

import recorder.wire.frames
from recorder.wire.frames import (
    MAX_FRAME_BYTES,
    CloseCode,
    Frame,
    FrameParser,
    Opcode,
    Unparsed,
    close_frame,
    random_masking_key,
)
from tests.profiles import examples
from tests.strategies import close_frames, frames

KEY = bytes.fromhex("37fa213d")
"""The masking key of the examples in RFC 6455 section 5.7."""

masks = st.none() | st.binary(min_size=4, max_size=4)
edge_sizes = st.sampled_from([0, 1, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537])

SHAPES = [
    (size, length_bytes)
    for size in [0, 1, 125, 126, 127, 65535, 65536]
    for length_bytes in [0, 2, 8]
    if size <= {0: 125, 2: 65535, 8: size}[length_bytes]
]
"""Sizes at which the length's form changes, in every form that can say them."""


def _frame(first: int, shape: tuple[int, Any], mask: bytes | None, pattern: bytes) -> Frame:
    size, length_bytes = shape
    return Frame.make(
        first & 15,
        (pattern * size)[:size],
        fin=first >= 0x80,
        rsv=first >> 4 & 7,
        mask=mask,
        length_bytes=length_bytes,
    )


edge_frames = st.builds(
    _frame,
    st.integers(0, 255),
    st.sampled_from(SHAPES),
    masks,
    st.binary(min_size=1, max_size=3),
)
frame_lists = st.lists(edge_frames | frames, max_size=3)
small_frame_lists = st.lists(frames | close_frames, max_size=3)
cut_points = st.lists(st.integers(0, 2**20), max_size=5)

huge_headers = st.builds(
    lambda first, masked, size: bytes((first, masked | 127)) + size.to_bytes(8, "big"),
    st.integers(0, 255),
    st.sampled_from([0, 0x80]),
    st.one_of(st.integers(0, 400), st.integers(0, 2**64 - 1)),
)
"""Headers that claim any 64-bit length, with little or nothing behind them."""

hostile_bytes = st.lists(
    st.one_of(st.binary(max_size=12), frames.map(Frame.serialize), huge_headers), max_size=4
).map(b"".join)


def wire(sent: list[Frame]) -> bytes:
    return b"".join(frame.serialize() for frame in sent)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` cut at these places, taken modulo its size; some pieces may be empty."""
    places = sorted(cut % (len(data) + 1) for cut in cuts)
    return [
        data[start:stop] for start, stop in zip([0, *places], [*places, len(data)], strict=True)
    ]


def parse(chunks: list[bytes], limit: int = MAX_FRAME_BYTES) -> list[Frame | Unparsed]:
    parser = FrameParser(max_frame_bytes=limit)
    return [*(event for chunk in chunks for event in parser.feed(chunk)), *parser.close()]


def as_bytes(event: Frame | Unparsed) -> bytes:
    return event.data if isinstance(event, Unparsed) else event.serialize()


def single_bytes(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


# What is parsed is what was sent


@settings(max_examples=examples(2000))
@given(frame_lists, cut_points)
@example([Frame.make(Opcode.TEXT, b"")], [])
@example([Frame.make(15, bytes(65536), mask=b"\0\0\0\0", rsv=7, fin=False)], [1, 2, 9, 10, 13, 14])
def test_frames_come_back_however_they_are_cut(sent: list[Frame], cuts: list[int]) -> None:
    assert parse(pieces(wire(sent), cuts)) == sent


@settings(max_examples=examples(1000))
@given(small_frame_lists)
def test_frames_come_back_byte_by_byte(sent: list[Frame]) -> None:
    assert parse(single_bytes(wire(sent))) == sent


@settings(max_examples=examples(500))
@given(frames | edge_frames)
def test_a_made_frame_has_what_it_was_made_of(sent: Frame) -> None:
    again = Frame.make(
        sent.opcode,
        sent.payload,
        fin=sent.fin,
        rsv=sent.rsv,
        mask=sent.masking_key,
        length_bytes={126: 2, 127: 8}.get(sent.head[1] & 0x7F, 0),
    )
    assert again == sent


@pytest.mark.parametrize("size", [0, 125, 126, 127, 65535, 65536])
@pytest.mark.parametrize("mask", [None, KEY])
@pytest.mark.parametrize("length_bytes", [None, 0, 2, 8])
def test_every_length_form_comes_back_whole_and_byte_by_byte(
    size: int, mask: bytes | None, length_bytes: Any
) -> None:
    if {0: 125, 2: 65535}.get(length_bytes, size) < size:
        with pytest.raises(ValueError, match="do not fit"):
            Frame.make(Opcode.BINARY, bytes(size), mask=mask, length_bytes=length_bytes)
        return
    sent = Frame.make(Opcode.BINARY, b"\xa5" * size, mask=mask, length_bytes=length_bytes)
    data = sent.serialize()
    assert parse([data]) == [sent]
    assert parse(single_bytes(data)) == [sent]


@pytest.mark.parametrize(
    ("data", "frame"),
    [
        # RFC 6455 section 5.7, in its order.
        ("81 05 48 65 6c 6c 6f", Frame.make(Opcode.TEXT, b"Hello")),
        ("81 85 37 fa 21 3d 7f 9f 4d 51 58", Frame.make(Opcode.TEXT, b"Hello", mask=KEY)),
        ("01 03 48 65 6c", Frame.make(Opcode.TEXT, b"Hel", fin=False)),
        ("80 02 6c 6f", Frame.make(Opcode.CONTINUATION, b"lo")),
        ("89 05 48 65 6c 6c 6f", Frame.make(Opcode.PING, b"Hello")),
        ("8a 85 37 fa 21 3d 7f 9f 4d 51 58", Frame.make(Opcode.PONG, b"Hello", mask=KEY)),
        ("82 7e 01 00" + "00" * 256, Frame.make(Opcode.BINARY, bytes(256))),
        (
            "82 7f 00 00 00 00 00 01 00 00" + "00" * 65536,
            Frame.make(Opcode.BINARY, bytes(65536)),
        ),
        # Forms that section 5.2 forbids are read as they came.
        ("81 7e 00 01 41", Frame.make(Opcode.TEXT, b"A", length_bytes=2)),
        ("f3 ff 00 00 00 00 00 00 00 01 00 00 00 00 41", None),
    ],
)
def test_the_examples_of_the_rfc(data: str, frame: Frame | None) -> None:
    raw = bytes.fromhex(data)
    (read,) = parse([raw])
    assert isinstance(read, Frame)
    assert read.serialize() == raw
    if frame is None:
        frame = Frame.make(3, b"A", rsv=7, mask=b"\0\0\0\0", length_bytes=8)
    assert read == frame
    assert frame.serialize() == raw


def test_a_frame_tells_its_flags() -> None:
    (frame,) = parse([bytes.fromhex("59 82 01020304 6063")])
    assert isinstance(frame, Frame)
    assert (frame.fin, frame.rsv, frame.opcode) == (False, 5, Opcode.PING)
    assert (frame.masking_key, frame.payload) == (bytes([1, 2, 3, 4]), b"aa")
    assert frame.is_control
    assert [Frame.make(n).is_control for n in range(16)] == [False] * 8 + [True] * 8


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"opcode": 16}, "opcode 16"),
        ({"opcode": -1}, "opcode -1"),
        ({"opcode": 1, "rsv": 8}, "rsv 8"),
        ({"opcode": 1, "mask": b"123"}, "4 bytes, not 3"),
        ({"opcode": 1, "mask": b""}, "4 bytes, not 0"),
        ({"opcode": 1, "payload": bytes(126), "length_bytes": 0}, "126 bytes"),
        ({"opcode": 1, "payload": bytes(65536), "length_bytes": 2}, "65536 bytes"),
    ],
)
def test_a_frame_that_no_header_can_say_is_refused(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Frame.make(**arguments)


# Nothing raises, nothing is lost


def merged(events: list[Frame | Unparsed]) -> list[Frame | tuple[int, bytes]]:
    """Events with neighbouring unparsed pieces joined: where they are cut is the chunks' doing."""
    joined: list[Frame | tuple[int, bytes]] = []
    for event in events:
        if isinstance(event, Frame):
            joined.append(event)
        elif joined and isinstance(joined[-1], tuple):
            offset, data = joined[-1]
            joined[-1] = (offset, data + event.data)
        else:
            joined.append((event.offset, event.data))
    return joined


@settings(max_examples=examples(2000))
@given(hostile_bytes, cut_points, st.sampled_from([0, 1, 20, 125, 300, MAX_FRAME_BYTES]))
@example(bytes.fromhex("817f7fffffffffffffff"), [3], MAX_FRAME_BYTES)
def test_any_bytes_come_back_as_frames_and_unparsed_pieces(
    data: bytes, cuts: list[int], limit: int
) -> None:
    events = parse(pieces(data, cuts), limit)
    position = 0
    unparsed = False
    for event in events:
        if isinstance(event, Unparsed):
            assert event.offset == position
            assert event.data
            assert event.why
            unparsed = True
        else:
            assert not unparsed, "a frame behind bytes that could not be parsed"
            assert len(event.payload) <= limit
        position += len(as_bytes(event))
    assert b"".join(map(as_bytes, events)) == data
    assert merged(events) == merged(parse([data], limit))


@settings(max_examples=examples(500))
@given(small_frame_lists, st.integers(0, 2**20))
def test_a_torn_stream_gives_its_whole_frames_and_its_tail(sent: list[Frame], cut: int) -> None:
    data = wire(sent)
    torn = data[: cut % (len(data) + 1)]
    whole: list[Frame] = []
    while len(whole) < len(sent) and len(wire(sent[: len(whole) + 1])) <= len(torn):
        whole.append(sent[len(whole)])
    tail = torn[len(wire(whole)) :]
    events = parse([torn])
    assert events[: len(whole)] == whole
    assert [(event.data, event.offset) for event in events[len(whole) :]] == (
        [(tail, len(torn) - len(tail))] if tail else []
    )


@pytest.mark.parametrize("mask", [None, KEY])
@pytest.mark.parametrize("length_bytes", [0, 2, 8])
def test_a_frame_torn_at_any_byte_is_its_tail(mask: bytes | None, length_bytes: Any) -> None:
    before = Frame.make(Opcode.PING, b"before")
    frame = Frame.make(Opcode.TEXT, b"abcdef", mask=mask, length_bytes=length_bytes)
    data = frame.serialize()
    for size in range(1, len(data)):
        for chunks in ([wire([before]) + data[:size]], single_bytes(wire([before]) + data[:size])):
            first, tail = parse(chunks)
            where = "frame header" if size < len(frame.head) else "frame"
            assert first == before
            assert tail == Unparsed(data[:size], 8, f"the stream ended inside a {where}")


def test_close_gives_the_tail_once() -> None:
    parser = FrameParser()
    parser.feed(b"\x81")
    assert len(parser.close()) == 1
    assert parser.close() == []
    assert parser.pending == 0


def test_an_untorn_stream_has_no_tail() -> None:
    parser = FrameParser()
    parser.feed(Frame.make(Opcode.TEXT, b"x").serialize())
    assert parser.close() == []


# Memory


@pytest.mark.parametrize("size", [2**26 + 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("masked", [0, 0x80])
def test_a_length_above_the_limit_is_refused_before_anything_is_allocated(
    size: int, masked: int
) -> None:
    header = bytes((0x82, masked | 127)) + size.to_bytes(8, "big") + bytes(4 if masked else 0)
    parser = FrameParser()
    tracemalloc.start()
    try:
        for at in range(len(header) - 1):
            assert parser.feed(header[at : at + 1]) == []
        (refused,) = parser.feed(header[-1:])
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(refused, Unparsed)
    assert (refused.data, refused.offset) == (header, 0)
    assert str(size) in refused.why
    assert parser.refused == refused.why
    assert parser.pending == 0
    assert peak_bytes < 20_000


def test_an_endless_frame_never_holds_more_than_the_limit_and_a_chunk() -> None:
    limit, chunk = 100_000, bytes(4096)
    parser = FrameParser(max_frame_bytes=limit)
    endless = Frame.make(Opcode.TEXT, bytes(limit)).head
    tracemalloc.start()
    try:
        held: list[int] = []
        parser.feed(endless)
        for _ in range(limit // len(chunk)):
            parser.feed(chunk)
            held.append(parser.pending)
        held_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held == [len(endless) + n * len(chunk) for n in range(1, len(held) + 1)]
    assert held_bytes < limit + 2 * len(chunk)


def test_tiny_chunks_of_an_endless_frame_take_no_more_than_their_bytes() -> None:
    limit = 50_000
    parser = FrameParser(max_frame_bytes=limit)
    parser.feed(Frame.make(Opcode.TEXT, bytes(limit)).head)
    tracemalloc.start()
    try:
        for number in range(limit // 2 - 1):
            parser.feed(number.to_bytes(2, "big"))
        held_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held_bytes < 2 * limit


@settings(max_examples=examples(500))
@given(st.lists(hostile_bytes, max_size=5), st.sampled_from([0, 10, 125, 300]))
def test_what_is_pending_stays_below_one_frame(chunks: list[bytes], limit: int) -> None:
    parser = FrameParser(max_frame_bytes=limit)
    for chunk in chunks:
        parser.feed(chunk)
        assert parser.pending < limit + 14
        assert parser.refused is None or parser.pending == 0


def test_a_frame_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    fits, above = Frame.make(Opcode.TEXT, bytes(300)), Frame.make(Opcode.TEXT, bytes(301))
    assert parse([fits.serialize()], limit=300) == [fits]
    assert parse([above.serialize()], limit=300) == [
        Unparsed(above.serialize(), 0, "a frame of 301 bytes is above the limit of 300")
    ]


def test_after_a_refusal_all_is_unparsed_at_its_place() -> None:
    good = Frame.make(Opcode.TEXT, b"good")
    bad = Frame.make(Opcode.TEXT, bytes(11))
    parser = FrameParser(max_frame_bytes=10)
    assert parser.refused is None
    first, second = parser.feed(good.serialize() + bad.serialize())
    assert first == good
    assert isinstance(second, Unparsed)
    assert (second.data, second.offset) == (bad.serialize(), 6)
    assert parser.refused == second.why
    (third,) = parser.feed(good.serialize())
    assert third == Unparsed(good.serialize(), 6 + 13, second.why)
    assert parser.feed(b"") == []
    assert parser.close() == []


# What RFC 6455 forbids


def masked(frame: Frame) -> Frame:
    """The same frame as a client must send it."""
    return Frame.make(
        frame.opcode,
        frame.payload,
        fin=frame.fin,
        rsv=frame.rsv,
        mask=KEY,
        length_bytes={126: 2, 127: 8}.get(frame.head[1] & 0x7F, 0),
    )


def close_body(code: int, reason: bytes = b"") -> Frame:
    return Frame.make(Opcode.CLOSE, code.to_bytes(2, "big") + reason)


RIGHT = [
    Frame.make(Opcode.TEXT, b"{}"),
    Frame.make(Opcode.TEXT, b"\xff"),  # UTF-8 is the message's: a fragment may end inside it
    Frame.make(Opcode.TEXT, b"", fin=False),
    Frame.make(Opcode.CONTINUATION, b""),
    Frame.make(Opcode.CONTINUATION, b"x", fin=False),
    Frame.make(Opcode.BINARY, bytes(125)),
    Frame.make(Opcode.BINARY, bytes(126)),
    Frame.make(Opcode.BINARY, bytes(65535)),
    Frame.make(Opcode.BINARY, bytes(65536)),
    Frame.make(Opcode.PING, bytes(125)),
    Frame.make(Opcode.PONG),
    Frame.make(Opcode.CLOSE),
    *(close_body(code) for code in [1000, 1001, 1002, 1003, *range(1007, 1015)]),
    *(close_body(code) for code in [3000, 3999, 4000, 4999]),
    close_body(1000, "grüße".encode()),
    close_body(1000, b"r" * 123),
]

WRONG: list[tuple[str, Frame, list[str]]] = [
    ("RSV1", Frame.make(Opcode.TEXT, b"x", rsv=4), ["5.2"]),
    ("RSV2", Frame.make(Opcode.PING, b"x", rsv=2), ["5.2"]),
    ("RSV3", Frame.make(Opcode.CONTINUATION, b"x", rsv=1), ["5.2"]),
    *((f"opcode {n:#x}", Frame.make(n), ["5.2"]) for n in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]),
    ("0 in two bytes", Frame.make(Opcode.TEXT, b"", length_bytes=2), ["5.2"]),
    ("125 in two bytes", Frame.make(Opcode.TEXT, bytes(125), length_bytes=2), ["5.2"]),
    ("125 in eight bytes", Frame.make(Opcode.TEXT, bytes(125), length_bytes=8), ["5.2"]),
    ("126 in eight bytes", Frame.make(Opcode.TEXT, bytes(126), length_bytes=8), ["5.2"]),
    ("65535 in eight bytes", Frame.make(Opcode.TEXT, bytes(65535), length_bytes=8), ["5.2"]),
    ("a ping of 126 bytes", Frame.make(Opcode.PING, bytes(126)), ["5.5"]),
    ("a pong of 126 bytes", Frame.make(Opcode.PONG, bytes(126)), ["5.5"]),
    ("a close of 126 bytes", close_body(1000, b"r" * 124), ["5.5"]),
    ("a fragmented ping", Frame.make(Opcode.PING, fin=False), ["5.5"]),
    ("a fragmented close", Frame.make(Opcode.CLOSE, fin=False), ["5.5"]),
    ("a close of one byte", Frame.make(Opcode.CLOSE, b"\x03"), ["5.5.1"]),
    ("a reason that is not UTF-8", close_body(1000, b"\xff"), ["5.5.1"]),
    *(
        (f"close code {code}", close_body(code), ["7.4"])
        for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
    ),
    ("code and reason", close_body(1005, b"\xc3"), ["5.5.1", "7.4"]),
    ("all of it", Frame.make(11, bytes(126), rsv=7, fin=False, length_bytes=8), ["5.2"] * 3),
]


def sections(violations: list[str]) -> list[str]:
    """The sections that the sentences name, each of which must name one."""
    return sorted(sentence.rpartition("RFC 6455 ")[2].rstrip(")") for sentence in violations)


@pytest.mark.parametrize("frame", RIGHT, ids=str)
def test_a_right_frame_breaks_nothing_but_the_rule_of_masks(frame: Frame) -> None:
    assert frame.check("server") == []
    assert masked(frame).check("client") == []
    assert sections(frame.check("client")) == ["5.1"]
    assert sections(masked(frame).check("server")) == ["5.1"]


@pytest.mark.parametrize(
    ("frame", "broken"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG]
)
def test_a_wrong_frame_is_told_with_its_section(frame: Frame, broken: list[str]) -> None:
    expected = [*broken, "5.5", "5.5"] if frame.opcode == 11 and not frame.fin else broken
    assert sections(frame.check("server")) == sorted(expected)
    assert sections(masked(frame).check("client")) == sorted(expected)


@given(st.one_of(frames, edge_frames, close_frames), st.sampled_from(["client", "server"]))
def test_check_takes_any_frame(frame: Frame, sender: Any) -> None:
    assert all(isinstance(sentence, str) for sentence in frame.check(sender))


# Close frames


@given(st.integers(0, 65535), st.text(max_size=30), masks)
def test_a_close_frame_tells_its_code_and_reason(
    code: int, reason: str, mask: bytes | None
) -> None:
    frame = close_frame(code, reason, mask=mask)
    assert (frame.opcode, frame.close_code, frame.close_reason) == (8, code, reason)
    assert parse([frame.serialize()]) == [frame]


def test_a_close_reason_has_at_most_123_bytes() -> None:
    assert close_frame(CloseCode.NORMAL, "ü" * 61 + "x").check("server") == []
    with pytest.raises(ValueError, match="124"):
        close_frame(CloseCode.NORMAL, "ü" * 62)


def test_only_a_close_frame_with_a_body_has_a_code() -> None:
    assert Frame.make(Opcode.CLOSE).close_code is None
    assert Frame.make(Opcode.CLOSE, b"\x03").close_code is None
    assert Frame.make(Opcode.TEXT, b"\x03\xe8bye").close_code is None
    assert Frame.make(Opcode.TEXT, b"\x03\xe8bye").close_reason == ""
    assert close_body(1000, b"\xff!").close_reason == "\ufffd!"


# Reading, keys, docstrings


@settings(max_examples=examples(300))
@given(frames | close_frames)
def test_any_frame_can_be_shown_in_a_short_line(frame: Frame) -> None:
    shown = str(frame)
    assert f"{len(frame.payload)} bytes" in shown
    assert "\n" not in shown
    assert len(shown) < 600


def test_masking_keys_are_four_bytes_that_differ() -> None:
    keys = {random_masking_key() for _ in range(20)}
    assert {len(key) for key in keys} == {4}
    assert len(keys) > 1


def test_the_docstrings_hold() -> None:
    results = doctest.testmod(recorder.wire.frames)
    assert results.attempted > 0
    assert results.failed == 0


# Other implementations, for frames that are right

masking_keys = st.binary(min_size=4, max_size=4)
binary_frames = st.builds(
    lambda size, pattern: (pattern * size)[:size],
    edge_sizes | st.integers(0, 300),
    st.binary(min_size=1, max_size=5),
)


@settings(max_examples=examples(300))
@given(st.lists(binary_frames, min_size=1, max_size=4), masking_keys, st.booleans())
def test_websockets_reads_what_we_write(sent: list[bytes], key: bytes, from_client: bool) -> None:
    ours = [Frame.make(Opcode.BINARY, data, mask=key if from_client else None) for data in sent]
    peer = (
        ServerProtocol(state=State.OPEN)
        if from_client
        else ClientProtocol(parse_uri("ws://x/"), state=State.OPEN)
    )
    peer.receive_data(wire(ours))
    assert [event.data for event in peer.events_received()] == sent


@settings(max_examples=examples(300))
@given(st.lists(binary_frames, min_size=1, max_size=4), cut_points, st.booleans())
def test_we_read_what_websockets_writes(
    sent: list[bytes], cuts: list[int], from_client: bool
) -> None:
    data = b"".join(
        websockets.frames.Frame(websockets.frames.Opcode.BINARY, payload).serialize(
            mask=from_client
        )
        for payload in sent
    )
    events = parse(pieces(data, cuts))
    assert [event.payload for event in events if isinstance(event, Frame)] == sent
    assert b"".join(map(as_bytes, events)) == data
    for event in events:
        assert isinstance(event, Frame)
        assert event.check("client" if from_client else "server") == []


@settings(max_examples=examples(300))
@given(st.lists(binary_frames, min_size=1, max_size=4), cut_points, st.booleans())
def test_wsproto_writes_and_reads_the_same(
    sent: list[bytes], cuts: list[int], from_client: bool
) -> None:
    sides = [ConnectionType.CLIENT, ConnectionType.SERVER]
    writer, reader = (Connection(side) for side in (sides if from_client else reversed(sides)))
    data = b"".join(writer.send(wsproto.events.BytesMessage(payload)) for payload in sent)
    ours = parse(pieces(data, cuts))
    assert [event.payload for event in ours if isinstance(event, Frame)] == sent
    reader.receive_data(b"".join(map(as_bytes, ours)))
    read = [event for event in reader.events() if isinstance(event, wsproto.events.BytesMessage)]
    assert b"".join(event.data for event in read) == b"".join(sent)
