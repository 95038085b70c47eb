"""Reading recordings: whole, torn anywhere, damaged in the middle, and things that are none."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

import recorder.recording.reader
from recorder.errors import CannotRead, CorruptRecording, RecordingError, UnsupportedVersion
from recorder.model import End, Header, KnownEntry, Note, Series, UnknownEntry
from recorder.recording import Reader, encode_entry, encode_header
from tests.profiles import examples
from tests.recording.files import read, record, resume
from tests.strategies import entry_lists, frame_entry, headers, make_header

SUFFIXES = ["track.jsonl", "track.jsonl.zst"]
both = pytest.mark.parametrize("suffix", SUFFIXES)


@pytest.fixture(params=SUFFIXES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The path of a recording to be, plain and compressed."""
    return tmp_path / f"a.{request.param}"


def notes(count: int, *, size: int = 10) -> list[KnownEntry | UnknownEntry]:
    return [Note(offset_ns=number, text=f"{number:0{size}}") for number in range(count)]


@both
@given(headers(series=None), st.data())
@settings(max_examples=examples(150))
def test_what_is_written_is_read(
    suffix: str, tmp_path_factory: pytest.TempPathFactory, header: Header, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / f"read.{suffix}"
    entries = data.draw(entry_lists(timed=header.timing == "measured"))
    written = record(path, entries, header=header, flush_every=data.draw(st.integers(0, 3)))
    found, reader = read(path)
    assert reader.header == header
    assert found[:-1] == written
    assert [entry.seq for entry in found] == list(range(1, len(entries) + 2))
    assert isinstance(found[-1], End)
    assert reader.complete
    assert reader.torn is None
    assert reader.line == len(entries) + 2


@both
@given(entry_lists(), st.integers(1, 3))
@settings(max_examples=examples(3, least=2))
def test_a_recording_torn_at_any_byte_gives_a_prefix_and_can_be_resumed(
    suffix: str,
    tmp_path_factory: pytest.TempPathFactory,
    entries: list[KnownEntry | UnknownEntry],
    flush_every: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / f"torn.{suffix}"
    record(path, [], flush_every=1, end=False)
    with_header_bytes = path.stat().st_size - (3 if suffix.endswith("zst") else 0)
    written = record(path, entries, flush_every=flush_every)
    whole = path.read_bytes()
    complete, _ = read(path)
    counts = set()
    for size_bytes in range(with_header_bytes, len(whole)):
        path.write_bytes(whole[:size_bytes])
        found, reader = read(path)
        assert found == complete[: len(found)]
        assert not reader.complete
        if reader.torn is None:
            assert found == written[: len(found)]
        counts.add(len(found))
        with resume(path) as writer:
            writer.write(Note(offset_ns=writer.offset_ns, text="on"))
        again, reader = read(path)
        assert again[: len(found)] == found
        assert [entry.kind for entry in again[len(found) :]] == ["resume", "note", "end"]
        assert reader.complete
    assert {0, len(written)} <= counts


def test_a_recording_torn_before_its_first_entry_says_that_nothing_is_in_it(path: Path) -> None:
    record(path, [], end=False)
    start = path.read_bytes()
    for size_bytes in range(len(start) - 4):
        path.write_bytes(start[:size_bytes])
        with pytest.raises(RecordingError) as caught:
            Reader(path)
        assert str(path) in str(caught.value)
    with pytest.raises(RecordingError, match="nothing was recorded in it"):
        resume(path)


def test_a_plain_tear_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    record(path, notes(3), end=False)
    with path.open("ab") as file:
        file.write(b'{"kind":"note","se')
    found, reader = read(path)
    assert len(found) == 3
    assert reader.torn is not None
    assert (reader.torn.line, reader.torn.bytes_lost) == (5, 18)
    assert "without its end" in reader.torn.why
    assert reader.why_incomplete is not None
    assert "cut short" in reader.why_incomplete


def test_zero_bytes_at_the_end_are_a_tear(path: Path) -> None:
    for zero_bytes in (1, 3, 7, 8, 100):
        written = record(path, notes(3), end=False)
        with path.open("ab") as file:
            file.write(bytes(zero_bytes))
        found, reader = read(path)
        assert found == written
        assert reader.torn is not None
        assert reader.torn.bytes_lost == zero_bytes
        resume(path).close()
        assert read(path)[1].complete


@given(st.integers(0, 200), st.integers(1, 40))
@settings(max_examples=examples(100))
def test_a_hole_of_zero_bytes_to_the_end_of_a_compressed_file_is_a_tear(
    tmp_path_factory: pytest.TempPathFactory, kept_bytes: int, hole_bytes: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "hole.track.jsonl.zst"
    record(path, [], flush_every=1, end=False)
    start_bytes = path.stat().st_size - 3
    written = record(path, notes(12), flush_every=1, end=False)
    whole = path.read_bytes()
    kept = min(start_bytes + kept_bytes, len(whole))
    path.write_bytes(whole[:kept] + bytes(hole_bytes + 8))
    found, _ = read(path)
    assert found == written[: len(found)]


@pytest.mark.parametrize("damage", [b"{broken", b"\xff\xfe", b"", b'{"kind":"note"}'])
def test_a_broken_line_raises_and_is_passed_over_under_salvage(
    tmp_path: Path, damage: bytes
) -> None:
    path = tmp_path / "a.track.jsonl"
    written = record(path, notes(5), end=False)
    lines = path.read_bytes().split(b"\n")
    lines[3] = damage
    path.write_bytes(b"\n".join(lines))
    with Reader(path) as reader:
        assert [next(reader), next(reader)] == written[:2]
        with pytest.raises(CorruptRecording, match=rf"{path}:4: expected"):
            next(reader)
    found, reader = read(path, salvage=True)
    assert found == written[:2] + written[3:]
    assert [damage.line for damage in reader.damage] == [4]
    assert reader.why_incomplete == "it is damaged in the middle"
    with pytest.raises(CorruptRecording):
        resume(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines.pop(2), "expected seq 2, found 3"),
        (lambda lines: lines.insert(2, lines[2]), "expected seq 3, found 2"),
        (lambda lines: lines.pop(1), "expected seq 1, found 2"),
    ],
)
def test_a_missing_or_doubled_line_raises_and_is_listed_under_salvage(
    tmp_path: Path, change: object, message: str
) -> None:
    path = tmp_path / "a.track.jsonl"
    record(path, notes(4), end=False)
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)  # type: ignore[operator]
    path.write_bytes(b"".join(lines))
    with pytest.raises(CorruptRecording, match=message):
        read(path)
    found, reader = read(path, salvage=True)
    assert len(found) == len(lines) - 1
    assert message in reader.damage[0].why


def write_lines(path: Path, header: Header, *entries: KnownEntry) -> None:
    path.write_bytes(
        b"".join(line + b"\n" for line in (encode_header(header), *map(encode_entry, entries)))
    )


def test_offsets_that_decrease_raise(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    write_lines(
        path, make_header(), Note(seq=1, offset_ns=5, text=""), Note(seq=2, offset_ns=4, text="")
    )
    with pytest.raises(CorruptRecording, match=":3: expected offset_ns 5 or more, found 4"):
        read(path)
    assert len(read(path, salvage=True)[0]) == 2


@pytest.mark.parametrize(("timing", "offset_ns"), [("none", 5), ("measured", None)])
def test_offsets_that_contradict_the_timing_raise(
    tmp_path: Path, timing: str, offset_ns: int | None
) -> None:
    path = tmp_path / "a.track.jsonl"
    write_lines(path, make_header(timing=timing), Note(seq=1, offset_ns=offset_ns, text=""))
    with pytest.raises(CorruptRecording, match=r":2: expected offset_ns to be"):
        read(path)


def test_a_later_part_of_a_series_begins_with_any_seq(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    header = make_header(series=Series(id="s", part=2))
    write_lines(path, header, Note(seq=41, offset_ns=5, text=""))
    assert read(path)[0][0].seq == 41


def end_of(path: Path, **changed: object) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    before = b"".join(lines[:-1])
    end = msgspec.json.decode(lines[-1], type=End)
    end = msgspec.structs.replace(end, **changed)
    path.write_bytes(before + encode_entry(end) + b"\n")


def test_the_end_vouches_for_every_byte_before_it(path: Path) -> None:
    record(path, notes(5))
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    before, _, last = data[:-1].rpartition(b"\n")
    end = json.loads(last)
    assert end["sha256"] == hashlib.sha256(before + b"\n").hexdigest()
    assert end["entries"] == 6


def test_an_end_that_is_wrong_makes_a_recording_incomplete(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    record(path, notes(5))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"0000000003"', b'"0000000009"'))
    _, reader = read(path)
    assert reader.why_incomplete is not None
    assert "sha256" in reader.why_incomplete
    path.write_bytes(whole)
    end_of(path, entries=7)
    assert read(path)[1].why_incomplete == "its `end` says 7 entries, there are 6"


@both
@given(entries=entry_lists(), cut=st.integers(0, 400), changed=st.booleans())
@settings(max_examples=examples(40))
def test_hashing_beside_reading_gives_the_same_verdict(
    suffix: str,
    tmp_path_factory: pytest.TempPathFactory,
    entries: list[KnownEntry | UnknownEntry],
    cut: int,
    changed: bool,
) -> None:
    path = tmp_path_factory.getbasetemp() / f"verified.{suffix}"
    record(path, entries)
    data = path.read_bytes()
    if changed:
        data = data.replace(b'"id":"', b'"id":"0', 1)
    path.write_bytes(data[: len(data) - cut] if cut < 300 else data)
    verdicts = []
    for verify in (False, True):
        try:
            with Reader(path, verify=verify) as reader:
                for _ in reader:
                    pass
                verdicts.append(reader.why_incomplete)
        except RecordingError as error:
            verdicts.append(str(error))
    assert verdicts[0] == verdicts[1]


def test_completeness_is_unknown_before_the_end_is_reached(path: Path) -> None:
    record(path, notes(5))
    with Reader(path) as reader:
        next(reader)
        assert reader.why_incomplete == "it was not read to its end"
        with pytest.raises(ValueError, match="not read to its end"):
            reader.standing()
        list(reader)
        assert reader.complete


def test_the_line_is_the_one_that_was_read_last(path: Path) -> None:
    record(path, notes(3))
    with Reader(path) as reader:
        assert reader.line == 1
        assert [reader.line for _ in reader] == [2, 3, 4, 5]


def test_lines_longer_than_a_chunk_or_a_block_are_read(path: Path) -> None:
    entries = [frame_entry("x" * size) for size in (10, 300_000, 10, 1_500_000, 20)]
    written = record(path, entries)
    found, reader = read(path)
    assert found[:-1] == written
    assert reader.complete


def test_a_line_above_the_limit_raises_and_is_passed_over_under_salvage(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = record(
        path, [*notes(2), frame_entry("y" * 2_000_000, offset_ns=9), Note(offset_ns=9, text="")]
    )
    monkeypatch.setattr(recorder.recording.reader, "MAX_LINE_BYTES", 300_000)
    with pytest.raises(CorruptRecording, match=":4: expected at most 300000 bytes in a line"):
        read(path)
    found, reader = read(path, salvage=True)
    assert found[:2] == written[:2]
    assert found[2] == written[3]
    assert "expected at most" in reader.damage[0].why


def test_a_compressed_recording_is_told_by_its_bytes(tmp_path: Path) -> None:
    record(tmp_path / "a.zst", notes(3))
    (tmp_path / "a.zst").rename(tmp_path / "a.jsonl")
    assert read(tmp_path / "a.jsonl")[1].complete


def test_what_cannot_be_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(CannotRead, match="No such file"):
        Reader(tmp_path / "none")
    with pytest.raises(CannotRead, match="directory"):
        Reader(tmp_path)


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b'{"log":{"version":"1.2"}}', "a HAR: see `track-recorder import`"),
        (b' \n{\n  "log": {', "a HAR: see `track-recorder import`"),
        (b"HTTP/1.1 101 Switching Protocols\r\n", "a raw capture: see `track-recorder import`"),
        (b"Logged In...\nHTTP/1.1 101", "a raw capture: see `track-recorder import`"),
        (b"\x7fELF", "something else"),
        (b'{"kind":"note"}\n', "expected the header of a recording"),
        (b"", "is empty"),
        (b"\x28\xb5\x2f\xfd", "nothing was recorded"),
    ],
)
def test_what_is_no_recording_says_what_it_looks_like(
    tmp_path: Path, content: bytes, hint: str
) -> None:
    path = tmp_path / "thing"
    path.write_bytes(content)
    with pytest.raises(RecordingError) as caught:
        Reader(path)
    assert hint in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_newer_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    path.write_bytes(encode_header(make_header()).replace(b'"version":1', b'"version":2') + b"\n")
    with pytest.raises(UnsupportedVersion, match="format version 2"):
        Reader(path)


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=examples(200))
def test_arbitrary_bytes_after_a_header_give_entries_or_our_error(
    tmp_path_factory: pytest.TempPathFactory, tail: bytes, compressed: bool
) -> None:
    suffix = "zst" if compressed else "jsonl"
    path = tmp_path_factory.getbasetemp() / f"arbitrary.{suffix}"
    record(path, [], end=False)
    with path.open("ab") as file:
        file.write(tail)
    for salvage in (False, True):
        try:
            read(path, salvage=salvage)
        except CorruptRecording as exc:
            assert not salvage, exc  # noqa: PT017


def test_seek_goes_to_the_first_entry_at_that_moment_or_later(path: Path) -> None:
    entries = [frame_entry("x" * 20_000, offset_ns=number // 3 * 100) for number in range(300)]
    written = record(path, entries)
    with Reader(path) as reader:
        for target_ns in (0, 50, 3_333, 9_900, *range(0, 10_000, 100)):
            reader.seek(target_ns)
            first = next(reader)
            assert first == next(entry for entry in written if entry.offset_ns >= target_ns)
            assert reader.line == first.seq + 1
        reader.seek(9_000)
        assert len(list(reader)) == sum(entry.offset_ns >= 9_000 for entry in written) + 1
        reader.seek(10**9)
        assert list(reader) == []
        reader.seek(0)
        assert len(list(reader)) == 301
        assert reader.complete


def test_seek_reads_no_more_than_a_frame_too_many(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl.zst"
    entries = [frame_entry(os.urandom(5_000).hex(), offset_ns=number) for number in range(500)]
    record(path, entries)
    with Reader(path) as reader:
        whole_bytes = path.stat().st_size
        reader.seek(499)
        assert next(reader).seq == 500
        assert reader._whole_bytes < 1.5 * 1024 * 1024 < whole_bytes


def test_a_recording_without_timing_has_nothing_to_seek_by(path: Path) -> None:
    record(path, [Note(offset_ns=None, text="")], header=make_header(timing="none"))
    with Reader(path) as reader, pytest.raises(ValueError, match="no timing"):
        reader.seek(3)
