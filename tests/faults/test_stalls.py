"""Who is slow, or stops, holds up whoever sends to it and nobody else; and nothing is lost."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from typing import Final

import pytest
import trio

from recorder.backend import Backend
from recorder.model import Body, FrameEntry
from recorder.proxy import Proxy
from recorder.recording import Reader, Writer
from recorder.redaction import Redactor
from recorder.sink import Sink
from tests.fake_server.support import handshake
from tests.faults.processes import (
    Listening,
    backend,
    message,
    open_socket,
    received,
    recording,
)
from tests.faults.support import DEADLINE_S, frames, proxied
from tests.faults.test_ends import (
    ASK,
    EXCHANGE,
    OK,
    OPENED,
    SAID,
    SWITCHING,
    Stage,
    Steps,
    Torn,
    play,
)
from tests.recording.files import NoSync
from tests.strategies import make_header

PIECE: Final = b"".join(message(number, size=20_000) for number in range(50))
STEP_BYTES: Final = len(PIECE) // 20
PIECES: Final = 100
"""100 MB of frames."""

MOST_IN_BETWEEN_BYTES: Final = 30_000_000
"""What kernels hold of two connections; the proxy itself holds one read."""

MOST_MORE_MEMORY_BYTES: Final = 30_000_000

STALL_S: Final = 0.3


async def test_a_client_that_does_not_read_holds_up_its_upstream_and_nobody_else(
    tmp_path: Path,
) -> None:
    sent = 0

    async def pour(server: trio.SocketStream) -> None:
        nonlocal sent
        for start in range(0, len(PIECE) * PIECES, STEP_BYTES):
            await server.send_all(PIECE[start % len(PIECE) :][:STEP_BYTES])
            sent += STEP_BYTES

    async with (
        backend() as upstream,
        recording("proxy", upstream.url, tmp_path, "--redact", "none") as proxy,
        trio.open_nursery() as nursery,
    ):
        stalled, other = await open_socket(proxy), await open_socket(proxy)
        server, other_server = await upstream.socket(), await upstream.socket()
        listening = Listening(other)
        nursery.start_soon(listening.run)
        at_start_bytes = proxy.memory_bytes()
        nursery.start_soon(pour, server)
        unchanged = before = 0
        while unchanged < 100:
            count = len(listening.texts)
            await other_server.send_all(SAID)
            await listening.has_heard(count + 1)
            unchanged = unchanged + 1 if sent == before else 0
            before = sent
        more_bytes = proxy.memory_bytes("VmHWM") - at_start_bytes
        print(f"{sent / 1e6:.1f} MB in between, {more_bytes / 1e6:.1f} MB more at most")
        assert 0 < sent < MOST_IN_BETWEEN_BYTES
        assert more_bytes < MOST_MORE_MEMORY_BYTES
        digest, left = hashlib.sha256(), len(PIECE) * PIECES
        while left:
            data = await received(stalled)
            assert data
            digest.update(data)
            left -= len(data)
        assert digest.digest() == hashlib.sha256(PIECE * PIECES).digest()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("stage", [OPENED, ASK], ids=["socket", "exchange"])
async def test_one_byte_at_a_time_is_relayed_and_recorded_as_one(
    tmp_path: Path, stage: Steps
) -> None:
    answer, head_size = (SAID, 0) if stage is OPENED else (OK, OK.index(b"\r\n\r\n") + 4)
    async with proxied(tmp_path) as running:
        peers = await play(Stage("", stage), running)
        before = running.proxy.progress.bytes["server"]
        for size in range(1, len(answer) + 1):
            await peers["server"].send(answer[size - 1 : size])
            if size < head_size:
                await running.has_relayed("server", before + size)
            else:
                await peers["client"].expect(
                    answer[:size] if size == head_size else answer[size - 1 : size]
                )
        for peer in peers.values():
            await peer.end("eof")
        await running.is_over()
        entries = running.recorded()
    entry: Body | FrameEntry
    if stage is OPENED:
        [entry] = frames(entries, "server")
        assert entry.frame().serialize() == SAID
    else:
        [entry] = [entry for entry in entries if isinstance(entry, Body)]
        assert (entry.data, entry.last) == (b"[]", True)
    assert entry.first_ns is not None
    assert entry.offset_ns is not None
    assert entry.first_ns < entry.offset_ns


async def test_an_upstream_that_stalls_in_a_body_holds_up_its_client_only(tmp_path: Path) -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"
    async with proxied(tmp_path) as running:
        peers = await play(Stage("", ASK, Torn("server", half, "body")), running)
        for _ in range(10):
            others = await play(Stage("", EXCHANGE), running)
            await others["client"].end("eof")
            await others["server"].end("eof")
        await peers["server"].send(b"67890")
        await peers["client"].expect(b"67890")
        await peers["client"].end("eof")
        await peers["server"].end("eof")
        await running.is_over()
        entries = running.recorded()
    bodies = [one for one in entries if isinstance(one, Body) and one.exchange == 1]
    assert b"".join(one.data for one in bodies) == b"1234567890"
    assert [one.last for one in bodies][-1]


async def test_a_client_that_is_reset_while_its_upstream_does_not_read_is_told_once_it_does(
    tmp_path: Path,
) -> None:
    async with proxied(tmp_path) as running:
        peers = await play(Stage("", OPENED), running)
        blocked = False
        while not blocked:
            with trio.move_on_after(0.2) as sending:
                await peers["client"].send(PIECE)
            blocked = sending.cancelled_caught
        await peers["client"].end("reset")
        assert await peers["server"].wait_for_the_end() == "reset"
        await running.is_over()


# A disk that stalls


class Stalling(NoSync):
    """A file whose writing, or syncing, waits while it is told to."""

    def __init__(self, descriptor: int, goes: threading.Event, syncs: threading.Event) -> None:
        super().__init__(descriptor)
        self._goes, self._syncs = goes, syncs

    def write(self, data: memoryview, position: int) -> int:
        assert self._goes.wait(DEADLINE_S)
        return super().write(data, position)

    def sync(self) -> None:
        assert self._syncs.wait(DEADLINE_S)


@pytest.mark.parametrize("stalls", ["write", "sync"])
def test_a_disk_that_takes_no_data_holds_up_what_is_relayed_and_one_that_syncs_slowly_does_not(
    tmp_path: Path, stalls: str
) -> None:
    goes = {"write": threading.Event(), "sync": threading.Event()}
    for event in goes.values():
        event.set()
    stop: list[Callable[[], None]] = []
    ports: Queue[int] = Queue()

    async def serve() -> None:
        writer = Writer.create(
            tmp_path / "a.track.jsonl",
            make_header(mode="proxy"),
            file_of=lambda descriptor: Stalling(descriptor, goes["write"], goes["sync"]),
            flush_interval_s=0,
            sync_interval_s=0.01,
        )
        sink = Sink(writer, Redactor("none"), started_ns=time.monotonic_ns())
        proxy = Proxy(Backend(False, *at), sink, tls=ssl.create_default_context())
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        token = trio.lowlevel.current_trio_token()
        stop.append(lambda: token.run_sync_soon(proxy.stop))
        ports.put(listeners[0].socket.getsockname()[1])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.run)
            await proxy.serve(listeners)
            nursery.cancel_scope.cancel()
        sink.close()

    with socket.create_server(("127.0.0.1", 0)) as upstream:
        at = upstream.getsockname()
        thread = threading.Thread(target=trio.run, args=(serve,))
        thread.start()
        try:
            port = ports.get(timeout=DEADLINE_S)
            with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as client:
                client.sendall(handshake(None))
                server, _ = upstream.accept()
                with server:
                    server.recv(65536)
                    server.sendall(SWITCHING)
                    assert client.recv(65536) == SWITCHING
                    goes[stalls].clear()
                    server.sendall(SAID)
                    # Relayed first.
                    assert client.recv(65536) == SAID
                    server.sendall(SAID)
                    if stalls == "write":
                        client.settimeout(STALL_S)
                        with pytest.raises(TimeoutError):
                            client.recv(65536)
                        client.settimeout(DEADLINE_S)
                        goes[stalls].set()
                    assert client.recv(65536) == SAID
        finally:
            for event in goes.values():
                event.set()
            stop[0]()
            thread.join(DEADLINE_S)
    with Reader(tmp_path / "a.track.jsonl") as reader:
        first, second = [entry for entry in reader if isinstance(entry, FrameEntry)]
    waited_s = ((second.offset_ns or 0) - (first.offset_ns or 0)) / 1e9
    # The moment of an entry is when it was read, not when the upstream sent it.
    assert (waited_s >= STALL_S) == (stalls == "write")
