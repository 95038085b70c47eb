"""What tests of abuse share: a fake in a process of its own with what it uses, a neighbour beside
the abuser, storms and floods, and a connection over memory streams whose end can be waited for.
"""

from __future__ import annotations

import math
import os
import random
import resource
import signal
import socket
import struct
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from recorder.track.kinds import ping_uuids
from recorder.wire.frames import Frame, FrameParser, Opcode
from tests.fake_server.support import MASK, Client, Fake, Http, handshake
from tests.processes import clean_environment
from tests.programs import BIN

MIB = 1024 * 1024

PATIENCE_S = 120.0
"""What the server may take, of its own clock, to get rid of anybody."""

HEAD = b"GET /api/server HTTP/1.1\r\nHost: track.example\r\n"
"""A request, but for the empty line."""

linux = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="what a process uses is read from Linux' /proc"
)


def text(payload: bytes, *, fin: bool = True) -> bytes:
    """A client's text, or its first fragment."""
    return Frame.make(Opcode.TEXT, payload, fin=fin, mask=MASK).serialize()


def more(payload: bytes, *, fin: bool = False) -> bytes:
    """A further fragment."""
    return Frame.make(Opcode.CONTINUATION, payload, fin=fin, mask=MASK).serialize()


async def until(happened: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    with trio.fail_after(20):
        while not happened():  # noqa: ASYNC110 - no event comes from there
            await trio.sleep(0.005)


async def ending(
    fake: Fake, nursery: trio.Nursery, *, lockstep: bool = False
) -> tuple[trio.abc.Stream, trio.Event]:
    """A connection, and the event of the server's having done with it. In lockstep a server can
    send nothing that is not read.
    """
    make = trio.testing.lockstep_stream_pair if lockstep else trio.testing.memory_stream_pair
    ours, theirs = make()
    ended = trio.Event()

    async def handle() -> None:
        await fake.server.handle(theirs)
        ended.set()

    nursery.start_soon(handle)
    return ours, ended


class Neighbour:
    """A client that does as it should while another does not: it answers every PING and asks for
    signs of life by control pings. ``slowest_s`` is the longest it waited for one.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.slowest_s = 0.0
        self.texts = 0
        self.ended = False
        self._asked_s = math.inf
        self._sending = trio.Lock()

    async def run(self) -> None:
        # Not by the client's own `frame`, which keeps all it ever read.
        parser = FrameParser()
        data = self.client.read
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ask)
            while not self.ended:
                for frame in parser.feed(data):
                    assert isinstance(frame, Frame), frame
                    await self._on_frame(frame)
                data = bytes(await self.client.stream.receive_some(MIB))
                self.ended = not data
            nursery.cancel_scope.cancel()

    async def _on_frame(self, frame: Frame) -> None:
        if frame.opcode == Opcode.PONG:
            self._note()
            return
        uuids = ping_uuids(frame.payload)
        for uuid in uuids:
            await self._send(Frame.make(Opcode.TEXT, b"pong " + uuid.encode(), mask=MASK))
        self.texts += not uuids

    async def _ask(self) -> None:
        while True:
            if self._asked_s == math.inf:
                self._asked_s = trio.current_time()
                await self._send(Frame.make(Opcode.PING, b"there?", mask=MASK))
            await trio.sleep(0.01)

    async def _send(self, frame: Frame) -> None:
        async with self._sending:
            await self.client.send(frame)

    def _note(self) -> None:
        self.slowest_s = max(self.slowest_s, trio.current_time() - self._asked_s)
        self._asked_s = math.inf

    def check(self, within_s: float = 2.0) -> None:
        """It was served all the time, and is."""
        waiting_s = max(trio.current_time() - self._asked_s, 0.0)
        assert not self.ended
        assert max(self.slowest_s, waiting_s) < within_s


class Abused:
    """A server in a process of its own, and what it uses."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, errors: Path) -> None:
        self._process = process
        self.port = port
        self._errors = errors

    @property
    def stderr(self) -> str:
        """What it has told so far."""
        return self._errors.read_text("utf-8", "replace")

    @property
    def peak_bytes(self) -> int:
        """The most memory it has had."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    @property
    def open_files(self) -> int:
        """How many file descriptors it has."""
        return len(os.listdir(f"/proc/{self._process.pid}/fd"))

    @property
    def cpu_s(self) -> float:
        """How long it has computed."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def cookie(self) -> str:
        """Log in; what stands in `Cookie` from now on."""
        async with await self.connect() as stream:
            answer = await Http(stream).log_in()
            assert answer.status == 200, answer
            return (answer.header("Set-Cookie") or "").partition(";")[0]

    async def socket(self, cookie: str) -> Client:
        http = Http(await self.connect())
        await http.send(handshake(cookie))
        head = await http.head()
        assert head.status == 101, head
        return Client(http.stream, http.rest())

    async def settled(self, open_files: int) -> None:
        """Wait until it has no more file descriptors than that."""
        await until(lambda: self.open_files <= open_files)

    def end(self) -> None:
        """Stop it; it must have been well to the end."""
        self._process.send_signal(signal.SIGINT)
        code = self._process.wait(timeout=20)
        assert code == 0, self.stderr
        assert "Traceback" not in self.stderr, self.stderr
        assert len(self.stderr) < 20_000


@asynccontextmanager
async def abused(*arguments: str, files: int | None = None) -> AsyncIterator[Abused]:
    """`track-fake-server serve`; it may have ``files`` file descriptors. That it ends in order and
    told of nothing but violations is checked at the end.
    """

    def limit() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    with tempfile.TemporaryDirectory() as folder:
        errors = Path(folder) / "stderr"
        with errors.open("wb") as told:
            process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
                [str(BIN / "track-fake-server"), "serve", "--port", "0", *arguments],
                env=clean_environment(),
                stdout=subprocess.PIPE,
                stderr=told,
                preexec_fn=limit,
            )
        try:
            assert process.stdout is not None
            with process.stdout:
                url = process.stdout.readline().decode().strip()
            server = Abused(process, int(url.rpartition(":")[2]), errors)
            yield server
            server.end()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


@asynccontextmanager
async def beside(server: Abused) -> AsyncIterator[tuple[Neighbour, str]]:
    """A neighbour for as long as the block runs, and the cookie of its session; it must have been
    served well.
    """
    cookie = await server.cookie()
    neighbour = Neighbour(await server.socket(cookie))
    async with neighbour.client.stream, trio.open_nursery() as nursery:
        nursery.start_soon(neighbour.run)
        yield neighbour, cookie
        # One more round: what the abuse left behind must not stand in its way.
        await trio.sleep(0.1)
        neighbour.check()
        nursery.cancel_scope.cancel()


def will_reset(stream: trio.SocketStream) -> None:
    """Closing it will be an RST."""
    linger = struct.pack("ii", 1, 0)
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


async def hang_up(server: Abused, cookie: str, chance: random.Random) -> None:
    """Connect, say something or nothing, hang up somehow."""
    async with await server.connect() as stream:
        said = chance.choice([b"", HEAD, HEAD + b"\r\n", handshake(cookie), handshake(None)])
        if said:
            await stream.send_all(said)
        if said.endswith(b"\r\n\r\n") and chance.random() < 0.3:
            await stream.receive_some(1)
        if chance.random() < 0.5:
            will_reset(stream)


async def several(
    server: Abused, cookie: str, chance: random.Random, count: int, at_once: int
) -> None:
    left = iter(range(count))

    async def one_after_the_other() -> None:
        for _ in left:
            await hang_up(server, cookie, chance)

    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(one_after_the_other)


async def storm(count: int, *arguments: str, at_once: int = 40) -> None:
    """So many connections that hang up; nothing of them is left."""
    chance = random.Random(17)
    async with (
        abused("--ping-interval", "2", *arguments) as server,
        beside(server) as (_, cookie),
    ):
        open_files = server.open_files
        await several(server, cookie, chance, at_once, at_once)
        await server.settled(open_files)
        before_bytes = server.peak_bytes
        await several(server, cookie, chance, count, at_once)
        await server.settled(open_files)
        assert server.peak_bytes - before_bytes < 24 * MIB
        async with await server.connect() as stream:
            told = await Http(stream).ask("/__admin", Host="localhost")
        assert told.status == 200
        assert len(told.json["sockets"]) == 1


async def until_refused(stream: trio.abc.Stream, pieces: Sequence[bytes]) -> int:
    """Send until the server takes no more or hangs up; returns how many pieces it took."""
    for number, piece in enumerate(pieces):
        with trio.move_on_after(5) as patience:
            try:
                await stream.send_all(piece)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return number
        if patience.cancelled_caught:
            return number
    return len(pieces)


async def flood(pieces: Sequence[bytes], at_most: int, *, rule: str) -> None:
    """Send them all, unless the server hangs up: it has had ``at_most`` bytes of
    memory more for it, and has reported the rule, if there is one.
    """
    async with abused() as server, beside(server) as (_, cookie):
        before_bytes = server.peak_bytes
        open_files = server.open_files
        client = await server.socket(cookie)
        async with client.stream:
            sent = await until_refused(client.stream, pieces)
            assert server.peak_bytes - before_bytes < at_most
        await server.settled(open_files)
        assert rule in server.stderr
        assert sent < len(pieces) or rule != "socket.too-slow"
