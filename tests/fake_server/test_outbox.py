"""What one socket still has to send: order, bounds, whole frames."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.outbox import MAX_BACKLOG_BYTES, Outbox
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
        outbox, stream = Outbox(), Taker()
        frames = [bytes([number]) * size for number, (_, size, _) in enumerate(added)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.drain, stream)
            for frame, (waits, _, pauses) in zip(frames, added, strict=True):
                if waits:
                    await outbox.put(frame)
                else:
                    assert outbox.offer(frame)
                if pauses:
                    await trio.lowlevel.checkpoint()
            await outbox.flushed()
            assert b"".join(stream.pieces) == b"".join(frames)
            nursery.cancel_scope.cancel()
        # Each piece is some whole frames.
        ends = {sum(map(len, frames[:count])) for count in range(len(frames) + 1)}
        sent = 0
        for piece in stream.pieces:
            sent += len(piece)
            assert sent in ends

    trio.run(main)


async def test_small_frames_go_out_together() -> None:
    outbox, stream = Outbox(), Taker()
    for number in range(100):
        outbox.offer(b"%03d" % number)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.drain, stream)
        await outbox.flushed()
        nursery.cancel_scope.cancel()
    assert len(stream.pieces) == 1


def test_what_is_offered_is_refused_when_the_backlog_is_full() -> None:
    outbox = Outbox()
    taken = 0
    while outbox.offer(MIB):
        taken += len(MIB)
    assert taken == MAX_BACKLOG_BYTES
    assert not outbox.offer(b"x")


def test_one_frame_larger_than_the_backlog_is_taken_where_there_is_nothing_else() -> None:
    outbox = Outbox()
    assert outbox.offer(b"x" * (MAX_BACKLOG_BYTES + 1))
    assert not outbox.offer(b"x")


async def test_there_is_room_again_once_the_reader_has_read() -> None:
    outbox, stream = Outbox(), Taker()
    while outbox.offer(MIB):
        pass
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.drain, stream)
        await outbox.flushed()
        assert outbox.offer(MIB)
        nursery.cancel_scope.cancel()


async def test_put_waits_while_there_is_much_to_send_and_goes_on_when_it_is_sent() -> None:
    outbox, stream = Outbox(), Taker()
    stream.gate = trio.Event()
    await outbox.put(MIB)
    done = trio.Event()

    async def put() -> None:
        await outbox.put(b"next")
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.drain, stream)
        nursery.start_soon(put)
        await trio.testing.wait_all_tasks_blocked()
        assert not done.is_set()
        stream.gate.set()
        await outbox.flushed()
        await done.wait()
        await outbox.flushed()
        nursery.cancel_scope.cancel()
    assert stream.pieces == [MIB, b"next"]


async def test_flushed_waits_for_what_the_stream_has_not_taken_yet() -> None:
    outbox, stream = Outbox(), Taker()
    stream.gate = trio.Event()
    outbox.offer(b"frame")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.drain, stream)
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0) as patience:
            await outbox.flushed()
        assert patience.cancelled_caught
        stream.gate.set()
        await outbox.flushed()
        assert stream.pieces == [b"frame"]
        nursery.cancel_scope.cancel()


async def test_once_the_stream_broke_drain_and_put_say_so_and_nobody_waits() -> None:
    outbox, stream = Outbox(), Taker()
    stream.gate = trio.Event()
    stream.broken = True
    await outbox.put(MIB)
    raised: list[str] = []

    async def expect_an_error(name: str) -> None:
        call = {"put": lambda: outbox.put(b"x"), "drain": lambda: outbox.drain(stream)}[name]
        with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError)):
            await call()
        raised.append(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect_an_error, "drain")
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(expect_an_error, "put")
        nursery.start_soon(outbox.flushed)
        nursery.start_soon(outbox.room)
        await trio.testing.wait_all_tasks_blocked()
        stream.gate.set()
    assert sorted(raised) == ["drain", "put"]
    with pytest.raises(trio.ClosedResourceError):
        await outbox.put(b"x")


async def test_nothing_is_sent_behind_the_last_frame_and_nobody_waits_to_add_more() -> None:
    outbox, stream = Outbox(), Taker()
    stream.gate = trio.Event()
    outbox.offer(MIB)
    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.drain, stream)
            nursery.start_soon(outbox.room)
            outbox.end(b"close")
            outbox.end(b"another close")
            assert outbox.offer(b"behind it")
            with pytest.raises(trio.ClosedResourceError):
                await outbox.put(b"behind it")
            stream.gate.set()
            await outbox.flushed()
            nursery.cancel_scope.cancel()
    assert b"".join(stream.pieces) == MIB + b"close"
