"""The flight recorder: only the last minutes, and what just happened as a recording of its own."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.checkpoint import SoFar
from recorder.errors import DiskFailed, OutputExists, RecordingError
from recorder.model import Checkpoint, Clock, End, KnownEntry, Note, UnknownEntry
from recorder.recording import FlightRecorder, OpenParts, Rotation, Series, find_parts, part_path
from recorder.recording.zstd_frames import Block, read_blocks
from tests.profiles import examples
from tests.recording.files import NoSync, read, traffic
from tests.recording.test_series import bare, fresh
from tests.strategies import make_header

AnyEntry = KnownEntry | UnknownEntry

SECOND_NS = 10**9
WALL_NS = 1_795_366_800 * SECOND_NS
SUFFIXES = [".track.jsonl", ".track.jsonl.zst"]


def start(path: Path, keep_s: float = 60.0) -> FlightRecorder:
    flight, left = FlightRecorder.open(
        path, make_header(), SoFar(), round(keep_s * 1e9), file_of=NoSync, clock=lambda: 0
    )
    assert left is None
    return flight


def note(at_s: float) -> Note:
    return Note(offset_ns=round(at_s * 1e9), text=f"at {at_s}")


def save(flight: FlightRecorder, wall_ns: int = WALL_NS) -> tuple[list[AnyEntry], Path]:
    saved = flight.save(flight.begin_save(), wall_ns)
    found, reader = read(saved.path)
    assert reader.complete
    assert reader.header.series is None
    assert len(found) == saved.entries + 1
    first, last = found[0].offset_ns or 0, found[-1].offset_ns or 0
    assert saved.seconds == pytest.approx((last - first) / 1e9)
    return found, saved.path


@given(
    st.floats(10, 100),
    st.lists(st.floats(0, 30), max_size=60),
    st.sampled_from(SUFFIXES),
)
@settings(max_examples=examples(20))
def test_the_last_seconds_are_kept_and_at_most_a_tenth_more(
    tmp_path_factory: pytest.TempPathFactory, keep_s: float, pauses_s: list[float], suffix: str
) -> None:
    path = fresh(tmp_path_factory) / f"a{suffix}"
    flight = start(path, keep_s)
    now_s = 0.0
    written: list[float] = []
    for pause_s in pauses_s:
        # Every quarter of a second, as the sink does.
        for _ in range(int(pause_s / 0.25)):
            now_s += 0.25
            flight.series.tick(round(now_s * 1e9))
        written.append(now_s)
        flight.series.write(note(now_s))
    found, _ = save(flight)
    kept = [(entry.offset_ns or 0) / 1e9 for entry in found if isinstance(entry, Note)]
    assert kept == pytest.approx(written[len(written) - len(kept) :])
    assert [at_s for at_s in written if at_s > now_s - keep_s] == pytest.approx(
        [at_s for at_s in kept if at_s > now_s - keep_s]
    )
    assert all(at_s >= now_s - keep_s * 1.1 - 0.25 for at_s in kept)
    flight.series.close()
    flight.discard()
    flight.close()


@given(traffic(), traffic(max_size=5), st.sampled_from(SUFFIXES), st.integers(1, 2 * SECOND_NS))
@settings(max_examples=examples(12))
def test_what_is_saved_is_the_end_of_the_recording_and_plays_alone(
    tmp_path_factory: pytest.TempPathFactory,
    entries: list[AnyEntry],
    after: list[AnyEntry],
    suffix: str,
    keep_ns: int,
) -> None:
    path = fresh(tmp_path_factory) / f"a{suffix}"
    entries = [entry for entry in entries if not isinstance(entry, Checkpoint)]
    flight = start(path, keep_ns / 1e9)
    for entry in entries:
        flight.series.write(entry)
        flight.series.tick(entry.offset_ns or 0)
    found, saved_as = save(flight)
    assert saved_as.name == f"a-20261122T170000Z{suffix}"
    assert [entry.seq for entry in found] == list(range(1, len(found) + 1))
    *own, end = found
    assert isinstance(end, End)
    first = None
    if len(own) < len(entries) or (own and isinstance(own[0], Checkpoint)):
        first = own.pop(0)
    assert bare(own) == bare(entries[len(entries) - len(own) :])
    if first is not None and len(own) < len(entries):
        so_far = SoFar()
        for entry in entries[: len(entries) - len(own)]:
            so_far.feed(entry)
        assert bare([first]) == bare([so_far.checkpoint(first.offset_ns)])
    # Recording goes on, and at the end everything is saved.
    at_ns = flight.series.offset_ns or 0
    flight.series.write(Clock(offset_ns=at_ns, wall=""))
    flight.series.close()
    again = read(flight.save_all(WALL_NS).path)[0]
    assert bare(again)[-2] == bare([Clock(offset_ns=at_ns, wall="")])[0]
    flight.close()
    assert sorted(os.listdir(path.parent)) == sorted(
        [saved_as.name, f"a-20261122T170000Z-2{suffix}"]
    )


def test_what_the_ring_removes_meanwhile_is_saved_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    flight = start(path, 20)
    for at_s in range(60):
        flight.series.write(note(at_s))
    parts = flight.begin_save()
    for at_s in range(60, 200):
        flight.series.write(note(at_s))
        flight.series.tick(at_s * SECOND_NS)
    saved = flight.save(parts, WALL_NS)
    kept = [entry for entry in read(saved.path)[0] if isinstance(entry, Note)]
    assert [entry.text for entry in kept] == [f"at {at_s}" for at_s in range(60)]
    flight.series.close()
    flight.discard()
    flight.close()


def test_a_removed_part_is_gone_from_the_disk(tmp_path: Path) -> None:
    flight = start(tmp_path / "a", 20)
    for at_s in range(200):
        flight.series.write(note(at_s))
        flight.series.tick(at_s * SECOND_NS)
        assert len(find_parts(tmp_path / "a.ring" / "a")) <= 22
    flight.series.close()
    flight.discard()
    flight.close()
    assert os.listdir(tmp_path) == []


def test_redaction_is_counted_over_what_is_saved(tmp_path: Path) -> None:
    flight = start(tmp_path / "a.track.jsonl", 20)
    counts: dict[str, int] = {}
    flight.series.counts = lambda: counts
    for at_s in range(100):
        flight.series.write(note(at_s))
        flight.series.tick(at_s * SECOND_NS)
        counts["email"] = at_s + 1
    end = save(flight)[0][-1]
    assert isinstance(end, End)
    assert 20 <= end.redaction["email"] <= 23
    flight.series.close()
    flight.discard()
    flight.close()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("torn_bytes", [0, 1, 40])
def test_what_a_dead_recorder_left_is_saved_at_the_next_start(
    tmp_path: Path, suffix: str, torn_bytes: int
) -> None:
    path = tmp_path / f"a{suffix}"
    flight = start(path)
    for at_s in range(30):
        flight.series.write(note(at_s))
    flight.series.abort()
    flight.close()
    ring = tmp_path / f"{path.name}.ring"
    last = find_parts(ring / path.name)[-1][1]
    os.truncate(last, last.stat().st_size - torn_bytes)
    (ring / f"saving-0123{suffix}").write_text("half a recording")
    # Made, and nothing in it yet.
    part_path(ring / path.name, 99).touch()
    os.utime(last, ns=(WALL_NS, WALL_NS))

    again, left = FlightRecorder.open(
        path, make_header(), SoFar(), 60 * SECOND_NS, file_of=NoSync, clock=lambda: 0
    )
    assert left is not None
    assert left.path == tmp_path / f"a-20261122T170000Z{suffix}"
    found, reader = read(left.path)
    assert reader.complete
    kept = [entry.text for entry in found if isinstance(entry, Note)]
    assert kept[-1].startswith("saved after the recorder died")
    assert kept[:-1] == [f"at {at_s}" for at_s in range(len(kept) - 1)]
    assert len(kept) - 1 >= (30 if not torn_bytes else 29 if suffix == SUFFIXES[0] else 0)
    assert [number for number, _ in find_parts(ring / path.name)] == [1]
    assert not list(ring.glob("saving-*"))
    again.series.close()
    again.discard()
    again.close()


@pytest.mark.parametrize("last_too", [False, True])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_damaged_in_what_is_saved_is_counted_and_told(
    tmp_path: Path, suffix: str, last_too: bool
) -> None:
    path = tmp_path / f"a{suffix}"
    series = Series.create(
        path, make_header(), SoFar(), Rotation(size_bytes=1_000), file_of=NoSync, clock=lambda: 0
    )
    for at_s in range(50):
        series.write(note(at_s))
    series.close()
    found = [part for _, part in find_parts(path)]
    whole = len(found)
    assert whole > 3
    with OpenParts(found) as parts:
        saved = parts.save(tmp_path / "whole")
    assert (saved.damaged, saved.words) == (0, "50 entries, 49.0 s")
    # The end of a part is gone; of the last one, that is what a recorder that died leaves.
    for part in (found[1], *([found[-1]] if last_too else [])):
        os.truncate(part, part.stat().st_size - 30)
    if suffix == SUFFIXES[0]:
        data = found[2].read_bytes().splitlines(keepends=True)
        data[3] = b"\0" * (len(data[3]) - 1) + b"\n"
        found[2].write_bytes(b"".join(data))
    expected = 2 if suffix == SUFFIXES[0] else 1
    with OpenParts(found) as parts:
        saved = parts.save(tmp_path / f"b{suffix}", note="saved")
    entries, reader = read(saved.path)
    assert reader.complete
    assert saved.damaged == expected
    said = [entry.text for entry in entries if isinstance(entry, Note)][-2:]
    assert said[0] == "saved"
    assert said[1].endswith("left out: entries are missing")
    assert said[1].startswith("a damaged place" if expected == 1 else "2 damaged places")
    assert saved.words.endswith(said[1])
    assert len(entries) == saved.entries + 1


def test_a_damaged_frame_in_what_is_saved_is_told_and_what_follows_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl.zst"
    flight = start(path)
    flight.series.write(note(1))
    flight.begin_save().__exit__(None, None, None)
    flight.series.write(Note(offset_ns=2 * SECOND_NS, text=os.urandom(700_000).hex()))
    flight.series.write(note(3))
    flight.series.flush()
    flight.series.write(note(4))
    flight.begin_save().__exit__(None, None, None)
    second = find_parts(tmp_path / f"{path.name}.ring" / path.name)[1][1]
    with second.open("r+b") as file:
        block = [event for event in read_blocks(file) if isinstance(event, Block)][3]
        file.seek(block.position)
        # A block of the kind that RFC 8878 section 3.1.1.2.2 reserves.
        file.write(b"\xff\xff\xff")
    found, _ = save(flight)
    said = [entry.text for entry in found if isinstance(entry, Note)]
    assert said == ["at 1", "at 3", "at 4", "a damaged place was left out: entries are missing"]
    # Also where it is the last part, of which a torn end would be nothing new.
    with OpenParts([second]) as parts:
        assert parts.save(tmp_path / "b").damaged == 1
    flight.series.close()
    flight.discard()
    flight.close()


def test_a_folder_belongs_to_one_recorder(tmp_path: Path) -> None:
    flight = start(tmp_path / "a")
    with pytest.raises(OutputExists, match="in use by another recorder"):
        start(tmp_path / "a")
    flight.series.close()
    flight.discard()
    flight.close()
    again = start(tmp_path / "a")
    again.series.close()
    again.discard()
    again.close()


def test_a_folder_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(OutputExists, match="No such file"):
        start(tmp_path / "none" / "a")
    (tmp_path / "a.ring").touch()
    with pytest.raises(OutputExists, match="cannot be made: File exists"):
        start(tmp_path / "a")


def test_what_is_no_part_is_left_and_told(tmp_path: Path) -> None:
    (tmp_path / "a.ring").mkdir()
    letter = part_path(tmp_path / "a.ring" / "a", 1)
    letter.write_text("Dear reader,")
    with pytest.raises(RecordingError, match="no recording"):
        start(tmp_path / "a")
    assert letter.read_text() == "Dear reader,"


def test_a_save_that_fails_is_told_and_recording_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    flight = start(tmp_path / "a")
    flight.series.write(note(1))
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        with pytest.raises(DiskFailed, match=r"not permitted; what was saved is in .*saving-"):
            save(flight)
    flight.series.write(note(2))
    found, _ = save(flight)
    assert [entry.text for entry in found if isinstance(entry, Note)] == ["at 1", "at 2"]
    flight.series.close()
    flight.discard()
    flight.close()


def test_parts_of_a_rotated_recording_join_to_one_that_is_equal(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    series = Series.create(
        path, make_header(), SoFar(), Rotation(size_bytes=1_000), file_of=NoSync, clock=lambda: 0
    )
    series.counts = lambda: {"email": series.part}
    for at_s in range(50):
        series.write(note(at_s))
    series.close({"email": 99})
    with OpenParts([part for _, part in find_parts(path)]) as parts:
        saved = parts.save(tmp_path / "b.track.jsonl.zst")
    found, reader = read(saved.path)
    assert reader.complete
    assert bare(found[:-1]) == bare([note(at_s) for at_s in range(50)])
    assert isinstance(found[-1], End)
    assert found[-1].redaction == {"email": 99}
    assert (saved.entries, saved.seconds) == (50, 49.0)
