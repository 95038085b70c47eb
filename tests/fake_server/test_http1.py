"""HTTP/1.1 over one stream: requests in, answers out, and what may not go out."""

from __future__ import annotations

from types import SimpleNamespace

import h11
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server import http1
from fake_server.exchange import MAX_BODY_BYTES, Answer, json_answer
from fake_server.http1 import SERVER_NAME, Http1, RequestTooLarge
from tests.profiles import examples

GET = b"GET /api/devices HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def ends() -> tuple[trio.testing.MemorySendStream, Http1, trio.testing.MemoryReceiveStream]:
    """What a client writes to, the server's end, and what the client reads from."""
    to_server, from_client = trio.testing.memory_stream_one_way_pair()
    to_client, from_server = trio.testing.memory_stream_one_way_pair()
    return to_server, Http1(trio.StapledStream(to_client, from_client), 1, peer="::1"), from_server


async def sent(answer: Answer, request: bytes = GET) -> bytes:
    """What goes out as the answer to a request."""
    client, server, heard = ends()
    await client.send_all(request)
    await server.read()
    await server.send(answer)
    return bytes(await heard.receive_some(100_000))


def without_date(data: bytes) -> list[bytes]:
    return [line for line in data.split(b"\r\n") if not line.startswith(b"Date: ")]


async def test_a_request_is_read_whole_with_names_in_lower_case() -> None:
    client, server, _ = ends()
    await client.send_all(
        b"PUT /a?b HTTP/1.1\r\nHOST: x\r\nX-Y: \xe4\r\nContent-Length: 2\r\n\r\nhi"
    )
    request = await server.read()
    assert request is not None
    assert (request.method, request.target, request.body) == ("PUT", "/a?b", b"hi")
    assert request.headers == (("host", "x"), ("x-y", "ä"), ("content-length", "2"))
    assert (request.connection, request.peer) == (1, "::1")


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        ("http://one.example/a", "/a", "one.example"),
        ("HTTPS://one.example:1?b=/c", "/?b=/c", "one.example:1"),
        ("http://one.example", "/", "one.example"),
        ("ftp://one.example/a", "ftp://one.example/a", "two.example"),
        ("/a://b", "/a://b", "two.example"),
        ("*", "*", "two.example"),
    ],
)
async def test_a_target_that_is_a_url_is_a_path_and_its_host_the_only_one(
    target: str, path: str, host: str
) -> None:
    client, server, _ = ends()
    await client.send_all(f"GET {target} HTTP/1.1\r\nHost: two.example\r\n\r\n".encode())
    request = await server.read()
    assert request is not None
    assert request.target == path
    assert [value for name, value in request.headers if name == "host"] == [host]


@pytest.mark.parametrize("too_much", [0, 1])
async def test_a_body_in_chunks_may_be_as_long_as_the_limit(too_much: int) -> None:
    client, server, _ = ends()
    size = MAX_BODY_BYTES + too_much
    await client.send_all(CHUNKED + b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n")
    if too_much:
        with pytest.raises(RequestTooLarge):
            await server.read()
    else:
        request = await server.read()
        assert request is not None
        assert len(request.body) == MAX_BODY_BYTES


async def test_requests_that_came_early_are_answered_in_turn() -> None:
    client, server, heard = ends()
    await client.send_all(GET + GET.replace(b"devices", b"beacons"))
    await client.aclose()
    targets = []
    while (request := await server.read()) is not None:
        targets.append(request.target)
        assert await server.send(json_answer(b"[]"))
    assert targets == ["/api/devices", "/api/beacons"]
    assert bytes(await heard.receive_some(10_000)).count(b"HTTP/1.1 200 OK\r\n") == 2


@pytest.mark.parametrize(
    ("status", "method", "length", "body"),
    [
        (200, b"GET", b"2", b"[]"),
        (200, b"HEAD", b"2", b""),
        (204, b"GET", None, b""),
        (304, b"GET", b"2", b""),
        (599, b"GET", b"2", b"[]"),
    ],
)
async def test_content_length_stands_where_it_may(
    status: int, method: bytes, length: bytes | None, body: bytes
) -> None:
    """RFC 9110 section 8.6: not with 204."""
    data = await sent(Answer(status, b"[]"), GET.replace(b"GET", method))
    head, _, rest = data.partition(b"\r\n\r\n")
    lengths = [line[16:] for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")]
    assert lengths == ([] if length is None else [length])
    assert rest == body


async def test_another_server_may_be_named() -> None:
    assert f"Server: {SERVER_NAME}".encode() in await sent(Answer(200))
    data = await sent(Answer(502, b"", (("Server", "nginx"),)))
    assert [line for line in data.split(b"\r\n") if line.startswith(b"Server")] == [
        b"Server: nginx"
    ]


@pytest.mark.parametrize("value", ["a\r\nX-Mine: b", "a\nb", "a\rb", "a\0b", "a\r\n\r\nbody"])
async def test_a_value_that_would_end_its_line_does_not_go_out(value: str) -> None:
    with pytest.raises(h11.LocalProtocolError):
        await sent(Answer(200, b"", (("X-Name", value),)))


@settings(max_examples=examples(50), deadline=None)
@given(
    st.sampled_from([200, 201, 304, 401, 404, 503, 599]),
    st.binary(max_size=50),
    st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=10), max_size=3),
)
def test_the_short_way_of_an_answer_is_as_h11_has_it(
    status: int, body: bytes, values: list[str]
) -> None:
    answer = Answer(status, body, tuple((f"X-{at}", one) for at, one in enumerate(values)))

    async def both() -> tuple[bytes, bytes]:
        short = await sent(answer)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(http1, "_head", lambda status, headers: None)
            return short, await sent(answer)

    short, long = trio.run(both)
    assert without_date(short) == without_date(long)


def test_the_date_is_that_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    dates = []
    for now_s in (0.0, 0.9, 1.0, 86_400.0):
        clock = SimpleNamespace(time=lambda now_s=now_s: now_s)
        monkeypatch.setattr(http1, "time", clock)
        dates.append(http1.date())
    assert dates == [
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:01 GMT",
        "Fri, 02 Jan 1970 00:00:00 GMT",
    ]
