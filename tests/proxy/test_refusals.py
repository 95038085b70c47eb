"""What the proxy answers itself: no upstream, or a client that speaks no HTTP/1.1."""

from __future__ import annotations

import pytest
import trio

from recorder.errors import Unreachable
from recorder.proxy import ProxyProgress
from recorder.wire.handshake import parse_response_head
from tests.proxy.support import HOST, Ending, Run, Script, Send, Side, of_kind, relaying

GET = f"GET /a HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def refused() -> tuple[trio.abc.Stream, str | None]:
    await trio.lowlevel.checkpoint()
    raise Unreachable("up.test:8082: cannot connect: nobody is there")


async def ask(
    *chunks: bytes, ending: Ending = "answer", unreachable: bool = False
) -> tuple[Side, Run]:
    """What a client that sends these chunks gets, and what was recorded."""
    server = Script([Send(ANSWER, 1)], "eof")
    dial = refused if unreachable else None
    with trio.fail_after(600):
        async with relaying(server, dial=dial) as run:
            client = Side(
                run.connect(), Script([Send(chunk, pause_s=1) for chunk in chunks], ending)
            )
            await client.play()
    return client, run


def answer_of(client: Side) -> tuple[int, str]:
    """Status and words of the one answer that stands there, complete."""
    head, _, body = bytes(client.read).partition(b"\r\n\r\n")
    parsed = parse_response_head(head + b"\r\n\r\n")
    assert parsed.headers.count(("Content-Length", str(len(body)))) == 1
    assert ("Connection", "close") in parsed.headers
    assert client.end == "eof"
    return parsed.status, body.decode()


async def test_an_upstream_that_cannot_be_reached_is_a_502_that_says_why(
    autojump_clock: object,
) -> None:
    client, run = await ask(GET, unreachable=True)
    status, words = answer_of(client)
    assert status == 502
    assert "nobody is there" in words
    assert of_kind(run.entries, "note")[0].text.count("nobody is there") == 1
    assert [entry.kind for entry in run.entries if entry.kind != "note"][:2] == ["open", "request"]
    assert [entry.leg for entry in of_kind(run.entries, "open")] == ["client"]
    assert run.proxy.progress.problems == 1
    assert [entry.connection for entry in of_kind(run.entries, "closed")] == [1]


async def test_the_502_is_an_answer_for_an_upgrade_and_for_a_body_too(
    autojump_clock: object,
) -> None:
    upgrade = GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000
    for sent in (upgrade, upgrade + b"\x81\x80abcd", post, GET + GET):
        client, _ = await ask(sent, unreachable=True)
        assert answer_of(client)[0] == 502


async def test_each_client_tries_the_upstream_anew(autojump_clock: object) -> None:
    tries = 0

    async def second_time_lucky() -> tuple[trio.abc.Stream, str | None]:
        nonlocal tries
        tries += 1
        if tries == 1:
            return await refused()
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(Side(theirs, Script([Send(ANSWER, 1)], "eof")).play)
        return ours, None

    async with trio.open_nursery() as nursery, relaying(dial=second_time_lucky) as run:
        for status in (b"502", b"200"):
            client = Side(run.connect(), Script([Send(GET)]))
            await client.play()
            assert bytes(client.read).split(b" ")[1] == status


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"CONNECT up.test:443 HTTP/1.1\r\nHost: up.test:443\r\n\r\n", "reverse proxy"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00", "HTTP/1.1 only"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP"),
        (b"\x00\x01\x02\n\n\xff", "HTTP"),
        (b"GET /\r\n\r\n", "HTTP"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", "HTTP"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000, "HTTP"),
    ],
    ids=["connect", "http2", "ssh", "garbage", "http0.9", "no-colon", "endless-head"],
)
async def test_what_is_no_http_1_is_refused_in_words_and_recorded_without_an_upstream(
    autojump_clock: object, sent: bytes, words: str
) -> None:
    client, run = await ask(sent)
    status, said = answer_of(client)
    assert 400 <= status < 600
    assert words in said
    assert not run.servers
    assert [entry.leg for entry in of_kind(run.entries, "open")] == ["client"]
    assert of_kind(run.entries, "request", "bytes")
    assert of_kind(run.entries, "closed")


async def test_a_tls_hello_on_the_plain_port_is_refused_though_no_line_ends_in_it(
    autojump_clock: object,
) -> None:
    hello = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + b"\x01" * 192
    client, run = await ask(hello)
    assert client.end != "open"
    assert not run.servers
    assert b"".join(entry.data for entry in of_kind(run.entries, "bytes")) == hello


@pytest.mark.parametrize("ending", ["eof", "close", "reset"])
async def test_a_client_that_says_nothing_has_an_open_and_a_closed(
    autojump_clock: object, ending: Ending
) -> None:
    client, run = await ask(ending=ending)
    assert [entry.kind for entry in run.entries] == ["open", "closed"]
    assert run.entries[1].by == "client"
    assert run.entries[1].how == ("reset" if ending == "reset" else "eof")
    assert not run.servers
    assert not client.read
    assert run.proxy.progress.problems == 0


@pytest.mark.parametrize("ending", ["eof", "close", "reset"])
async def test_a_client_that_ends_within_its_first_head_reaches_no_upstream(
    autojump_clock: object, ending: Ending
) -> None:
    _, run = await ask(GET[:9], GET[9:-1], ending=ending)
    assert not run.servers
    (kept,) = of_kind(run.entries, "bytes")
    assert kept.data == GET[:-1]


async def test_a_later_head_that_is_none_passes_as_it_is(autojump_clock: object) -> None:
    odd = b"no HTTP at all\r\n\r\n\x00\xff"
    async with relaying(Script([Send(ANSWER, 1)])) as run:
        client = Side(run.connect(), Script([Send(GET), Send(odd, len(ANSWER))], "eof"))
        await client.play()
    assert bytes(run.servers[0].read).endswith(b"\r\n\r\n" + odd)
    assert b"".join(entry.data for entry in of_kind(run.entries, "bytes")) == odd


@pytest.mark.parametrize(
    "odd",
    [
        b"\x15\x03\x01\x00\x02\x02\x0a",
        b"SMTP ready\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
    ],
    ids=["tls-alert", "no-http", "endless-head"],
)
async def test_an_answer_that_is_no_http_passes_as_it_is(
    autojump_clock: object, odd: bytes
) -> None:
    async with relaying(Script([Send(odd, 1)], "eof")) as run:
        client = Side(run.connect(), Script([Send(GET)]))
        await client.play()
    assert bytes(client.read) == odd
    assert b"".join(entry.data for entry in of_kind(run.entries, "bytes")) == odd


async def test_a_head_is_read_the_same_wherever_it_is_cut(autojump_clock: object) -> None:
    odd = GET.replace(b"\r\n\r\n", b"\r\nX: \x16\x03\x01\x14\r\n\r\n")
    for place in range(1, len(odd)):
        client, run = await ask(odd[:place], odd[place:])
        assert bytes(client.read) == ANSWER, place
        assert of_kind(run.entries, "request")


async def test_each_exchange_is_at_home_where_its_request_said(autojump_clock: object) -> None:
    moved = b"HTTP/1.1 302 X\r\nLocation: http://%s/x\r\nContent-Length: 0\r\n\r\n"
    asked = [b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host for host in (b"one.test", b"two.test:9")]
    got = [moved % host for host in (b"one.test", b"two.test:9")]
    sent = moved % b"up.test:8082"
    first = len(b"GET / HTTP/1.1\r\nHost: up.test:8082\r\n\r\n")
    server = Script([Send(sent, first), Send(sent, 2 * first)], "eof")
    with trio.fail_after(600):
        async with relaying(server) as run:
            client = Side(run.connect(), Script([Send(asked[0]), Send(asked[1], len(got[0]))]))
            await client.play()
    assert bytes(client.read) == b"".join(got)


async def test_what_was_refused_is_counted(autojump_clock: object) -> None:
    _, run = await ask(GET, unreachable=True)
    progress: ProxyProgress = run.proxy.progress
    assert (progress.connections, progress.open) == (1, 0)
    assert progress.facts()["connections"] == 1
