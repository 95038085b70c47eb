"""The compressed container: blocks, the index, tears and their mending, resynchronising."""

from __future__ import annotations

import io
import os
import random
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import CorruptRecording, RecordingError
from recorder.recording.zstd_frames import (
    FRAME_BYTES,
    FRAME_MAGIC,
    Block,
    FrameWriter,
    Gap,
    IndexPoint,
    Tear,
    index_points,
    is_zstd,
    mend,
    read_blocks,
)
from tests.profiles import examples
from tests.recording.files import read, record, resume
from tests.strategies import frame_entry

line_batches = st.lists(
    st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"") + b"\n"), min_size=1),
    min_size=1,
    max_size=5,
)


def container(batches: list[bytes], *, frame_after: int = 10**9) -> bytes:
    """A container of these flushes, a frame ended after every `frame_after` of them."""
    writer = FrameWriter(at_start=True)
    parts = []
    for number, batch in enumerate(batches, 1):
        parts.append(writer.add(batch, offset_ns=number * 10, seq=number))
        if number % frame_after == 0:
            parts.append(writer.finish())
    return b"".join([*parts, writer.finish()])


def content(data: bytes) -> bytes:
    """What can be read of a container."""
    return b"".join(
        event.data for event in read_blocks(io.BytesIO(data)) if isinstance(event, Block)
    )


@given(line_batches, st.integers(1, 3))
def test_any_zstd_program_reads_what_is_written(batches: list[list[bytes]], every: int) -> None:
    lines = [b"".join(batch) for batch in batches]
    data = container(lines, frame_after=every)
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as stream:
        assert stream.read() == b"".join(lines)
    assert content(data) == b"".join(lines)


@given(line_batches, st.integers(1, 3))
@settings(max_examples=examples(60))
def test_a_torn_container_gives_every_flush_that_is_whole(
    batches: list[list[bytes]], every: int
) -> None:
    lines = [b"".join(batch) for batch in batches]
    writer = FrameWriter(at_start=True)
    data = b""
    flushed = [(0, b"")]
    for number, batch in enumerate(lines, 1):
        data += writer.add(batch, offset_ns=number, seq=number)
        flushed.append((len(data), flushed[-1][1] + batch))
        if number % every == 0:
            data += writer.finish()
    data += writer.finish()
    for size_bytes in range(len(data)):
        expected = max(whole for whole in flushed if whole[0] <= size_bytes)[1]
        events = list(read_blocks(io.BytesIO(data[:size_bytes])))
        assert not any(isinstance(event, Gap) for event in events)
        assert content(data[:size_bytes]).startswith(expected)


def test_frames_end_at_a_mebibyte_and_the_index_tells_what_comes_next() -> None:
    batch = (b"x" * 1023 + b"\n") * 256
    data = container([batch] * 10)
    points = list(index_points(io.BytesIO(data)))
    assert [(point.offset_ns, point.seq) for point in points] == [(50, 5), (90, 9)]
    assert len(batch) * 4 == FRAME_BYTES
    for point in points:
        blocks = read_blocks(io.BytesIO(data), point.position)
        first = next(blocks)
        assert isinstance(first, Block)
        assert first.frame == point.position
        assert sum(len(block.data) for block in blocks) == (11 - point.seq) * len(batch) - len(
            first.data
        )


def test_a_decoded_block_is_small_whatever_it_was_made_of() -> None:
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(50_000_000))
    assert len(bomb) < 10_000
    sizes = [len(event.data) for event in read_blocks(io.BytesIO(bomb))]
    assert max(sizes) <= 128 * 1024
    assert sum(sizes) == 50_000_000


@given(st.binary(max_size=100), st.booleans())
@settings(max_examples=examples(300))
def test_arbitrary_bytes_end_in_one_gap_or_tear(data: bytes, with_magic: bool) -> None:
    data = FRAME_MAGIC + data if with_magic else data
    events = list(read_blocks(io.BytesIO(data)))
    position = 0
    for event in events:
        assert event.position >= position
        position = event.end
    assert sum(isinstance(event, Tear) for event in events[:-1]) == 0


@given(st.data())
@settings(max_examples=examples(150))
def test_after_damage_the_next_frame_is_found(data: st.DataObject) -> None:
    batches = [random.Random(number).randbytes(400).hex().encode() + b"\n" for number in range(6)]
    whole = container(batches, frame_after=2)
    starts = [point.position for point in index_points(io.BytesIO(whole))]
    at = data.draw(st.integers(starts[0] + 40, starts[1] - 1))
    damaged = whole[:at] + data.draw(st.binary(min_size=1, max_size=8)) + whole[at + 9 :]
    found = content(damaged)
    assert found.startswith(b"".join(batches[:2]))
    assert found.endswith(b"".join(batches[4:]))


def test_a_gap_names_its_bytes_and_salvage_reads_around_it(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl.zst"
    entries = [frame_entry(os.urandom(2000).hex(), offset_ns=number) for number in range(900)]
    written = record(path, entries)
    data = bytearray(path.read_bytes())
    points = list(index_points(io.BytesIO(data)))
    assert len(points) == 3
    blocks = [event for event in read_blocks(io.BytesIO(data)) if isinstance(event, Block)]
    broken = next(block for block in blocks if block.position > points[0].position + 300_000)
    data[broken.position : broken.position + 3] = b"\xff\xff\xff"
    path.write_bytes(data)
    with pytest.raises(CorruptRecording, match=r"a zstd frame is damaged at byte \d+"):
        read(path)
    found, reader = read(path, salvage=True)
    assert found[: points[0].seq - 1] == written[: points[0].seq - 1]
    assert [entry.seq for entry in found[-5:]] == [897, 898, 899, 900, 901]
    assert {entry.seq for entry in found} >= set(range(points[1].seq, 902))
    assert any("that cannot be read" in damage.why for damage in reader.damage)
    assert any("expected seq" in damage.why for damage in reader.damage)
    assert reader.why_incomplete == "it is damaged in the middle"


def test_lines_that_end_inside_the_last_whole_block_survive_resuming(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl.zst"
    # One flush of several blocks: no block but the last ends with a line.
    record(path, [frame_entry(os.urandom(1500).hex(), offset_ns=n) for n in range(150)], end=False)
    whole = path.read_bytes()
    blocks = [event for event in read_blocks(io.BytesIO(whole)) if isinstance(event, Block)]
    inside_line = [block for block in blocks if block.data and not block.data.endswith(b"\n")]
    assert len(inside_line) >= 2
    cuts = {block.end + shift for block in blocks for shift in (0, 1, 3, 100, -1)}
    for size_bytes in sorted(cut for cut in cuts if blocks[0].end <= cut <= len(whole)):
        path.write_bytes(whole[:size_bytes])
        readable, reader = read(path)
        begun = content(whole[:size_bytes]).rpartition(b"\n")[2]
        with resume(path) as writer:
            writer.write(frame_entry("on", offset_ns=writer.offset_ns))
        found, reader = read(path)
        assert found[: len(readable)] == readable
        assert [entry.kind for entry in found[len(readable) :]] == ["resume", "frame", "end"]
        assert found[len(readable)].data == begun
        assert reader.complete
        # And for any other program.
        with zstandard.ZstdDecompressor().stream_reader(
            path.read_bytes(), read_across_frames=True
        ) as stream:
            assert stream.read().count(b"\n") == len(found) + 1


def test_a_frame_without_a_whole_line_is_left_out() -> None:
    data = container([b"x" * 1000])
    assert mend(io.BytesIO(data[:-3]), 0) == (0, b"")


def test_a_frame_that_another_program_made_is_read_torn_but_not_mended(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    record(path, [frame_entry(os.urandom(1500).hex()) for _ in range(300)])
    foreign = zstandard.ZstdCompressor(write_checksum=True).compress(path.read_bytes())
    path.write_bytes(foreign)
    assert read(path)[1].complete
    with resume(path):
        pass
    assert read(path)[1].complete
    path.write_bytes(foreign[:-2000])
    assert len(read(path)[0]) > 100
    with pytest.raises(RecordingError, match="zstd -dc"):
        resume(path)
    assert path.read_bytes() == foreign[:-2000]
    path.write_bytes(foreign[:-2])
    assert read(path)[0][-1].kind == "end"


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (FRAME_MAGIC, True),
        (bytes.fromhex("502a4d18"), True),
        (bytes.fromhex("5f2a4d18"), True),
        (bytes.fromhex("602a4d18"), False),
        (b"{", False),
        (b"", False),
    ],
)
def test_zstd_is_told_by_four_bytes(start: bytes, expected: bool) -> None:
    assert is_zstd(start) is expected


def test_zero_bytes_inside_a_frame_are_no_blocks_of_it() -> None:
    data = FrameWriter(at_start=True).add(b"{}\n", offset_ns=1, seq=1)
    *_, tear = read_blocks(io.BytesIO(data + bytes(100)))
    assert isinstance(tear, Tear)
    assert (tear.position, tear.end) == (len(data), len(data) + 100)


def test_an_index_that_is_none_ends_the_list() -> None:
    junk = msgspec.json.encode({"seq": "x"})
    broken = bytes.fromhex("502a4d18") + len(junk).to_bytes(4, "little") + junk
    foreign = bytes.fromhex("532a4d18") + (3).to_bytes(4, "little") + b"abc"
    good = FrameWriter(at_start=False).add(b"{}\n", offset_ns=1, seq=2)
    assert list(index_points(io.BytesIO(foreign + good))) == [IndexPoint(1, 2, len(foreign))]
    assert list(index_points(io.BytesIO(broken + good))) == []
