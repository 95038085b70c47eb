"""Where a live recording goes: one file, parts or the last minutes; replaced, gone on with."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from recorder.commands.output import OutputOptions, output_options
from recorder.commands.values import Size
from recorder.errors import (
    CannotRead,
    ConnectionLost,
    DiskFailed,
    LoginRefused,
    OutputExists,
    RecorderError,
    RecordingError,
)
from recorder.live_recording import LiveRecording
from recorder.model import Checkpoint, Clock, End, KnownEntry, Note, Open, Resume, UnknownEntry
from recorder.recording import OpenParts, OsFile, find_parts, part_path
from recorder.redaction.options import RedactionOptions
from recorder.sink import wall_clock_ns
from tests.recording.files import read

SECRETS = RedactionOptions("secrets")


def begin(output: OutputOptions, redaction: RedactionOptions = SECRETS) -> LiveRecording:
    return output.open(redaction, mode="capture", upstream="https://track.example")


def opened(live: LiveRecording, number: int) -> Open:
    return Open(connection=number, leg="upstream", url="https://x", offset_ns=live.sink.now_ns())


def texts(path: Path) -> list[str]:
    return [entry.text for entry in read(path)[0] if isinstance(entry, Note)]


def fill(live: LiveRecording, count: int, size: int = 1_000) -> None:
    for number in range(count):
        live.sink.note(f"{number:0{size}}")


@pytest.fixture(params=["track.jsonl", "track.jsonl.zst"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The path of a recording to be, plain and compressed."""
    return tmp_path / f"a.{request.param}"


# One file


def test_a_recording_is_one_file_unless_parts_are_asked_for(path: Path) -> None:
    live = begin(OutputOptions(path))
    assert (live.keeps, live.first_connection, live.first_exchange) == (False, 1, 1)
    live.sink.note("mail kim@example.org")
    assert live.size_bytes() > 300
    live.close(None)
    assert live.summary() == [f"{path}: 1 entries"]
    found, reader = read(path)
    assert reader.complete
    assert (reader.header.series, reader.header.upstream) == (None, "https://track.example")
    assert texts(path) == ["mail [redacted:email-1]"]
    assert isinstance(found[-1], End)


def test_the_header_shows_no_secret(path: Path) -> None:
    live = OutputOptions(path).open(SECRETS, mode="proxy", upstream="https://kim:hunter22@track.x")
    live.sink.note("one")
    live.close(None)
    with path.open("rb") as file:
        assert b"hunter22" not in file.read()
    assert "hunter22" not in str(read(path)[1].header.upstream)


@pytest.mark.parametrize("failure", [None, LoginRefused("no")])
def test_an_empty_recording_is_removed(tmp_path: Path, failure: RecorderError | None) -> None:
    for number, options in enumerate(
        ({}, {"rotate_every_s": 9.0}, {"keep_last_s": 60.0}, {"force": True})
    ):
        path = tmp_path / f"{number}"
        live = begin(OutputOptions(path, **options))  # type: ignore[arg-type]
        live.close(failure)
        assert os.listdir(tmp_path) == []
        assert live.summary() == ["nothing was kept" if live.keeps else "nothing was recorded"]
        live = begin(OutputOptions(path, **options))  # type: ignore[arg-type]
        live.abort()
        assert os.listdir(tmp_path) != []
        for left in tmp_path.iterdir():
            if left.is_dir():
                for inner in left.iterdir():
                    inner.unlink()
                left.rmdir()
            else:
                left.unlink()


# Replaced by force


def old(path: Path) -> None:
    live = begin(OutputOptions(path))
    live.sink.note("old")
    live.close(None)


def test_by_force_the_old_recording_is_replaced_once_the_new_one_is_worth_it(path: Path) -> None:
    old(path)
    live = begin(OutputOptions(path, force=True))
    live.sink.note("new")
    assert texts(path) == ["old"]
    live.keep()
    live.keep()
    live.sink.note("more")
    live.close(ConnectionLost("gone"))
    assert texts(path) == ["new", "more"]
    assert os.listdir(path.parent) == [path.name]
    assert live.summary() == [f"{path}: 2 entries"]


def test_by_force_a_recording_that_ends_well_replaces_the_old_one(path: Path) -> None:
    old(path)
    live = begin(OutputOptions(path, force=True))
    live.sink.note("new")
    live.close(None)
    assert texts(path) == ["new"]
    assert os.listdir(path.parent) == [path.name]


def test_by_force_an_empty_recording_replaces_nothing(path: Path) -> None:
    old(path)
    live = begin(OutputOptions(path, force=True))
    live.close(None)
    assert texts(path) == ["old"]
    assert os.listdir(path.parent) == [path.name]
    assert live.summary() == ["nothing was recorded"]


def test_by_force_a_failed_attempt_leaves_the_old_recording_and_lies_beside_it(path: Path) -> None:
    old(path)
    live = begin(OutputOptions(path, force=True))
    live.sink.note("attempt")
    live.close(LoginRefused("no"))
    beside = path.with_name(path.name.replace("a.", "a.new."))
    assert (texts(path), texts(beside)) == (["old"], ["attempt"])
    assert live.summary() == [f"{beside}: 1 entries; {path} was left as it was"]
    # The next attempt replaces it.
    live = begin(OutputOptions(path, force=True))
    live.sink.note("again")
    live.abort()
    assert (texts(path), texts(beside)) == (["old"], ["again"])


def test_by_force_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "a", tmp_path / "b"
    old(real)
    link.symlink_to(real)
    live = begin(OutputOptions(link, force=True))
    live.sink.note("new")
    live.close(None)
    assert link.is_symlink()
    assert texts(real) == ["new"]


def test_by_force_a_recording_in_use_is_not_replaced(path: Path) -> None:
    live = begin(OutputOptions(path))
    for options in (OutputOptions(path, force=True), OutputOptions(path, resume=True)):
        with pytest.raises(OutputExists, match="written by another recorder"):
            begin(options)
    live.close(None)
    live = begin(OutputOptions(path.with_name("b"), rotate_every_s=9))
    for options in (
        OutputOptions(path.with_name("b"), force=True, rotate_every_s=9),
        OutputOptions(path.with_name("b"), resume=True),
    ):
        with pytest.raises(OutputExists, match="written by another recorder"):
            begin(options)
    live.close(None)


def test_by_force_parts_of_before_are_removed_and_nothing_else(path: Path) -> None:
    parts = OutputOptions(path, rotate_size_bytes=10_000)
    live = begin(parts)
    fill(live, 50)
    live.close(None)
    assert len(find_parts(path)) > 3
    with pytest.raises(OutputExists, match="exists already"):
        begin(parts)
    letter = part_path(path, 77)
    letter.write_text("Dear reader,")
    forced = OutputOptions(path, force=True, rotate_size_bytes=10_000)
    with pytest.raises(OutputExists, match=r"000077.* is no recording, and is not overwritten"):
        begin(forced)
    assert len(find_parts(path)) > 3
    letter.unlink()
    os.link(part_path(path, 2), letter)
    with pytest.raises(OutputExists, match=r"000077.* is no part 77 of a series"):
        begin(forced)
    letter.unlink()
    live = begin(forced)
    live.sink.note("new")
    live.close(None)
    assert os.listdir(path.parent) == [part_path(path, 1).name]


@pytest.mark.parametrize("entries", [0, 30])
def test_by_force_a_failed_attempt_leaves_the_parts_of_before(path: Path, entries: int) -> None:
    parts = OutputOptions(path, rotate_size_bytes=10_000)
    live = begin(parts)
    fill(live, 40)
    live.close(None)
    before = {found: found.read_bytes() for _, found in find_parts(path)}
    assert len(before) > 3
    beside = path.with_name(path.name.replace("a.", "a.new."))
    forced = OutputOptions(path, force=True, rotate_size_bytes=10_000)
    # The second attempt takes the place of the first.
    for attempt in ("first", "second"):
        live = begin(forced)
        live.sink.write([opened(live, 1)] * bool(entries))
        fill(live, entries)
        if attempt == "second":
            live.close(LoginRefused("no"))
        else:
            live.abort()
        assert {found: found.read_bytes() for _, found in find_parts(path)} == before
        new = [found for _, found in find_parts(beside)]
        assert len(os.listdir(path.parent)) == len(before) + len(new)
        if entries:
            assert len(new) > 1
            assert live.summary() == [
                f"{new[0]} to {new[-1].name}: {entries + 1} entries; {path} was left as it was"
            ]
    if not entries:
        assert new == []
        assert live.summary() == ["nothing was recorded"]


def test_by_force_the_parts_of_before_are_there_until_the_new_ones_are_kept(path: Path) -> None:
    live = begin(OutputOptions(path, rotate_size_bytes=10_000))
    fill(live, 20)
    live.close(None)
    count = len(find_parts(path))
    live = begin(OutputOptions(path, force=True, rotate_size_bytes=10_000))
    live.sink.note("new")
    aside = sorted(set(path.parent.iterdir()) - {part_path(path, 1)})
    # They are a series still.
    name = aside[0].name.replace(".000001", "")
    assert [found for _, found in find_parts(path.with_name(name))] == aside
    assert len(aside) == count
    live.keep()
    assert [found for _, found in find_parts(path)] == list(path.parent.iterdir())
    live.close(ConnectionLost("gone"))
    assert texts(part_path(path, 1)) == ["new"]
    assert os.listdir(path.parent) == [part_path(path, 1).name]


def test_by_force_the_parts_of_before_are_put_back_where_no_new_one_can_be_made(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = begin(OutputOptions(path, rotate_size_bytes=10_000))
    fill(live, 20)
    live.close(None)
    before = {found: found.read_bytes() for _, found in find_parts(path)}

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(OsFile, "write", full)
    with pytest.raises(DiskFailed, match="No space left"):
        begin(OutputOptions(path, force=True, rotate_size_bytes=10_000))
    assert {found: found.read_bytes() for found in path.parent.iterdir()} == before


def test_by_force_one_file_in_the_way_of_parts_is_put_back_too(path: Path) -> None:
    old(path)
    live = begin(OutputOptions(path, force=True, rotate_every_s=9))
    assert not path.exists()
    live.close(LoginRefused("no"))
    assert texts(path) == ["old"]
    assert os.listdir(path.parent) == [path.name]


def test_parts_that_cannot_be_put_back_are_told(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live = begin(OutputOptions(path, rotate_every_s=9))
    live.sink.note("old")
    live.close(None)
    live = begin(OutputOptions(path, force=True, rotate_every_s=9))
    part_path(path, 1).unlink()
    part_path(path, 1).write_text("Dear reader,")
    live.abort()
    assert part_path(path, 1).read_text() == "Dear reader,"
    (aside,) = set(path.parent.iterdir()) - {part_path(path, 1)}
    assert texts(aside) == ["old"]
    assert f"cannot be put back, and begins in {aside}" in capsys.readouterr().err


def test_by_force_a_recording_that_is_called_like_a_part_and_is_none_is_not_replaced(
    path: Path,
) -> None:
    old(part_path(path, 1))
    with pytest.raises(OutputExists, match="is no part 1 of a series"):
        begin(OutputOptions(path, force=True, rotate_every_s=9))
    assert texts(part_path(path, 1)) == ["old"]


# Parts


def test_a_recording_in_parts_is_told_by_its_first_and_last(path: Path) -> None:
    live = begin(OutputOptions(path, rotate_size_bytes=10_000))
    fill(live, 60)
    live.close(None)
    found = find_parts(path)
    assert len(found) > 2
    assert live.summary() == [f"{found[0][1]} to {found[-1][1].name}: 60 entries"]
    assert live.size_bytes() == sum(part.stat().st_size for _, part in found)
    assert not path.exists()


def test_above_the_limit_the_oldest_parts_are_removed_and_that_is_told(path: Path) -> None:
    live = begin(OutputOptions(path, max_disk_bytes=100_000))
    for number in range(300):
        live.sink.note(f"{number} {os.urandom(700).hex()}")
        assert sum(part.stat().st_size for _, part in find_parts(path)) <= 100_000
    live.close(None)
    found = find_parts(path)
    assert found[0][0] > 5
    assert live.summary() == [
        f"{found[0][1]} to {found[-1][1].name}: 300 entries",
        f"{found[0][0] - 1} older parts were removed to make room",
    ]
    told = [text for _, part in found for text in texts(part) if text.startswith("part")]
    assert told
    assert all(text.endswith("so that all parts take at most 100000 bytes") for text in told)


# Going on


def test_going_on_counts_on_where_the_recording_ended(path: Path) -> None:
    live = begin(OutputOptions(path))
    live.sink.write([opened(live, 7)])
    live.sink.note("kim@example.org")
    live.close(None)
    again = begin(OutputOptions(path, resume=True))
    assert (again.first_connection, again.first_exchange) == (8, 1)
    again.sink.note("lee@example.org")
    again.close(None)
    assert again.summary() == [f"{path}: 2 entries more"]
    found, reader = read(path)
    assert reader.complete
    assert [entry.kind for entry in found] == [
        *["open", "note", "end", "resume", "clock", "note", "end"]
    ]
    assert texts(path) == ["[redacted:email-1]", "[redacted:email-2]"]
    assert [entry.offset_ns for entry in found] == sorted(entry.offset_ns or 0 for entry in found)


def test_going_on_counts_on_in_a_series_of_which_the_first_parts_are_gone(path: Path) -> None:
    live = begin(OutputOptions(path, rotate_size_bytes=10_000))
    live.sink.write([opened(live, 7)])
    live.sink.note("kim@example.org")
    for number in range(60):
        live.sink.note(f"{number} {os.urandom(700).hex()}")
    live.close(None)
    parts = find_parts(path)
    for _, part in parts[:-1]:
        part.unlink()
    again = begin(OutputOptions(path, resume=True, rotate_size_bytes=10_000))
    assert again.first_connection == 8
    again.sink.note("lee@example.org")
    for number in range(60):
        again.sink.note(f"{number} {os.urandom(700).hex()}")
    again.close(None)
    assert "[redacted:email-2]" in texts(parts[-1][1])
    entries: list[KnownEntry | UnknownEntry] = []
    for _, part in find_parts(path):
        found, reader = read(part)
        assert reader.complete
        entries += found
    assert [entry.seq for entry in entries] == list(
        range(entries[0].seq, entries[0].seq + len(entries))
    )
    assert sum(isinstance(entry, Resume) for entry in entries) == 1
    assert sum(isinstance(entry, Checkpoint) for entry in entries) == len(find_parts(path))


@pytest.mark.parametrize("step_s", [0.0, 3600.0, -3600.0])
def test_going_on_the_wall_clock_tells_how_long_nobody_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    path = tmp_path / "a"
    live = begin(OutputOptions(path))
    live.sink.note("before")
    live.close(None)
    before_ns = read(path)[0][0].offset_ns or 0
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + round(step_s * 1e9))
    again = begin(OutputOptions(path, resume=True))
    again.sink.note("after")
    again.close(None)
    found = read(path)[0]
    clock = next(entry for entry in found if isinstance(entry, Clock))
    after_ns = found[-1].offset_ns or 0
    gap_s = (after_ns - before_ns) / 1e9
    assert max(0.0, step_s) <= gap_s <= max(0.0, step_s) + 60
    started_ns = wall_clock_ns(read(path)[1].header.started_at)
    assert abs(wall_clock_ns(clock.wall) - started_ns - step_s * 1e9) < 60e9


def test_going_on_with_what_was_recorded_otherwise_is_refused(path: Path) -> None:
    old(path)
    before = path.read_bytes()
    resumed = OutputOptions(path, resume=True)

    def refused(match: str, redaction: RedactionOptions = SECRETS, **changed: Any) -> None:
        options = {"mode": "capture", "upstream": "https://track.example", **changed}
        with pytest.raises(RecordingError, match=match):
            resumed.open(redaction, **options)
        assert path.read_bytes() == before

    refused("its mode is capture, not proxy", mode="proxy")
    refused("its upstream is https://track.example, not https://other", upstream="https://other")
    refused("its redaction is secrets, not none", RedactionOptions("none"))
    with pytest.raises(OutputExists, match="is one file"):
        begin(OutputOptions(path, resume=True, rotate_every_s=9))
    with pytest.raises(CannotRead):
        begin(OutputOptions(path.with_name("none"), resume=True))


# The last minutes


async def test_what_just_happened_is_saved_while_recording_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = begin(OutputOptions(path, keep_last_s=60))
    assert live.keeps
    live.sink.note("one")
    saved = await live.save()
    live.sink.note("two")
    assert live.size_bytes() > 300
    live.close(None)
    assert texts(saved.path) == ["one"]
    assert saved.entries == 1
    first, last = live.summary()
    assert first == f"{saved.path}: 1 entries, 0.0 s"
    final = Path(last.partition(": ")[0])
    assert texts(final) == ["one", "two"]
    assert sorted(os.listdir(path.parent)) == sorted([saved.path.name, final.name])


async def test_without_keep_last_there_is_nothing_to_save(path: Path) -> None:
    live = begin(OutputOptions(path))
    with pytest.raises(ValueError, match="--keep-last"):
        await live.save()
    live.close(None)


@pytest.mark.parametrize("failure", [None, ConnectionLost("gone")])
def test_a_failure_saves_the_last_minutes_too(path: Path, failure: RecorderError | None) -> None:
    live = begin(OutputOptions(path, keep_last_s=60))
    live.sink.note("one")
    live.close(failure)
    (only,) = os.listdir(path.parent)
    assert texts(path.with_name(only)) == ["one"]


def test_what_a_dead_recorder_kept_is_saved_and_told(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live = begin(OutputOptions(path, keep_last_s=60))
    live.sink.note("one")
    live.abort()
    live = begin(OutputOptions(path, keep_last_s=60))
    told = capsys.readouterr().err
    assert told.startswith("a recorder died here before: what it kept is saved in ")
    (saved,) = [name for name in os.listdir(path.parent) if not name.endswith(".ring")]
    assert saved in told
    assert texts(path.with_name(saved))[0] == "one"
    live.close(None)
    assert live.summary() == ["nothing was kept"]
    assert os.listdir(path.parent) == [saved]


async def test_a_save_that_fails_does_not_end_the_recording(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DiskFailed("no room")

    live = begin(OutputOptions(path, keep_last_s=60))
    live.sink.note("one")
    with monkeypatch.context() as patch:
        patch.setattr(OpenParts, "save", fail)
        with pytest.raises(DiskFailed):
            await live.save()
    live.sink.note("two")
    live.close(None)
    (only,) = os.listdir(path.parent)
    assert texts(path.with_name(only)) == ["one", "two"]


def test_what_cannot_be_saved_at_the_end_stays_for_the_next_start(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DiskFailed("no room")

    live = begin(OutputOptions(path, keep_last_s=60))
    live.sink.note("one")
    with monkeypatch.context() as patch:
        patch.setattr(OpenParts, "save", fail)
        with pytest.raises(DiskFailed):
            live.close(None)
    begin(OutputOptions(path, keep_last_s=60)).close(None)
    assert "what it kept is saved" in capsys.readouterr().err


# The options


@click.command()
@output_options
def command(output: OutputOptions) -> None:
    """Show what was understood."""
    click.echo(repr(output))
    click.echo(repr(output.rotation))


def shown(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(command, list(arguments))
    return done.exit_code, " ".join(done.output.split())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", "None"),
        ("--rotate-size 100M", "Rotation(size_bytes=100000000, every_ns=None, "),
        ("--rotate-every 1h", "Rotation(size_bytes=None, every_ns=3600000000000, "),
        ("--max-disk 2G", "(size_bytes=100000000, every_ns=None, max_disk_bytes=2000000000"),
        ("--max-disk 400k", "(size_bytes=40000, every_ns=None, max_disk_bytes=400000"),
        (
            "--max-disk 500k --rotate-every 10m",
            "(size_bytes=50000, every_ns=600000000000, max_disk_bytes=500000",
        ),
        ("--max-disk 500k --rotate-size 60k", "(size_bytes=60000, every_ns=None, max_disk"),
        ("--keep-last 10m", "keep_last_s=600.0) None"),
    ],
)
def test_the_options_say_when_parts_end(arguments: str, expected: str) -> None:
    code, output = shown("-o", "a", *arguments.split())
    assert code == 0
    assert expected in output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("-o -", "a file, not to stdout"),
        ("-o a --force --resume", "give one of them"),
        ("-o a --keep-last 10m --rotate-size 1M", "--keep-last writes no REC"),
        ("-o a --keep-last 10m --resume", "--keep-last writes no REC"),
        ("-o a --keep-last 10m --force", "--keep-last writes no REC"),
        ("-o a --keep-last 9", "--keep-last keeps 10 s at least"),
        ("-o a --rotate-every 0.5", "parts of 1 s at least"),
        ("-o a --rotate-size 9k", "parts of 10000 bytes at least"),
        ("-o a --max-disk 299k", "--max-disk 299000 is too small"),
        ("-o a --max-disk 1M --rotate-size 400k", "takes 1200000 bytes"),
        ("-o a --max-disk nothing", "'nothing' is no size"),
        ("-o a --rotate-every never", "'never' is no duration"),
    ],
)
def test_options_that_contradict_are_refused(arguments: str, expected: str) -> None:
    code, output = shown(*arguments.split())
    assert code == 2
    assert expected in output.replace("│ ", "")


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("1", 1), ("64k", 64_000), ("1.5M", 1_500_000), ("2G", 2 * 10**9), ("2g", 2 * 10**9)],
)
def test_sizes(text: str, size_bytes: int) -> None:
    assert Size().convert(text, None, None) == size_bytes


@pytest.mark.parametrize("text", ["", "0", "-1", "k", "1T", "1.5", "nan", "infM", "nanM", "0.1"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(click.BadParameter, match="no size"):
        Size().convert(text, None, None)


# Killed at any moment

_RECORDER = """
import os, signal, sys
from pathlib import Path
from recorder.live_recording import OutputOptions
from recorder.recording import OsFile
from recorder.redaction.options import RedactionOptions

left = int(sys.argv[2])
def step():
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
for name in ("write", "truncate", "sync", "close"):
    def killing(self, *arguments, real=getattr(OsFile, name)):
        step()
        done = real(self, *arguments)
        step()
        return done
    setattr(OsFile, name, killing)
real_unlink, real_rename = os.unlink, os.rename
os.unlink = lambda path: (step(), real_unlink(path), step())
os.rename = lambda source, target: (step(), real_rename(source, target), step())

options = OutputOptions(Path(sys.argv[1]), **eval(sys.argv[3]))
live = options.open(RedactionOptions("none"), mode="capture", upstream="https://track.example")
import trio
for number in range(400):
    live.sink.note(f"{number} " + "x" * 700)
    live._writer.flush()
    os.write(1, b"%d\\n" % number)
    if number % 20 == 19:
        live._writer.tick(live.sink.now_ns())
        live._writer.sync()
    if live.keeps and number % 150 == 149:
        trio.run(live.save)
live.close(None)
"""


def killed(path: Path, after_steps: int, options: dict[str, object]) -> int:
    """Run a recorder that is killed at a step; return the last note that it had flushed."""
    done = subprocess.run(
        [sys.executable, "-c", _RECORDER, str(path), str(after_steps), repr(options)],
        stdout=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    return int((done.stdout.split() or [b"-1"])[-1])


@pytest.mark.parametrize("after_steps", [3, 5, 9, 40, 58, 59, 60, 61, 62, 63, 64, 65, 200, 331])
def test_a_recorder_killed_at_any_moment_of_rotation_loses_nothing_that_was_flushed(
    tmp_path: Path, after_steps: int
) -> None:
    path = tmp_path / "a.track.jsonl"
    last = killed(path, after_steps, {"rotate_size_bytes": 10_000, "max_disk_bytes": 50_000})
    if last >= 0:
        live = OutputOptions(path, resume=True, rotate_size_bytes=10_000).open(
            RedactionOptions("none"), mode="capture", upstream="https://track.example"
        )
        live.sink.note("on")
        live.close(None)
    notes = []
    for number, (_, part) in enumerate(find_parts(path)):
        if not part.stat().st_size:
            assert last < 0
            continue
        found, reader = read(part)
        if reader.header.series is not None and reader.header.series.part > 1:
            assert isinstance(found[0], Checkpoint)
        assert reader.torn is None, number
        notes += [entry.text for entry in found if isinstance(entry, Note)]
    numbers = [int(text.split()[0]) for text in notes if text[0].isdigit()]
    assert numbers == list(range(numbers[0] if numbers else 0, last + 1)) or (
        # The one that was on its way.
        numbers == list(range(numbers[0] if numbers else 0, last + 2))
    )
    assert len(numbers) >= min(last, 12)


@pytest.mark.parametrize("after_steps", [4, 100, 330, 356, 370, 390, 420, 900])
def test_a_flight_recorder_killed_at_any_moment_leaves_what_it_kept(
    tmp_path: Path, after_steps: int
) -> None:
    path = tmp_path / "a.track.jsonl"
    last = killed(path, after_steps, {"keep_last_s": 600.0})
    whole = list(tmp_path.glob("a-*"))
    for found in whole:
        assert read(found)[1].complete
    live = OutputOptions(path, keep_last_s=600).open(
        RedactionOptions("none"), mode="capture", upstream="https://track.example"
    )
    live.close(None)
    new = sorted(set(tmp_path.glob("a-*")) - set(whole), key=lambda found: found.name)
    assert not (tmp_path / "a.track.jsonl.ring").exists()
    if last < 0:
        return
    (left,) = new
    numbers = [int(text.split()[0]) for text in texts(left) if text[0].isdigit()]
    assert numbers in (list(range(last + 1)), list(range(last + 2)))
    assert read(left)[1].complete
