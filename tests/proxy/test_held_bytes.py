"""What a client sends while the proxy is busy with an answer: it stays in order, and its end takes
nothing away.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.proxy.support import End, Script, Send, jump, relaying, stream_pair, wire_of

_UPGRADE = (
    b"GET /api/socket HTTP/1.1\r\nHost: proxy.test:8090\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)
_UPGRADED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
_HELD = b"\x81\x81\0\0\0\0A"
_NEWER = b"\x81\x81\0\0\0\0B"


class _Slow(End):
    """The proxy's end of a client that takes nothing before it was told to."""

    def __init__(self, half: trio.abc.HalfCloseableStream) -> None:
        super().__init__(half)
        self.is_sent_to = trio.Event()
        self.may_take = trio.Event()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.is_sent_to.set()
        await self.may_take.wait()
        await super().send_all(data)


def _slow_pair() -> tuple[End, _Slow]:
    ours, theirs = stream_pair()
    slow = _Slow(theirs._half)
    slow.peer, ours.peer = ours, slow
    return ours, slow


@pytest.mark.parametrize("ends", [False, True])
def test_what_was_held_behind_an_upgrade_goes_before_what_comes_while_the_answer_is_sent(
    ends: bool,
) -> None:
    async def main() -> tuple[bytes, list[Any]]:
        server = Script([Send(_UPGRADED, after=1)])
        async with relaying(server) as run, trio.open_nursery() as nursery:
            client, slow = _slow_pair()
            nursery.start_soon(run.proxy.handle, slow)
            await client.send_all(_UPGRADE + _HELD)
            await slow.is_sent_to.wait()
            await client.send_all(_NEWER)
            if ends:
                await client.send_eof()
            await trio.testing.wait_all_tasks_blocked()
            slow.may_take.set()
            await trio.testing.wait_all_tasks_blocked()
            if not ends:
                await client.send_eof()
            while await client.receive_some():
                pass
            await client.aclose()
        return bytes(run.servers[0].read), run.entries

    read, entries = jump(main)
    assert read.partition(b"\r\n\r\n")[2] == _HELD + _NEWER
    assert wire_of(entries, "client") == _HELD + _NEWER


def test_the_end_of_a_client_that_is_slow_to_read_cuts_no_answer_off_that_came_over_tls() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole"

    async def main() -> bytes:
        server = Script([Send(answer, after=1)])
        async with relaying(server, whole_only=True) as run, trio.open_nursery() as nursery:
            client, slow = _slow_pair()
            nursery.start_soon(run.proxy.handle, slow)
            await client.send_all(b"GET / HTTP/1.1\r\nHost: proxy.test:8090\r\n\r\n")
            await slow.is_sent_to.wait()
            await client.send_eof()
            await trio.testing.wait_all_tasks_blocked()
            slow.may_take.set()
            read = b""
            while data := await client.receive_some():
                read += bytes(data)
            await client.aclose()
        return read

    assert jump(main).endswith(b"whole")
