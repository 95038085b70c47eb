"""The step http, and one exchange of HTTP by itself."""

from __future__ import annotations

from email.utils import formatdate
from itertools import pairwise

import pytest
import trio
import trio.testing
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.doctor import Address
from recorder.doctor.exchange import MAX_ANSWER_BYTES, Answer, Lost, exchange
from recorder.exits import Exit
from tests.doctor.support import (
    NOT_LOGGED_IN,
    NOW_S,
    backend,
    examine,
    outcomes,
    page,
    replying,
    says,
    silent,
)
from tests.doctor.test_tls import behind_tls, server_context
from tests.profiles import examples
from tests.recorder.scripted import Peer, answer, saying, scripted


async def test_a_backend_answers_404_without_a_login() -> None:
    first = answer("404 Not Found", "Server: nginx", "Via: 1.1 squid", body=b"HTTP 404")
    results = await examine(backend(first=saying(first)))
    says(results["http"], "ok", "404 Not Found in", "from nginx", "via 1.1 squid")


async def test_a_404_that_is_a_page_promises_little() -> None:
    results = await examine(backend(first=saying(page("404 Not Found"))))
    says(results["http"], "ok", "any web server that has no API")


ELSEWHERE = ("captive portal", "Open the URL in a browser")

FAILURES: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "captive portal, redirect": (
        answer("302 Found", "Location: http://guest@login.hotel.example/?token=4711471147114711"),
        ("it sends to http://login.hotel.example/", *ELSEWHERE),
    ),
    "captive portal, page": (page("200 OK"), ("a page (HTML)", *ELSEWHERE)),
    "captive portal, 511": (page("511 Network Authentication Required"), ELSEWHERE[:1]),
    "wants TLS": (
        answer("301 Moved Permanently", "Location: https://track.example/api/session"),
        ("The server wants TLS", "Use https in the URL: https://track.example"),
    ),
    "another path": (
        answer("302 Found", "Location: /login"),
        ("it sends to http://track.example/login", "The API is not at this path"),
    ),
    "a location that is none": (
        answer("302 Found", "Location: http://[x"),
        ("it sends to", *ELSEWHERE),
    ),
    "nginx, plain HTTP to TLS": (
        answer("400 Bad Request", body=b"<html>The plain HTTP request was sent to HTTPS port"),
        ("The port speaks TLS", "Use https"),
    ),
    "Go, plain HTTP to TLS": (
        answer("400 Bad Request", body=b"Client sent an HTTP request to an HTTPS server.\n"),
        ("The port speaks TLS", "Use https"),
    ),
    "proxy login": (page("407 Proxy Authentication Required"), ("A proxy that wants a login",)),
    "bad gateway": (page("502 Bad Gateway"), ("backend behind it does not", "See whether")),
    "unavailable": (page("503 Service Unavailable"), ("backend behind it does not",)),
    "gateway timeout": (page("504 Gateway Time-out"), ("backend behind it does not",)),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", ("'SSH-2.0-OpenSSH_9.2'", "Something else listens")),
    "torn head": (b"HTTP/1.1 200 OK\r\nServ", ("hung up in the middle of an answer",)),
    "torn body": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        ("hung up", "inside the body of an answer"),
    ),
    "bad length": (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", ("no HTTP",)),
    "bad chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ("no HTTP",)),
    "nothing": (b"", ("hung up without an answer", "cuts the connection")),
}


@pytest.mark.parametrize(("data", "words"), FAILURES.values(), ids=FAILURES)
async def test_what_is_no_backend(data: bytes, words: tuple[str, ...]) -> None:
    results = await examine(replying(data))
    says(results["http"], "fail", *words, exit_code=Exit.UNREACHABLE)
    assert outcomes(results) == "ooow" + "f" + "s" * 7
    assert "4711" not in repr(results)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (page("403 Forbidden"), ("only known addresses", "let this machine through")),
        (page("429 Too Many Requests"), ("too many from here", "Wait a while")),
        (page("500 Internal Server Error"), ("Something else may stand at the URL",)),
        (answer("200 OK", body=b"{}"), ("Something else may stand at the URL",)),
        (answer("304 Not Modified", "Location: /x"), ("Something else may stand at the URL",)),
    ],
)
async def test_what_may_be_a_backend_is_a_warning(data: bytes, words: tuple[str, ...]) -> None:
    results = await examine(backend(first=saying(data)))
    says(results["http"], "warn", *words)
    assert results["login"].outcome == "ok"


async def test_no_answer(autojump_clock: trio.testing.MockClock) -> None:
    results = await examine(silent)
    says(results["http"], "fail", "no answer within 15 s", exit_code=Exit.UNREACHABLE)
    assert trio.current_time() == pytest.approx(15)


async def test_tls_where_plain_http_is_expected() -> None:
    results = await examine(behind_tls(server_context(), backend()))
    says(
        results["http"],
        "fail",
        "no HTTP, but TLS",
        "The port speaks TLS",
        "Use https in the URL",
        exit_code=Exit.UNREACHABLE,
    )


async def test_a_reset_is_told_as_such() -> None:
    async def reset(peer: Peer, head: bytes) -> None:
        await peer.reset()

    async def only_once(count: int, stream: trio.SocketStream) -> trio.abc.Stream | None:
        return stream if count == 1 else None

    async with scripted(login=reset, wrap=only_once) as server:

        async def connect(address: Address) -> trio.abc.Stream:
            return await trio.open_tcp_stream("127.0.0.1", server.backend.port)

        results = await examine(url=server.url, connect=connect)
    says(results["http"], "fail", "the connection was reset", exit_code=Exit.UNREACHABLE)


# Clocks


@pytest.mark.parametrize(
    ("skew_s", "words"),
    [(3600, "3600 s ahead of"), (-90, "90 s behind")],
)
async def test_clocks_that_are_apart(skew_s: int, words: str) -> None:
    first = answer("404 Not Found", f"Date: {formatdate(NOW_S + skew_s, usegmt=True)}")
    results = await examine(backend(first=saying(first)))
    says(results["http"], "warn", f"its clock is {words} this machine's", "clocks is wrong", "NTP")


@pytest.mark.parametrize(
    "date",
    [
        *(f"Date: {formatdate(NOW_S + skew_s, usegmt=True)}" for skew_s in (-59, 0, 60)),
        "Date: yesterday",
        "Date: Thu, 99 Jan 99999 00:00:00 GMT",
    ],
)
async def test_clocks_that_are_not_apart(date: str) -> None:
    results = await examine(backend(first=saying(answer("404 Not Found", date))))
    assert results["http"].outcome == "ok"


async def test_a_clock_does_not_hide_what_is_worse() -> None:
    date = f"Date: {formatdate(0, usegmt=True)}"
    results = await examine(replying(page("502 Bad Gateway", date)))
    says(results["http"], "fail", "its clock is", "A proxy answers", exit_code=Exit.UNREACHABLE)


# One exchange


class Chunks(trio.abc.Stream):
    """Gives these chunks, then the end."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = [chunk for chunk in chunks if chunk]

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        return self.chunks.pop(0) if self.chunks else b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


def exchanged(*chunks: bytes) -> Answer | tuple[str, bytes]:
    async def main() -> Answer | tuple[str, bytes]:
        try:
            return await exchange(Chunks(*chunks), "GET", b"x", within_s=10)
        except Lost as error:
            return error.how, error.received

    return trio.run(main)


WHOLE = (
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
)


@given(st.lists(st.integers(0, len(WHOLE)), max_size=6))
@settings(max_examples=examples(60))
def test_any_chunking_gives_the_same_answer(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(WHOLE)]
    got = exchanged(*(WHOLE[a:b] for a, b in pairwise(places)))
    assert isinstance(got, Answer)
    assert (got.status, got.body) == (200, b"abcde")


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=60).map(lambda b: b"HTTP/1.1 " + b)))
@example(b"HTTP/1.1 101 Switching\r\n\r\n\x81\x00")
@settings(max_examples=examples(150))
def test_any_bytes_give_an_answer_or_lost(data: bytes) -> None:
    got = exchanged(data)
    if isinstance(got, Answer):
        assert data.startswith(b"HTTP/")
    else:
        assert got[0] in ("end", "no http")


def test_what_came_behind_a_101_is_kept() -> None:
    got = exchanged(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x02{}")
    assert isinstance(got, Answer)
    assert (got.status, got.rest, got.body) == (101, b"\x81\x02{}", b"")


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    got = exchanged(b"HTTP/1.0 200 OK\r\n\r\nabc", b"def")
    assert isinstance(got, Answer)
    assert got.body == b"abcdef"


def test_what_is_no_http_is_told_by_its_first_bytes() -> None:
    # Not after a head's worth of it.
    assert exchanged(b"HT", b"TX/1.1") == ("no http", b"HTTX/1.1")


def test_an_answer_without_end_is_given_up() -> None:
    piece = b"x" * (16 * 1024 * 1024)
    assert 5 * len(piece) > MAX_ANSWER_BYTES
    assert exchanged(b"HTTP/1.0 200 OK\r\n\r\n", *([piece] * 6))[0] == "too long"


async def test_an_answer_that_drips_is_given_up_in_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def drip(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(NOT_LOGGED_IN[:-4])
        while True:
            await trio.sleep(7)
            await stream.send_all(b"")

    results = await examine(drip)
    says(results["http"], "fail", "no answer within 15 s", exit_code=Exit.UNREACHABLE)
