"""Fragments to messages: any fragmentation gives the message back, and what is wrong is told."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.wire.frames import Frame, Opcode
from recorder.wire.messages import MAX_MESSAGE_BYTES, Message, MessageAssembler, Problem
from tests.profiles import examples
from tests.strategies import frames

controls = st.lists(
    st.builds(
        Frame.make,
        st.sampled_from([Opcode.PING, Opcode.PONG, Opcode.CLOSE, 11, 15]),
        st.binary(max_size=5),
        fin=st.booleans(),
    ),
    max_size=2,
)


def fragments(opcode: int, payload: bytes, cuts: list[int]) -> list[Frame]:
    """The frames of one message, cut at these places (modulo its size)."""
    places = sorted(cut % (len(payload) + 1) for cut in cuts)
    starts = [0, *places]
    stops = [*places, len(payload)]
    return [
        Frame.make(
            opcode if number == 0 else Opcode.CONTINUATION,
            payload[start:stop],
            fin=number == len(places),
        )
        for number, (start, stop) in enumerate(zip(starts, stops, strict=True))
    ]


def text(payload: bytes, *, fin: bool = True) -> Frame:
    return Frame.make(Opcode.TEXT, payload, fin=fin)


def more(payload: bytes, *, fin: bool = True) -> Frame:
    return Frame.make(Opcode.CONTINUATION, payload, fin=fin)


def feed(assembler: MessageAssembler, *sent: Frame) -> list[Message | Problem]:
    return [event for frame in sent for event in assembler.feed(frame)]


def outline(events: list[Message | Problem]) -> list[bytes | int]:
    """Messages as their payload, problems as their close code."""
    return [e.payload if isinstance(e, Message) else e.close_code for e in events]


# Messages come back

contents = st.one_of(
    st.tuples(st.just(Opcode.TEXT), st.text(max_size=20).map(str.encode)),
    st.tuples(st.just(Opcode.BINARY), st.binary(max_size=20)),
    st.tuples(st.sampled_from([3, 7]), st.binary(max_size=20)),
)


@settings(max_examples=examples(1000))
@given(
    st.lists(st.tuples(contents, st.lists(st.integers(0, 99), max_size=4)), max_size=4), controls
)
@example([((Opcode.TEXT, "€𝄞".encode()), [1, 2, 3, 4])], [Frame.make(Opcode.PING)])
def test_any_message_fragmented_anyhow_comes_back(
    sent: list[tuple[tuple[int, bytes], list[int]]], between: list[Frame]
) -> None:
    assembler = MessageAssembler()
    for (opcode, payload), cuts in sent:
        parts = fragments(opcode, payload, cuts)
        events: list[Message | Problem] = []
        for part in parts:
            assert events == []
            assert feed(assembler, *between) == []
            events = feed(assembler, part)
            assert assembler.unfinished == (not part.fin)
        assert events == [Message(opcode, payload, len(parts))]


def test_a_control_frame_between_fragments_changes_nothing() -> None:
    assembler = MessageAssembler()
    assert feed(assembler, text(b"a", fin=False), Frame.make(Opcode.PING, b"?")) == []
    assert assembler.unfinished
    assert feed(assembler, Frame.make(Opcode.CLOSE), more(b"b")) == [Message(1, b"ab", 2)]
    assert not assembler.unfinished


@pytest.mark.parametrize(("opcode", "is_text"), [(1, True), (2, False), (3, False)])
def test_a_message_knows_whether_it_is_text(opcode: int, is_text: bool) -> None:
    assert Message(opcode, b"").is_text == is_text


# UTF-8 (section 8.1)


def test_utf8_may_be_split_at_any_byte() -> None:
    payload = "a ü € 𝄞 z".encode()
    for cut in range(len(payload) + 1):
        parts = fragments(Opcode.TEXT, payload, [cut])
        assert feed(MessageAssembler(), *parts) == [Message(Opcode.TEXT, payload, 2)]
    one_by_one = fragments(Opcode.TEXT, payload, list(range(len(payload))))
    assert outline(feed(MessageAssembler(), *one_by_one)) == [payload]


def can_be_utf8(data: bytes) -> bool:
    """Whether valid UTF-8 begins with `data`."""
    # The second byte of a character has the narrower ranges (RFC 3629 section 4).
    for ending in [b"", *(bytes([c]) + b"\x80" * n for c in (0x80, 0x90, 0xA0) for n in range(3))]:
        try:
            (data + ending).decode("utf-8")
        except UnicodeDecodeError:
            continue
        return True
    return False


@settings(max_examples=examples(500))
@given(
    st.text(max_size=3).map(str.encode),
    st.binary(max_size=4).filter(lambda data: b"\xed" not in data),
)
@example(b"", b"\xf4\x90")
@example(b"", b"\xe0\x80")
@example(b"", b"\xc0")
@example(b"", b"\xf0\x8f")
def test_invalid_utf8_is_told_with_the_fragment_that_shows_it(before: bytes, junk: bytes) -> None:
    payload = before + junk
    assembler = MessageAssembler()
    told = False
    for at in range(len(payload)):
        opcode = Opcode.CONTINUATION if at else Opcode.TEXT
        events = assembler.feed(Frame.make(opcode, payload[at : at + 1], fin=False))
        if told or can_be_utf8(payload[: at + 1]):
            assert events == []
        else:
            assert outline(events) == [1007]
            told = True
    if payload and not told:
        # Only the end of the message can show that its last character is cut off.
        complete = can_be_decoded(payload)
        assert outline(feed(assembler, more(b""))) == [*([] if complete else [1007]), payload]


def can_be_decoded(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def test_half_a_surrogate_is_told_with_the_fragment_that_shows_it() -> None:
    assert outline(feed(MessageAssembler(), text(b"\xed\xa0", fin=False))) == [1007]


@pytest.mark.parametrize("junk", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80"])
def test_a_message_that_is_not_utf8_is_told_and_shown(junk: bytes) -> None:
    assert outline(feed(MessageAssembler(), text(b"a" + junk))) == [1007, b"a" + junk]
    in_two = [text(b"a", fin=False), more(junk)]
    assert outline(feed(MessageAssembler(), *in_two)) == [1007, b"a" + junk]


def test_one_broken_text_is_one_problem() -> None:
    sent = [text(b"\xff", fin=False), more(b"\xff", fin=False), more(b"\xff")]
    assert outline(feed(MessageAssembler(), *sent)) == [1007, b"\xff\xff\xff"]


def test_binary_may_hold_anything() -> None:
    sent = [Frame.make(Opcode.BINARY, b"\xff", fin=False), more(b"\xc3")]
    assert outline(feed(MessageAssembler(), *sent)) == [b"\xff\xc3"]


# Sequences that section 5.4 forbids


@pytest.mark.parametrize("fin", [True, False])
def test_a_continuation_of_nothing_is_a_problem(fin: bool) -> None:
    assembler = MessageAssembler()
    assert outline(feed(assembler, more(b"x", fin=fin))) == [1002]
    assert not assembler.unfinished
    assert outline(feed(assembler, text(b"{}"))) == [b"{}"]
    assert outline(feed(assembler, more(b"x", fin=fin))) == [1002]


def test_a_message_inside_another_is_a_problem_and_is_read() -> None:
    assembler = MessageAssembler()
    assert outline(feed(assembler, text(b"lost", fin=False), text(b"whole"))) == [1002, b"whole"]
    assert not assembler.unfinished


def test_a_fragmented_message_inside_another_is_a_problem_and_is_read() -> None:
    sent = [text(b"\xc3", fin=False), text(b"ab", fin=False), more(b"c")]
    assert outline(feed(MessageAssembler(), *sent)) == [1002, b"abc"]


# Size


def test_a_message_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    for size, expected in [(10, [bytes(10)]), (11, [1009])]:
        whole = [text(bytes(size))]
        in_two = [text(bytes(size - 1), fin=False), more(bytes(1))]
        for sent in (whole, in_two):
            assembler = MessageAssembler(max_message_bytes=10)
            assert outline(feed(assembler, *sent)) == expected
            assert not assembler.unfinished


def test_a_message_above_the_limit_is_told_before_its_end_and_the_next_is_read() -> None:
    assembler = MessageAssembler(max_message_bytes=10)
    assert outline(feed(assembler, text(bytes(6), fin=False), more(bytes(5), fin=False))) == [1009]
    assert outline(feed(assembler, text(b"next"))) == [b"next"]


def test_the_default_limit_is_64_mib() -> None:
    assert MAX_MESSAGE_BYTES == 64 * 2**20


# Anything


@settings(max_examples=examples(500))
@given(st.lists(frames, max_size=8), st.sampled_from([0, 20, MAX_MESSAGE_BYTES]))
def test_any_frames_give_messages_and_problems(sent: list[Frame], limit: int) -> None:
    assembler = MessageAssembler(max_message_bytes=limit)
    for frame in sent:
        for event in assembler.feed(frame):
            if isinstance(event, Message):
                assert frame.fin
                assert not frame.is_control
                assert len(event.payload) <= limit
                assert event.payload.endswith(frame.payload)
            else:
                assert event.why
                assert event.close_code in (1002, 1007, 1009)
