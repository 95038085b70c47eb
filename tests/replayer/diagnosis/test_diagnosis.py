"""The diagnosis of generated recordings: polite ones are kept, one breach gives one finding, and
neither a proxy nor a cut into parts changes what is found.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import (
    AnyEntry,
    Body,
    Bytes,
    Checkpoint,
    Closed,
    FrameEntry,
    MessageEntry,
    Open,
    Request,
    Response,
    Resume,
    encode_bytes,
)
from recorder.track.rules import Rules
from recorder.wire.frames import Frame, Opcode, close_frame
from recorder.wire.handshake import accept_for
from replayer.diagnosis.model import Diagnosis
from replayer.diagnosis.page import as_builtins, cases, page
from replayer.editing.cutting import cut
from replayer.editing.speeding import speed
from replayer.junit import junit_xml
from replayer.reading.series import SeriesReader
from replayer.reading.words import json_text
from tests.profiles import examples
from tests.replayer.diagnosis.support import breaches, judged, rules_of, the
from tests.replayer.recordings import MASK, entry_of, ping
from tests.replayer.traffic import KEY, polite, proxied, recorded, rude, steps, write_parts
from tests.strategies import entry_lists

SELDOM = Rules(ping_interval_s=3600)
"""The PINGs of generated traffic come when they like."""

DEVICES = b'{"devices":[%s]}' % b",".join(b'{"id":%d}' % one for one in range(10))
BEACONS = b'{"beacons":[{"id":7,"name":"room"}]}'
UUID = "a0b34365-908f-4868-a52a-84a3ed83bd5%d"


def with_push(entries: list[AnyEntry]) -> list[AnyEntry]:
    """Behind each 101 the initial push of what is talked about later."""
    made: list[AnyEntry] = []
    for entry in entries:
        made.append(entry)
        if isinstance(entry, Response) and entry.status == 101:
            made.append(
                FrameEntry.of(
                    Frame.make(Opcode.TEXT, DEVICES),
                    connection=entry.connection,
                    sender="server",
                    offset_ns=entry.offset_ns,
                )
            )
    return made


@given(polite)
@settings(max_examples=examples(60), deadline=None)
def test_polite_traffic_is_kept(entries: list[AnyEntry]) -> None:
    diagnosis = judged(with_push(entries), SELDOM)
    # The server in it does not answer every request.
    assert {one.rule for one in breaches(diagnosis)} <= {"handshake.unanswered"}


@given(polite)
@settings(max_examples=examples(30), deadline=None)
def test_by_the_usual_interval_only_pings_are_missed_in_it(entries: list[AnyEntry]) -> None:
    found = {one.rule for one in breaches(judged(with_push(entries)))}
    assert found <= {"ping.absent", "socket.silent", "handshake.unanswered"}


@given(steps(("open", "upgrade", "answer", "say", "ping", "wrong_pong", "chatter", "bye")))
@settings(max_examples=examples(30), deadline=None)
def test_what_a_proxy_recorded_is_judged_as_the_client_had_it(done: list[Any]) -> None:
    entries = recorded(done)
    assert judged(proxied(entries), mode="proxy") == judged(entries, mode="proxy")


@given(rude, st.lists(st.integers(0, 200), max_size=3))
@settings(max_examples=examples(15), deadline=None)
def test_a_recording_in_parts_is_judged_as_one(
    tmp_path_factory: pytest.TempPathFactory, entries: list[AnyEntry], places: list[int]
) -> None:
    paths = write_parts(tmp_path_factory.mktemp("parts"), with_push(entries), places)
    with SeriesReader(paths) as reader:
        in_parts = judged(reader)
    whole = judged(with_push(entries))
    assert in_parts.counts == whole.counts
    assert [str(one) for one in in_parts.findings] == [str(one) for one in whole.findings]
    assert in_parts.endings == whole.endings


@given(rude, st.integers(0, 200))
@settings(max_examples=examples(15), deadline=None)
def test_the_end_of_a_recording_alone_shows_nothing_that_the_whole_does_not(
    tmp_path_factory: pytest.TempPathFactory, entries: list[AnyEntry], place: int
) -> None:
    entries = with_push(entries)
    last = write_parts(tmp_path_factory.mktemp("parts"), entries, [place])[-1]
    with SeriesReader([last]) as reader:
        of_part = breaches(judged(reader, SELDOM))
    of_all = {(one.rule, one.connection, one.at_ns) for one in breaches(judged(entries, SELDOM))}
    # A pong of a PING that was answered before is one of no PING here: its recorder knew no more.
    alike = {"pong.repeated", "pong.unsolicited", "pong.wrong-uuid", "pong.malformed"}
    for one in of_part:
        assert (one.rule, one.connection, one.at_ns) in of_all or one.rule in alike


@given(entry_lists())
@settings(max_examples=examples(60), deadline=None)
def test_any_entries_can_be_judged_and_shown(entries: list[AnyEntry]) -> None:
    sound = [entry for entry in entries if not isinstance(entry, FrameEntry) or _is_frame(entry)]
    diagnosis = judged(sound)
    assert diagnosis.summary.isprintable()
    for line in page("x", diagnosis, everything=True):
        assert line.isprintable()
    json_text(as_builtins(diagnosis))
    junit_xml("x", cases(diagnosis))


def _is_frame(entry: FrameEntry) -> bool:
    try:
        entry.frame()
    except ValueError:
        return False
    return True


# One breach, at one moment


def server(payload: bytes, **made: Any) -> Frame:
    return Frame.make(made.pop("opcode", Opcode.TEXT), payload, **made)


def client(payload: bytes) -> Frame:
    return Frame.make(Opcode.TEXT, payload, mask=MASK)


POSITION = b'{"positions":[{"id":%d,"deviceId":%s,"beaconId":7}]}'
BREACHES: dict[str, tuple[str, Any, Frame]] = {
    "text.unknown": ("text.unknown", "client", client(b"hello")),
    "a pong of nothing": ("pong.unsolicited", "client", client(b"pong x")),
    "a pong in capitals": ("pong.malformed", "client", client(b"PONG x")),
    "a frame without a mask": ("frame.broken", "client", server(b"x")),
    "a masked frame": ("frame.server-broken", "server", client(b"{}")),
    "reserved bits": ("frame.server-broken", "server", server(b"{}", rsv=2)),
    "a long length": ("frame.server-broken", "server", server(b"{}", length_bytes=8)),
    "bad UTF-8": ("message.bad-utf8", "server", server(b'{"a":"\xff"}')),
    "broken JSON": ("message.broken-json", "server", server(b'{"devices":[{"id":1}')),
    "a PING without a uuid": (
        "ping.malformed",
        "server",
        server(b'{"status":[{"message":null,"type":"PING"}]}'),
    ),
    "a PING of another type": (
        "ping.malformed",
        "server",
        server(b'{"status":[{"message":"%s","type":null}]}' % (UUID % 9).encode()),
    ),
    "a second timeout": ("timeout.repeated", "server", server(b'{"webSessionTimeout":[86400]}')),
    "a position of nothing": ("join.field", "server", server(POSITION % (500, b"null"))),
    "a position of text": ("join.field", "server", server(POSITION % (500, b'"1"'))),
    "a device without an id": ("join.field", "server", server(b'{"devices":[{"name":"x"}]}')),
    "a positionId of text": (
        "join.field",
        "server",
        server(b'{"devices":[{"id":1,"positionId":"x"}]}'),
    ),
    "a position that never comes": (
        "join.unknown-position",
        "server",
        server(b'{"devices":[{"id":1,"positionId":499}]}'),
    ),
}


def polite_socket() -> list[tuple[float, Any, Frame]]:
    """Two minutes of a socket: seconds, sender, frame."""
    said = [b'{"webSessionTimeout":[86400]}', DEVICES, BEACONS]
    frames: list[tuple[float, Any, Frame]] = [(0.0, "server", server(one)) for one in said]
    for number in range(12):
        frames.append((number * 10.0 + 1, "server", server(POSITION % (100 + number, b"1"))))
    for number in range(1, 4):
        frames.append((number * 30.0, "server", server(ping(UUID % number))))
        frames.append((number * 30.0 + 0.2, "client", client(f"pong {UUID % number}".encode())))
    return sorted(frames, key=lambda one: one[0])


def entries_of(frames: list[tuple[float, Any, Frame]], *, end_s: float = 115.0) -> list[AnyEntry]:
    """The socket as connection 3 of a capture, opened and closed in order."""
    request: list[tuple[str, str]] = [
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
        ("Cookie", "JSESSIONID=node0"),
    ]
    answer = [("Upgrade", "websocket"), ("Sec-WebSocket-Accept", accept_for(KEY))]
    common: dict[str, Any] = {"connection": 3, "offset_ns": 0}
    opened: list[AnyEntry] = [
        Open(**common, leg="upstream"),
        Request(**common, exchange=1, method="GET", target="/api/socket", headers=request),
        Response(**common, exchange=1, status=101, headers=answer),
    ]
    ends: list[tuple[float, Any, Frame]] = [
        (end_s, "client", close_frame(1000, mask=MASK)),
        (end_s, "server", close_frame(1000)),
    ]
    said: list[AnyEntry] = [
        entry_of(frame, sender, at=at_s * 1000, connection=3)
        for at_s, sender, frame in sorted([*frames, *ends], key=lambda one: one[0])
    ]
    closed = Closed(connection=3, offset_ns=round(end_s * 1e9), by="client", how="eof")
    return [
        msgspec.structs.replace(entry, seq=seq)
        for seq, entry in enumerate([*opened, *said, closed], 1)
    ]


def test_a_polite_socket_has_no_findings_at_all() -> None:
    diagnosis = judged(entries_of(polite_socket()))
    assert rules_of(diagnosis) == []
    assert diagnosis.kept
    assert diagnosis.summary == "kept: 1 socket, 3 PINGs, 0 calls, 18 messages"
    assert diagnosis.judged.openings == {"devices, beacons, positions": 1}


@given(st.sampled_from(sorted(BREACHES)), st.sampled_from([5.0, 35.5, 61.0, 93.25]))
@settings(max_examples=examples(60), deadline=None)
def test_one_breach_gives_exactly_one_finding_at_its_moment(name: str, at_s: float) -> None:
    rule, sender, frame = BREACHES[name]
    frames = sorted([*polite_socket(), (at_s, sender, frame)], key=lambda one: one[0])
    diagnosis = judged(entries_of(frames))
    (finding,) = breaches(diagnosis)
    assert (finding.rule, finding.by, finding.connection) == (rule, sender, 3)
    assert finding.at_ns == round(at_s * 1e9)
    assert diagnosis.breaches == 1
    assert not diagnosis.kept


@pytest.mark.parametrize("at_s", [30.0, 60.0, 90.0])
def test_a_pong_that_is_missing_is_told_with_its_ping(at_s: float) -> None:
    frames = [one for one in polite_socket() if one[0] != at_s + 0.2]
    (finding,) = breaches(judged(entries_of(frames, end_s=121.0)))
    assert finding.rule == "pong.missing"
    assert (UUID % round(at_s / 30)) in finding.seen
    # That is when the next PING comes; behind the last the socket is closed.
    assert finding.at_ns == round((at_s + 30 if at_s < 90 else 121) * 1e9)


# What cannot be told


def test_a_recording_without_times_judges_no_time() -> None:
    untimed = [msgspec.structs.replace(one, offset_ns=None) for one in entries_of(polite_socket())]
    diagnosis = judged(untimed, timing="none")
    assert diagnosis.kept
    assert diagnosis.counts == {}
    assert "no timing" in diagnosis.undecided[0]


def test_joins_of_a_socket_whose_opening_was_not_seen_are_not_judged() -> None:
    frames = [(1.0, "server", server(POSITION % (500, b"77")))]
    diagnosis = judged(entries_of(frames)[3:])
    assert "join.unknown-device" not in diagnosis.counts
    assert "was open before the recording begins" in diagnosis.undecided[0]
    assert diagnosis.judged.openings == {}


@pytest.mark.parametrize("closes_first", ["client", "server"])
def test_a_cut_at_any_moment_shows_nothing_that_the_whole_does_not(closes_first: Any) -> None:
    entries = entries_of(polite_socket())[:-3]
    closes = [("client", close_frame(1000, mask=MASK)), ("server", close_frame(1000))]
    for at_s, (sender, frame) in enumerate(sorted(closes, reverse=closes_first == "server"), 115):
        entries.append(entry_of(frame, sender, at=at_s * 1000, connection=3))
    entries.append(Closed(connection=3, offset_ns=117_000_000_000, by="server", how="eof"))
    whole = judged(entries, mode="edit").counts
    # A PING that comes 6 s late is late, whether or not it is waited for to the end.
    late = [
        msgspec.structs.replace(one, offset_ns=(one.offset_ns or 0) + 6_000_000_000)
        if (one.offset_ns or 0) >= 30_000_000_000
        else one
        for one in entries
    ]
    moments = {(one.offset_ns or 0) + by for one in (*entries, *late) for by in (0, 1)}
    for moment in moments:
        for made in (cut(entries, from_ns=moment), cut(entries, to_ns=moment)):
            assert judged(made, mode="edit").counts.items() <= whole.items()
        assert not breaches(judged(cut(late, to_ns=moment), mode="edit"))


def with_text(at_s: float, payload: bytes) -> Diagnosis:
    """Of the polite socket with one more text of the server."""
    return judged(entries_of([*polite_socket(), (at_s, "server", server(payload))]))


def test_a_position_of_a_device_that_never_comes_is_a_remark_and_one_that_comes_later_is_none() -> (
    None
):
    of_77 = (40.0, "server", server(POSITION % (500, b"77")))
    again = (41.0, "server", server(POSITION % (501, b"77")))
    diagnosis = judged(entries_of([*polite_socket(), of_77, again]))
    assert diagnosis.counts == {"join.unknown-device": 1}
    assert the(diagnosis, "join.unknown-device").at_ns == 40_000_000_000
    assert diagnosis.kept
    device = (42.0, "server", server(b'{"devices":[{"id":77}]}'))
    assert judged(entries_of([*polite_socket(), of_77, device])).counts == {}


def test_what_is_left_of_broken_json_is_not_remarked() -> None:
    broken = b'{"positions":[{"id":1,"deviceId":1},{"id":2,"deviceId":1}'
    assert with_text(40.0, broken).counts == {"message.broken-json": 1}


@pytest.mark.parametrize(
    ("text", "rule", "seen"),
    [
        (b"null", "message.unknown-kind", "without objects: 'null'"),
        (b'"x"', "message.unknown-kind", "without objects: '\"x\"'"),
        (b"nul", "message.broken-json", "at byte 0 of 3: 'nul'"),
        (b'{"positions":{"id":1}}', "message.unknown-kind", "positions that are no list: '{"),
        (
            b'{"devices":[{"id":123456789012345678901234567890,"positionId":1e400}]}',
            "join.field",
            "device 123456789012345678901234567890 has the positionId Infinity",
        ),
        (b'{"positions":[{"id":1,"deviceId":true}]}', "join.field", "the deviceId true"),
        (b'{"devices":[{"id":"7"}]}', "join.field", 'a device whose id is "7"'),
        (b'{"devices":[{"id":NaN}]}', "message.broken-json", '{"devices":[{"id":NaN}]}'),
        (b'{"status":[{"message":5,"type":"PING"},null,7]}', "ping.malformed", "message is 5"),
    ],
)
def test_what_is_strange_is_shown_as_it_is(text: bytes, rule: str, seen: str) -> None:
    diagnosis = with_text(40.0, text)
    assert diagnosis.counts == {rule: 1}
    assert seen in diagnosis.findings[0].seen
    json_text(as_builtins(diagnosis))


def edited(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"mode": "edit", "meta": {"edited": msgspec.Raw(msgspec.json.encode(steps))}}


def test_of_a_filtered_recording_nothing_is_missed() -> None:
    left = [
        entry
        for entry in entries_of(polite_socket())
        if not (isinstance(entry, FrameEntry) and entry.opcode == "text")
    ]
    assert not judged(left, mode="edit").kept
    step = {"verb": "filter", "recordings": [{"id": "x", "mode": "capture"}]}
    merge = {"verb": "merge", "recordings": [{"id": "y"}, {"id": "z", "edited": [step]}]}
    for one in (step, merge):
        diagnosis = judged(left, **edited(one))
        assert diagnosis.counts == {}
        assert "was filtered" in diagnosis.undecided[0]


@pytest.mark.parametrize("times", ["10", "1/3"])
def test_a_recording_at_another_speed_is_judged_by_times_of_that_speed(times: str) -> None:
    silent = [one for one in polite_socket() if one[1] == "server"]
    close = b"\x03\xe9Idle timeout expired: 30000/30000 ms"
    gone = (120.0, "server", Frame.make(Opcode.CLOSE, close))
    factor = Fraction(times)
    for frames in (polite_socket(), [*silent, gone]):
        entries = entries_of(frames, end_s=120.5)
        faster = list(speed(entries, factor))
        step = {"verb": "speed", "recordings": [], "factor": times}
        assert judged(faster, **edited(step)).counts == judged(entries, mode="edit").counts


def test_steps_of_edits_that_cannot_be_read_change_nothing() -> None:
    for text in (b'"x"', b"[1,null,{}]", b'[{"verb":"speed","factor":"0/0"}]', b"{"):
        told = {"mode": "edit", "meta": {"edited": msgspec.Raw(text)}}
        assert judged(entries_of(polite_socket()), **told).counts == {}


def test_a_recorder_that_was_away_says_so() -> None:
    entries = entries_of(polite_socket())
    away = Resume(offset_ns=20_000_000_000, wall="2026-11-22T17:00:00.123456789Z")
    at = next(i for i, one in enumerate(entries) if (one.offset_ns or 0) >= away.offset_ns)
    diagnosis = judged([*entries[:at], away, *entries[at:]])
    assert any("away" in sentence for sentence in diagnosis.undecided)
    assert diagnosis.judged.sockets == 2
    assert breaches(diagnosis) == []


def test_nothing_to_judge_is_undecided() -> None:
    diagnosis = judged([])
    assert not diagnosis.kept
    assert not diagnosis.decided
    assert diagnosis.summary.startswith("undecided")


def test_an_import_that_leaves_cookies_out_is_not_blamed_for_it() -> None:
    entries = entries_of(polite_socket())
    bare = [
        msgspec.structs.replace(one, headers=[pair for pair in one.headers if pair[0] != "Cookie"])
        if isinstance(one, Request)
        else one
        for one in entries
    ]
    assert "session.no-cookie" in judged(bare).counts
    diagnosis = judged(bare, mode="import")
    assert diagnosis.counts == {}
    assert "show no cookie" in diagnosis.undecided[0]


NAMES = b'{"devices":[{"id":1,"positionId":499}]}'


def test_a_position_that_rest_answered_with_is_no_unknown_one() -> None:
    common: dict[str, Any] = {"connection": 9, "exchange": 9, "offset_ns": 0}
    asked: list[AnyEntry] = [
        Request(**common, method="GET", target="/api/positions?deviceId=1", headers=[]),
        Response(**common, status=200, headers=[]),
        Body(**common, sender="server", last=True, text='[{"id":499,"deviceId":1}]'),
    ]
    entries = entries_of([*polite_socket(), (5.0, "server", server(NAMES))])
    assert "join.unknown-position" in judged(entries).counts
    assert judged([*asked, *entries]).counts == {}


def test_nor_is_one_of_a_checkpoint() -> None:
    checkpoint = Checkpoint(offset_ns=0, positions=[msgspec.Raw(b'{"id":499,"deviceId":1}')])
    entries = entries_of([*polite_socket(), (5.0, "server", server(NAMES))])
    assert judged([checkpoint, *entries]).counts == {}


# Ends


def ended(*last: AnyEntry, rules: Rules | None = None, **of_header: Any) -> Any:
    entries = [*entries_of(polite_socket())[:-3], *last]
    diagnosis = judged(entries, rules, **of_header)
    (ending,) = diagnosis.endings
    return ending, diagnosis


def at_100(kind: Any, **fields: Any) -> Any:
    return kind(connection=3, offset_ns=100_000_000_000, **fields)


def says(frame: Frame, sender: Any = "server") -> AnyEntry:
    return entry_of(frame, sender, at=100_000, connection=3)


def test_a_server_that_goes_away_breaks_no_rule() -> None:
    ending, diagnosis = ended(
        says(close_frame(1001, "bye")), at_100(Closed, by="server", how="eof")
    )
    assert diagnosis.kept
    assert ending.cause == 'it gave the code 1001 (going away), "bye"'
    assert set(diagnosis.counts) == {"close.going-away", "close.unanswered"}


def test_a_server_that_blames_a_client_which_answered_is_at_fault() -> None:
    reason = Rules().close_reason
    ending, diagnosis = ended(
        says(close_frame(1001, reason)), at_100(Closed, by="server", how="eof")
    )
    assert ending.fault == "server"
    assert diagnosis.counts["close.unexplained"] == 1


def test_a_client_that_hangs_up_is_worth_a_remark() -> None:
    ending, diagnosis = ended(at_100(Closed, by="client", how="eof"))
    assert diagnosis.kept
    assert str(ending) == (
        "connection 3 was closed by the client at 100.000 s: it ended TCP without a close frame"
    )


def test_a_reset_by_nobody_knows_whom_is_the_networks() -> None:
    ending, diagnosis = ended(at_100(Closed, by="server", how="reset"))
    assert (ending.how, ending.fault) == ("reset", "network")
    assert the(diagnosis, "tcp.reset").by == "network"


def test_a_recorder_that_gives_up_tells_of_the_silence() -> None:
    last = at_100(Closed, by="recorder", how="timeout")
    late = msgspec.structs.replace(last, offset_ns=200_000_000_000)
    ending, diagnosis = ended(late)
    assert ending.fault == "server"
    assert "nothing came any more behind 111.000 s" in ending.cause
    assert "socket.silent" in diagnosis.counts


def test_a_frame_that_the_client_tore_is_nobodys_fault() -> None:
    torn = at_100(
        Bytes, sender="server", why="the stream ended inside a frame", **encode_bytes(b"\x81\x05a")
    )
    _, by_client = ended(torn, at_100(Closed, by="client", how="eof"))
    assert by_client.kept
    ending, by_server = ended(torn, at_100(Closed, by="server", how="eof"))
    assert ending.fault == "network"
    assert by_server.counts == {"frame.torn": 1}


def test_a_stopped_recording_blames_nobody() -> None:
    stopped = at_100(Closed, by="recorder", how="stopped")
    ending, diagnosis = ended(stopped, mode="proxy")
    assert diagnosis.kept
    assert ending.how == "stopped"
    assert "was open when last seen at 100.000 s: the recording was stopped" in str(ending)


def test_a_socket_that_a_capture_stops_was_closed_by_its_client() -> None:
    stopped = at_100(Closed, by="recorder", how="stopped")
    ending, diagnosis = ended(says(server(b"{}", rsv=2)), stopped)
    assert ending.by == "client"
    assert ending.fault == "server"
    assert "reserved bits" in ending.cause
    assert diagnosis.cause == ending


def test_data_behind_the_servers_close_frame_is_a_breach() -> None:
    _, diagnosis = ended(
        says(close_frame(1000)),
        says(close_frame(1000, mask=MASK), "client"),
        says(server(b"{}")),
        at_100(Closed, by="server", how="eof"),
    )
    assert breaches(diagnosis)[0].rule == "close.data-after"


def test_messages_without_frames_are_judged_alike() -> None:
    frames = [
        MessageEntry(
            connection=3,
            sender=one.sender,
            opcode="text",
            offset_ns=one.offset_ns,
            text=one.text,
        )
        if isinstance(one, FrameEntry) and one.opcode == "text"
        else one
        for one in entries_of([*polite_socket(), (100.0, "client", client(b"hello"))])
    ]
    assert judged(frames).counts == {"text.unknown": 1}


def test_only_the_first_findings_of_a_rule_are_kept() -> None:
    chatter = [(100.0, "client", client(b"hello"))] * 150
    diagnosis = judged(entries_of([*polite_socket(), *chatter]))
    assert diagnosis.counts == {"text.unknown": 150}
    assert len(diagnosis.findings) == 100
    assert diagnosis.breaches == 150


def test_too_many_messages_within_a_second_are_told_once_a_second() -> None:
    flood = [(100 + n / 1000, "server", server(b"{}")) for n in range(1200)]
    diagnosis = judged(entries_of([*polite_socket(), *flood]))
    assert diagnosis.counts == {"message.flood": 1}


def test_the_initial_push_that_comes_again_is_told() -> None:
    diagnosis = judged(entries_of([*polite_socket(), (100.0, "server", server(DEVICES))]))
    assert diagnosis.counts == {"opening.repeated": 1}
    assert diagnosis.kept


# What explains an end


FAST = Rules(ping_interval_s=1)


def pinged(*at_s: float, answered: int = 0) -> list[tuple[float, Any, Frame]]:
    """The initial push, and PINGs of which the first ``answered`` are answered."""
    frames: list[tuple[float, Any, Frame]] = [(0.0, "server", server(DEVICES))]
    for number, at in enumerate(at_s, 1):
        frames.append((at, "server", server(ping(UUID % number))))
        if number <= answered:
            frames.append((at + 0.1, "client", client(f"pong {UUID % number}".encode())))
    return frames


def closed_at(
    at_s: float,
    code: int,
    reason: str,
    frames: list[tuple[float, Any, Frame]],
    rules: Rules | None = None,
) -> Diagnosis:
    """A socket that the server closes, after these frames."""
    close = (at_s, "server", close_frame(code, reason))
    entries = entries_of(sorted([*frames, close], key=lambda one: one[0]), end_s=at_s + 0.1)
    return judged(entries, rules)


def test_a_server_that_says_it_waited_in_vain_is_believed_and_its_interval_is_named() -> None:
    reason = "Idle timeout expired: 1000/1000 ms"
    diagnosis = closed_at(2.0, 1001, reason, pinged(1.0))
    assert not diagnosis.kept
    (finding,) = breaches(diagnosis)
    assert (finding.rule, finding.by, finding.at_ns) == ("pong.missing", "client", 2_000_000_000)
    assert f'the server says that it waited: "{reason}" (lineage)' in finding.seen
    (ending,) = diagnosis.endings
    assert ending.fault == "client"
    assert ending.cause == (
        f"the PING of 1.000 s, {UUID % 1}, was never answered; it gave the code 1001 (going away),"
        f' "{reason}"'
    )
    assert any("ping_interval_s = 1" in one for one in diagnosis.undecided)
    # By the right rules the same, and no hint.
    told = closed_at(2.0, 1001, reason, pinged(1.0), Rules(ping_interval_s=1))
    assert (told.counts, told.undecided) == (diagnosis.counts, ())


def test_one_that_says_so_although_each_ping_was_answered_gives_no_missing_pong() -> None:
    reason = "Idle timeout expired: 1000/1000 ms"
    diagnosis = closed_at(2.0, 1001, reason, pinged(1.0, answered=1))
    assert "pong.missing" not in diagnosis.counts
    assert diagnosis.undecided == ()
    assert (
        "pong.missing" not in closed_at(2.0, 1001, reason.replace("1000", "0"), pinged(1.0)).counts
    )
    # Nor is a PING one that was waited for which came just before.
    assert "pong.missing" not in closed_at(2.0, 1001, reason, pinged(1.5)).counts


def test_a_close_for_a_reason_of_the_servers_own_is_not_an_unanswered_pings() -> None:
    for rules in (FAST, Rules(ping_interval_s=1, unanswered_ping="ignore")):
        diagnosis = closed_at(3.4, 1011, "db down", pinged(1.0, 2.0, 3.0), rules)
        (ending,) = diagnosis.endings
        assert (ending.fault, ending.code, ending.reason) == ("server", 1011, "db down")
        assert ending.cause.startswith('it gave the code 1011 (internal error), "db down", and')
        assert diagnosis.counts["close.unexplained"] == 1
        assert ("before that the PING of 1.000 s" in ending.cause) == (rules is FAST)


def test_of_unanswered_pings_the_first_in_a_row_explains_the_end() -> None:
    frames = pinged(1.0, 2.0, 3.0, 4.0, answered=1)
    (ending,) = closed_at(5.0, 1001, "gone", frames, FAST).endings
    assert ending.fault == "client"
    assert ending.cause == (
        f"the PING of 2.000 s, {UUID % 2}, was never answered; it gave the code 1001 (going away),"
        ' "gone"'
    )


BROKEN = b'{"devices":[{"id":1}'


@pytest.mark.parametrize(
    ("at_s", "code", "fault", "says"),
    [
        (40.0, 1000, None, "it gave the code 1000 (normal)"),
        (114.5, 1000, None, "it gave the code 1000 (normal); shortly before, the server sent what"),
        (114.5, 1007, "server", "the server sent what is no JSON at byte"),
        (40.0, 1007, "server", "the server sent what is no JSON at byte"),
    ],
)
def test_a_client_that_closes_as_usual_did_not_close_for_broken_json(
    at_s: float, code: int, fault: str | None, says: str
) -> None:
    frames = [*polite_socket(), (at_s, "server", server(BROKEN))]
    frames.append((114.9, "client", close_frame(code, mask=MASK)))
    (ending,) = judged(entries_of(sorted(frames, key=lambda one: one[0]))).endings
    assert ending.fault == fault
    assert ending.cause.startswith(says)
    assert ("shortly before" in ending.cause) == ("shortly before" in says)


def test_nor_did_one_that_hangs_up_long_after() -> None:
    frames = sorted([*polite_socket(), (40.0, "server", server(BROKEN))], key=lambda one: one[0])
    gone = Closed(connection=3, offset_ns=115_000_000_000, by="client", how="eof")
    (ending,) = judged([*entries_of(frames)[:-3], gone]).endings
    assert (ending.fault, ending.cause) == (None, "it ended TCP without a close frame")


def test_the_first_ping_that_is_late_is_behind_no_other() -> None:
    entries = entries_of(pinged(1.5, answered=1), end_s=2.0)
    finding = the(judged(entries, FAST), "ping.late")
    assert finding.seen == "the first PING came 0.500 s late; one is due every 1 s"


def test_where_no_devices_were_pushed_the_positions_of_unknown_ones_are_told_with_it() -> None:
    frames = [one for one in polite_socket() if one[2].payload != DEVICES]
    diagnosis = judged(entries_of(frames))
    assert diagnosis.counts == {"opening.missing": 1}
    assert "although positions of 1 unknown device were" in the(diagnosis, "opening.missing").seen


def test_a_cause_names_one_source() -> None:
    frames = sorted([*polite_socket(), (114.0, "client", server(b"x"))], key=lambda one: one[0])
    frames.append((114.5, "server", close_frame(1002)))
    (ending,) = judged(entries_of(frames)).endings
    assert ending.fault == "client"
    assert (ending.section, str(ending).count("RFC")) == ("RFC 6455 5.1", 1)


def test_a_handshake_behind_a_session_that_was_said_to_be_ended_is_refused_for_that() -> None:
    login: dict[str, Any] = {"connection": 1, "exchange": 1, "offset_ns": 0}
    call: dict[str, Any] = {"connection": 1, "exchange": 2, "offset_ns": 5_000_000_000}
    opens: dict[str, Any] = {"connection": 2, "exchange": 1, "offset_ns": 6_000_000_000}
    cookie = [("Cookie", "JSESSIONID=node0")]
    upgrade = [*cookie, ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    upgrade.append(("Sec-WebSocket-Key", KEY))
    diagnosis = judged(
        [
            Request(**login, method="POST", target="/api/session", headers=[]),
            Response(**login, status=200, headers=[("Set-Cookie", "JSESSIONID=node0; Path=/api")]),
            Request(**call, method="GET", target="/api/devices", headers=cookie),
            Response(**call, status=401, reason="Unauthorized", headers=[]),
            Request(**opens, method="GET", target="/api/socket", headers=upgrade),
            Response(**opens, status=503, reason="Service Unavailable", headers=[]),
        ]
    )
    assert diagnosis.counts == {"session.ended-early": 1}
    (ending,) = diagnosis.endings
    assert ending.fault == "server"
    assert ending.cause == (
        "the handshake was answered 503 Service Unavailable: the server had ended its session"
        " early, as a call at 5.000 s was told"
    )
