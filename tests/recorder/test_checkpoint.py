"""What a recording amounts to so far: equal to what a reader makes of all its entries."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder import checkpoint as checkpoint_module
from recorder.checkpoint import SoFar
from recorder.model import (
    Body,
    Checkpoint,
    Closed,
    FrameEntry,
    KnownEntry,
    MessageEntry,
    Note,
    Open,
    Request,
    Response,
    Resume,
    Sender,
    UnknownEntry,
)
from recorder.numbers import Numbers
from recorder.recording import decode_entry, encode_entry
from recorder.redaction import Redactor
from recorder.track.heartbeat import REMEMBERED_PINGS, Heartbeat
from recorder.track.kinds import ping_uuids
from recorder.track.rules import Rules
from recorder.wire.frames import Frame, Opcode
from replayer.reading.conversation import DataMessage, converse
from replayer.state import OBJECT_KINDS, State
from tests.profiles import examples
from tests.recording.files import traffic
from tests.strategies import WALL, frame_entry

AnyEntry = KnownEntry | UnknownEntry


def fold(entries: list[AnyEntry]) -> Checkpoint:
    so_far = SoFar()
    for entry in entries:
        so_far.feed(entry)
    return so_far.checkpoint(0)


def values(found: list[msgspec.Raw]) -> list[Any]:
    return [json.loads(bytes(raw)) for raw in found]


def numbered(found: Checkpoint) -> Checkpoint:
    return msgspec.structs.replace(found, seq=1)


def texts(found: list[msgspec.Raw]) -> set[bytes]:
    return {bytes(raw) for raw in found}


def frame(
    text: str, *, sender: Sender = "server", connection: int = 1, offset_ns: int = 0
) -> FrameEntry:
    made = Frame.make(Opcode.TEXT, text.encode())
    return FrameEntry.of(made, connection=connection, sender=sender, offset_ns=offset_ns)


def ping(uuid: str) -> str:
    return f'{{"status":[{{"message":"{uuid}","type":"PING"}}]}}'


@given(traffic(), st.sampled_from([0, 50, 10**6]))
@settings(max_examples=examples(100))
def test_objects_are_those_that_a_reader_of_everything_has(
    entries: list[AnyEntry], waiting_bytes: int
) -> None:
    entries = [entry for entry in entries if not isinstance(entry, Checkpoint)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint_module, "_WAITING_BYTES", waiting_bytes)
        found = fold(entries)
    state = State()
    for item in converse(entries):
        if isinstance(item, DataMessage) and item.sender == "server" and item.opcode == "text":
            state.apply(item.payload)
    for kind in OBJECT_KINDS:
        assert texts(getattr(found, kind)) == set(state.objects(kind))


@given(traffic(), traffic(max_size=8))
@settings(max_examples=examples(60))
def test_going_on_from_a_checkpoint_is_going_on(
    before: list[AnyEntry], after: list[AnyEntry]
) -> None:
    whole, first, second = SoFar(), SoFar(), SoFar()
    for entry in before:
        whole.feed(entry)
        first.feed(entry)
    line = encode_entry(numbered(first.checkpoint(7)))
    again = decode_entry(line, where="here")
    assert isinstance(again, Checkpoint)
    second.feed(again)
    assert encode_entry(numbered(second.checkpoint(7))) == line
    for entry in after:
        whole.feed(entry)
        second.feed(entry)
    one, other = whole.checkpoint(9), second.checkpoint(9)
    for name in ("connections", "fragments", "pings", *OBJECT_KINDS):
        assert texts(getattr(one, name)) == texts(getattr(other, name)), name
    assert one.extra["highest"] == other.extra["highest"]


@given(traffic())
@settings(max_examples=examples(60))
def test_the_fold_takes_whatever_is_written_and_raises_nothing(entries: list[AnyEntry]) -> None:
    found = numbered(fold(entries))
    again = decode_entry(encode_entry(found), where="here")
    assert encode_entry(again) == encode_entry(found)


@given(st.lists(st.tuples(st.sampled_from(["ping", "pong"]), st.integers(1, 5)), max_size=30))
def test_unanswered_pings_are_those_of_the_heartbeat(steps: list[tuple[str, int]]) -> None:
    heartbeat = Heartbeat(Rules(), opened_ns=0)
    entries: list[AnyEntry] = []
    for at_ns, (what, number) in enumerate(steps):
        if what == "ping":
            text = ping(f"uuid-{number}")
            for uuid in ping_uuids(text.encode()):
                heartbeat.ping_sent(uuid, at_ns)
        else:
            text = f"pong uuid-{number}"
            heartbeat.client_text(text.encode(), at_ns)
        sender: Sender = "server" if what == "ping" else "client"
        entries.append(frame(text, sender=sender, offset_ns=at_ns))
    assert [one["uuid"] for one in values(fold(entries).pings)] == list(heartbeat.unanswered)


def test_a_ping_is_kept_with_its_socket_and_its_moment() -> None:
    entries: list[AnyEntry] = [
        frame(ping("a"), connection=3, offset_ns=5),
        frame(ping("b"), connection=4, offset_ns=6),
        frame("pong a", connection=4, sender="client", offset_ns=7),
        frame(ping("c"), connection=5, offset_ns=8),
        Closed(connection=5, by="server", how="eof", offset_ns=9),
        frame('{"status":[{"type":"P\\u0049NG","message":"d"}]}', connection=3, offset_ns=10),
    ]
    assert values(fold(entries).pings) == [
        {"connection": 3, "uuid": "a", "offset_ns": 5},
        {"connection": 4, "uuid": "b", "offset_ns": 6},
        {"connection": 3, "uuid": "d", "offset_ns": 10},
    ]


def test_an_endless_socket_takes_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_module, "MAX_BYTES", 30)
    monkeypatch.setattr(checkpoint_module, "_WAITING_BYTES", 100)
    so_far = SoFar()
    for number in range(200):
        so_far.feed(frame(ping(f"uuid-{number}"), offset_ns=number))
        so_far.feed(frame(f'{{"devices":[{{"id":{number}}}]}}'))
        so_far.feed(frame('{"devices":[{"id":0}]}'))
    endless = Frame.make(Opcode.TEXT, b"x" * 10, fin=False)
    so_far.feed(FrameEntry.of(endless, connection=1, sender="server", offset_ns=0))
    more = Frame.make(Opcode.CONTINUATION, b"x" * 10, fin=False)
    for _ in range(20):
        so_far.feed(FrameEntry.of(more, connection=1, sender="server", offset_ns=0))
    found = so_far.checkpoint(0)
    assert len(found.pings) == REMEMBERED_PINGS
    assert values(found.devices) == [{"id": 198}, {"id": 199}, {"id": 0}]
    # There is no room for them; but a message is under way.
    assert found.fragments == []
    assert so_far.unfinished
    assert decode_entry(encode_entry(numbered(found)), where="here")
    again = SoFar()
    again.feed(found)
    assert values(again.checkpoint(0).devices) == values(found.devices)


def test_a_connection_is_kept_with_its_upgrade() -> None:
    entries: list[AnyEntry] = [
        Open(connection=1, leg="client", peer="127.0.0.1:5", offset_ns=0),
        Open(connection=2, leg="upstream", paired_with=1, url="u", tls="TLSv1.3", offset_ns=0),
        Request(
            connection=1, exchange=1, method="GET", target="/a", headers=[("A", "b")], offset_ns=0
        ),
        Response(connection=1, exchange=1, status=200, headers=[], offset_ns=0),
        Request(
            connection=1,
            exchange=2,
            method="GET",
            target="/api/socket",
            headers=[("Cookie", "c"), ("A", "b")],
            offset_ns=0,
        ),
        Response(connection=1, exchange=2, status=103, headers=[("Link", "x")], offset_ns=0),
        Response(
            connection=1, exchange=2, status=101, reason="Up", headers=[("C", "d")], offset_ns=0
        ),
        Request(connection=2, exchange=2, method="PUT", target="/", headers=[], offset_ns=0),
        Open(connection=3, leg="client", offset_ns=0),
        Closed(connection=3, by="client", how="eof", offset_ns=0),
    ]
    assert values(fold(entries).connections) == [
        {
            "connection": 1,
            "leg": "client",
            "peer": "127.0.0.1:5",
            "exchange": 2,
            "request": {
                "method": "GET",
                "target": "/api/socket",
                "headers": [["Cookie", "c"], ["A", "b"]],
            },
            "response": {"status": 101, "reason": "Up", "headers": [["C", "d"]]},
        },
        {
            "connection": 2,
            "leg": "upstream",
            "url": "u",
            "tls": "TLSv1.3",
            "paired_with": 1,
            "exchange": 2,
            "request": {"method": "PUT", "target": "/", "headers": []},
        },
    ]
    assert fold([*entries, Resume(offset_ns=0, wall=WALL)]).connections == []


def test_a_fragment_that_is_no_text_alone_is_kept_as_bytes() -> None:
    first = Frame.make(Opcode.TEXT, "aä".encode()[:2], fin=False)
    found = fold([FrameEntry.of(first, connection=2, sender="client", offset_ns=0)])
    assert values(found.fragments) == [
        {"connection": 2, "sender": "client", "opcode": "text", "base64": "YcM="}
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Opcode.TEXT, Opcode.TEXT),
        (Opcode.BINARY, Opcode.TEXT),
    ],
)
def test_a_message_inside_another_takes_its_place(first: Opcode, second: Opcode) -> None:
    so_far = SoFar()
    for opcode, fin in ((first, False), (second, True)):
        made = Frame.make(opcode, b'{"devices":[{"id":1}]}', fin=fin)
        so_far.feed(FrameEntry.of(made, connection=1, sender="server", offset_ns=0))
    assert not so_far.unfinished
    found = so_far.checkpoint(0)
    assert (found.fragments, values(found.devices)) == ([], [{"id": 1}])


def test_a_body_that_goes_on_is_no_place_to_cut() -> None:
    so_far = SoFar()

    def piece(*, last: bool) -> Body:
        return Body(connection=1, exchange=2, sender="server", last=last, text="x", offset_ns=0)

    so_far.feed(piece(last=False))
    assert so_far.unfinished
    so_far.feed(piece(last=True))
    assert not so_far.unfinished
    so_far.feed(piece(last=False))
    so_far.feed(Closed(connection=1, by="server", how="eof", offset_ns=0))
    assert not so_far.unfinished


def test_the_text_of_numbers_and_dates_stays() -> None:
    text = (
        '{"id":1,"deviceId":7,"battery":100.0,"rssi":1e2,"fixTime":"2025-02-21T10:05:04.882+0000"}'
    )
    found = fold([frame(f'{{"positions":[{text}]}}')])
    assert texts(found.positions) == {text.encode()}
    whole = MessageEntry(
        connection=1, sender="server", opcode="text", offset_ns=0, text=f'{{"positions":[{text}]}}'
    )
    assert texts(fold([whole]).positions) == {text.encode()}


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ('{"devices":[{"id":1}]}~{"devices":[{"id":2}]}', [1, 2]),
        ('{"devices":[{"id":1}]} {"devices":[{"id":1,"new":1}]}', [1]),
        ('{"devices":[{"id":1},{"id":1}]}', [1]),
        ('{"devices":[{"id":1},7,{"id":[2]},{"id":null},{}]}', [1]),
        ('{"devices":[{"id":[2]},{"id":1}]}', [1]),
        ('{"devices":[{"id":1}],"beacons":[{"id":2}]}', []),
        ('{"devices":[{"id":1}],"status":[]}', []),
        ('{"devices":null}', []),
        ('{"devices":[{"id":"a"}]}', ["a"]),
        ('[{"id":1}]', []),
        ("garbage", []),
    ],
)
def test_objects_are_read_from_messages_of_one_kind(text: str, ids: list[object]) -> None:
    assert [one["id"] for one in values(fold([frame(text)]).devices)] == ids
    assert fold([frame(text, sender="client")]).devices == []


# The highest numbers


@given(traffic())
@settings(max_examples=examples(40))
def test_the_highest_numbers_are_those_of_all_entries(entries: list[AnyEntry]) -> None:
    entries = [entry for entry in entries if not isinstance(entry, Checkpoint)]
    numbers = Numbers()
    for entry in entries:
        numbers.feed(entry)
    opened = [entry.connection for entry in entries if isinstance(entry, Open)]
    exchanges = [
        entry.exchange for entry in entries if isinstance(entry, Request | Response | Body)
    ]
    assert numbers.connection == max(opened, default=0)
    assert numbers.exchange == max(exchanges, default=0)
    marked = any(isinstance(entry, Note) and "email-7" in entry.text for entry in entries)
    assert numbers.marks.get("email", 0) == (7 if marked else 0)


@pytest.mark.parametrize(
    "entry",
    [Closed(connection=1, by="server", how="eof", offset_ns=0), frame_entry("")],
)
def test_what_waits_is_read_in_time_however_little_text_it_has(entry: AnyEntry) -> None:
    so_far = SoFar()
    most = 0
    for _ in range(30_000):
        so_far.feed(entry)
        most = max(most, len(so_far._waiting))
    assert 1_000 < most < 20_000


def test_marks_are_found_wherever_redaction_left_them() -> None:
    redactor = Redactor()
    emails = [f"kim{number}@example.org" for number in range(1, 6)]
    entries: list[AnyEntry] = [
        Note(offset_ns=0, text=emails[0]),
        frame_entry(f'{{"user":"{emails[1]}"}}'),
        FrameEntry.of(
            Frame.make(Opcode.CLOSE, b"\x03\xe8" + emails[2].encode()),
            connection=1,
            sender="server",
            offset_ns=0,
        ),
        Request(
            connection=1,
            exchange=1,
            method="GET",
            target=f"/?a={emails[3]}",
            headers=[],
            offset_ns=0,
        ),
        UnknownEntry(
            kind="future",
            seq=0,
            offset_ns=0,
            line=f'{{"kind":"future","seq":0,"offset_ns":0,"x":"{emails[4]}"}}'.encode(),
        ),
    ]
    for count, entry in enumerate(entries, 1):
        numbers = Numbers()
        for written in redactor.feed(entry):
            numbers.feed(written)
        assert numbers.marks == {"email": count}, entry.kind
