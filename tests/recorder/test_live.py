"""What runs beside a recording: progress in each manner, notes, saving, an eye on the disk; none of
it holds up the work.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from recorder.commands import live
from recorder.commands import notes as notes_module
from recorder.commands.live import Beside, LiveOptions, is_low
from recorder.commands.output import LiveRecording, OutputOptions
from recorder.commands.redaction_options import RedactionOptions
from recorder.errors import ConnectionLost, DiskFailed
from tests.recorder.scripted import PASSWORD, assert_no_secret, read

GB = 10**9


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes to a thread is done at once: a virtual clock would not wait for it."""

    async def at_once(function: Callable[..., Any], *arguments: object) -> object:
        await trio.lowlevel.checkpoint()
        return function(*arguments)

    monkeypatch.setattr(live, "_in_thread", at_once)


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[LiveRecording]:
    options = OutputOptions(tmp_path / "a.track.jsonl")
    one = options.open(RedactionOptions("secrets"), mode="capture", upstream="http://x")
    one.sink._clock = lambda: round(trio.current_time() * 1e9)
    one.sink._started_ns = 0
    yield one
    one.abort()


class Counter:
    """Work that counts ten messages a second until it is told to stop, at the latest after
    ``lasts_s``.
    """

    def __init__(self, lasts_s: float = 1.0) -> None:
        self.messages = 0
        self.stopped = trio.Event()
        self.lasts_s = lasts_s

    async def work(self) -> str:
        with trio.move_on_after(self.lasts_s):
            while not self.stopped.is_set():
                await trio.sleep(0.1)
                self.messages += 1
        return "done"

    def beside(self, recording: LiveRecording, **options: object) -> Beside:
        return Beside(
            recording,
            LiveOptions(**options),
            line=lambda: f"{trio.current_time():.0f} s  here",
            facts=lambda: {"messages": self.messages},
            about={"mode": "capture"},
        )

    async def run(self, recording: LiveRecording, **options: object) -> str:
        return await self.beside(recording, **options).run(self.work, stop=self.stopped.set)


# Progress


async def test_lines_come_every_ten_seconds_and_after_a_minute_every_minute(
    recording: LiveRecording,
    autojump_clock: trio.testing.MockClock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await Counter(200.5).run(recording) == "done"
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    seconds = [int(line.split(" ")[0]) for line in lines]
    assert seconds == [10, 20, 30, 40, 50, 60, 120, 180]
    rates = [float(line.split("  ")[1].removesuffix("/s")) for line in lines]
    assert rates == pytest.approx([10] * 8, abs=0.2)
    assert lines[0].split("  ")[2] == "here"
    assert "\x1b" not in err


async def test_json_has_a_start_and_progress_and_an_end(
    recording: LiveRecording,
    autojump_clock: trio.testing.MockClock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    counter = Counter(25)
    beside = counter.beside(recording, json=True)
    await beside.run(counter.work, stop=counter.stopped.set)
    recording.close(None)
    beside.finish(75, "the socket was lost", ["a summary"])
    out, err = capsys.readouterr()
    assert err == ""
    start, *progress, end = [json.loads(line) for line in out.splitlines()]
    path = str(recording.output.path)
    assert (start["type"], start["recording"], start["mode"]) == ("start", path, "capture")
    assert [one["type"] for one in progress] == ["progress", "progress"]
    assert progress[1]["rate"] == pytest.approx(10, abs=0.2)
    assert progress[1]["messages"] == pytest.approx(200, abs=2)
    assert (end["type"], end["exit_code"]) == ("end", 75)
    assert (end["reason"], end["summary"]) == ("the socket was lost", ["a summary"])
    for one in (start, *progress, end):
        assert one["at"].endswith("Z")
        assert isinstance(one["offset_ns"], int)
    assert end["size_bytes"] == recording.output.path.stat().st_size


async def test_quiet_says_nothing_of_what_goes_well(
    recording: LiveRecording,
    autojump_clock: trio.testing.MockClock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    counter = Counter(70)
    beside = counter.beside(recording, quiet=True)
    beside.tell("note", "fine")
    beside.tell("problem", "not fine")
    await beside.run(counter.work, stop=counter.stopped.set)
    beside.finish(0, "", ["a summary"])
    assert capsys.readouterr() == ("", "not fine\n")


async def test_what_is_told_last_is_shown_though_the_work_fails(
    recording: LiveRecording,
    autojump_clock: trio.testing.MockClock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    counter = Counter()
    beside = counter.beside(recording)

    async def work() -> None:
        await trio.sleep(1)
        beside.tell("problem", "last words")
        raise ConnectionLost("lost")

    with pytest.raises(ConnectionLost, match="lost"):
        await beside.run(work, stop=counter.stopped.set)
    assert capsys.readouterr().err == "last words\n"


async def test_no_secret_is_told(
    recording: LiveRecording,
    autojump_clock: trio.testing.MockClock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recording.sink.redactor.learn("password", PASSWORD)
    counter = Counter()
    beside = counter.beside(recording, json=True)
    beside.tell("problem", f"it said {PASSWORD}")
    await beside.run(counter.work, stop=counter.stopped.set)
    out, _ = capsys.readouterr()
    assert "it said" in out
    assert_no_secret(out)


async def test_a_terminal_that_takes_nothing_holds_up_nothing(
    recording: LiveRecording,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def stuck(function: Callable[..., object], *arguments: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(live, "_in_thread", stuck)
    counter = Counter(10)
    beside = counter.beside(recording)

    async def work() -> str:
        for _ in range(5000):
            beside.tell("problem", "told")
        return await counter.work()

    assert await beside.run(work, stop=counter.stopped.set) == "done"
    assert counter.messages >= 99
    # It waits a little for the terminal, and no longer.
    assert trio.current_time() == pytest.approx(12)


async def test_a_terminal_that_is_gone_does_not_end_the_recording(
    recording: LiveRecording,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def gone(function: Callable[..., object], *arguments: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(live, "_in_thread", gone)
    assert await Counter(30).run(recording) == "done"
    assert trio.current_time() == pytest.approx(30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_the_work(
    recording: LiveRecording, autojump_clock: trio.testing.MockClock, number: signal.Signals
) -> None:
    counter = Counter(1e6)
    beside = counter.beside(recording)

    async def work() -> str:
        await trio.sleep(0.1)
        os.kill(os.getpid(), number)
        return await counter.work()

    assert await beside.run(work, stop=counter.stopped.set) == "done"


async def test_a_disk_that_fails_beside_the_work_is_told_alone(
    recording: LiveRecording,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        await trio.sleep(1)
        raise DiskFailed("the disk is full")

    monkeypatch.setattr(recording.sink, "run", run)
    with pytest.raises(DiskFailed, match="the disk is full"):
        await Counter(1e6).run(recording)


# The disk


@given(st.integers(0, 10**14), st.integers(0, 10**14))
def test_a_disk_is_low_by_its_size(total: int, free: int) -> None:
    low = is_low(total, free)
    assert low or free >= 500_000_000
    assert not low or free < 5 * GB
    assert not low or free < max(500_000_000, total / 20)


async def test_a_disk_that_gets_full_is_told_before_it_is(
    recording: LiveRecording,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def usage(folder: Path) -> SimpleNamespace:
        assert folder == recording.output.path.parent
        frees = [50 * GB, 4 * GB, 3 * GB, 2 * GB, 2 * GB, 50 * GB, 4 * GB]
        return SimpleNamespace(total=100 * GB, free=frees[int(trio.current_time() // 10)])

    monkeypatch.setattr(shutil, "disk_usage", usage)
    await Counter(65).run(recording, quiet=True)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1].split(" are")[0] for line in lines] == [
        "4.0 GB",
        "2.0 GB",
        "4.0 GB",
    ]
    assert str(recording.output.path) in lines[0]


# Notes


def notes(recording: LiveRecording) -> list[str]:
    recording.close(None)
    return [entry.text for entry in read(recording.output.path) if entry.kind == "note"]


async def test_lines_of_a_fifo_become_notes_whoever_writes_them(
    recording: LiveRecording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    recording.sink.redactor.learn("password", PASSWORD)

    async def work() -> None:
        await trio.testing.wait_all_tasks_blocked(0.02)
        for line in ("the gate opens", "", f"I typed {PASSWORD}"):
            # Each writer comes and goes.
            with fifo.open("w") as writer:
                writer.write(line + "\n")
            await trio.testing.wait_all_tasks_blocked(0.02)

    beside = Counter().beside(recording, notes_from=str(fifo))
    await beside.run(work, stop=lambda: None)
    found = notes(recording)
    assert found[0] == "the gate opens"
    assert len(found) == 2
    assert PASSWORD not in found[1]
    assert "noted: the gate opens" in capsys.readouterr().err


async def test_without_being_asked_stdin_is_not_read(
    recording: LiveRecording,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def read_chunks(*_: object) -> None:
        raise AssertionError("stdin was read")

    monkeypatch.setattr(notes_module, "read_chunks", read_chunks)
    await Counter().run(recording)
    await Counter().run(recording, json=True)


# Saving


class Keeping:
    """A flight recorder in place of the recording's own."""

    def __init__(self, recording: LiveRecording) -> None:
        self._recording = recording
        self.keeps = True
        self.saves = 0
        self.failure: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recording, name)

    async def save(self) -> SimpleNamespace:
        self.saves += 1
        if self.failure is not None:
            raise self.failure
        await trio.sleep(0.5)
        return SimpleNamespace(path=Path("a-1.track.jsonl"), seconds=600.2, entries=7, damaged=0)


async def save_by_signal() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)
    await trio.sleep(1)


async def test_sigusr1_saves_and_says_what(
    recording: LiveRecording,
    autojump_clock: trio.testing.MockClock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    keeping = Keeping(recording)

    async def work() -> None:
        await trio.sleep(0.1)
        await save_by_signal()
        keeping.failure = DiskFailed("no room")
        await save_by_signal()

    await Counter().beside(keeping).run(work, stop=lambda: None)
    assert keeping.saves == 2
    assert capsys.readouterr().err.splitlines() == [
        "saved the last 600 s, 7 entries: a-1.track.jsonl",
        "it could not be saved: no room",
    ]


async def test_sigusr1_without_anything_to_save_is_told_so_and_kills_nobody(
    recording: LiveRecording,
    autojump_clock: trio.testing.MockClock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def work() -> None:
        await trio.sleep(0.1)
        await save_by_signal()

    await Counter().beside(recording).run(work, stop=lambda: None)
    assert "--keep-last was not given" in capsys.readouterr().err


async def test_an_empty_line_or_an_s_saves_where_there_is_something_to_save(
    recording: LiveRecording, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def type_after(line: str) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            # Opening it waits for the reader.
            await trio.testing.wait_all_tasks_blocked(0.02)
            with fifo.open("w") as writer:
                writer.write(line)
            await trio.testing.wait_all_tasks_blocked(0.02)

        return work

    keeping = Keeping(recording)
    for line in ("\n", "s\n", " s \n"):
        await (
            Counter().beside(keeping, notes_from=str(fifo)).run(type_after(line), stop=lambda: None)
        )
    assert keeping.saves == 3
    await (
        Counter().beside(recording, notes_from=str(fifo)).run(type_after("s\n"), stop=lambda: None)
    )
    assert notes(recording) == ["s"]
