"""The quick ways through long recordings say the same as the slow ones."""

from __future__ import annotations

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.model import AnyEntry, FrameEntry
from recorder.track.kinds import objects_of, quick_kind, read_message
from recorder.wire.frames import Frame, Opcode
from recorder.wire.json_texts import JsonText, split
from recorder.wire.messages import Message, MessageAssembler
from replayer.reading.conversation import DataMessage, converse
from replayer.reading.said import objects_said
from replayer.reading.statistics import gather
from tests.profiles import examples
from tests.replayer.recordings import frame, header
from tests.replayer.traffic import proxied, rude

TEXTS = st.sampled_from(
    [
        '{"positions":[{"id":1}]}',
        '{"positions":[{"id":1}]}~{"devices":[]}',
        '{"positions":[],"devices":[]}',
        '{"positions":1',
        '{"positions": [{"name":"~ü"}] }',
        '{"status":[{"message":"u","type":"PING"}]}',
        '{"devicesX":[]}',
        '{"events":"\\ud800"}',
        '{"beacons":NaN}',
        "{}",
        "",
    ]
)


@given(TEXTS | st.text())
@settings(max_examples=examples(200))
def test_a_quick_kind_is_the_kind(text: str) -> None:
    parts = read_message(text.encode("utf-8", "surrogatepass"))
    kind = quick_kind(text)
    if kind is not None:
        assert [part.kind for part in parts] == [kind]


@given(TEXTS.map(str.encode) | st.binary(max_size=20))
@settings(max_examples=examples(200))
def test_a_message_is_read_as_the_splitter_splits_it(payload: bytes) -> None:
    parts = [(part.data, part.offset, part.kind == "unparsed") for part in read_message(payload)]
    spans = [(s.data, s.offset, not isinstance(s, JsonText)) for s in split(payload)]
    assert parts == spans


@given(rude, st.booleans())
@settings(max_examples=examples(150))
def test_counting_at_once_counts_as_counting_one_by_one(
    entries: list[AnyEntry], is_proxied: bool
) -> None:
    shown = proxied(entries) if is_proxied else entries
    quick = gather(header(), shown)
    slow = gather(header(), shown, selected=lambda message: True)
    assert quick == slow
    none = gather(header(), shown, selected=lambda message: False)
    assert none == msgspec.structs.replace(slow, messages=[], rate=None)


TOLD = st.sampled_from(
    [
        b'{"positions":[{"id":1},{"id":1.50}]}',
        b' {"devices" : [ {"id":1} ] }\n',
        b'{"positions":[{"id":1}]}~{"devices":[{"id":2}]}',
        b'{"positions":[{"id":1}],"positions":[{"id":2}]}',
        b'{"positions":[{"id":1}],"devices":[{"id":2}]}',
        b'{"\\u0070ositions":[{"id":1}]}',
        b'{"beacons":[{"name":"\xff"}]}',
        b'{"beacons":[{"name":"\xc3\xbc"}]}',
        b'{"events":[null,1,[]]}',
        b'{"events":{}}',
        b'{"events":[]}x',
        b'{"status":[{"id":1}]}',
        b"{}",
    ]
)


@given(st.lists(TOLD | TEXTS.map(lambda text: text.encode("utf-8")), max_size=3).map(b"".join))
@settings(max_examples=examples(200))
@example(b'{"positions":[{"id":1}],"devices":[{"id":2}]}')
@example(b'{"beacons":[{"name":"\xff"}]}')
@example(b'{"\\u0070ositions":[{"id":1}]}')
def test_objects_are_those_of_the_parts_of_a_message(payload: bytes) -> None:
    expected = [
        (part.kind, bytes(one))
        for part in read_message(payload)
        if part.kind in ("positions", "devices", "beacons", "events")
        for one in objects_of(part)
    ]
    found = objects_said([frame("server", payload)])
    assert [(one.kind, one.text) for one in found] == expected
    assert list(objects_said([frame("client", payload)])) == []


FRAMES = st.builds(
    Frame.make,
    st.sampled_from([Opcode.TEXT, Opcode.TEXT, Opcode.CONTINUATION, Opcode.BINARY, Opcode.PING]),
    st.sampled_from([b"", b"a", "ü".encode(), b"\xff", b'{"devices":[{"id":1}]}']),
    fin=st.booleans(),
)


@given(st.lists(FRAMES, max_size=8))
@settings(max_examples=examples(300))
def test_messages_are_those_of_the_assembler(frames: list[Frame]) -> None:
    entries = [FrameEntry.of(frame, connection=1, sender="server", offset_ns=0) for frame in frames]
    said = [item for item in converse(entries) if isinstance(item, DataMessage)]
    assembler = MessageAssembler()
    expected = [
        event for frame in frames for event in assembler.feed(frame) if isinstance(event, Message)
    ]
    assert [(one.payload, one.fragments) for one in said] == [
        (one.payload, one.fragments) for one in expected
    ]
