"""Where two recordings part."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import FrameEntry, Note
from recorder.wire.frames import Opcode
from replayer.difference import EXCERPT_BYTES, Difference, Place, first_difference
from tests.profiles import examples
from tests.replayer.recordings import (
    POSITION,
    UUID_1,
    UUID_2,
    cut,
    frame,
    message,
    numbered,
    ping,
    session,
)

texts = st.text(max_size=12).map(str.encode)


def spoken(payloads: list[bytes]) -> list[FrameEntry]:
    return numbered(frame("server", each, at=index) for index, each in enumerate(payloads))


@settings(max_examples=examples(200))
@given(st.lists(texts, max_size=8), st.data())
def test_a_recording_does_not_differ_from_itself_said_otherwise(
    payloads: list[bytes], data: st.DataObject
) -> None:
    """Fragmented otherwise, with PINGs, control frames, notes and client messages between."""
    other = []
    for index, payload in enumerate(payloads):
        pieces = cut(payload, data.draw(st.lists(st.integers(0, len(payload)), max_size=2)))
        asides = [
            frame("server", ping(f"u{index}"), at=index),
            frame("client", f"pong u{index}".encode(), at=index),
            frame("server", b"", at=index, opcode=Opcode.PING),
            Note(offset_ns=None, text="here"),
        ]
        other += data.draw(st.lists(st.sampled_from(asides), max_size=2))
        for number, piece in enumerate(pieces, 1):
            code = Opcode.TEXT if number == 1 else Opcode.CONTINUATION
            other.append(frame("server", piece, opcode=code, fin=number == len(pieces)))
    assert first_difference(spoken(payloads), numbered(other)) is None


def changed(payloads: list[bytes], index: int) -> list[bytes]:
    return [*payloads[:index], payloads[index] + b"!", *payloads[index + 1 :]]


def removed(payloads: list[bytes], index: int) -> list[bytes]:
    return [*payloads[:index], *payloads[index + 1 :]]


def added(payloads: list[bytes], index: int) -> list[bytes]:
    return [*payloads[:index], b"new", *payloads[index:]]


def swapped(payloads: list[bytes], index: int) -> list[bytes]:
    other = list(payloads)
    other[index], other[(index + 1) % len(other)] = other[(index + 1) % len(other)], other[index]
    return other


@settings(max_examples=examples(300))
@given(
    st.lists(texts, min_size=2, max_size=8, unique=True).filter(lambda each: b"new" not in each),
    st.sampled_from([changed, removed, added, swapped]),
    st.data(),
)
def test_the_first_message_that_is_changed_removed_added_or_swapped_is_named(
    payloads: list[bytes], edit: object, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(payloads) - {swapped: 2, added: 0}.get(edit, 1)))
    other = edit(payloads, index)
    found = first_difference(spoken(payloads), spoken(other))
    assert found is not None
    assert found.index == index
    assert (found.count_a, found.count_b) == (len(payloads), len(other))
    assert (found.a is None) == (index == len(payloads))
    assert (found.b is None) == (index == len(other))
    if found.a is not None and found.b is not None:
        assert (found.a.seq, found.b.seq) == (index + 1, index + 1)
        at = found.at_byte
        a, b = payloads[index], other[index]
        assert a[:at] == b[:at]
        assert a[at : at + 1] != b[at : at + 1]
    mirrored = first_difference(spoken(other), spoken(payloads))
    assert (mirrored.a, mirrored.b, mirrored.at_byte) == (found.b, found.a, found.at_byte)


def test_a_session_does_not_differ_from_itself() -> None:
    assert first_difference(numbered(session()), numbered(session())) is None


def test_a_difference_explains_itself() -> None:
    other = POSITION.replace(b'"rssi":-64', b'"rssi":-65')
    hello = frame("server", b"{}")
    found = first_difference(
        numbered([frame("server", ping(UUID_1)), hello, frame("server", POSITION)]),
        numbered([hello, frame("server", other), frame("server", ping(UUID_2)), hello]),
    )
    around = 'ngitude":0,"rssi":-6{},"beaconId":794513671,"beaconName":"qui'
    assert str(found) == (
        "message 1 differs from byte 87 on\n"
        f"  a: entry 3, text, 194 bytes: …{around.format(4)}…\n"
        f"  b: entry 2, text, 194 bytes: …{around.format(5)}…\n"
        "2 messages in a, 3 in b, without PINGs"
    )


def test_a_missing_message_is_named_with_the_one_that_stands_alone() -> None:
    found = first_difference(spoken([b"{}"]), spoken([b"{}", b"[\x1b]"]))
    assert found == Difference(
        index=1,
        a=None,
        b=Place(seq=2, connection=1, opcode="text", size_bytes=3, excerpt="[\\x1b]"),
        at_byte=None,
        count_a=1,
        count_b=2,
    )
    assert "message 1 is missing on one side\n  a: no message left\n" in str(found)


def test_the_opcode_counts() -> None:
    found = first_difference(
        [frame("server", b"{}")], [frame("server", b"{}", opcode=Opcode.BINARY)]
    )
    assert (found.index, found.at_byte, found.a.opcode, found.b.opcode) == (
        0,
        None,
        "text",
        "binary",
    )


def test_a_message_that_is_more_than_a_ping_takes_part() -> None:
    with_news = ping(UUID_1) + b'~{"devices":[]}'
    assert first_difference([frame("server", with_news)], []).count_a == 1
    assert first_difference([frame("server", ping(UUID_1))], []) is None


def test_messages_without_frames_are_compared_like_frames() -> None:
    assert first_difference([message("server", b"{}", at=None)], [frame("server", b"{}")]) is None


def test_what_is_shown_of_a_payload_is_short() -> None:
    found = first_difference(spoken([b"a" * 10**6 + b"x"]), spoken([b"a" * 10**6 + b"y"]))
    assert found.at_byte == 10**6
    assert found.a.excerpt == "…" + "a" * 20 + "x"
    assert len(first_difference(spoken([b"x" * 500]), []).a.excerpt) == EXCERPT_BYTES + 1


def test_recordings_are_read_as_they_are_compared() -> None:
    """Neither is held: after each message no more than one of the other was read."""
    read = {"a": 0, "b": 0}

    def entries(name: str) -> Iterator[FrameEntry]:
        for index in range(50):
            read[name] += 1
            assert abs(read["a"] - read["b"]) <= 1
            yield frame("server", b"%d" % index)

    assert first_difference(entries("a"), entries("b")) is None
    assert read == {"a": 50, "b": 50}
