"""What a verify run may send, and that nothing else leaves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio.testing
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.backend import Backend
from recorder.capture import Capture, CaptureOptions, Outcome
from recorder.live_recording import LiveRecording
from recorder.login import Exchanges, TrackHttp
from recorder.model import Body, Bytes, Entry, FrameEntry, MessageEntry, Request
from recorder.observer import SocketObserver
from recorder.progress import Progress
from recorder.tap import TapStream
from recorder.tapped_socket import TappedSocket
from recorder.wire.frames import Frame, Opcode
from replayer.contract.model import Answer, Call, Contract, Field, Shape
from replayer.verifying import ReadOnlySink, lists_of, visit_recording
from tests.profiles import examples
from tests.recorder.scripted import (
    CREDENTIALS,
    NO_TLS,
    Peer,
    answer,
    assert_no_secret,
    close,
    ping,
    pong,
    read,
    saying,
    scripted,
    text,
)
from tests.strategies import payloads

BACKEND = Backend(tls=False, host="track.example", port=80, prefix="/proxied")
LISTS = ("devices", "reports/all")
MASK = bytes(4)


@contextmanager
def recording(folder: Path, backend: Backend = BACKEND) -> Iterator[LiveRecording]:
    path = folder / f"{len(list(folder.iterdir()))}.track.jsonl"
    made = visit_recording(path, backend, LISTS)
    try:
        yield made
    finally:
        made.close(None)


def asked(method: str, target: str, exchange: int = 1) -> Request:
    return Request(
        connection=1, exchange=exchange, offset_ns=0, method=method, target=target, headers=[]
    )


def said(frame: Frame) -> FrameEntry:
    return FrameEntry.of(frame, connection=1, sender="client", offset_ns=0)


def passes(sink: ReadOnlySink, *entries: Entry) -> bool:
    """Whether all of it may be sent."""
    try:
        sink.write(entries)
    except RuntimeError:
        return False
    return True


# What may be asked again


def a_list(**query: int) -> Call:
    shape = Shape(seen=9, types={"array": 9})
    fields = {name: Field(present=count, shape=Shape(seen=count)) for name, count in query.items()}
    return Call(seen=9, query=fields, answers={"200": Answer(seen=9, shape=shape)})


@pytest.mark.parametrize(
    ("name", "call", "asked_again"),
    [
        ("GET /api/devices", a_list(), ("devices",)),
        ("GET /api/commands/types", a_list(), ("commands/types",)),
        # Some of its calls had no query.
        ("GET /api/positions", a_list(id=8), ("positions",)),
        ("GET /api/reports/route", a_list(deviceId=9), ()),
        ("GET /api/devices/{id}", a_list(), ()),
        ("POST /api/devices", a_list(), ()),
        ("DELETE /api/devices", a_list(), ()),
        ("GET /elsewhere/devices", a_list(), ()),
        ("GET /api/../admin", a_list(), ()),
        ("GET /api/devices?delete=1", a_list(), ()),
        ("GET /api/devices\r\nX: y", a_list(), ()),
        ("GET /api/devices\n", a_list(), ()),
        ("GET http://other.example/api/devices", a_list(), ()),
        ("GET /api/session", Call(seen=1, answers={"200": Answer(seen=1)}), ()),
        ("GET /api/devices", Call(seen=1, answers={"401": Answer(seen=1)}), ()),
    ],
)
def test_only_lists_without_number_and_query_are_asked_for_again(
    name: str, call: Call, asked_again: tuple[str, ...]
) -> None:
    assert lists_of(Contract(tool="a test", calls={name: call})) == asked_again


# The guard


@settings(max_examples=examples(100))
@given(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "get"]),
    st.sampled_from(["", "/proxied", "/other"]),
    st.sampled_from(
        ["/api/session", "/api/socket", "/api/devices", "/api/reports/all", "/api/devices/1"]
    ),
    st.sampled_from(["", "?", "?id=1", "/", "#a"]),
)
def test_a_request_passes_only_if_it_is_the_login_the_socket_or_a_list(
    tmp_path_factory: pytest.TempPathFactory, method: str, prefix: str, path: str, query: str
) -> None:
    may = {
        "POST /proxied/api/session",
        "GET /proxied/api/socket",
        "GET /proxied/api/devices",
        "GET /proxied/api/reports/all",
    }
    target = prefix + path + query
    with recording(tmp_path_factory.mktemp("guard")) as made:
        before = made.sink.entries
        assert passes(made.sink, asked(method, target)) is (f"{method} {target}" in may)
        assert made.sink.entries - before == (f"{method} {target}" in may)


@settings(max_examples=examples(100))
@given(st.sampled_from(list(Opcode)), payloads, st.booleans())
@example(Opcode.TEXT, b"pong a0b3", True)
@example(Opcode.TEXT, b"pong a0b3", False)
@example(Opcode.TEXT, b"pong  a0b3", True)
@example(Opcode.BINARY, b"pong a0b3", True)
def test_a_frame_passes_only_if_it_is_a_pong_or_control(
    tmp_path_factory: pytest.TempPathFactory, opcode: Opcode, payload: bytes, fin: bool
) -> None:
    frame = Frame.make(opcode, payload, fin=fin or opcode >= Opcode.CLOSE, mask=MASK)
    is_pong = opcode == Opcode.TEXT and fin and payload.startswith(b"pong a0b3")
    with recording(tmp_path_factory.mktemp("guard")) as made:
        assert passes(made.sink, said(frame)) is (frame.is_control or is_pong)


def test_a_body_passes_only_with_the_login(tmp_path: Path) -> None:
    def body(exchange: int) -> Body:
        return Body(
            connection=1, exchange=exchange, offset_ns=0, sender="client", last=True, text="a=b"
        )

    with recording(tmp_path) as made:
        assert not passes(made.sink, body(1))
        assert passes(made.sink, asked("POST", "/proxied/api/session", 1), body(1))
        assert not passes(made.sink, asked("GET", "/proxied/api/devices", 2), body(2))
        assert not passes(made.sink, body(1))


def test_bytes_and_messages_of_a_client_do_not_pass(tmp_path: Path) -> None:
    with recording(tmp_path) as made:
        of_client = {"connection": 1, "sender": "client", "offset_ns": 0}
        assert not passes(made.sink, Bytes(**of_client, why="torn", text="x"))
        assert not passes(made.sink, MessageEntry(**of_client, opcode="text", text="pong a"))
        assert passes(made.sink, Bytes(**{**of_client, "sender": "server"}, why="torn", text="x"))


async def test_what_the_guard_refuses_is_never_sent(tmp_path: Path) -> None:
    """Over HTTP: the server is connected to, and hears nothing."""
    async with scripted() as server:
        with recording(tmp_path, server.backend) as made:
            async with TrackHttp(server.backend, made.sink, Exchanges(), tls=NO_TLS) as http:
                await http.login(CREDENTIALS)
                for method, path in [
                    ("DELETE", "/api/devices/1"),
                    ("PUT", "/api/devices/1"),
                    ("POST", "/api/devices"),
                    ("GET", "/api/users"),
                    ("GET", "/api/devices?id=1"),
                ]:
                    with pytest.raises(RuntimeError, match="verify only reads"):
                        await http.exchange(method, path)
    assert [head.split(b"\r\n")[0] for head, _ in server.requests] == [
        b"POST /api/session HTTP/1.1"
    ]


async def test_what_the_guard_refuses_is_never_said(tmp_path: Path) -> None:
    """On a socket: the frame stays on this side of the tap."""
    ours, theirs = trio.testing.memory_stream_pair()
    with recording(tmp_path) as made:
        socket = TappedSocket(
            SocketObserver(connection=1, exchange=1), made.sink, Progress(), on_message=lambda: None
        )
        tap = TapStream(ours, socket.on_chunk)
        head = b"GET /proxied/api/socket HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"
        await tap.send_all(head)
        await theirs.send_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
        await tap.receive_some()
        allowed = Frame.make(Opcode.TEXT, pong(1), mask=MASK).serialize()
        await tap.send_all(allowed)
        with pytest.raises(RuntimeError, match="a text message that is no pong"):
            await tap.send_all(Frame.make(Opcode.TEXT, b'{"delete":1}', mask=MASK).serialize())
        await tap.aclose()
        heard = b""
        while more := await theirs.receive_some():
            heard += more
        assert heard == head + allowed


# A visit


async def visit(
    folder: Path, backend: Backend, lists: tuple[str, ...], **options: object
) -> tuple[Outcome, list[Entry]]:
    path = folder / "visit.track.jsonl"
    made = visit_recording(path, backend, lists)
    going = Capture(
        backend,
        CREDENTIALS,
        made.sink,
        CaptureOptions(rest=lists, rest_may_refuse=True, **options),
        tls=NO_TLS,
    )
    try:
        outcome = await going.run()
    finally:
        made.close(None)
    return outcome, read(path)


async def lively(peer: Peer, head: bytes) -> None:
    await peer.accept(head, behind=text(ping(1)) + text(b'{"devices":[]}') + text(ping(2)))
    assert [await peer.read_text(), await peer.read_text()] == [pong(1), pong(2)]
    await peer.send(text(b'{"positions":[]}'))
    assert (await peer.read_frame()).close_code == 1000
    await peer.send(close(1000))
    await peer.read_to_end()


async def test_a_visit_asks_for_nothing_but_the_login_the_lists_and_the_socket(
    tmp_path: Path,
) -> None:
    rest = {f"/api/{name}": saying(answer("200 OK", body=b"[]")) for name in LISTS}
    async with scripted(lively, rest=rest) as server:
        outcome, entries = await visit(tmp_path, server.backend, LISTS, messages=2)
    assert outcome.why == "messages reached"
    assert [head.split(b" HTTP")[0] for head, _ in server.requests] == [
        b"POST /api/session",
        b"GET /api/devices",
        b"GET /api/reports/all",
        b"GET /api/socket",
    ]
    assert [bool(body) for _, body in server.requests] == [True, False, False, False]
    said_by_us = [
        entry.frame()
        for entry in entries
        if isinstance(entry, FrameEntry) and entry.sender == "client"
    ]
    assert [frame.payload for frame in said_by_us[:-1]] == [pong(1), pong(2)]
    assert (said_by_us[-1].opcode, said_by_us[-1].close_code) == (Opcode.CLOSE, 1000)


async def test_a_refused_list_is_recorded_and_the_visit_goes_on(tmp_path: Path) -> None:
    refusal = saying(answer("403 Forbidden", body=b"no"))
    async with scripted(lively, rest={"/api/users": refusal}) as server:
        outcome, entries = await visit(tmp_path, server.backend, ("users",), messages=2)
    assert outcome.why == "messages reached"
    assert [entry.status for entry in entries if entry.kind == "response"] == [200, 403, 101]


async def test_a_visit_leaves_no_secrets_in_its_recording(tmp_path: Path) -> None:
    async with scripted(lively) as server:
        await visit(tmp_path, server.backend, (), messages=2)
    assert_no_secret((tmp_path / "visit.track.jsonl").read_text())
