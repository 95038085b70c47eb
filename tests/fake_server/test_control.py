"""Playback, clocks and sockets steered while clients listen, as those clients see it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.accounts import DEMO_ACCOUNT, Account, Accounts
from fake_server.faults import parse_injection
from fake_server.playback import Playback
from recorder.credentials import Credentials
from recorder.wire.frames import Frame, Opcode
from replayer.playing.script import Script
from replayer.playing.timeline import Cue
from replayer.state import State
from tests.fake_server.support import (
    BEACONS,
    DEVICES,
    MOVED,
    POSITION,
    TIMEOUT,
    Client,
    Fake,
    Heard,
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
from tests.strategies import make_header

Mode = Literal["per-connection", "shared"]

BOTH_MODES = pytest.mark.parametrize("mode", ["per-connection", "shared"])


def position(at_s: float) -> bytes:
    """A position of device 1 whose id tells when it is due; its number text is to be kept."""
    return b'{"positions":[{"id":%d,"deviceId":1,"speed":1.10}]}' % round(at_s * 10)


def every_second(folder: Path, last_s: int = 20) -> Script:
    return script_of(
        folder, [*upgrade(), *(said(position(at_s), at_s) for at_s in range(1, last_s + 1))]
    )


def times_of(heard: list[Heard]) -> list[tuple[float, bytes]]:
    """When each text came, PINGs and the timeout aside."""
    return [
        (one.at_s, one.frame.payload)
        for one in heard
        if not one.is_ping and one.frame.payload != TIMEOUT
    ]


async def positions_by_rest(fake: Fake, cookie: str) -> bytes:
    answer = await fake.http().ask("/api/positions", Cookie=cookie)
    assert answer.status == 200
    return answer.body


def listed(message: bytes) -> bytes:
    """The list in a message of one kind, as REST answers it."""
    return message.partition(b":")[2][:-1]


# Pause, resume, step


@BOTH_MODES
async def test_paused_playback_stands_still_and_goes_on_from_there(
    mode: Mode, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(every_second(tmp_path), playback=Playback(mode=mode)) as fake:
        client = await fake.socket()
        heard = await client.listen(until_s=2.5)
        fake.server.control.pause()
        assert times_of(await client.listen(until_s=12.5)) == []
        assert [one["position_s"] for one in fake.server.control.status()["sockets"]] == [2.5]
        fake.server.control.resume()
        heard += await client.listen(until_s=14.5)
    assert times_of(heard) == [
        (1, position(1)),
        (2, position(2)),
        (13, position(3)),
        (14, position(4)),
    ]


@BOTH_MODES
async def test_a_socket_that_opens_while_playback_is_paused_waits_too(
    mode: Mode, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    playback = Playback(mode=mode, paused=True)
    async with serving(every_second(tmp_path), playback=playback) as fake:
        client = await fake.socket()
        assert times_of(await client.listen(until_s=10)) == []
        fake.server.control.resume()
        assert times_of(await client.listen(until_s=11.5)) == [(11, position(1))]


@BOTH_MODES
async def test_each_step_lets_one_more_frame_go_out_at_once(
    mode: Mode, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    playback = Playback(mode=mode, paused=True)
    async with serving(every_second(tmp_path), playback=playback) as fake:
        client = await fake.socket()
        heard = await client.listen(until_s=1)
        for at_s, cues in ((1, 1), (2, 3)):
            fake.server.control.step(cues)
            heard += await client.listen(until_s=at_s + 1)
        assert times_of(heard) == [
            (1, position(1)),
            *((2, position(at_s)) for at_s in (2, 3, 4)),
        ]
        fake.server.control.resume()
        assert times_of(await client.listen(until_s=4.5)) == [(4, position(5))]


async def test_a_step_of_playback_that_runs_is_refused(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(every_second(tmp_path)) as fake:
        with pytest.raises(ValueError, match="pause it first"):
            fake.server.control.step()
        fake.server.control.pause()
        with pytest.raises(ValueError, match="1 or more"):
            fake.server.control.step(0)


async def test_a_pause_within_a_fragmented_message_holds_what_is_left_of_it_and_what_is_pushed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(fragmented(tmp_path)) as fake:
        cookie = await fake.cookie()
        client = await fake.socket(cookie)
        await client.listen(until_s=1.5)
        fake.server.control.pause()
        renamed = DEVICES.replace(b"one", b"pushed")
        fake.server.control.push(renamed)
        assert await client.listen(until_s=9) == []
        assert (await fake.http().ask("/api/devices", Cookie=cookie)).body == listed(DEVICES)
        fake.server.control.resume()
        heard = await client.listen(until_s=9.6)
        assert (await fake.http().ask("/api/devices", Cookie=cookie)).body == listed(renamed)
    # RFC 6455 section 5.4: nothing comes between the fragments of a message.
    assert [(one.at_s, one.frame.payload) for one in heard] == [
        (9.5, DEVICES[9:]),
        (9.5, renamed),
    ]


# Seek


def fragmented(folder: Path) -> Script:
    """A message in two fragments, at 1 s and 2 s, then one in one piece, at 4 s."""
    return script_of(
        folder,
        [
            *upgrade(),
            said(Frame.make(Opcode.TEXT, DEVICES[:9], fin=False), 1),
            said(Frame.make(Opcode.CONTINUATION, DEVICES[9:]), 2),
            said(POSITION, 4),
        ],
    )


@BOTH_MODES
async def test_a_seek_forward_tells_the_state_there_and_then_the_changes(
    mode: Mode, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(
        tmp_path,
        [
            *upgrade(),
            said(DEVICES, 1),
            said(POSITION, 2),
            said(BEACONS, 3),
            said(MOVED, 4),
            said(POSITION, 10),
        ],
    )
    async with serving(script, playback=Playback(mode=mode)) as fake:
        client = await fake.socket()
        heard = await client.listen(until_s=0.5)
        fake.server.control.seek(8)
        heard += await client.listen(until_s=20)
    assert times_of(heard) == [
        (0.5, DEVICES),
        (0.5, BEACONS),
        (0.5, MOVED),
        (2.5, POSITION),
    ]


@BOTH_MODES
async def test_a_seek_back_plays_again_what_was_played(
    mode: Mode, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(every_second(tmp_path), playback=Playback(mode=mode)) as fake:
        cookie = await fake.cookie()
        client = await fake.socket(cookie)
        await client.listen(until_s=5.5)
        fake.server.control.seek(1.5)
        heard = await client.listen(until_s=6.2)
        assert times_of(heard) == [(5.5, position(1)), (6, position(2))]
        assert await positions_by_rest(fake, cookie) == listed(position(2))


@BOTH_MODES
async def test_a_cue_at_the_very_position_is_still_to_come(
    mode: Mode, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(every_second(tmp_path), playback=Playback(mode=mode)) as fake:
        client = await fake.socket()
        fake.server.control.seek(3)
        heard = await client.listen(until_s=0.5)
    assert times_of(heard) == [(0, position(2)), (0, position(3))]


@BOTH_MODES
async def test_a_seek_past_the_end_tells_the_last_state_and_a_seek_back_from_there_plays(
    mode: Mode, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(every_second(tmp_path, 3), playback=Playback(mode=mode)) as fake:
        client = await fake.socket()
        fake.server.control.seek(1000)
        assert times_of(await client.listen(until_s=50)) == [(0, position(3))]
        fake.server.control.seek(2.5)
        assert times_of(await client.listen(until_s=60)) == [(50, position(2)), (50.5, position(3))]


@BOTH_MODES
async def test_a_seek_past_the_end_closes_where_the_end_does(
    mode: Mode, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    playback = Playback(mode=mode, at_end="close")
    async with serving(every_second(tmp_path), playback=playback) as fake:
        client = await fake.socket()
        fake.server.control.seek(1000)
        heard = await client.listen()
    assert (heard[-1].at_s, heard[-1].frame.close_code) == (0, 1000)


@BOTH_MODES
async def test_of_two_seeks_at_once_the_later_one_holds(
    mode: Mode, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(every_second(tmp_path, 3), playback=Playback(mode=mode)) as fake:
        cookie = await fake.cookie()
        client = await fake.socket(cookie)
        await client.listen(until_s=10)  # to its end, where no task plays any more
        fake.server.control.seek(0.5)
        fake.server.control.seek(2.5)
        heard = await client.listen(until_s=20)
        assert times_of(heard) == [(10, position(2)), (10.5, position(3))]
        assert await positions_by_rest(fake, cookie) == listed(position(3))


@BOTH_MODES
async def test_a_seek_while_another_still_skips_holds(
    mode: Mode, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    # So many cues are not skipped in one go.
    cues = [
        Cue(number * 1_000_000, "data", text(payload), payload)
        for number in range(1, 5001)
        for payload in (position(number / 1000),)
    ]
    script = Script(make_header(), [(0, cues)], {})
    async with serving(script, playback=Playback(mode=mode)) as fake:
        cookie = await fake.cookie()
        client = await fake.socket(cookie)
        fake.server.control.seek(4000)
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        fake.server.control.pause()
        fake.server.control.seek(2.0005)
        heard = await client.listen(until_s=30)
        assert times_of(heard)[-1] == (0, position(2))
        assert await positions_by_rest(fake, cookie) == listed(position(2))


async def test_a_seek_that_comes_as_a_socket_opens_starts_one_playback(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(every_second(tmp_path)) as fake:
        playback = fake.server.hub.playback
        joined = playback.joined

        def joined_and_sought(socket: Any) -> None:
            joined(socket)
            fake.server.control.seek(4.5)

        playback.joined = joined_and_sought  # type: ignore[method-assign]
        heard = await (await fake.socket()).listen(until_s=2)
    assert times_of(heard) == [(0, position(4)), (0.5, position(5)), (1.5, position(6))]


async def test_a_seek_within_a_fragmented_message_ends_it_first(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(fragmented(tmp_path)) as fake:
        client = await fake.socket()
        await client.listen(until_s=1.5)
        fake.server.control.seek(3)
        heard = await client.listen(until_s=4)
    assert [(one.at_s, one.frame.opcode, one.frame.payload) for one in heard] == [
        (1.5, Opcode.CONTINUATION, DEVICES[9:]),
        (1.5, Opcode.TEXT, DEVICES),
        (2.5, Opcode.TEXT, POSITION),
    ]


@BOTH_MODES
async def test_a_seek_into_a_fragmented_message_begins_with_the_next_one(
    mode: Mode, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(fragmented(tmp_path), playback=Playback(mode=mode)) as fake:
        client = await fake.socket()
        fake.server.control.seek(1.5)
        heard = [one for one in await client.listen(until_s=5) if one.frame.payload != TIMEOUT]
    assert heard[0].frame.opcode == Opcode.TEXT
    assert b"".join(one.frame.payload for one in heard) == DEVICES + POSITION


async def test_a_seek_starts_shared_playback_that_waited_for_a_login(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(every_second(tmp_path), playback=Playback(mode="shared")) as fake:
        fake.server.control.seek(10)
        await trio.sleep(2.5)
        assert times_of(await (await fake.socket()).listen(until_s=3.2)) == [
            (2.5, position(12)),
            (3, position(13)),
        ]


async def test_a_seek_shows_an_account_what_it_may_see_by_a_name_that_was_skipped(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    other = b'{"positions":[{"id":99,"deviceId":2}]}'
    accounts = Accounts([Account(credentials=DEMO_ACCOUNT, devices=frozenset({"one"}))])
    entries = [*upgrade(), said(b'{"devices":[{"id":1,"name":"unnamed"}]}'), said(DEVICES, 1)]
    entries += [said(POSITION, 2), said(other, 3), said(MOVED, 9)]
    async with serving(script_of(tmp_path, entries), accounts=accounts) as fake:
        client = await fake.socket()
        fake.server.control.seek(5)
        heard = await client.listen(until_s=20)
    assert times_of(heard) == [
        (0, b'{"devices":[{"id":1,"name":"one","speed":100.0}]}'),
        (0, POSITION),
        (4, MOVED),
    ]


@pytest.mark.parametrize("position_s", [-1, math.nan, math.inf, 32 * 86400])
async def test_a_position_that_cannot_be_is_refused(
    position_s: float, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(quiet()) as fake:
        with pytest.raises(ValueError, match="expected seconds from 0 to"):
            fake.server.control.seek(position_s)


class Told:
    """What a client makes of what it hears; the fragments of a message are one."""

    def __init__(self, client: Client, state: State) -> None:
        self.client = client
        self.state = state
        self._fragments: list[bytes] = []

    async def listen(self, for_s: float) -> None:
        for one in await self.client.listen(until_s=trio.current_time() + for_s):
            self._fragments.append(one.frame.payload)
            if one.frame.fin:
                self.state.apply(b"".join(self._fragments))
                self._fragments.clear()


_FIRST_LOOK_S, _LOOK_S = 0.05, 0.17
"""Cues are due at whole seconds and sought at half ones: no sum of these ends as one comes."""

OBJECTS = st.one_of(
    st.builds(
        lambda kind, number, value: b'{"%s":[{"id":%d,"value":%d.0}]}' % (kind, number, value),
        st.sampled_from([b"devices", b"beacons"]),
        st.integers(1, 3),
        st.integers(0, 9),
    ),
    st.builds(
        lambda number, device: b'{"positions":[{"id":%d,"deviceId":%d}]}' % (number, device),
        st.integers(1, 9),
        st.integers(1, 3),
    ),
)


@settings(max_examples=examples(30))
@given(
    mode=st.sampled_from(["per-connection", "shared"]),
    messages=st.lists(st.tuples(st.integers(0, 20), OBJECTS, st.booleans()), min_size=1),
    acts=st.lists(
        st.tuples(
            st.integers(0, 12),
            st.sampled_from(["pause", "resume", "step"])
            | st.integers(0, 25).map(lambda at_s: at_s + 0.5)
            | OBJECTS,
        ),
        min_size=1,
        max_size=8,
    ),
)
def test_whatever_is_done_to_playback_rest_lists_what_a_client_makes_of_all_that_it_was_told(
    mode: Mode,
    messages: list[tuple[int, bytes, bool]],
    acts: list[tuple[int, str | float | bytes]],
) -> None:
    cues: list[Cue] = []
    for at_s, payload, in_two in sorted(messages, key=lambda one: one[0]):
        cut = 5 if in_two else 0
        frames = [Frame.make(Opcode.TEXT, payload[:cut], fin=False)] * in_two
        frames.append(Frame.make(Opcode.CONTINUATION if in_two else Opcode.TEXT, payload[cut:]))
        for frame in frames:
            whole = payload if frame.fin else None
            cues.append(Cue(at_s * 10**9, "data", frame.serialize(), whole))
    script = Script(make_header(), [(0, cues)], {})

    async def run() -> None:
        async with serving(script, playback=Playback(mode=mode)) as fake:
            control = fake.server.control
            cookie = await fake.cookie()
            client = await fake.socket(cookie)
            told = Told(client, script.opening.copy())
            await told.listen(_FIRST_LOOK_S)
            for wait_s, act in acts:
                await told.listen(wait_s)
                match act:
                    case "pause":
                        control.pause()
                    case "resume":
                        control.resume()
                    case "step":
                        control.pause()
                        control.step(2)
                    case float():
                        control.seek(act)
                        told.state = script.opening.copy()
                    case bytes():
                        control.push(act)
                await told.listen(_LOOK_S)
                for kind in ("devices", "beacons", "positions"):
                    answer = await fake.http().ask(f"/api/{kind}", Cookie=cookie)
                    listed_there = msgspec.json.decode(answer.body, type=list[msgspec.Raw])
                    assert sorted(map(bytes, listed_there)) == sorted(told.state.objects(kind))

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


# Speed


@BOTH_MODES
async def test_a_change_of_speed_keeps_the_position(
    mode: Mode, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(every_second(tmp_path), playback=Playback(mode=mode)) as fake:
        client = await fake.socket()
        heard = await client.listen(until_s=2.5)
        fake.server.control.set_speed(4)
        heard += await client.listen(until_s=3.3)
        fake.server.control.set_speed(0.5)
        heard += await client.listen(until_s=5)
    assert [at_s for at_s, _ in times_of(heard)] == pytest.approx([1, 2, 2.625, 2.875, 3.125, 3.9])


@BOTH_MODES
async def test_at_speed_max_the_rest_comes_at_once_and_to_a_slow_reader_too(
    mode: Mode,
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # More than may wait for one client: who reads on is waited for.
    monkeypatch.setattr("fake_server.outbox.MAX_BACKLOG_BYTES", 512 * 1024)
    large = [b"%02d" % number + b"x" * 64 * 1024 for number in range(24)]
    entries = [*upgrade(), *(said(payload, 10 + at_s) for at_s, payload in enumerate(large))]
    async with serving(script_of(tmp_path, entries), playback=Playback(mode=mode)) as fake:
        client = await fake.socket(lockstep=True)
        await client.listen(until_s=1)
        fake.server.control.set_speed(math.inf)
        assert times_of(await client.listen(until_s=4)) == [(1, payload) for payload in large]
        assert fake.rules_broken == []


@pytest.mark.parametrize("speed", [0, -1, math.nan])
async def test_a_speed_that_cannot_be_is_refused(
    speed: float, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(quiet()) as fake:
        with pytest.raises(ValueError, match="a factor above 0"):
            fake.server.control.set_speed(speed)


@BOTH_MODES
async def test_pings_keep_real_time_whatever_playback_does(
    mode: Mode, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(every_second(tmp_path), playback=Playback(mode=mode)) as fake:
        control = fake.server.control
        client = await fake.socket()
        heard = []
        for until_s, act in (
            (10, control.pause),
            (100, control.resume),
            (101, lambda: control.set_speed(10)),
            (131, lambda: control.seek(1)),
            (140, lambda: control.set_speed(0.1)),
            (200, lambda: control.advance(60)),
        ):
            heard += await client.listen(until_s=until_s)
            act()
        heard += await client.listen(until_s=305)
    assert [at_s for at_s, _ in pings_of(heard)] == [30.0 * beat for beat in range(1, 11)]


# Sessions


async def test_a_day_passes_in_a_moment_for_sessions_and_the_open_socket_lives_on(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(every_second(tmp_path)) as fake:
        cookie = await fake.cookie()
        client = await fake.socket(cookie)
        await client.listen(until_s=1.5)
        fake.server.control.advance(86_399 - 1.5)
        assert [one["account"] for one in fake.server.control.status()["sessions"]] == [
            DEMO_ACCOUNT.email
        ]
        fake.server.control.advance(1)
        answer = await fake.http().ask("/api/devices", Cookie=cookie)
        assert (answer.status, fake.rules_broken) == (401, ["session.expired-cookie"])
        assert fake.server.control.status()["sessions"] == []
        assert times_of(await client.listen(until_s=2.5)) == [(2, position(2))]
        assert (await fake.http().ask("/api/devices", Cookie=await fake.cookie())).status == 200


# Push


@BOTH_MODES
async def test_a_pushed_message_reaches_all_sockets_as_it_is_and_rest(
    mode: Mode, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    message = b'{"positions": [ {"id":77,"deviceId":1,"speed":1.10} ]}'
    async with serving(every_second(tmp_path), playback=Playback(mode=mode)) as fake:
        cookie = await fake.cookie()
        clients = [await fake.socket(cookie), await fake.socket(cookie)]
        assert fake.server.control.push(message) == 2
        for client, until_s in zip(clients, (0.4, 0.8), strict=True):
            heard = await client.listen(until_s=until_s)
            assert [payload for _, payload in times_of(heard)] == [message]
        assert await positions_by_rest(fake, cookie) == b'[{"id":77,"deviceId":1,"speed":1.10}]'


async def test_a_message_may_be_pushed_to_one_socket(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(quiet()) as fake:
        clients = [await fake.socket(), await fake.socket()]
        assert fake.server.control.push(b"anything", socket=2) == 1
        assert texts_of(await clients[0].listen(until_s=1)) == [TIMEOUT]
        assert texts_of(await clients[1].listen(until_s=2)) == [TIMEOUT, b"anything"]
        with pytest.raises(LookupError, match="no open socket 3; open are: 1, 2"):
            fake.server.control.push(b"anything", socket=3)


async def test_in_shared_playback_who_joins_later_is_told_of_what_was_pushed_to_nobody(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(every_second(tmp_path), playback=Playback(mode="shared")) as fake:
        assert fake.server.control.push(DEVICES) == 0
        assert texts_of(await (await fake.socket()).listen(until_s=0.5)) == [TIMEOUT, DEVICES]


# Drop


@pytest.mark.parametrize(
    ("how", "last"), [("close", (4001, "go away")), ("fin", None), ("rst", None)]
)
async def test_one_socket_is_dropped_by_a_close_frame_or_by_the_end_of_tcp(
    how: Literal["close", "fin", "rst"],
    last: tuple[int, str] | None,
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(every_second(tmp_path)) as fake:
        dropped, kept = await fake.socket(), await fake.socket()
        await dropped.listen(until_s=1.5)
        assert fake.server.control.drop(socket=1, how=how, code=4001, reason="go away") == 1
        assert [one["number"] for one in fake.server.control.status()["sockets"]] == [2]
        heard = await dropped.listen()
        shown = [(one.frame.close_code, one.frame.close_reason) for one in heard]
        assert shown == ([] if last is None else [last])
        assert times_of(await kept.listen(until_s=5.5))[-1] == (5, position(5))


@pytest.mark.parametrize("fault", ["stall", "delay:delay_s=1000"])
async def test_a_drop_is_not_held_back_by_faults(
    fault: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(every_second(tmp_path), faults=[parse_injection(fault)]) as fake:
        client = await fake.socket()
        await client.listen(until_s=2)
        assert fake.server.control.drop() == 1
        heard = await client.listen()
    assert [(one.at_s, one.frame.close_code) for one in heard][-1:] == [(2, 1001)]


async def test_a_drop_that_cannot_be_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(quiet()) as fake:
        await fake.socket()
        how: Any = "gently"
        with pytest.raises(ValueError, match="expected close, fin or rst"):
            fake.server.control.drop(how=how)
        with pytest.raises(ValueError, match="from 0 to 65535"):
            fake.server.control.drop(code=65536)
        with pytest.raises(ValueError, match="reason"):
            fake.server.control.drop(reason="x" * 124)


# Reset


@BOTH_MODES
async def test_after_a_reset_all_is_as_after_the_start(
    mode: Mode, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    entries = [*upgrade(2), said(POSITION, 1), said(MOVED, 2)]
    entries += [*upgrade(3, 1), said(BEACONS, 2, connection=3)]
    async with serving(script_of(tmp_path, entries), playback=Playback(mode=mode)) as fake:

        async def one_run() -> tuple[list[bytes], bytes, list[tuple[float, bytes]]]:
            begun_s = trio.current_time()
            cookie = await fake.cookie()
            opening = await fake.http().ask("/api/positions", Cookie=cookie)
            client = await fake.socket(cookie)
            heard = times_of(await client.listen(until_s=begun_s + 10))
            rest = [await positions_by_rest(fake, cookie)]
            return rest, opening.body, [(at_s - begun_s, payload) for at_s, payload in heard]

        first = await one_run()
        control = fake.server.control
        cookie = await fake.cookie()
        client = await fake.socket(cookie)
        await client.text("no pong")
        control.set_speed(7)
        control.pause()
        control.seek(1.5)
        control.push(b'{"positions":[{"id":99,"deviceId":1}]}')
        control.advance(1000)
        fake.server.faults.add(parse_injection("loss"))
        await fake.http().ask("/api/devices/1", method="DELETE", Cookie=cookie)
        await trio.sleep(1)
        assert fake.rules_broken
        fake.server.failures.append("ValueError: a bug")
        control.reset()
        assert fake.server.failures == []
        status = control.status()
        assert (status["sockets"], status["sockets_accepted"], status["sessions"]) == ([], 0, [])
        assert (status["violations"], status["faults"]) == ({}, 0)
        assert status["playback"] == {"mode": mode, "paused": False, "speed": 1.0}
        assert (await client.listen())[-1].frame.close_code == 1001
        assert (await fake.http().ask("/api/devices", Cookie=cookie)).status == 401
        fake.server.violations.clear()
        assert await one_run() == first
        assert fake.rules_broken == []


async def test_what_clients_of_before_a_reset_still_do_is_not_reported(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        await client.listen(until_s=59, answer=False)
        fake.server.control.reset()
        await client.text("no pong")
        await client.listen()
        await trio.sleep(10)
        assert fake.rules_broken == []


# Status


async def test_the_status_tells_what_goes_on_but_no_session_id(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(every_second(tmp_path)) as fake:
        cookie = await fake.cookie()
        client = await fake.socket(cookie)
        await client.listen(until_s=31, answer=False)
        status = fake.server.control.status()
        (socket,) = status["sockets"]
        assert socket["unanswered"] == [uuid for uuid in socket["unanswered"] if len(uuid) == 36]
        assert len(socket.pop("unanswered")) == 1
        assert socket == {
            "number": 1,
            "connection": 2,
            "account": DEMO_ACCOUNT.email,
            "open_s": 31.0,
            "position_s": 31.0,
            "messages_sent": 22,
            "pings": 1,
            "pongs": 0,
        }
        assert status["sessions"] == [{"account": DEMO_ACCOUNT.email, "expires_in_s": 86_369.0}]
        assert cookie.partition("=")[2] not in msgspec.json.encode(status).decode()


async def test_the_status_tells_who_may_log_in_but_no_password(
    autojump_clock: trio.testing.MockClock,
) -> None:
    secret = Credentials("anna@example.com", "hunter2")
    accounts = Accounts([Account(credentials=one) for one in (secret, DEMO_ACCOUNT)])
    async with serving(quiet(), accounts=accounts) as fake:
        status = fake.server.control.status()
        assert status["accounts"] == ["anna@example.com", "demo@example.com"]
        assert "hunter2" not in msgspec.json.encode(status).decode()
