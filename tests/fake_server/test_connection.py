"""One socket behind its handshake: PINGs and pongs, frames that break RFC 6455, the closing
handshake.
"""

from __future__ import annotations

import math
from pathlib import Path
from uuid import UUID

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.connection import MAX_CLIENT_MESSAGE_BYTES
from fake_server.playback import Playback
from fake_server.server import FakeServer
from recorder.track.kinds import ping_uuids
from recorder.track.rules import Rules
from recorder.wire.frames import Frame, Opcode, close_frame
from tests.fake_server.support import (
    DEVICES,
    MASK,
    TIMEOUT,
    Client,
    Fake,
    Http,
    data_of,
    handshake,
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

REASON = "Idle timeout expired: 30000/30000 ms"


async def next_ping(client: Client) -> str:
    """The uuid of the PING that comes next, whatever comes before it."""
    while (frame := await client.frame()) is not None:
        for uuid in ping_uuids(frame.payload):
            return uuid
    raise AssertionError("no PING came")


# PINGs and pongs


@pytest.mark.parametrize("speed", [0.5, 1.0, 60.0, math.inf])
async def test_pings_come_each_30_s_with_fresh_uuids_whatever_the_speed(
    speed: float, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, [*upgrade(), said(TIMEOUT), said(DEVICES, 600)])
    async with serving(script, playback=Playback(speed=speed)) as fake:
        await trio.sleep(7)
        heard = await (await fake.socket()).listen(until_s=3607.5)
        assert fake.rules_broken == []
    pings = pings_of(heard)
    assert [at_s for at_s, _ in pings] == [37 + 30 * number for number in range(120)]
    assert len({uuid for _, uuid in pings}) == 120
    for _, uuid in pings:
        assert str(UUID(uuid)) == uuid


async def test_a_ping_is_written_as_the_manual_shows_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        heard = await (await fake.socket()).listen(until_s=31)
    (one,) = [one for one in heard if one.is_ping]
    ((_, uuid),) = pings_of(heard)
    assert one.frame.head == bytes.fromhex("8172")
    assert one.frame.payload == (
        b'{"status":[{"message":"%s","type":"PING","localeKey":null,"localeValues":null}]}'
        % uuid.encode()
    )


async def test_an_unanswered_ping_closes_the_socket_when_the_next_is_due(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        heard = await client.listen(until_s=61, answer=False)
        await client.send(close_frame(1001, mask=MASK))
        assert await client.frame() is None
        await client.stream.send_eof()
        await trio.testing.wait_all_tasks_blocked()
        assert fake.rules_broken == ["pong.missing"]
        assert fake.server.hub.sockets == []
    assert [at_s for at_s, _ in pings_of(heard)] == [30]
    assert heard[-1].frame == close_frame(1001, REASON)
    assert heard[-1].at_s == pytest.approx(60, abs=0.01)


async def test_a_client_that_does_not_answer_the_close_either_is_hung_up_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        await client.listen(answer=False)
        assert client.at_end
        assert 60 <= trio.current_time() <= 65
        await trio.sleep(5)
        assert fake.server.hub.sockets == []


async def test_nothing_is_sent_behind_the_close_frame_of_an_unanswered_ping(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    # RFC 6455 5.5.1: "The application MUST NOT send any more data frames after sending a Close
    # frame."
    frames = [said(b"%d" % number, number / 2) for number in range(200)]
    async with serving(script_of(tmp_path, [*upgrade(), *frames])) as fake:
        heard = await (await fake.socket()).listen(answer=False)
    closes = [n for n, one in enumerate(heard) if one.frame.opcode == Opcode.CLOSE]
    assert closes == [len(heard) - 1]


async def test_a_pong_at_the_very_moment_when_it_is_due_wins(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def answer_at_the_last_moment(client: Client) -> None:
        for moment_s in (60, 90, 120):
            uuid = await next_ping(client)
            await trio.sleep_until(moment_s)
            await client.text(f"pong {uuid}")

    async with serving(quiet()) as fake:
        cookie = await fake.cookie()
        clients = [await fake.socket(cookie) for _ in range(20)]
        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(answer_at_the_last_moment, client)
        await trio.sleep(1)
        assert fake.rules_broken == []
        assert len(fake.server.hub.sockets) == 20


async def test_a_pong_a_moment_later_is_late(autojump_clock: trio.testing.MockClock) -> None:
    rules = Rules(unanswered_ping="ignore")
    async with serving(quiet(), rules=rules) as fake:
        client = await fake.socket()
        uuid = await next_ping(client)
        await trio.sleep_until(60.01)
        await client.text(f"pong {uuid}")
        await trio.sleep(1)
        assert fake.rules_broken == ["pong.missing", "pong.late"]


@pytest.mark.parametrize(
    ("spelling", "rule"),
    [
        ("pong {uuid} ", "pong.malformed"),
        (" pong {uuid}", "pong.malformed"),
        ("pong {uuid}\n", "pong.malformed"),
        ("Pong {uuid}", "pong.malformed"),
        ("pong  {uuid}", "pong.malformed"),
        ("pong:{uuid}", "pong.malformed"),
        ("pong", "pong.malformed"),
        ('"pong {uuid}"', "pong.malformed"),
        ("{uuid}", "pong.malformed"),
        ("pong {upper}", "pong.wrong-uuid"),
        ("pong 00000000-0000-4000-8000-000000000000", "pong.wrong-uuid"),
    ],
)
async def test_what_is_not_exactly_the_pong_does_not_count_and_is_reported(
    spelling: str, rule: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        uuid = await next_ping(client)
        await client.text(spelling.replace("{uuid}", uuid).replace("{upper}", uuid.upper()))
        heard = await client.listen(answer=False)
        assert fake.rules_broken == [rule, "pong.missing"]
    assert heard[-1].frame.close_code == 1001


async def test_a_pong_in_a_binary_message_or_a_control_frame_does_not_count(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        pong = f"pong {await next_ping(client)}".encode()
        await client.send(Frame.make(Opcode.BINARY, pong, mask=MASK))
        await client.send(Frame.make(Opcode.PONG, pong, mask=MASK))
        heard = await client.listen(answer=False)
        assert fake.rules_broken == ["text.unknown", "pong.missing"]
        assert fake.server.violations.latest[0].seen.endswith("' as a binary message")
    assert heard[-1].frame.close_code == 1001


async def test_the_pong_of_the_ping_before_does_not_answer_this_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        old = await next_ping(client)
        await client.text(f"pong {old}")
        await next_ping(client)
        await client.text(f"pong {old}")
        heard = await client.listen(answer=False)
        assert fake.rules_broken == ["pong.repeated", "pong.missing"]
    assert heard[-1].frame.close_code == 1001


async def test_a_pong_before_any_ping_is_reported_and_harmless(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        await client.text("pong 0d7c6a3e-2a83-4a3e-9a2f-3b1d0c9e7f11")
        heard = await client.listen(until_s=100)
        assert fake.rules_broken == ["pong.unsolicited"]
    assert len(pings_of(heard)) == 3


async def test_a_pong_in_fragments_counts(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        pong = f"pong {await next_ping(client)}".encode()
        await client.send(Frame.make(Opcode.TEXT, pong[:10], fin=False, mask=MASK))
        await client.send(Frame.make(Opcode.PING, b"?", mask=MASK))
        await client.send(Frame.make(Opcode.CONTINUATION, pong[10:], mask=MASK))
        heard = await client.listen(until_s=61)
        assert fake.rules_broken == []
    assert len(pings_of(heard)) == 1
    assert heard[0].frame == Frame.make(Opcode.PONG, b"?")


async def test_sockets_are_judged_each_by_its_own_pongs(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        cookie = await fake.cookie()
        careless, careful = await fake.socket(cookie), await fake.socket(cookie)
        uuid = await next_ping(careful)
        await careless.text(f"pong {uuid}")
        await careful.text(f"pong {uuid}")
        assert (await careless.listen(answer=False))[-1].frame.close_code == 1001
        assert len(pings_of(await careful.listen(until_s=200))) == 5
        wrong, missing = fake.server.violations.latest
    assert (wrong.rule, missing.rule) == ("pong.wrong-uuid", "pong.missing")
    # Connection 1 was the login's.
    assert wrong.connection == missing.connection == 2


async def test_where_the_rules_ignore_it_an_unanswered_ping_is_only_reported(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(), rules=Rules(unanswered_ping="ignore")) as fake:
        heard = await (await fake.socket()).listen(until_s=301, answer=False)
        assert fake.rules_broken == ["pong.missing"] * 9
    assert len(pings_of(heard)) == 10


async def test_strict_rules_close_the_socket_where_the_others_would_ignore(
    autojump_clock: trio.testing.MockClock,
) -> None:
    rules = Rules(unanswered_ping="ignore", strict=True)
    async with serving(quiet(), rules=rules) as fake:
        heard = await (await fake.socket()).listen(answer=False)
        assert fake.rules_broken == ["pong.missing"]
    assert heard[-1].frame == close_frame(1008, "pong.missing, manual 3.3")


async def test_other_texts_are_reported_and_ignored(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        for words in ("hello", "", "{}", '{"status":[]}'):
            await client.text(words)
        await client.send(Frame.make(Opcode.BINARY, b"\xff", mask=MASK))
        heard = await client.listen(until_s=31)
        assert fake.rules_broken == ["text.unknown"] * 5
        assert fake.server.violations.latest[0].seen == "the client sent 'hello'"
    assert data_of(heard) == [(0, text(TIMEOUT))]


# Frames


@given(st.binary(max_size=125))
@settings(max_examples=examples(50))
def test_a_control_ping_is_answered_with_its_payload(payload: bytes) -> None:
    async def main() -> None:
        async with serving(quiet()) as fake:
            client = await fake.socket()
            await client.expect(TIMEOUT)
            await client.send(Frame.make(Opcode.PING, payload, mask=MASK))
            assert await client.frame() == Frame.make(Opcode.PONG, payload)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


BIG = MAX_CLIENT_MESSAGE_BYTES
BROKEN: dict[str, tuple[int, bytes]] = {
    "unmasked": (1002, Frame.make(Opcode.TEXT, b"hello").serialize()),
    "reserved bit": (1002, Frame.make(Opcode.TEXT, b"hello", rsv=4, mask=MASK).serialize()),
    "reserved opcode": (1002, Frame.make(0x3, b"hello", mask=MASK).serialize()),
    "reserved control opcode": (1002, Frame.make(0xB, b"hello", mask=MASK).serialize()),
    "long control frame": (1002, Frame.make(Opcode.PING, b"x" * 126, mask=MASK).serialize()),
    "fragmented control frame": (
        1002,
        Frame.make(Opcode.PING, b"x", fin=False, mask=MASK).serialize(),
    ),
    "length not minimal": (
        1002,
        Frame.make(Opcode.TEXT, b"x", length_bytes=2, mask=MASK).serialize(),
    ),
    "continuation of nothing": (
        1002,
        Frame.make(Opcode.CONTINUATION, b"x", mask=MASK).serialize(),
    ),
    "message inside a message": (
        1002,
        Frame.make(Opcode.TEXT, b"x", fin=False, mask=MASK).serialize()
        + Frame.make(Opcode.TEXT, b"y", mask=MASK).serialize(),
    ),
    "close with one byte": (1002, Frame.make(Opcode.CLOSE, b"x", mask=MASK).serialize()),
    "close with a code that never stands in a frame": (
        1002,
        Frame.make(Opcode.CLOSE, b"\x03\xed", mask=MASK).serialize(),
    ),
    "bad UTF-8": (1007, Frame.make(Opcode.TEXT, b"\xff", mask=MASK).serialize()),
    "bad UTF-8 in a fragment": (
        1007,
        Frame.make(Opcode.TEXT, b"\xc3\x28", fin=False, mask=MASK).serialize(),
    ),
    "oversized frame": (1009, bytes((0x81, 0xFF)) + (BIG + 1).to_bytes(8, "big") + MASK),
    "oversized message": (
        1009,
        Frame.make(Opcode.TEXT, b"x" * BIG, fin=False, mask=MASK).serialize()
        + Frame.make(Opcode.CONTINUATION, b"x", mask=MASK).serialize(),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("early", [False, True], ids=["later", "with the handshake"])
async def test_a_frame_that_breaks_rfc_6455_ends_the_socket_with_the_right_code(
    name: str, early: bool, autojump_clock: trio.testing.MockClock
) -> None:
    code, data = BROKEN[name]
    async with serving(quiet()) as fake:
        client = await fake.socket(await fake.cookie(), early=data if early else b"")
        if not early:
            await client.stream.send_all(data)
        await client.stream.send_all(Frame.make(Opcode.PING, b"?", mask=MASK).serialize())
        heard = await client.listen()
        assert [one.frame.close_code for one in heard] == [None, code]
        assert heard[-1].frame.check("server") == []
        assert heard[-1].frame.close_reason
        assert [rule for rule in fake.rules_broken if rule != "text.unknown"] == ["frame.broken"]
        assert fake.server.violations.latest[-1].connection == 2
        # The server goes on.
        await (await fake.socket()).expect(TIMEOUT)


async def test_the_largest_message_that_is_allowed_is_taken(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        await client.text(b"x" * BIG)
        heard = await client.listen(until_s=31)
        assert fake.rules_broken == ["text.unknown"]
    assert len(pings_of(heard)) == 1


@given(st.binary(max_size=300), st.integers(1, 40))
@settings(max_examples=examples(100))
def test_arbitrary_bytes_end_at_worst_the_one_socket(data: bytes, size: int) -> None:
    async def main() -> None:
        async with serving(quiet()) as fake:
            cookie = await fake.cookie()
            other = await fake.socket(cookie)
            client = await fake.socket(cookie)
            for start in range(0, len(data), size):
                await client.stream.send_all(data[start : start + size])
            await client.stream.send_eof()
            heard = await client.listen()
            assert client.at_end
            assert all(not one.frame.check("server") for one in heard)
            assert len(pings_of(await other.listen(until_s=trio.current_time() + 31))) == 1

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_frames_sent_together_with_the_handshake_are_not_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    early = Frame.make(Opcode.PING, b"early", mask=MASK).serialize()
    half = Frame.make(Opcode.PING, b"halved", mask=MASK).serialize()
    async with serving(quiet()) as fake:
        client = await fake.socket(early=early + half[:5])
        await client.stream.send_all(half[5:])
        heard = [await client.frame() for _ in range(3)]
    assert [frame for frame in heard if frame and frame.opcode == Opcode.PONG] == [
        Frame.make(Opcode.PONG, b"early"),
        Frame.make(Opcode.PONG, b"halved"),
    ]


# The closing handshake


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
async def test_the_clients_close_is_echoed_and_the_connection_ends(
    code: int, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        answer = await client.close(code)
        assert answer is not None
        assert answer.close_code == code
        assert await client.frame() is None
        await client.stream.send_eof()
        await trio.testing.wait_all_tasks_blocked()
        assert fake.server.hub.sockets == []
        assert fake.rules_broken == []


async def test_a_close_without_a_code_is_echoed_without_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        await client.expect(TIMEOUT)
        await client.send(Frame.make(Opcode.CLOSE, mask=MASK))
        assert await client.frame() == Frame.make(Opcode.CLOSE)
        assert await client.frame() is None


async def test_nothing_is_sent_behind_the_echo_of_a_close(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    frames = [said(b"%d" % number, number / 2) for number in range(40)]
    async with serving(script_of(tmp_path, [*upgrade(), *frames])) as fake:
        client = await fake.socket()
        await client.listen(until_s=5.25)
        await client.send(close_frame(1000, mask=MASK))
        assert [one.frame for one in await client.listen()] == [close_frame(1000)]


async def test_at_speed_max_the_echo_of_a_close_is_the_last_frame(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    frames = [said(b"x" * 100_000, number) for number in range(200)]
    script = script_of(tmp_path, [*upgrade(), *frames])
    async with serving(script, playback=Playback(speed=math.inf)) as fake:
        client = await fake.socket(lockstep=True)
        await client.frame()
        await client.send(close_frame(1000, mask=MASK))
        heard = await client.listen()
    assert [one.frame.opcode for one in heard].index(Opcode.CLOSE) == len(heard) - 1
    assert len(heard) < 100


async def test_a_close_that_is_not_answered_ends_tcp_after_a_while(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(), playback=Playback(at_end="close")) as fake:
        client = await fake.socket()
        heard = await client.listen()
        assert heard[-1].frame.close_code == 1000
        assert 0 < trio.current_time() <= 5


@pytest.mark.parametrize("how", ["eof", "abort", "half a frame"])
async def test_a_client_that_goes_away_leaves_nothing_behind(
    how: str, autojump_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        if how == "half a frame":
            await client.stream.send_all(b"\x81")
        if how == "abort":
            await trio.aclose_forcefully(client.stream)
        else:
            await client.stream.send_eof()
        await trio.sleep(100)
        assert fake.server.hub.sockets == []
        assert fake.rules_broken == []
    assert capsys.readouterr().err == ""


async def _tcp(nursery: trio.Nursery) -> tuple[Fake, trio.SocketStream]:
    """A server on a real port, and a connection to it."""
    server = FakeServer(quiet(DEVICES))
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    await nursery.start(server.serve, listeners)
    port = listeners[0].socket.getsockname()[1]
    return Fake(server, nursery), await trio.open_tcp_stream("127.0.0.1", port)


async def test_over_tcp_the_client_sees_the_close_and_an_end_without_a_reset() -> None:
    async with trio.open_nursery() as nursery:
        fake, stream = await _tcp(nursery)
        with trio.fail_after(10):
            async with stream:
                cookie = await fake.cookie()
                await stream.send_all(handshake(cookie))
                http = Http(stream)
                assert (await http.head()).status == 101
                client = Client(stream, http.rest())
                # Frames that the server will not read any more stand in its socket when it closes.
                rest = b"".join(
                    Frame.make(Opcode.TEXT, b"x" * 10_000, mask=MASK).serialize() for _ in range(50)
                )
                await stream.send_all(close_frame(1000, mask=MASK).serialize() + rest)
                heard = await client.listen()
                assert heard[-1].frame == close_frame(1000)
                assert texts_of(heard)[0] == TIMEOUT
        nursery.cancel_scope.cancel()


async def test_over_tcp_a_refused_frame_is_answered_with_a_close_and_no_reset() -> None:
    async with trio.open_nursery() as nursery:
        fake, stream = await _tcp(nursery)
        with trio.fail_after(10):
            async with stream:
                cookie = await fake.cookie()
                await stream.send_all(handshake(cookie) + b"\x81\x05hello" + b"x" * 50_000)
                http = Http(stream)
                assert (await http.head()).status == 101
                heard = await Client(stream, http.rest()).listen()
                assert heard[-1].frame.close_code == 1002
        nursery.cancel_scope.cancel()
