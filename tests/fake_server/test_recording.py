"""What the fake records of its clients: whole, without secrets, and how each connection ended."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from fake_server.faults import parse_injection
from fake_server.recording import ServerRecording
from fake_server.server import FakeServer
from recorder.errors import DiskFailed, OutputExists
from recorder.model import AnyEntry, Body, Closed, FrameEntry, Header, Open, Request, Response
from recorder.recording import OsFile, Reader, Writer
from recorder.redaction import Redactor
from recorder.sink import Sink
from recorder.wire.frames import close_frame
from recorder.wire.handshake import header_value
from tests.fake_server.support import KEY, MASK, Client, Fake, Http, handshake, quiet
from tests.strategies import make_header

START_NS = 1_700_000_000_000_000_000
DEVICES = b'{"devices":[{"id":1}]}'


def now_ns() -> int:
    return round(trio.current_time() * 1e9)


def opened(path: Path, **options: Any) -> ServerRecording:
    return ServerRecording.open(
        path, clock=now_ns, wall_clock=lambda: START_NS + now_ns(), **options
    )


def read(path: Path) -> tuple[Header, list[AnyEntry]]:
    with Reader(path) as reader:
        return reader.header, list(reader)


def on_disk(path: Path) -> bytes:
    return path.read_bytes()


def the_end(path: Path) -> tuple[str, str, str]:
    """By whom, how, and in which words the one connection ended."""
    (closed,) = [entry for entry in read(path)[1] if isinstance(entry, Closed)]
    return closed.by, closed.how, closed.detail


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fake.track.jsonl"


# A client of the fake


async def a_session(recording: ServerRecording) -> None:
    """Two logins, a REST call, a socket; then the server stops."""
    async with trio.open_nursery() as nursery:
        fake = Fake(FakeServer(quiet(DEVICES)), nursery)
        await nursery.start(fake.server.run)

        def connect() -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(fake.server.handle, recording.tap(theirs, "10.0.0.7:5000"))
            return ours

        http = Http(connect())
        other = ((await http.log_in()).header("Set-Cookie") or "").partition(";")[0]
        cookie = ((await http.log_in()).header("Set-Cookie") or "").partition(";")[0]
        assert (await http.ask("/api/devices", Cookie=cookie)).status == 200
        await trio.sleep(7)
        socket = Http(connect())
        await socket.send(handshake(cookie))
        assert (await socket.head()).status == 101
        client = Client(socket.stream, socket.rest())
        await client.text(f"my session is {other}")
        await client.listen(trio.current_time() + 1)
        await client.close()
        await client.listen()
        nursery.cancel_scope.cancel()


async def test_a_session_is_recorded_without_its_secrets(
    path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    recording = opened(path, upstream_url="http://127.0.0.1:8080")
    await a_session(recording)
    recording.close()

    header, entries = read(path)
    assert (header.mode, header.fidelity, header.timing) == ("fake", "wire", "measured")
    assert (header.upstream, header.redaction.profile) == ("http://127.0.0.1:8080", "secrets")
    for secret in (b"demo@example.com", b"demo%40example.com", b"password=demo", b"node0"):
        assert secret not in on_disk(path)

    opens = [one for one in entries if isinstance(one, Open)]
    assert [(one.connection, one.leg, one.peer) for one in opens] == [
        (1, "client", "10.0.0.7:5000"),
        (2, "client", "10.0.0.7:5000"),
    ]
    assert [one.offset_ns for one in opens] == [0, 7_000_000_000]
    requests = [one for one in entries if isinstance(one, Request)]
    assert [(one.connection, one.exchange, one.method, one.target) for one in requests] == [
        (1, 1, "POST", "/api/session"),
        (1, 2, "POST", "/api/session"),
        (1, 3, "GET", "/api/devices"),
        (2, 4, "GET", "/api/socket"),
    ]
    assert header_value(requests[3].headers, "Sec-WebSocket-Key") == KEY
    bodies = {(one.exchange, one.sender): one.text for one in entries if isinstance(one, Body)}
    assert bodies[1, "client"] == "email=[redacted:email-1]&password=[redacted]"
    assert bodies[3, "server"] == '[{"id":1}]'
    frames = [one for one in entries if isinstance(one, FrameEntry)]
    assert [(one.sender, one.opcode) for one in frames[-2:]] == [
        ("client", "close"),
        ("server", "close"),
    ]


async def test_the_cookie_of_a_login_and_its_uses_have_one_mark(
    path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    recording = opened(path)
    await a_session(recording)
    recording.close()
    _, entries = read(path)
    set_by = [
        header_value(one.headers, "Set-Cookie")
        for one in entries
        if isinstance(one, Response) and one.exchange in (1, 2)
    ]
    assert set_by == [
        "JSESSIONID=[redacted:cookie-1]; Path=/api",
        "JSESSIONID=[redacted:cookie-2]; Path=/api",
    ]
    used = [header_value(one.headers, "Cookie") for one in entries if isinstance(one, Request)]
    assert used == [None, None, *["JSESSIONID=[redacted:cookie-2]"] * 2]
    said = [one.text for one in entries if isinstance(one, FrameEntry) and one.sender == "client"]
    assert said[0] == "my session is JSESSIONID=[redacted:cookie-1]"


async def test_without_redaction_everything_stands_as_it_was(
    path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    recording = opened(path, redact="none")
    await a_session(recording)
    recording.close()
    assert b"email=demo%40example.com&password=demo" in on_disk(path)
    assert read(path)[0].redaction.profile == "none"


async def test_a_known_password_is_masked_wherever_it_stands(path: Path) -> None:
    recording = opened(path, passwords=["correct horse"])
    ours, theirs = trio.testing.memory_stream_pair()
    tapped = recording.tap(theirs)
    await ours.send_all(b"GET /?note=correct+horse HTTP/1.1\r\nX: correct horse\r\n\r\n")
    await tapped.receive_some()
    await tapped.aclose()
    recording.close()
    assert b"horse" not in on_disk(path)


# The stream


async def test_a_tapped_stream_is_a_good_stream(path: Path) -> None:
    recording = opened(path, redact="none")

    def taps(make: Callable[[], Any]) -> Callable[[], Any]:
        async def pair() -> Any:
            ours, theirs = make()
            return recording.tap(ours), theirs

        return pair

    lockstep = taps(trio.testing.lockstep_stream_pair)
    await trio.testing.check_two_way_stream(lockstep, lockstep)
    await trio.testing.check_half_closeable_stream(taps(trio.testing.memory_stream_pair), None)
    recording.close()


class OneWay(trio.abc.Stream):
    """A stream that cannot be half-closed, as TLS; it breaks at its n-th operation."""

    def __init__(self, stream: trio.abc.Stream, breaks_at: int = 1000) -> None:
        self._stream = stream
        self._left = breaks_at

    def _step(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise trio.BrokenResourceError

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._step()
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        self._step()
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        self._step()
        return bytes(await self._stream.receive_some(max_bytes))

    async def aclose(self) -> None:
        await self._stream.aclose()


async def test_a_stream_that_cannot_be_half_closed_stays_one(path: Path) -> None:
    recording = opened(path)
    ours, theirs = trio.testing.memory_stream_pair()
    plain = OneWay(theirs)
    tapped = recording.tap(plain, tls="TLSv1.3")
    assert not isinstance(tapped, trio.abc.HalfCloseableStream)
    assert getattr(tapped, "wrapped", None) is plain
    await ours.aclose()
    assert await tapped.receive_some() == b""
    await tapped.aclose()
    recording.close()
    assert [one.tls for one in read(path)[1] if isinstance(one, Open)] == ["TLSv1.3"]


@pytest.mark.parametrize("breaks_at", range(5))
async def test_a_client_may_reset_at_any_moment(
    breaks_at: int, path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    recording = opened(path)
    async with trio.open_nursery() as nursery:
        fake = Fake(FakeServer(quiet(DEVICES)), nursery)
        await nursery.start(fake.server.run)
        cookie = await fake.cookie()
        ours, theirs = trio.testing.memory_stream_pair()
        tapped = recording.tap(OneWay(theirs, breaks_at))
        await ours.send_all(handshake(cookie))
        await ours.send_all(b"\x81")
        with trio.move_on_after(40):
            await fake.server.handle(tapped)
        nursery.cancel_scope.cancel()
    recording.close()
    assert the_end(path)[:2] == ("client", "reset")


# How it ended


async def client_hangs_up(ours: trio.StapledStream[Any, Any], tapped: Any) -> None:
    await ours.send_eof()
    assert await tapped.receive_some() == b""
    await tapped.aclose()


async def server_hangs_up(ours: trio.StapledStream[Any, Any], tapped: Any) -> None:
    await tapped.aclose()
    await tapped.aclose()


async def server_half_closes_first(ours: trio.StapledStream[Any, Any], tapped: Any) -> None:
    await tapped.send_eof()
    await client_hangs_up(ours, tapped)


async def client_closes_its_websocket(ours: trio.StapledStream[Any, Any], tapped: Any) -> None:
    await ours.send_all(handshake(None))
    await tapped.receive_some()
    await tapped.send_all(b"HTTP/1.1 101 Switching\r\n\r\n")
    await ours.send_all(close_frame(1001, "bye", mask=MASK).serialize())
    await tapped.receive_some()
    await tapped.send_all(close_frame(1000).serialize())
    await server_hangs_up(ours, tapped)


async def is_cancelled(ours: trio.StapledStream[Any, Any], tapped: Any) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await tapped.aclose()


async def nobody(ours: trio.StapledStream[Any, Any], tapped: Any) -> None:
    await ours.send_all(b"GET")
    await tapped.receive_some()


ENDS: list[tuple[Callable[..., Any], tuple[str, str, str]]] = [
    (client_hangs_up, ("client", "eof", "")),
    (server_hangs_up, ("server", "eof", "")),
    (server_half_closes_first, ("server", "eof", "")),
    (client_closes_its_websocket, ("server", "eof", "close 1001 bye")),
    (is_cancelled, ("server", "eof", "")),
    (nobody, ("server", "stopped", "")),
]


@pytest.mark.parametrize(("end", "expected"), ENDS, ids=lambda one: getattr(one, "__name__", ""))
async def test_the_recording_says_who_ended_a_connection_and_how(
    end: Callable[..., Any], expected: tuple[str, str, str], path: Path
) -> None:
    recording = opened(path)
    ours, theirs = trio.testing.memory_stream_pair()
    await end(ours, recording.tap(theirs))
    recording.close()
    recording.close()
    assert the_end(path) == expected


async def test_what_a_stopping_server_ends_was_stopped(path: Path) -> None:
    recording = opened(path)
    _, theirs = trio.testing.memory_stream_pair()
    tapped = recording.tap(theirs)
    recording.stopping()
    await tapped.aclose()
    recording.close()
    assert the_end(path) == ("server", "stopped", "")


async def test_after_the_end_bytes_pass_and_are_not_recorded(path: Path) -> None:
    recording = opened(path)
    ours, theirs = trio.testing.memory_stream_pair()
    tapped = recording.tap(theirs)
    recording.close()
    before = on_disk(path)
    await tapped.send_all(b"still here")
    assert await ours.receive_some() == b"still here"
    await tapped.aclose()
    assert on_disk(path) == before


# The disk


class Full(OsFile):
    """A disk that takes the header and nothing else."""

    writes = 0

    def write(self, data: memoryview, position: int) -> int:
        self.writes += 1
        if self.writes > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data, position)


def on_a_full_disk(path: Path) -> ServerRecording:
    writer = Writer.create(path, make_header(mode="fake"), clock=now_ns, file_of=Full)
    return ServerRecording(
        Sink(writer, Redactor(), started_ns=now_ns(), clock=now_ns, wall_clock=now_ns)
    )


async def read_all(stream: trio.abc.ReceiveStream) -> None:
    while await stream.receive_some():
        pass


async def test_a_full_disk_ends_the_run_loudly_and_every_connection(
    path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    recording = on_a_full_disk(path)
    ours, theirs = trio.testing.memory_stream_pair()
    tapped = recording.tap(theirs)
    with pytest.raises(DiskFailed):
        await recording.run()
    await ours.send_all(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(trio.BrokenResourceError):
        await tapped.receive_some()
    await tapped.aclose()
    with pytest.raises(DiskFailed):
        recording.close()


async def test_a_disk_that_fails_under_a_connection_ends_the_run(
    path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    recording = on_a_full_disk(path)
    ours, theirs = trio.testing.memory_stream_pair()
    tapped = recording.tap(theirs)
    await ours.send_all(b"POST / HTTP/1.1\r\nContent-Length: 400000\r\n\r\n" + bytes(400_000))
    with pytest.raises(trio.BrokenResourceError):
        await read_all(tapped)
    # It had failed before anybody ran it: nobody may miss that.
    with pytest.raises(DiskFailed), trio.fail_after(1):
        await recording.run()
    recording.abort()
    recording.abort()


async def test_the_end_tells_of_a_disk_that_failed_unseen(path: Path) -> None:
    recording = on_a_full_disk(path)
    with pytest.raises(DiskFailed):
        recording.close()


async def test_run_keeps_the_recording_durable(
    path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    recording = opened(path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recording.run)
        _, theirs = trio.testing.memory_stream_pair()
        recording.tap(theirs, "somebody")
        await trio.sleep(0.2)
        assert b'"peer":"somebody"' in on_disk(path)
        assert recording.entries == 1
        nursery.cancel_scope.cancel()
    recording.close()


def test_a_file_that_is_there_is_kept_without_force(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(OutputExists):
        ServerRecording.open(path)
    ServerRecording.open(path, force=True).close()
    assert read(path)[0].mode == "fake"


async def test_a_reset_of_ours_is_recorded_as_one(path: Path) -> None:
    recording = opened(path)
    async with trio.open_nursery() as nursery:
        server = FakeServer(
            quiet(DEVICES),
            faults=[parse_injection("rst:after=1")],
            tap=lambda stream, _: recording.tap(stream),
        )
        await nursery.start(server.run)
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(trio.serve_listeners, server.handle, [listener])
        port = listener.socket.getsockname()[1]
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            answer = await Http(stream).log_in()
        cookie = (answer.header("Set-Cookie") or "").partition(";")[0]
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(handshake(cookie))
            with pytest.raises(trio.BrokenResourceError):
                await read_all(stream)
        nursery.cancel_scope.cancel()
    recording.close()
    ends = {one.connection: (one.by, one.how) for one in read(path)[1] if isinstance(one, Closed)}
    assert ends[2] == ("server", "reset")
