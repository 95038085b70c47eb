"""HTTP that no client may send: it is answered or hung up on in bounded time and memory."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Iterator

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fake_server.abuse import HEAD, MIB, PATIENCE_S, ending
from tests.fake_server.support import DEVICES, Http, handshake, quiet, serving
from tests.profiles import examples


@pytest.fixture(autouse=True)
def clean_log(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No abuse is a bug of the server's."""
    yield
    assert "Traceback" not in capfd.readouterr().err


# Slow


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        HEAD,
        HEAD + b"X-Long: ",
        HEAD + b"\r\n" + HEAD,
        b"POST /api/session HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
        b"POST /api/session HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
        b"POST /api/session HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
    ],
)
async def test_a_byte_a_second_keeps_no_connection(
    begin: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(quiet()) as fake, trio.open_nursery() as nursery:
        stream, ended = await ending(fake, nursery)
        await stream.send_all(begin)

        async def trickle() -> None:
            while not ended.is_set():
                await trio.sleep(1)
                try:
                    await stream.send_all(b"x")
                except trio.BrokenResourceError:
                    return

        nursery.start_soon(trickle)
        with trio.fail_after(PATIENCE_S):
            await ended.wait()


@pytest.mark.parametrize("begin", [b"", HEAD, b"\x16\x03\x01\x00\xc8"])
async def test_a_connection_that_says_no_more_is_ended(
    begin: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(quiet()) as fake, trio.open_nursery() as nursery:
        stream, ended = await ending(fake, nursery)
        await stream.send_all(begin)
        with trio.fail_after(PATIENCE_S):
            await ended.wait()


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(HEAD + b"\r\n", id="REST"),
        pytest.param(b"GET /api/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", id="a large answer"),
        pytest.param(b"nonsense\r\n\r\n", id="an error"),
        pytest.param(
            b"POST /api/session HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
            b"Expect: 100-continue\r\n\r\n",
            id="100",
        ),
        pytest.param(handshake(None), id="a refusal"),
    ],
)
async def test_a_client_that_reads_no_answer_is_ended(
    request_bytes: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(quiet()) as fake, trio.open_nursery() as nursery:
        stream, ended = await ending(fake, nursery, lockstep=True)
        await stream.send_all(request_bytes)
        with trio.fail_after(PATIENCE_S):
            await ended.wait()


async def test_a_client_that_reads_no_101_is_ended(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake, trio.open_nursery() as nursery:
        cookie = await fake.cookie()
        stream, ended = await ending(fake, nursery, lockstep=True)
        await stream.send_all(handshake(cookie))
        with trio.fail_after(PATIENCE_S):
            await ended.wait()


# Large


async def test_a_head_that_never_ends_is_answered_431_and_takes_no_memory() -> None:
    async with serving(quiet()) as fake, trio.open_nursery() as nursery:
        stream, ended = await ending(fake, nursery)
        sent = 0
        tracemalloc.start()
        try:
            await stream.send_all(HEAD)
            while not ended.is_set() and sent < 64 * MIB:
                try:
                    await stream.send_all(b"X-More: and more\r\n" * 500)
                except trio.BrokenResourceError:
                    break
                sent += 9000
                await trio.testing.wait_all_tasks_blocked()
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert sent < MIB
        assert peak_bytes < 4 * MIB
        answer = await Http(stream).answer()
        assert answer.status == 431
        assert answer.header("Connection") == "close"


@pytest.mark.parametrize("line", [b"X-%d: a\r\n", b"Cookie: a%d=b\r\n", b"A%d:\r\n"])
async def test_thousands_of_headers_are_answered(line: bytes) -> None:
    async with serving(quiet()) as fake:
        http = fake.http()
        await http.send(HEAD + b"".join(line % number for number in range(4000)) + b"\r\n")
        assert (await http.answer()).status in (200, 431)


@pytest.mark.parametrize(
    "fields", ["Content-Length: 1048577", f"Content-Length: {10**17}"], ids=["a bit", "a lot"]
)
@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\r\n"], ids=["", "expect"])
async def test_a_body_that_says_it_is_too_large_is_answered_413_before_it_comes(
    fields: str, expect: str
) -> None:
    async with serving(quiet()) as fake:
        http = fake.http()
        head = f"POST /api/devices HTTP/1.1\r\nHost: x\r\n{fields}\r\n{expect}\r\n"
        await http.send(head.encode())
        with trio.fail_after(5):
            answer = await http.answer()
            assert answer.status == 413
            assert await http.ended()


async def test_a_body_of_a_byte_a_chunk_is_taken_or_refused_in_bounded_memory() -> None:
    async with serving(quiet()) as fake:
        http = fake.http()
        await http.send(
            b"POST /api/session HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        tracemalloc.start()
        try:
            for _ in range(10):
                await http.send(b"1\r\nx\r\n" * 500)
                await trio.testing.wait_all_tasks_blocked()
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        await http.send(b"0\r\n\r\n")
        assert (await http.answer()).status == 400
        assert peak_bytes < 2 * MIB


# What is no HTTP, or two kinds of it


SMUGGLED = b"GET /api/server HTTP/1.1\r\nHost: smuggled.example\r\n\r\n"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(b"Content-Length: 3\r\nTransfer-Encoding: chunked", id="both"),
        pytest.param(b"Transfer-Encoding: chunked\r\nContent-Length: 5", id="both, turned"),
        pytest.param(b"Content-Length: 3\r\nContent-Length: 4", id="two lengths"),
        pytest.param(b"Content-Length: 3, 4", id="two lengths in a list"),
        pytest.param(b"Content-Length: +3", id="a sign"),
        pytest.param(b"Content-Length: 0x3", id="hexadecimal"),
        pytest.param(b"Content-Length: 3\x0b", id="a vertical tab"),
        pytest.param(b"Content-Length : 3", id="space before the colon"),
        pytest.param(b"Content-Length: " + b"9" * 5000, id="5000 digits"),
        pytest.param(b"Transfer-Encoding: chunked, identity", id="not chunked at last"),
        pytest.param(b"Transfer-Encoding: xchunked", id="unknown coding"),
        pytest.param(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", id="twice"),
    ],
)
async def test_a_request_with_two_possible_ends_is_the_last_of_its_connection(
    fields: bytes,
) -> None:
    # RFC 9112 section 6.3: whoever reads it in another way must not find a second request in it.
    async with serving(quiet()) as fake:
        stream = fake.connect()
        request = b"POST /api/session HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n\r\n"
        await stream.send_all(request + b"0\r\n\r\n" + SMUGGLED)
        answers = await everything(stream)
        assert re.findall(rb"HTTP/1.1 (\d+)", answers)[0] in (b"400", b"413", b"415", b"501")
        assert len(re.findall(rb"HTTP/1.1 \d", answers)) == 1


async def everything(stream: trio.abc.Stream) -> bytes:
    """All that comes until the server hangs up, which it must."""
    got = b""
    with trio.fail_after(5):
        while data := await stream.receive_some(65536):
            got += data
    return got


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(190), 400, id="TLS"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, id="HTTP/2"),
        pytest.param(b"GET /api/server HTTP/2.0\r\nHost: x\r\n\r\n", 505, id="HTTP/2.0"),
        pytest.param(b"GET /api/server\r\n\r\n", 400, id="HTTP/0.9"),
        pytest.param(b"GET  HTTP/1.1\r\nHost: x\r\n\r\n", 400, id="no target"),
        pytest.param(b"GET /api/\0server HTTP/1.1\r\nHost: x\r\n\r\n", 400, id="NUL"),
        pytest.param("GET /api/sérver HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 400, id="UTF-8"),
        pytest.param(HEAD + b"X: a\0b\r\n\r\n", 400, id="NUL in a header"),
        pytest.param(HEAD + b"no colon\r\n\r\n", 400, id="no colon"),
        pytest.param(b"GET /api/server HTTP/1.1\r\n Host: x\r\n\r\n", 400, id="folded first"),
        pytest.param(b"GET /api/server HTTP/1.1\r\n\r\n", 400, id="no Host"),
        pytest.param(HEAD + b"Host: other\r\n\r\n", 400, id="two Hosts"),
        pytest.param(bytes(range(256)) * 10, 400, id="all bytes"),
        pytest.param(b"\r\n" * 1000, 400, id="empty lines"),
    ],
)
async def test_what_is_no_http_1_is_told_so_and_hung_up_on(sent: bytes, status: int) -> None:
    async with serving(quiet()) as fake:
        stream = fake.connect()
        await stream.send_all(sent + SMUGGLED)
        answers = await everything(stream)
        assert answers.startswith(b"HTTP/1.1 %d " % status)
        assert len(re.findall(rb"HTTP/1.1 \d", answers)) == 1


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(HEAD.replace(b"\r\n", b"\n") + b"\n", id="bare LF"),
        pytest.param(HEAD + b"X: a\r\n b\r\n\r\n", id="obs-fold"),
        pytest.param(HEAD + "X: é\r\n\r\n".encode(), id="UTF-8 in a header"),
        pytest.param(b"GET /api/server HTTP/1.0\r\n\r\n", id="HTTP/1.0"),
        pytest.param(
            b"GET http://track.example/api/server HTTP/1.1\r\nHost: x\r\n\r\n", id="absolute"
        ),
        pytest.param(b"GET http://track.example:80/api/server?a=b HTTP/1.1\r\nHost: x\r\n\r\n"),
    ],
)
async def test_old_spellings_are_understood(head: bytes) -> None:
    # RFC 9112 sections 2.2, 3.2.2 and 5.2, and appendix C.
    async with serving(quiet()) as fake:
        http = fake.http()
        await http.send(head)
        assert (await http.answer()).status == 200


@pytest.mark.parametrize(
    "target",
    [
        "//api/session",
        "/api/../__admin",
        "/api/%2e%2e/__admin",
        "/%5f%5fadmin",
        "/./__admin",
        "//__admin",
        "/api/..;/__admin",
        "/__ADMIN",
        "http://track.example/__admin",
        "/api/swagger/../../../../etc/passwd",
        "/api/swagger/%2e%2e/%2e%2e/%2e%2e/pyproject.toml",
        "/api/swagger//etc/passwd",
        "/api/%00devices",
        "/api/devices/%ff",
        "/api/devices/%zz",
        "/api/devices?%zz=%ff&%00",
        "*",
        "?",
        "/api/devices#x",
    ],
)
async def test_no_spelling_of_a_target_gets_round_what_guards_it(target: str) -> None:
    async with serving(quiet()) as fake:
        # A page of the network names its own host.
        answer = await fake.http().ask(target, Host="track.example")
        assert answer.status in (400, 401, 403, 404, 405)
        assert b"sockets" not in answer.body
        assert b"root:" not in answer.body


async def test_a_thousand_pipelined_requests_are_answered_in_order() -> None:
    async with serving(quiet()) as fake, trio.open_nursery() as nursery:
        cookie = await fake.cookie()
        http = fake.http()
        heads = [
            f"GET /api/{name} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n"
            for name in ("server", "devices", "nothing") * 334
        ]
        nursery.start_soon(http.send, "".join(heads).encode())
        with trio.fail_after(20):
            statuses = [(await http.answer()).status for _ in heads]
        assert statuses == [200, 200, 404] * 334


@given(garbage=st.binary(max_size=400), whole=st.booleans())
@settings(max_examples=examples(30))
def test_any_bytes_on_a_connection_end_it_or_are_answered(garbage: bytes, whole: bool) -> None:
    async def main() -> None:
        async with serving(quiet()) as fake, trio.open_nursery() as nursery:
            stream, ended = await ending(fake, nursery)
            await stream.send_all(garbage + b"\r\n\r\n" * whole)
            await stream.send_eof()  # type: ignore[attr-defined]
            with trio.fail_after(5):
                await ended.wait()

    trio.run(main)


# JSON that is none, or too much of it


NO_JSON: dict[str, bytes] = {
    "deep lists": b"[" * 500_000,
    "deep objects": b'{"a":' * 200_000,
    "deep and whole": b'{"name":"x","attributes":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "NaN": b'{"name":NaN}',
    "Infinity": b'{"id":-Infinity}',
    "lone surrogate": b'{"name":"\\ud800"}',
    "lone surrogate in a key": b'{"\\udfff":1,"name":"x"}',
    "surrogate in UTF-8": b'{"name":"\xed\xa0\x80"}',
    "no UTF-8": b'{"name":"\xff"}',
    "UTF-16": '{"name":"x"}'.encode("utf-16"),
    "a BOM": b'\xef\xbb\xbf{"name":"x"}',
    "torn": b'{"name":"x","a":[1,2',
    "a list": b"[]",
    "a number": b"1" * 100_000,
    "NUL": b'{"name":"\0"}',
    "two": b'{"name":"x"}{"name":"y"}',
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/api/devices"),
        ("PUT", "/api/devices/1"),
        ("POST", "/api/beacons"),
        ("POST", "/api/reports/route"),
        ("POST", "/__admin/push"),
        ("POST", "/__admin/playback"),
        ("POST", "/__admin/faults"),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused_and_nothing_is_written(
    method: str, target: str, body: bytes
) -> None:
    async with serving(quiet(DEVICES)) as fake:
        cookie = await fake.cookie()
        before = (await fake.http().ask("/api/devices", Cookie=cookie)).body
        answer = await fake.http().ask(
            target,
            method=method,
            body=body,
            Host="localhost",
            Cookie=cookie,
            Content_Type="application/json",
            Accept="application/json",
        )
        assert 400 <= answer.status < 500, answer
        assert len(answer.body) < 2000
        assert (await fake.http().ask("/api/devices", Cookie=cookie)).body == before


@pytest.mark.parametrize(
    "number", [b"9" * 30, b"-" + b"9" * 30, b"1e400", b"1e999999999", b"0." + b"1" * 50_000]
)
@pytest.mark.parametrize("field", ["id", "groupId", "attributes"])
async def test_huge_numbers_are_refused_or_kept_as_they_came(field: str, number: bytes) -> None:
    async with serving(quiet(DEVICES)) as fake:
        cookie = await fake.cookie()
        value = b'{"a":%s}' % number if field == "attributes" else number
        answer = await fake.http().ask(
            "/api/devices",
            method="POST",
            body=b'{"name":"x","uniqueId":"x","%s":%s}' % (field.encode(), value),
            Cookie=cookie,
            Content_Type="application/json",
        )
        assert answer.status in (200, 400)
        listed = await fake.http().ask("/api/devices", Cookie=cookie)
        assert listed.status == 200
        json.loads(listed.body)
        if answer.status == 200 and field == "attributes":
            assert value in listed.body


# What is remembered of them


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n", id="a path"),
        pytest.param(b"GET /api/server?%s HTTP/1.1\r\nHost: x\r\n\r\n", id="a parameter"),
        pytest.param(b"GET /api/reports/route?%s=1 HTTP/1.1\r\nHost: x\r\n\r\n", id="a report's"),
        pytest.param(b"M%s /api/socket HTTP/1.1\r\nHost: x\r\n\r\n", id="a method"),
        pytest.param(b"M%s /api/devices HTTP/1.1\r\nHost: x\r\n\r\n", id="a method of REST"),
        pytest.param(handshake("a=b").replace(b"/api/socket", b"/api/socket?%s"), id="a query"),
        pytest.param(handshake("a=b", key="%s"), id="a key"),
        pytest.param(handshake("a=b", version="%s"), id="a version"),
        pytest.param(handshake("%s"), id="a cookie"),
        pytest.param(HEAD + b"Authorization: Basic %s\r\n\r\n", id="credentials"),
        pytest.param(
            b"POST /api/session HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
            b"Content-Type: %s\r\n\r\n",
            id="a type",
        ),
    ],
)
async def test_a_violation_is_told_in_few_words_however_long_the_request(
    request_bytes: bytes,
) -> None:
    # Ten thousand of them are kept.
    async with serving(quiet()) as fake:
        http = fake.http()
        await http.send(request_bytes % (b"x" * 50_000))
        await http.answer()
        assert all(len(str(one)) < 1000 for one in fake.server.violations.latest)
