"""TapStream: a stream like the one it wraps, whose chunks are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from recorder.tap import Direction, TapStream

Pair = Callable[[], tuple[trio.StapledStream, trio.StapledStream]]
Chunks = list[tuple[Direction, bytes]]


def no_report(direction: Direction, data: bytes) -> None:
    """Nobody listens."""


def tapped() -> tuple[TapStream, trio.StapledStream, Chunks]:
    """A tap over one end of a memory pair, the other end, and what the tap reports."""
    ours, theirs = trio.testing.memory_stream_pair()
    chunks: Chunks = []
    return TapStream(ours, lambda *chunk: chunks.append(chunk)), theirs, chunks


class Reset(trio.abc.HalfCloseableStream):
    """A stream whose peer is gone."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        raise trio.BrokenResourceError

    async def wait_send_all_might_not_block(self) -> None:
        raise trio.BrokenResourceError

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        raise trio.BrokenResourceError

    async def send_eof(self) -> None:
        raise trio.BrokenResourceError

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


# A stream like any other


def tapping(make: Pair) -> Callable[[], Awaitable[tuple[TapStream, TapStream]]]:
    async def maker() -> tuple[TapStream, TapStream]:
        left, right = make()
        return TapStream(left, no_report), TapStream(right, no_report)

    return maker


@pytest.mark.parametrize(
    "pair", [trio.testing.memory_stream_pair, trio.testing.lockstep_stream_pair]
)
async def test_it_keeps_the_rules_of_streams(pair: Pair) -> None:
    # Only a lockstep pair can be clogged, and itself fails the clogged check of half-closing.
    clogged = tapping(pair) if pair is trio.testing.lockstep_stream_pair else None
    await trio.testing.check_two_way_stream(tapping(pair), clogged)
    await trio.testing.check_half_closeable_stream(tapping(pair), None)


# What is reported


async def test_what_passes_is_reported_in_order() -> None:
    tap, peer, chunks = tapped()
    await tap.send_all(b"question")
    assert await peer.receive_some() == b"question"
    await peer.send_all(b"answer")
    assert await tap.receive_some(3) == b"ans"
    assert await tap.receive_some() == b"wer"
    await tap.send_all(bytearray(b"more"))
    await tap.send_all(memoryview(b"and more"))
    assert await peer.receive_some() == b"moreand more"
    assert chunks == [
        ("sent", b"question"),
        ("received", b"ans"),
        ("received", b"wer"),
        ("sent", b"more"),
        ("sent", b"and more"),
    ]
    assert not tap.broken


async def test_what_is_reported_stays_as_it_was() -> None:
    tap, _, chunks = tapped()
    buffer = bytearray(b"abc")
    await tap.send_all(buffer)
    buffer[:] = b"xyz"
    assert chunks == [("sent", b"abc")]


async def test_a_sent_chunk_is_reported_before_the_transport_has_it() -> None:
    left, right = trio.testing.lockstep_stream_pair()
    chunks: Chunks = []
    tap = TapStream(left, lambda *chunk: chunks.append(chunk))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tap.send_all, b"question")
        await trio.testing.wait_all_tasks_blocked()
        assert chunks == [("sent", b"question")]
        assert await right.receive_some() == b"question"


async def test_a_cancelled_send_stays_reported() -> None:
    left, _ = trio.testing.lockstep_stream_pair()
    chunks: Chunks = []
    tap = TapStream(left, lambda *chunk: chunks.append(chunk))
    with trio.CancelScope() as scope:
        scope.cancel()
        await tap.send_all(b"half")
    assert scope.cancelled_caught
    assert chunks == [("sent", b"half")]
    assert not tap.broken


async def test_a_chunk_of_nothing_is_no_end() -> None:
    tap, _, chunks = tapped()
    await tap.send_all(b"")
    assert chunks == []


async def test_the_end_of_each_direction_is_reported() -> None:
    tap, peer, chunks = tapped()
    await tap.send_eof()
    assert await peer.receive_some() == b""
    assert chunks == [("sent", b"")]
    await peer.send_eof()
    assert await tap.receive_some() == b""
    assert chunks == [("sent", b""), ("received", b"")]
    assert not tap.broken


async def test_closing_reports_nothing_and_closes_the_wrapped_stream() -> None:
    tap, peer, chunks = tapped()
    await tap.aclose()
    assert chunks == []
    assert await peer.receive_some() == b""
    with pytest.raises(trio.ClosedResourceError):
        await tap.receive_some()
    assert not tap.broken
    assert chunks == []


async def test_a_stream_that_cannot_half_close_says_so() -> None:
    class Plain(trio.abc.Stream):
        send_all = Reset.send_all
        wait_send_all_might_not_block = Reset.wait_send_all_might_not_block
        receive_some = Reset.receive_some
        aclose = Reset.aclose

    chunks: Chunks = []
    with pytest.raises(AttributeError):
        await TapStream(Plain(), lambda *chunk: chunks.append(chunk)).send_eof()
    assert chunks == []


# What fails


@pytest.mark.parametrize(
    ("use", "reported"),
    [
        (lambda tap: tap.send_all(b"x"), [("sent", b"x")]),
        (lambda tap: tap.receive_some(), []),
        (lambda tap: tap.send_eof(), []),
        (lambda tap: tap.wait_send_all_might_not_block(), []),
    ],
    ids=["send_all", "receive_some", "send_eof", "wait_send_all_might_not_block"],
)
async def test_a_reset_passes_through_and_is_remembered(
    use: Callable[[TapStream], object], reported: Chunks
) -> None:
    chunks: Chunks = []
    tap = TapStream(Reset(), lambda *chunk: chunks.append(chunk))
    with pytest.raises(trio.BrokenResourceError):
        await use(tap)
    assert tap.broken
    assert chunks == reported


async def test_a_listener_that_fails_is_heard() -> None:
    def fail(direction: Direction, data: bytes) -> None:
        raise OSError("the disk is full")

    left, right = trio.testing.memory_stream_pair()
    tap = TapStream(left, fail)
    with pytest.raises(OSError, match="the disk is full"):
        await tap.send_all(b"x")
    await right.send_all(b"y")
    with pytest.raises(OSError, match="the disk is full"):
        await tap.receive_some()
