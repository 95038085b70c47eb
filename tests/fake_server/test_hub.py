"""Playback to one socket or to all, on a clock that only tests move."""

from __future__ import annotations

import gc
import math
import tempfile
import weakref
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.playback import Playback
from recorder.model import Bytes
from recorder.track.rules import Rules
from recorder.wire.frames import Frame, Opcode, close_frame
from replayer.playing.script import Script
from tests.fake_server.support import (
    BEACONS,
    DEVICES,
    MASK,
    MOVED,
    PING,
    POSITION,
    TIMEOUT,
    Fake,
    Heard,
    data_of,
    ns,
    pings_of,
    quiet,
    said,
    script_of,
    serving,
    text,
    texts_of,
    upgrade,
)
from tests.profiles import examples

UUID_1 = "a0b34365-908f-4868-a52a-84a3ed83bd59"
UUID_2 = "0d7c6a3e-2a83-4a3e-9a2f-3b1d0c9e7f11"
ping_1, ping_2 = PING % UUID_1.encode(), PING % UUID_2.encode()


def of(*spoken: tuple[float, bytes | Frame], connection: int = 2, at_s: float = 0) -> list[Any]:
    """A recorded socket that opened at `at_s`; the frames' times count from there."""
    frames = [said(payload, at_s + when, connection=connection) for when, payload in spoken]
    return [*upgrade(connection, at_s), *frames]


def times_and_texts(heard: list[Heard]) -> list[tuple[float, bytes]]:
    return [(one.at_s, one.frame.payload) for one in heard if not one.is_ping]


# One socket


@settings(max_examples=examples(60))
@given(
    st.lists(st.integers(0, 10**11), min_size=1, max_size=12).map(sorted),
    st.sampled_from([0.5, 1.0, 2.0, 3.0, 1000.0]),
)
def test_every_frame_comes_at_its_recorded_offset_divided_by_the_speed(
    offsets_ns: list[int], speed: float
) -> None:
    async def main() -> None:
        spoken = [(offset / 1e9, b"%d" % number) for number, offset in enumerate(offsets_ns)]
        with tempfile.TemporaryDirectory() as folder:
            script = script_of(Path(folder), of((0, TIMEOUT), *spoken))
        async with serving(script, playback=Playback(speed=speed)) as fake:
            heard = await (await fake.socket()).listen(until_s=101 / speed)
        got = times_and_texts(heard)[1:]
        assert [payload for _, payload in got] == [payload for _, payload in spoken]
        for (at_s, _), offset_ns in zip(got, offsets_ns, strict=True):
            assert at_s == pytest.approx(offset_ns / 1e9 / speed, abs=2e-9)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_at_speed_max_everything_comes_at_once(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, of((0, TIMEOUT), (40, DEVICES), (86_000, POSITION)))
    async with serving(script, playback=Playback(speed=math.inf)) as fake:
        heard = await (await fake.socket()).listen(until_s=1)
    assert times_and_texts(heard) == [(0, TIMEOUT), (0, DEVICES), (0, POSITION)]


async def test_playback_counts_from_the_opening_of_each_socket(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, of((0, TIMEOUT), (7, DEVICES), at_s=500))
    async with serving(script) as fake:
        await trio.sleep(100)
        heard = await (await fake.socket()).listen(until_s=120)
    assert times_and_texts(heard) == [(100, TIMEOUT), (107, DEVICES)]


async def test_frames_are_played_byte_for_byte(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    frames = [
        Frame.make(Opcode.TEXT, TIMEOUT, length_bytes=8),
        Frame.make(Opcode.TEXT, DEVICES[:20], fin=False),
        Frame.make(Opcode.PING, b"in between"),
        Frame.make(Opcode.CONTINUATION, DEVICES[20:], fin=False, length_bytes=2),
        Frame.make(Opcode.CONTINUATION, b""),
        Frame.make(Opcode.BINARY, bytes(range(256))),
        Frame.make(Opcode.PONG, b"nobody asked"),
        Frame.make(Opcode.TEXT, DEVICES + b"~" + POSITION),
        Frame.make(Opcode.TEXT, b""),
        Frame.make(Opcode.TEXT, b'{"devices":[]}', rsv=4),
        Frame.make(Opcode.TEXT, b"x" * 70_000),
        Frame.make(0xB, b"reserved"),
    ]
    script = script_of(tmp_path, of(*enumerate(frames)))
    async with serving(script) as fake:
        client = await fake.socket()
        heard = await client.listen(until_s=20)
    assert data_of(heard) == [(at_s, frame.serialize()) for at_s, frame in enumerate(frames)]
    assert client.read == b"".join(frame.serialize() for frame in frames)


async def test_recorded_pings_are_left_out_and_live_ones_sent(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    fragments = [
        Frame.make(Opcode.TEXT, ping_2[:40], fin=False),
        Frame.make(Opcode.CONTINUATION, ping_2[40:]),
    ]
    script = script_of(
        tmp_path,
        of((0, TIMEOUT), (10, ping_1), (20, fragments[0]), (20, fragments[1]), (21, MOVED)),
    )
    async with serving(script) as fake:
        heard = await (await fake.socket()).listen(until_s=65)
    assert data_of(heard) == [(0, text(TIMEOUT)), (21, text(MOVED))]
    assert [at_s for at_s, _ in pings_of(heard)] == [30, 60]
    assert not {UUID_1, UUID_2} & {uuid for _, uuid in pings_of(heard)}


async def test_a_live_ping_does_not_fall_between_the_fragments_of_a_message(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    # RFC 6455 5.4: "The fragments of one message MUST NOT be interleaved between the fragments of
    # another message". A client would fail the connection with 1002.
    script = script_of(
        tmp_path,
        of(
            (0, TIMEOUT),
            (29, Frame.make(Opcode.TEXT, DEVICES[:20], fin=False)),
            (31, Frame.make(Opcode.CONTINUATION, DEVICES[20:])),
        ),
    )
    async with serving(script) as fake:
        heard = await (await fake.socket()).listen(until_s=35)
    opcodes = [one.frame.opcode for one in heard if one.at_s >= 29]
    first = opcodes.index(Opcode.TEXT)
    assert opcodes[first + 1] == Opcode.CONTINUATION
    assert len(pings_of(heard)) == 1


TAILS = {
    "of a frame": Bytes(
        connection=2, sender="server", offset_ns=ns(2), why="the stream ended", base64="gX4BAA=="
    ),
    "of a message": said(Frame.make(Opcode.TEXT, MOVED[:9], fin=False), 2),
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("at_end", ["hold", "loop"])
async def test_the_torn_tail_of_a_recording_does_not_spoil_the_frames_behind_it(
    at_end: Any, tail: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    # Every capture that was stopped in the middle of a frame ends so, and its sockets go on here.
    # Were the tail sent, the next PING would be read as the rest of its frame or message.
    script = script_of(tmp_path, [*of((0, TIMEOUT), (1, DEVICES)), TAILS[tail]])
    async with serving(script, playback=Playback(at_end=at_end)) as fake:
        heard = await (await fake.socket()).listen(until_s=61)
    assert [at_s for at_s, _ in pings_of(heard)] == [30, 60]
    assert set(texts_of(heard)) == {TIMEOUT, DEVICES}
    assert all(one.frame.fin for one in heard)


async def test_bytes_that_are_no_frame_are_played_where_the_recorded_end_is(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    tail = Bytes(
        connection=2, sender="server", offset_ns=ns(2), why="the stream ended", base64="gX4BAA=="
    )
    script = script_of(tmp_path, [*of((0, TIMEOUT)), tail])
    async with serving(script, playback=Playback(at_end="close")) as fake:
        client = await fake.socket()
        read = b""
        with trio.move_on_at(10):
            while data := await client.stream.receive_some():
                read += data
    assert (client.read + read).startswith(text(TIMEOUT) + b"\x81\x7e\x01\x00")


# The end


async def test_a_recorded_close_is_played_exactly(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, of((0, TIMEOUT), (5, close_frame(4321, "gute Nacht ö"))))
    async with serving(script, playback=Playback(at_end="close")) as fake:
        client = await fake.socket()
        heard = await client.listen(until_s=6)
        await client.send(close_frame(4321, mask=MASK))
        assert await client.frame() is None
    assert data_of(heard) == [
        (0, text(TIMEOUT)),
        (5, close_frame(4321, "gute Nacht ö").serialize()),
    ]


async def test_without_a_recorded_close_the_end_is_1000(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, of((0, TIMEOUT), (5, DEVICES)))
    async with serving(script, playback=Playback(at_end="close")) as fake:
        heard = await (await fake.socket()).listen()
    assert [(one.at_s, one.frame.close_code) for one in heard] == [(0, None), (5, None), (5, 1000)]


async def test_hold_leaves_the_recorded_close_out_and_the_socket_open(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, of((0, TIMEOUT), (5, close_frame(1001))))
    async with serving(script) as fake:
        heard = await (await fake.socket()).listen(until_s=305)
    assert data_of(heard) == [(0, text(TIMEOUT))]
    assert len(pings_of(heard)) == 10


async def test_a_loop_begins_again_when_the_last_frame_was_due(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(
        tmp_path, of((0, TIMEOUT), (2, DEVICES), (10, MOVED), (10, close_frame(1000)))
    )
    async with serving(script, playback=Playback(at_end="loop", speed=2)) as fake:
        heard = await (await fake.socket()).listen(until_s=11.5)
    # The timeout is shown once, by the server itself.
    assert times_and_texts(heard) == [
        (0, TIMEOUT),
        *((at_s, DEVICES if at_s % 5 == 1 else MOVED) for at_s in (1, 5, 6, 10, 11)),
    ]


async def test_a_loop_without_timing_takes_a_breath_of_a_second(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, of((0, DEVICES), (10, MOVED)), timing="none")
    async with serving(script, playback=Playback(at_end="loop")) as fake:
        heard = await (await fake.socket()).listen(until_s=2.5)
    assert times_and_texts(heard) == [
        (0, TIMEOUT),
        *((float(at_s), payload) for at_s in range(3) for payload in (DEVICES, MOVED)),
    ]


class _Impatient(Script):
    """Ends a loop that takes no time."""

    rounds = 0

    def cues(self, number: int, *, later_ns: int = 0) -> Any:
        self.rounds += 1
        if self.rounds > 1000:
            raise RuntimeError("a thousand rounds at one moment")
        return super().cues(number)


async def test_a_loop_in_which_nothing_is_left_to_send_does_not_hold_up_the_server(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    # A quiet night: the timeout and PINGs, all of which the server makes itself.
    loaded = script_of(tmp_path, of((0, TIMEOUT), (30, ping_1)))
    script = _Impatient(loaded.header, loaded._sockets, {})
    async with serving(script, playback=Playback(at_end="loop")) as fake:
        heard = await (await fake.socket()).listen(until_s=100)
    assert [at_s for at_s, _ in pings_of(heard)] == [30, 60, 90], capsys.readouterr().err[-300:]


# Which recorded socket


async def test_the_kth_socket_plays_the_kth_recorded_one_and_then_the_last_again(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    names = [b"first", b"second", b"third"]
    entries = [
        entry
        for number, name in enumerate(names)
        for entry in of((1, name), connection=number + 3, at_s=100 * number)
    ]
    async with serving(script_of(tmp_path, entries)) as fake:
        for number, name in enumerate([*names, b"third", b"third"]):
            heard = await (await fake.socket()).listen(until_s=2 * (number + 1))
            assert times_and_texts(heard) == [(2 * number, TIMEOUT), (2 * number + 1, name)]


async def test_sockets_that_are_open_together_play_independently(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    heard: dict[int, list[Heard]] = {}
    script = script_of(tmp_path, of((0, TIMEOUT), (1, DEVICES), (4, MOVED)))

    async def listen(fake: Fake, number: int) -> None:
        await trio.sleep(number)
        heard[number] = await (await fake.socket()).listen(until_s=20)

    async with serving(script) as fake, trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(listen, fake, number)
    for number in range(5):
        assert times_and_texts(heard[number]) == [
            (number, TIMEOUT),
            (number + 1, DEVICES),
            (number + 4, MOVED),
        ]


# Recorded PINGs


async def test_recorded_pings_are_sent_with_their_uuids_and_no_others(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, of((0, TIMEOUT), (25, ping_1), (55, ping_2)))
    async with serving(script, playback=Playback(pings="recorded")) as fake:
        heard = await (await fake.socket()).listen(until_s=300)
        assert fake.rules_broken == []
    assert pings_of(heard) == [(25, UUID_1), (55, UUID_2)]
    assert [one.frame.payload for one in heard if one.is_ping] == [ping_1, ping_2]


async def test_a_recorded_ping_without_its_pong_closes_the_socket_an_interval_later(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, of((0, TIMEOUT), (25, ping_1), (50, ping_2)))
    async with serving(script, playback=Playback(pings="recorded")) as fake:
        client = await fake.socket()
        heard = await client.listen(answer=False)
        assert fake.rules_broken == ["pong.missing"]
    assert heard[-1].frame.close_code == 1001
    assert heard[-1].at_s == pytest.approx(55, abs=0.01)


async def test_the_pong_of_a_live_uuid_does_not_answer_a_recorded_ping(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, of((0, TIMEOUT), (25, ping_1)))
    async with serving(script, playback=Playback(pings="recorded")) as fake:
        client = await fake.socket()
        await client.listen(until_s=26, answer=False)
        await client.text(f"pong {UUID_2}")
        heard = await client.listen(answer=False)
        assert fake.rules_broken == ["pong.wrong-uuid", "pong.missing"]
    assert heard[-1].frame.close_code == 1001


# Shared playback is in test_shared_playback.py.


async def test_a_recording_without_timing_is_played_at_once(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, of((0, TIMEOUT), (9, BEACONS)), timing="none")
    async with serving(script) as fake:
        heard = await (await fake.socket()).listen(until_s=1)
    assert times_and_texts(heard) == [(0, TIMEOUT), (0, BEACONS)]


async def test_a_silent_recording_still_has_a_timeout_and_pings(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(), rules=Rules(session_timeout_s=60)) as fake:
        heard = await (await fake.socket()).listen(until_s=31)
    assert data_of(heard) == [(0, text(b'{"webSessionTimeout":[60]}'))]
    assert len(pings_of(heard)) == 1


async def test_a_recorded_ping_beside_data_is_played_and_its_pong_counts(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    mixed = PING % UUID_1.encode() + b"~" + DEVICES
    script = script_of(tmp_path, of((0, TIMEOUT), (5, mixed)))
    async with serving(script) as fake:
        client = await fake.socket()
        heard = await client.listen(until_s=6)
        await client.listen(until_s=100)
        assert fake.rules_broken == []
    assert [one.frame.payload for one in heard] == [TIMEOUT, mixed]


async def test_a_server_that_stops_says_so_to_every_client(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, of((0, TIMEOUT)))
    async with serving(script) as fake, trio.open_nursery() as nursery:
        clients = [await fake.socket() for _ in range(3)]
        nursery.start_soon(fake.server.stop)
        heard = [await client.listen(until_s=10) for client in clients]
    assert [frames[-1].frame.close_code for frames in heard] == [1001] * 3
    assert {frames[-1].frame.close_reason for frames in heard} == {"the server stops"}


async def test_a_closed_socket_is_not_kept_until_its_timers_are_due(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(), rules=Rules(session_timeout_shown="expiry")) as fake:
        client = await fake.socket()
        kept = [weakref.ref(socket) for socket in fake.server.hub.sockets]
        assert len(kept) == 1
        await client.close()
        await trio.sleep(5)
        gc.collect()
        assert [reference() for reference in kept] == [None]


async def test_with_recorded_pings_a_late_pong_does_not_save_the_socket(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, of((0, TIMEOUT), (5, ping_1)))
    async with serving(script, playback=Playback(pings="recorded")) as fake:
        client = await fake.socket()
        await client.listen(until_s=35.005, answer=False)
        await client.text(f"pong {UUID_1}")
        heard = await client.listen(until_s=50)
        assert fake.rules_broken == ["pong.late"]
    assert heard[-1].frame.close_code == 1001
