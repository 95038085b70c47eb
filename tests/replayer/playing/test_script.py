"""A recording made ready for playback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import CannotRead, RecordingError
from recorder.model import Body, Bytes, Closed, MessageEntry, Note, Open, Request, Response
from recorder.wire.frames import Frame, Opcode, close_frame
from replayer.playing.script import Script, load_script
from replayer.playing.timeline import Cue
from replayer.state import OBJECT_KINDS
from tests.fake_server.support import (
    BEACONS,
    DEVICES,
    MOVED,
    PING,
    POSITION,
    TIMEOUT,
    exchange,
    ns,
    said,
    script_of,
    text,
    upgrade,
    write,
)
from tests.profiles import examples
from tests.replayer.recordings import MASK, entry_of

ping = PING % b"a0b34365-908f-4868-a52a-84a3ed83bd59"


def shown(cues: Any) -> list[tuple[int, str, bytes]]:
    return [(cue.at_ns, cue.kind, cue.data) for cue in cues]


def spoken_by_client(payload: bytes, at_s: float) -> Any:
    frame = Frame.make(Opcode.TEXT, payload, mask=MASK)
    return entry_of(frame, "client", at=at_s * 1000, connection=2)


# Cues


def test_a_socket_is_what_the_server_sent_timed_from_its_opening(tmp_path: Path) -> None:
    frames = [
        (Frame.make(Opcode.TEXT, TIMEOUT), "timeout"),
        (Frame.make(Opcode.TEXT, DEVICES, length_bytes=8), "data"),
        (Frame.make(Opcode.TEXT, ping), "ping"),
        (Frame.make(Opcode.PING, b"x"), "control"),
        (Frame.make(Opcode.PONG), "control"),
        (Frame.make(Opcode.BINARY, b"\xff"), "data"),
        (close_frame(1001, "bye"), "close"),
    ]
    entries = [said(frame, 10 + at_s) for at_s, (frame, _) in enumerate(frames)]
    script = script_of(tmp_path, [*upgrade(2, 10), *entries, spoken_by_client(b"hello", 11)])
    assert shown(script.cues(0)) == [
        (ns(at_s), kind, frame.serialize()) for at_s, (frame, kind) in enumerate(frames)
    ]
    assert script.sockets == 1
    assert script.timed
    assert script.shows_timeout(0)


def test_the_frame_that_completes_a_message_knows_it(tmp_path: Path) -> None:
    frames = [
        Frame.make(Opcode.TEXT, ping[:30], fin=False),
        Frame.make(Opcode.PING),
        Frame.make(Opcode.CONTINUATION, b"", fin=False),
        Frame.make(Opcode.CONTINUATION, ping[30:]),
        Frame.make(Opcode.BINARY, b"\x00"),
        Frame.make(Opcode.TEXT, b'{"webSessio', fin=False),
        Frame.make(Opcode.CONTINUATION, b'nTimeout":[1]}'),
        Frame.make(Opcode.TEXT, b"unfinished", fin=False),
    ]
    script = script_of(tmp_path, [*upgrade(), *map(said, frames)])
    cues: list[Cue] = list(script.cues(0))
    assert [(cue.kind, cue.message) for cue in cues[:-1]] == [
        ("ping", None),
        ("control", None),
        ("ping", None),
        ("ping", ping),
        ("data", b"\x00"),
        ("timeout", None),
        ("timeout", b'{"webSessionTimeout":[1]}'),
    ]
    assert cues[-1].message is None
    assert [cue.text for cue in cues if cue.message is not None] == [True, False, True]


@settings(max_examples=examples(100))
@given(
    st.lists(
        st.tuples(
            st.integers(0, 15),
            st.binary(max_size=130),
            st.booleans(),
            st.integers(0, 7),
            st.sampled_from([2, 8]),
            st.integers(0, 10**9),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_any_frames_are_kept_byte_for_byte_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, made: list[Any]
) -> None:
    at_ns, entries, expected = 0, [], []
    for opcode, payload, fin, rsv, length_bytes, step_ns in made:
        at_ns += step_ns
        frame = Frame.make(opcode, payload, fin=fin, rsv=rsv, length_bytes=length_bytes)
        entries.append(said(frame, at_ns / 1e9))
        expected.append((ns(at_ns / 1e9), frame.serialize()))
    folder = tmp_path_factory.mktemp("any")
    script = script_of(folder, [*upgrade(), *entries])
    assert [(cue.at_ns, cue.data) for cue in script.cues(0)] == expected


def test_timeout_means_the_whole_message(tmp_path: Path) -> None:
    texts = [
        b'{"devices":[{"id":1,"name":"webSessionTimeout"}]}',
        TIMEOUT + b"~" + DEVICES,
        b'{"webSessionTimeout":[1],"more":1}',
    ]
    script = script_of(tmp_path, [*upgrade(), *map(said, texts)])
    assert [cue.kind for cue in script.cues(0)] == ["data"] * 3
    assert not script.shows_timeout(0)


def test_bytes_that_are_no_frame_are_kept_behind_the_handshake_only(tmp_path: Path) -> None:
    def torn(at_s: float) -> Bytes:
        return Bytes(connection=2, sender="server", offset_ns=ns(at_s), why="torn", text="~")

    script = script_of(
        tmp_path,
        [
            Open(connection=2, offset_ns=0, leg="upstream", url="x"),
            torn(1),
            *upgrade(2, 2),
            said(DEVICES, 3),
            torn(4),
        ],
    )
    assert shown(script.cues(0)) == [
        (ns(1), "data", text(DEVICES)),
        (ns(2), "torn", b"~"),
    ]


def test_messages_whose_frames_were_never_seen_become_frames(tmp_path: Path) -> None:
    common: dict[str, Any] = {"connection": 1, "sender": "server"}
    script = script_of(
        tmp_path,
        [
            MessageEntry(**common, opcode="text", offset_ns=0, text=TIMEOUT.decode()),
            MessageEntry(**common, opcode="binary", offset_ns=ns(1), base64="/w=="),
            MessageEntry(connection=1, sender="client", opcode="text", offset_ns=ns(2), text="x"),
        ],
        fidelity="messages",
    )
    assert shown(script.cues(0)) == [
        (0, "timeout", text(TIMEOUT)),
        (ns(1), "data", Frame.make(Opcode.BINARY, b"\xff").serialize()),
    ]


def test_a_recording_without_timing_has_the_order_only(tmp_path: Path) -> None:
    script = script_of(tmp_path, [*upgrade(), said(DEVICES), said(POSITION)], timing="none")
    assert not script.timed
    assert shown(script.cues(0)) == [(0, "data", text(DEVICES)), (0, "data", text(POSITION))]


def test_the_sockets_stand_in_their_order_and_connections_without_one_are_none(
    tmp_path: Path,
) -> None:
    script = script_of(
        tmp_path,
        [
            *exchange("/api/devices", b"[]", connection=1),
            *upgrade(2, 5),
            said(DEVICES, 6),
            *exchange("/api/beacons", b"[]", connection=3, number=2, at_s=7),
            *upgrade(4, 8),
            said(POSITION, 10, connection=4),
            Closed(connection=4, offset_ns=ns(11), by="server", how="eof"),
            Note(offset_ns=ns(12), text="done"),
        ],
    )
    assert script.sockets == 2
    assert shown(script.cues(0)) == [(ns(1), "data", text(DEVICES))]
    assert shown(script.cues(1)) == [(ns(2), "data", text(POSITION))]
    assert shown(script.all_cues()) == [
        (ns(1), "data", text(DEVICES)),
        (ns(5), "data", text(POSITION)),
    ]
    assert shown(script.all_cues()) == shown(script.all_cues())


def test_the_upstream_leg_of_a_proxy_is_no_socket_of_its_own(tmp_path: Path) -> None:
    # A proxy records frames on the client leg, and both heads of the handshake.
    def leg(connection: int, side: Any, other: int, at_s: float) -> list[Any]:
        common = {"connection": connection, "offset_ns": ns(at_s)}
        number = {"exchange": connection}
        return [
            Open(**common, leg=side, paired_with=other, peer="x"),
            Request(**common, **number, method="GET", target="/api/socket", headers=[]),
            Response(**common, **number, status=101, headers=[]),
        ]

    script = script_of(
        tmp_path,
        [
            *leg(1, "client", 2, 0),
            *leg(2, "upstream", 1, 0),
            said(DEVICES, 1, connection=1),
            *leg(3, "client", 4, 5),
            *leg(4, "upstream", 3, 5),
            said(POSITION, 6, connection=3),
        ],
        mode="proxy",
    )
    assert script.sockets == 2
    assert [cue.message for number in range(2) for cue in script.cues(number)] == [
        DEVICES,
        POSITION,
    ]


# The opening state


def opening(script: Script) -> list[list[bytes]]:
    return [script.opening.objects(kind) for kind in OBJECT_KINDS]


def test_the_opening_is_the_snapshot_and_then_first_sight(tmp_path: Path) -> None:
    script = script_of(
        tmp_path,
        [
            *exchange("/api/devices", b'[{"id":2,"n":1.0}]', number=1),
            *exchange("/api/beacons?id=5", b'[{"id":5}]', number=2),
            *exchange("/api/beacons", b'[{"id":6}]', number=3, status=500),
            *exchange("/api/positions", b"not JSON", number=4),
            *upgrade(2, 1),
            said(DEVICES, 2),
            said(POSITION, 3),
            said(MOVED, 4),
            *upgrade(3, 5),
            said(BEACONS, 6, connection=3),
        ],
    )
    assert opening(script) == [
        [b'{"id":2,"n":1.0}', b'{"id":1,"name":"one","speed":100.0}'],
        [b'{"id":7,"name":"room"}'],
        [b'{"id":11,"deviceId":1,"rssi":-64}'],
    ]


def test_the_opening_is_made_once(tmp_path: Path) -> None:
    script = script_of(tmp_path, [*upgrade(), said(DEVICES)])
    assert script.opening is script.opening


# REST answers


def test_an_answer_is_found_by_method_path_and_sorted_query(tmp_path: Path) -> None:
    script = script_of(
        tmp_path,
        [
            *exchange("/api/x?b=2&a=1&a=%20", b"found", number=1),
            *exchange("/api/x", b"posted", number=2, method="POST", status=201),
            *exchange("/api/x?c=", b"blank", number=3),
            *upgrade(),
            said(TIMEOUT),
        ],
    )
    found = script.answer("get", "/api/x?a=1&a=+&b=2")
    assert found is not None
    assert (found.status, found.body) == (200, b"found")
    assert found.headers == [("Content-Type", "application/json")]
    posted = script.answer("POST", "/api/x")
    assert posted is not None
    assert (posted.status, posted.body) == (201, b"posted")
    assert script.answer("GET", "/api/x?c=") is not None
    for method, target in [
        ("GET", "/api/x"),
        ("GET", "/api/x?a=1&b=2"),
        ("PUT", "/api/x"),
        ("GET", "/api/y"),
        ("GET", "/api/socket"),
    ]:
        assert script.answer(method, target) is None


@pytest.mark.parametrize("status", [401, 304])
def test_what_was_answered_to_a_missing_login_or_a_cache_is_no_answer(
    status: int, tmp_path: Path
) -> None:
    entries = [
        *exchange("/api/devices", b"", number=1, status=status),
        *exchange("/api/devices", b'[{"id":5}]', number=2, at_s=1),
        *exchange("/api/groups", b"", number=3, status=status),
    ]
    script = script_of(tmp_path, [*upgrade(2, 5), said(b"{}", 5), *entries])
    assert script.opening.objects("devices") == [b'{"id":5}']
    assert script.answer("GET", "/api/groups") is None


def test_a_body_in_pieces_is_joined_and_a_requests_body_is_none_of_it(tmp_path: Path) -> None:
    entries = exchange("/api/x", b"one", method="POST")
    common: dict[str, Any] = {"connection": 1, "exchange": 1, "offset_ns": 0}
    entries.insert(1, Body(**common, sender="client", last=True, text="asked"))
    entries.append(Body(**common, sender="server", last=True, text=" two"))
    script = script_of(tmp_path, [*entries, *upgrade(), said(TIMEOUT)])
    answer = script.answer("POST", "/api/x")
    assert answer is not None
    assert answer.body == b"one two"


# What cannot be played


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [entry_of(Frame.make(Opcode.TEXT, b"x", mask=MASK), "client")],
        [Note(offset_ns=0, text="nothing")],
    ],
    ids=["empty", "client only", "note"],
)
def test_a_recording_with_nothing_to_play_is_refused_by_name(
    entries: list[Any], tmp_path: Path
) -> None:
    path = write(tmp_path / "silent.track.jsonl", entries)
    with pytest.raises(RecordingError, match=r"silent\.track\.jsonl.*nothing to play"):
        load_script(path)


def test_a_recording_of_rest_alone_has_a_socket_that_says_nothing(tmp_path: Path) -> None:
    script = load_script(write(tmp_path / "rest.track.jsonl", exchange("/api/devices", b"[]")))
    assert (script.sockets, list(script.cues(0)), list(script.all_cues())) == (1, [], [])
    answer = script.answer("GET", "/api/devices")
    assert answer is not None
    assert answer.body == b"[]"


def test_a_recording_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CannotRead, match="missing"):
        load_script(tmp_path / "missing.track.jsonl")


def test_a_torn_recording_plays_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write(tmp_path / "torn.track.jsonl", [*upgrade(), said(DEVICES), said(POSITION)])
    path.write_bytes(path.read_bytes()[:-9])
    assert [cue.message for cue in load_script(path).cues(0)] == [DEVICES]


def test_a_frame_that_is_none_is_refused_with_its_place(tmp_path: Path) -> None:
    good = said(DEVICES)
    path = write(
        tmp_path / "bad.track.jsonl", [*upgrade(), msgspec.structs.replace(good, head="81")]
    )
    with pytest.raises(RecordingError, match=r"bad\.track\.jsonl.*(4|5)"):
        load_script(path)
