"""The parts of a series, read as one and each alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import RecordingError
from recorder.model import AnyEntry, Checkpoint, End, Note, Series, UnknownEntry
from recorder.recording import Reader
from recorder.recording.joined import OpenParts
from replayer.commands.info import info_command
from replayer.commands.show import show_command
from replayer.conformance import conformance
from replayer.playing.script import load_script
from replayer.playing.timeline import Cue
from replayer.reading.checkpoints import state_of
from replayer.reading.conversation import BrokenMessage, DataMessage, Exchange, Item, converse
from replayer.reading.facts import Facts
from replayer.reading.series import SeriesReader
from replayer.reading.statistics import gather
from replayer.state import OBJECT_KINDS, State
from tests.profiles import examples
from tests.replayer.traffic import polite, recorded, rude, write_parts, write_whole

PLACES = st.lists(st.integers(0, 500), min_size=1, max_size=3)


def unnumbered(entries: Iterable[AnyEntry]) -> list[AnyEntry]:
    """The entries without their numbers and the ends of the parts."""
    return [_unnumbered(entry) for entry in entries if not isinstance(entry, End)]


def _unnumbered(entry: AnyEntry) -> AnyEntry:
    if isinstance(entry, UnknownEntry):
        return msgspec.structs.replace(entry, seq=0, line=b"")
    return msgspec.structs.replace(entry, seq=0)


def items(entries: Iterable[AnyEntry]) -> list[Item]:
    return [_bare(item) for item in converse(entries) if not isinstance(item, End | Checkpoint)]


def _bare(item: Any) -> Any:
    if isinstance(item, UnknownEntry):
        return _unnumbered(item)
    if isinstance(item, Exchange):
        heads = (item.request, item.response)
        request, response = (None if one is None else _unnumbered(one) for one in heads)
        return msgspec.structs.replace(item, seq=0, request=request, response=response)
    return msgspec.structs.replace(item, seq=0)


def read(*paths: Path) -> list[AnyEntry]:
    with SeriesReader(paths) as reader:
        entries = list(reader)
        assert reader.problems == []
        return entries


def violations(entries: Iterable[AnyEntry]) -> list[tuple[str, int | None, int | None]]:
    return [(one.rule, one.connection, one.at_ns) for one in conformance(entries)]


def facts_of(*paths: Path) -> Facts:
    with SeriesReader(paths) as reader:
        return gather(reader.header, reader)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("series")


# As one


@settings(max_examples=examples(60))
@given(entries=rude, places=PLACES, order=st.randoms(use_true_random=False))
def test_the_parts_in_any_order_read_as_the_recording_without_rotation(
    folder: Path, entries: list[AnyEntry], places: list[int], order: Any
) -> None:
    parts = write_parts(folder, entries, places)
    shuffled = parts.copy()
    order.shuffle(shuffled)
    whole = write_whole(folder / "whole.track.jsonl", entries)
    as_one = read(*shuffled)
    assert unnumbered(as_one) == unnumbered(read(whole))
    assert violations(as_one) == violations(read(whole))
    assert items(as_one) == items(read(whole))


@settings(max_examples=examples(40))
@given(entries=rude, places=PLACES)
def test_the_parts_play_and_count_as_the_recording_without_rotation(
    folder: Path, entries: list[AnyEntry], places: list[int]
) -> None:
    parts = write_parts(folder, entries, places)
    whole = write_whole(folder / "whole.track.jsonl", entries)
    one, other = load_script(*parts), load_script(whole)
    assert one.sockets == other.sockets
    for number in range(one.sockets):
        assert one.cues(number) == other.cues(number)
    for target in ("/api/devices", "/index.html", "/app.js"):
        assert one.answer("GET", target) == other.answer("GET", target)
    ends = len(parts) - 1
    facts = msgspec.structs.replace(
        facts_of(whole), entries=facts_of(whole).entries + ends, redaction={"cookie": ends + 1}
    )
    assert facts_of(*parts) == facts


# Each alone


@settings(max_examples=examples(60))
@given(entries=polite, places=PLACES)
def test_who_keeps_the_rules_keeps_them_in_each_part(
    folder: Path, entries: list[AnyEntry], places: list[int]
) -> None:
    assert violations(entries) == []
    for part in write_parts(folder, entries, places):
        assert violations(read(part)) == []


@settings(max_examples=examples(60))
@given(entries=rude, places=PLACES)
def test_a_part_shows_each_message_that_ended_in_it_whole(
    folder: Path, entries: list[AnyEntry], places: list[int]
) -> None:
    parts = write_parts(folder, entries, places)

    def said(*paths: Path) -> list[tuple[Any, ...]]:
        return [
            (item.offset_ns, item.connection, item.sender, item.opcode, item.payload)
            for item in converse(read(*paths))
            if isinstance(item, DataMessage)
        ]

    assert [one for part in parts for one in said(part)] == said(*parts)


@settings(max_examples=examples(40))
@given(entries=rude, places=PLACES)
def test_a_message_that_a_part_ends_in_is_cut_off_and_counts_as_no_broken_one(
    folder: Path, entries: list[AnyEntry], places: list[int]
) -> None:
    def broken(*paths: Path) -> list[tuple[int, str, str]]:
        return [
            (item.connection, item.sender, item.why)
            for item in converse(read(*paths))
            if isinstance(item, BrokenMessage) and not item.cut_off
        ]

    def counted(path: Path) -> int:
        return sum(each.broken_messages for each in facts_of(path).connections)

    parts = write_parts(folder, entries, places)
    assert [one for part in parts for one in broken(part)] == broken(*parts)
    assert sum(map(counted, parts)) == len(broken(*parts))


def told(cues: Iterable[Cue]) -> State:
    state = State()
    for cue in cues:
        if cue.message is not None:
            state.apply(cue.message)
    return state


def shown(state: State) -> list[list[bytes]]:
    return [sorted(state.objects(kind)) for kind in OBJECT_KINDS]


@settings(max_examples=examples(40))
@given(entries=polite, places=PLACES)
def test_who_is_played_a_part_is_told_the_state_before_it_and_ends_with_the_state_behind_it(
    folder: Path, entries: list[AnyEntry], places: list[int]
) -> None:
    everything = State()
    for part in write_parts(folder, entries, places):
        read_entries = read(part)
        first = read_entries[0]
        if isinstance(first, Checkpoint):
            assert shown(state_of(first)) == shown(everything)
        try:
            script = load_script(part)
        except RecordingError:
            script = None
        if script is not None and isinstance(first, Checkpoint):
            known = {kind: set(state_of(first).objects(kind)) for kind in OBJECT_KINDS}
            opening = script.opening
            assert all(known[kind] <= set(opening.objects(kind)) for kind in OBJECT_KINDS)
            if b"101" in bytes(b"".join(map(bytes, first.connections))):
                first_cues = [cue for cue in script.cues(0) if cue.at_ns == 0]
                greeting = state_of(first).messages()
                assert [cue.message for cue in first_cues[: len(greeting)]] == greeting
        for item in converse(read_entries):
            if isinstance(item, DataMessage) and item.sender == "server":
                everything.apply(item.payload)


# Where something is missing

STEPS = [
    ("say", 1, 0, 1_000_000_000),
    ("ping", 1, 0, 1_000_000_000),
    ("begin", 1, 15, 1_000_000_000),
    ("go_on", 1, 3, 1_000_000_000),
    ("open", 2, 0, 1_000_000_000),
    ("pong", 1, 0, 1_000_000_000),
    ("say", 1, 1, 1_000_000_000),
    ("say", 1, 2, 1_000_000_000),
]
"""Behind the five entries of a login and the two of an upgrade: a device, a PING, a message in
three fragments (the last one before the next message), with a pong in it."""


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    return write_parts(tmp_path, recorded(STEPS), [8, 9, 11])


def test_a_missing_part_is_told_and_the_checkpoint_behind_it_is_what_reading_goes_on_from(
    parts: list[Path],
) -> None:
    first, _, _, last = parts
    with SeriesReader([first, last]) as reader:
        entries = list(reader)
    assert reader.problems == [
        f"parts 2 to 3 of the series are missing, between {first} and {last}"
    ]
    (note,) = [entry for entry in entries if isinstance(entry, Note)]
    assert (note.seq, note.text) == (0, "parts 2 to 3 of the series are missing")
    assert isinstance(entries[entries.index(note) + 1], Checkpoint)
    # The message that was begun in the gap ends behind it, and the pong answers the PING in it.
    assert [item for item in items(entries) if isinstance(item, BrokenMessage)] == []
    assert violations(entries) == []
    assert reader.why_incomplete == reader.problems[0]


def test_what_was_open_before_a_gap_and_is_not_behind_it_has_ended(tmp_path: Path) -> None:
    steps = [
        ("ping", 1, 0, 0),
        ("begin", 1, 5, 1_000_000_000),
        ("note", 1, 0, 1_000_000_000),
        ("close", 1, 0, 0),
        ("note", 1, 0, 50_000_000_000),
        ("open", 1, 0, 0),
    ]
    entries = recorded(steps)
    first, _, last = write_parts(tmp_path, entries, [len(entries) - 5, len(entries) - 2])
    with SeriesReader([first, last]) as reader:
        read_entries = list(reader)
    (broken,) = [item for item in converse(read_entries) if isinstance(item, BrokenMessage)]
    assert (broken.why, broken.cut_off) == ("a message was begun and not finished", False)
    # Whether the PING was answered, nobody saw.
    assert violations(read_entries) == []
    assert facts_of(first, last).gaps == []


def test_the_first_part_that_is_there_begins_it(parts: list[Path]) -> None:
    with SeriesReader(parts[2:]) as reader:
        entries = list(reader)
    assert reader.problems == []
    assert isinstance(entries[0], Checkpoint)
    assert sum(isinstance(entry, Checkpoint) for entry in entries) == 1


def test_a_torn_part_is_told_and_its_successors_checkpoint_stays(parts: list[Path]) -> None:
    whole = parts[0].read_bytes()
    parts[0].write_bytes(whole[: whole.rindex(b'{"kind":"frame"') + 30])
    with SeriesReader(parts[:2]) as reader:
        entries = list(reader)
    torn, missing = reader.problems
    assert torn.startswith(f"{parts[0]} is torn: 30 bytes at its end could not be read")
    assert missing.startswith(f"{parts[0]} ends with entry ")
    assert [entry.text for entry in entries if isinstance(entry, Note)] == [
        "entries 8 to 9 of the series are missing"
    ]
    assert any(isinstance(entry, Checkpoint) for entry in entries)


def test_a_part_that_was_changed_is_told_and_nothing_is_missing(parts: list[Path]) -> None:
    parts[1].write_bytes(parts[1].read_bytes().replace(b'"sha256":"', b'"sha256":"0'))
    with SeriesReader(parts) as reader:
        entries = list(reader)
    (problem,) = reader.problems
    assert problem.startswith(f"{parts[2]} goes on from a part whose sha256 is another than that")
    assert not any(isinstance(entry, Checkpoint | Note) for entry in entries)
    assert f"{parts[1]}: its sha256" in (reader.why_incomplete or "")


def test_a_series_that_begins_anew_is_told(parts: list[Path], tmp_path: Path) -> None:
    # Its second part is of another run, which counts its entries from 1.
    with Reader(parts[0]) as reader:
        series = Series(id=reader.header.id, part=2)
    other = write_whole(tmp_path / "other", recorded(STEPS), series=series)
    with SeriesReader([parts[0], other]) as both:
        entries = list(both)
    assert both.problems == [
        f"{parts[0]} ends with entry 9, and {other} begins with 1: expected 10"
    ]
    assert [entry.text for entry in entries if isinstance(entry, Note)] == [
        "the series begins anew with entry 1"
    ]


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    entries = recorded(STEPS)
    first, second = write_parts(tmp_path, entries, [8])
    later = "2026-11-22T18:00:00.123456789Z"
    _, other = write_parts(tmp_path, entries, [8], started_at=later)
    alone = write_whole(tmp_path / "alone.track.jsonl", entries)
    for paths, problem in (
        ([alone, alone], f"{alone} is no part of a series"),
        ([first, alone], f"{alone} is no part of a series"),
        ([first, second, first], f"{first} and {first} are both part 1"),
        ([first, other], f"{other} is part of another series than {first}"),
    ):
        with pytest.raises(RecordingError, match=re.escape(problem)):
            SeriesReader(paths)


def test_a_part_whose_recorder_died_before_it_wrote_the_end_misses_nothing(
    parts: list[Path],
) -> None:
    whole = parts[0].read_bytes()
    for cut in (whole.rindex(b'{"kind":"end"'), whole.rindex(b'{"kind":"end"') + 20):
        parts[0].write_bytes(whole[:cut])
        with SeriesReader(parts) as reader:
            entries = list(reader)
        assert not any(isinstance(entry, Checkpoint | Note) for entry in entries)
        assert f"{parts[0]}: there is no `end`" in (reader.why_incomplete or "")


@settings(max_examples=examples(30))
@given(entries=polite, places=PLACES)
def test_parts_that_a_flight_recorder_saved_read_alone(
    folder: Path, entries: list[AnyEntry], places: list[int]
) -> None:
    parts = write_parts(folder, entries, places)
    saved = parts[0].with_name("saved.track.jsonl")
    with OpenParts(parts[1:]) as last:
        last.save(saved)
    assert violations(read(saved)) == []
    assert items(read(saved)) == items(read(*parts[1:]))
    assert facts_of(saved).from_ns == facts_of(*parts[1:]).from_ns


def test_one_recording_reads_as_itself(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "a.track.jsonl", recorded(STEPS))
    with SeriesReader([path]) as one, Reader(path) as other:
        assert list(one) == list(other)
        assert (one.name, one.header, one.torn) == (other.name, other.header, other.torn)
        assert one.why_incomplete is None
        assert one.problems == []


# In words

SHOWN = """\
    6.000  - -- -      checkpoint       -  goes on: socket 1, 1 connection of HTTP, 1 begun message; known: 1 device, 0 beacons, 0 positions
    7.000  1 <- text   devices         51  1 device: one 1 (2 fragments)
    7.000  1 <- text   positions       49  device 2, rssi -64
    8.000  1 <- text   beacons         42  1 beacon: room
    8.000  1 -- -      closed           -  by client, eof
    8.000  2 -- -      closed           -  by client, eof
"""  # noqa: E501

CUT_OFF = """\
    4.000  - -- -      checkpoint       -  goes on: socket 1, 1 begun message, 1 unanswered PING; known: 1 device, 0 beacons, 0 positions
    6.000  1 -> text   pong            41  a0b34365-908f-4868-a52a-000000000001
    6.000  1 <- -      broken           -  no message: the recording ends in it
"""  # noqa: E501

PAGE = """\
  recorded    2026-11-22T17:00:00.123456789Z, capture, tracktape 0.1.0
  upstream    https://track.example
  series      part 3 of 7d6ad6a4-5d9b-4a57-8d7e-0a5b7d2c6f10
  fidelity    wire, timing measured
  redaction   profile secrets: 0 redacted entries (1 cookie)
  duration    2.000s, from 4.000s on
  entries     4
  complete    yes, its sha256 is right

messages                             count         bytes
  client  pong                           1            41
  all                                    1            41

rate        0.50 messages/s, 1 in the busiest second (from 6.000s)

connection 1  127.0.0.1:5
  open        before 4.000 s to the end
  handshake   101
  server      0 messages, 0 bytes
  client      1 message, 41 bytes
  PINGs       1 sent, 1 answered in time, 0 unanswered
  round trip  4000.0 / 4000.0 / 4000.0 ms (shortest / mean / longest)

connection 2  127.0.0.1:5
  open        5.000 s to the end
"""


def run(command: Any, *arguments: object) -> Any:
    result = CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_show_shows_a_part_from_its_checkpoint_on(parts: list[Path]) -> None:
    assert run(show_command, parts[2]).stdout == CUT_OFF
    assert run(show_command, parts[3]).stdout == SHOWN


def test_show_shows_parts_as_one_recording(parts: list[Path], tmp_path: Path) -> None:
    whole = write_whole(tmp_path / "whole.track.jsonl", recorded(STEPS))
    shown = run(show_command, *parts)
    assert shown.stdout == run(show_command, whole).stdout
    assert shown.stderr == ""


def test_show_tells_of_a_missing_part_in_its_place_and_at_the_end(parts: list[Path]) -> None:
    shown = run(show_command, parts[0], parts[2])
    lines = shown.stdout.splitlines()
    at = lines.index("    3.000  - -- -      note             -  part 2 of the series is missing")
    assert lines[at + 1].startswith("    4.000  - -- -      checkpoint")
    assert shown.stderr.splitlines() == [
        f"part 2 of the series is missing, between {parts[0]} and {parts[2]}"
    ]


def test_info_tells_of_a_part(parts: list[Path]) -> None:
    assert run(info_command, parts[2]).stdout == f"{parts[2]}\n{PAGE}"


def test_info_tells_of_parts_as_one_recording(parts: list[Path]) -> None:
    lines = run(info_command, *parts).stdout.splitlines()
    assert lines[:4] == list(map(str, parts))
    assert "  series      part 1 and 3 more of 7d6ad6a4-5d9b-4a57-8d7e-0a5b7d2c6f10" in lines
    assert "  complete    yes, its sha256 is right" in lines
    shown = json.loads(run(info_command, *parts, "--json").stdout)
    assert shown["parts"] == list(map(str, parts))
    assert (shown["recording"], shown["why_incomplete"]) == (str(parts[0]), None)


def test_info_tells_what_is_missing_between_parts(parts: list[Path]) -> None:
    shown = json.loads(run(info_command, parts[0], parts[2], "--json").stdout)
    assert shown["why_incomplete"] == (
        f"part 2 of the series is missing, between {parts[0]} and {parts[2]}"
    )


def test_info_tells_of_the_times_in_which_no_socket_was_open(tmp_path: Path) -> None:
    steps = [
        ("say", 1, 0, 1_000_000_000),
        ("close", 1, 0, 0),
        ("note", 1, 0, 4_200_000_000),
        ("open", 1, 0, 0),
        ("upgrade", 1, 0, 0),
        ("answer", 1, 0, 0),
        ("say", 1, 0, 0),
    ]
    path = write_whole(tmp_path / "a.track.jsonl", recorded(steps))
    lines = run(info_command, path).stdout.splitlines()
    at = lines.index("gaps        1 in which no socket was open, the longest:")
    assert lines[at + 1] == "        4.200s from 1.000s"
    assert [line for line in lines if line.startswith(("connection", "  open"))] == [
        "connection 1  127.0.0.1:5",
        "  open        0.000 s to 1.000 s",
        "connection 1  127.0.0.1:5",
        "  open        5.200 s to 5.200 s",
    ]
