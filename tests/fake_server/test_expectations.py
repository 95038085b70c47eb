"""Expectations: each takes a doing once, waits with a deadline, and explains its failure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.expectations import Expectation, ExpectationFailed, Expectations
from fake_server.faults import injection_from
from fake_server.journal import Doing, Journal
from fake_server.playback import Playback
from recorder.track.kinds import ping_uuids
from recorder.track.rules import Rules
from recorder.wire.frames import Frame, Opcode
from tests.fake_server.support import (
    DEVICES,
    MOVED,
    TIMEOUT,
    Client,
    Fake,
    handshake,
    pings_of,
    quiet,
    said,
    script_of,
    serving,
    upgrade,
)
from tests.profiles import examples


async def failure(fake: Fake, what: str, within_s: float = 2.0, **values: Any) -> str:
    """The text of an expectation that fails, after as long as it said, uuids aside."""
    began_s = trio.current_time()
    with pytest.raises(ExpectationFailed) as raised:
        await fake.server.control.expect(Expectation.of(what, **values), within_s=within_s)
    assert trio.current_time() == pytest.approx(began_s + within_s)
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>", str(raised.value))


async def seen(fake: Fake, what: str, within_s: float = 2.0, **values: Any) -> str:
    doing = await fake.server.control.expect(Expectation.of(what, **values), within_s=within_s)
    return fake.server.journal.words(doing)


# Values


@pytest.mark.parametrize(
    ("what", "values", "words"),
    [
        ("pong", {}, "a pong"),
        ("pong", {"socket": 2}, "a pong on socket 2"),
        ("ping", {"uuid": "a-b"}, "a PING a-b"),
        ("request", {}, "a request"),
        ("request", {"method": "GET", "path": "/api/devices"}, "a request GET /api/devices"),
        ("socket", {}, "a socket"),
        ("socket", {"socket": 3}, "socket 3"),
        ("login", {}, "a login"),
        ("text", {"text": "pong\n"}, "a text 'pong\\n'"),
        ("close", {"code": 1000}, "a close frame with 1000"),
        ("close", {"code": 1001, "socket": 1}, "a close frame with 1001 on socket 1"),
        ("ended", {"socket": 1}, "the end of a socket on socket 1"),
        ("played", {"socket": None}, "the end of playback"),
    ],
)
def test_an_expectation_says_what_it_waits_for(
    what: str, values: dict[str, Any], words: str
) -> None:
    assert Expectation.of(what, **values).words == words


@pytest.mark.parametrize(
    ("what", "values", "error"),
    [
        ("png", {}, "what: read 'png', expected one of request, login, socket, ping, pong, text"),
        ("pong", {"code": 1}, "'code': pong does not have it, expected socket, uuid"),
        ("login", {"path": "/"}, "'path': login does not have it, expected nothing more"),
        ("pong", {"socket": "1"}, "socket: read '1', expected a number"),
        ("pong", {"socket": True}, "socket: read 'True', expected a number"),
        ("request", {"path": 7}, "path: read '7', expected a text"),
        ("request", {"path": "api"}, "path: read 'api', expected it to begin with /"),
    ],
)
def test_a_value_that_cannot_be_is_refused(what: str, values: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=re.escape(error)):
        Expectation.of(what, **values)


def test_a_path_is_compared_without_the_query_unless_it_has_one() -> None:
    journal = Journal(lambda: 0)
    journal.note("request", method="GET", target="/api/devices?id=1", status=200)
    (doing,) = journal.kept
    matching = {"/api/devices": True, "/api/devices?id=1": True, "/api/devices?id=2": False}
    for path, expected in matching.items():
        assert Expectation.of("request", path=path).matches(doing) is expected


# Taking


@settings(max_examples=examples(100))
@given(st.lists(st.tuples(st.sampled_from(["pong", "text", "socket"]), st.integers(1, 3))))
def test_every_doing_is_taken_once_and_in_order(doings: list[tuple[Any, int]]) -> None:
    journal = Journal(lambda: 0)
    expectations = Expectations(journal)
    for kind, socket in doings:
        journal.note(kind, socket=socket)
    for expectation in (Expectation.of("pong"), Expectation.of("pong", socket=2)):
        taken = []
        while (doing := expectations.take(expectation)) is not None:
            taken.append(doing)
        assert taken == [one for one in journal.kept if expectation.matches(one)]
        assert expectations.take(expectation) is None
        journal.note("pong", socket=2)
        assert expectations.take(expectation) == journal.kept[-1]


async def test_what_happened_before_counts_once(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(quiet()) as fake:
        await fake.socket()
        assert await seen(fake, "socket", within_s=0) == "opened socket 1"
        assert await seen(fake, "login", within_s=0) == "POST /api/session, answered 200"
        assert await failure(fake, "socket") == (
            "waited 2.0 s for a socket; meanwhile the client did nothing"
        )
        await fake.socket()
        assert await seen(fake, "socket", within_s=0) == "opened socket 2"


async def test_a_text_that_came_before_is_told_where_another_was_expected(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        await client.text("hello")
        assert await seen(fake, "text") == "sent 'hello' on socket 1"
        assert await failure(fake, "text", text="hallo") == (
            "waited 2.0 s for a text 'hallo'; meanwhile the client did nothing\n"
            "the last text was: sent 'hello' on socket 1"
        )


async def test_two_who_wait_for_the_same_get_one_each(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        heard: list[str] = []

        async def wait() -> None:
            heard.append(await seen(fake, "text"))

        client = await fake.socket()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            nursery.start_soon(wait)
            await trio.sleep(0.5)
            await client.text("one")
            await client.text("two")
        assert sorted(heard) == ["sent 'one' on socket 1", "sent 'two' on socket 1"]


async def test_a_reset_forgets_what_was_taken(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(quiet()) as fake:
        for _ in range(2):
            await fake.socket()
            assert await seen(fake, "socket", within_s=0) == "opened socket 1"
            fake.server.control.reset()


@pytest.mark.parametrize("within_s", [-1, float("inf"), float("nan")])
async def test_a_time_that_is_none_is_refused(within_s: float) -> None:
    expectations = Expectations(Journal(lambda: 0))
    with pytest.raises(ValueError, match=r"within_s: read .*, expected seconds, 0 or more"):
        await expectations.fulfil(Expectation.of("pong"), within_s=within_s)


async def test_what_comes_at_the_very_deadline_is_in_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = Journal(lambda: 0)

    def come() -> None:
        journal.note("pong", socket=4)

    doing = await Expectations(journal).fulfil(Expectation.of("pong"), within_s=0, urge=come)
    assert doing.socket == 4


# Failing


async def test_who_waits_looks_at_each_doing_once(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[int] = []

    def matches(self: Expectation, doing: Doing) -> bool:
        looked_at.append(doing.number)
        return False

    monkeypatch.setattr(Expectation, "matches", matches)
    journal = Journal(lambda: 0)
    for _ in range(10):
        journal.note("pong", uuid="u")
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def wait() -> None:
            with pytest.raises(ExpectationFailed):
                await Expectations(journal).fulfil(Expectation.of("pong"), within_s=1)

        for _ in range(10):
            await trio.testing.wait_all_tasks_blocked()
            journal.note("pong", uuid="u")
            journal.note("text")
    assert looked_at == [*range(1, 11), *range(11, 31, 2)]


async def test_who_waits_at_a_reset_takes_nothing_from_those_who_come_behind_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:

        async def begin_again() -> None:
            await trio.sleep(1)
            fake.server.control.reset()
            await fake.http().log_in()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(begin_again)
            with pytest.raises(ExpectationFailed, match="1 s for a login; then the server was res"):
                await fake.server.control.expect(Expectation.of("login"))
            assert trio.current_time() == 1
        assert await seen(fake, "login", within_s=0) == "POST /api/session, answered 200"


async def test_the_ping_that_is_named_is_one_that_could_still_be_answered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        gone, client = await fake.socket(), await fake.socket()
        fake.server.control.ping()
        await client.listen(until_s=3)
        await gone.close()
        await trio.sleep(3)
        await seen(fake, "pong")
        assert (await failure(fake, "pong")).splitlines()[1:] == [
            "the PING <uuid> to socket 2 is unanswered since 2.0 s"
        ]


async def test_the_last_doings_are_told_with_their_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        await trio.testing.wait_all_tasks_blocked()
        http = fake.http()

        async def act() -> None:
            await trio.sleep(0.25)
            await http.ask("/api/devices")
            await trio.sleep(1)
            await client.text("hello")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(act)
            assert await failure(fake, "close", code=1000) == (
                "waited 2.0 s for a close frame with 1000; meanwhile:\n"
                "  0.250 s  GET /api/devices, answered 401\n"
                "  1.250 s  sent 'hello' on socket 1"
            )

        async def act_often() -> None:
            for n in range(7):
                await client.text(f"text {n}")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(act_often)
            assert await failure(fake, "close", within_s=0.125) == (
                "waited 0.125 s for a close frame; meanwhile, the last 5 of 7:\n"
                + "\n".join(f"  0.000 s  sent 'text {n}' on socket 1" for n in range(2, 7))
            )


async def test_a_pong_that_never_comes_names_the_ping(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        assert await failure(fake, "pong") == (
            "waited 2.0 s for a pong; meanwhile the client did nothing\nno socket is open"
        )
        client = await fake.socket()
        await trio.sleep(1)
        assert await failure(fake, "pong") == (
            "waited 2.0 s for a pong; meanwhile the client did nothing\n"
            "the PING <uuid> to socket 1 is unanswered since 2.0 s"
        )
        assert await failure(fake, "pong", within_s=1, socket=2) == (
            "waited 1.0 s for a pong on socket 2; meanwhile the client did nothing\n"
            "socket 2 is not open; open are: 1"
        )
        assert len(pings_of(await client.listen(until_s=trio.current_time() + 1))) == 1


async def test_a_request_that_never_comes_is_told_with_the_nearest(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        await fake.http().ask("/api/device?password=9")
        text = await failure(fake, "request", method="GET", path="/api/devices")
        assert text.splitlines()[0] == (
            "waited 2.0 s for a request GET /api/devices; meanwhile the client did nothing"
        )
        assert text.splitlines()[1].startswith("the nearest request was GET /api/device?password=")
        assert "=9" not in text


async def test_a_login_and_a_socket_that_were_refused_are_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        http = fake.http()
        await http.log_in(password="wrong")
        assert (await failure(fake, "login")).splitlines()[1:] == [
            "the last login was refused: POST /api/session, answered 401"
        ]
        await http.send(handshake("JSESSIONID=nobody"))
        await http.answer()
        assert (await failure(fake, "socket")).splitlines()[1:] == [
            "the last handshake was refused: GET /api/socket, answered 503"
        ]
        await fake.socket()
        await seen(fake, "socket")
        await seen(fake, "login")
        assert len((await failure(fake, "socket")).splitlines()) == 1
        assert len((await failure(fake, "login")).splitlines()) == 1


# PINGs


async def next_text(client: Client) -> bytes:
    frame = await client.frame()
    assert frame is not None
    assert frame.opcode == Opcode.TEXT
    return frame.payload


@pytest.mark.parametrize("pings", ["live", "recorded"])
@pytest.mark.parametrize("faulty", [False, True])
async def test_a_ping_goes_out_now_and_must_be_answered(
    pings: Any, faulty: bool, autojump_clock: trio.testing.MockClock
) -> None:
    faults = [injection_from({"fault": "delay", "delay_s": 0.5})] if faulty else []
    playback = Playback(pings=pings)
    async with serving(quiet(DEVICES), playback=playback, faults=faults) as fake:
        client, silent = await fake.socket(), await fake.socket()
        await trio.sleep(1)
        first, second = fake.server.control.ping()
        heard = await client.listen(until_s=2)
        assert pings_of(heard) == [(1.5 if faulty else 1.0, first)]
        await trio.testing.wait_all_tasks_blocked()
        shown = fake.server.control.status()["sockets"]
        assert [(one["pings"], one["pongs"], one["unanswered"]) for one in shown] == [
            (1, 1, []),
            (1, 0, [second]),
        ]
        assert fake.server.control.ping(1) != [first]
        await client.listen(until_s=70)
        last = (await silent.listen(answer=False))[-1].frame
        assert last.opcode == Opcode.CLOSE
        assert set(fake.rules_broken) == {"pong.missing"}
        assert [one.number for one in fake.server.control.open_sockets] == [1]


async def test_a_ping_that_faults_lose_is_owed_by_nobody(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(), faults=[injection_from({"fault": "loss"})]) as fake:
        client = await fake.socket()
        assert len(fake.server.control.ping()) == 1
        assert pings_of(await client.listen(until_s=100)) == []
        assert fake.rules_broken == []
        assert "ping" not in fake.server.journal.counts


async def test_who_expects_a_pong_sends_one_ping_even_if_faults_lose_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        number = fake.server.faults.add(injection_from({"fault": "loss"}))

        async def chatter() -> None:
            for _ in range(3):
                await trio.sleep(0.25)
                await client.text("hello")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(chatter)
            await failure(fake, "pong")
        assert fake.server.faults.struck(number) == 1


async def test_between_the_fragments_of_a_message_a_ping_waits(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    half = len(DEVICES) // 2
    fragments = [
        said(Frame.make(Opcode.TEXT, DEVICES[:half], fin=False), 1),
        said(Frame.make(Opcode.CONTINUATION, DEVICES[half:]), 3),
    ]
    async with serving(script_of(tmp_path, [*upgrade(), *fragments, said(MOVED, 9)])) as fake:
        client = await fake.socket()
        await trio.sleep(2)
        (uuid,) = fake.server.control.ping(1)
        assert fake.server.control.status()["sockets"][0]["unanswered"] == []
        heard = await client.listen(until_s=5)
        assert [one.frame.opcode for one in heard[-3:]] == [
            Opcode.TEXT,
            Opcode.CONTINUATION,
            Opcode.TEXT,
        ]
        assert pings_of(heard) == [(3.0, uuid)]


async def test_a_ping_to_a_socket_that_is_not_open_is_refused(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        assert fake.server.control.ping() == []
        with pytest.raises(LookupError, match="there is no open socket 4; open are: none"):
            fake.server.control.ping(4)


async def test_who_expects_a_pong_need_not_wait_for_the_next_ping(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.listen)
            for _ in range(3):
                assert (await seen(fake, "pong", within_s=1)).startswith("pong ")
            nursery.cancel_scope.cancel()
        assert trio.current_time() < 1
        assert fake.server.journal.counts["ping"] == 3


async def test_no_ping_is_sent_while_one_is_unanswered_or_a_pong_is_there_to_take(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        assert await next_text(client) == TIMEOUT
        fake.server.control.ping()
        await failure(fake, "pong", within_s=1)
        assert fake.server.journal.counts["ping"] == 1
        (uuid,) = ping_uuids(await next_text(client))
        await client.text(f"pong {uuid}")
        await trio.testing.wait_all_tasks_blocked()
        assert await seen(fake, "pong") == f"pong {uuid} on socket 1"
        assert fake.server.journal.counts["ping"] == 1


async def test_a_socket_that_opens_while_a_pong_is_expected_is_sent_a_ping(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(), rules=Rules()) as fake:

        async def come_late() -> None:
            await trio.sleep(3)
            await (await fake.socket()).listen(until_s=9)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(come_late)
            assert (await seen(fake, "pong", within_s=5)).endswith(" on socket 1")
            assert trio.current_time() == pytest.approx(3)
