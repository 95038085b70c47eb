"""What clients did is kept in order, by the server that saw it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from fake_server.accounts import Account, Accounts
from fake_server.exchange import Answer, HttpRequest
from fake_server.faults import injection_from
from fake_server.journal import KEPT_DOINGS, Doing, Journal
from fake_server.playback import Playback
from recorder.credentials import Credentials
from recorder.wire.frames import Frame, Opcode, close_frame
from tests.fake_server.support import (
    DEVICES,
    MASK,
    MOVED,
    PING,
    POSITION,
    Fake,
    handshake,
    quiet,
    said,
    script_of,
    serving,
    upgrade,
)


def told(fake: Fake) -> list[str]:
    journal = fake.server.journal
    return [journal.words(doing) for doing in journal.kept]


def kinds(fake: Fake) -> list[str]:
    return [doing.kind for doing in fake.server.journal.kept]


def of_kind(fake: Fake, kind: str) -> list[Doing]:
    return [doing for doing in fake.server.journal.kept if doing.kind == kind]


# Wired


async def test_requests_logins_and_refused_handshakes_are_kept_and_not_those_of_the_control_api(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        http = fake.http()
        await http.log_in()
        await http.log_in(password="wrong")
        await http.ask("/api/devices?id=1")
        await http.ask("/__admin", Host="localhost")
        await http.ask("/__administration")
        await http.send(handshake("JSESSIONID=nobody"))
        assert (await http.answer()).status == 503
        assert told(fake) == [
            "POST /api/session, answered 200",
            "POST /api/session, answered 401",
            "GET /api/devices?id=1, answered 401",
            "GET /__administration, answered 404",
            "GET /api/socket, answered 503",
        ]
        first = fake.server.journal.kept[0]
        assert (first.number, first.connection, first.socket, first.path) == (
            1,
            1,
            0,
            "/api/session",
        )


async def test_the_life_of_a_socket_is_kept_in_order(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(DEVICES)) as fake:
        client = await fake.socket()
        await client.listen(until_s=31)
        (uuid,) = [doing.uuid for doing in of_kind(fake, "ping")]
        await client.text("hello")
        await client.send(Frame.make(Opcode.BINARY, b"\xff", mask=MASK))
        await client.text(f"pong {uuid}")
        await client.close(1000)
        await trio.sleep(3)
        assert told(fake) == [
            "POST /api/session, answered 200",
            "opened socket 1",
            "socket 1 was sent all that was to play",
            f"PING {uuid} to socket 1",
            f"pong {uuid} on socket 1",
            "sent 'hello' on socket 1",
            "sent '\ufffd' on socket 1",
            f"sent 'pong {uuid}' on socket 1",
            "closed socket 1 with 1000",
            "socket 1 ended",
        ]
        assert len({doing.connection for doing in list(fake.server.journal.kept)[1:]}) == 1
        assert fake.server.journal.open_sockets == set()
        ping = of_kind(fake, "ping")[0]
        assert ping.at_ns == 30_000_000_000


async def test_a_close_frame_without_a_code_has_none(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        await client.send(Frame.make(Opcode.CLOSE, mask=MASK))
        await client.listen()
        (close,) = of_kind(fake, "close")
        assert close.code is None
        assert fake.server.journal.words(close) == "closed socket 1 without a code"


async def test_a_stalled_socket_keeps_the_close_frame_that_it_does_not_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    stall = injection_from({"fault": "stall"})
    async with serving(quiet(), faults=[stall]) as fake:
        client = await fake.socket()
        await client.send(close_frame(1001, mask=MASK))
        await trio.testing.wait_all_tasks_blocked()
        assert [one.code for one in of_kind(fake, "close")] == [1001]
        assert of_kind(fake, "ended") == []


@pytest.mark.parametrize("mode", ["per-connection", "shared"])
@pytest.mark.parametrize("faulty", [False, True])
async def test_recorded_pings_are_kept_when_they_go_out(
    mode: Any, faulty: bool, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    uuid = "11111111-2222-4333-8444-555555555555"
    script = script_of(tmp_path, [*upgrade(), said(PING % uuid.encode(), 3), said(MOVED, 4)])
    faults = [injection_from({"fault": "delay", "delay_s": 0.5})] if faulty else []
    playback = Playback(mode=mode, pings="recorded")
    async with serving(script, playback=playback, faults=faults) as fake:
        await (await fake.socket()).listen(until_s=10)
        assert [one.at_ns / 1e9 for one in of_kind(fake, "ping")] == [3.5 if faulty else 3.0]
        assert [one.uuid for one in of_kind(fake, "pong")] == [uuid]
        assert [one.at_ns / 1e9 for one in of_kind(fake, "played")] == [4.0]


@pytest.mark.parametrize("at_end", ["hold", "close"])
async def test_the_end_of_shared_playback_is_that_of_every_open_socket_and_of_later_ones(
    at_end: Any, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, [*upgrade(), said(DEVICES, 1), said(POSITION, 2)])
    async with serving(script, playback=Playback(mode="shared", at_end=at_end)) as fake:
        for _ in range(2):
            await fake.socket()
        await trio.sleep(3)
        assert [(one.socket, one.at_ns / 1e9) for one in of_kind(fake, "played")] == [
            (1, 2.0),
            (2, 2.0),
        ]
        await fake.socket()
        await trio.sleep(1)
        assert [one.socket for one in of_kind(fake, "played")][2:] == [3]


async def test_a_loop_never_comes_to_its_end(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, [*upgrade(), said(DEVICES, 1), said(POSITION, 2)])
    async with serving(script, playback=Playback(at_end="loop")) as fake:
        await (await fake.socket()).listen(until_s=20)
        assert "played" not in kinds(fake)


async def test_sent_frames_are_not_kept(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, [*upgrade(), *(said(MOVED, n / 100) for n in range(500))])
    async with serving(script) as fake:
        await (await fake.socket()).listen(until_s=6)
        assert kinds(fake) == ["request", "socket", "played"]


async def test_what_old_sockets_do_after_a_reset_is_not_kept(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        fake.server.control.reset()
        await client.text("late")
        await client.close()
        await trio.sleep(5)
        assert (kinds(fake), fake.server.journal.last_number) == ([], 0)
        await fake.socket()
        assert [one.number for one in fake.server.journal.kept][:2] == [1, 2]


async def test_passwords_of_accounts_are_not_in_the_words_but_the_demo_accounts_may_be(
    autojump_clock: trio.testing.MockClock,
) -> None:
    accounts = Accounts([Account(credentials=Credentials("a@example.com", "tr0ub4dor&3x"))])
    async with serving(quiet(), accounts=accounts) as fake:
        http = fake.http()
        await http.log_in("a@example.com", "tr0ub4dor&3x")
        cookie = fake.server.control.login()
        client = await fake.socket(cookie)
        await client.text("my word is tr0ub4dor&3x")
        await trio.testing.wait_all_tasks_blocked()
        shown = "\n".join(told(fake)) + repr(
            [fake.server.journal.fields(one) for one in fake.server.journal.kept]
        )
        assert "my word is" in shown
        assert "tr0ub4dor" not in shown
    async with serving(quiet()) as fake:
        client = await fake.socket()
        await client.text("a demo of it")
        await trio.testing.wait_all_tasks_blocked()
        assert "sent 'a demo of it' on socket 1" in told(fake)


# Errors of the server's own


def broken(request: HttpRequest) -> Answer:
    raise RuntimeError(f"a bug at {request.path}")


async def test_errors_of_the_server_are_kept_with_their_tracebacks_up_to_20(
    autojump_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(quiet()) as fake:
        fake.server._rest = broken
        http = fake.http()
        for n in range(25):
            assert (await http.ask(f"/api/{n}")).status == 500
        assert len(fake.server.failures) == 20
        assert "RuntimeError: a bug at /api/0\n" in fake.server.failures[0]
        assert "Traceback (most recent call last)" in fake.server.failures[0]
        assert fake.server.journal.kept[0].status == 500
    printed = capsys.readouterr().err
    assert printed.startswith("".join(fake.server.failures))
    assert "a bug at /api/24" in printed


async def test_who_is_told_of_errors_prints_them_or_not(
    autojump_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    errors: list[BaseException] = []
    async with serving(quiet(), on_error=errors.append) as fake:
        fake.server._rest = broken
        await fake.http().ask("/api/devices")
        assert [str(error) for error in errors] == ["a bug at /api/devices"]
        assert len(fake.server.failures) == 1
    assert capsys.readouterr().err == ""


# Kept


def test_only_the_latest_are_kept_but_all_are_counted() -> None:
    journal = Journal(lambda: 7)
    for _ in range(KEPT_DOINGS + 5):
        journal.note("text", payload=b"x")
    assert journal.last_number == journal.counts["text"] == KEPT_DOINGS + 5
    assert [one.number for one in journal.after(KEPT_DOINGS + 3)] == [
        KEPT_DOINGS + 4,
        KEPT_DOINGS + 5,
    ]
    assert len(journal.after(0)) == KEPT_DOINGS
    assert journal.after(10**9) == []
