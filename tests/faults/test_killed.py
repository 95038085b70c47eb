"""`kill -9` in the middle of traffic: a recording loses what came in its last moments, can be read,
and is gone on with.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import pytest
import trio

from recorder.model import Entry, Resume
from recorder.recording import Reader
from recorder.wire.frames import Frame, Opcode
from tests.faults.processes import (
    Listening,
    backend,
    message,
    open_socket,
    received,
    recording,
    sent_ns,
    texts,
)
from tests.faults.support import until

MOST_LOST_MS: Final = 300
"""A line is flushed when it is 100 ms old; the rest is for a machine that is busy otherwise."""

TRAFFIC_S: Final = 0.4

FORMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "plain": ("a.track.jsonl", ()),
    "compressed": ("a.track.jsonl.zst", ()),
    "in parts": ("a.track.jsonl", ("--rotate-size", "20k")),
    "in compressed parts": ("a.track.jsonl.zst", ("--rotate-size", "20k")),
}


async def talk(server: trio.SocketStream, listening: Listening, at_once: int = 10) -> None:
    """Messages from the server, so many at once, each time when ``listening`` has those before; for
    so long that some of them are on the disk.
    """
    number, until_s = 0, time.monotonic() + TRAFFIC_S
    while time.monotonic() < until_s:
        await server.send_all(b"".join(message(number + more) for more in range(at_once)))
        number += at_once
        await listening.has_heard(number)


def lost_ms(heard: list[bytes], kept: list[bytes]) -> float:
    """How old what is lost was, at most, when the last message was sent that was heard."""
    assert kept
    assert kept[: len(heard)] == heard[: len(kept)]
    return max(0.0, (sent_ns(heard[-1]) - sent_ns(kept[-1])) / 1e6)


@pytest.mark.parametrize("form", FORMS)
async def test_a_killed_proxy_loses_its_last_moment_and_cuts_its_clients_off(
    tmp_path: Path, form: str
) -> None:
    name, options = FORMS[form]
    async with backend() as upstream, trio.open_nursery() as nursery:
        async with recording("proxy", upstream.url, tmp_path, *options, name=name) as proxy:
            listening = Listening(await open_socket(proxy))
            nursery.start_soon(listening.run)
            server = await upstream.socket()
            # One at a time it is age that has them flushed, ten at a time their size too.
            await talk(server, listening, at_once=1 if form == "plain" else 10)
            await proxy.kill()
            await until(lambda: listening.ended is not None)
        assert await received(server) == b""
        entries, readers = proxy.recorded()
        kept = texts(entries)
        lost = lost_ms(listening.texts, kept)
        print(f"lost: {lost:.1f} ms, {len(listening.texts) - len(kept)} messages")
        assert lost < MOST_LOST_MS
        assert not readers[-1].complete
        assert all(reader.complete for reader in readers[:-1])
        if "parts" in form:
            assert len(readers) > 2

        async with recording(
            "proxy", upstream.url, tmp_path, *options, "--resume", name=name
        ) as proxy:
            again = Listening(await open_socket(proxy))
            nursery.start_soon(again.run)
            server = await upstream.socket()
            await server.send_all(message(-1))
            await until(lambda: again.texts)
            assert await proxy.stop() == 0
        entries, readers = proxy.recorded()
        assert texts(entries) == kept + again.texts
        assert sum(isinstance(entry, Resume) for entry in entries) == 1
        assert all(reader.complete for reader in readers)
        nursery.cancel_scope.cancel()


async def test_a_killed_capture_loses_its_last_moment_and_is_gone_on_with(tmp_path: Path) -> None:
    async with backend() as upstream:
        async with recording("capture", upstream.url, tmp_path) as capture:
            server = await upstream.socket()
            sent = await talk_in_steps(server)
            await capture.kill()
        entries, [reader] = capture.recorded()
        kept = texts(entries)
        lost = lost_ms(sent, kept)
        print(f"lost: {lost:.1f} ms, {len(sent) - len(kept)} messages")
        assert lost < MOST_LOST_MS
        assert not reader.complete

        async with recording("capture", upstream.url, tmp_path, "--resume") as capture:
            await talk_in_steps(await upstream.socket(), for_s=0)
            assert await capture.stop() == 0
        entries, [reader] = capture.recorded()
        again = texts(entries)
        assert again[: len(kept)] == kept
        assert len(again) == len(kept) + 10
        assert reader.complete


async def talk_in_steps(server: trio.SocketStream, for_s: float = TRAFFIC_S) -> list[bytes]:
    """Messages from the server, ten at a time, each ten once the client has read those before: it
    answers control pings. Returns what was sent.
    """
    listening = Listening(server)
    sent: list[bytes] = []
    until_s = time.monotonic() + for_s
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listening.run)
        while not sent or time.monotonic() < until_s:
            frames = [message(len(sent) + more) for more in range(10)]
            sent += [frame[4:] for frame in frames]
            answers = len(listening.texts)
            await server.send_all(b"".join(frames) + Frame.make(Opcode.PING, b"?").serialize())
            await listening.has_heard(answers + 1)
        nursery.cancel_scope.cancel()
    return sent


async def test_what_a_killed_flight_recorder_kept_is_saved_at_the_next_start(
    tmp_path: Path,
) -> None:
    async with backend() as upstream, trio.open_nursery() as nursery:
        async with recording("proxy", upstream.url, tmp_path, "--keep-last", "10m") as proxy:
            listening = Listening(await open_socket(proxy))
            nursery.start_soon(listening.run)
            await talk(await upstream.socket(), listening)
            await proxy.kill()
            await until(lambda: listening.ended is not None)
        async with recording("proxy", upstream.url, tmp_path, "--keep-last", "10m") as proxy:
            assert await proxy.stop() == 0
            assert "a recorder died here before: what it kept is saved in" in proxy.errors
        nursery.cancel_scope.cancel()
    [saved] = proxy.saved()
    with Reader(saved) as reader:
        kept = texts([entry for entry in reader if isinstance(entry, Entry)])
    assert reader.complete
    lost = lost_ms(listening.texts, kept)
    print(f"lost: {lost:.1f} ms, {len(listening.texts) - len(kept)} messages")
    assert lost < MOST_LOST_MS
