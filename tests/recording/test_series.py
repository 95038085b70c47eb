"""A recording in parts: together they are the whole, and each part is a recording of its own."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.checkpoint import SoFar
from recorder.errors import CannotRead, DiskFailed, OutputExists, RecordingError
from recorder.model import Checkpoint, End, FrameEntry, KnownEntry, Note, Resume, UnknownEntry
from recorder.recording import (
    Reader,
    Rotation,
    Series,
    encode_entry,
    find_parts,
    name_and_suffix,
    part_path,
    with_seq,
)
from recorder.wire.frames import Frame, Opcode
from tests.profiles import examples
from tests.recording.files import NoSync, read, traffic
from tests.strategies import WALL, frame_entry, make_header

AnyEntry = KnownEntry | UnknownEntry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    return tmp_path


def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder for each example of a property."""
    folder = tmp_path_factory.getbasetemp() / "series"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def make(
    path: Path,
    rotation: Rotation,
    *,
    file_of: Callable[[int], NoSync] = NoSync,
    counts: Callable[[], dict[str, int]] = dict,
) -> Series:
    series = Series.create(path, make_header(), SoFar(), rotation, file_of=file_of, clock=lambda: 0)
    series.counts = counts
    return series


def parts_of(path: Path) -> list[tuple[list[AnyEntry], Reader]]:
    return [read(part) for _, part in find_parts(path)]


def bare(entries: list[AnyEntry]) -> list[bytes]:
    """Entries as lines, without the numbers that they got."""
    return [encode_entry(with_seq(entry, 0)) for entry in entries]


rotations = st.builds(
    Rotation,
    size_bytes=st.none() | st.integers(300, 3_000),
    every_ns=st.none() | st.sampled_from([1, 10**8, 3 * 10**9]),
)
suffixes = st.sampled_from([".track.jsonl", ".track.jsonl.zst", ""])


@given(traffic(), rotations, suffixes, st.integers(1, 5))
@settings(max_examples=examples(60))
def test_the_parts_together_are_the_recording_and_each_plays_alone(
    tmp_path_factory: pytest.TempPathFactory,
    entries: list[AnyEntry],
    rotation: Rotation,
    suffix: str,
    flush_every: int,
) -> None:
    path = fresh(tmp_path_factory) / f"a{suffix}"
    series = make(path, rotation)
    written = []
    for number, entry in enumerate(entries):
        written.append(series.write(entry))
        if number % flush_every == 0:
            series.flush()
    series.close()
    assert bare(written) == bare(entries)

    so_far = SoFar()
    joined: list[AnyEntry] = []
    lines = 0
    previous: str | None = None
    for number, (found, reader) in enumerate(parts_of(path), 1):
        header = reader.header
        assert reader.complete
        assert header == make_header(series=header.series)
        assert header.series is not None
        assert (header.series.id, header.series.part) == (make_header().id, number)
        assert header.series.previous_sha256 == previous
        assert [entry.seq for entry in found] == list(range(lines + 1, lines + len(found) + 1))
        lines += len(found)
        *own, end = found
        assert isinstance(end, End)
        previous = end.sha256
        if number > 1:
            assert own.pop(0) == msgspec.structs.replace(
                so_far.checkpoint(found[0].offset_ns), seq=found[0].seq
            )
            assert own, "a part was begun for nothing"
        for entry in own:
            so_far.feed(entry)
        joined += own
    assert joined == written


@given(traffic(), st.integers(300, 2_000), st.integers(0, 8))
@settings(max_examples=examples(60))
def test_what_is_on_the_disk_stays_below_the_limit_at_every_moment(
    tmp_path_factory: pytest.TempPathFactory,
    entries: list[AnyEntry],
    size_bytes: int,
    more: int,
) -> None:
    path = fresh(tmp_path_factory) / "a.track.jsonl"
    limit_bytes = 3 * size_bytes + more * 1_000
    rotation = Rotation(size_bytes=size_bytes, max_disk_bytes=limit_bytes)

    class Watching(NoSync):
        def write(self, data: memoryview, position: int) -> int:
            written = super().write(data, position)
            found = find_parts(path)
            total_bytes = sum(part.stat().st_size for _, part in found)
            # The part that is written, the one that follows it, and a whole one.
            assert total_bytes <= limit_bytes or len(found) <= 3
            return written

    series = make(path, rotation, file_of=Watching)
    for entry in entries:
        series.write(entry)
        if entry.offset_ns and entry.offset_ns % 2:
            series.flush()
    series.close()
    found = parts_of(path)
    numbers = [reader.header.series.part for _, reader in found if reader.header.series]
    assert numbers == list(range(numbers[0], series.part + 1))
    assert series.ring.removed == numbers[0] - 1
    assert len(found) >= min(2, series.part)
    for _, reader in found:
        assert reader.complete


def long(number: int = 0, *, size: int = 300) -> Note:
    return Note(offset_ns=number, text=f"{number:0{size}}")


def test_a_part_that_was_removed_is_told_in_the_next_one(folder: Path) -> None:
    path = folder / "a.track.jsonl"
    series = make(path, Rotation(size_bytes=1_000, max_disk_bytes=3_500))
    for number in range(40):
        series.write(long(number))
        series.flush()
    series.close()
    found = parts_of(path)
    texts = [
        entry.text for own, _ in found for entry in own if isinstance(entry, Note) and entry.seq
    ]
    told = [text for text in texts if "removed" in text]
    assert told
    assert told[-1].endswith("removed, so that all parts take at most 3500 bytes")
    assert series.ring.removed > 3


@pytest.mark.parametrize("devices", [0, 200])
def test_every_part_that_was_removed_is_told_once_whichever_write_it_gave_way_to(
    folder: Path, devices: int
) -> None:
    # With 200 devices most of a part is its checkpoint: parts give way when the next one is begun.
    path = folder / "a.track.jsonl"
    series = make(path, Rotation(every_ns=10, max_disk_bytes=60_000))
    objects = ",".join(f'{{"id":{number},"name":"{"x" * 50}"}}' for number in range(devices))
    series.write(frame_entry(f'{{"devices":[{objects}]}}'))
    told: list[int] = []

    def note_what_is_told() -> None:
        found, _ = read(part_path(path, series.part))
        for note in found:
            if isinstance(note, Note) and "removed" in note.text:
                first, *last = map(int, re.findall("[0-9]+", note.text.split(" removed")[0]))
                told.extend(range(first, max(first, *last, 0) + 1))

    for number in range(300):
        part = series.part
        series.write(long(number))
        if series.part != part:
            note_what_is_told()
        series.flush()
    removed = series.ring.removed
    assert removed > 3
    series.cut(300)
    note_what_is_told()
    assert told == list(range(1, len(told) + 1))
    assert len(told) >= removed


def test_what_somebody_put_in_the_place_of_a_part_is_never_removed(folder: Path) -> None:
    path = folder / "a.track.jsonl"
    series = make(path, Rotation(size_bytes=1_000, max_disk_bytes=4_000))
    number = 0
    while series.part < 3:
        series.write(long(number := number + 1))
        series.flush()
    part_path(path, 1).write_text("my letters")
    other = make(folder / "b.track.jsonl", Rotation())
    other.close()
    part_path(path, 2).unlink()
    os.link(part_path(folder / "b.track.jsonl", 1), part_path(path, 2))
    for _ in range(60):
        series.write(long(number := number + 1))
        series.flush()
    series.close()
    assert part_path(path, 1).read_text() == "my letters"
    assert part_path(path, 2).exists()
    assert series.ring.foreign == [part_path(path, 1), part_path(path, 2)]
    assert not part_path(path, 3).exists()


def test_a_cut_waits_for_the_end_of_a_message_but_not_for_ever(folder: Path) -> None:
    def piece(opcode: Opcode, at_ns: int, text: str = "x", *, fin: bool = False) -> FrameEntry:
        frame = Frame.make(opcode, text.encode(), fin=fin)
        return FrameEntry.of(frame, connection=1, sender="server", offset_ns=at_ns)

    second_ns = 10**9
    path = folder / "a.track.jsonl"
    series = make(path, Rotation(every_ns=10 * second_ns))
    series.write(piece(Opcode.TEXT, 0, "{"))
    series.write(piece(Opcode.CONTINUATION, int(10.5 * second_ns), "}", fin=True))
    assert series.part == 1
    series.write(piece(Opcode.TEXT, int(10.6 * second_ns), "{"))
    assert series.part == 2
    series.write(piece(Opcode.CONTINUATION, int(21.5 * second_ns), '"a"'))
    assert series.part == 2
    series.write(piece(Opcode.CONTINUATION, int(21.7 * second_ns), ":"))
    assert series.part == 3
    series.close()
    checkpoint = parts_of(path)[2][0][0]
    assert isinstance(checkpoint, Checkpoint)
    assert [bytes(raw) for raw in checkpoint.fragments] == [
        b'{"connection":1,"sender":"server","opcode":"text","text":"{\\"a\\""}'
    ]


def test_time_alone_ends_a_part_that_holds_something(folder: Path) -> None:
    series = make(folder / "a.track.jsonl", Rotation(every_ns=100))
    series.tick(1_000)
    assert series.part == 1
    series.write(long(5))
    series.tick(104)
    assert series.part == 1
    series.tick(105)
    assert series.part == 2
    series.tick(1_000)
    assert series.part == 2
    # What redaction held comes later than its offset.
    series.write(long(6))
    series.close()
    assert [len(own) for own, _ in parts_of(folder / "a.track.jsonl")] == [2, 3]


def test_a_big_checkpoint_does_not_end_a_part_at_once(folder: Path) -> None:
    path = folder / "a.track.jsonl"
    series = make(path, Rotation(size_bytes=2_000))
    devices = ",".join(f'{{"id":{number},"name":"{"x" * 50}"}}' for number in range(200))
    series.write(frame_entry(f'{{"devices":[{devices}]}}'))
    for _ in range(100):
        series.write(long(1))
    series.close()
    assert series.part < 6


def test_each_end_counts_what_was_redacted_in_its_part(folder: Path) -> None:
    counts: dict[str, int] = {}
    series = make(folder / "a", Rotation(size_bytes=300), counts=lambda: counts)
    for number, now in enumerate([{"email": 1}, {"email": 3}, {"email": 3, "cookie": 2}], 1):
        series.write(long(number))
        counts = now
        series.cut(number)
    series.close({"email": 4, "cookie": 2})
    ends = [own[-1] for own, _ in parts_of(folder / "a")]
    assert [end.redaction for end in ends if isinstance(end, End)] == [
        {"email": 1},
        {"email": 2},
        {"cookie": 2},
        {"email": 1},
    ]


def test_parts_sort_by_their_names(folder: Path) -> None:
    for name, first in (
        ("a.track.jsonl", "a.000001.track.jsonl"),
        ("a.track.jsonl.zst", "a.000001.track.jsonl.zst"),
        ("a.b.jsonl", "a.b.000001.jsonl"),
        ("day", "day.000001"),
        (".jsonl", ".jsonl.000001"),
    ):
        assert part_path(folder / name, 1).name == first
    path = folder / "a.track.jsonl"
    names = [part_path(path, number).name for number in (1, 9, 10, 99_999, 999_999)]
    assert names == sorted(names)
    for name in (*names, "a.00001.track.jsonl", "a.000001.track.jsonl.zst", "b.000001.track.jsonl"):
        (folder / name).touch()
    assert [number for number, _ in find_parts(path)] == [1, 9, 10, 99_999, 999_999]
    assert find_parts(folder / "none" / "a") == []
    assert name_and_suffix(Path("x/a.track.jsonl.zst")) == ("a", ".track.jsonl.zst")


def test_a_name_that_is_taken_is_refused(folder: Path) -> None:
    path = folder / "a.track.jsonl"
    part_path(path, 7).touch()
    with pytest.raises(OutputExists, match=r"a\.000007\.track\.jsonl exists already"):
        make(path, Rotation())
    path.touch()
    with pytest.raises(OutputExists, match=r"a\.track\.jsonl exists already"):
        make(path, Rotation())


# A disk that is full, or fails


class Limited(NoSync):
    """Files of a disk with room for so many bytes in all."""

    room_bytes = 0

    def write(self, data: memoryview, position: int) -> int:
        if not Limited.room_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = super().write(data[: Limited.room_bytes], position)
        Limited.room_bytes -= written
        return written


@given(st.integers(0, 5_000), suffixes)
@settings(max_examples=examples(60))
def test_a_disk_that_is_full_at_any_byte_leaves_what_was_flushed(
    tmp_path_factory: pytest.TempPathFactory, room_bytes: int, suffix: str
) -> None:
    path = fresh(tmp_path_factory) / f"a{suffix}"
    Limited.room_bytes = 10_000
    series = make(path, Rotation(size_bytes=700), file_of=Limited)
    Limited.room_bytes = room_bytes
    flushed = 0

    def record_for_ever() -> None:
        nonlocal flushed
        while True:
            series.write(Note(offset_ns=flushed, text=os.urandom(40).hex()))
            series.flush()
            flushed += 1

    with pytest.raises(DiskFailed, match="No space left on device"):
        record_for_ever()
    for refused in (lambda: series.write(long(10**9)), series.flush, series.sync, series.close):
        with pytest.raises(DiskFailed):
            refused()
    series.abort()
    found = [entry for own, _ in parts_of(path) for entry in own if isinstance(entry, Note)]
    assert [entry.offset_ns for entry in found][:flushed] == list(range(flushed))
    for own, reader in parts_of(path)[:-1]:
        assert reader.complete, own
    # It can be gone on with.
    Limited.room_bytes = 10**6
    again = Series.resume(path, SoFar(), Rotation(size_bytes=700), wall=WALL, file_of=NoSync)
    again.write(long(again.offset_ns or 0))
    again.close()
    for _, reader in parts_of(path):
        assert reader.complete


def test_a_part_that_cannot_be_made_is_told_and_the_one_before_is_intact(folder: Path) -> None:
    path = folder / "a.track.jsonl"
    series = make(path, Rotation(size_bytes=500))
    part_path(path, 2).write_text("mine")
    series.write(long(1))
    series.write(long(2))
    with pytest.raises(DiskFailed, match=r"next part cannot be begun: .*000002.* exists already"):
        series.write(long(3))
    with pytest.raises(DiskFailed):
        series.write(long(3))
    series.abort()
    assert part_path(path, 2).read_text() == "mine"
    assert [entry.offset_ns for entry in read(part_path(path, 1))[0]] == [1, 2]


def test_a_part_that_cannot_be_removed_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    series = make(folder / "a", Rotation(size_bytes=300, max_disk_bytes=1_000))
    monkeypatch.setattr(os, "unlink", refuse)

    def record() -> None:
        for number in range(20):
            series.write(long(number))
            series.flush()

    with pytest.raises(DiskFailed, match="cannot be removed, to make room"):
        record()
    with pytest.raises(DiskFailed):
        series.write(long(30))
    series.abort()


def test_a_part_is_synced_after_it_was_ended_and_then_closed(folder: Path) -> None:
    log: list[str] = []

    class Noting(NoSync):
        def __init__(self, descriptor: int) -> None:
            super().__init__(descriptor)
            self.name = os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))

        def sync(self) -> None:
            log.append(f"sync {self.name}")

        def close(self) -> None:
            log.append(f"close {self.name}")
            super().close()

    series = make(folder / "a", Rotation(size_bytes=300), file_of=Noting)
    log.clear()
    assert series.sync_due_ns is None
    series.write(long(1, size=900))
    series.write(long(2))
    # Cutting waits for no disk.
    assert log == []
    assert series.sync_due_ns == 10**9
    series.sync()
    name = folder.name
    assert log == [
        "sync a.000001",
        "close a.000001",
        "sync a.000002",
        f"sync {name}",
        f"close {name}",
    ]
    series.flush()
    series.sync()
    assert series.sync_due_ns is None
    log.clear()
    for number in range(3, 20):
        series.write(long(number, size=900))
    # Where nobody syncs, files do not pile up.
    assert sum(line.startswith("close a") for line in log) >= 10
    series.close()
    assert log[-1] == f"close a.{series.part:06}"
    series.close()
    series.abort()


# Going on


@given(traffic(), traffic(), rotations, suffixes, st.integers(0, 400))
@settings(max_examples=examples(40))
def test_a_series_that_was_cut_short_is_gone_on_with(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[AnyEntry],
    after: list[AnyEntry],
    rotation: Rotation,
    suffix: str,
    cut_bytes: int,
) -> None:
    path = fresh(tmp_path_factory) / f"a{suffix}"
    series = make(path, rotation)
    for entry in before:
        series.write(entry)
    series.abort()
    last = find_parts(path)[-1][1]
    size_bytes = last.stat().st_size
    # Its header stays: a first part without one is nothing to go on with.
    keep_bytes = size_bytes - cut_bytes if series.part > 1 else max(1_000, size_bytes - cut_bytes)
    os.truncate(last, max(0, min(size_bytes, keep_bytes)))
    kept = [entry for own, _ in parts_of_readable(path) for entry in own]

    fold = SoFar()
    again = Series.resume(path, fold, rotation, wall=WALL, file_of=NoSync, clock=lambda: 0)
    assert fold.checkpoint(0).connections == fold.checkpoint(0).pings == []
    at_ns = again.offset_ns or 0
    for entry in after:
        again.write(msgspec.structs.replace(entry, offset_ns=at_ns + (entry.offset_ns or 0)))
    again.close()
    found = [entry for own, _ in parts_of(path) for entry in own]
    assert found[: len(kept)] == kept
    assert isinstance(found[len(kept)], Resume)
    assert [entry.seq for entry in found][len(kept) :] == list(
        range(found[len(kept)].seq, found[-1].seq + 1)
    )
    so_far = SoFar()
    for number, (own, _) in enumerate(parts_of(path), 1):
        for entry in own:
            if isinstance(entry, Checkpoint) and entry is own[0] and number > 1:
                expected = msgspec.structs.replace(
                    so_far.checkpoint(entry.offset_ns), seq=entry.seq
                )
                assert entry == expected
            else:
                so_far.feed(entry)


def parts_of_readable(path: Path) -> list[tuple[list[AnyEntry], Reader]]:
    found = []
    for _, part in find_parts(path):
        try:
            found.append(read(part))
        except RecordingError:
            continue
    return found


def test_going_on_without_parts_or_with_others_is_refused(folder: Path) -> None:
    path = folder / "a.track.jsonl"
    with pytest.raises(CannotRead, match="no parts to go on with"):
        Series.resume(path, SoFar(), Rotation(), wall=WALL)
    part_path(path, 1).write_text("Dear reader,")
    with pytest.raises(RecordingError):
        Series.resume(path, SoFar(), Rotation(), wall=WALL)
    make(folder / "b.track.jsonl", Rotation()).close()
    part_path(path, 1).unlink()
    os.link(part_path(folder / "b.track.jsonl", 1), part_path(path, 2))
    with pytest.raises(RecordingError, match="called like part 2 of a series, and is none"):
        Series.resume(path, SoFar(), Rotation(), wall=WALL)
    part_path(path, 2).unlink()
    series = make(path, Rotation())
    with pytest.raises(OutputExists, match="written by another recorder"):
        Series.resume(path, SoFar(), Rotation(), wall=WALL)
    series.close()


@pytest.mark.parametrize("left", ["nothing", "half a header", "a header", "half a checkpoint"])
def test_a_part_that_was_only_begun_is_made_again(folder: Path, left: str) -> None:
    path = folder / "a.track.jsonl"
    series = make(path, Rotation())
    series.write(long(1))
    series.cut(1)
    series.write(long(2))
    series.abort()
    second = part_path(path, 2)
    header_bytes = second.read_bytes().index(b"\n") + 1
    sizes = {"nothing": 0, "half a header": 50, "a header": header_bytes}
    os.truncate(second, sizes.get(left, header_bytes + 20))
    again = Series.resume(path, SoFar(), Rotation(), wall=WALL, file_of=NoSync)
    assert (again.part, second.exists()) == (1, False)
    again.cut(1)
    again.write(long(3))
    again.close()
    kinds = [[entry.kind for entry in own] for own, _ in parts_of(path)]
    assert kinds == [["note", "end", "resume", "end"], ["checkpoint", "note", "end"]]


def test_a_series_that_was_gone_on_with_removes_parts_of_before(folder: Path) -> None:
    path = folder / "a.track.jsonl"
    rotation = Rotation(size_bytes=500, max_disk_bytes=4_500)
    series = make(path, Rotation(size_bytes=500))
    for number in range(10):
        series.write(long(number))
    series.close()
    again = Series.resume(path, SoFar(), rotation, wall=WALL, file_of=NoSync)
    for number in range(10, 20):
        again.write(long(number))
    again.close()
    assert again.ring.removed >= 4
    assert sum(part.stat().st_size for _, part in find_parts(path)) <= 4_500
