"""What became of every PING."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import Closed, Entry, Request, Resume
from recorder.track.rules import Rules
from recorder.wire.frames import Opcode
from replayer.conformance import conformance
from replayer.reading.conversation import converse
from replayer.reading.pings import PingRow, Pings
from replayer.reading.statistics import gather
from tests.profiles import examples
from tests.replayer.recordings import (
    UUID_1,
    UUID_2,
    frame,
    header,
    message,
    ms,
    numbered,
    ping,
    session,
)

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ping", "ping", "pong", "pong", "Pong", "hello", "close"]),
        st.sampled_from("abc"),
        st.integers(0, 40_000),
    ),
    max_size=14,
)


def entries_of(steps: list[tuple[str, str, int]]) -> list[Entry]:
    at, found = 0, []
    for what, uuid, wait in steps:
        at += wait
        if what == "ping":
            found.append(frame("server", ping(uuid), at=at))
        elif what == "close":
            found.append(Closed(offset_ns=ms(at), connection=1, by="server", how="eof"))
        else:
            found.append(frame("client", f"{what} {uuid}".encode(), at=at))
    return numbered(found)


def rows_of(found: list[Entry], rules: Rules | None = None) -> list[PingRow]:
    return list(Pings(rules).rows(converse(found)))


@settings(max_examples=examples(300))
@given(STEPS)
def test_every_ping_is_a_row_and_is_judged_as_conform_judges_it(
    steps: list[tuple[str, str, int]],
) -> None:
    found = entries_of(steps)
    rows = rows_of(found)
    pings = [row for row in rows if row.verdict != "stray"]
    assert sorted(row.seq for row in pings) == [
        one.seq for one in found if getattr(one, "sender", "") == "server"
    ]
    for row in pings:
        answered = row.verdict in ("answered", "late")
        assert answered == (row.pong_ns is not None)
        assert not answered or row.round_trip_ns == row.pong_ns - row.sent_ns
    # Each violation shows in a row; one pong may answer several PINGs of one uuid.
    judged = {one.rule for one in conformance(found)} - {"text.unknown"}
    assert {rule for row in rows for rule in row.rules} == judged


def test_the_verdicts() -> None:
    found = numbered(
        [
            frame("server", ping("in-time"), at=0),
            frame("client", b"pong in-time", at=42),
            frame("server", ping("late"), at=30_000),
            frame("server", ping("never"), at=61_000),
            frame("client", b"pong late", at=61_500),
            frame("client", b"pong late", at=61_600),
            frame("client", b"pong other", at=61_700),
            frame("client", b"PONG never", at=61_800),
            frame("server", ping("open"), at=95_000),
        ]
    )
    assert [(row.verdict, row.uuid, row.round_trip_ns, row.rules) for row in rows_of(found)] == [
        ("answered", "in-time", ms(42), ()),
        ("late", "late", ms(31_500), ("pong.missing", "pong.late")),
        ("unanswered", "never", None, ("pong.missing",)),
        ("stray", "late", None, ("pong.repeated",)),
        ("stray", "other", None, ("pong.wrong-uuid",)),
        ("stray", None, None, ("pong.malformed",)),
        ("undecided", "open", None, ()),
    ]


def test_a_repeated_uuid_is_told_and_one_pong_answers_both() -> None:
    found = numbered(
        [
            frame("server", ping("a"), at=0),
            frame("server", ping("a"), at=10),
            frame("client", b"pong a", at=30),
        ]
    )
    assert [(row.verdict, row.round_trip_ns, row.rules) for row in rows_of(found)] == [
        ("answered", ms(30), ()),
        ("answered", ms(20), ("ping.repeated-uuid",)),
    ]


def test_another_interval_makes_another_verdict() -> None:
    found = numbered([frame("server", ping("a"), at=0), frame("client", b"pong a", at=1500)])
    assert [row.verdict for row in rows_of(found)] == ["answered"]
    assert [row.verdict for row in rows_of(found, Rules(ping_interval_s=1))] == ["late"]


def test_without_times_nothing_is_late() -> None:
    found = numbered(
        [
            message("server", ping(UUID_1), at=None),
            message("server", ping(UUID_2), at=None),
            message("client", f"pong {UUID_2}".encode(), at=None),
        ]
    )
    assert [(row.verdict, row.round_trip_ns) for row in rows_of(found)] == [
        ("undecided", None),
        ("answered", None),
    ]


def test_rows_do_not_wait_without_end_for_an_unanswered_ping() -> None:
    fold = Pings()
    found = (frame("server", ping(f"u{number}"), at=31_000 * number) for number in range(1000))
    waiting = 0
    for _ in fold.rows(converse(found)):
        waiting = max(waiting, *(len(socket._rows) for socket in fold._sockets.values()), 0)
    assert waiting <= 130


def test_a_resumed_recorder_has_heard_nothing_of_what_was_open() -> None:
    found = numbered(
        [
            frame("server", ping("a"), at=0),
            Resume(offset_ns=ms(90_000), wall="2026-11-22T17:00:00.123456789Z"),
        ]
    )
    assert [row.verdict for row in rows_of(found)] == ["undecided"]


def test_the_session_of_the_other_tests() -> None:
    assert [row.verdict for row in rows_of(numbered(session()))] == [
        "answered",
        "unanswered",
        "stray",
    ]


def test_a_ping_that_the_server_closes_upon_is_unanswered_in_info_too() -> None:
    asked = frame("server", ping("a"), at=0)
    close = frame("server", b"\x03\xe9Idle", at=1000, opcode=Opcode.CLOSE)
    answer = frame("client", b"\x03\xe9", at=1001, opcode=Opcode.CLOSE)
    left = frame("client", b"\x03\xe8", at=900, opcode=Opcode.CLOSE)
    dropped = Closed(offset_ns=ms(1002), connection=1, by="server", how="eof")
    gone = Closed(offset_ns=ms(1002), connection=1, by="client", how="eof")
    pong = frame("client", b"pong a", at=1001)
    for found, verdict in [
        ([asked, close, answer, dropped], "unanswered"),
        ([asked, close], "unanswered"),
        ([asked, dropped], "unanswered"),
        # It was on its way when the server closed.
        ([asked, close, pong, dropped], "answered"),
        ([asked, left, close, dropped], "undecided"),
        ([asked, gone], "undecided"),
        ([asked], "undecided"),
        ([asked, frame("server", b"{}", at=29_999)], "undecided"),
        ([asked, frame("server", b"{}", at=30_000)], "unanswered"),
    ]:
        (row,) = rows_of(numbered(found))
        assert row.verdict == verdict, found
        pings = gather(header(), numbered(found)).connections[0].pings
        counts = {name: getattr(pings, name) for name in ("answered", "late", "undecided")}
        counts["unanswered"] = pings.unanswered_count
        assert counts.pop(verdict) == pings.sent == 1
        assert not any(counts.values())


@settings(max_examples=examples(100))
@given(STEPS)
def test_info_counts_what_pings_tells(steps: list[tuple[str, str, int]]) -> None:
    found = entries_of(steps)
    told = Counter(row.verdict for row in rows_of(found) if row.verdict != "stray")
    counted: Counter[str] = Counter()
    for each in gather(header(), found).connections:
        pings = each.pings
        counted["answered"] += pings.answered
        counted["late"] += pings.late
        counted["undecided"] += pings.undecided
        counted["unanswered"] += pings.unanswered_count
    assert +counted == told


def test_a_request_without_a_response_does_not_turn_the_clock_back() -> None:
    asked = Request(
        offset_ns=0, connection=2, exchange=1, method="GET", target="/api/devices", headers=[]
    )
    found = [asked, frame("server", ping("a"), at=10), frame("server", b"{}", at=40_000)]
    assert [row.verdict for row in rows_of(numbered(found))] == ["unanswered"]
