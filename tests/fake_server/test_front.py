"""One TCP connection: HTTP heads, the opening handshake, and what goes on behind a refusal."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.track.rules import Rules
from recorder.wire.frames import Frame, Opcode
from recorder.wire.handshake import accept_for
from tests.fake_server.support import (
    DEVICES,
    KEY,
    MASK,
    TIMEOUT,
    Answer,
    Client,
    Fake,
    handshake,
    quiet,
    serving,
)
from tests.profiles import examples

LONG_KEY = "Glqex2Dld1EaSqg/QK5BJ+9zdt9WbI5I6XndnZL24+4="
"""The 32 bytes of the manual's own first script."""


async def shake(fake: Fake, cookie: str | None, **of_handshake: Any) -> Answer:
    http = fake.http()
    await http.send(handshake(cookie, **of_handshake))
    return await http.head()


async def test_a_handshake_with_a_session_is_answered_with_101() -> None:
    async with serving(quiet()) as fake:
        answer = await shake(fake, await fake.cookie())
        assert fake.rules_broken == []
    assert (answer.status, answer.reason) == (101, "Switching Protocols")
    assert answer.header("Sec-WebSocket-Accept") == accept_for(KEY)
    assert (answer.header("Upgrade") or "").lower() == "websocket"
    assert (answer.header("Connection") or "").lower() == "upgrade"
    assert answer.header("Sec-WebSocket-Extensions") is None


@pytest.mark.parametrize(
    ("cookie", "rule"),
    [
        (None, "session.no-cookie"),
        ("other=1", "session.no-cookie"),
        ("JSESSIONID=node0invented.node0", "session.unknown-cookie"),
    ],
)
async def test_a_handshake_without_a_session_is_answered_with_a_page_that_says_503(
    cookie: str | None, rule: str
) -> None:
    async with serving(quiet()) as fake:
        http = fake.http()
        await http.send(handshake(cookie))
        answer = await http.answer()
        assert answer.status == 503
        assert (answer.header("Content-Type") or "").startswith("text/html")
        assert b"503 - Service Unavailable" in answer.body
        assert b"<html" in answer.body
        assert fake.rules_broken == [rule]
        assert "invented" not in str(fake.server.violations.latest[0])
        assert fake.server.hub.accepted == 0


async def test_the_cookie_is_found_among_others_and_in_a_second_header() -> None:
    async with serving(quiet()) as fake:
        cookie = await fake.cookie()
        assert (await shake(fake, f"a=b; {cookie}; c=d")).status == 101
        assert (await shake(fake, f"a=b\r\nCookie: {cookie}")).status == 101


@pytest.mark.parametrize(
    ("of_handshake", "rule"),
    [
        ({"key": None}, "handshake.missing-key"),
        ({"key": ""}, "handshake.missing-key"),
        ({"version": None}, "handshake.bad-version"),
        ({"version": "8"}, "handshake.bad-version"),
        ({"version": "13, 8"}, "handshake.bad-version"),
    ],
)
@pytest.mark.parametrize("logged_in", [True, False])
async def test_a_handshake_without_key_or_of_another_version_is_answered_400(
    of_handshake: dict[str, Any], rule: str, logged_in: bool
) -> None:
    async with serving(quiet()) as fake:
        answer = await shake(fake, await fake.cookie() if logged_in else None, **of_handshake)
        assert answer.status == 400
        wanted = "13" if rule == "handshake.bad-version" else None
        assert answer.header("Sec-WebSocket-Version") == wanted
        assert fake.rules_broken == [rule]


@pytest.mark.parametrize("key", [LONG_KEY, "x", "not base64!"])
async def test_any_other_key_is_accepted_and_reported(key: str) -> None:
    async with serving(quiet()) as fake:
        answer = await shake(fake, await fake.cookie(), key=key)
        assert answer.status == 101
        assert answer.header("Sec-WebSocket-Accept") == accept_for(key)
        assert fake.rules_broken == ["handshake.bad-key"]


@pytest.mark.parametrize("key", [LONG_KEY, "x", "not base64!"])
async def test_strict_rules_answer_it_with_400(key: str) -> None:
    async with serving(quiet(), rules=Rules(socket_key="strict")) as fake:
        assert (await shake(fake, await fake.cookie(), key=key)).status == 400
        assert fake.rules_broken == ["handshake.bad-key"]
        assert (await shake(fake, await fake.cookie())).status == 101


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_what_is_no_upgrade_is_answered_405_at_the_sockets_address(method: str) -> None:
    async with serving(quiet()) as fake:
        cookie = await fake.cookie()
        answer = await fake.http().ask("/api/socket", method=method, Cookie=cookie)
        assert answer.status == 405
        assert fake.server.hub.accepted == 0


async def test_a_query_behind_the_sockets_address_changes_nothing() -> None:
    async with serving(quiet()) as fake:
        request = handshake(await fake.cookie()).replace(b"/api/socket", b"/api/socket?x=1")
        http = fake.http()
        await http.send(request)
        assert (await http.head()).status == 101


async def test_header_names_and_values_may_have_any_case() -> None:
    async with serving(quiet()) as fake:
        request = handshake(await fake.cookie())
        for name in (b"Upgrade", b"Connection", b"Sec-WebSocket-Key", b"Cookie"):
            request = request.replace(name + b":", name.upper() + b":")
        http = fake.http()
        await http.send(request.replace(b"websocket", b"WebSocket"))
        assert (await http.head()).status == 101


async def test_after_refusals_the_same_connection_goes_on() -> None:
    async with serving(quiet(DEVICES)) as fake:
        http = fake.http()
        for refused, status in [
            (handshake(None), 503),
            (handshake(None, key=None), 400),
            (handshake(None, version="7"), 400),
            (b"GET /api/socket HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        ]:
            await http.send(refused)
            assert (await http.answer()).status == status
        answer = await http.log_in()
        cookie = (answer.header("Set-Cookie") or "").partition(";")[0]
        assert (await http.ask("/api/devices", Cookie=cookie)).status == 200
        await http.send(handshake(cookie))
        assert (await http.head()).status == 101
        await Client(http.stream, http.rest()).expect(TIMEOUT, DEVICES)


@settings(max_examples=examples(60))
@given(st.lists(st.integers(0, 400), max_size=6))
def test_the_handshake_and_what_follows_it_may_come_in_any_pieces(cuts: list[int]) -> None:
    async def main() -> None:
        async with serving(quiet()) as fake:
            cookie = await fake.cookie()
            pings = [Frame.make(Opcode.PING, b"%d" % n, mask=MASK) for n in range(4)]
            data = handshake(cookie) + b"".join(frame.serialize() for frame in pings)
            places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
            http = fake.http()
            for start, stop in itertools.pairwise(places):
                if start < stop:
                    await http.send(data[start:stop])
                    await trio.testing.wait_all_tasks_blocked()
            assert (await http.head()).status == 101
            client = Client(http.stream, http.rest())
            frames = [await client.frame() for _ in range(5)]
            pongs = [frame.payload for frame in frames if frame and frame.opcode == Opcode.PONG]
            assert pongs == [b"0", b"1", b"2", b"3"]

    trio.run(main)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # RFC 9112 3.2: no Host
        (b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nLong: " + b"x" * 70_000, 431),
    ],
)
async def test_what_is_no_request_is_answered_with_an_error_and_an_end(
    request_bytes: bytes, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    async with serving(quiet()) as fake:
        http = fake.http()
        await http.send(request_bytes)
        answer = await http.answer()
        assert answer.status == status
        assert await http.ended()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 100\r\n\r\nemail=",
        b"Transfer-Encoding: chunked\r\n\r\nthis is no chunk\r\n",
    ],
)
async def test_a_request_body_that_breaks_http_is_the_clients_fault_and_no_traceback(
    body: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    async with serving(quiet()) as fake:
        http = fake.http()
        await http.send(b"POST /api/session HTTP/1.1\r\nHost: x\r\n" + body)
        await http.stream.send_eof()  # type: ignore[attr-defined]
        data = bytes(await http.stream.receive_some())
        assert not data or data.startswith(b"HTTP/1.1 400 ")
    assert "Traceback" not in capfd.readouterr().err


async def test_a_client_that_hangs_up_at_any_moment_leaves_no_trace(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with serving(quiet(DEVICES)) as fake:
        request = handshake(await fake.cookie())
        for size in (0, 1, 30, len(request) - 1, len(request)):
            stream = fake.connect()
            await stream.send_all(request[:size])
            await trio.aclose_forcefully(stream)
        await trio.testing.wait_all_tasks_blocked()
        assert fake.server.hub.sockets == []
    assert capfd.readouterr().err == ""


async def test_a_connection_that_is_silent_is_ended_after_a_minute(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        stream = fake.connect()
        await stream.send_all(b"GET /api")
        assert await stream.receive_some() == b""
        assert trio.current_time() == 60


async def test_a_head_that_trickles_in_is_not_waited_for_longer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        stream = fake.connect()

        async def trickle() -> None:
            for letter in b"GET /" + b"a" * 1000:
                await stream.send_all(bytes([letter]))
                await trio.sleep(1)

        with pytest.raises(trio.BrokenResourceError):
            await trickle()
        assert trio.current_time() <= 62


async def test_an_expectation_of_100_is_met() -> None:
    async with serving(quiet()) as fake:
        http = fake.http()
        body = b"email=demo%40example.com&password=demo"
        await http.send(
            b"POST /api/session HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        assert (await http.head()).status == 100
        await http.send(body)
        assert (await http.answer()).status == 200


async def test_requests_that_are_sent_one_behind_the_other_are_answered_in_order() -> None:
    async with serving(quiet(DEVICES)) as fake:
        cookie = (await fake.cookie()).encode()
        http = fake.http()
        paths = [b"/api/devices", b"/api/beacons", b"/api/socket", b"/api/positions"]
        await http.send(
            b"".join(
                b"GET %s HTTP/1.1\r\nHost: x\r\nCookie: %s\r\n\r\n" % (path, cookie)
                for path in paths
            )
        )
        assert [(await http.answer()).status for _ in paths] == [200, 200, 405, 200]


async def test_http_1_0_gets_its_answer_and_an_end() -> None:
    async with serving(quiet()) as fake:
        http = fake.http()
        await http.send(b"GET /api/devices HTTP/1.0\r\n\r\n")
        assert (await http.answer()).status == 401
        assert await http.ended()


async def test_head_is_answered_like_get_without_a_body() -> None:
    async with serving(quiet(DEVICES)) as fake:
        cookie, http = await fake.cookie(), fake.http()
        got = await http.ask("/api/devices", Cookie=cookie)
        head = await http.ask("/api/devices", method="HEAD", Cookie=cookie)
        assert head.status == got.status == 200
        assert head.header("Content-Length") == str(len(got.body))
        assert (await http.ask("/api/devices", Cookie=cookie)).body == got.body


async def test_an_upgrade_that_connection_does_not_ask_for_is_none(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        cookie = await fake.cookie()
        for line, status in ((b"", 405), (b"Connection: keep-alive, Upgrade\r\n", 101)):
            http = fake.http()
            await http.send(handshake(cookie).replace(b"Connection: Upgrade\r\n", line))
            assert (await http.head()).status == status
        assert fake.rules_broken == ["handshake.no-upgrade"]
