"""Bodies of 100 MB, up and down: they arrive byte for byte, in constant memory, and others are
served meanwhile; the recording holds them, or says of a piece that it was redacted.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final, Literal, TypeAlias

import pytest
import trio

from recorder.model import Body
from recorder.recording import Reader
from tests.faults.processes import Recorder, recording, url_of

BYTES: Final = os.urandom(1_000_000)
"""Nothing that is text."""

JSON: Final = b'{"positions":[%s]}' % b",".join(
    b'{"id":%d,"deviceId":7,"speed":100.0}' % number for number in range(26_000)
)

MOST_MORE_MEMORY_BYTES: Final = 60_000_000
"""What the recorder takes of memory beyond that of its start."""

Direction: TypeAlias = Literal["down", "up"]
Framing: TypeAlias = Literal["sized", "chunked"]


class BigBody:
    """A body of so many times the same piece, as it is on the wire."""

    def __init__(self, framing: Framing, piece: bytes, times: int) -> None:
        self.content_sha256 = hashlib.sha256(piece * times).hexdigest()
        self._times = times
        if framing == "sized":
            self.field = b"Content-Length: %d\r\n\r\n" % (len(piece) * times)
            self._piece, self._end = piece, b""
        else:
            self.field = b"Transfer-Encoding: chunked\r\n\r\n"
            self._piece, self._end = b"%x\r\n%s\r\n" % (len(piece), piece), b"0\r\n\r\n"

    async def send(self, stream: trio.abc.SendStream) -> None:
        for _ in range(self._times):
            await stream.send_all(self._piece)
        await stream.send_all(self._end)

    async def expect(self, stream: trio.abc.ReceiveStream, early: bytes) -> None:
        """Exactly this body comes; ``early`` came with the head."""
        expected, got = hashlib.sha256(), hashlib.sha256(early)
        for _ in range(self._times):
            expected.update(self._piece)
        expected.update(self._end)
        left = len(self._piece) * self._times + len(self._end) - len(early)
        while left:
            data = await stream.receive_some(min(left, 1_000_000))
            assert data
            got.update(data)
            left -= len(data)
        assert got.digest() == expected.digest()


async def head_of(stream: trio.abc.ReceiveStream) -> bytes:
    """Read a head; returns what came behind it."""
    held = b""
    while b"\r\n\r\n" not in held:
        more = await stream.receive_some(65536)
        assert more
        held += more
    return held.partition(b"\r\n\r\n")[2]


async def exchange(
    proxy: Recorder,
    upstream: trio.SocketListener,
    connecting: trio.Lock,
    direction: Direction,
    body: BigBody,
) -> None:
    """One request with, or for, a big body, to the end of the answer."""
    client = await proxy.connect()
    request = b"PUT / HTTP/1.1\r\nHost: a\r\n" + body.field
    async with connecting:
        # One after the other, so that it is known whose the upstream's end is.
        await client.send_all(
            request if direction == "up" else b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        server = await upstream.accept()
    async with client, server, trio.open_nursery() as nursery:
        early = await head_of(server)
        if direction == "down":
            await server.send_all(b"HTTP/1.1 200 OK\r\n" + body.field)
            nursery.start_soon(body.send, server)
            await body.expect(client, await head_of(client))
        else:
            nursery.start_soon(body.send, client)
            await body.expect(server, early)
            await server.send_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            await head_of(client)


def recorded(proxy: Recorder) -> tuple[dict[int, str], int]:
    """The sha256 of each exchange's body in the recording, and how many pieces were redacted."""
    digests: dict[int, hashlib._Hash] = {}
    redacted = 0
    ended = set()
    with Reader(proxy.path) as reader:
        for entry in reader:
            if isinstance(entry, Body):
                digests.setdefault(entry.exchange, hashlib.sha256()).update(entry.data)
                redacted += entry.redacted
                if entry.last:
                    ended.add(entry.exchange)
    assert reader.complete
    assert ended == set(digests)
    return {number: digest.hexdigest() for number, digest in digests.items()}, redacted


async def relayed(
    folder: Path, direction: Direction, bodies: list[BigBody], *options: str
) -> tuple[dict[int, str], int]:
    """All bodies at once through a proxy, whose memory stays flat; what it recorded of them."""
    [upstream] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with upstream, recording("proxy", url_of(upstream), folder, *options) as proxy:
        at_start_bytes = proxy.memory_bytes()
        started_s = trio.current_time()
        connecting = trio.Lock()
        async with trio.open_nursery() as nursery:
            for body in bodies:
                nursery.start_soon(exchange, proxy, upstream, connecting, direction, body)
        more_bytes = proxy.memory_bytes("VmHWM") - at_start_bytes
        print(f"{trio.current_time() - started_s:.1f} s, {more_bytes / 1e6:.1f} MB more at most")
        assert more_bytes < MOST_MORE_MEMORY_BYTES
        assert await proxy.stop() == 0
    return recorded(proxy)


@pytest.mark.parametrize(
    ("direction", "framing"),
    [("down", "sized"), pytest.param("up", "chunked", marks=pytest.mark.nightly)],
)
async def test_a_body_of_100_mb_arrives_and_is_recorded_whole(
    tmp_path: Path, direction: Direction, framing: Framing
) -> None:
    body = BigBody(framing, BYTES, 100)
    found = await relayed(tmp_path, direction, [body], "--redact", "none")
    assert found == ({1: body.content_sha256}, 0)


@pytest.mark.nightly
@pytest.mark.parametrize(("direction", "framing"), [("up", "sized"), ("down", "chunked")])
async def test_a_body_of_100_mb_the_other_way(
    tmp_path: Path, direction: Direction, framing: Framing
) -> None:
    body = BigBody(framing, BYTES, 100)
    found = await relayed(tmp_path, direction, [body], "--redact", "none")
    assert found == ({1: body.content_sha256}, 0)


async def test_a_text_without_secrets_is_recorded_whole_by_default(tmp_path: Path) -> None:
    body = BigBody("chunked", JSON, 20)
    assert await relayed(tmp_path, "down", [body]) == ({1: body.content_sha256}, 0)


@pytest.mark.parametrize("times", [5, pytest.param(100, marks=pytest.mark.nightly)])
async def test_bytes_that_were_redacted_are_relayed_as_they_were_and_marked(
    tmp_path: Path, times: int
) -> None:
    body = BigBody("sized", BYTES, times)
    found, redacted = await relayed(tmp_path, "down", [body])
    # In random bytes there is something now and then that looks like a secret.
    assert found == {1: body.content_sha256} or redacted


async def test_many_bodies_at_once_do_not_mix(tmp_path: Path) -> None:
    bodies = [BigBody("chunked", bytes([number]) * 100_000, 10) for number in range(10)]
    found, _ = await relayed(tmp_path, "up", bodies, "--redact", "none")
    assert sorted(found.values()) == sorted(body.content_sha256 for body in bodies)
