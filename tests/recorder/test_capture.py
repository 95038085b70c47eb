"""A capture against servers that do what a script says: what is recorded, what is answered, how it
ends.
"""

from __future__ import annotations

import re
import ssl
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio
import trio.testing
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.backend import Backend
from recorder.capture import REST_SNAPSHOTS, Outcome
from recorder.errors import (
    ConnectionLost,
    DiskFailed,
    HandshakeRefused,
    LoginRefused,
    Unreachable,
)
from recorder.model import Entry
from recorder.wire.frames import MAX_FRAME_BYTES, CloseCode, Frame, Opcode
from tests.profiles import examples
from tests.recorder.scripted import (
    COOKIE,
    EMAIL,
    PASSWORD,
    Peer,
    Script,
    Scripted,
    Session,
    accepting,
    answer,
    assert_no_secret,
    close,
    closing_after,
    orderly,
    ping,
    pong,
    saying,
    scripted,
    text,
    wire,
)

DEVICES = b'{"devices":[{"id":1,"name":"t\xc3\xa4g"}]}'
POSITIONS = b'{"positions":[{"id":5,"latitude":1.10}]}'
CLOSED_IN_ORDER = Outcome("closed by the server", "done")


def assert_wire_is_rebuilt(session: Session, server: Scripted) -> None:
    """Every byte of both directions, and the end of the connection said once."""
    entries = session.entries
    assert wire(entries, "server") == server.socket.server_frames
    assert wire(entries, "client") == server.socket.client_frames
    assert [entry.kind for entry in entries].count("closed") == 2
    assert {entry.connection for entry in entries if entry.kind == "open"} == {1, 2}
    offsets = [entry.offset_ns for entry in entries]
    assert offsets == sorted(offsets)


def closed(session: Session) -> tuple[str, str, str]:
    """How the socket ended, by the recording."""
    (entry,) = [one for one in session.of("closed") if one.connection == 2]
    return entry.by, entry.how, entry.detail


def frames(entries: list[Entry], sender: str) -> list[tuple[object, bytes]]:
    return [
        (entry.opcode, entry.data)
        for entry in entries
        if entry.kind == "frame" and entry.sender == sender
    ]


# In order


async def test_a_capture_records_login_and_socket(tmp_path: Path) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        await peer.send(text(b'{"webSessionTimeout":[86400]}'))
        await peer.send(text(DEVICES) + text(POSITIONS))
        await peer.send(text(ping(1)))
        assert await peer.read_text() == pong(1)
        await peer.close_in_order()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        assert await session.run() == CLOSED_IN_ORDER
    assert_wire_is_rebuilt(session, server)
    kinds = [entry.kind for entry in session.entries]
    assert kinds == [
        *["open", "request", "body", "response", "body", "closed"],
        *["open", "request", "response", *["frame"] * 7, "closed", "end"],
    ]
    progress = session.progress
    assert progress.kinds == {"webSessionTimeout": 1, "devices": 1, "positions": 1, "PING": 1}
    assert (progress.messages, progress.pings, progress.pongs) == (3, 1, 1)
    assert progress.problems == []
    assert progress.opened_ns is not None
    assert progress.last_answered_ns is not None
    assert closed(session) == ("server", "eof", "close 1000 done")


async def test_the_upgrade_carries_cookie_and_origin_and_offers_no_compression(
    tmp_path: Path,
) -> None:
    async with scripted() as server:
        session = Session(tmp_path, server.backend)
        await session.run()
    head = server.requests[-1][0].decode()
    lines = head.split("\r\n")
    lower = head.lower()
    assert lines[0] == "GET /api/socket HTTP/1.1"
    assert f"\r\ncookie: jsessionid={COOKIE}\r\n" in lower
    assert f"\r\norigin: {server.url}\r\n" in lower
    assert f"\r\nhost: 127.0.0.1:{server.backend.port}\r\n" in lower
    assert "sec-websocket-version: 13\r\n" in lower
    assert "extensions" not in lower
    upgrade = session.of("request")[1]
    assert [f"{name}: {value}" for name, value in upgrade.headers] == lines[1:-2]
    opened = session.of("open")[1]
    assert (opened.leg, opened.url, opened.tls) == ("upstream", server.backend.socket_url, None)


async def test_a_prefix_stands_before_every_path(tmp_path: Path) -> None:
    cookie = answer("200 OK", f"Set-Cookie: JSESSIONID={COOKIE}; Path=/", body=b"{}")
    asked: list[bytes] = []

    async def everything(peer: Peer, head: bytes) -> None:
        asked.append(head.split(b" ")[1])
        if b"session" in head.split(b" ")[1]:
            await peer.send(cookie)
        else:
            await orderly(peer, head)

    rest = {"/track/api/session": everything, "/track/api/socket": everything}
    async with scripted(rest=rest) as server:
        backend = type(server.backend).parse(f"{server.url}/track")
        await Session(tmp_path, backend).run()
    assert asked == [b"/track/api/session", b"/track/api/socket"]


async def test_what_comes_together_with_the_101_is_not_lost(tmp_path: Path) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(DEVICES) + text(ping(1)) + text(POSITIONS)[:7])
        assert await peer.read_text() == pong(1)
        await peer.send(text(POSITIONS)[7:])
        await peer.close_in_order()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        await session.run()
    assert_wire_is_rebuilt(session, server)
    assert session.progress.kinds == {"devices": 1, "positions": 1, "PING": 1}


async def test_a_whole_session_in_one_chunk(tmp_path: Path) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(DEVICES) + close(1000, "done"))
        await peer.read_to_end()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        assert await session.run() == CLOSED_IN_ORDER
    assert_wire_is_rebuilt(session, server)


async def test_a_101_that_arrives_byte_by_byte(tmp_path: Path) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        accepted = accepting(head)
        for at in range(len(accepted)):
            await peer.send(accepted[at : at + 1])
            await trio.testing.wait_all_tasks_blocked()
        peer.accept_head = len(peer.sent)
        await peer.close_in_order()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        assert await session.run() == CLOSED_IN_ORDER
    assert_wire_is_rebuilt(session, server)
    response = session.of("response")[1]
    assert response.status == 101
    assert response.first_ns is not None
    assert response.first_ns < response.offset_ns


@st.composite
def server_messages(draw: st.DrawFn) -> bytes:
    """Frames that a server may send: any kind, any fragmentation, control frames between."""
    payload = draw(st.sampled_from([DEVICES, POSITIONS, b"", "~ü".encode(), ping(3), b"x" * 70000]))
    opcode = draw(st.sampled_from([Opcode.TEXT, Opcode.TEXT, Opcode.BINARY]))
    cuts = sorted(draw(st.lists(st.integers(0, min(len(payload), 200)), max_size=3)))
    out = b""
    for number, (start, stop) in enumerate(zip([0, *cuts], [*cuts, len(payload)], strict=True)):
        fin = number == len(cuts)
        kind = opcode if number == 0 else Opcode.CONTINUATION
        out += Frame.make(kind, payload[start:stop], fin=fin).serialize()
        if draw(st.integers(0, 3)) == 0:
            control = draw(st.sampled_from([Opcode.PING, Opcode.PONG]))
            out += Frame.make(control, draw(st.binary(max_size=125))).serialize()
    return out


@settings(max_examples=examples(25))
@given(data=st.lists(server_messages(), max_size=6), size=st.integers(1, 3000))
async def test_every_byte_of_both_directions_can_be_rebuilt(data: list[bytes], size: int) -> None:
    whole = b"".join(data)
    size = max(size, len(whole) // 40)

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        for at in range(0, len(whole), size):
            await peer.send(whole[at : at + size])
        await peer.close_in_order()

    with TemporaryDirectory() as folder:
        async with scripted(script) as server:
            session = Session(Path(folder), server.backend)
            assert await session.run() == CLOSED_IN_ORDER
        assert_wire_is_rebuilt(session, server)


async def test_a_message_of_the_largest_size_passes(tmp_path: Path) -> None:
    large = Frame.make(Opcode.BINARY, b"\xff" * (4 * 1024 * 1024)).serialize()

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        await peer.send(large)
        await peer.close_in_order()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        assert await session.run() == CLOSED_IN_ORDER
    assert wire(session.entries, "server") == server.socket.server_frames


async def test_over_tls_the_same(tmp_path: Path) -> None:
    authority = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_tls)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusting)
    async with scripted(tls=server_tls) as server:
        session = Session(tmp_path, server.backend, tls=trusting)
        assert await session.run() == CLOSED_IN_ORDER
    assert_wire_is_rebuilt(session, server)
    opened = session.of("open")
    assert [entry.tls for entry in opened] == ["TLSv1.3", "TLSv1.3"]
    assert opened[1].url.startswith("wss://")


# PINGs (manual section 3.3)


PINGS = {
    "white space": b' {\n "status" : [ { "message" : "%s" , "type" : "PING" } ] }\r\n ',
    "key order": b'{"status":[{"localeValues":null,"type":"PING","message":"%s"}]}',
    "escapes": b'{"st\\u0061tus":[{"message":"%s","type":"\\u0050ING"}]}',
    "beside another status": (
        b'{"status":[{"message":"no","type":"INFO"},{"message":"%s","type":"PING"}]}'
    ),
}


@pytest.mark.parametrize("form", PINGS.values(), ids=PINGS.keys())
async def test_a_ping_of_another_spelling_is_answered(tmp_path: Path, form: bytes) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        await peer.send(text(form % b"a0b34365-908f-4868-a52a-84a3ed83bd59"))
        assert await peer.read_text() == b"pong a0b34365-908f-4868-a52a-84a3ed83bd59"
        await peer.close_in_order()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        await session.run()
    assert (session.progress.pings, session.progress.pongs, session.progress.messages) == (1, 1, 0)


async def test_every_ping_is_answered_once_and_in_order(tmp_path: Path) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        # Joined by `~`, one of them twice; fragmented, with a control ping between; alone.
        await peer.send(text(ping(1) + b"~" + ping(2) + b" ~ " + ping(1)))
        await peer.send(text(ping(3)[:40], fin=False))
        await peer.send(Frame.make(Opcode.PING, b"now").serialize())
        await peer.send(Frame.make(Opcode.CONTINUATION, ping(3)[40:]).serialize())
        await peer.send(text(ping(4)))
        received = [await peer.read_frame() for _ in range(5)]
        pongs = [one.payload for one in received if one.opcode == Opcode.TEXT]
        assert pongs == [pong(1), pong(2), pong(3), pong(4)]
        assert [one.payload for one in received if one.opcode == Opcode.PONG] == [b"now"]
        await peer.close_in_order()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        await session.run()
    sent = frames(session.entries, "client")
    assert [opcode for opcode, _ in sent if opcode == "text"] == ["text"] * 4
    assert [opcode for opcode, _ in sent if opcode != "text"] == ["pong", "close"]
    assert session.progress.pongs == 4
    assert_wire_is_rebuilt(session, server)


async def test_what_only_looks_like_a_ping_is_not_answered(tmp_path: Path) -> None:
    quoted = b'{"events":[{"attributes":{"text":"{\\"status\\":[{\\"type\\":\\"PING\\"}]}"}}]}'

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        await peer.send(text(quoted) + Frame.make(Opcode.BINARY, ping(1)).serialize())
        await peer.send(text(b'{"status":[{"message":"x","type":"PONG"}]}'))
        await peer.send(text(b'{"other":' + ping(1) + b"}"))
        await peer.close_in_order()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        await session.run()
    assert [opcode for opcode, _ in frames(session.entries, "client")] == ["close"]
    assert (session.progress.messages, session.progress.pings) == (4, 0)


async def test_a_data_message_that_also_holds_a_ping_is_counted_as_both(tmp_path: Path) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        await peer.send(text(ping(1) + b"~" + DEVICES))
        assert await peer.read_text() == pong(1)
        await peer.close_in_order()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        await session.run()
    assert session.progress.kinds == {"PING": 1, "devices": 1}


async def test_many_pings_at_once_are_all_answered(tmp_path: Path) -> None:
    """More messages in a burst than any queue between us and the library holds."""
    uuids = [str(uuid.UUID(int=number)).encode() for number in range(3000)]
    pings = [b'{"status":[{"message":"%s","type":"PING"}]}' % one for one in uuids]

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send, b"".join(text(DEVICES) + text(one) for one in pings))
            for one in uuids:
                assert await peer.read_text() == b"pong " + one
        await peer.close_in_order()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        assert await session.run() == CLOSED_IN_ORDER
    assert session.progress.messages == session.progress.pings == len(uuids)
    assert_wire_is_rebuilt(session, server)


# When to stop


async def test_it_stops_after_so_many_data_messages_pings_not_counted(tmp_path: Path) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        for number in (1, 2, 3):
            await peer.send(text(ping(number)))
            assert await peer.read_text() == pong(number)
            assert session.progress.messages == number - 1
            await peer.send(text(DEVICES))
        frame = await peer.read_frame()
        assert (frame.opcode, frame.close_code) == (Opcode.CLOSE, CloseCode.NORMAL)
        await peer.send(close(1000))
        await peer.read_to_end()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend, messages=3)
        assert await session.run() == Outcome("messages reached")
    assert session.progress.messages == 3
    assert_wire_is_rebuilt(session, server)
    assert closed(session)[:2] == ("recorder", "stopped")


async def test_a_message_counts_when_it_is_complete(tmp_path: Path) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        await peer.send(text(DEVICES[:9], fin=False))
        await peer.send(Frame.make(Opcode.CONTINUATION, DEVICES[9:20], fin=False).serialize())
        # Answered, so not stopped.
        await peer.send(Frame.make(Opcode.PING, b"1").serialize())
        assert (await peer.read_frame()).opcode == Opcode.PONG
        await peer.send(Frame.make(Opcode.CONTINUATION, DEVICES[20:]).serialize())
        assert (await peer.read_frame()).opcode == Opcode.CLOSE

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend, messages=1)
        assert (await session.run()).why == "messages reached"
    assert session.progress.kinds == {"devices": 1}


async def test_the_rest_of_the_bytes_is_recorded_after_the_stop(tmp_path: Path) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        await peer.send(text(DEVICES))
        assert (await peer.read_frame()).opcode == Opcode.CLOSE
        await peer.send(text(POSITIONS) + text(ping(1)) + close(1000))
        await peer.read_to_end()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend, messages=1)
        assert (await session.run()).why == "messages reached"
    assert_wire_is_rebuilt(session, server)


async def test_it_stops_after_its_duration_from_the_opening_on(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async def slow_login(peer: Peer, head: bytes) -> None:
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(20)
        await saying(answer("200 OK", f"Set-Cookie: JSESSIONID={COOKIE}; Path=/api"))(peer, head)

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        await peer.send(text(ping(1)))
        await peer.read_text()
        mock_clock.jump(4.5)
        await peer.send(text(ping(2)))
        await peer.read_text()
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(1)
        assert (await peer.read_frame()).close_code == CloseCode.NORMAL
        await peer.send(close(1000))
        await peer.read_to_end()

    async with scripted(script, login=slow_login, within_s=3600) as server:
        session = Session(tmp_path, server.backend, duration_s=5.0)
        assert await session.run() == Outcome("duration reached")
    assert_wire_is_rebuilt(session, server)


async def test_a_server_that_does_not_answer_the_close_is_left_after_two_seconds(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        await peer.send(text(DEVICES))
        assert (await peer.read_frame()).opcode == Opcode.CLOSE
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(2.5)
        await peer.read_to_end()

    async with scripted(script, within_s=3600) as server:
        session = Session(tmp_path, server.backend, messages=1)
        assert await session.run() == Outcome("messages reached")
    assert closed(session)[:2] == ("recorder", "stopped")


async def stop_when(session: Session, reached: trio.Event) -> None:
    await reached.wait()
    await trio.testing.wait_all_tasks_blocked()
    session.capture.stop()


async def run_and_stop(session: Session, reached: trio.Event, *, within_s: float = 5.0) -> Outcome:
    """Run until ``reached``, then stop; the stop must come through without any time-out."""
    outcome: Outcome | None = None
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            nonlocal outcome
            outcome = await session.run()

        nursery.start_soon(run)
        await stop_when(session, reached)
        with trio.move_on_after(within_s) as patience:
            while outcome is None:
                await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    assert not patience.cancelled_caught, "it was told to stop and went on"
    assert outcome is not None
    return outcome


def waiting(reached: trio.Event) -> Script:
    async def wait(peer: Peer, head: bytes) -> None:
        reached.set()
        await peer.read_to_end()

    return wait


async def test_a_stop_before_the_start_ends_at_once(tmp_path: Path) -> None:
    async with scripted() as server:
        session = Session(tmp_path, server.backend)
        session.capture.stop()
        assert await session.run() == Outcome("told to stop")
    assert server.sockets == []
    session.entries  # noqa: B018 - it must be complete


async def test_a_stop_during_the_login(tmp_path: Path) -> None:
    reached = trio.Event()
    async with scripted(login=waiting(reached)) as server:
        session = Session(tmp_path, server.backend)
        assert await run_and_stop(session, reached) == Outcome("told to stop")
    session.entries  # noqa: B018 - it must be complete


async def test_a_stop_during_the_snapshots(tmp_path: Path) -> None:
    reached = trio.Event()
    async with scripted(rest={"/api/devices": waiting(reached)}) as server:
        session = Session(tmp_path, server.backend, rest=("devices",))
        assert await run_and_stop(session, reached) == Outcome("told to stop")
    assert server.sockets == []
    kinds = [entry.kind for entry in session.entries]
    assert kinds.count("open") == kinds.count("closed") == 1
    assert kinds.count("response") == 1


async def test_a_stop_while_connecting(tmp_path: Path) -> None:
    """The second TCP connection is taken, but its TLS handshake is never answered."""
    authority = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_tls)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusting)
    reached = trio.Event()

    async def wrap(number: int, stream: trio.SocketStream) -> trio.abc.Stream | None:
        if number == 1:
            return trio.SSLStream(stream, server_tls, server_side=True, https_compatible=True)
        reached.set()
        await Peer(stream).read_to_end()
        return None

    async with scripted(tls=server_tls, wrap=wrap) as server:
        session = Session(tmp_path, server.backend, tls=trusting)
        assert await run_and_stop(session, reached, within_s=1.0) == Outcome("told to stop")


async def test_connecting_has_its_time(tmp_path: Path, mock_clock: trio.testing.MockClock) -> None:
    """As above, and nobody says stop."""
    gave_up = trio.Event()
    authority = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_tls)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusting)

    async def wrap(number: int, stream: trio.SocketStream) -> trio.abc.Stream | None:
        if number == 1:
            return trio.SSLStream(stream, server_tls, server_side=True, https_compatible=True)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(59)
        await trio.testing.wait_all_tasks_blocked(0.05)
        # Where nothing came of that, the test's own time is over, too.
        mock_clock.jump(0 if gave_up.is_set() else 3600)
        await Peer(stream).read_to_end()
        return None

    async with scripted(tls=server_tls, wrap=wrap, within_s=600) as server:
        session = Session(tmp_path, server.backend, tls=trusting)
        with pytest.raises(Unreachable):
            await session.run()
        gave_up.set()


async def test_a_stop_during_the_handshake(tmp_path: Path) -> None:
    reached = trio.Event()
    async with scripted(waiting(reached)) as server:
        session = Session(tmp_path, server.backend)
        assert await run_and_stop(session, reached) == Outcome("told to stop")
    assert closed(session)[:2] == ("recorder", "stopped")
    assert len(session.of("request")) == 2


async def test_a_stop_while_recording(tmp_path: Path) -> None:
    reached = trio.Event()

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        await peer.send(text(DEVICES))
        reached.set()
        assert (await peer.read_frame()).close_code == CloseCode.NORMAL
        await peer.send(close(1000))
        await peer.read_to_end()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        assert await run_and_stop(session, reached) == Outcome("told to stop")
    assert closed(session)[:2] == ("recorder", "stopped")
    assert_wire_is_rebuilt(session, server)


async def test_a_second_stop_changes_nothing(tmp_path: Path) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        session.capture.stop()
        session.capture.stop()
        await peer.read_frame()
        await peer.send(close(1000))
        await peer.read_to_end()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend, messages=5)
        assert await session.run() == Outcome("told to stop")


# Lost


async def test_1001_is_a_loss_with_code_reason_and_time(tmp_path: Path) -> None:
    reason = "Idle timeout expired: 30000/30000 ms"

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(DEVICES))
        await peer.send(close(1001, reason))
        await peer.read_to_end()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        with pytest.raises(ConnectionLost, match=r"after \d+\.\d s") as caught:
            await session.run()
    assert "1001" in str(caught.value)
    assert reason in str(caught.value)
    assert server.backend.socket_url in str(caught.value)
    assert closed(session) == ("server", "eof", f"close 1001 {reason}")
    assert_wire_is_rebuilt(session, server)


async def test_a_close_without_a_code_is_told_in_words(tmp_path: Path) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        await peer.send(Frame.make(Opcode.CLOSE, b"").serialize())
        await peer.read_to_end()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        with pytest.raises(ConnectionLost) as caught:
            await session.run()
    assert "None" not in str(caught.value)
    assert "None" not in closed(session)[2]


async def test_a_reset_is_told_from_an_end(tmp_path: Path) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        await peer.send(text(ping(1)))
        await peer.read_text()
        await peer.reset()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        with pytest.raises(ConnectionLost, match="reset"):
            await session.run()
    assert closed(session)[:2] == ("server", "reset")
    assert wire(session.entries, "server") == server.socket.server_frames


async def test_an_end_without_a_close_frame(tmp_path: Path) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(DEVICES) + text(POSITIONS)[:11])
        assert isinstance(peer.stream, trio.SocketStream)
        await peer.stream.send_eof()
        await peer.read_to_end()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        with pytest.raises(ConnectionLost, match="without a close frame"):
            await session.run()
    assert closed(session)[:2] == ("server", "eof")
    # The torn tail is evidence, too.
    (torn,) = session.of("bytes")
    assert torn.data == text(POSITIONS)[:11]
    assert wire(session.entries, "server") == server.socket.server_frames


EVIL = {
    "reserved opcode": (Frame.make(3, b"odd").serialize(), "opcode 0x3"),
    "reserved control opcode": (Frame.make(11, b"odd").serialize(), "opcode 0xb"),
    "bad utf-8": (text(b'{"name":"\xff"}'), "UTF-8"),
    "bad utf-8 in a fragment": (text(b"\xc3\x28", fin=False), "UTF-8"),
    "masked": (Frame.make(Opcode.TEXT, b"{}", mask=b"abcd").serialize(), "masked"),
    "reserved bit": (Frame.make(Opcode.TEXT, b"{}", rsv=4).serialize(), "reserved bits"),
    "long control frame": (Frame.make(Opcode.PING, b"x" * 126).serialize(), "126 bytes"),
    "torn control frame": (Frame.make(Opcode.PING, b"x", fin=False).serialize(), "fragmented"),
    "continuation of nothing": (Frame.make(Opcode.CONTINUATION, b"x").serialize(), "continu"),
    "message in a message": (text(b"a", fin=False) + text(b"b"), "unfinished"),
    "close of one byte": (Frame.make(Opcode.CLOSE, b"x").serialize(), "one byte"),
    "forbidden close code": (close(1005), "1005"),
}


@pytest.mark.parametrize(("data", "word"), EVIL.values(), ids=EVIL.keys())
async def test_what_rfc_6455_forbids_is_recorded_and_named(
    tmp_path: Path, data: bytes, word: str
) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(DEVICES))
        await peer.send(data)
        await peer.read_to_end()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        with pytest.raises(ConnectionLost, match=word):
            await session.run()
    assert any(word in problem for problem in session.progress.problems)
    assert wire(session.entries, "server") == server.socket.server_frames
    assert wire(session.entries, "client") == server.socket.client_frames


@pytest.mark.parametrize("size", [MAX_FRAME_BYTES + 1, 2**62])
async def test_a_frame_above_the_limit_is_recorded_and_named(tmp_path: Path, size: int) -> None:
    begun = b"\x82\x7f" + size.to_bytes(8, "big") + b"some of it"
    reached = trio.Event()

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(DEVICES))
        await peer.send(begun)
        reached.set()
        await peer.read_to_end()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        with pytest.raises(ConnectionLost, match="above the limit"), trio.move_on_after(1.0):
            await session.run()
    (evidence,) = session.of("bytes")
    assert evidence.data == begun
    assert "above the limit" in evidence.why


async def test_a_loss_after_a_stop_is_no_loss(tmp_path: Path) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        await peer.send(text(DEVICES))
        assert (await peer.read_frame()).opcode == Opcode.CLOSE
        await peer.reset()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend, messages=1)
        assert await session.run() == Outcome("messages reached")
    assert closed(session)[0] == "recorder"


# Refused


PAGE = b"<html><h1>503 - Service Unavailable</h1></html>"
REFUSALS = {
    "401": answer("401 Unauthorized", "WWW-Authenticate: Basic", body=b"no"),
    "403": answer("403 Forbidden"),
    "404": answer("404 Not Found", body=b"no"),
    "500": answer("500 Server Error", body=b"\xff\xfe"),
    "503": answer("503 Service Unavailable", "Content-Type: text/html", body=PAGE),
    "503 chunked": (
        b"HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\n<html\r\n2a\r\n" + PAGE[5:] + b"\r\n0\r\n\r\n"
    ),
    "200": answer("200 OK", body=b"hello"),
    "302": answer("302 Found", "Location: /login"),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_refused_handshake_is_told_with_its_status_and_recorded_with_its_body(
    tmp_path: Path, refusal: bytes
) -> None:
    async with scripted(saying(refusal)) as server:
        session = Session(tmp_path, server.backend)
        with pytest.raises(HandshakeRefused, match=refusal[9:12].decode()) as caught:
            await session.run()
    assert server.backend.socket_url in str(caught.value)
    assert ("cookie" in str(caught.value)) == (refusal[9:12] in (b"401", b"403", b"503"))
    response = session.of("response")[1]
    assert response.status == int(refusal[9:12])
    body = b"".join(e.data for e in session.of("body") if e.exchange == 2)
    expected = refusal.partition(b"\r\n\r\n")[2]
    assert body == (PAGE if b"chunked" in refusal else expected)
    assert session.of("closed")[-1].connection == 2


async def test_a_body_that_comes_behind_its_refusal_is_recorded(tmp_path: Path) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        refusal = answer("503 Service Unavailable", body=PAGE)
        await peer.send(refusal[:-20])
        await trio.testing.wait_all_tasks_blocked()
        await peer.send(refusal[-20:-3])
        await trio.testing.wait_all_tasks_blocked()
        await peer.send(refusal[-3:])
        await peer.read_to_end()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        with pytest.raises(HandshakeRefused, match="503"):
            await session.run()
    assert b"".join(e.data for e in session.of("body") if e.exchange == 2) == PAGE


async def test_a_body_that_ends_with_the_connection_is_recorded(tmp_path: Path) -> None:
    refusal = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n" + PAGE
    async with scripted(closing_after(refusal)) as server:
        session = Session(tmp_path, server.backend)
        with pytest.raises(HandshakeRefused, match="503"):
            await session.run()
    assert b"".join(e.data for e in session.of("body") if e.exchange == 2) == PAGE


async def wrong_accept(peer: Peer, head: bytes) -> None:
    await peer.send(accepting(head, "c2VjcmV0IHNlY3JldCBzZWNyZXQgMQ=="))
    await peer.read_to_end()


async def no_accept(peer: Peer, head: bytes) -> None:
    await peer.send(re.sub(rb"Sec-WebSocket-Accept.*\r\n", b"", accepting(head)))
    await peer.read_to_end()


@pytest.mark.parametrize("script", [wrong_accept, no_accept])
async def test_an_accept_that_does_not_answer_the_key_is_refused(
    tmp_path: Path, script: Script
) -> None:
    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        with pytest.raises(HandshakeRefused, match="Sec-WebSocket-Accept"):
            await session.run()
    assert session.of("response")[1].status == 101


@pytest.mark.parametrize("extra", [b"Sec-WebSocket-Extensions: permessage-deflate\r\n"])
async def test_an_extension_that_was_not_offered_is_refused(tmp_path: Path, extra: bytes) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await peer.send(accepting(head)[:-2] + extra + b"\r\n")
        await peer.read_to_end()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        with pytest.raises(HandshakeRefused):
            await session.run()


async def garbage(peer: Peer, head: bytes) -> None:
    await peer.send(b"\x00\x01\x02 no HTTP at all\r\n\r\n\xff")
    await peer.read_to_end()


async def hang_up(peer: Peer, head: bytes) -> None:
    await peer.stream.aclose()


async def hang_up_in_the_head(peer: Peer, head: bytes) -> None:
    await peer.send(b"HTTP/1.1 101 Swit")
    await peer.stream.aclose()


async def reset(peer: Peer, head: bytes) -> None:
    await peer.reset()


@pytest.mark.parametrize("script", [garbage, hang_up, hang_up_in_the_head, reset])
async def test_no_http_in_answer_to_the_handshake(tmp_path: Path, script: Script) -> None:
    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        # Not after the half minute that silence is given.
        with trio.fail_after(5), pytest.raises(HandshakeRefused):
            await session.run()
    entries = [entry for entry in session.entries if getattr(entry, "connection", 0) == 2]
    assert wire(entries, "server") == bytes(server.socket.sent)
    assert entries[-1].kind == "closed"
    if script is reset:
        assert entries[-1].how == "reset"


async def test_silence_is_given_up_after_half_a_minute(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async def script(peer: Peer, head: bytes) -> None:
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(31)
        await peer.read_to_end()

    async with scripted(script, within_s=3600) as server:
        session = Session(tmp_path, server.backend)
        with pytest.raises(HandshakeRefused, match="no answer within 30 s"):
            await session.run()
    assert closed(session)[0] == "recorder"


# Errors come alone


async def test_errors_of_the_login_come_alone_and_not_in_a_group(tmp_path: Path) -> None:
    async with scripted(login=saying(answer("401 Unauthorized"))) as server:
        session = Session(tmp_path, server.backend)
        with pytest.raises(LoginRefused):
            await session.run()
    assert server.sockets == []
    session = Session(tmp_path, server.backend)
    with pytest.raises(Unreachable):
        await session.run()


async def test_the_socket_cannot_be_reached_after_the_login(tmp_path: Path) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def serve(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        stream = await listener.accept()
        await listener.aclose()
        peer = Peer(stream)
        head = await peer.read_head()
        assert head is not None
        await saying(answer("200 OK", f"Set-Cookie: JSESSIONID={COOKIE}; Path=/api", body=b"{}"))(
            peer, head
        )
        await peer.read_to_end()
        await stream.aclose()

    port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        session = Session(tmp_path, Backend(tls=False, host="127.0.0.1", port=port))
        with pytest.raises(Unreachable, match=str(port)):
            await session.run()
    assert [entry.kind for entry in session.of("open", "closed")] == ["open", "closed"]


@pytest.mark.parametrize("after", ["the login", "the handshake"])
async def test_a_disk_that_fails_ends_the_capture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    def full(entries: object) -> None:
        raise DiskFailed("the disk is full")

    async def login(peer: Peer, head: bytes) -> None:
        if after == "the login":
            monkeypatch.setattr(session.sink, "write", full)
        await saying(answer("200 OK", f"Set-Cookie: JSESSIONID={COOKIE}; Path=/api"))(peer, head)

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        monkeypatch.setattr(session.sink, "write", full)
        await peer.send(text(DEVICES))
        await peer.read_to_end()

    async with scripted(script, login=login) as server:
        session = Session(tmp_path, server.backend)
        with pytest.raises(DiskFailed):
            await session.run()


async def test_a_bug_is_not_taken_for_a_loss(tmp_path: Path, monkeypatch) -> None:
    def broken(entries: object) -> None:
        raise ZeroDivisionError

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        monkeypatch.setattr(session.sink, "write", broken)
        await peer.send(text(DEVICES))
        await peer.read_to_end()

    async with scripted(script) as server:
        session = Session(tmp_path, server.backend)
        with pytest.raises(ZeroDivisionError):
            await session.run()


# Snapshots


async def test_snapshots_are_recorded_before_the_socket_in_the_order_asked(tmp_path: Path) -> None:
    rest = {
        f"/api/{name}": saying(answer("200 OK", body=b'[{"list":"%s"}]' % name.encode()))
        for name in REST_SNAPSHOTS
    }
    async with scripted(rest=rest) as server:
        session = Session(tmp_path, server.backend, rest=("positions", "devices", "beacons"))
        assert await session.run() == CLOSED_IN_ORDER
    requests = session.of("request")
    assert [entry.target for entry in requests] == [
        *["/api/session", "/api/positions", "/api/devices", "/api/beacons", "/api/socket"]
    ]
    assert [entry.exchange for entry in requests] == [1, 2, 3, 4, 5]
    assert all(b"accept: application/json" in head.lower() for head, _ in server.requests[1:4])
    bodies = [entry for entry in session.of("body") if entry.exchange in (2, 3, 4)]
    assert [entry.data for entry in bodies] == [
        *[b'[{"list":"positions"}]', b'[{"list":"devices"}]', b'[{"list":"beacons"}]']
    ]
    assert_wire_is_rebuilt(session, server)


async def test_a_snapshot_that_is_refused_is_recorded_and_told(tmp_path: Path) -> None:
    rest = {"/api/beacons": saying(answer("404 Not Found", body=b"no beacons here"))}
    async with scripted(rest=rest) as server:
        session = Session(tmp_path, server.backend, rest=("beacons",))
        with pytest.raises(ConnectionLost, match=r"/api/beacons answered 404 .*--rest"):
            await session.run()
    assert server.sockets == []
    assert session.of("response")[1].status == 404
    assert session.of("body")[-1].data == b"no beacons here"


# Secrets


def talkative(code: int) -> Script:
    """A socket that tells everything it knows, at its end too."""

    async def script(peer: Peer, head: bytes) -> None:
        told = f'{{"events":[{{"a":"{COOKIE}","b":"{EMAIL}"}}]}}'.encode()
        await peer.accept(head, behind=text(told) + text(told[:31], fin=False))
        await peer.send(Frame.make(Opcode.CONTINUATION, told[31:]).serialize())
        await peer.send(close(code, f"bye {EMAIL} with {COOKIE}"))
        await peer.read_to_end()

    return script


async def test_a_capture_in_order_holds_no_secret(tmp_path: Path) -> None:
    async with scripted(talkative(1000)) as server:
        session = Session(tmp_path, server.backend, redact="secrets")
        outcome = await session.run()
    assert_no_secret(session.path.read_text())
    assert_no_secret(outcome.detail)


async def test_a_loss_tells_no_secret(tmp_path: Path) -> None:
    async with scripted(talkative(1008)) as server:
        session = Session(tmp_path, server.backend, redact="secrets")
        with pytest.raises(ConnectionLost, match="1008") as caught:
            await session.run()
    assert_no_secret(session.path.read_text())
    assert_no_secret(str(caught.value))


async def test_a_refusal_tells_no_secret(tmp_path: Path) -> None:
    refusal = answer(f"403 {EMAIL} {COOKIE}", body=f"{EMAIL} {COOKIE} {PASSWORD}".encode())
    async with scripted(saying(refusal)) as server:
        session = Session(tmp_path, server.backend, redact="secrets")
        with pytest.raises(HandshakeRefused, match="403") as caught:
            await session.run()
    assert_no_secret(session.path.read_text())
    assert_no_secret(str(caught.value))
