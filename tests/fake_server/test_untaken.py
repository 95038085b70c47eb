"""Which recorded messages playback never sent to anybody."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from fake_server.accounts import Account, Accounts
from fake_server.fleet import Fleet
from fake_server.playback import Playback
from recorder.credentials import Credentials
from recorder.wire.frames import Frame, Opcode
from replayer.playing.rebase import Rebased
from tests.fake_server.support import (
    BEACONS,
    DEVICES,
    MOVED,
    PING,
    POSITION,
    TIMEOUT,
    Fake,
    ns,
    said,
    script_of,
    serving,
    upgrade,
)

BOTH = pytest.mark.parametrize("mode", ["per-connection", "shared"])


def untaken(fake: Fake) -> list[tuple[int, float, bytes]]:
    return [
        (number, at_ns / 1e9, message)
        for number, at_ns, message in fake.server.hub.playback.untaken()
    ]


def two_sockets(tmp_path: Path) -> Any:
    """The first says two things, the second, opened a second later, two others."""
    return script_of(
        tmp_path,
        [
            *upgrade(connection=2),
            said(TIMEOUT),
            said(DEVICES, 1),
            said(PING % b"4d8ad1e6-4b4e-4b41-a33e-6a4c0b1c0c0c", 2),
            said(POSITION, 3),
            *upgrade(connection=3, at_s=1),
            said(BEACONS, 2, connection=3),
            said(MOVED, 5, connection=3),
        ],
    )


async def test_of_each_recorded_socket_what_no_socket_got_is_untaken(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(two_sockets(tmp_path)) as fake:
        whole = [(1, 0, TIMEOUT), (1, 1, DEVICES), (1, 3, POSITION), (2, 1, BEACONS), (2, 4, MOVED)]
        assert untaken(fake) == whole
        cookie = await fake.cookie()
        first = await fake.socket(cookie)
        await first.listen(until_s=trio.current_time() + 2)
        assert untaken(fake) == whole[2:]
        await first.close()
        second = await fake.socket(cookie)
        await second.listen(until_s=trio.current_time() + 2)
        assert untaken(fake) == [whole[2], whole[4]]
        # The third plays the last recorded one again, and gets further.
        third = await fake.socket(cookie)
        await third.listen(until_s=trio.current_time() + 5)
        assert untaken(fake) == [whole[2]]
        fake.server.control.reset()
        assert untaken(fake) == whole


async def test_shared_playback_takes_what_is_sent_while_a_socket_is_open(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(two_sockets(tmp_path), playback=Playback(mode="shared")) as fake:
        assert [message for _, _, message in untaken(fake)] == [DEVICES, BEACONS, POSITION, MOVED]
        cookie = await fake.cookie()
        first = await fake.socket(cookie)
        await first.listen(until_s=trio.current_time() + 2.5)
        await first.close()
        await trio.sleep(1)
        assert untaken(fake) == [(0, 3, POSITION), (0, 5, MOVED)]
        second = await fake.socket(cookie)
        await second.listen(until_s=trio.current_time() + 5)
        assert untaken(fake) == [(0, 3, POSITION)]
        fake.server.control.reset()
        assert len(untaken(fake)) == 4


@BOTH
async def test_recorded_pings_count_where_they_are_played(
    mode: Any, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    settings = Playback(mode=mode, pings="recorded", speed=math.inf)
    async with serving(two_sockets(tmp_path), playback=settings) as fake:
        assert sum(b"PING" in message for _, _, message in untaken(fake)) == 1
        cookie = await fake.cookie()
        for _ in range(2):
            client = await fake.socket(cookie)
            await client.listen(until_s=trio.current_time() + 1)
        assert untaken(fake) == []


async def test_what_a_seek_leaves_out_was_never_sent(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(two_sockets(tmp_path), playback=Playback(paused=True)) as fake:
        client = await fake.socket()
        await client.listen(until_s=trio.current_time() + 1)
        fake.server.control.seek(2)
        fake.server.control.resume()
        await client.listen(until_s=trio.current_time() + 5)
        # The client was told the state there instead.
        assert untaken(fake)[:2] == [(1, 0, TIMEOUT), (1, 1, DEVICES)]
        assert {number for number, _, _ in untaken(fake)[2:]} == {2}


@BOTH
async def test_a_loop_is_taken_once_it_has_been_round(
    mode: Any, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, [*upgrade(), said(DEVICES, 0.5), said(POSITION, 2)])
    async with serving(script, playback=Playback(mode=mode, at_end="loop")) as fake:
        client = await fake.socket()
        await client.listen(until_s=trio.current_time() + 1)
        assert [message for _, _, message in untaken(fake)] == [POSITION]
        await client.listen(until_s=trio.current_time() + 8)
        assert untaken(fake) == []


async def test_a_message_in_fragments_counts_when_its_end_is_sent_hidden_or_not(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    begun = Frame.make(Opcode.TEXT, DEVICES[:9], fin=False)
    script = script_of(
        tmp_path, [*upgrade(), said(begun), said(Frame.make(Opcode.CONTINUATION, DEVICES[9:]), 2)]
    )
    limited = Account(credentials=Credentials("a@x", "x"), devices=frozenset())
    for accounts in (None, Accounts([limited])):
        async with serving(script, accounts=accounts) as fake:
            answer = await fake.http().log_in(*(("a@x", "x") if accounts else ()))
            client = await fake.socket((answer.header("Set-Cookie") or "").partition(";")[0])
            await client.listen(until_s=trio.current_time() + 1)
            assert untaken(fake) == [(1, 2, DEVICES)]
            await client.listen(until_s=trio.current_time() + 2)
            assert untaken(fake) == []


@BOTH
async def test_of_a_fleet_nothing_is_untaken(mode: Any) -> None:
    async with serving(Fleet(), playback=Playback(mode=mode)) as fake:
        assert untaken(fake) == []


async def test_a_rebased_recording_has_the_same_messages_untaken(tmp_path: Path) -> None:
    script = two_sockets(tmp_path)
    async with serving(Rebased(script, ns(86400))) as fake, serving(script) as other:
        assert untaken(fake) == untaken(other)
        assert len(untaken(fake)) == 5
