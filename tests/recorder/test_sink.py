"""Where entries go: through the redaction to the writer, and what happens beside it in time."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import example, given
from hypothesis import strategies as st

from recorder.checkpoint import SoFar
from recorder.errors import DiskFailed
from recorder.model import Body, Entry, Note
from recorder.recording import OsFile, Reader, Rotation, Series, Writer, find_parts
from recorder.redaction import Redactor
from recorder.sink import CLOCK_ENTRY_EVERY_S, Sink, wall_clock_ns, wall_clock_text
from tests.recorder.scripted import header, read

START_NS = 1_700_000_000_000_000_000


class Clocks:
    """Trio's clock as the monotonic one, and a wall clock that can be stepped."""

    def __init__(self) -> None:
        self.step_ns = 0

    def monotonic_ns(self) -> int:
        return round(trio.current_time() * 1e9)

    def wall_ns(self) -> int:
        return START_NS + self.monotonic_ns() + self.step_ns


class Set:
    """A sink under trio's clock."""

    def __init__(self, folder: Path, redact: str = "secrets", file_of: object = OsFile) -> None:
        self.path = folder / "a.track.jsonl"
        self.clocks = Clocks()
        self.writer = Writer.create(
            self.path, header(), clock=self.clocks.monotonic_ns, file_of=file_of
        )
        self.sink = Sink(
            self.writer,
            Redactor(redact),
            started_ns=self.clocks.monotonic_ns(),
            clock=self.clocks.monotonic_ns,
            wall_clock=self.clocks.wall_ns,
        )

    def note(self, text: str = "here") -> Note:
        return Note(offset_ns=self.sink.now_ns(), text=text)

    def begun_body(self) -> Body:
        """A piece of a body that has a further piece: redaction holds it, and what follows."""
        return Body(
            connection=1,
            exchange=1,
            sender="server",
            last=False,
            text='{"password":"hun',
            offset_ns=self.sink.now_ns(),
        )

    def on_disk(self) -> list[Entry]:
        with Reader(self.path) as reader:
            return list(reader)


async def running(nursery: trio.Nursery, sink: Sink) -> None:
    nursery.start_soon(sink.run)
    await trio.testing.wait_all_tasks_blocked()


async def test_now_counts_from_the_start(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    one = Set(tmp_path)
    assert one.sink.now_ns() == 0
    mock_clock.jump(1.5)
    assert one.sink.now_ns() == 1_500_000_000
    one.sink.close()


async def test_close_writes_the_end_with_its_counts(tmp_path: Path) -> None:
    one = Set(tmp_path)
    one.sink.write([one.note("kim@example.org"), one.note("kim@example.org and lee@example.org")])
    assert one.sink.entries == 2
    one.sink.close()
    first, second, end = read(one.path)
    assert first.text == "[redacted:email-1]"
    assert second.text == "[redacted:email-1] and [redacted:email-2]"
    assert (end.entries, end.redaction) == (3, {"email": 3})


async def test_without_redaction_nothing_is_changed_and_nothing_held(tmp_path: Path) -> None:
    one = Set(tmp_path, "none")
    one.sink.write([one.begun_body(), one.note("kim@example.org")])
    assert one.sink.entries == 2
    one.sink.close()
    body, note, end = read(one.path)
    assert (body.text, note.text) == ('{"password":"hun', "kim@example.org")
    assert end.redaction == {}


async def test_close_writes_what_redaction_held(tmp_path: Path) -> None:
    one = Set(tmp_path)
    one.sink.write([one.begun_body(), one.note()])
    assert one.sink.entries == 0
    one.sink.close()
    body, note, end = read(one.path)
    assert "hun" not in body.text
    assert body.text == '{"password":"[redacted]'
    assert (note.text, end.redaction) == ("here", {"password": 1})
    assert one.sink.entries == 2


async def test_what_redaction_holds_is_let_go_in_time(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    one = Set(tmp_path)
    async with trio.open_nursery() as nursery:
        await running(nursery, one.sink)
        one.sink.write([one.begun_body(), one.note()])
        await trio.sleep(0.2)
        assert one.on_disk() == []
        # The hold of a quarter of a second, looked at as often, and the flush of a tenth.
        await trio.sleep(0.5)
        assert [entry.kind for entry in one.on_disk()] == ["body", "note"]
        nursery.cancel_scope.cancel()
    one.sink.close()
    # What may still become a secret goes in a piece of its own.
    *_, rest, end = read(one.path)
    assert (rest.text, end.redaction) == ('password":"[redacted]', {"password": 1})


async def test_entries_are_on_their_way_to_the_disk_after_a_tenth_of_a_second(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    one = Set(tmp_path)
    async with trio.open_nursery() as nursery:
        await running(nursery, one.sink)
        one.sink.write([one.note()])
        assert one.on_disk() == []
        await trio.sleep(0.15)
        assert [entry.kind for entry in one.on_disk()] == ["note"]
        nursery.cancel_scope.cancel()
    one.sink.close()


async def test_the_wall_clock_is_noted_every_minute(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    one = Set(tmp_path)
    with trio.move_on_after(200):
        await one.sink.run()
    one.sink.close()
    clocks = [entry for entry in read(one.path) if entry.kind == "clock"]
    assert CLOCK_ENTRY_EVERY_S == 60
    assert [round(entry.offset_ns / 1e9) for entry in clocks] == [60, 120, 180]
    for entry in clocks:
        assert entry.wall == wall_clock_text(START_NS + entry.offset_ns)


@pytest.mark.parametrize("step_s", [3600.0, -3600.0, 1.5, -1.5])
async def test_a_step_of_the_wall_clock_is_noted_at_once_and_the_minute_begins_again(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, step_s: float
) -> None:
    one = Set(tmp_path)

    async def step() -> None:
        await trio.sleep(30.5)
        one.clocks.step_ns = round(step_s * 1e9)

    with trio.move_on_after(100):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(step)
            nursery.start_soon(one.sink.run)
    one.sink.close()
    clocks = [entry for entry in read(one.path) if entry.kind == "clock"]
    assert [round(entry.offset_ns / 1e9) for entry in clocks] == [31, 91]
    for entry in clocks:
        assert entry.wall == wall_clock_text(START_NS + entry.offset_ns + one.clocks.step_ns)


async def test_a_drift_of_the_wall_clock_is_no_step(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    one = Set(tmp_path)

    async def drift() -> None:
        while True:
            await trio.sleep(1)
            one.clocks.step_ns += 1_000_000

    with trio.move_on_after(130):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drift)
            nursery.start_soon(one.sink.run)
    one.sink.close()
    assert [entry.kind for entry in read(one.path)] == ["clock", "clock", "end"]


async def test_a_note_is_written_now_and_redacted(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    one = Set(tmp_path)
    mock_clock.jump(2)
    one.sink.note("pressed reload as kim@example.org")
    one.sink.close()
    note = read(one.path)[0]
    assert (note.offset_ns, note.text) == (2_000_000_000, "pressed reload as [redacted:email-1]")


async def test_a_part_that_lasted_long_enough_is_ended_though_nothing_comes(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    clocks = Clocks()
    series = Series.create(
        tmp_path / "a.track.jsonl",
        header(),
        SoFar(),
        Rotation(every_ns=10 * 10**9),
        clock=clocks.monotonic_ns,
    )
    sink = Sink(
        series,
        Redactor(),
        started_ns=clocks.monotonic_ns(),
        clock=clocks.monotonic_ns,
        wall_clock=clocks.wall_ns,
    )
    async with trio.open_nursery() as nursery:
        await running(nursery, sink)
        sink.note("one")
        await trio.sleep(9.9)
        assert series.part == 1
        await trio.sleep(0.5)
        assert series.part == 2
        # A step of the wall clock ends no part.
        await trio.sleep(30)
        clocks.step_ns = 10**15
        await trio.sleep(9)
        assert series.part == 2
        await trio.sleep(3)
        assert series.part == 3
        nursery.cancel_scope.cancel()
    sink.close()
    kinds = [
        [entry.kind for entry in read(part)] for _, part in find_parts(tmp_path / "a.track.jsonl")
    ]
    assert kinds == [["note", "end"], ["checkpoint", "clock", "end"], ["checkpoint", "end"]]


# A disk that fails


class FullDisk(OsFile):
    """Takes the header, then nothing."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self.writes = 0

    def write(self, data: memoryview, position: int) -> int:
        self.writes += 1
        if self.writes > 1:
            raise OSError(28, "No space left on device")
        return super().write(data, position)


async def test_a_disk_that_fails_ends_run(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    one = Set(tmp_path, file_of=FullDisk)
    one.sink.write([one.note()])
    with pytest.raises(DiskFailed, match="No space left"), trio.fail_after(1):
        await one.sink.run()
    one.sink.abort()


async def test_after_a_failure_everything_fails_but_abort(tmp_path: Path) -> None:
    one = Set(tmp_path, file_of=FullDisk)
    one.sink.write([one.note()])
    with pytest.raises(DiskFailed):
        one.writer.flush()
    with pytest.raises(DiskFailed):
        one.sink.write([one.note()])
    with pytest.raises(DiskFailed):
        one.sink.close()
    one.sink.abort()
    with Reader(one.path) as reader:
        assert list(reader) == []
        assert not reader.complete


async def test_abort_leaves_a_recording_without_an_end(tmp_path: Path) -> None:
    one = Set(tmp_path)
    one.sink.write([one.note()])
    one.sink.abort()
    with Reader(one.path) as reader:
        assert [entry.kind for entry in reader] == ["note"]
        assert not reader.complete


# The spelling of the wall clock


@given(st.integers(0, 4_000_000_000_000_000_000))
@example(0)
@example(999_999_999)
@example(1_764_000_000_000_000_001)
def test_the_wall_clock_is_spelt_to_the_nanosecond(wall_ns: int) -> None:
    shown = wall_clock_text(wall_ns)
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z", shown)
    assert found is not None
    seconds = round((datetime.fromisoformat(found[1] + "+00:00") - EPOCH).total_seconds())
    assert seconds * 10**9 + int(found[2]) == wall_ns
    assert wall_clock_ns(shown) == wall_ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-22T17:00:00Z",
        "2026-11-22T17:00:00.123Z",
        "2026-11-22T17:00:00.123456789",
        "2026-22-22T17:00:00.123456789Z",
    ],
)
def test_what_is_no_wall_clock(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|match"):
        wall_clock_ns(text)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def test_the_example_of_the_format() -> None:
    assert wall_clock_text(1_795_366_800_123_456_789) == "2026-11-22T17:00:00.123456789Z"
