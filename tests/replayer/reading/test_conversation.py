"""Entries in, messages out."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import CorruptRecording
from recorder.model import Closed, FrameEntry, Note, Open, Request, Response, Resume, UnknownEntry
from recorder.wire.frames import Frame, Opcode
from replayer.reading.conversation import BrokenMessage, DataMessage, Exchange, converse
from tests.profiles import examples
from tests.replayer.recordings import (
    DEVICES,
    POSITION,
    UUID_1,
    UUID_2,
    cut,
    data_messages,
    entry_of,
    frame,
    frames,
    message,
    ms,
    numbered,
    ping,
    session,
)

senders = st.sampled_from(["client", "server"])


def said(items: list) -> list[tuple]:
    return [
        (each.connection, each.sender, each.opcode, each.payload)
        for each in items
        if isinstance(each, DataMessage)
    ]


@st.composite
def fragmented(draw: st.DrawFn) -> tuple[list[FrameEntry], list[tuple], list[FrameEntry]]:
    """The interleaved frames of several streams, the messages in them, and their control frames."""
    streams = []
    for connection, sender in draw(st.sets(st.tuples(st.integers(1, 2), senders), max_size=3)):
        stream = []
        for opcode, payload in draw(data_messages()):
            pieces = cut(payload, draw(st.lists(st.integers(0, len(payload)), max_size=4)))
            for number, piece in enumerate(pieces, 1):
                is_last = number == len(pieces)
                code = opcode if number == 1 else Opcode.CONTINUATION
                whole = (connection, sender, Opcode(opcode).name.lower(), payload)
                sent = frame(sender, piece, opcode=code, fin=is_last, connection=connection)
                stream.append((sent, whole if is_last else None))
                for control in draw(
                    st.lists(st.sampled_from([Opcode.PING, Opcode.PONG]), max_size=1)
                ):
                    stream.append(
                        (frame(sender, b"c", opcode=control, connection=connection), None)
                    )
        streams.append(stream)
    mixed = []
    while any(streams):
        mixed.append(draw(st.sampled_from([each for each in streams if each])).pop(0))
    entries = [entry for entry, _ in mixed]
    return (
        entries,
        [whole for _, whole in mixed if whole is not None],
        [entry for entry in entries if entry.opcode in ("ping", "pong")],
    )


@settings(max_examples=examples(250))
@given(fragmented())
def test_any_fragmentation_gives_the_same_messages_and_every_control_frame(case: tuple) -> None:
    entries, messages, controls = case
    items = list(converse(entries))
    assert said(items) == messages
    assert [each for each in items if isinstance(each, FrameEntry)] == controls
    assert not [each for each in items if isinstance(each, BrokenMessage)]


@settings(max_examples=examples(200))
@given(st.lists(st.tuples(frames(), senders)))
def test_frames_that_nothing_allows_raise_nothing(sent: list[tuple[Frame, str]]) -> None:
    entries = numbered(entry_of(each, sender) for each, sender in sent)
    items = list(converse(entries))
    # Each whole message is made of the data frames up to its last one, and is accounted for.
    for item in items:
        assert isinstance(item, DataMessage | BrokenMessage | FrameEntry)
        if isinstance(item, DataMessage):
            assert entries[item.seq - 1].fin
            assert item.payload.endswith(entries[item.seq - 1].data)


@given(st.lists(st.text(max_size=50).map(str.encode)))
def test_messages_without_frames_are_taken_alike(payloads: list[bytes]) -> None:
    as_messages = [message("server", each) for each in payloads]
    as_frames = [frame("server", each) for each in payloads]
    assert list(converse(as_messages)) == list(converse(as_frames))


def test_a_message_stands_where_its_last_fragment_does() -> None:
    first = frame("server", b'{"devi', at=1, fin=False)
    control = frame("server", b"", at=2, opcode=Opcode.PING)
    last = frame("server", b'ces":[]}', at=3, opcode=Opcode.CONTINUATION, redacted=True)
    entries = numbered([first, control, last])
    assert list(converse(entries)) == [
        entries[1],
        DataMessage(
            seq=3,
            offset_ns=ms(3),
            connection=1,
            sender="server",
            opcode="text",
            payload=b'{"devices":[]}',
            fragments=2,
            redacted=True,
        ),
    ]


def test_redaction_of_one_message_says_nothing_of_the_next() -> None:
    items = converse(
        [
            frame("server", b"1", fin=False, redacted=True),
            frame("server", b"2", opcode=Opcode.CONTINUATION),
            frame("server", b"3"),
        ]
    )
    assert [each.redacted for each in items] == [True, False]


@pytest.mark.parametrize(
    "end",
    [
        Closed(offset_ns=ms(9), connection=1, by="server", how="reset"),
        Resume(offset_ns=ms(9), wall="2026-11-22T17:00:00.000000000Z"),
        None,
    ],
    ids=["its connection closes", "the recorder is resumed", "the recording ends"],
)
def test_a_message_is_left_unfinished_when(end: object) -> None:
    begun = frame("server", b"half", at=1, fin=False)
    continued = frame("server", b"rest", at=10, opcode=Opcode.CONTINUATION)
    entries = [begun] if end is None else [begun, end, continued]
    items = list(converse(numbered(entries)))
    assert items[0] == BrokenMessage(
        seq=1,
        offset_ns=ms(9) if isinstance(end, Closed) else ms(1),
        connection=1,
        sender="server",
        why="the recording ends in it" if end is None else "a message was begun and not finished",
        cut_off=end is None,
    )
    assert [each.why for each in items[2:]] == ["a continuation frame continues no message"] * (
        end is not None
    )


def test_closing_one_connection_leaves_the_others_alone() -> None:
    items = converse(
        [
            frame("server", b"1", fin=False, connection=1),
            Closed(offset_ns=0, connection=2, by="server", how="eof"),
            frame("server", b"2", opcode=Opcode.CONTINUATION, connection=1),
        ]
    )
    assert said(list(items)) == [(1, "server", "text", b"12")]


def test_a_request_and_its_response_are_one_exchange() -> None:
    asked = Request(offset_ns=ms(1), connection=1, exchange=1, method="GET", target="/", headers=[])
    interim = Response(offset_ns=ms(2), connection=1, exchange=1, status=103, headers=[])
    answered = Response(offset_ns=ms(5), connection=1, exchange=1, status=200, headers=[])
    unasked = Response(offset_ns=ms(6), connection=1, exchange=2, status=200, headers=[])
    never = Request(offset_ns=ms(7), connection=1, exchange=3, method="GET", target="/", headers=[])
    items = list(converse(numbered([asked, interim, answered, unasked, never])))
    assert [
        (
            each.request and each.request.exchange,
            each.response and each.response.status,
            each.took_ns,
        )
        for each in items
    ] == [(1, 103, ms(1)), (1, 200, ms(4)), (None, 200, None), (3, None, None)]
    assert all(isinstance(each, Exchange) for each in items)
    assert [each.seq for each in items] == [2, 3, 4, 5]


def test_what_is_no_conversation_passes_in_its_place() -> None:
    entries = [
        Open(offset_ns=0, connection=1, leg="upstream"),
        Note(offset_ns=0, text="here"),
        UnknownEntry(kind="future", seq=3, offset_ns=0, line=b"{}"),
    ]
    assert list(converse(entries)) == entries


def test_nothing_of_a_session_is_lost() -> None:
    entries = numbered(session())
    seqs = {each.seq for each in converse(entries)}
    missing = [each for each in entries if each.seq not in seqs]
    assert [each.kind for each in missing] == ["request", "request", "request", "frame"]


@pytest.mark.parametrize("change", [{"opcode": "wave"}, {"head": "81"}, {"head": "zz"}])
def test_a_frame_that_cannot_be_one_is_an_error_that_names_the_entry(change: dict) -> None:
    bad = msgspec.structs.replace(frame("server", b"secret"), seq=17, **change)
    with pytest.raises(CorruptRecording, match=r"^entry 17 is no frame: ") as caught:
        list(converse([bad]))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("sender", "payload", "kinds"),
    [
        ("server", DEVICES, ("devices",)),
        ("server", DEVICES + b"~" + POSITION + b"~" + DEVICES, ("devices", "positions")),
        ("server", ping(UUID_1), ("PING",)),
        ("server", b'{"status":[{"type":"ALARM","message":"x"}]}', ("status",)),
        # Part PING, part news: not to be set aside with the PINGs.
        ("server", ping(UUID_1).replace(b"}]", b'},{"type":"X"}]'), ("status",)),
        ("server", b'{"status":[]}', ("status",)),
        ("server", b"{}", ("empty",)),
        ("server", b'{"future":1}', ("unknown",)),
        ("server", b"<html>", ("unparsed",)),
        ("server", b"", ("text",)),
        ("server", f"pong {UUID_1}".encode(), ("unparsed",)),
        ("client", f"pong {UUID_1}".encode(), ("pong",)),
        ("client", b"PONG", ("pong",)),
        ("client", DEVICES, ("text",)),
    ],
)
def test_the_kinds_of_a_text_message(sender: str, payload: bytes, kinds: tuple) -> None:
    (item,) = converse([frame(sender, payload)])
    assert item.kinds == kinds


@pytest.mark.parametrize(("opcode", "kind"), [(Opcode.BINARY, "binary"), (3, "reserved")])
def test_the_kind_of_what_is_no_text_is_its_opcode(opcode: int, kind: str) -> None:
    (item,) = converse([frame("server", ping(UUID_2), opcode=opcode)])
    assert item.kinds == (kind,)
