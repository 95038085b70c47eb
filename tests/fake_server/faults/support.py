"""Faults in tests: over the line, which is pure, and in front of clients that others wrote."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple, TypeVar

import aiohttp
import trio
import websockets
import websockets.sync.client

from fake_server.faults import Injection, injection_from, parse_injection
from fake_server.faults.base import Send, Step
from fake_server.faults.line import FaultLine
from fake_server.server import FakeServer
from recorder.track.kinds import ping_uuids
from recorder.track.rules import Rules
from recorder.wire.frames import Frame, FrameParser, Opcode
from tests.fake_server.support import DEVICES, MOVED, PING, POSITION, quiet

T = TypeVar("T")

# Over the line


def injections(faults: Iterable[str | dict[str, Any]]) -> list[Injection]:
    """Faults as the command line has them, or as one flat object each."""
    return [
        parse_injection(fault) if isinstance(fault, str) else injection_from(fault)
        for fault in faults
    ]


def line_of(*faults: str | dict[str, Any], socket: int = 1, seed: int = 0) -> FaultLine:
    """The line of a socket with these faults."""
    line = FaultLine(socket, lambda number, of: random.Random(f"{seed}/{number}/{of}"))
    line.set(dict(enumerate(injections(faults), 1)))
    return line


def texts(*payloads: bytes) -> list[Send]:
    """What a server would send: each payload a text in one frame."""
    return [Send(data=Frame.make(Opcode.TEXT, payload).serialize()) for payload in payloads]


def ping(uuid: str, *, live: bool = True) -> Send:
    """A PING, live or recorded."""
    data = Frame.make(Opcode.TEXT, PING % uuid.encode()).serialize()
    return Send(data=data, ping=uuid if live else None)


def steps_of(line: FaultLine, sends: Iterable[Send], *, at_s: float = 0.0) -> list[Step]:
    """All that becomes of these, one after the other."""
    return [step for send in sends for step in line.feed(send, at_s)]


def sent(steps: Iterable[Step]) -> bytes:
    """The bytes that go out."""
    return b"".join(step.data for step in steps if isinstance(step, Send))


def payloads_of(data: bytes) -> list[bytes]:
    """The payloads of the frames in these bytes, which hold nothing else."""
    parser = FrameParser()
    frames = parser.feed(data)
    assert parser.pending == 0
    assert all(isinstance(frame, Frame) for frame in frames)
    return [frame.payload for frame in frames if isinstance(frame, Frame)]


# Before clients that others wrote

THREE = (DEVICES, POSITION, MOVED)
"""What a server says in these tests unless told otherwise."""


class Served(NamedTuple):
    """A fake on loopback, and one session of it."""

    server: FakeServer
    port: int
    cookie: str

    @property
    def rules_broken(self) -> list[str]:
        return [violation.rule for violation in self.server.violations.latest]

    async def ask(self, client: Callable[[Served], T]) -> T:
        """Run a blocking client, beside the server."""
        with trio.fail_after(20):
            return await trio.to_thread.run_sync(client, self, abandon_on_cancel=True)

    async def ask_async(self, client: Callable[[Served], Coroutine[Any, Any, T]]) -> T:
        """Run a client of asyncio, beside the server."""
        return await self.ask(lambda served: asyncio.run(client(served)))


@asynccontextmanager
async def on_loopback(
    *faults: str | dict[str, Any],
    says: Iterable[bytes] = THREE,
    seed: int = 0,
    **rules: Any,
) -> AsyncIterator[Served]:
    """A fake that says a few texts at once and then only PINGs, with these faults."""
    server = FakeServer(
        quiet(*says), rules=Rules(**rules), faults=injections(faults), fault_seed=seed
    )
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, listeners)
        session = server.desk.login("demo@example.com")
        port = listeners[0].socket.getsockname()[1]
        yield Served(server, port, f"JSESSIONID={session.id}")
        nursery.cancel_scope.cancel()


@contextmanager
def with_websockets(
    served: Served, **options: Any
) -> Iterator[websockets.sync.client.ClientConnection]:
    """A socket of `websockets`."""
    with websockets.sync.client.connect(
        f"ws://127.0.0.1:{served.port}/api/socket",
        additional_headers={"Cookie": served.cookie},
        proxy=None,
        **{"open_timeout": 5, "close_timeout": 1, "max_size": None, **options},
    ) as socket:
        yield socket


def hear(socket: websockets.sync.client.ClientConnection, count: int) -> list[bytes]:
    """The next messages, so many."""
    heard = (socket.recv(timeout=10) for _ in range(count))
    return [message.encode() if isinstance(message, str) else message for message in heard]


def hear_all(
    socket: websockets.sync.client.ClientConnection, *, pong: bool = True
) -> tuple[list[bytes], websockets.ConnectionClosed]:
    """Every message until the connection ends, and what it ends with; PINGs are answered."""
    heard: list[bytes] = []
    try:
        while True:
            message = socket.recv()
            heard.append(message.encode() if isinstance(message, str) else message)
            for uuid in ping_uuids(heard[-1]) if pong else ():
                socket.send(f"pong {uuid}")
    except websockets.ConnectionClosed as closed:
        return heard, closed


@asynccontextmanager
async def with_aiohttp(
    served: Served, **options: Any
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A socket of `aiohttp`."""
    async with (
        aiohttp.ClientSession(headers={"Cookie": served.cookie}) as session,
        session.ws_connect(
            f"http://127.0.0.1:{served.port}/api/socket", **{"max_msg_size": 0, **options}
        ) as socket,
    ):
        yield socket
