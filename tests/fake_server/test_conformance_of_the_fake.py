"""What the fake reports of a client while it serves, conformance finds in the recording of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from fake_server.connection import MAX_CLIENT_MESSAGE_BYTES as LIMIT_OF_THE_FAKE
from fake_server.recording import ServerRecording
from fake_server.server import FakeServer
from recorder.recording import Reader
from recorder.track.rules import Rules
from recorder.wire.frames import Frame, Opcode, close_frame
from replayer.conformance import JUDGED_RULES, MAX_CLIENT_MESSAGE_BYTES, conformance
from tests.fake_server.support import MASK, Client, Fake, Http, handshake, pings_of, quiet

START_NS = 1_700_000_000_000_000_000


def now_ns() -> int:
    return round(trio.current_time() * 1e9)


class Recorded(Fake):
    """A fake whose every connection is recorded."""

    def __init__(
        self, server: FakeServer, nursery: trio.Nursery, recording: ServerRecording
    ) -> None:
        super().__init__(server, nursery)
        self._recording = recording
        self._tasks = nursery

    def connect(self, *, lockstep: bool = False) -> trio.abc.Stream:
        assert not lockstep
        ours, theirs = trio.testing.memory_stream_pair()
        self._tasks.start_soon(self.server.handle, self._recording.tap(theirs, "a client"))
        return ours


@asynccontextmanager
async def recorded(path: Path, **options: Any) -> AsyncIterator[Recorded]:
    """A fake that records until the block ends; the recording is whole behind it."""
    recording = ServerRecording.open(path, clock=now_ns, wall_clock=lambda: START_NS + now_ns())
    async with trio.open_nursery() as nursery:
        fake = Recorded(FakeServer(quiet(), **options), nursery, recording)
        await nursery.start(fake.server.run)
        yield fake
        await trio.testing.wait_all_tasks_blocked()
        recording.stopping()
        nursery.cancel_scope.cancel()
    recording.close()


def found_in(path: Path, rules: Rules | None) -> list[str]:
    with Reader(path) as reader:
        return [one.rule for one in conformance(reader, rules, from_start=True)]


def reported_by(fake: Fake) -> list[str]:
    return [rule for rule in fake.rules_broken if rule in JUDGED_RULES]


# Clients

Behaviour = Callable[[Recorded], Awaitable[None]]


async def closed(client: Client) -> None:
    await client.close()
    await client.listen()


async def first_ping(client: Client) -> str:
    """Waits for a PING and does not answer it."""
    while True:
        heard = await client.listen(trio.current_time() + 1, answer=False)
        if pings_of(heard):
            return pings_of(heard)[0][1]


async def clean(fake: Recorded) -> None:
    client = await fake.socket()
    await client.listen(100)
    await closed(client)


async def forgets_the_pong(fake: Recorded) -> None:
    await (await fake.socket()).listen(answer=False)


async def forgets_the_pong_and_the_close(fake: Recorded) -> None:
    client = await fake.socket()
    await client.listen(100, answer=False)


async def hangs_up_with_a_ping_open(fake: Recorded) -> None:
    client = await fake.socket()
    await first_ping(client)
    await client.stream.aclose()


async def answers_another_uuid(fake: Recorded) -> None:
    client = await fake.socket()
    uuid = await first_ping(client)
    await client.text("pong 00000000-0000-0000-0000-000000000000")
    await client.text(f"pong {uuid}")
    await closed(client)


async def answers_in_capitals_then_with_a_line_break(fake: Recorded) -> None:
    client = await fake.socket()
    uuid = await first_ping(client)
    await client.text(f"PONG {uuid}")
    await client.text(f"pong {uuid}\n")
    await client.text(f"pong {uuid}")
    await closed(client)


async def answers_twice(fake: Recorded) -> None:
    client = await fake.socket()
    uuid = await first_ping(client)
    await client.text(f"pong {uuid}")
    await client.text(f"pong {uuid}")
    await closed(client)


async def answers_before_it_is_asked(fake: Recorded) -> None:
    client = await fake.socket()
    await client.text("pong 00000000-0000-0000-0000-000000000000")
    await closed(client)


async def answers_at_the_last_moment(fake: Recorded) -> None:
    client = await fake.socket()
    uuid = await first_ping(client)
    await trio.sleep_until(60)
    await client.text(f"pong {uuid}")
    await client.listen(65)
    await closed(client)


async def answers_too_late(fake: Recorded) -> None:
    client = await fake.socket()
    uuid = await first_ping(client)
    await trio.sleep_until(60.005)
    await client.text(f"pong {uuid}")
    await client.listen()


async def answers_after_the_next_ping(fake: Recorded) -> None:
    client = await fake.socket()
    uuid = await first_ping(client)
    await client.listen(65)
    await client.text(f"pong {uuid}")
    await closed(client)


async def never_answers(fake: Recorded) -> None:
    client = await fake.socket()
    await client.listen(125, answer=False)
    await closed(client)


async def sends_a_fragmented_pong(fake: Recorded) -> None:
    client = await fake.socket()
    uuid = await first_ping(client)
    await client.send(Frame.make(Opcode.TEXT, b"pong ", fin=False, mask=MASK))
    await client.send(Frame.make(Opcode.PING, b"", mask=MASK))
    await client.send(Frame.make(Opcode.CONTINUATION, uuid.encode(), mask=MASK))
    await closed(client)


def sends(*sent: Frame) -> Behaviour:
    async def behave(fake: Recorded) -> None:
        client = await fake.socket()
        await client.stream.send_all(b"".join(frame.serialize() for frame in sent))
        await client.listen()

    return behave


def asks(request: bytes, *, log_in: bool = False) -> Behaviour:
    """Sends a request; `%s` in it becomes the cookie of a login."""

    async def behave(fake: Recorded) -> None:
        cookie = (await fake.cookie()).encode() if log_in else b""
        http = fake.http()
        await http.send(request.replace(b"%s", cookie))
        await http.answer()
        await http.stream.aclose()

    return behave


async def comes_back_too_late(fake: Recorded) -> None:
    cookie = await fake.cookie()
    await trio.sleep(99)
    assert (await fake.http().ask("/api/devices", Cookie=cookie)).status == 200
    await trio.sleep(99)
    await closed(await fake.socket(cookie))
    await trio.sleep(100)
    assert (await fake.http().ask("/api/devices", Cookie=cookie)).status == 401
    http = Http(fake.connect())
    await http.send(handshake(cookie))
    assert (await http.answer()).status == 503


async def comes_back_after_a_logout(fake: Recorded) -> None:
    cookie = await fake.cookie()
    assert (await fake.http().ask("/api/session", method="DELETE", Cookie=cookie)).status == 204
    http = fake.http()
    await http.send(handshake(cookie))
    await http.answer()


async def tries_again_on_one_connection(fake: Recorded) -> None:
    http = fake.http()
    await http.send(handshake(None))
    assert (await http.answer()).status == 503
    assert (await http.log_in("demo@example.com", "wrong")).status == 401
    cookie = ((await http.log_in()).header("Set-Cookie") or "").partition(";")[0]
    assert (await http.ask("/api/session")).status == 404
    assert (await http.ask("/api/devices", Cookie=cookie)).status == 200
    await http.send(handshake(cookie))
    assert (await http.head()).status == 101
    await closed(Client(http.stream, http.rest()))


text = Frame.make(Opcode.TEXT, b"hello", mask=MASK)
CLIENTS: dict[str, tuple[Behaviour, list[str], Rules | None]] = {
    one.__name__: (one, expected, rules)
    for one, expected, rules in [
        (clean, [], None),
        (forgets_the_pong, ["pong.missing"], None),
        (forgets_the_pong_and_the_close, ["pong.missing"], None),
        (hangs_up_with_a_ping_open, [], None),
        (answers_another_uuid, ["pong.wrong-uuid"], None),
        (answers_in_capitals_then_with_a_line_break, ["pong.malformed"] * 2, None),
        (answers_twice, ["pong.repeated"], None),
        (answers_before_it_is_asked, ["pong.unsolicited"], None),
        (answers_at_the_last_moment, [], None),
        (answers_too_late, ["pong.late"], None),
        (
            answers_after_the_next_ping,
            ["pong.missing", "pong.late"],
            Rules(unanswered_ping="ignore"),
        ),
        (never_answers, ["pong.missing"] * 3, Rules(unanswered_ping="ignore")),
        (sends_a_fragmented_pong, [], None),
        (
            comes_back_too_late,
            ["session.expired-cookie"] * 2,
            Rules(session_timeout_s=100),
        ),
        (comes_back_after_a_logout, ["session.unknown-cookie"], None),
        (tries_again_on_one_connection, ["session.no-cookie"], None),
    ]
} | {
    name: (behave, expected, None)
    for name, behave, expected in [
        ("unmasked", sends(Frame.make(Opcode.TEXT, b"pong x"), text), ["frame.broken"]),
        ("reserved opcode", sends(Frame.make(11, b"", mask=MASK), text), ["frame.broken"]),
        ("bad UTF-8", sends(Frame.make(Opcode.TEXT, b"\xff", mask=MASK)), ["frame.broken"]),
        ("bad close", sends(close_frame(1005, mask=MASK)), ["frame.broken"]),
        (
            "continues nothing",
            sends(Frame.make(Opcode.CONTINUATION, b"", mask=MASK)),
            ["frame.broken"],
        ),
        (
            "too long",
            sends(Frame.make(Opcode.BINARY, bytes(LIMIT_OF_THE_FAKE + 1), mask=MASK)),
            ["frame.broken"],
        ),
        (
            "too long in fragments",
            sends(
                Frame.make(Opcode.BINARY, bytes(LIMIT_OF_THE_FAKE), fin=False, mask=MASK),
                Frame.make(Opcode.CONTINUATION, b"1", mask=MASK),
            ),
            ["frame.broken"],
        ),
        (
            "a pong as a binary message",
            sends(Frame.make(Opcode.BINARY, b"pong x", mask=MASK), close_frame(1000, mask=MASK)),
            ["text.unknown"],
        ),
        ("talks on behind its close", sends(close_frame(1000, mask=MASK), text), []),
        ("no cookie", asks(handshake(None)), ["session.no-cookie"]),
        ("unknown cookie", asks(handshake("JSESSIONID=node0x.node0")), ["session.unknown-cookie"]),
        (
            "short key",
            asks(handshake("%s", key="c2hvcnQ="), log_in=True),
            ["handshake.bad-key"],
        ),
        (
            "short key and no cookie",
            asks(handshake(None, key="c2hvcnQ=")),
            ["handshake.bad-key", "session.no-cookie"],
        ),
        ("no key", asks(handshake(None, key=None)), ["handshake.missing-key"]),
        ("old version", asks(handshake(None, version="8")), ["handshake.bad-version"]),
        (
            "REST without a cookie",
            asks(b"GET /api/devices HTTP/1.1\r\nHost: t\r\n\r\n"),
            ["session.no-cookie"],
        ),
    ]
}


@pytest.mark.parametrize("name", CLIENTS)
async def test_conformance_finds_what_the_fake_reports(
    name: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    behave, expected, rules = CLIENTS[name]
    path = tmp_path / "fake.track.jsonl"
    async with recorded(path, rules=rules) as fake:
        await behave(fake)
    assert reported_by(fake) == expected
    assert found_in(path, rules) == expected


async def test_conformance_tells_clients_at_the_same_time_apart(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "fake.track.jsonl"
    together = [one for one in CLIENTS.values() if one[2] is None]
    async with recorded(path) as fake, trio.open_nursery() as clients:
        for behave, _, _ in together:
            clients.start_soon(behave, fake)
    expected = Counter(rule for _, rules, _ in together for rule in rules)
    assert Counter(reported_by(fake)) == expected
    assert Counter(found_in(path, None)) == expected


def test_both_take_messages_up_to_the_same_size() -> None:
    assert MAX_CLIENT_MESSAGE_BYTES == LIMIT_OF_THE_FAKE
