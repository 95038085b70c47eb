"""Whoever ends a connection, wherever in it and however: the other side sees the same, the
recording says it, and nothing hangs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import pytest

from recorder.exits import Exit
from recorder.model import Body, Bytes, Entry, Response
from recorder.wire.frames import Frame, Opcode, Sender, close_frame
from tests.fake_server.support import MASK, handshake
from tests.faults.processes import backend, recording, texts
from tests.faults.support import Certificates, How, Peer, Proxied, closed, frames, proxied, until

GET = b"GET /api/devices HTTP/1.1\r\nHost: track.example\r\n\r\n"
PUT = b"PUT /api/devices/1 HTTP/1.1\r\nHost: track.example\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
LATE = b"HTTP/1.1 204 No Content\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\n"
SIZED = b"Content-Length: 10\r\n\r\n1234"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n7\r\n6"
REST = b"789012\r\n0\r\n\r\n"
UPGRADE = handshake(None)
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
ASKED = Frame.make(Opcode.TEXT, b"x" * 300, mask=MASK).serialize()
SAID = Frame.make(Opcode.TEXT, b'{"positions":[]}' * 20).serialize()
LEAVING = close_frame(1000, mask=MASK).serialize()
GOING = close_frame(1001, "Shutdown").serialize()


class Torn(NamedTuple):
    """The last bytes of a connection, which end inside something. Of a head nothing passes until it
    is whole; the rest passes as it comes. ``body`` is what they hold of a body, and ``rest`` what
    would make them whole, empty where only the end can.
    """

    sender: Sender
    data: bytes
    inside: Literal["head", "body", "frame"]
    body: bytes = b""
    rest: bytes = b""


Steps = Sequence[tuple[Sender, bytes]]


class Stage(NamedTuple):
    """Where a connection ends: behind ``steps``, which are whole, and ``torn``, which is not.
    ``waits`` says that a whole request waits for an answer, or for the rest of it.
    """

    name: str
    steps: Steps = ()
    torn: Torn | None = None
    waits: bool = False


ASK: Final[Steps] = (("client", GET),)
EXCHANGE: Final[Steps] = (*ASK, ("server", OK))
OPENED: Final[Steps] = (("client", UPGRADE), ("server", SWITCHING))
TALKED: Final[Steps] = (*OPENED, ("server", SAID), ("client", ASKED))

STAGES = [
    Stage("behind a request's head", ASK, waits=True),
    Stage("in a sized request body", torn=Torn("client", PUT + SIZED, "body", b"1234", b"567890")),
    Stage("in a chunked request body", torn=Torn("client", PUT + CHUNKED, "body", b"123456", REST)),
    Stage("between exchanges", EXCHANGE),
    Stage("in a second request's head", EXCHANGE, Torn("client", GET[:30], "head", rest=GET[30:])),
    Stage("in a response's head", ASK, Torn("server", OK[:25], "head", rest=OK[25:]), waits=True),
    Stage(
        "in a sized response body",
        ASK,
        Torn("server", RESPONSE + SIZED, "body", b"1234", b"567890"),
        waits=True,
    ),
    Stage(
        "in a chunked response body",
        ASK,
        Torn("server", RESPONSE + CHUNKED, "body", b"123456", REST),
        waits=True,
    ),
    Stage(
        "in a response body of unknown size",
        ASK,
        Torn("server", RESPONSE + b"\r\n1234", "body", b"1234"),
        waits=True,
    ),
    Stage(
        "in the 101",
        OPENED[:1],
        Torn("server", SWITCHING[:40], "head", rest=SWITCHING[40:]),
        waits=True,
    ),
    Stage("behind the 101", OPENED),
    Stage("between frames", TALKED),
    Stage("in the head of a client's frame", TALKED, Torn("client", ASKED[:3], "frame")),
    Stage("in a client's payload", TALKED, Torn("client", ASKED[:100], "frame")),
    Stage("in the head of a server's frame", TALKED, Torn("server", SAID[:3], "frame")),
    Stage("in a server's payload", TALKED, Torn("server", SAID[:100], "frame")),
    Stage("behind the server's close frame", (*OPENED, ("server", GOING))),
    Stage("behind both close frames", (*OPENED, ("client", LEAVING), ("server", GOING))),
]
HOWS: tuple[How, How] = ("eof", "reset")
SENDERS: tuple[Sender, Sender] = ("client", "server")
LEGS = {
    "plain": (False, False),
    "TLS": (True, True),
    "TLS upstream": (False, True),
    "TLS to clients": (True, False),
}
"""Whether the client's leg and the upstream's are over TLS."""


def other_than(sender: Sender) -> Sender:
    return "server" if sender == "client" else "client"


async def play(stage: Stage, running: Proxied) -> dict[Sender, Peer]:
    """Both ends of a connection that is at that stage."""
    peers: dict[Sender, Peer] = {"client": await running.connect()}
    relayed: dict[Sender, int] = {"client": 0, "server": 0}
    torn = stage.torn
    for sender, template in [*stage.steps, *([torn[:2]] if torn is not None else [])]:
        data = template.replace(b"track.example", running.authority.encode())
        await peers[sender].send(data)
        relayed[sender] += len(data)
        if torn is not None and torn.inside == "head" and data == torn.data:
            await running.has_relayed(sender, relayed[sender])
            continue
        if "server" not in peers:
            peers["server"] = await running.accept()
        await peers[other_than(sender)].expect(data)
    return peers


@pytest.mark.parametrize("legs", LEGS)
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("by", SENDERS)
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
async def test_an_end_reaches_the_other_side_as_what_it_is(
    tmp_path: Path, certificates: Certificates, stage: Stage, by: Sender, how: How, legs: str
) -> None:
    client_tls, upstream_tls = LEGS[legs]
    async with proxied(
        tmp_path, certificates=certificates, client_tls=client_tls, upstream_tls=upstream_tls
    ) as running:
        peers = await play(stage, running)
        torn, first, second = stage.torn, peers[by], peers[other_than(by)]
        heard = len(second.received)
        await first.end(how)
        answers = stage.waits and upstream_tls and (by, how) == ("client", "eof")
        if answers:
            # TLS has no half-close: that a client sends nothing more is told behind the answer.
            await second.send(LATE if torn is None else torn.rest)
        if answers and torn is not None and not torn.rest:
            await second.end("eof")
        else:
            assert await second.wait_for_the_end() == how
        is_held = torn is not None and (torn.sender, torn.inside) == (by, "head")
        if torn is not None:
            assert second.received[heard:] == (torn.data if is_held and how == "eof" else b"")
        await second.close()
        if how == "eof" and first.stream is first.tcp:
            await first.wait_for_the_end()
        await running.is_over()
        entries = running.recorded()
    assert closed(entries) == [(1, by, how), (2, by, how)]
    if torn is not None and not answers:
        is_whole = torn.inside == "body" and not torn.rest and how == "eof"
        assert_told(torn, entries, is_whole=is_whole)


def assert_told(torn: Torn, entries: list[Entry], *, is_whole: bool = False) -> None:
    """What was torn is in the recording, and is not said to be whole unless it is."""
    if torn.inside == "body":
        pieces = [one for one in entries if isinstance(one, Body) and one.sender == torn.sender]
        assert b"".join(piece.data for piece in pieces) == torn.body
        assert [piece.last for piece in pieces][-1:] == [is_whole]
    else:
        [tail] = [one for one in entries if isinstance(one, Bytes)]
        assert (tail.sender, tail.data) == (torn.sender, torn.data)
        assert "ended" in tail.why


@pytest.mark.parametrize("client_tls", [False, True])
@pytest.mark.parametrize("how", HOWS)
async def test_a_client_that_leaves_without_a_word_is_recorded_and_no_upstream_is_dialled(
    tmp_path: Path, certificates: Certificates, how: How, client_tls: bool
) -> None:
    async with proxied(tmp_path, certificates=certificates, client_tls=client_tls) as running:
        client = await running.connect()
        if client_tls:
            await client.handshake()
        await until(lambda: running.proxy.progress.open)
        await client.end(how)
        await running.is_over()
        assert closed(running.recorded()) == [(1, "client", how)]


@pytest.mark.parametrize("client_tls", [False, True])
@pytest.mark.parametrize("how", HOWS)
async def test_a_client_that_leaves_inside_its_first_head_is_recorded_with_it(
    tmp_path: Path, certificates: Certificates, how: How, client_tls: bool
) -> None:
    async with proxied(tmp_path, certificates=certificates, client_tls=client_tls) as running:
        client = await running.connect()
        await client.send(GET[:30])
        await running.has_relayed("client", 30)
        await client.end(how)
        if how == "eof" and not client_tls:
            await client.wait_for_the_end()
        await running.is_over()
        entries = running.recorded()
    assert not [entry for entry in entries if isinstance(entry, Response)]
    assert_told(Torn("client", GET[:30], "head"), entries)
    assert closed(entries) == [(1, "client", how)]


async def test_a_client_that_half_closes_still_gets_its_answer(tmp_path: Path) -> None:
    async with proxied(tmp_path) as running:
        peers = await play(STAGES[0], running)
        await peers["client"].end("eof")
        assert await peers["server"].wait_for_the_end() == "eof"
        await peers["server"].send(OK)
        await peers["client"].expect(OK)
        await peers["server"].end("eof")
        assert await peers["client"].wait_for_the_end() == "eof"
        await running.is_over()
        assert closed(running.recorded()) == [(1, "client", "eof"), (2, "client", "eof")]


async def test_over_tls_the_answer_comes_before_a_client_s_end_is_told(
    tmp_path: Path, certificates: Certificates
) -> None:
    async with proxied(tmp_path, certificates=certificates, upstream_tls=True) as running:
        peers = await play(STAGES[0], running)
        await peers["client"].end("eof")
        await peers["server"].send(OK)
        await peers["client"].expect(OK)
        assert await peers["server"].wait_for_the_end() == "eof"
        assert await peers["client"].wait_for_the_end() == "eof"
        await running.is_over()


async def test_a_server_that_half_closes_still_receives(tmp_path: Path) -> None:
    async with proxied(tmp_path) as running:
        peers = await play(STAGES[10], running)
        await peers["server"].end("eof")
        assert await peers["client"].wait_for_the_end() == "eof"
        for _ in range(3):
            await peers["client"].send(ASKED)
            await peers["server"].expect(ASKED)
        await peers["client"].end("eof")
        assert await peers["server"].wait_for_the_end() == "eof"
        await running.is_over()
        entries = running.recorded()
    assert closed(entries) == [(1, "server", "eof"), (2, "server", "eof")]
    assert len(frames(entries, "client")) == 3


@pytest.mark.parametrize(
    "stage", [STAGES[8], STAGES[7], STAGES[3], STAGES[11]], ids=lambda stage: stage.name
)
async def test_a_proxy_that_is_stopped_does_not_make_half_an_answer_look_whole(
    tmp_path: Path, stage: Stage
) -> None:
    async with proxied(tmp_path) as running:
        peers = await play(stage, running)
        running.proxy.stop()
        how = "reset" if stage.waits else "eof"
        assert await peers["client"].wait_for_the_end() == how
        assert await peers["server"].wait_for_the_end() == how
        entries = running.recorded()
    assert closed(entries) == [(1, "recorder", "stopped"), (2, "recorder", "stopped")]
    if stage.torn is not None:
        assert_told(stage.torn, entries)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("torn", [b"", SAID[:3], SAID[:100]], ids=["between", "head", "payload"])
async def test_a_capture_whose_server_goes_tells_how_and_keeps_what_was_torn(
    tmp_path: Path, torn: bytes, how: How
) -> None:
    async with (
        backend() as upstream,
        recording("capture", upstream.url, tmp_path, "--no-reconnect") as capture,
    ):
        server = await upstream.socket()
        await server.send_all(SAID + torn)
        await until(lambda: b'{"kind":"frame"' in capture.path.read_bytes())
        await Peer(server, None).end(how)
        status = await capture.ended()
    assert status == Exit.CONNECTION_LOST
    said = {"eof": "the server ended it without a close frame", "reset": "it was reset"}[how]
    assert said in capture.errors.splitlines()[-1]
    entries, [reader] = capture.recorded()
    assert reader.complete
    assert texts(entries) == [SAID[4:]]
    assert closed(entries)[-1][1:] == ("server", how)
    if torn:
        assert_told(Torn("server", torn, "frame"), entries)
