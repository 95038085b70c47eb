"""Recorders as processes of their own, before a backend that runs in the test."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal, TypeAlias

import trio

from recorder.model import Entry, FrameEntry
from recorder.recording import Reader, find_parts
from recorder.wire.frames import Frame, FrameParser, Opcode, Sender
from recorder.wire.handshake import HeadReader, accept_for, header_value, parse_request_head
from tests.fake_server.support import handshake
from tests.faults.support import until
from tests.processes import clean_environment
from tests.programs import BIN
from tests.recorder.scripted import LOGGED_IN

START_TIMEOUT_S: Final = 30.0

Command: TypeAlias = Literal["proxy", "capture"]


class Recorder:
    """A running recorder; ``url`` is where clients reach a proxy."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, path: Path) -> None:
        self.process = process
        self.path = path
        self.url = ""
        self.clients: list[trio.SocketStream] = []
        self._folder = folder

    @property
    def output(self) -> str:
        return (self._folder / "stdout").read_text()

    @property
    def errors(self) -> str:
        return (self._folder / "stderr").read_text()

    @property
    def parts(self) -> list[Path]:
        """The files of the recording, in order."""
        return [part for _, part in find_parts(self.path)] or [self.path]

    def recorded(self) -> tuple[list[Entry], list[Reader]]:
        """What all parts hold, and their readers, at the end."""
        entries: list[Entry] = []
        readers: list[Reader] = []
        for part in self.parts:
            with Reader(part) as reader:
                entries += [entry for entry in reader if isinstance(entry, Entry)]
            readers.append(reader)
        return entries, readers

    def saved(self) -> list[Path]:
        """What a flight recorder saved."""
        return sorted(self.path.parents[self.path.parent.suffix == ".ring"].glob("a-*"))

    def memory_bytes(self, of: Literal["VmRSS", "VmHWM"] = "VmRSS") -> int:
        """What it takes of memory now, or took at most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition(f"{of}:")[2].split()[0]) * 1024

    async def connect(self) -> trio.SocketStream:
        """A client of the proxy."""
        host, _, port = self.url.rpartition("/")[2].rpartition(":")
        self.clients.append(await trio.open_tcp_stream(host, int(port)))
        return self.clients[-1]

    async def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        await until(lambda: self.process.poll() is not None)

    async def stop(self) -> int:
        """Ctrl-C; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for the end; returns the exit status."""
        with trio.fail_after(START_TIMEOUT_S):
            await until(lambda: self.process.poll() is not None)
        assert "Traceback" not in self.errors, self.errors
        return int(self.process.returncode)


@asynccontextmanager
async def recording(
    command: Command,
    url: str,
    folder: Path,
    *options: object,
    name: str = "a.track.jsonl",
    max_file_bytes: int | None = None,
) -> AsyncIterator[Recorder]:
    """`track-recorder proxy` or `capture`, before ``url``; no file may grow beyond
    ``max_file_bytes``. Whoever has not ended it kills it.
    """
    path = folder / name
    where = {"proxy": "--upstream", "capture": "--url"}[command]
    more = ("--listen", "127.0.0.1:0") if command == "proxy" else ("--rest", "devices")
    arguments = [BIN / "track-recorder", command, where, url, "-o", path, *more, *options]
    process = _started([str(one) for one in arguments], folder, max_file_bytes)
    running = Recorder(process, folder, path)
    try:
        if command == "proxy":
            with trio.fail_after(START_TIMEOUT_S):
                await until(lambda: "\n" in running.output or process.poll() is not None)
            assert process.poll() is None, running.errors
            running.url = running.output.partition(" -> ")[0]
        yield running
    finally:
        process.kill()
        process.wait()
        for client in running.clients:
            client.socket.close()


def _started(
    arguments: list[str], folder: Path, max_file_bytes: int | None
) -> subprocess.Popen[bytes]:
    def limit() -> None:
        if max_file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))

    with open(folder / "stdout", "wb") as out, open(folder / "stderr", "wb") as err:
        return subprocess.Popen(
            arguments,
            env=clean_environment(TRACK_EMAIL="kim@example.org", TRACK_PASSWORD="9ejK&JJAYKw"),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            preexec_fn=limit,
        )


class Backend:
    """A backend in this process: it takes any login, answers any GET with ``[]``, and hands out its
    sockets, which the test then speaks on.
    """

    def __init__(self, listener: trio.SocketListener) -> None:
        self.url = url_of(listener)
        self._listener = listener
        self._opened, self._sockets = trio.open_memory_channel[trio.SocketStream](1000)

    async def socket(self) -> trio.SocketStream:
        """The next socket that was opened, behind its 101."""
        with trio.fail_after(START_TIMEOUT_S):
            return await self._sockets.receive()

    async def run(self) -> None:
        """Answer."""
        await trio.serve_listeners(self._answer, [self._listener])

    async def _answer(self, stream: trio.SocketStream) -> None:
        held = b""
        while True:
            reader = HeadReader()
            while (found := reader.feed(held)) is None:
                held = await received(stream)
                if not held:
                    return
            head = parse_request_head(found[0])
            held = found[1]
            key = header_value(head.headers, "Sec-WebSocket-Key")
            if key is not None:
                await stream.send_all(
                    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                    b"Upgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n"
                    % accept_for(key).encode()
                )
                await self._opened.send(stream)
                # It is closed when this returns.
                await trio.sleep_forever()
            size = int(header_value(head.headers, "Content-Length") or 0)
            while len(held) < size:
                held += await received(stream)
            held = held[size:]
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
            await stream.send_all(LOGGED_IN if head.method == "POST" else answer)


def url_of(listener: trio.SocketListener) -> str:
    """Where a listener is."""
    return "http://{}:{}".format(*listener.socket.getsockname())


async def received(stream: trio.abc.ReceiveStream) -> bytes:
    """What came; empty at the end, in order or not."""
    try:
        return bytes(await stream.receive_some(65536))
    except trio.BrokenResourceError:
        return b""


@asynccontextmanager
async def backend() -> AsyncIterator[Backend]:
    """A backend on a free port."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        made = Backend(listener)
        nursery.start_soon(made.run)
        yield made
        nursery.cancel_scope.cancel()


class Listening:
    """Reads the frames that come on a socket: ``texts`` are what was heard."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self.texts: list[bytes] = []
        self.ended: Literal["eof", "reset"] | None = None
        self._stream = stream
        self._parser = FrameParser()

    async def run(self) -> None:
        """Read to the end."""
        try:
            while data := await self._stream.receive_some(65536):
                self._take(bytes(data))
        except trio.BrokenResourceError:
            self.ended = "reset"
        else:
            self.ended = "eof"

    async def has_heard(self, count: int) -> None:
        """Wait until so many came."""
        await until(lambda: len(self.texts) >= count)

    def _take(self, data: bytes) -> None:
        for frame in self._parser.feed(data):
            assert isinstance(frame, Frame)
            self.texts.append(frame.payload)


async def open_socket(recorder: Recorder) -> trio.SocketStream:
    """A client's socket through the proxy, behind its 101."""
    stream = await recorder.connect()
    await stream.send_all(handshake(None))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        # Byte by byte: what comes behind it is for somebody else.
        head += await stream.receive_some(1)
    assert head.startswith(b"HTTP/1.1 101 "), head
    return stream


def message(number: int, *, mask: bytes | None = None, size: int = 330) -> bytes:
    """The frame of a message that says its number and when it was sent; no compressing makes it
    much smaller.
    """
    start = b'{"positions":[{"id":%d,"at":%d,"a":"' % (number, time.monotonic_ns())
    filling = os.urandom(size // 2).hex().encode()[: size - len(start) - 4]
    return Frame.make(Opcode.TEXT, start + filling + b'"}]}', mask=mask).serialize()


def sent_ns(text: bytes) -> int:
    """When a :func:`message` was sent."""
    return int(text.partition(b'"at":')[2].partition(b",")[0])


def texts(entries: Iterable[Entry], sender: Sender = "server") -> list[bytes]:
    """The texts of one side's frames."""
    return [
        one.data
        for one in entries
        if isinstance(one, FrameEntry) and (one.sender, one.opcode) == (sender, "text")
    ]
