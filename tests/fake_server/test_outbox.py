"""What one socket still has to send: order, bounds, whole frames."""

from __future__ import annotations

import socket

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.outbox import MAX_BACKLOG_BYTES, Outbox
from recorder.transport import Transport
from tests.profiles import examples

MIB = b"x" * 1024 * 1024


class Taker(trio.abc.SendStream):
    """Takes what it is sent and keeps each piece; a closed gate holds it up."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.gate = trio.Event()
        self.gate.set()
        self.broken = False

    async def send_all(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        await self.gate.wait()
        if self.broken:
            raise trio.BrokenResourceError
        self.pieces.append(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        await self.gate.wait()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


class Sending:
    """An outbox over a stream, its task in a nursery; without one nothing is sent."""

    def __init__(self, stream: trio.abc.SendStream, nursery: trio.Nursery | None = None) -> None:
        self.tasks = 0
        self.broken = 0
        self._nursery = nursery
        self.outbox = Outbox(Transport(stream), start=self._start, on_broken=self._on_broken)

    def _start(self, outbox: Outbox) -> None:
        self.tasks += 1
        if self._nursery is not None:
            self._nursery.start_soon(outbox.drain)

    def _on_broken(self) -> None:
        self.broken += 1


@settings(max_examples=examples(150))
@given(
    st.lists(
        st.tuples(
            st.booleans(), st.sampled_from([0, 1, 100, 60_000, 70_000, 300_000]), st.booleans()
        ),
        max_size=30,
    )
)
def test_all_is_sent_in_order_whoever_adds_it(added: list[tuple[bool, int, bool]]) -> None:
    async def main() -> None:
        stream = Taker()
        frames = [bytes([number]) * size for number, (_, size, _) in enumerate(added)]
        async with trio.open_nursery() as nursery:
            outbox = Sending(stream, nursery).outbox
            for frame, (waits, _, pauses) in zip(frames, added, strict=True):
                if waits:
                    await outbox.put(frame)
                else:
                    assert outbox.offer(frame)
                if pauses:
                    await trio.lowlevel.checkpoint()
            await outbox.flushed()
            assert b"".join(stream.pieces) == b"".join(frames)
        # Each piece is some whole frames.
        ends = {sum(map(len, frames[:count])) for count in range(len(frames) + 1)}
        sent = 0
        for piece in stream.pieces:
            sent += len(piece)
            assert sent in ends

    trio.run(main)


async def test_small_frames_go_out_together() -> None:
    stream = Taker()
    async with trio.open_nursery() as nursery:
        outbox = Sending(stream, nursery).outbox
        for number in range(100):
            outbox.offer(b"%03d" % number)
        await outbox.flushed()
    assert len(stream.pieces) == 1


async def test_there_is_a_task_only_while_something_waits() -> None:
    async with trio.open_nursery() as nursery:
        sending = Sending(Taker(), nursery)
        for number in (1, 2):
            sending.outbox.offer(b"frame")
            await sending.outbox.flushed()
            await trio.testing.wait_all_tasks_blocked()
            assert (sending.tasks, len(nursery.child_tasks)) == (number, 0)


def test_what_is_offered_is_refused_when_the_backlog_is_full() -> None:
    outbox = Sending(Taker()).outbox
    taken = 0
    while outbox.offer(MIB):
        taken += len(MIB)
    assert taken == MAX_BACKLOG_BYTES
    assert not outbox.offer(b"x")


def test_one_frame_larger_than_the_backlog_is_taken_where_there_is_nothing_else() -> None:
    outbox = Sending(Taker()).outbox
    assert outbox.offer(b"x" * (MAX_BACKLOG_BYTES + 1))
    assert not outbox.offer(b"x")


async def test_there_is_room_again_once_the_reader_has_read() -> None:
    stream = Taker()
    async with trio.open_nursery() as nursery:
        outbox = Sending(stream, nursery).outbox
        while outbox.offer(MIB):
            pass
        await outbox.flushed()
        assert outbox.offer(MIB)


async def test_put_waits_while_there_is_much_to_send_and_goes_on_when_it_is_sent() -> None:
    stream = Taker()
    stream.gate = trio.Event()
    done = trio.Event()

    async with trio.open_nursery() as nursery:
        outbox = Sending(stream, nursery).outbox
        await outbox.put(MIB)

        async def put() -> None:
            await outbox.put(b"next")
            done.set()

        nursery.start_soon(put)
        await trio.testing.wait_all_tasks_blocked()
        assert not done.is_set()
        stream.gate.set()
        await outbox.flushed()
        await done.wait()
        await outbox.flushed()
    assert stream.pieces == [MIB, b"next"]


async def test_flushed_waits_for_what_the_stream_has_not_taken_yet() -> None:
    stream = Taker()
    stream.gate = trio.Event()
    async with trio.open_nursery() as nursery:
        outbox = Sending(stream, nursery).outbox
        outbox.offer(b"frame")
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0) as patience:
            await outbox.flushed()
        assert patience.cancelled_caught
        stream.gate.set()
        await outbox.flushed()
        assert stream.pieces == [b"frame"]


async def test_once_the_stream_broke_it_is_told_once_and_nobody_waits() -> None:
    stream = Taker()
    stream.gate = trio.Event()
    stream.broken = True
    async with trio.open_nursery() as nursery:
        sending = Sending(stream, nursery)
        outbox = sending.outbox
        await outbox.put(MIB)

        async def put() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await outbox.put(b"x")

        nursery.start_soon(put)
        nursery.start_soon(outbox.flushed)
        nursery.start_soon(outbox.room)
        await trio.testing.wait_all_tasks_blocked()
        stream.gate.set()
    assert sending.broken == 1
    assert outbox.offer(b"dropped")
    with pytest.raises(trio.ClosedResourceError):
        await outbox.put(b"x")


async def test_nothing_is_sent_behind_the_last_frame_and_nobody_waits_to_add_more() -> None:
    stream = Taker()
    stream.gate = trio.Event()
    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            outbox = Sending(stream, nursery).outbox
            outbox.offer(MIB)
            nursery.start_soon(outbox.room)
            outbox.end(b"close")
            outbox.end(b"another close")
            assert outbox.offer(b"behind it")
            with pytest.raises(trio.ClosedResourceError):
                await outbox.put(b"behind it")
            stream.gate.set()
            await outbox.flushed()
    assert b"".join(stream.pieces) == MIB + b"close"


# Over TCP


async def tcp_pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    ours, theirs = trio.socket.from_stdlib_socket, socket.socketpair()
    return trio.SocketStream(ours(theirs[0])), trio.SocketStream(ours(theirs[1]))


async def test_a_tcp_socket_that_takes_it_is_written_to_at_once_and_needs_no_task() -> None:
    mine, other = await tcp_pair()
    sending = Sending(mine)
    assert sending.outbox.offer(b"at once")
    assert await other.receive_some() == b"at once"
    assert sending.tasks == 0
    for stream in (mine, other):
        await stream.aclose()


async def test_what_a_tcp_socket_does_not_take_follows_in_order() -> None:
    mine, other = await tcp_pair()
    frames = [bytes([number]) * 100_000 for number in range(60)]
    async with trio.open_nursery() as nursery:
        sending = Sending(mine, nursery)
        for frame in frames:
            assert sending.outbox.offer(frame)
        assert sending.tasks == 1
        received = b""
        while len(received) < 6_000_000:
            received += await other.receive_some()
        await sending.outbox.flushed()
    assert received == b"".join(frames)
    for stream in (mine, other):
        await stream.aclose()


async def test_a_tcp_socket_that_was_reset_is_told_as_broken() -> None:
    mine, other = await tcp_pair()
    sending = Sending(mine)
    await other.aclose()
    assert sending.outbox.offer(b"x")
    assert sending.broken == 1
    await mine.aclose()
