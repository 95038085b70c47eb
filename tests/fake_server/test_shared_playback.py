"""One playback that all sockets hear: who hears what, when it begins, and what a late client is
told first.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from fake_server.playback import Playback
from recorder.wire.frames import Frame, Opcode, close_frame
from replayer.playing.script import Script
from tests.fake_server.support import (
    BEACONS,
    DEVICES,
    MOVED,
    PING,
    POSITION,
    TIMEOUT,
    Fake,
    Heard,
    data_of,
    exchange,
    pings_of,
    said,
    script_of,
    serving,
    text,
    texts_of,
    upgrade,
)

SHARED = Playback(mode="shared")
UUID = "a0b34365-908f-4868-a52a-84a3ed83bd59"
SECOND_DEVICE = b'{"devices":[{"id":3,"name":"three"}]}'
SECOND_POSITION = b'{"positions":[{"id":13,"deviceId":2}]}'


def two_sockets(folder: Path, **of_header: Any) -> Script:
    """Two recorded sockets, the second opened 5 s after the first."""
    return script_of(
        folder,
        [
            *upgrade(2),
            said(TIMEOUT, 0),
            said(DEVICES, 1),
            said(POSITION, 10),
            said(close_frame(1001), 40),
            *upgrade(3, 5),
            said(TIMEOUT, 5, connection=3),
            said(BEACONS, 6, connection=3),
            said(PING % UUID.encode(), 7, connection=3),
            said(MOVED, 12, connection=3),
        ],
        **of_header,
    )


def heard_texts(heard: list[Heard]) -> list[tuple[float, bytes]]:
    return [(one.at_s, one.frame.payload) for one in heard if not one.is_ping]


async def test_all_clients_hear_all_recorded_sockets_merged_by_time(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    heard: list[list[Heard]] = []

    async def listen(fake: Fake, cookie: str) -> None:
        heard.append(await (await fake.socket(cookie)).listen(until_s=50))

    async with serving(two_sockets(tmp_path), playback=SHARED) as fake:
        cookie = await fake.cookie()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen, fake, cookie)
            nursery.start_soon(listen, fake, cookie)
    one, other = heard
    assert data_of(one) == data_of(other)
    assert heard_texts(one) == [
        (0, TIMEOUT),
        (1, DEVICES),
        (6, BEACONS),
        (10, POSITION),
        (12, MOVED),
    ]
    assert {uuid for _, uuid in pings_of(one)}.isdisjoint(uuid for _, uuid in pings_of(other))


async def test_who_joins_late_is_told_devices_beacons_positions_and_then_the_changes(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(
        tmp_path,
        [
            *upgrade(2),
            said(POSITION, 1),
            said(BEACONS, 2),
            said(DEVICES, 3),
            said(SECOND_DEVICE, 4),
            said(MOVED, 5),
            said(SECOND_POSITION, 6),
            said(POSITION, 20),
        ],
    )
    async with serving(script, playback=SHARED) as fake:
        first = await fake.socket()
        await trio.sleep(10)
        late = await (await fake.socket()).listen(until_s=25)
        assert len(await first.listen(until_s=26)) == 1 + 7
    assert heard_texts(late) == [
        (10, TIMEOUT),
        (
            10,
            b'{"devices":[{"id":1,"name":"one","speed":100.0},{"name":"two","id":2},'
            b'{"id":3,"name":"three"}]}',
        ),
        (10, BEACONS),
        (
            10,
            b'{"positions":[{"id":12,"deviceId":1,"rssi":-65.0},{"id":13,"deviceId":2}]}',
        ),
        (20, POSITION),
    ]


async def test_who_joins_late_is_told_nothing_of_a_kind_that_was_not_played_yet(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(two_sockets(tmp_path), playback=SHARED) as fake:
        await fake.cookie()
        await trio.sleep(2)
        heard = await (await fake.socket()).listen(until_s=5)
    assert heard_texts(heard) == [(2, TIMEOUT), (2, DEVICES)]


async def test_the_first_login_starts_playback(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(two_sockets(tmp_path), playback=SHARED) as fake:
        await trio.sleep(100)
        cookie = await fake.cookie()
        await trio.sleep(8)
        await fake.cookie()  # a second login does not start it again
        heard = await (await fake.socket(cookie)).listen(until_s=115)
    assert heard_texts(heard) == [
        (108, TIMEOUT),
        (108, DEVICES),
        (108, BEACONS),
        (110, POSITION),
        (112, MOVED),
    ]


async def test_a_refused_login_starts_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(two_sockets(tmp_path), playback=SHARED) as fake:
        assert (await fake.http().log_in(password="wrong")).status == 401
        await trio.sleep(100)
        heard = await (await fake.socket()).listen(until_s=102)
    assert heard_texts(heard) == [(100, TIMEOUT), (101, DEVICES)]


async def test_start_now_starts_playback_with_the_server(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    playback = Playback(mode="shared", start="now")
    async with serving(two_sockets(tmp_path), playback=playback) as fake:
        await trio.sleep(11)
        heard = await (await fake.socket()).listen(until_s=15)
    assert heard_texts(heard) == [
        (11, TIMEOUT),
        (11, DEVICES),
        (11, BEACONS),
        (11, POSITION),
        (12, MOVED),
    ]


@pytest.mark.parametrize(
    ("speed", "timing"), [(math.inf, "measured"), (1.0, "none"), (math.inf, "none")]
)
@pytest.mark.parametrize("start", ["login", "now"])
async def test_what_is_due_all_at_once_waits_for_the_first_socket(
    start: Any,
    speed: float,
    timing: str,
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
) -> None:
    playback = Playback(mode="shared", speed=speed, start=start)
    async with serving(two_sockets(tmp_path, timing=timing), playback=playback) as fake:
        cookie = await fake.cookie()
        await trio.sleep(100)
        heard = await (await fake.socket(cookie)).listen(until_s=101)
    assert [at_s for at_s, _ in heard_texts(heard)] == [100] * 5
    assert set(texts_of(heard)) == {TIMEOUT, DEVICES, BEACONS, POSITION, MOVED}


async def test_speed_divides_the_merged_times_but_not_those_of_pings(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    playback = Playback(mode="shared", speed=4)
    async with serving(two_sockets(tmp_path), playback=playback) as fake:
        heard = await (await fake.socket()).listen(until_s=65)
    assert [at_s for at_s, _ in heard_texts(heard)] == [0, 0.25, 1.5, 2.5, 3]
    assert [at_s for at_s, _ in pings_of(heard)] == [30, 60]


async def test_at_the_end_all_are_closed_with_1000(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    playback = Playback(mode="shared", at_end="close")
    async with serving(two_sockets(tmp_path), playback=playback) as fake:
        cookie = await fake.cookie()
        clients = [await fake.socket(cookie) for _ in range(3)]
        heard = [await client.listen() for client in clients]
    assert [one[-1].frame.close_code for one in heard] == [1000] * 3
    assert heard[0][-1].at_s == 12


async def test_pings_may_be_the_recorded_ones_for_all(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    playback = Playback(mode="shared", pings="recorded")
    async with serving(two_sockets(tmp_path), playback=playback) as fake:
        cookie = await fake.cookie()
        answering, silent = await fake.socket(cookie), await fake.socket(cookie)
        heard = await answering.listen(until_s=100)
        assert pings_of(heard) == [(7, UUID)]
        assert not answering.at_end
        assert (await silent.listen(answer=False))[-1].frame.close_code == 1001
        assert fake.rules_broken == ["pong.missing"]


async def test_a_client_that_does_not_read_is_closed_and_reported_and_holds_up_nobody(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    frames = [b"%02d" % number + b"x" * 1024 * 1024 for number in range(24)]
    script = script_of(
        tmp_path, [*upgrade(), *(said(payload, 1 + at_s) for at_s, payload in enumerate(frames))]
    )
    async with serving(script, playback=SHARED) as fake:
        cookie = await fake.cookie()
        reading = await fake.socket(cookie)
        await fake.socket(cookie, lockstep=True)  # it takes no byte unless somebody reads
        heard = await reading.listen(until_s=29)
        assert heard_texts(heard) == [
            (0, TIMEOUT),
            *((1 + at_s, payload) for at_s, payload in enumerate(frames)),
        ]
        assert fake.rules_broken == ["socket.too-slow"]
        assert len(fake.server.hub.sockets) == 1


async def test_a_client_that_does_not_read_is_reported_once(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, [*upgrade(), *(said(b"x" * 1024 * 1024) for _ in range(40))])
    async with serving(script, playback=SHARED) as fake:
        await fake.socket(lockstep=True)
        await trio.sleep(1)
        assert fake.rules_broken == ["socket.too-slow"]
        assert fake.server.hub.sockets == []


async def test_at_speed_max_a_client_that_does_not_read_is_waited_for_some_seconds_and_closed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, [*upgrade(), *(said(b"x" * 200_000) for _ in range(40))])
    playback = Playback(mode="shared", speed=math.inf)
    async with serving(script, playback=playback) as fake:
        cookie = await fake.cookie()
        await fake.socket(cookie, lockstep=True)
        heard = await (await fake.socket(cookie)).listen(until_s=29)
        assert fake.rules_broken == ["socket.too-slow"]
    assert len(heard) >= 38
    assert heard[-1].at_s <= 6


async def test_fragments_of_two_recorded_sockets_are_not_interleaved(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    # RFC 6455 5.4: "The fragments of one message MUST NOT be interleaved between the fragments of
    # another message".
    script = script_of(
        tmp_path,
        [
            *upgrade(2),
            *upgrade(3),
            said(Frame.make(Opcode.TEXT, DEVICES[:9], fin=False), 1),
            said(MOVED, 2, connection=3),
            said(Frame.make(Opcode.CONTINUATION, DEVICES[9:]), 3),
        ],
    )
    async with serving(script, playback=SHARED) as fake:
        heard = await (await fake.socket()).listen(until_s=5)
    fins = [one.frame.fin for one in heard]
    opcodes = [one.frame.opcode for one in heard]
    if False in fins:
        assert opcodes[fins.index(False) + 1] == Opcode.CONTINUATION
    else:
        assert set(texts_of(heard)) == {TIMEOUT, DEVICES, MOVED}


async def test_who_joins_within_a_fragmented_message_hears_no_continuation_of_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(
        tmp_path,
        [
            *upgrade(2),
            said(Frame.make(Opcode.TEXT, DEVICES[:9], fin=False), 1),
            said(Frame.make(Opcode.CONTINUATION, DEVICES[9:]), 3),
            said(MOVED, 4),
        ],
    )
    async with serving(script, playback=SHARED) as fake:
        await fake.cookie()
        await trio.sleep(2)
        heard = await (await fake.socket()).listen(until_s=5)
    begun = False
    for one in heard:
        assert one.frame.opcode != Opcode.CONTINUATION or begun
        begun = not one.frame.fin
    assert text(MOVED) in [data for _, data in data_of(heard)]


async def test_rest_shows_the_servers_state_to_everybody(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(
        tmp_path,
        [
            *exchange("/api/positions", b'[{"id":9,"deviceId":1}]'),
            *upgrade(2, 1),
            said(POSITION, 2),
            said(MOVED, 5),
        ],
    )
    async with serving(script, playback=SHARED) as fake:
        cookie, http = await fake.cookie(), fake.http()
        bodies = []
        for at_s in (0.5, 2, 5):
            await trio.sleep_until(at_s)
            bodies.append((await http.ask("/api/positions", Cookie=cookie)).body)
        other = await fake.cookie()
        bodies.append((await http.ask("/api/positions", Cookie=other)).body)
    assert bodies == [
        b'[{"id":9,"deviceId":1}]',
        b'[{"id":11,"deviceId":1,"rssi":-64}]',
        b'[{"id":12,"deviceId":1,"rssi":-65.0}]',
        b'[{"id":12,"deviceId":1,"rssi":-65.0}]',
    ]


async def test_who_joins_after_its_end_is_told_the_state_and_closed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    playback = Playback(mode="shared", at_end="close")
    async with serving(two_sockets(tmp_path), playback=playback) as fake:
        cookie = await fake.cookie()
        await trio.sleep(100)
        heard = await (await fake.socket(cookie)).listen(until_s=110)
    assert b'"devices"' in b"".join(texts_of(heard))
    assert heard[-1].frame.close_code == 1000
