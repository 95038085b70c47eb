"""A merged recording tells what each of its sources did, at the moment when it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import RecordingError
from recorder.model import (
    AnyEntry,
    Checkpoint,
    Clock,
    End,
    FrameEntry,
    Header,
    MessageEntry,
    Note,
    Redaction,
    Resume,
    UnknownEntry,
)
from recorder.sink import wall_clock_ns, wall_clock_text
from replayer.editing.cutting import cut
from replayer.editing.heading import edited_header, weakest
from replayer.editing.merging import Merging
from replayer.editing.strands import strands_of, survey
from replayer.reading.checkpoints import read_checkpoint
from replayer.reading.legs import client_legs
from tests.profiles import examples
from tests.replayer.editing.support import ended, is_sound, messages, plain, told, unknown
from tests.replayer.editing.test_cutting import moments
from tests.replayer.recordings import DEVICES, POSITION, frame, header, ms, session
from tests.replayer.traffic import polite, proxied

SECOND = 1_000_000_000


def later(by_ns: int, **changes: Any) -> Header:
    """The header of a recording that began so much later than the first."""
    started = wall_clock_ns(header().started_at) + by_ns
    return header(started_at=wall_clock_text(started), **changes)


def merged(*recordings: tuple[Header, Sequence[AnyEntry]]) -> tuple[list[AnyEntry], Merging]:
    pieces = [
        survey(f"rec{number}", head, entries, lambda entries=entries: iter(entries))  # type: ignore[misc]
        for number, (head, entries) in enumerate(recordings, 1)
    ]
    merging = Merging(strands_of(pieces))
    return list(merging.entries()), merging


def checkpoints(entries: list[AnyEntry]) -> int:
    return sum(isinstance(entry, Checkpoint) for entry in entries)


def without_clocks(entries: list[AnyEntry]) -> list[AnyEntry]:
    return [entry for entry in entries if not isinstance(entry, Clock)]


@settings(max_examples=examples(40))
@given(polite)
def test_a_merge_of_one_is_that_one(entries: list[AnyEntry]) -> None:
    source = ended(entries)
    made, merging = merged((header(), source))
    assert plain(made) == plain(source)
    assert made[-1].offset_ns == source[-1].offset_ns
    assert wall_clock_text(merging.start_ns) == header().started_at


@settings(max_examples=examples(100))
@given(
    polite.map(without_clocks),
    st.tuples(st.integers(0, 200), st.integers(0, 200), st.integers(0, 200)),
    st.booleans(),
)
def test_cuts_that_meet_are_joined_again(
    entries: list[AnyEntry], places: tuple[int, int, int], through_a_proxy: bool
) -> None:
    source = ended(proxied(entries) if through_a_proxy else entries)
    first, second, last = moments(source, [*places])
    head = header()
    cuts = []
    for from_ns, to_ns in ((first, second), (second, last)):
        started = later(from_ns).started_at
        made = ended(list(cut(source, from_ns=from_ns, to_ns=to_ns))[:-1])
        cuts.append((edited_header([head], "cut", {}, started_at=started), made))
    whole = list(cut(source, from_ns=first, to_ns=last))
    joined, _ = merged(*cuts)
    assert messages(joined) == messages(whole)
    assert told(joined) == told(whole)
    assert is_sound(joined, whole)
    if any(not isinstance(entry, Checkpoint | End) for entry in cuts[0][1]):
        assert checkpoints(joined) == checkpoints(whole)


@settings(max_examples=examples(100))
@given(
    polite.map(without_clocks),
    polite.map(without_clocks),
    st.integers(0, 20 * SECOND),
    st.integers(0, 200),
    st.booleans(),
)
def test_each_recording_says_what_it_said_when_it_did(
    one: list[AnyEntry], two: list[AnyEntry], by_ns: int, place: int, through_a_proxy: bool
) -> None:
    first = ended(proxied(one) if through_a_proxy else one)
    second = ended(cut(ended(two), from_ns=moments(two, [place])[0]))[:-1]
    made, _ = merged((header(), first), (later(by_ns, id="other"), second))
    expected = [*messages(first), *messages(second, by_ns=by_ns)]
    assert sorted(messages(made)) == sorted(expected)
    assert is_sound(made, [*first, *second])
    assert len(unknown(made)) == len(unknown(first)) + len(unknown(second))
    first_numbers = {entry.connection for entry in first if hasattr(entry, "connection")}
    assert {entry.connection for entry in made if hasattr(entry, "connection")} >= first_numbers


def test_what_has_a_number_gets_another_one_where_it_is_taken() -> None:
    line = b'{"kind":"future","seq":1,"offset_ns":0,"connection":1,"x":1.10}'
    future = UnknownEntry(kind="future", seq=1, offset_ns=0, line=line)
    made, _ = merged((header(), session()), (header(id="other"), [future, *session()]))
    assert {entry.connection for entry in made if hasattr(entry, "connection")} == {1, 2, 3, 4}
    assert {entry.exchange for entry in made if hasattr(entry, "exchange")} == {1, 2, 3, 4}
    assert [entry.line for entry in unknown(made)] == [
        line.replace(b'"connection":1', b'"connection":3')
    ]
    proxied_too = proxied(session())
    made, _ = merged((header(), session()), (header(id="other"), proxied_too))
    assert len(messages(made)) == 2 * len(messages(session()))
    legs = [entry for entry in client_legs(made) if hasattr(entry, "connection")]
    assert {entry.connection for entry in legs} == {1, 2, 3, 4}


def test_what_overlaps_is_numbered_anew_though_it_is_of_one_recording() -> None:
    made, _ = merged((header(), session()), (header(), session()))
    assert {entry.connection for entry in made if hasattr(entry, "connection")} == {1, 2, 3, 4}
    assert len(messages(made)) == 2 * len(messages(session()))


def test_alone_no_clock_is_asked() -> None:
    ahead = wall_clock_text(wall_clock_ns(header().started_at) + 9 * SECOND)
    source = [Clock(offset_ns=ms(1), wall=ahead), frame("server", b"{}", at=2)]
    assert plain(merged((header(), source))[0]) == plain(source)


def test_notes_say_where_each_recording_begins() -> None:
    made, _ = merged((header(), session()), (later(SECOND, id="other"), session()))
    notes = [(one.offset_ns, one.text) for one in made if isinstance(one, Note)]
    assert notes[0] == (
        0,
        "rec1 begins here: capture of https://track.example, started"
        " 2026-11-22T17:00:00.123456789Z, id 7d6ad6a4-5d9b-4a57-8d7e-0a5b7d2c6f10",
    )
    assert notes[1][0] == SECOND
    assert "rec2 begins here" in notes[1][1]


def test_the_wall_clock_counts_once_it_is_seen() -> None:
    head = header()
    started = wall_clock_ns(head.started_at)

    def clock(at_s: float, ahead_s: float) -> Clock:
        wall = wall_clock_text(started + round((at_s + ahead_s) * 1e9))
        return Clock(offset_ns=round(at_s * 1e9), wall=wall)

    def said(at_s: float) -> AnyEntry:
        return frame("server", b"%d" % at_s, at=at_s * 1000)

    drifting = [said(1), clock(60, 0.5), said(61), clock(120, 0.25), said(120), said(121)]
    made, merging = merged((head, drifting), (later(0, id="other"), [said(1)]))
    times = [one.offset_ns for one in made if isinstance(one, FrameEntry) and one.connection == 1]
    assert times == [SECOND, 61.5 * SECOND, 120.25 * SECOND, 121.25 * SECOND]
    assert merging.problems == []
    asleep = [said(1), clock(2, 3600), said(3)]
    made, merging = merged((head, asleep), (later(0, id="other"), [said(5)]))
    payloads = [payload for _, _, payload in messages(made)]
    assert payloads == [b"1", b"5", b"3"]
    set_back = [said(1), clock(2, -3600), said(3), clock(60, -3599.5), said(61)]
    made, merging = merged((head, set_back), (later(0, id="other"), [said(5)]))
    assert [at_ns for at_ns, _, _ in messages(made)] == [
        SECOND,
        3 * SECOND,
        5 * SECOND,
        61.5 * SECOND,
    ]
    assert merging.problems == [
        "rec1: its wall clock was set back by 3600.000 s at 2.000 s; its entries keep their pace"
    ]


def test_marks_of_one_recording_are_not_those_of_another() -> None:
    def marked(mark: str, **changes: Any) -> AnyEntry:
        made = frame("server", f"JSESSIONID=[redacted:cookie-{mark}]".encode(), redacted=True)
        return msgspec.structs.replace(made, **changes)

    named = frame("server", b"[redacted:email-1-abcd]", redacted=True)
    unmarked = frame("server", b"[redacted:cookie-1]")
    made, _ = merged(
        (header(), [marked("1"), marked("9")]),
        (header(id="other"), [marked("1"), named, unmarked]),
    )
    payloads = [payload.decode() for _, _, payload in messages(made)]
    assert payloads == [
        *("JSESSIONID=[redacted:cookie-1]", "JSESSIONID=[redacted:cookie-9]"),
        *("JSESSIONID=[redacted:cookie-10]", "[redacted:email-1-abcd]", "[redacted:cookie-1]"),
    ]
    for entry in made:
        if isinstance(entry, FrameEntry):
            assert int(entry.head[2:4], 16) == len(entry.data)


def test_a_checkpoint_in_the_middle_is_one_of_all() -> None:
    begun = list(cut(ended(session()), from_ns=ms(102.5)))
    made, _ = merged((header(), session()), (later(2 * SECOND, id="other"), begun))
    (checkpoint,) = [one for one in made if isinstance(one, Checkpoint)]
    standing = read_checkpoint(checkpoint)
    assert sorted(standing.connections) == [2, 4]
    assert [*standing.fragments] == [(4, "server")]
    assert bytes(checkpoint.positions[0]) in POSITION
    assert b'"connection":4' in bytes(checkpoint.extra["highest"])
    assert len(messages(made)) == len(messages(session())) + len(messages(begun))


def test_a_recording_that_was_resumed_ends_no_connection_of_another() -> None:
    resume = Resume(offset_ns=ms(5), wall=header().started_at, cut_bytes=7)
    resumed = [frame("server", DEVICES, at=1), resume, frame("server", DEVICES, at=6)]
    opened = session()
    begun = later(2 * SECOND, id="other")
    made, _ = merged((header(), opened), (begun, resumed))
    assert not any(isinstance(one, Resume) for one in made)
    notes = [one.text for one in made if isinstance(one, Note) and "resumed" in one.text]
    assert notes == [
        f"the recording of rec2 was resumed here, at {resume.wall}; of what was recorded before, 7"
        " bytes were lost"
    ]
    assert len(messages(made)) == len(messages(opened)) + 2
    alone, _ = merged((header(), [frame("server", b"{}")]), (begun, resumed))
    assert [one.cut_bytes for one in alone if isinstance(one, Resume)] == [7]


def test_a_recording_without_times_cannot_be_merged() -> None:
    untimed = [MessageEntry(offset_ns=None, connection=1, sender="server", opcode="text", text="x")]
    with pytest.raises(RecordingError, match="rec1 has no times, so its place"):
        merged((header(timing="none"), untimed))
    with pytest.raises(RecordingError, match="rec1: its started_at cannot be read"):
        merged((header(started_at="yesterday"), []))


def test_the_end_counts_what_was_redacted_in_all() -> None:
    def counted(number: int) -> list[AnyEntry]:
        end = End(offset_ns=number, entries=1, redaction={"cookie": number}, sha256="")
        return [end]

    made, _ = merged((header(), counted(1)), (header(id="other"), counted(2)))
    assert [(one.offset_ns, one.redaction) for one in made if isinstance(one, End)] == [
        (2, {"cookie": 3})
    ]


def test_a_merge_claims_no_more_than_the_weakest() -> None:
    secrets, none = Redaction(profile="secrets"), Redaction(profile="none")
    share = [Redaction(profile="share", key_id=key) for key in ("a", "b")]
    assert weakest([secrets, none, share[0]]).profile == "none"
    assert weakest([share[0], secrets]) == secrets
    assert weakest(share) == Redaction(profile="share", key_id=None)
    assert weakest([share[0], share[0]]) == share[0]
    assert weakest([Redaction(profile="future"), share[0]]).profile == "none"
    heads = [header(fidelity="wire"), header(fidelity="text", upstream=None, id="other")]
    made = edited_header(heads, "merge", {})
    assert (made.fidelity, made.upstream, made.mode) == ("text", None, "edit")
