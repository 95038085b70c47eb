"""Frames that no client may send, and clients that do not read: their socket ends, in bounded time
and memory, and nobody else's.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.wire.frames import CloseCode, Frame, Opcode
from recorder.wire.messages import MessageAssembler
from tests.fake_server.abuse import MIB, PATIENCE_S, more, text
from tests.fake_server.support import DEVICES, MASK, TIMEOUT, quiet, serving
from tests.profiles import examples


@pytest.fixture(autouse=True)
def clean_log(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No abuse is a bug of the server's."""
    yield
    assert "Traceback" not in capfd.readouterr().err


# Slow


async def test_a_frame_of_a_byte_a_second_keeps_no_socket(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        with trio.fail_after(PATIENCE_S):
            while fake.server.hub.sockets:
                await trio.sleep(1)
                try:
                    await client.stream.send_all(b"\x81" if client.read else b"\xff")
                except trio.BrokenResourceError:
                    break


@pytest.mark.parametrize("lockstep", [False, True])
async def test_a_socket_whose_client_vanished_is_ended_and_the_next_one_goes_on(
    lockstep: bool, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(quiet(DEVICES)) as fake:
        other = await fake.socket()
        gone = await fake.socket(lockstep=lockstep)
        heard = await other.listen(until_s=trio.current_time() + PATIENCE_S + 1)
        assert [socket.number for socket in fake.server.hub.sockets] == [1]
        assert fake.rules_broken == ["pong.missing"]
        assert len([one for one in heard if one.is_ping]) == 4
        del gone


async def test_a_broadcast_beyond_the_backlog_drops_the_slow_one_only(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        await fake.socket(lockstep=True)
        quick = await fake.socket()
        for _ in range(17):
            fake.server.hub.broadcast(Frame.make(Opcode.TEXT, b"x" * MIB).serialize())
            await trio.testing.wait_all_tasks_blocked()
        assert fake.rules_broken == ["socket.too-slow"]
        assert [socket.number for socket in fake.server.hub.sockets] == [2]
        assert len(await quick.stream.receive_some(20 * MIB)) > 17 * MIB


async def test_the_smallest_frames_do_not_make_the_largest_backlog() -> None:
    # A pong of two bytes is an object of fifty.
    async with serving(quiet()) as fake:
        await fake.socket(lockstep=True)
        await trio.testing.wait_all_tasks_blocked()
        (socket,) = fake.server.hub.sockets
        sent = 0
        while socket.is_open and sent < 400_000:
            socket.offer(b"\x8a\x00")
            sent += 1
        assert sent < 200_000
        assert fake.rules_broken == ["socket.too-slow"]


# Frames that are none


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(Frame.make(Opcode.TEXT, b"hello").serialize(), 1002, id="unmasked"),
        pytest.param(Frame.make(Opcode.PING).serialize(), 1002, id="unmasked ping"),
        pytest.param(b"\xc1\x80" + MASK, 1002, id="reserved bit"),
        pytest.param(b"\x83\x80" + MASK, 1002, id="reserved opcode"),
        pytest.param(b"\x89\xfe\x00\x7e" + MASK + bytes(126), 1002, id="a long ping"),
        pytest.param(b"\x09\x80" + MASK, 1002, id="a fragment of a ping"),
        pytest.param(b"\x81\xfe\x00\x01" + MASK + b"x", 1002, id="a length in two bytes"),
        pytest.param(b"\x88\x81" + MASK + b"x", 1002, id="half a close code"),
        pytest.param(more(b"x"), 1002, id="the rest of nothing"),
        pytest.param(text(b"a", fin=False) + text(b"b"), 1002, id="a message in a message"),
        pytest.param(text(b"\xff"), 1007, id="no UTF-8"),
        pytest.param(text(b"\xff", fin=False), 1007, id="no UTF-8 so far"),
        pytest.param(b"\x82\xff" + b"\x7f" + b"\xff" * 7 + MASK, 1009, id="2**63 bytes"),
        pytest.param(b"\x82\xff" + b"\xff" * 8 + MASK, 1009, id="2**64 bytes"),
        pytest.param(b"\x82\xff" + (2**20 + 1).to_bytes(8, "big") + MASK, 1009, id="a bit much"),
    ],
)
async def test_a_frame_that_may_not_be_ends_the_socket_and_is_reported(
    sent: bytes, code: int
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        await client.stream.send_all(sent + text(b"pong x"))
        await client.expect(TIMEOUT)
        frame = await client.frame()
        assert frame is not None
        assert (frame.opcode, frame.close_code) == (Opcode.CLOSE, code)
        assert fake.rules_broken == ["frame.broken"]


@pytest.mark.parametrize("size", [500, 60_000])
async def test_fragments_without_end_are_refused_with_1009_in_bounded_memory(size: int) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        await client.stream.send_all(text(b"", fin=False))
        piece = more(b"x" * size) * max(1, 60_000 // size)
        await trio.testing.wait_all_tasks_blocked()
        tracemalloc.start()
        try:
            for _ in range(40):
                if fake.server.hub.sockets[0].is_open:
                    await client.stream.send_all(piece)
                    await trio.testing.wait_all_tasks_blocked()
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak_bytes < 12 * MIB
        with trio.fail_after(5):
            await client.expect(TIMEOUT)
            frame = await client.frame()
        assert frame is not None
        assert frame.close_code == CloseCode.TOO_BIG


def test_empty_fragments_without_end_take_no_memory() -> None:
    messages = MessageAssembler()
    messages.feed(Frame.make(Opcode.TEXT, b"a", fin=False))
    empty = Frame.make(Opcode.CONTINUATION, b"", fin=False)
    tracemalloc.start()
    try:
        for _ in range(20_000):
            assert messages.feed(empty) == []
        size_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size_bytes < 20_000
    (message,) = messages.feed(Frame.make(Opcode.CONTINUATION, b"b"))
    assert (message.payload, message.fragments) == (b"ab", 20_002)  # type: ignore[union-attr]


async def test_of_wrong_pongs_the_latest_are_kept_and_all_are_counted() -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        piece = text(b"pong 00000000-0000-4000-8000-000000000000") * 500
        for _ in range(24):
            await client.stream.send_all(piece)
            await trio.testing.wait_all_tasks_blocked()
        violations = fake.server.violations
        assert violations.counts.total() == 12_000
        assert len(violations.latest) == 10_000
        assert len(fake.server.hub.sockets) == 1


@given(garbage=st.lists(st.binary(max_size=200), max_size=4))
@settings(max_examples=examples(30))
def test_any_bytes_on_a_socket_end_it_or_are_answered(garbage: list[bytes]) -> None:
    async def main() -> None:
        async with serving(quiet(DEVICES)) as fake:
            other = await fake.socket()
            client = await fake.socket(early=b"".join(garbage[:1]))
            for piece in garbage[1:]:
                await client.stream.send_all(piece)
            await client.stream.send_eof()  # type: ignore[attr-defined]
            with trio.fail_after(5):
                while await client.frame() is not None:
                    pass
                await other.expect(TIMEOUT, DEVICES)
            await trio.testing.wait_all_tasks_blocked()
            assert len(fake.server.hub.sockets) == 1

    trio.run(main)
