"""Many messages and many clients at once: nothing is lost, all of it is in order, and memory stays
flat.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Final

import pytest
import trio

from recorder.wire.frames import Frame, Opcode, close_frame
from tests.fake_server.support import MASK
from tests.faults.processes import (
    Listening,
    Recorder,
    backend,
    message,
    open_socket,
    recording,
    texts,
)
from tests.faults.support import until

MESSAGES: Final = [
    pytest.param(20_000, id="20 000"),
    pytest.param(100_000, id="100 000", marks=pytest.mark.nightly),
]
CLIENTS: Final = [
    pytest.param(100, id="100"),
    pytest.param(500, id="500", marks=pytest.mark.nightly),
]
BATCH: Final = 50
MOST_MORE_MEMORY_BYTES: Final = 30_000_000


def payload_of(frame: bytes) -> bytes:
    """What a server's frame of 126 to 65535 bytes holds."""
    return frame[4:]


def assert_flat(recorder: Recorder, at_start_bytes: int) -> None:
    more_bytes = recorder.memory_bytes("VmHWM") - at_start_bytes
    print(f"{more_bytes / 1e6:.1f} MB more at most")
    assert more_bytes < MOST_MORE_MEMORY_BYTES


@pytest.mark.parametrize("count", MESSAGES)
async def test_a_proxy_relays_and_records_every_message_in_order(
    tmp_path: Path, count: int
) -> None:
    sent: list[bytes] = []
    async with (
        backend() as upstream,
        trio.open_nursery() as nursery,
        recording("proxy", upstream.url, tmp_path) as proxy,
    ):
        listening = Listening(await open_socket(proxy))
        nursery.start_soon(listening.run)
        server = await upstream.socket()
        at_start_bytes, started_s = proxy.memory_bytes(), time.monotonic()
        for first in range(0, count, BATCH):
            frames = [message(first + more) for more in range(BATCH)]
            sent += map(payload_of, frames)
            await server.send_all(b"".join(frames))
        await until(lambda: len(listening.texts) == count)
        print(f"{count / (time.monotonic() - started_s):.0f} messages/s")
        assert_flat(proxy, at_start_bytes)
        assert await proxy.stop() == 0
        await until(lambda: listening.ended)
    assert listening.texts == sent
    entries, [reader] = proxy.recorded()
    assert texts(entries) == sent
    assert reader.complete


@pytest.mark.parametrize("count", MESSAGES)
async def test_a_capture_records_every_message_in_order(tmp_path: Path, count: int) -> None:
    sent: list[bytes] = []
    async with backend() as upstream, trio.open_nursery() as nursery:
        async with recording("capture", upstream.url, tmp_path) as capture:
            server = await upstream.socket()
            answers = Listening(server)
            nursery.start_soon(answers.run)
            at_start_bytes, started_s = capture.memory_bytes(), time.monotonic()
            for first in range(0, count, BATCH):
                frames = [message(first + more) for more in range(BATCH)]
                sent += map(payload_of, frames)
                await server.send_all(b"".join(frames))
            # Answered once all before it was read (RFC 6455 section 5.5.2).
            await server.send_all(Frame.make(Opcode.PING, b"all").serialize())
            await until(lambda: answers.texts == [b"all"])
            print(f"{count / (time.monotonic() - started_s):.0f} messages/s")
            assert_flat(capture, at_start_bytes)
            await server.send_all(close_frame(1000).serialize())
            assert await capture.ended() == 0
        nursery.cancel_scope.cancel()
    entries, [reader] = capture.recorded()
    assert texts(entries) == sent
    assert reader.complete


@pytest.mark.parametrize("count", CLIENTS)
async def test_many_clients_at_once_get_their_own_and_are_recorded_apart(
    tmp_path: Path, count: int
) -> None:
    async def echo(server: trio.SocketStream) -> None:
        """What a client sent comes back, unmasked."""
        listening = Listening(server)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listening.run)
            for at in range(10):
                await listening.has_heard(at + 1)
                await server.send_all(Frame.make(Opcode.TEXT, listening.texts[at]).serialize())
            nursery.cancel_scope.cancel()

    async def client(number: int) -> None:
        stream = await open_socket(proxy)
        listening = Listening(stream)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listening.run)
            for at in range(10):
                data = b"client %d, message %d" % (number, at)
                expected.setdefault(number, []).append(data)
                await stream.send_all(Frame.make(Opcode.TEXT, data, mask=MASK).serialize())
            await until(lambda: len(listening.texts) == 10)
            assert listening.texts == expected[number]
            nursery.cancel_scope.cancel()

    async def serve() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(echo, await upstream.socket())

    expected: dict[int, list[bytes]] = {}
    async with (
        backend() as upstream,
        recording("proxy", upstream.url, tmp_path) as proxy,
        trio.open_nursery() as nursery,
    ):
        at_start_bytes, started_s = proxy.memory_bytes(), time.monotonic()
        nursery.start_soon(serve)
        async with trio.open_nursery() as clients:
            for number in range(count):
                clients.start_soon(client, number)
        print(f"{time.monotonic() - started_s:.1f} s")
        assert_flat(proxy, at_start_bytes)
        assert await proxy.stop() == 0
    entries, _ = proxy.recorded()
    for sender in ("client", "server"):
        found = texts(entries, sender)
        assert len(found) == count * 10
        for number, messages in expected.items():
            start = b"client %d," % number
            assert [text for text in found if text.startswith(start)] == messages


async def test_where_files_are_short_clients_wait_or_get_502_and_the_proxy_goes_on(
    tmp_path: Path,
) -> None:
    answers: list[bytes] = []

    async def ask(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.send_all(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
            answers.append(bytes(await stream.receive_some(65536)))

    async with backend() as upstream, recording("proxy", upstream.url, tmp_path) as proxy:
        resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (40, 40))
        streams = [await proxy.connect() for _ in range(60)]
        async with trio.open_nursery() as nursery:
            for stream in streams:
                nursery.start_soon(ask, stream)
        # All of them were answered, the late ones once others had left.
        assert len(answers) == 60
        assert {answer.split()[1] for answer in answers} <= {b"200", b"502"}
        assert await proxy.stop() == 0
    assert proxy.errors.count("connections wait to be accepted: Too many open files") == 1
