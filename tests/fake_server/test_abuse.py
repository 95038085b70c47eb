"""Clients that do what no client may, over TCP, against a server in a process of its own: it gets
rid of them in bounded time and memory, says nothing but what they did, and whoever is beside them
notices nothing.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import trio

from recorder.wire.frames import Frame, Opcode
from tests.fake_server.abuse import (
    MIB,
    Abused,
    abused,
    beside,
    flood,
    linux,
    several,
    storm,
    text,
    until,
    until_refused,
)
from tests.fake_server.support import MASK, TIMEOUT, Http

pytestmark = linux


async def test_who_sends_a_huge_body_can_read_that_it_is_refused() -> None:
    block = bytes(0x10000)
    length, chunked = b"Content-Length: 200000000\r\n", b"Transfer-Encoding: chunked\r\n"
    expect = b"Expect: 100-continue\r\n"
    async with abused() as server, beside(server):
        before_bytes = server.peak_bytes
        for fields, piece in [
            (length, block),
            (length + expect, block),
            (chunked, b"10000\r\n" + block + b"\r\n"),
            (chunked + expect, b"10000\r\n" + block + b"\r\n"),
        ]:
            assert await status_of_body(server, fields, piece) == 413
        assert server.peak_bytes - before_bytes < 16 * MIB


async def status_of_body(server: Abused, fields: bytes, piece: bytes) -> int:
    """What a client is told that reads only after it has sent all it could."""
    async with await server.connect() as stream:
        await stream.send_all(b"POST /api/devices HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n")
        await until_refused(stream, [piece] * 64)
        http = Http(stream)
        with trio.fail_after(10):
            answer = await http.head()
            return (await http.head() if answer.status == 100 else answer).status


async def test_a_thousand_connections_that_hang_up_leave_nothing() -> None:
    await storm(1000)


async def test_nor_do_they_while_they_are_recorded(tmp_path: Path) -> None:
    await storm(100, "--record", str(tmp_path / "storm.track.jsonl"))


async def test_nor_where_tls_is_spoken(tmp_path: Path) -> None:
    chance = random.Random(17)
    async with abused("--tls-self-signed", str(tmp_path / "ca.pem")) as server:
        open_files = server.open_files
        await several(server, "a=b", chance, 80, 20)
        await server.settled(open_files)


async def test_pings_whose_pongs_are_not_read_take_bounded_memory() -> None:
    ping = Frame.make(Opcode.PING, bytes(125), mask=MASK).serialize()
    await flood([ping * 1000] * 400, 40 * MIB, rule="socket.too-slow")


async def test_wrong_pongs_without_end_fill_neither_memory_nor_the_terminal() -> None:
    await flood([text(b"pong " + b"x" * 36) * 1000] * 8, 24 * MIB, rule="pong.")


async def test_sockets_beyond_the_file_descriptors_wait_and_the_server_idles() -> None:
    async with abused(files=48) as server:
        streams = [await server.connect() for _ in range(60)]
        try:
            await until(lambda: server.open_files == 48)
            # Even the first login: no module is left to be imported by then.
            login = await Http(streams[0]).log_in()
            assert login.status == 200
            cookie = (login.header("Set-Cookie") or "").partition(";")[0]
            before_s = server.cpu_s
            await trio.sleep(0.5)
            assert server.cpu_s - before_s < 0.2
        finally:
            for stream in streams:
                await trio.aclose_forcefully(stream)
        with trio.fail_after(10):
            client = await server.socket(cookie)
            await client.expect(TIMEOUT)
            await trio.aclose_forcefully(client.stream)


async def test_who_does_not_read_a_broadcast_is_closed_and_the_others_get_it_all() -> None:
    message = json.dumps({"devices": [{"id": 1, "name": "x" * 900_000}]})
    body = json.dumps({"message": json.loads(message)}).encode()
    async with abused() as server, beside(server) as (neighbour, cookie):
        before_bytes = server.peak_bytes
        slow = [await server.socket(cookie) for _ in range(2)]
        async with await server.connect() as stream:
            http = Http(stream)
            for _ in range(28):
                texts = neighbour.texts
                answer = await http.ask(
                    "/__admin/push",
                    method="POST",
                    body=body,
                    Host="localhost",
                    Content_Type="application/json",
                )
                assert answer.status == 200, answer
                await until(lambda texts=texts: neighbour.texts > texts)
        assert server.stderr.count("socket.too-slow") == 2
        # The frames are the same bytes for all; what waits for one waits for both.
        assert server.peak_bytes - before_bytes < 64 * MIB
        for client in slow:
            await trio.aclose_forcefully(client.stream)
