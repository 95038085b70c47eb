"""Writing recordings: what is refused, what a full disk leaves, what resuming cuts and keeps."""

from __future__ import annotations

import errno
import itertools
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import (
    CannotRead,
    CorruptRecording,
    DiskFailed,
    OutputExists,
    RecordingError,
)
from recorder.model import End, Note, Resume
from recorder.recording import Reader, Writer
from tests.profiles import examples
from tests.recording.files import NoSync, read, record, resume
from tests.strategies import WALL, frame_entry, make_header


@pytest.fixture(params=["track.jsonl", "track.jsonl.zst"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The path of a recording to be, plain and compressed."""
    return tmp_path / f"a.{request.param}"


def note(offset_ns: int | None = 0, text: str = "") -> Note:
    return Note(offset_ns=offset_ns, text=text)


def test_entries_get_a_continuous_seq_and_the_highest_offset_is_known(path: Path) -> None:
    with Writer.create(path, make_header()) as writer:
        assert writer.offset_ns == 0
        assert [writer.write(note(offset)).seq for offset in (0, 5, 5, 9)] == [1, 2, 3, 4]
        assert writer.offset_ns == 9
    assert read(path)[1].complete


def test_a_bug_of_the_caller_is_refused_and_leaves_no_trace(path: Path) -> None:
    with Writer.create(path, make_header()) as writer:
        writer.write(note(5))
        with pytest.raises(ValueError, match="offset_ns 4 is before 5"):
            writer.write(note(4))
        with pytest.raises(ValueError, match="timing"):
            writer.write(note(None))
        with pytest.raises(ValueError, match="surrogates not allowed"):
            writer.write(note(6, "\ud800"))
        with pytest.raises(ValueError, match=r"close\(\) writes the `end`"):
            writer.write(End(offset_ns=6, entries=1, redaction={}, sha256=""))
        assert writer.write(note(5)).seq == 2
    assert read(path)[1].complete
    with pytest.raises(ValueError, match="is closed"):
        writer.write(note(9))
    writer.close()
    writer.abort()
    writer.flush()
    writer.sync()


def test_the_end_holds_what_was_redacted_and_when_it_was(path: Path) -> None:
    writer = Writer.create(path, make_header())
    writer.write(note(5))
    writer.close({"password": 2}, offset_ns=8)
    end = read(path)[0][-1]
    assert isinstance(end, End)
    assert (end.redaction, end.offset_ns, end.entries) == ({"password": 2}, 8, 2)


def test_an_exception_closes_without_an_end_and_keeps_what_was_written(path: Path) -> None:
    def interrupted() -> None:
        with Writer.create(path, make_header()) as writer:
            writer.write(note())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    found, reader = read(path)
    assert [entry.kind for entry in found] == ["note"]
    assert reader.torn is None
    assert not reader.complete


def test_an_existing_file_is_overwritten_only_by_force(path: Path) -> None:
    record(path, [note()])
    before = path.read_bytes()
    with pytest.raises(OutputExists, match="exists already"):
        Writer.create(path, make_header())
    assert path.read_bytes() == before
    Writer.create(path, make_header(), force=True).close()
    assert len(read(path)[0]) == 1


def test_a_file_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(OutputExists, match="its folder does not exist"):
        Writer.create(tmp_path / "none" / "a.jsonl", make_header())
    with pytest.raises(OutputExists, match="cannot be made: Is a directory"):
        Writer.create(tmp_path, make_header(), force=True)
    with pytest.raises(CannotRead, match="No such file"):
        resume_missing(tmp_path / "none")


def resume_missing(path: Path) -> None:
    Writer.resume(path, wall=WALL)


def test_a_file_belongs_to_one_writer(path: Path) -> None:
    with Writer.create(path, make_header()) as writer:
        writer.write(note())
        writer.flush()
        before = path.read_bytes()
        with pytest.raises(OutputExists, match="written by another recorder"):
            Writer.create(path, make_header(), force=True)
        with pytest.raises(OutputExists, match="written by another recorder"):
            Writer.resume(path, wall=WALL)
        assert path.read_bytes() == before
    resume(path).close()


def test_a_flush_is_due_when_the_oldest_line_is_old(path: Path) -> None:
    now_ns = 1_000
    writer = Writer.create(path, make_header(), clock=lambda: now_ns, flush_interval_s=0.1)
    assert (writer.due_ns, writer.sync_due_ns) == (None, None)
    size_bytes = path.stat().st_size
    writer.write(note())
    now_ns += 99_000_000
    writer.write(note())
    assert writer.due_ns == 100_001_000
    assert writer.sync_due_ns == 1_000_001_000
    assert path.stat().st_size == size_bytes
    now_ns += 1_000_000
    writer.write(note())
    assert writer.due_ns is None
    assert writer.sync_due_ns == 1_000_001_000
    assert len(read(path)[0]) == 3
    writer.sync()
    assert writer.sync_due_ns is None
    writer.close()


def test_much_data_is_flushed_before_it_is_due(path: Path) -> None:
    with Writer.create(path, make_header(), clock=lambda: 0) as writer:
        for _ in range(5):
            writer.write(frame_entry("x" * 100_000))
        assert len(read(path)[0]) >= 3


class Failing(NoSync):
    """A disk with room for `room_bytes` more, that takes at most `most_bytes` at a time."""

    room_bytes = 0
    most_bytes = 10**9
    sync_fails = False

    def write(self, data: memoryview, position: int) -> int:
        if not self.room_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = super().write(data[: min(self.room_bytes, self.most_bytes)], position)
        self.room_bytes -= written
        return written

    def sync(self) -> None:
        if self.sync_fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


@given(st.integers(0, 4_000), st.integers(1, 500), st.booleans())
@settings(max_examples=examples(100))
def test_a_full_disk_stops_the_writer_loudly_and_leaves_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, room_bytes: int, most_bytes: int, compress: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "full"
    disks = []

    def file_of(descriptor: int) -> Failing:
        disks.append(disk := Failing(descriptor))
        disk.room_bytes = 10_000
        return disk

    writer = Writer.create(
        path, make_header(), force=True, compress=compress, clock=lambda: 0, file_of=file_of
    )
    disks[0].room_bytes = room_bytes
    disks[0].most_bytes = most_bytes
    flushed = 0

    def record_for_ever() -> None:
        nonlocal flushed
        for number in itertools.count():
            writer.write(note(number, os.urandom(20).hex()))
            if number % 3 == 2:
                writer.flush()
                flushed = number + 1

    with pytest.raises(DiskFailed) as caught:
        record_for_ever()
    told = re.fullmatch(
        rf"{path}: writing failed: No space left on device; its first 0 entries are on the disk"
        r"(?:, ([0-9]+) more were handed to the system and may be)?; make room, or mend the disk",
        str(caught.value),
    )
    assert told is not None, str(caught.value)
    handed = int(told[1] or 0)
    for refused in (lambda: writer.write(note(10**6)), writer.flush, writer.sync, writer.close):
        with pytest.raises(DiskFailed):
            refused()
    writer.abort()
    assert (writer.due_ns, writer.sync_due_ns) == (None, None)
    found, reader = read(path)
    assert len(found) >= handed >= flushed
    # Of a compressed file, more may be readable of the write that was cut short.
    assert compress or len(found) == handed
    assert not reader.complete
    with resume(path) as again:
        again.write(note(again.offset_ns))
    found_again, reader = read(path)
    assert found_again[: len(found)] == found
    assert reader.complete


def test_a_failed_sync_counts_only_what_was_synced_before(path: Path) -> None:
    disks: list[Failing] = []

    def file_of(descriptor: int) -> Failing:
        disks.append(disk := Failing(descriptor))
        disk.room_bytes = 10_000
        return disk

    writer = Writer.create(path, make_header(), file_of=file_of)
    writer.write(note())
    writer.flush()
    writer.sync()
    writer.write(note())
    writer.flush()
    disks[0].sync_fails = True
    with pytest.raises(DiskFailed, match="its first 1 entries are on the disk, 1 more were handed"):
        writer.sync()
    disks[0].sync_fails = False
    with pytest.raises(DiskFailed):
        writer.write(note())
    writer.abort()


def test_what_another_writer_left_is_on_the_disk_for_sure_once_it_was_synced(path: Path) -> None:
    disks: list[Failing] = []

    def file_of(descriptor: int) -> Failing:
        disks.append(disk := Failing(descriptor))
        disk.room_bytes = 10_000
        disk.sync_fails = len(disks) == 1
        return disk

    with Writer.create(path, make_header()) as writer:
        writer.write(note())
    with pytest.raises(DiskFailed, match="its first 0 entries are on the disk, 3 more were handed"):
        Writer.resume(path, wall=WALL, file_of=file_of)
    again = Writer.resume(path, wall=WALL, file_of=file_of)
    assert again.kept == "its first 4 entries are on the disk"
    again.abort()


def test_a_limit_of_the_system_leaves_a_readable_file(path: Path) -> None:
    code = f"""
import os, sys
from recorder.errors import DiskFailed
from recorder.recording import Writer
from tests.strategies import frame_entry, make_header
writer = Writer.create({str(path)!r}, make_header())
try:
    for number in range(100_000):
        writer.write(frame_entry(os.urandom(500).hex(), offset_ns=number))
except DiskFailed as exc:
    sys.exit(int(exc.exit_code))
"""
    limit_bytes = 300_001
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes)),
    )
    assert done.returncode == 74
    assert path.stat().st_size == limit_bytes
    found, reader = read(path)
    assert [entry.seq for entry in found] == list(range(1, len(found) + 1))
    assert len(found) > 100
    assert reader.torn is not None


def test_resuming_cuts_the_torn_tail_and_keeps_it_in_the_entry(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    record(path, [note(7)], end=False)
    before = path.read_bytes()
    path.write_bytes(before + b'{"kind":"note","te')
    writer = resume(path)
    assert writer.offset_ns == 7
    assert path.read_bytes().startswith(before)
    writer.close()
    resumed = read(path)[0][1]
    assert resumed == Resume(seq=2, offset_ns=7, wall=WALL, cut_bytes=18, text='{"kind":"note","te')


def test_a_long_torn_tail_is_kept_in_part(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    record(path, [note()], end=False)
    with path.open("ab") as file:
        file.write(b"\xff" * 200_000)
    resume(path).close()
    resumed = read(path)[0][1]
    assert isinstance(resumed, Resume)
    assert resumed.cut_bytes == 200_000
    assert resumed.data == b"\xff" * 65_536


def test_recording_goes_on_after_an_end(path: Path) -> None:
    record(path, [note(3)])
    for _ in range(3):
        with resume(path) as writer:
            writer.write(note(writer.offset_ns))
    found, reader = read(path)
    assert [entry.kind for entry in found] == ["note", "end"] + ["resume", "note", "end"] * 3
    assert [entry.seq for entry in found] == list(range(1, 12))
    assert reader.complete
    assert found[-1].entries == 11


def test_resuming_without_timing_keeps_offsets_null(path: Path) -> None:
    record(path, [note(None)], header=make_header(timing="none"))
    with resume(path) as writer:
        assert writer.offset_ns is None
        writer.write(note(None))
    assert read(path)[1].complete


def test_a_recording_damaged_in_the_middle_is_not_resumed_and_not_touched(path: Path) -> None:
    record(path, [frame_entry(os.urandom(1000).hex()) for _ in range(900)])
    damaged = bytearray(path.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 50] = bytes(50)
    path.write_bytes(damaged)
    with pytest.raises(CorruptRecording):
        resume(path)
    assert path.read_bytes() == damaged
    assert Reader(path).close() is None


def test_what_is_no_recording_is_not_resumed_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(b"Dear reader,")
    with pytest.raises(RecordingError, match="no recording"):
        resume(path)
    assert path.read_bytes() == b"Dear reader,"


def test_a_recording_that_its_end_does_not_vouch_for_is_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    record(path, [note(0, "aaaa")])
    path.write_bytes(path.read_bytes().replace(b"aaaa", b"aaab"))
    with pytest.raises(CorruptRecording, match="sha256 is not what the `end` says"):
        resume(path)
