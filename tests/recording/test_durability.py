"""Nothing waits longer than it may, and what a killed recorder leaves can be read and resumed."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import DiskFailed
from recorder.model import Note
from recorder.recording import Writer, keep_durable
from tests.benchmarks.bench_recording import kill_run
from tests.profiles import examples
from tests.recording.files import NoSync, read, resume
from tests.strategies import make_header

TICK_S = 1e-6


def clock() -> int:
    """The virtual clock of trio, as a writer wants it."""
    return int(trio.current_time() * 1e9)


class Watched(NoSync):
    """A file that notes when, on the virtual clock, it was written to and synced."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self.writes: list[tuple[float, int]] = []
        self.syncs: list[float] = []

    def write(self, data: memoryview, position: int) -> int:
        self.writes.append((trio.current_time(), bytes(data).count(b"\n")))
        return super().write(data, position)

    def sync(self) -> None:
        self.syncs.append(trio.current_time())


async def in_this_thread(act: Callable[[], None]) -> None:
    """Stands for `trio.to_thread.run_sync`: the virtual clock does not wait for threads."""
    await trio.lowlevel.checkpoint()
    act()


@given(st.lists(st.floats(0, 3), max_size=25))
@settings(max_examples=examples(40))
def test_no_line_is_unflushed_for_longer_than_100_ms_nor_unsynced_for_longer_than_1_s(
    tmp_path_factory: pytest.TempPathFactory, pauses_s: list[float]
) -> None:
    path = tmp_path_factory.getbasetemp() / "durable.track.jsonl"
    files: list[Watched] = []

    def file_of(descriptor: int) -> Watched:
        files.append(Watched(descriptor))
        return files[-1]

    async def main() -> None:
        with Writer.create(path, make_header(), force=True, clock=clock, file_of=file_of) as writer:
            await watch(writer, files[0])

    async def watch(writer: Writer, file: Watched) -> None:
        file.writes.clear()
        file.syncs.clear()
        written: list[float] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_durable, writer)
            for pause_s in pauses_s:
                await trio.sleep(pause_s)
                written.append(trio.current_time())
                writer.write(Note(offset_ns=clock(), text=""))
            await trio.sleep(1 + 2 * TICK_S)
            nursery.cancel_scope.cancel()
        flushed = [at for at, count in file.writes for _ in range(count)]
        assert len(flushed) == len(written)
        for line_at, flushed_at in zip(written, flushed, strict=True):
            assert line_at <= flushed_at <= line_at + 0.1 + TICK_S
            assert any(flushed_at <= at <= line_at + 1 + TICK_S for at in file.syncs)
        assert len(file.writes) <= 1 + len(written)
        assert len(file.syncs) <= len(written)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trio.to_thread, "run_sync", in_this_thread)
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert read(path)[1].complete


async def test_an_idle_writer_wakes_nobody(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    class Counted(trio.abc.Instrument):
        steps = 0

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self.steps += 1

    counted = Counted()
    writer = Writer.create(tmp_path / "a", make_header(), clock=clock, file_of=NoSync)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_durable, writer)
        await trio.testing.wait_all_tasks_blocked()
        trio.lowlevel.add_instrument(counted)
        await trio.sleep(80_000)
        trio.lowlevel.remove_instrument(counted)
        nursery.cancel_scope.cancel()
    assert counted.steps < 10
    writer.close()


class Broken(NoSync):
    """A file whose syncs, or writes, fail from some moment on."""

    broken = ""

    def sync(self) -> None:
        if self.broken == "sync":
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def write(self, data: memoryview, position: int) -> int:
        if self.broken == "write":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data, position)


@pytest.mark.parametrize("broken", ["sync", "write"])
async def test_a_failure_ends_the_task_with_the_error_itself(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, broken: str
) -> None:
    files: list[Broken] = []

    def file_of(descriptor: int) -> Broken:
        files.append(Broken(descriptor))
        return files[-1]

    writer = Writer.create(tmp_path / "a", make_header(), clock=clock, file_of=file_of)
    files[0].broken = broken
    writer.write(Note(offset_ns=0, text=""))
    with pytest.raises(DiskFailed, match="writing failed"):
        await keep_durable(writer)
    with pytest.raises(DiskFailed):
        writer.write(Note(offset_ns=0, text=""))
    writer.abort()


class Slow(NoSync):
    """A file whose sync, once told, takes until it is let go."""

    slow = False
    full = False
    closed = False

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self.begun = threading.Event()
        self.let_go = threading.Event()

    def sync(self) -> None:
        if self.slow:
            self.slow = False
            self.begun.set()
            assert self.let_go.wait(10)
            assert not self.closed

    def write(self, data: memoryview, position: int) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data, position)

    def close(self) -> None:
        self.closed = True
        super().close()


async def test_a_slow_sync_holds_up_neither_writing_nor_flushing_but_closing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.track.jsonl"
    files: list[Slow] = []

    def file_of(descriptor: int) -> Slow:
        files.append(Slow(descriptor))
        return files[-1]

    writer = Writer.create(path, make_header(), sync_interval_s=0, file_of=file_of)
    file = files[0]
    file.slow = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_durable, writer)
        await trio.testing.wait_all_tasks_blocked()
        writer.write(Note(offset_ns=0, text="first"))
        assert await trio.to_thread.run_sync(file.begun.wait, 10)
        writer.write(Note(offset_ns=0, text="second"))
        writer.flush()
        assert len(read(path)[0]) == 2
        assert writer.sync_due_ns is not None
        closing = threading.Thread(target=writer.close)
        closing.start()
        closing.join(0.05)
        assert closing.is_alive()
        assert not file.closed
        file.let_go.set()
        await trio.to_thread.run_sync(closing.join)
        nursery.cancel_scope.cancel()
    assert file.closed
    assert read(path)[1].complete


def test_a_failed_writer_is_not_closed_under_a_sync_either(tmp_path: Path) -> None:
    files: list[Slow] = []

    def file_of(descriptor: int) -> Slow:
        files.append(Slow(descriptor))
        return files[-1]

    writer = Writer.create(tmp_path / "a", make_header(), file_of=file_of)
    file = files[0]
    writer.write(Note(offset_ns=0, text=""))
    writer.flush()
    file.slow = True
    syncing = threading.Thread(target=writer.sync)
    syncing.start()
    assert file.begun.wait(10)
    file.full = True
    writer.write(Note(offset_ns=0, text=""))
    with pytest.raises(DiskFailed):
        writer.flush()
    closing = threading.Thread(target=writer.abort)
    closing.start()
    closing.join(0.05)
    assert not file.closed
    file.let_go.set()
    for thread in (syncing, closing):
        thread.join(10)
    assert file.closed


async def test_a_sync_that_is_due_before_the_flush_flushes_too(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "a.track.jsonl"
    with Writer.create(
        path, make_header(), flush_interval_s=100, sync_interval_s=1, clock=clock, file_of=NoSync
    ) as writer:
        writer.write(Note(offset_ns=0, text=""))
        with trio.move_on_after(2):
            await keep_durable(writer)
        assert writer.sync_due_ns is None
        assert len(read(path)[0]) == 1


@pytest.mark.parametrize("suffix", ["track.jsonl", "track.jsonl.zst"])
def test_a_killed_recorder_loses_less_than_a_second_and_can_be_resumed(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    lost_ms = kill_run(path, after_entries=3_000)
    assert lost_ms < 1_000
    found, reader = read(path)
    assert len(found) >= 2_000
    assert [entry.text for entry in found] == [f"{number:0200}" for number in range(len(found))]
    assert not reader.complete
    with resume(path) as writer:
        writer.write(Note(offset_ns=writer.offset_ns, text="on"))
    again, reader = read(path)
    assert again[: len(found)] == found
    assert [entry.kind for entry in again[len(found) :]] == ["resume", "note", "end"]
    assert reader.complete
