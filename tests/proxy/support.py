"""A client and a server that follow scripts, with a recording proxy between them or nothing.

Streams are memory, the clock is trio's and jumps: :func:`jump` runs an async function so.
"""

from __future__ import annotations

import math
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import trio
import trio.testing

from recorder.backend import Backend
from recorder.model import AnyEntry, Body, Bytes, FrameEntry, Open, Redaction, Sender
from recorder.proxy import Proxy
from recorder.recording import OsFile, Reader, Writer
from recorder.redaction import Redactor
from recorder.sink import Sink
from tests.strategies import make_header

T = TypeVar("T")

HOST = "proxy.test:8090"
OWN = f"http://{HOST}"
"""Where clients reach the proxy."""

UPSTREAM = "http://up.test:8082"

START_NS = 1_700_000_000_000_000_000

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""The context that a proxy must be given; nothing here speaks TLS by it."""


def jump(main: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run `main` under a clock that jumps over waiting; what waits for ever fails."""

    async def limited() -> T:
        with trio.fail_after(10_000):
            return await main(*args)

    return trio.run(limited, clock=trio.testing.MockClock(autojump_threshold=0))


# Streams


class End(trio.abc.HalfCloseableStream):
    """One end of a connection in memory; as TCP it ends by an end of its half, whole, or reset."""

    def __init__(self, half: trio.abc.HalfCloseableStream) -> None:
        self._half = half
        self.peer: End
        self.was_reset = False
        self.closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self.was_reset:
            raise trio.BrokenResourceError
        await self._half.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._half.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        data = bytes(await self._half.receive_some(max_bytes))
        if not data and self.was_reset:
            raise trio.BrokenResourceError
        return data

    async def send_eof(self) -> None:
        if self.was_reset:
            raise trio.BrokenResourceError
        await self._half.send_eof()

    async def aclose(self) -> None:
        self.closed = True
        await self._half.aclose()

    async def reset(self) -> None:
        """As a RST: what was sent may be read, and then both directions are broken."""
        self.peer.was_reset = True
        await self.aclose()


class WholeOnly(trio.abc.Stream):
    """A stream whose halves cannot be ended alone, like TLS."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()


def stream_pair(*, lockstep: bool = False) -> tuple[End, End]:
    """Two ends of a connection. In lockstep nothing is buffered between them."""
    make = trio.testing.lockstep_stream_pair if lockstep else trio.testing.memory_stream_pair
    one, other = (End(half) for half in make())
    one.peer, other.peer = other, one
    return one, other


# Scripts


class Send(NamedTuple):
    """Send `data` once `after` bytes came in and `pause_s` went by."""

    data: bytes
    after: int = 0
    pause_s: float = 0.0


Ending = Literal["eof", "answer", "close", "reset"]
"""How a side ends: its half, and reads on; its half once the other ended; whole; by a reset."""


class Script(NamedTuple):
    """What one side does. `after` is how many bytes it waits for before it ends.

    Where what it waits for never comes, it sends nothing more.
    """

    sends: Sequence[Send]
    ending: Ending = "answer"
    after: int = 0


class Side:
    """A client or server that follows a script; `read` is what it saw, `end` how that ended."""

    def __init__(self, stream: trio.abc.Stream, script: Script) -> None:
        self.stream: Any = stream
        self.read = bytearray()
        self.end: Literal["open", "eof", "broken"] = "open"
        self.sent = bytearray()
        self._script = script
        self._more = trio.Event()

    async def play(self) -> None:
        """To the end of both directions; the stream is closed then."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen)
            if await self._speak():
                nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await self.stream.aclose()

    async def _listen(self) -> None:
        try:
            while data := await self.stream.receive_some(65536):
                self.read += data
                self._tell()
            self.end = "eof"
        except trio.BrokenResourceError:
            self.end = "broken"
        except trio.ClosedResourceError:
            return
        self._tell()

    def _tell(self) -> None:
        self._more.set()
        self._more = trio.Event()

    async def _until(self, size_bytes: float) -> bool:
        while len(self.read) < size_bytes and self.end == "open":
            await self._more.wait()
        return len(self.read) >= size_bytes

    async def _speak(self) -> bool:
        """Whether that was all, and nothing is read any more."""
        ending = self._script.ending
        try:
            for send in self._script.sends:
                if not await self._until(send.after):
                    break
                await trio.sleep(send.pause_s)
                await self.stream.send_all(send.data)
                self.sent += send.data
            await self._until(math.inf if ending == "answer" else self._script.after)
            if ending in ("eof", "answer"):
                await self.stream.send_eof()
                return False
        except trio.BrokenResourceError:
            return True
        if ending == "reset":
            await self.stream.reset()
        return True


# The proxy


class QuickFile(OsFile):
    """A file that is not synced."""

    def sync(self) -> None:
        return


class Run:
    """A proxy, its servers so far, and once over the `entries` of its recording."""

    def __init__(self, sink: Sink, proxy: Proxy, nursery: trio.Nursery, *, lockstep: bool) -> None:
        self.sink = sink
        self.proxy = proxy
        self.entries: list[Any] = []
        self.servers: list[Side] = []
        self._nursery = nursery
        self._lockstep = lockstep

    def connect(self) -> End:
        """A new client's connection."""
        ours, theirs = stream_pair(lockstep=self._lockstep)
        self._nursery.start_soon(self.proxy.handle, theirs)
        return ours


def _now_ns() -> int:
    return round(trio.current_time() * 1e9)


def entries_of(path: Path) -> list[Any]:
    """The entries of a recording that is whole and valid, without its `end`."""
    with Reader(path) as reader:
        entries: list[AnyEntry] = list(reader)
        assert reader.complete, reader.torn
    offsets = [entry.offset_ns for entry in entries]
    assert offsets == sorted(offsets)  # type: ignore[type-var]
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert entries[-1].kind == "end"
    return entries[:-1]


@asynccontextmanager
async def relaying(
    *scripts: Script,
    upstream: str = UPSTREAM,
    redact: str = "none",
    dial: Callable[[], Awaitable[tuple[trio.abc.Stream, str | None]]] | None = None,
    lockstep: bool = False,
    whole_only: bool = False,
    **options: Any,
) -> AsyncIterator[Run]:
    """A proxy before servers that follow `scripts`, one a connection, the last one again.

    `dial` stands for the servers. With `whole_only` the upstream's leg cannot be half-closed.
    Behind the block all connections have ended, and the recording was read.
    """

    async def dial_script() -> tuple[trio.abc.Stream, str | None]:
        await trio.lowlevel.checkpoint()
        ours, theirs = stream_pair(lockstep=lockstep)
        run.servers.append(Side(theirs, scripts[min(len(run.servers), len(scripts) - 1)]))
        nursery.start_soon(run.servers[-1].play)
        return (WholeOnly(ours), "TLSv1.3") if whole_only else (ours, None)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "made.track.jsonl")
        sink = Sink(
            Writer.create(
                path,
                make_header(mode="proxy", upstream=upstream, redaction=Redaction(profile=redact)),
                durable=False,
                file_of=QuickFile,
            ),
            Redactor(redact),  # type: ignore[arg-type]
            started_ns=_now_ns(),
            clock=_now_ns,
            wall_clock=lambda: START_NS + _now_ns(),
        )
        proxy = Proxy(
            Backend.parse(upstream), sink, tls=NO_TLS, dial=dial or dial_script, **options
        )
        async with trio.open_nursery() as nursery:
            run = Run(sink, proxy, nursery, lockstep=lockstep)
            yield run
        sink.close()
        run.entries = entries_of(path)
        assert proxy.progress.open == 0


class Seen(NamedTuple):
    """What the two sides saw, how it ended for them, and what was recorded."""

    client: Side
    server: Side | None
    entries: list[Any]

    def of(self, leg: str) -> list[Any]:
        """The entries of the leg `client` or `upstream`."""
        numbers = {
            entry.connection
            for entry in self.entries
            if isinstance(entry, Open) and entry.leg == leg
        }
        return [entry for entry in self.entries if getattr(entry, "connection", None) in numbers]


async def through_proxy(client: Script, server: Script, **options: Any) -> Seen:
    """Both sides with a proxy between them."""
    async with relaying(server, **options) as run:
        side = Side(run.connect(), client)
        await side.play()
    return Seen(side, run.servers[0] if run.servers else None, run.entries)


async def directly(client: Script, server: Script, *, lockstep: bool = False) -> Seen:
    """Both sides with nothing between them."""
    ours, theirs = stream_pair(lockstep=lockstep)
    sides = Side(ours, client), Side(theirs, server)
    async with trio.open_nursery() as nursery:
        for side in sides:
            nursery.start_soon(side.play)
    return Seen(*sides, [])


# What a recording says


def wire_of(entries: Iterable[Any], sender: Sender) -> bytes:
    """The bytes that the frames and unread bytes of a sender were."""
    return b"".join(
        entry.frame().serialize() if isinstance(entry, FrameEntry) else entry.data
        for entry in entries
        if isinstance(entry, FrameEntry | Bytes) and entry.sender == sender
    )


def bodies_of(entries: Iterable[Any]) -> dict[tuple[int, Sender], tuple[bytes, bool]]:
    """Each body by its exchange and sender, and whether it is marked whole."""
    found: dict[tuple[int, Sender], tuple[bytes, bool]] = {}
    for entry in entries:
        if isinstance(entry, Body):
            key = entry.exchange, entry.sender
            data, ended = found.get(key, (b"", False))
            assert not ended, "something stands behind a body's last piece"
            found[key] = data + entry.data, entry.last
    return found


def of_kind(entries: Iterable[Any], *kinds: str) -> list[Any]:
    """The entries of these kinds, in order."""
    return [entry for entry in entries if entry.kind in kinds]


def cut(data: bytes, places: Iterable[int]) -> Iterator[bytes]:
    """`data` in the chunks that `places` make."""
    ends = sorted({place % (len(data) + 1) for place in places})
    for start, stop in zip([0, *ends], [*ends, len(data)], strict=True):
        if start < stop:
            yield data[start:stop]
