"""A disk that takes no more: the recorder stops, says so, and lets nobody believe that it still
records; what was written is intact.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import DiskFailed
from recorder.exits import Exit
from recorder.model import Entry
from recorder.recording import Reader
from tests.faults.processes import (
    Listening,
    Recorder,
    backend,
    message,
    open_socket,
    recording,
    texts,
)
from tests.faults.support import DEADLINE_S, How, Proxied, proxied, until
from tests.faults.test_ends import ASK, OPENED, Stage, play
from tests.profiles import examples
from tests.recording.files import NoSync

LIMIT_BYTES: Final = 400_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which is soon full."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("this test needs mount")
    if mounted.returncode:
        pytest.skip("this test mounts a file system, which takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def make_room(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=10m", str(small_disk)], check=True)


async def talk(server: trio.SocketStream) -> int:
    """Messages, until nobody takes them; returns how many."""
    number = 0
    while True:
        try:
            await server.send_all(message(number))
        except trio.BrokenResourceError:
            return number
        number += 1


def told_entries(line: str) -> int:
    """How many entries of the last file an error says are there."""
    found = re.findall(
        r"its first (\d+) entries are on the disk(?:, (\d+) more were handed to the system)?", line
    )
    assert found, line
    # Where a part cannot be begun, the one before it comes last.
    return sum(int(number or 0) for number in found[-1])


def assert_told(recorder: Recorder, status: int, why: str) -> list[Entry]:
    """It stopped for ``why`` and said so in one line, which is true; returns what it kept."""
    assert status == Exit.DISK_FAILED
    # Before it perhaps that the disk is nearly full.
    line = recorder.errors.splitlines()[-1]
    assert line.startswith("track-recorder: error: "), line
    assert why in line
    entries, readers = recorder.recorded()
    with Reader(recorder.parts[-1]) as last:
        assert sum(1 for _ in last) >= told_entries(line) > 0
    assert not readers[-1].complete
    assert "entries" not in recorder.output, "the counts of what was not written"
    return entries


@pytest.mark.parametrize("name", ["a.track.jsonl", "a.track.jsonl.zst"])
async def test_a_proxy_that_cannot_record_stops_and_cuts_its_clients_off(
    tmp_path: Path, name: str
) -> None:
    async with (
        backend() as upstream,
        trio.open_nursery() as nursery,
        recording("proxy", upstream.url, tmp_path, name=name, max_file_bytes=LIMIT_BYTES) as proxy,
    ):
        idle, talking = [Listening(await open_socket(proxy)) for _ in range(2)]
        nursery.start_soon(idle.run)
        nursery.start_soon(talking.run)
        idle_server, server = await upstream.socket(), await upstream.socket()
        nursery.start_soon(Listening(idle_server).run)
        await talk(server)
        status = await proxy.ended()
        await until(lambda: idle.ended and talking.ended)
    kept = texts(assert_told(proxy, status, "File too large"))
    # Relayed first: what was sent at last is with the client, not in the recording.
    assert talking.texts[: len(kept)] == kept
    assert proxy.parts[-1].stat().st_size == LIMIT_BYTES


async def test_a_capture_that_cannot_record_stops(tmp_path: Path) -> None:
    async with (
        backend() as upstream,
        recording("capture", upstream.url, tmp_path, max_file_bytes=LIMIT_BYTES) as capture,
    ):
        sent = await talk(await upstream.socket())
        status = await capture.ended()
    kept = texts(assert_told(capture, status, "File too large"))
    assert 0 < len(kept) < sent


@pytest.mark.parametrize("options", [(), ("--rotate-size", "50k"), ("--keep-last", "10m")])
async def test_what_a_full_file_system_holds_is_intact_and_gone_on_with_once_there_is_room(
    tmp_path: Path, small_disk: Path, options: tuple[str, ...]
) -> None:
    name = f"{small_disk.name}/a.track.jsonl"
    async with backend() as upstream, trio.open_nursery() as nursery:
        async with recording("proxy", upstream.url, tmp_path, *options, name=name) as proxy:
            listening = Listening(await open_socket(proxy))
            nursery.start_soon(listening.run)
            await talk(await upstream.socket())
            status = await proxy.ended()
            await until(lambda: listening.ended)
        if "--keep-last" in options:
            proxy.path = small_disk / "a.track.jsonl.ring" / "a.track.jsonl"
        kept = texts(assert_told(proxy, status, "No space left on device"))
        assert listening.texts[: len(kept)] == kept
        make_room(small_disk)
        if "--keep-last" not in options:
            options = (*options, "--resume")
        async with recording("proxy", upstream.url, tmp_path, *options, name=name) as proxy:
            assert await proxy.stop() == 0
        if "--keep-last" in options:
            [proxy.path] = proxy.saved()
        entries, readers = proxy.recorded()
        assert texts(entries) == kept
        assert all(reader.complete for reader in readers)
        nursery.cancel_scope.cancel()


# The same in this process, at any byte


class Full(NoSync):
    """A file on a disk that takes ``room`` bytes in all: a last write is cut short."""

    room = 1_000_000

    def write(self, data: memoryview, position: int) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = super().write(data[: self.room], position)
        self.room -= taken
        return taken


@given(room=st.integers(0, 12_000), compressed=st.booleans())
@settings(max_examples=examples(25))
def test_wherever_the_disk_is_full_what_was_written_is_intact(
    tmp_path_factory: pytest.TempPathFactory, room: int, compressed: bool
) -> None:
    folder = tmp_path_factory.mktemp("full")
    name = "a.track.jsonl" + (".zst" if compressed else "")
    heard: list[bytes] = []

    async def fill(running: Proxied, file: Full) -> None:
        peers = await play(Stage("", OPENED), running)
        file.room = room
        while True:
            frame = message(len(heard))
            await peers["server"].send(frame)
            await peers["client"].expect(frame)
            heard.append(frame[4:])

    failure = trio.run(failing, folder, name, fill)
    with Reader(folder / name) as reader:
        entries = [entry for entry in reader if isinstance(entry, Entry)]
    assert len(entries) >= told_entries(str(failure))
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    kept = texts(entries)
    # Relayed first, recorded then: of what was read at last the client may know more.
    assert kept[: len(heard)] == heard[: len(kept)]
    assert len(kept) >= len(heard) - 1


async def failing(
    folder: Path, name: str, work: Callable[[Proxied, Full], Awaitable[None]]
) -> DiskFailed:
    """Do ``work`` beside a proxy whose file it may fill; returns why the proxy stopped."""
    files: list[Full] = []

    def file_of(descriptor: int) -> Full:
        files.append(Full(descriptor))
        return files[-1]

    failures: list[DiskFailed] = []
    try:
        async with proxied(folder, name=name, file_of=file_of, flush_interval_s=0) as running:
            # Shielded, so that what the peers see of the end is seen.
            with trio.CancelScope(shield=True), suppress(trio.BrokenResourceError, EOFError):
                with trio.fail_after(DEADLINE_S):
                    await work(running, files[0])
            await trio.sleep_forever()
    except* DiskFailed as group:
        failures += leaves(group)
    assert {str(failure) for failure in failures} == {str(failures[0])}
    assert "No space left on device" in str(failures[0])
    return failures[0]


def leaves(group: BaseExceptionGroup[DiskFailed]) -> list[DiskFailed]:
    """The errors in a group of groups."""
    found: list[DiskFailed] = []
    for one in group.exceptions:
        found += leaves(one) if isinstance(one, BaseExceptionGroup) else [one]
    return found


async def test_a_body_that_is_cut_off_by_the_disk_does_not_look_whole(tmp_path: Path) -> None:
    ends: list[How] = []

    async def fill(running: Proxied, file: Full) -> None:
        peers = await play(Stage("", ASK), running)
        await peers["server"].send(b"HTTP/1.1 200 OK\r\n\r\nthe first half")
        await until(lambda: running.proxy.progress.bytes["server"])
        file.room = 0
        await peers["server"].send(b", and more" * 10_000)
        ends.append(await peers["client"].wait_for_the_end())

    await failing(tmp_path, "a.track.jsonl", fill)
    assert ends == ["reset"]
