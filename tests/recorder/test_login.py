"""HTTP against a backend: the login, its cookie, and what the recording says of it."""

from __future__ import annotations

import gc
import gzip
import re
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trustme

from recorder.backend import Backend
from recorder.credentials import Credentials
from recorder.errors import ConnectionLost, LoginRefused, RecorderError, Unreachable
from recorder.login import Exchanges, TrackHttp
from recorder.model import Clock, Entry
from recorder.recording import Writer
from recorder.redaction import Redactor
from recorder.sink import Sink, wall_clock_text
from tests.recorder.scripted import (
    COOKIE,
    CREDENTIALS,
    EMAIL,
    LOGGED_IN,
    NO_TLS,
    PASSWORD,
    SET_COOKIE,
    Peer,
    answer,
    assert_no_secret,
    closing_after,
    header,
    read,
    saying,
    scripted,
)

DEVICES = answer("200 OK", "Content-Type: application/json", body=b'[{"id":1}]')


class Visit:
    """An HTTP session that records to a file."""

    def __init__(
        self,
        folder: Path,
        backend: Backend,
        *,
        redact: str = "none",
        tls: ssl.SSLContext = NO_TLS,
    ) -> None:
        self.path = folder / "visit.track.jsonl"
        writer = Writer.create(self.path, header())
        self.sink = Sink(writer, Redactor(redact), started_ns=writer.clock())
        self._backend, self._tls = backend, tls

    async def run(self, *steps: Callable[[TrackHttp], Awaitable[object]]) -> list[Entry]:
        """Log in, do the steps, close; return the entries."""
        try:
            async with TrackHttp(self._backend, self.sink, Exchanges(), tls=self._tls) as http:
                await http.login(CREDENTIALS)
                for step in steps:
                    await step(http)
        finally:
            self.sink.close()
        return self.entries

    @property
    def entries(self) -> list[Entry]:
        return read(self.path)


def kinds(entries: list[Entry]) -> list[str]:
    return [entry.kind for entry in entries]


def body(entries: list[Entry], exchange: int, sender: str) -> bytes:
    return b"".join(
        entry.data
        for entry in entries
        if entry.kind == "body" and (entry.exchange, entry.sender) == (exchange, sender)
    )


def get_devices(http: TrackHttp) -> Awaitable[object]:
    return http.get("/api/devices")


async def test_the_login_is_the_form_of_the_manual(tmp_path: Path) -> None:
    async with scripted() as server:
        await Visit(tmp_path, server.backend).run()
    ((head, form),) = server.requests
    assert head.startswith(b"POST /api/session HTTP/1.1\r\n")
    assert b"content-type: application/x-www-form-urlencoded\r\n" in head.lower()
    assert form == (
        b"email=kim.tester%2Btrack%40example.org&password=c0rrect+%22horse%22+%26+b%C3%A4ttery%2F9"
    )


async def test_the_cookie_is_kept_and_sent_with_rest(tmp_path: Path) -> None:
    shown: list[str | None] = []

    async def look(http: TrackHttp) -> None:
        shown.append(http.cookie_header())

    async with scripted(rest={"/api/devices": saying(DEVICES)}) as server:
        await Visit(tmp_path, server.backend).run(look, get_devices)
    assert shown == [f"JSESSIONID={COOKIE}"]
    assert f"\r\ncookie: jsessionid={COOKIE}\r\n".encode() in server.requests[1][0].lower()


async def test_a_cookie_that_is_renewed_by_rest_takes_the_place_of_the_first(
    tmp_path: Path,
) -> None:
    shown: list[str | None] = []

    async def look(http: TrackHttp) -> None:
        shown.append(http.cookie_header())

    renewing = answer("200 OK", "Set-Cookie: JSESSIONID=second; Path=/api", body=b"[]")
    async with scripted(rest={"/api/devices": saying(renewing)}) as server:
        await Visit(tmp_path, server.backend).run(get_devices, look)
    assert shown == ["JSESSIONID=second"]


async def test_a_session_that_goes_on_needs_no_login(tmp_path: Path) -> None:
    async with scripted(rest={"/api/devices": saying(DEVICES)}) as server:
        visit = Visit(tmp_path, server.backend)
        numbers = Exchanges(first_connection=7, first_exchange=11)
        async with TrackHttp(server.backend, visit.sink, numbers, tls=NO_TLS) as first:
            await first.login(CREDENTIALS)
        async with TrackHttp(
            server.backend, visit.sink, numbers, tls=NO_TLS, cookies=first.cookies
        ) as second:
            assert second.cookie_header() == first.cookie_header() == f"JSESSIONID={COOKIE}"
            await second.get("/api/devices")
        visit.sink.close()
    assert f"JSESSIONID={COOKIE}".encode() in server.requests[1][0]
    opened = [entry.connection for entry in visit.entries if entry.kind == "open"]
    exchanges = [entry.exchange for entry in visit.entries if entry.kind == "request"]
    assert (opened, exchanges) == ([7, 8], [11, 12])


async def test_the_latest_answer_is_that_of_the_latest_request(tmp_path: Path) -> None:
    seen: list[int | None] = []

    async def look(http: TrackHttp) -> None:
        seen.append(None if http.latest is None else http.latest.status_code)

    async def fail(http: TrackHttp) -> None:
        with pytest.raises(ConnectionLost):
            await http.get("/api/devices")

    rest = {
        "/api/beacons": saying(answer("503 Service Unavailable")),
        "/api/devices": closing_after(b""),
    }
    async with scripted(rest=rest) as server:
        visit = Visit(tmp_path, server.backend)
        await visit.run(look, lambda http: http.get("/api/beacons"), look, fail, look)
    assert seen == [200, 503, None]


async def test_before_the_login_there_is_no_cookie(tmp_path: Path) -> None:
    visit = Visit(tmp_path, Backend.parse("http://127.0.0.1:9"))
    async with TrackHttp(
        Backend.parse("http://127.0.0.1:9"), visit.sink, Exchanges(), tls=NO_TLS
    ) as http:
        assert http.cookie_header() is None
    visit.sink.close()


async def test_an_exchange_is_recorded_as_it_stood_on_the_wire(tmp_path: Path) -> None:
    odd = answer(
        "200 Very Fine", "X-oDD: 1", "x-Twice: a", SET_COOKIE, "X-TWICE: b", body=b'{"name":"k"}'
    )
    async with scripted(login=saying(odd)) as server:
        entries = await Visit(tmp_path, server.backend).run()
    assert kinds(entries) == ["open", "request", "body", "response", "body", "closed", "end"]
    opened, request, form, response, user, closed, _ = entries
    head, sent_form = server.requests[0]
    lines = head.decode().split("\r\n")
    assert f"{request.method} {request.target} HTTP/{request.http_version}" == lines[0]
    assert [f"{name}: {value}" for name, value in request.headers] == lines[1:-2]
    assert form.data == sent_form
    assert form.last
    assert (form.sender, user.sender) == ("client", "server")
    assert (response.status, response.reason, response.http_version) == (200, "Very Fine", "1.1")
    assert [f"{name}: {value}" for name, value in response.headers] == (
        odd.decode().partition("\r\n\r\n")[0].split("\r\n")[1:]
    )
    assert user.data == b'{"name":"k"}'
    assert {entry.connection for entry in entries[:-1]} == {1}
    assert {entry.exchange for entry in entries[1:5]} == {1}
    assert (opened.leg, opened.url, opened.tls) == ("upstream", server.url, None)
    assert closed.by == "recorder"
    offsets = [entry.offset_ns for entry in entries]
    assert offsets == sorted(offsets)
    # The answer to a question takes time.
    assert response.offset_ns > request.offset_ns >= opened.offset_ns


async def test_exchanges_on_a_kept_connection_are_numbered_on(tmp_path: Path) -> None:
    rest = {"/api/devices": saying(DEVICES), "/api/beacons": saying(DEVICES)}
    async with scripted(rest=rest) as server:
        entries = await Visit(tmp_path, server.backend).run(
            get_devices, lambda http: http.get("/api/beacons")
        )
    assert kinds(entries).count("open") == kinds(entries).count("closed") == 1
    requests = [entry for entry in entries if entry.kind == "request"]
    assert [(entry.connection, entry.exchange) for entry in requests] == [(1, 1), (1, 2), (1, 3)]


async def test_each_connection_has_its_open_and_its_closed(tmp_path: Path) -> None:
    """A server that hangs up after each answer."""
    closing = answer("200 OK", "Connection: close", body=b"[]")
    logged_in = LOGGED_IN.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)

    async def get(http: TrackHttp) -> None:
        # So that a new connection may stand in memory where an old one stood.
        gc.collect()
        await http.get("/api/devices")

    # Collecting is slow where much is alive; what is frozen is left out.
    gc.freeze()
    async with scripted(
        login=closing_after(logged_in), rest={"/api/devices": closing_after(closing)}
    ) as server:
        entries = await Visit(tmp_path, server.backend).run(*[get] * 40)
    gc.unfreeze()
    assert len(server.requests) == 41
    for kind in ("open", "request", "closed"):
        found = [entry.connection for entry in entries if entry.kind == kind]
        assert found == list(range(1, 42)), kind


async def test_a_chunked_body_is_recorded_without_its_chunks(tmp_path: Path) -> None:
    chunked = (
        b"HTTP/1.1 200 OK\r\n" + SET_COOKIE.encode() + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'3\r\n{"n\r\n9;x=y\r\name":"k"}\r\n0\r\n\r\n'
    )
    async with scripted(login=saying(chunked)) as server:
        entries = await Visit(tmp_path, server.backend).run()
    assert body(entries, 1, "server") == b'{"name":"k"}'
    response = next(entry for entry in entries if entry.kind == "response")
    assert ("Transfer-Encoding", "chunked") in response.headers


async def test_a_body_that_ends_with_the_connection_is_recorded(tmp_path: Path) -> None:
    unsized = b"HTTP/1.0 200 OK\r\n" + SET_COOKIE.encode() + b'\r\n\r\n{"name":"k"}'
    async with scripted(login=closing_after(unsized)) as server:
        entries = await Visit(tmp_path, server.backend).run()
    assert body(entries, 1, "server") == b'{"name":"k"}'
    assert next(entry for entry in entries if entry.kind == "response").http_version == "1.0"


async def test_a_large_body_is_recorded_in_pieces_of_64_kib(tmp_path: Path) -> None:
    large = bytes(range(256)) * 700
    async with scripted(rest={"/api/devices": saying(answer("200 OK", body=large))}) as server:
        entries = await Visit(tmp_path, server.backend).run(get_devices)
    pieces = [entry for entry in entries if entry.kind == "body" and entry.exchange == 2]
    assert [len(piece.data) for piece in pieces] == [65536, 65536, 179200 - 131072]
    assert [piece.last for piece in pieces] == [False, False, True]
    assert body(entries, 2, "server") == large


async def test_content_encoding_is_kept_in_the_recording_and_undone_for_the_caller(
    tmp_path: Path,
) -> None:
    packed = gzip.compress(b'[{"id":7}]')
    rest = {"/api/devices": saying(answer("200 OK", "Content-Encoding: gzip", body=packed))}
    bodies: list[bytes] = []

    async def get(http: TrackHttp) -> None:
        bodies.append((await http.get("/api/devices"))[1])

    async with scripted(rest=rest) as server:
        entries = await Visit(tmp_path, server.backend).run(get)
    assert bodies == [b'[{"id":7}]']
    assert body(entries, 2, "server") == packed
    assert b"accept-encoding: identity\r\n" in server.requests[0][0].lower()


# Refused


async def test_a_wrong_password_is_refused_without_telling_it(tmp_path: Path) -> None:
    shown = f"HTTP 401 Unauthorized: {EMAIL} with {PASSWORD}; session {COOKIE}"
    refusal = answer("401 Unauthorized", SET_COOKIE, body=shown.encode())
    async with scripted(login=saying(refusal)) as server:
        visit = Visit(tmp_path, server.backend, redact="secrets")
        with pytest.raises(LoginRefused, match="401 Unauthorized") as caught:
            await visit.run()
    assert_no_secret(str(caught.value))
    assert server.url in str(caught.value)
    assert "check the email and the password" in str(caught.value)
    assert next(entry for entry in visit.entries if entry.kind == "response").status == 401


async def test_a_refusal_that_names_the_account_in_its_status_line_does_not_show_it(
    tmp_path: Path,
) -> None:
    refusal = answer(f"401 No account {EMAIL}", body=b"")
    async with scripted(login=saying(refusal)) as server:
        with pytest.raises(LoginRefused, match="401") as caught:
            await Visit(tmp_path, server.backend, redact="secrets").run()
    assert_no_secret(str(caught.value))


@pytest.mark.parametrize("status", ["400 Bad Request", "302 Found", "415 No", "500 Oh", "204 No"])
async def test_any_other_status_than_200_is_refused(tmp_path: Path, status: str) -> None:
    async with scripted(login=saying(answer(status, SET_COOKIE, "Location: /x"))) as server:
        with pytest.raises(LoginRefused, match=status[:3]):
            await Visit(tmp_path, server.backend).run()
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "cookie",
    [(), ("Set-Cookie: JSESSIONID=1; Path=/other",), ("Set-Cookie: JSESSIONID=1; Secure",)],
    ids=["none", "another path", "only over TLS"],
)
async def test_a_login_without_a_cookie_for_the_socket_is_refused(
    tmp_path: Path, cookie: tuple[str, ...]
) -> None:
    async with scripted(login=saying(answer("200 OK", *cookie, body=b"<html>"))) as server:
        with pytest.raises(LoginRefused, match="no cookie"):
            await Visit(tmp_path, server.backend).run()


async def test_a_refusal_whose_encoding_is_broken_is_still_a_refusal(tmp_path: Path) -> None:
    refusal = answer("401 Unauthorized", "Content-Encoding: gzip", body=b"this is no gzip")
    async with scripted(login=saying(refusal)) as server:
        visit = Visit(tmp_path, server.backend)
        with pytest.raises(LoginRefused, match="401"):
            await visit.run()
    assert body(visit.entries, 1, "server") == b"this is no gzip"


# Broken


async def test_nothing_listens(tmp_path: Path) -> None:
    async with scripted() as server:
        pass
    with pytest.raises(Unreachable, match=re.escape(server.url)):
        await Visit(tmp_path, server.backend).run()


async def test_a_host_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="does-not-exist"):
        await Visit(tmp_path, Backend.parse("http://does-not-exist.invalid")).run()


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.2\r\n", b""], ids=["ssh", "hang-up"])
async def test_what_does_not_speak_http_is_unreachable(tmp_path: Path, said: bytes) -> None:
    async with scripted(login=closing_after(said)) as server:
        with pytest.raises(Unreachable):
            await Visit(tmp_path, server.backend).run()


async def breaking_off(peer: Peer, head: bytes) -> None:
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf a bo")
    await peer.stream.aclose()


async def breaking_off_by_reset(peer: Peer, head: bytes) -> None:
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf a bo")
    await peer.reset()


@pytest.mark.parametrize("script", [breaking_off, breaking_off_by_reset])
async def test_an_answer_that_breaks_off_in_its_body_is_a_lost_connection(
    tmp_path: Path, script: Callable[[Peer, bytes], Awaitable[None]]
) -> None:
    async with scripted(login=script) as server:
        with pytest.raises(ConnectionLost, match="/api/session") as caught:
            await Visit(tmp_path, server.backend).run()
    # It says why: a bare colon does not.
    assert not str(caught.value).rstrip().endswith(":")


async def test_of_an_answer_that_breaks_off_is_recorded_what_came(tmp_path: Path) -> None:
    async with scripted(login=breaking_off) as server:
        visit = Visit(tmp_path, server.backend)
        with pytest.raises(RecorderError):
            await visit.run()
    assert kinds(visit.entries)[:4] == ["open", "request", "body", "response"]
    assert body(visit.entries, 1, "server") == b"half a bo"


async def test_an_entry_that_is_written_while_the_server_thinks_does_no_harm(
    tmp_path: Path,
) -> None:
    visit: Visit

    async def slowly(peer: Peer, head: bytes) -> None:
        # As the sink does every minute, and when the clock was stepped.
        visit.sink.write([Clock(offset_ns=visit.sink.now_ns(), wall=wall_clock_text(0))])
        await peer.send(LOGGED_IN)

    async with scripted(login=slowly) as server:
        visit = Visit(tmp_path, server.backend)
        entries = await visit.run()
    offsets = [entry.offset_ns for entry in entries]
    assert offsets == sorted(offsets)


async def test_no_answer_for_half_a_minute_is_given_up(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async def silent(peer: Peer, head: bytes) -> None:
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(31)
        await peer.read_to_end()

    async with scripted(login=silent, within_s=3600) as server:
        with pytest.raises((Unreachable, ConnectionLost)) as caught:
            await Visit(tmp_path, server.backend).run()
    assert "imeout" in str(caught.value) or "timed out" in str(caught.value)


# Secrets


async def test_no_entry_holds_a_secret(tmp_path: Path) -> None:
    echo = f'{{"email":"{EMAIL}","note":"{COOKIE}"}}'.encode()
    chatty = answer("200 OK", SET_COOKIE, f"X-Session: {COOKIE}", f"X-User: {EMAIL}", body=echo)
    rest = {"/api/devices": saying(answer("200 OK", body=echo))}
    async with scripted(login=saying(chatty), rest=rest) as server:
        visit = Visit(tmp_path, server.backend, redact="secrets")
        entries = await visit.run(get_devices)
    assert_no_secret(visit.path.read_text())
    redacted = [entry.kind for entry in entries if getattr(entry, "redacted", False)]
    assert redacted == ["body", "response", "body", "request", "body"]
    assert entries[-1].redaction["password"] == 1


async def test_the_password_is_redacted_from_what_comes_after(tmp_path: Path) -> None:
    rest = {"/api/devices": saying(answer("200 OK", body=PASSWORD.encode()))}
    async with scripted(rest=rest) as server:
        visit = Visit(tmp_path, server.backend, redact="secrets")
        await visit.run(get_devices)
    assert_no_secret(visit.path.read_text())


def test_credentials_show_nothing() -> None:
    assert_no_secret(f"{CREDENTIALS!r} {CREDENTIALS} {Credentials(EMAIL, PASSWORD)!r}")


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_over_tls_the_version_is_recorded(
    tmp_path: Path, authority: trustme.CA, server_tls: ssl.SSLContext
) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with scripted(tls=server_tls) as server:
        entries = await Visit(tmp_path, server.backend, tls=trusting).run()
    assert entries[0].tls == "TLSv1.3"
    assert entries[0].url.startswith("https://")


async def test_an_untrusted_certificate_is_named_as_the_reason(
    tmp_path: Path, server_tls: ssl.SSLContext
) -> None:
    async def fail_to_shake_hands(number: int, stream: trio.SocketStream) -> None:
        tls = trio.SSLStream(stream, server_tls, server_side=True)
        with pytest.raises(trio.BrokenResourceError):
            await tls.do_handshake()

    async with scripted(tls=server_tls, wrap=fail_to_shake_hands) as server:
        with pytest.raises(Unreachable, match=r"(?i)certificate") as caught:
            await Visit(tmp_path, server.backend).run()
    assert server.url in str(caught.value)


async def test_a_server_without_tls_at_an_https_url_is_unreachable(tmp_path: Path) -> None:
    async def plain(number: int, stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await stream.aclose()

    async with scripted(tls=NO_TLS, wrap=plain) as server:
        with pytest.raises(Unreachable):
            await Visit(tmp_path, server.backend).run()
