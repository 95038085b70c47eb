"""The socket of a capture as the tap sees it, chunk by chunk and without a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.model import Entry
from recorder.observer import SocketObserver
from recorder.progress import Progress
from recorder.recording import Writer
from recorder.redaction import Redactor
from recorder.sink import Sink
from recorder.tapped_socket import TappedSocket
from recorder.wire.frames import Frame, Opcode
from tests.profiles import examples
from tests.recorder.scripted import accepting, close, header, ping, pong, read, text, wire

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The pair that RFC 6455 section 1.3 shows."""
REQUEST = (
    b"GET /api/socket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: " + KEY.encode() + b"\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
MASK = b"\xa1\xb2\xc3\xd4"


class Heard:
    """A TappedSocket with what came of it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "a.track.jsonl"
        self._clock_ns = 0
        writer = Writer.create(self.path, header())
        self.sink = Sink(writer, Redactor("none"), started_ns=0, clock=self._tick)
        self.progress = Progress()
        self.calls = 0
        self.socket = TappedSocket(
            SocketObserver(connection=2, exchange=2),
            self.sink,
            self.progress,
            on_message=self._called,
        )

    def _tick(self) -> int:
        self._clock_ns += 1_000_000
        return self._clock_ns

    def _called(self) -> None:
        self.calls += 1

    def received(self, *chunks: bytes) -> None:
        for chunk in chunks:
            self.socket.on_chunk("received", chunk)

    def sent(self, *chunks: bytes) -> None:
        for chunk in chunks:
            self.socket.on_chunk("sent", chunk)

    @property
    def pongs(self) -> list[str]:
        """What is owed, taken from the channel."""
        owed = []
        while True:
            try:
                owed.append(self.socket.pongs.receive_nowait())
            except trio.WouldBlock:
                return owed

    def entries(self) -> list[Entry]:
        self.sink.write(self.socket.observer.closed("server", "eof", self.sink.now_ns()))
        self.sink.close()
        return read(self.path)


@contextmanager
def heard(*, opened: bool = True) -> Iterator[Heard]:
    with TemporaryDirectory() as folder:
        one = Heard(Path(folder))
        if opened:
            one.sent(REQUEST)
            one.received(accepting(REQUEST))
        yield one


def client(payload: bytes) -> bytes:
    return Frame.make(Opcode.TEXT, payload, mask=MASK).serialize()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:stop] for start, stop in pairwise(at) if start < stop]


FRAMES = st.builds(
    lambda opcode, payload, fin, mask, rsv: Frame.make(
        opcode, payload, fin=fin, mask=mask, rsv=rsv
    ).serialize(),
    st.integers(0, 15),
    st.one_of(st.binary(max_size=200), st.sampled_from([ping(1), ping(2) + b"~" + ping(3)])),
    st.booleans(),
    st.sampled_from([None, MASK]),
    st.sampled_from([0, 0, 0, 4]),
)


@settings(max_examples=examples(60))
@given(
    server=st.one_of(st.lists(FRAMES, max_size=6).map(b"".join), st.binary(max_size=60)),
    client=st.one_of(st.lists(FRAMES, max_size=3).map(b"".join), st.binary(max_size=60)),
    places=st.lists(st.integers(0, 10**6), max_size=12),
)
@example(server=b"\x81\x7f" + b"\xff" * 8 + b"rest", client=b"", places=[])
def test_any_bytes_in_any_chunks_can_be_rebuilt(
    server: bytes, client: bytes, places: list[int]
) -> None:
    with heard(opened=False) as one:
        one.sent(*cut(REQUEST + client, places))
        one.received(*cut(accepting(REQUEST) + server, places), b"")
        entries = one.entries()
    assert wire(entries, "server") == server
    assert wire(entries, "client") == client
    assert [entry.kind for entry in entries[:1]] == ["request"]
    offsets = [entry.offset_ns for entry in entries]
    assert offsets == sorted(offsets)


@settings(max_examples=examples(60))
@given(st.lists(FRAMES, max_size=6), st.lists(st.integers(0, 10**6), max_size=12))
def test_chunks_change_nothing_in_what_is_owed_and_counted(
    frames: list[bytes], places: list[int]
) -> None:
    whole = b"".join(frames)
    with heard() as one, heard() as other:
        one.received(whole) if whole else None
        other.received(*cut(whole, places))
        assert one.pongs == other.pongs
        for name in ("kinds", "messages", "pings", "problems"):
            assert getattr(one.progress, name) == getattr(other.progress, name), name
        assert one.calls == other.calls
        one.sink.close()
        other.sink.close()


def test_each_ping_of_a_payload_is_owed_one_pong() -> None:
    with heard() as one:
        one.received(text(ping(1) + b" ~\n" + ping(2) + b"~" + ping(1)))
        assert one.pongs == [pong(1).decode(), pong(2).decode()]
        one.sink.close()


def test_a_ping_in_fragments_is_owed_when_it_is_complete() -> None:
    with heard() as one:
        one.received(text(ping(1)[:5], fin=False))
        one.received(Frame.make(Opcode.CONTINUATION, ping(1)[5:9], fin=False).serialize())
        assert one.pongs == []
        one.received(Frame.make(Opcode.CONTINUATION, ping(1)[9:]).serialize())
        assert one.pongs == [pong(1).decode()]
        one.sink.close()


def test_a_binary_message_is_never_a_ping() -> None:
    with heard() as one:
        one.received(Frame.make(Opcode.BINARY, ping(1)).serialize())
        assert one.pongs == []
        assert (one.progress.messages, one.progress.pings) == (1, 0)
        one.sink.close()


def test_a_client_that_sends_a_ping_owes_nothing() -> None:
    with heard() as one:
        one.sent(client(ping(1)))
        assert one.pongs == []
        assert one.progress.messages == one.calls == 0
        one.sink.close()


def test_a_pong_is_counted_when_it_is_sent() -> None:
    with heard() as one:
        one.received(text(ping(1)), text(ping(2)))
        assert (one.progress.pings, one.progress.pongs) == (2, 0)
        assert one.progress.last_answered_ns is None
        one.sent(client(pong(1)))
        assert one.progress.pongs == 1
        last_ns = one.progress.last_answered_ns
        assert last_ns is not None
        one.sent(client(pong(2)))
        assert one.progress.pongs == 2
        assert one.progress.last_answered_ns > last_ns
        one.sink.close()


def test_pings_and_pongs_count_over_all_sockets_of_a_progress() -> None:
    with heard() as one:
        one.received(text(ping(1)), text(ping(2)))
        one.sent(client(pong(1)))
        assert one.socket.unanswered == 1
        one.socket = TappedSocket(
            SocketObserver(connection=3, exchange=3),
            one.sink,
            one.progress,
            on_message=one._called,
        )
        one.sent(REQUEST)
        one.received(accepting(REQUEST), text(ping(1)))
        # What the old socket still owed is not answered on the new one.
        one.sent(client(pong(2)), client(pong(1)))
        assert (one.progress.pings, one.progress.pongs) == (3, 2)
        assert one.socket.unanswered == 0
        one.sink.close()


@pytest.mark.parametrize(
    ("payload", "timeout_s"),
    [
        (b'{"webSessionTimeout":[86400]}', 86400.0),
        (b'{"webSessionTimeout" : [ 90 ] }~{"devices":[]}', 90.0),
        (b'{"webSessionTimeout":[]}', None),
        (b'{"devices":[]}', None),
    ],
)
def test_the_time_of_a_session_is_heard(payload: bytes, timeout_s: float | None) -> None:
    with heard() as one:
        one.received(text(payload))
        assert one.socket.session_timeout_s == timeout_s
        one.sink.close()


def test_a_text_that_answers_no_ping_is_no_answer() -> None:
    with heard() as one:
        one.received(text(ping(1)))
        one.sent(client(b"hello"), client(b"pong"), client(pong(7)))
        assert one.progress.pongs == 0
        assert one.progress.last_answered_ns is None
        one.sink.close()


def test_the_messages_of_the_server_are_announced_one_by_one() -> None:
    with heard() as one:
        counts: list[int] = []
        one.socket._on_message = lambda: counts.append(one.progress.messages)
        one.received(text(b"{}") * 3)
        assert counts == [1, 2, 3]
        one.sink.close()


def test_it_has_ended_when_the_server_sends_nothing_more() -> None:
    with heard() as one:
        assert not one.socket.ended.is_set()
        one.sent(client(b"hello"), b"")
        assert not one.socket.ended.is_set()
        one.received(b"")
        assert one.socket.ended.is_set()
        one.sink.close()


# Closing


def test_the_first_close_of_each_side_is_kept() -> None:
    with heard() as one:
        assert one.socket.close_of("server") is None
        one.received(close(1001, "going"), close(1000, "again"))
        one.sent(Frame.make(Opcode.CLOSE, b"\x03\xe8", mask=MASK).serialize())
        server, ours = one.socket.close_of("server"), one.socket.close_of("client")
        assert server is not None
        assert ours is not None
        assert (server.close_code, server.close_reason, ours.close_code) == (1001, "going", 1000)
        one.sink.close()


@pytest.mark.parametrize(
    ("server", "ours", "in_order"),
    [
        (close(1000), b"", True),
        (close(1000, "bye"), b"\x03\xe8", True),
        (close(1000), b"\x03\xea", False),
        (close(1001), b"\x03\xe9", False),
        (b"", b"\x03\xe8", False),
        (b"", b"", False),
    ],
    ids=["1000", "answered", "we failed it", "1001", "only ours", "nothing"],
)
def test_in_order_is_1000_of_the_server_unless_we_failed_it(
    server: bytes, ours: bytes, in_order: bool
) -> None:
    with heard() as one:
        if ours:
            one.sent(Frame.make(Opcode.CLOSE, ours, mask=MASK).serialize())
        one.received(server or b"")
        assert one.socket.ended_in_order is in_order
        one.sink.close()


# The handshake (RFC 6455 section 4.1)


def test_the_pair_of_the_rfc_holds() -> None:
    with heard(opened=False) as one:
        one.sent(REQUEST)
        one.received(accepting(REQUEST, ACCEPT))
        assert one.socket.handshake_problem() is None
        one.sink.close()


def problem_of(*answers: bytes) -> str:
    with heard(opened=False) as one:
        one.sent(REQUEST)
        one.received(*answers)
        one.sink.close()
        problem = one.socket.handshake_problem()
        assert problem is not None
        return problem


def test_what_is_wrong_with_a_handshake_is_told() -> None:
    assert "hung up" in problem_of(b"")
    assert "hung up" in problem_of(b"HTTP/1.1 101 Swit", b"")
    assert "does not answer the key" in problem_of(accepting(REQUEST, KEY))
    assert "404 Not Found" in problem_of(b"HTTP/1.1 404 Not Found\r\n\r\n")


@pytest.mark.parametrize("status", [401, 403, 503])
def test_a_refusal_that_may_come_of_the_cookie_says_so(status: int) -> None:
    assert "cookie" in problem_of(b"HTTP/1.1 %d No\r\n\r\n" % status)
    assert "cookie" not in problem_of(b"HTTP/1.1 500 No\r\n\r\n")


# What RFC 6455 forbids


def test_what_the_server_breaks_is_noted_and_what_we_break_is_not() -> None:
    with heard() as one:
        one.sent(Frame.make(3, b"x").serialize())
        assert one.progress.problems == []
        one.received(Frame.make(3, b"x").serialize())
        one.received(Frame.make(Opcode.CONTINUATION, b"x").serialize())
        assert "opcode 0x3" in one.progress.problems[0]
        assert one.socket.problem == one.progress.problems[0]
        assert "continues no message" in one.progress.problems[1]
        one.sink.close()


def test_a_reserved_control_frame_is_no_message() -> None:
    with heard() as one:
        one.received(Frame.make(11, b"x").serialize())
        assert (one.progress.messages, one.calls) == (0, 0)
        one.sink.close()


def test_what_cannot_be_framed_is_noted_as_a_problem() -> None:
    with heard() as one:
        one.received(b"\x82\x7f" + (2**40).to_bytes(8, "big"))
        assert any("above the limit" in problem for problem in one.progress.problems)
        one.sink.close()
