"""A recording moved in time: its dates, and nothing else."""

from __future__ import annotations

import gzip
import itertools
import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.wire.frames import Frame, FrameParser, Opcode
from recorder.wire.messages import Message, MessageAssembler
from replayer.playing.rebase import (
    DATE_FIELDS,
    Rebased,
    last_date_ns,
    rebase_payload,
    rebase_query,
    rebased_to_now,
)
from replayer.playing.script import RecordedAnswer, Script, Source
from replayer.playing.timeline import Cue
from replayer.state import OBJECT_KINDS
from tests.fake_server.support import exchange, quiet, said, script_of, upgrade
from tests.profiles import examples
from tests.strategies import make_header

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR

POSITION = (
    b'{"positions":[{"id":%d,"deviceId":1,"rssi":-64,"speed":100.0,"valid":true,'
    b'"serverTime":null,"fixTime":"%s"}]}'
)
DEVICE = b'{"devices":[{"id":1,"lastUpdate":"2025-02-21T10:05:04.906+00:00","name":"~"}]}'


# Payloads


class Dated(NamedTuple):
    """A string that is a date: as the backend spells it, so many milliseconds later."""

    moment: datetime
    zone: str

    def spelled(self, by_ms: int = 0) -> str:
        moment = self.moment + timedelta(milliseconds=by_ms)
        return f'"{moment.isoformat(timespec="milliseconds")}{self.zone}"'


Value: TypeAlias = "str | Dated | list[Value] | tuple[tuple[str, Value], ...]"
"""JSON: text that stands as it is, a date, an array, or the members of an object."""

dated = st.builds(
    Dated,
    st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)),
    st.sampled_from(["+00:00", "+0000", "Z", "", "-03:30"]),
)
others = st.sampled_from(
    [
        *("null", "true", "-1.10", "100.0", "1e5", '""', '"~"', '"é"', '"null"', '"fixTime"'),
        *(
            r'"\""',
            r'"\\"',
            r'"\\\"fixTime"',
            r'"\u0032025-02-21"',
            '"2025-02-30"',
            '"2025-02-21 "',
        ),
        r'"\"fixTime\":\"2025-02-21T10:05:04.906Z\""',
        r'"{\"fixTime\":\"2025-02-21\"}"',
    ]
)
keys = st.sampled_from(sorted(DATE_FIELDS)) | st.sampled_from(
    ["name", "expirationTime", "fixtime", "xfixTime", 'x\\"fixTime', "\\\\", "\\u0066ixTime", ""]
)
structures: st.SearchStrategy[Any] = st.recursive(
    dated | others,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(st.tuples(keys, dated | others | inner), max_size=5).map(tuple)
    ),
    max_leaves=12,
).filter(lambda value: isinstance(value, list) or type(value) is tuple)
layouts = st.sampled_from([(",", ":"), (", ", ": "), ("\n,", "\t:\r\n  ")])
around = st.sampled_from(
    [b"", b"~", b"Logged In...\r\n~", b"\xff\x00\x81~", b'"fixTime":"2025-02-21T10:05:04Z"']
)
shifts_ms = st.integers(-60 * 365 * 86_400_000, 60 * 365 * 86_400_000)


def spelled(value: Value, layout: tuple[str, str], by_ms: int = 0) -> str:
    """The JSON text of a value, walked slowly, with the dates of known fields moved."""
    comma, colon = layout
    match value:
        case str():
            return value
        case Dated():
            return value.spelled()
        case list():
            return f"[{comma.join(spelled(one, layout, by_ms) for one in value)}]"
    members = (
        f'"{key}"{colon}'
        + (
            one.spelled(by_ms)
            if key in DATE_FIELDS and isinstance(one, Dated)
            else spelled(one, layout, by_ms)
        )
        for key, one in value
    )
    return f"{{{comma.join(members)}}}"


class Payload(NamedTuple):
    """A payload, and the same with its dates moved by ``by_ms``."""

    before: bytes
    by_ms: int
    after: bytes


@st.composite
def payloads(draw: st.DrawFn) -> Payload:
    texts = draw(st.lists(structures, min_size=1, max_size=3))
    layout = draw(layouts)
    by_ms = draw(shifts_ms)
    head, tail = draw(around), draw(around)
    delimiter = draw(st.sampled_from([b"~", b"", b" ~~\n"]))
    for text in texts:
        json.loads(spelled(text, layout))
    before, after = (
        head + delimiter.join(spelled(text, layout, shift).encode() for text in texts) + tail
        for shift in (0, by_ms)
    )
    return Payload(before, by_ms, after)


@settings(max_examples=examples(150))
@given(payloads())
def test_the_dates_of_known_fields_move_and_every_other_byte_stays(payload: Payload) -> None:
    assert rebase_payload(payload.before, payload.by_ms * 10**6) == payload.after


@settings(max_examples=examples(100))
@given(payloads(), st.integers(-50 * 365 * DAY, 50 * 365 * DAY))
def test_moved_and_moved_back_a_payload_is_as_before(payload: Payload, by_ns: int) -> None:
    moved = rebase_payload(payload.before, by_ns)
    assert rebase_payload(moved, -by_ns) == payload.before
    assert rebase_payload(payload.before, 0) == payload.before


@settings(max_examples=examples(200))
@given(st.binary(max_size=200) | st.text('"{}[]:,~fixTime2025-01Z\\', max_size=200), st.integers())
def test_any_bytes_keep_their_size(data: bytes | str, by_ns: int) -> None:
    payload = data if isinstance(data, bytes) else data.encode()
    assert len(rebase_payload(payload, by_ns)) == len(payload)


@pytest.mark.parametrize("field", sorted(DATE_FIELDS))
def test_every_known_field_moves(field: str) -> None:
    text = b'[{"%s" : "2020-01-14T10:18:44.514+0000"}]'
    moved = rebase_payload(text % field.encode(), HOUR)
    assert moved == b'[{"%s" : "2020-01-14T11:18:44.514+0000"}]' % field.encode()


@pytest.mark.parametrize(
    "payload",
    [
        # An account's end is not when something was seen.
        b'{"expirationTime":"2025-02-21T10:05:04.906+00:00"}',
        b'{"lastAsnCookie":"2025-02-21"}',
        b'{"name":"2025-02-21T10:05:04Z"}',
        b'{"fixTime":["2025-02-21T10:05:04Z"],"x":{"fixTime":{"is":"2025-02-21"}}}',
        b'{"fixTime":null,"serverTime":1740132304906,"deviceTime":"null"}',
        b'{"name":"\\"fixTime\\":\\"2025-02-21\\""}',
        b'{"x\\"fixTime":"2025-02-21"}',
        b'{"\\u0066ixTime":"2025-02-21"}',
        b'{"fixTime":"\\u0032025-02-21"}',
        b'{"fixTime":"2025-02-21T10:05:04Z or later"}',
        b'{"fixTime":"2025-02-31"}',
        b'["fixTime","2025-02-21"]',
        # No JSON text: cut, or only a part of one.
        b'"fixTime":"2025-02-21"',
        b'{"fixTime":"2025-02-21"',
        b"",
    ],
)
def test_what_is_no_date_of_a_known_field_stays(payload: bytes) -> None:
    assert rebase_payload(payload, DAY) == payload


def test_a_whole_object_inside_a_torn_text_is_moved() -> None:
    torn = b'{"positions":[{"fixTime":"2025-02-21"},{"fixTime":"2025-02-21"'
    assert rebase_payload(torn, DAY) == torn.replace(b"21", b"22", 1)


@pytest.mark.parametrize(
    "piece", [b'"fixTime":"2025-02-21', b'{"fixTime":', b'{"fixTime":"2025-', b'"fixTime"    ']
)
def test_time_is_linear_in_the_size_of_what_is_torn(piece: bytes) -> None:
    # Were it quadratic, this would take hours.
    payload = piece * 60_000
    assert rebase_payload(payload, DAY) == payload


# Queries


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/api/devices", "/api/devices"),
        ("/api/devices?", "/api/devices?"),
        (
            "/api/reports/route?deviceId=1&from=2025-02-21T10%3A00%3A00.000Z&to=2025-02-21&",
            "/api/reports/route?deviceId=1&from=2025-02-22T10%3A00%3A00.000Z&to=2025-02-22&",
        ),
        # Half encoded, in either case; and a character that changes stays encoded.
        (
            "/api/x?to=2025-02-28T10:00%3a00%2B02:00&from=%32025-02-%32%31",
            "/api/x?to=2025-03-01T10:00%3a00%2B02:00&from=%32025-02-%32%32",
        ),
        # No dates, or not of these names.
        ("/api/x?from=&to&=2025-02-21", "/api/x?from=&to&=2025-02-21"),
        ("/api/x?From=2025-02-21&since=2025-02-21", "/api/x?From=2025-02-21&since=2025-02-21"),
        ("/from=2025-02-21&to=2025-02-21", "/from=2025-02-21&to=2025-02-21"),
        # A bare plus is a space.
        ("/api/x?from=2025-02-21T10:00:00+00:00", "/api/x?from=2025-02-21T10:00:00+00:00"),
        ("/api/x?from=%FF%&to=2025%2", "/api/x?from=%FF%&to=2025%2"),
    ],
)
def test_from_and_to_of_a_query_move_and_stay_encoded_as_they_were(
    target: str, expected: str
) -> None:
    assert rebase_query(target, DAY) == expected
    assert rebase_query(expected, -DAY) == target


@settings(max_examples=examples(200))
@given(
    st.text("?&=%+fromt2025-01:TZ3A", max_size=60)
    | st.text(max_size=20).map("/?from=2025-02-21&to={}".format),
    st.integers(),
)
@example("/?from=%0A\n", 1)
def test_any_target_keeps_its_size(target: str, by_ns: int) -> None:
    assert len(rebase_query(target, by_ns)) == len(target)


# Frames


class Said(NamedTuple):
    """A message; ``orphans`` frames before it belong to none."""

    frames: list[Frame]
    orphans: int
    payload: Payload


@st.composite
def messages(draw: st.DrawFn) -> Said:
    """A message in fragments of any form, with control frames between them; at times an orphan
    stands before it, or the beginning of another message that has no end.
    """
    payload = draw(payloads())
    data = payload.before
    places = draw(st.lists(st.integers(0, len(data)), max_size=4))
    pieces = [
        data[start:stop] for start, stop in itertools.pairwise([0, *sorted(places), len(data)])
    ]
    frames = []
    if draw(st.integers(0, 3)) == 0:
        opcode = draw(st.sampled_from([Opcode.CONTINUATION, Opcode.TEXT]))
        frames.append(Frame.make(opcode, data, fin=opcode == Opcode.CONTINUATION))
    orphans = len(frames)
    for number, piece in enumerate(pieces):
        opcode = draw(st.sampled_from([Opcode.TEXT, Opcode.BINARY]))
        frames.append(
            Frame.make(
                Opcode.CONTINUATION if number else opcode,
                piece,
                fin=number == len(pieces) - 1,
                rsv=draw(st.sampled_from([0, 0, 4])),
                mask=draw(st.none() | st.just(b"\xa1\xb2\xc3\xd4")),
                length_bytes=draw(st.sampled_from([8, 2])),
            )
        )
        frames += draw(st.lists(st.just(Frame.make(Opcode.PING, b'{"fixTime":"2025-02-21"}'))))[:1]
    return Said(frames, orphans, payload)


def script_in_memory(frames: list[Frame]) -> Script:
    """What a recording of these frames, one a second, is read as."""
    with tempfile.TemporaryDirectory() as folder:
        entries = [said(frame, at_s) for at_s, frame in enumerate(frames)]
        return script_of(Path(folder), [*upgrade(), *entries])


def frames_of(cues: Any) -> list[Frame]:
    parser = FrameParser()
    return [frame for cue in cues for frame in parser.feed(cue.data) if isinstance(frame, Frame)]


@settings(max_examples=examples(60))
@given(st.lists(messages(), min_size=1, max_size=3), st.booleans())
def test_frames_keep_all_but_the_dates_of_their_messages(
    spoken: list[Said], all_cues: bool
) -> None:
    by_ms = spoken[0].payload.by_ms
    script = script_in_memory([frame for one in spoken for frame in one.frames])
    rebased = Rebased(script, by_ms * 10**6)
    before, after = (
        list(source.all_cues() if all_cues else source.cues(0)) for source in (script, rebased)
    )
    assert [(cue.at_ns, cue.kind, cue.text, len(cue.data)) for cue in after] == [
        (cue.at_ns, cue.kind, cue.text, len(cue.data)) for cue in before
    ]
    assert [frame.head for frame in frames_of(after)] == [frame.head for frame in frames_of(before)]

    expected = [rebase_payload(one.payload.before, by_ms * 10**6) for one in spoken]
    assert expected[0] == spoken[0].payload.after
    assert [cue.message for cue in after if cue.message is not None] == expected
    assembler = MessageAssembler()
    events = [event for frame in frames_of(after) for event in assembler.feed(frame)]
    assert [event.payload for event in events if isinstance(event, Message)] == expected
    in_none = [
        frame.is_control or number < one.orphans
        for one in spoken
        for number, frame in enumerate(one.frames)
    ]
    if not all_cues:
        for stays, old, new in zip(in_none, frames_of(before), frames_of(after), strict=True):
            assert not stays or old == new


def test_a_date_that_stands_across_fragments_is_moved() -> None:
    message = POSITION % (11, b"2025-02-21T23:59:59.500Z")
    cut = message.index(b"02-21T") + 3
    frames = [
        Frame.make(Opcode.TEXT, message[:cut], fin=False, length_bytes=8),
        Frame.make(Opcode.PONG),
        Frame.make(Opcode.CONTINUATION, message[cut:]),
    ]
    moved = list(Rebased(script_in_memory(frames), 500_000_000).cues(0))
    expected = POSITION % (11, b"2025-02-22T00:00:00.000Z")
    assert [cue.data for cue in moved] == [
        Frame.make(Opcode.TEXT, expected[:cut], fin=False, length_bytes=8).serialize(),
        Frame.make(Opcode.PONG).serialize(),
        Frame.make(Opcode.CONTINUATION, expected[cut:]).serialize(),
    ]
    assert [cue.message for cue in moved] == [None, None, expected]


def test_what_is_torn_stays_and_holds_nothing_up() -> None:
    torn = Frame.make(Opcode.TEXT, DEVICE, fin=False)
    script = script_in_memory([Frame.make(Opcode.TEXT, DEVICE), torn, Frame.make(Opcode.PING)])
    moved = list(Rebased(script, DAY).cues(0))
    assert [cue.kind for cue in moved] == ["data", "torn", "control"]
    assert moved[0].message == DEVICE.replace(b"-21T", b"-22T")
    assert moved[1].data == torn.serialize()


def test_a_frame_of_no_message_waits_for_nothing_but_the_next_message() -> None:
    orphan = Frame.make(Opcode.CONTINUATION, b"x")
    frames = [Frame.make(Opcode.PING), Frame.make(Opcode.TEXT, DEVICE), orphan]
    script = script_in_memory(frames)
    assert [cue.data for cue in Rebased(script, 0).cues(0)] == [
        frame.serialize() for frame in frames
    ]


def test_a_control_frame_between_messages_is_given_before_the_next_is_taken() -> None:
    class Pings(Endless):
        def cues(self, number: int, *, later_ns: int = 0) -> Iterator[Cue]:
            for cue in itertools.islice(super().cues(number), 100):
                yield msgspec.structs.replace(cue, kind="control", message=None)

    source = Pings()
    assert len(list(itertools.islice(Rebased(source, DAY).cues(0), 4))) == 4
    assert source.taken == 4


# Sources


class Endless:
    """A source that counts what is taken of it and never ends."""

    sockets = 3
    timed = False
    opening = quiet().opening

    def __init__(self) -> None:
        self.taken = 0

    def cues(self, number: int, *, later_ns: int = 0) -> Iterator[Cue]:
        for at_ns in itertools.count():
            self.taken += 1
            yield Cue(at_ns, "data", Frame.make(Opcode.TEXT, DEVICE).serialize(), DEVICE)

    def all_cues(self, *, later_ns: int = 0) -> Iterator[Cue]:
        return self.cues(0)

    def shows_timeout(self, number: int) -> bool:
        return number == 2

    def answer(self, method: str, target: str) -> RecordedAnswer | None:
        return None


def test_cues_are_moved_when_they_are_taken_and_once_for_all_sockets() -> None:
    source = Endless()
    rebased = Rebased(source, DAY)
    first = list(itertools.islice(rebased.cues(0), 5))
    assert source.taken == 5
    second = list(itertools.islice(rebased.cues(0), 7))
    assert source.taken == 7
    assert all(one is other for one, other in zip(first, second, strict=False))
    assert list(itertools.islice(rebased.cues(1), 1)) == first[:1]
    assert list(itertools.islice(rebased.all_cues(), 5)) == first


def test_two_sockets_in_turns_get_the_same_cues() -> None:
    rebased = Rebased(quiet(DEVICE, DEVICE, DEVICE), DAY)
    pairs = list(zip(rebased.cues(0), rebased.cues(0), strict=True))
    assert len(pairs) == 3
    assert all(one is other for one, other in pairs)


def test_what_has_no_date_is_passed_on() -> None:
    source = Endless()
    rebased: Source = Rebased(source, DAY)
    assert (rebased.sockets, rebased.timed) == (3, False)
    assert [rebased.shows_timeout(number) for number in range(3)] == [False, False, True]
    assert rebased.answer("GET", "/api/x") is None
    plain = quiet(b'{"devices":[{"id":1}]}')
    assert list(Rebased(plain, DAY).cues(0)) == plain.cues(0)


def test_a_later_round_has_later_dates_at_the_same_times() -> None:
    rebased = Rebased(quiet(DEVICE), DAY)
    rounds = [list(rebased.cues(0, later_ns=number * HOUR)) for number in range(3)]
    assert [[(cue.at_ns, cue.message) for cue in cues] for cues in rounds] == [
        [(0, DEVICE.replace(b"21T10", hour))] for hour in (b"22T10", b"22T11", b"22T12")
    ]
    assert list(rebased.all_cues(later_ns=HOUR)) == rounds[1]


def test_the_opening_state_is_moved_and_that_of_the_source_stays() -> None:
    event = b'{"events":[{"id":5,"serverTime":"2025-02-21T10:00:00Z"}]}'
    payloads_before = [
        DEVICE,
        event,
        *(POSITION % (number, b"2025-02-21T10:00:00Z") for number in (1, 2)),
    ]
    script = quiet(*payloads_before)
    rebased = Rebased(script, DAY)
    for kind in OBJECT_KINDS:
        assert rebased.opening.objects(kind) == [
            text.replace(b"-21T", b"-22T") for text in script.opening.objects(kind)
        ]
        assert b"-22T" not in b"".join(script.opening.objects(kind))
    # Those that are not the latest too, by the ids that they had.
    by_id = rebased.opening.positions_by_id([2, 1])
    assert [json.loads(text)["id"] for text in by_id] == [2, 1]
    assert all(b"2025-02-22T10:00:00Z" in text for text in by_id)
    for kind in ("positions", "events"):
        assert rebased.opening.history(kind) == [
            text.replace(b"-21T", b"-22T") for text in script.opening.history(kind)
        ]
    assert rebased.opening.history("events")
    assert rebased.opening is rebased.opening


def answering(target: str, body: bytes, *headers: tuple[str, str]) -> Rebased:
    """A source whose one recorded answer is this, a day later."""
    path, _, query = target.partition("?")
    key = ("GET", path, tuple(sorted(tuple(one.split("=")) for one in query.split("&") if one)))
    answer = RecordedAnswer(200, list(headers), body)
    return Rebased(Script(make_header(), [(0, [])], {key: answer}), DAY)  # type: ignore[dict-item]


def test_a_query_in_the_present_finds_the_recorded_answer_and_gets_present_dates() -> None:
    body = b'[{"fixTime":"2025-02-21T10:05:04.906+00:00","name":"2025-02-21"}]'
    rebased = answering("/api/reports/route?from=2025-02-21&to=2025-02-22", body)
    found = rebased.answer("GET", "/api/reports/route?to=2025-02-23&from=2025-02-22")
    assert found is not None
    assert found.body == body.replace(b"-21T", b"-22T")
    assert rebased.answer("GET", "/api/reports/route?from=2025-02-21&to=2025-02-22") is None


def test_a_coded_body_is_moved_and_given_without_its_coding() -> None:
    headers = [
        ("Content-Type", "application/json"),
        ("content-encoding", "gzip"),
        ("Content-Length", "7"),
    ]
    rebased = answering("/api/x", gzip.compress(DEVICE, mtime=0), *headers)
    found = rebased.answer("GET", "/api/x")
    assert found == RecordedAnswer(
        200,
        [("Content-Type", "application/json"), ("Content-Length", str(len(DEVICE)))],
        DEVICE.replace(b"-21T", b"-22T"),
    )


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("br", b"\x8b\x07\x00\xff"),
        ("gzip", gzip.compress(b'{"name":"2025-02-21"}', mtime=0)),
        ("gzip", b""),
    ],
)
def test_a_body_without_a_date_or_in_an_unknown_coding_stays_as_it_is(
    coding: str, body: bytes
) -> None:
    found = answering("/api/x", body, ("Content-Encoding", coding)).answer("GET", "/api/x")
    assert found == RecordedAnswer(200, [("Content-Encoding", coding)], body)


# To now


def utc_ns(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def test_the_last_date_is_that_of_any_message_whatever_its_zone() -> None:
    latest = POSITION % (2, b"2025-02-21T12:06:00.000+01:00")
    earlier = POSITION % (1, b"2025-02-21T12:30:00.000+02:00")
    script = quiet(DEVICE, latest, earlier, b'{"x":[{"expirationTime":"2099-01-01"}]}')
    assert last_date_ns(script) == utc_ns(datetime(2025, 2, 21, 11, 6, tzinfo=UTC))


def test_the_last_date_may_stand_in_the_opening_state_only(tmp_path: Path) -> None:
    devices = DEVICE.removeprefix(b'{"devices":').removesuffix(b"}")
    script = script_of(
        tmp_path, [*exchange("/api/devices", devices), *upgrade(), said(b'{"devices":[{"id":1}]}')]
    )
    assert last_date_ns(script) == utc_ns(datetime(2025, 2, 21, 10, 5, 4, 906_000, tzinfo=UTC))


def test_a_source_without_a_date_is_returned_as_it_is() -> None:
    script = quiet(b'{"devices":[{"id":1,"lastUpdate":null}]}')
    assert last_date_ns(script) is None
    assert rebased_to_now(script, datetime.now(UTC)) is script


@settings(max_examples=examples(100))
@given(
    st.lists(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), min_size=1, max_size=5),
    st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
)
def test_the_last_date_becomes_now_and_the_distances_stay(
    dates: list[datetime], now: datetime
) -> None:
    spelling = (moment.isoformat(timespec="microseconds").encode() + b"Z" for moment in dates)
    script = quiet(*(POSITION % (number, text) for number, text in enumerate(spelling)))
    rebased = rebased_to_now(script, now)
    assert last_date_ns(rebased) == utc_ns(now)
    shown = [
        datetime.fromisoformat(json.loads(cue.message)["positions"][0]["fixTime"])
        for cue in rebased.cues(0)
        if cue.message is not None
    ]
    assert [now - moment for moment in shown] == [max(dates) - moment for moment in dates]


def test_a_now_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        rebased_to_now(quiet(DEVICE), datetime(2025, 1, 1))
