"""A recording made before a fake plays again in a fake, and the replayer reads it; real sockets for
resets, which memory has none of.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from click.testing import CliRunner

from recorder.backend import Backend
from recorder.model import Closed, Redaction
from recorder.proxy import Proxy
from recorder.proxy.leg import Leg
from recorder.recording import Writer
from recorder.redaction import Redactor
from recorder.sink import Sink
from recorder.wire.frames import Opcode
from replayer.commands.info import info_command
from replayer.commands.show import show_command
from replayer.playing.script import load_script
from tests.fake_server.support import (
    BEACONS,
    DEVICES,
    POSITION,
    TIMEOUT,
    Client,
    Http,
    handshake,
    quiet,
    serving,
    texts_of,
)
from tests.proxy.support import (
    NO_TLS,
    QuickFile,
    Script,
    Send,
    Side,
    entries_of,
    of_kind,
    relaying,
)
from tests.proxy.test_many_clients import ANSWER, OPENED, post, upgrade
from tests.strategies import make_header


class Kept:
    """A proxy whose recording stays at `path`."""

    def __init__(self, path: Path, dial: Any, redact: Any = "secrets") -> None:
        self.path = path
        now_ns = round(trio.current_time() * 1e9)
        header = make_header(mode="proxy", redaction=Redaction(profile=redact))
        self.sink = Sink(
            Writer.create(path, header, durable=False, file_of=QuickFile),
            Redactor(redact),
            started_ns=now_ns,
            clock=lambda: round(trio.current_time() * 1e9),
        )
        upstream = Backend.parse("http://track.example")
        self.proxy = Proxy(upstream, self.sink, tls=NO_TLS, dial=dial)


async def session(path: Path) -> Path:
    """A login, a list and a socket, recorded before a fake; the client closes the socket."""
    source = quiet(DEVICES, BEACONS, POSITION)
    with trio.fail_after(600):
        async with trio.open_nursery() as nursery, serving(source) as fake:

            async def dial() -> tuple[trio.abc.Stream, str | None]:
                await trio.lowlevel.checkpoint()
                return fake.connect(), None

            kept = Kept(path, dial)
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(kept.proxy.handle, theirs)
            http = Http(ours)
            answer = await http.log_in()
            assert answer.status == 200
            cookie = (answer.header("Set-Cookie") or "").partition(";")[0]
            assert (await http.ask("/api/devices", Cookie=cookie)).status == 200
            await http.send(handshake(cookie))
            assert (await http.head()).status == 101
            client = Client(ours, http.rest())
            heard = await client.listen(trio.current_time() + 65)
            assert texts_of(heard) == [TIMEOUT, DEVICES, BEACONS, POSITION]
            assert await client.close() is not None
            while await client.frame() is not None:
                pass
            await ours.aclose()
        kept.sink.close()
    return path


async def test_what_was_recorded_plays_again_in_the_fake(
    tmp_path: Path, autojump_clock: object
) -> None:
    recorded = await session(tmp_path / "made.track.jsonl")
    script = load_script(recorded)
    with trio.fail_after(600):
        async with serving(script) as fake:
            client = await fake.socket()
            heard = await client.listen(trio.current_time() + 65)
            assert texts_of(heard) == [TIMEOUT, DEVICES, BEACONS, POSITION]


async def test_show_and_info_read_the_client_leg_alone(
    tmp_path: Path, autojump_clock: object
) -> None:
    recorded = await session(tmp_path / "made.track.jsonl")
    shown = CliRunner().invoke(show_command, [str(recorded)], catch_exceptions=False)
    assert shown.exit_code == 0, shown.output
    # Heads stand on both legs; a reader shows each once.
    assert shown.output.count("POST /api/session") == 1
    assert shown.output.count("/api/devices") == 1
    assert shown.output.count("-> 101") == 1
    told = CliRunner().invoke(info_command, [str(recorded)], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    (line,) = [line for line in told.output.splitlines() if "proxied" in line]
    assert "1 " in line


async def test_the_recording_of_the_session_is_whole_and_has_no_secrets(
    tmp_path: Path, autojump_clock: object
) -> None:
    recorded = await session(tmp_path / "made.track.jsonl")
    entries = entries_of(recorded)
    opens = of_kind(entries, "open")
    assert [(entry.leg, entry.paired_with) for entry in opens] == [
        ("client", None),
        ("upstream", 1),
    ]
    closed: list[Closed] = of_kind(entries, "closed")
    assert [entry.how for entry in closed] == ["eof", "eof"]
    assert closed[0].detail.startswith("close 1000")
    # Each leg has its own Host; the answers are the same.
    hosts = {entry.connection: dict(entry.headers)["Host"] for entry in of_kind(entries, "request")}
    assert hosts == {1: "track.example", 2: "track.example"}
    frames = of_kind(entries, "frame")
    assert {entry.connection for entry in frames} == {1}
    assert frames[-1].opcode_number == Opcode.CLOSE
    assert "demo" not in "".join(entry.text or "" for entry in of_kind(entries, "body")[:1])
    assert "node0" not in recorded.read_text()


# Real sockets


@asynccontextmanager
async def tcp(path: Path, serve: Any) -> AsyncIterator[tuple[trio.SocketStream, Kept]]:
    """A client's TCP connection to a proxy before a server on TCP."""
    async with trio.open_nursery() as nursery:
        upstream = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
        nursery.start_soon(trio.serve_listeners, serve, [upstream])

        async def dial() -> tuple[trio.abc.Stream, str | None]:
            return await trio.testing.open_stream_to_socket_listener(upstream), None

        kept = Kept(path, dial, "none")
        front = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
        over = trio.Event()

        async def handle(stream: trio.SocketStream) -> None:
            await kept.proxy.handle(stream)
            over.set()

        nursery.start_soon(trio.serve_listeners, handle, [front])
        client = await trio.testing.open_stream_to_socket_listener(front)
        with trio.fail_after(20):
            async with client:
                yield client, kept
            await over.wait()
        kept.sink.close()
        nursery.cancel_scope.cancel()


async def reset(stream: trio.SocketStream) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await stream.aclose()


async def read_all(stream: trio.abc.Stream) -> bytes:
    """To the end. Raises BrokenResourceError at a reset."""
    data = b""
    while chunk := bytes(await stream.receive_some(65536)):
        data += chunk
    return data


async def take(stream: trio.abc.Stream, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = await stream.receive_some(size - len(data))
        assert chunk, bytes(data)
        data += chunk
    return bytes(data)


@pytest.mark.parametrize("stage", ["answer", "socket"])
async def test_a_reset_by_the_upstream_is_a_reset_for_the_client(
    tmp_path: Path, stage: str
) -> None:
    came = trio.Event()

    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(OPENED + b"\x81\x01a" if stage == "socket" else ANSWER[:-2])
        await came.wait()
        await reset(stream)

    path = tmp_path / "made.track.jsonl"
    async with tcp(path, serve) as (client, _):
        await client.send_all(upgrade())
        await take(client, len(OPENED) + 3 if stage == "socket" else len(ANSWER) - 2)
        came.set()
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()
    closed = of_kind(entries_of(path), "closed")
    assert [(entry.by, entry.how) for entry in closed] == [("server", "reset")] * 2


async def test_a_reset_by_the_client_is_a_reset_for_the_upstream(tmp_path: Path) -> None:
    ends: list[str] = []
    ended = trio.Event()

    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(OPENED)
        try:
            await read_all(stream)
            ends.append("eof")
        except trio.BrokenResourceError:
            ends.append("reset")
        ended.set()

    path = tmp_path / "made.track.jsonl"
    async with tcp(path, serve) as (client, _):
        await client.send_all(upgrade())
        await take(client, len(OPENED))
        await reset(client)
        await ended.wait()
    assert ends == ["reset"]
    closed = of_kind(entries_of(path), "closed")
    assert [(entry.by, entry.how) for entry in closed] == [("client", "reset")] * 2


async def test_a_half_close_of_either_side_leaves_the_other_half_open(tmp_path: Path) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        sent = await read_all(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n" + sent[-5:])
        await stream.send_eof()

    path = tmp_path / "made.track.jsonl"
    async with tcp(path, serve) as (client, _):
        await client.send_all(post(b"x" * 300_000 + b"hello"))
        await client.send_eof()
        assert await read_all(client) == b"HTTP/1.1 200 OK\r\n\r\nhello"
    closed = of_kind(entries_of(path), "closed")
    assert [(entry.by, entry.how) for entry in closed] == [("client", "eof")] * 2


async def test_a_side_that_does_not_read_slows_the_other_down_and_loses_nothing(
    tmp_path: Path,
) -> None:
    size = 24_000_000
    sent = 0

    async def serve(stream: trio.SocketStream) -> None:
        nonlocal sent
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while sent < size:
            await stream.send_all(bytes(100_000))
            sent += 100_000
        await read_all(stream)

    path = tmp_path / "made.track.jsonl"
    async with tcp(path, serve) as (client, _):
        await client.send_all(post(b""))
        await trio.testing.wait_all_tasks_blocked(0.2)
        # The sockets of the kernel hold something, the proxy does not hold the rest.
        assert sent < size
        head = await take(client, len(b"HTTP/1.1 200 OK\r\nContent-Length: 24000000\r\n\r\n"))
        assert head.endswith(b"\r\n\r\n")
        await take(client, size)
    whole = sum(len(entry.data) for entry in of_kind(entries_of(path), "body"))
    assert whole == size
    assert sent == size


async def test_what_is_sent_at_once_does_not_overtake_what_waits() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.setblocking(False)
        leg = Leg(trio.SocketStream(trio.socket.from_stdlib_socket(ours)), 1)
        first = b"f" * 1_000_000
        rest = leg.send_now(first)
        assert first.endswith(rest)
        assert rest
        async with trio.open_nursery() as nursery:
            nursery.start_soon(leg.send, rest)
            await trio.testing.wait_all_tasks_blocked()
            # There is room now, and who waits for it has not been told yet.
            got = theirs.recv(200_000)
            assert leg.send_now(b"later") == b"later"
            nursery.start_soon(leg.send, b"later")
            with trio.fail_after(20):
                while len(got) < len(first) + 5:
                    await trio.lowlevel.wait_readable(theirs)
                    got += theirs.recv(200_000)
        assert got == first + b"later"
        await leg.close(reset=False)


async def test_with_an_upstream_that_cannot_be_half_closed_the_answer_still_comes(
    autojump_clock: object,
) -> None:
    sent = post(b"abc")
    with trio.fail_after(600):
        async with relaying(Script([Send(ANSWER, len(sent) - 3, 5.0)]), whole_only=True) as run:
            client = Side(run.connect(), Script([Send(sent)], "eof"))
            await client.play()
    assert bytes(client.read) == ANSWER
    assert client.end == "eof"
    assert run.servers[0].end == "eof"
