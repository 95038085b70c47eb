"""The whole server: sessions that expire, the timeout that is shown, and listeners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from fake_server.accounts import Accounts
from fake_server.playback import Playback
from fake_server.server import FakeServer
from recorder.credentials import Credentials
from recorder.track.rules import Rules
from recorder.track.violations import Violation
from tests.fake_server.support import (
    DEVICES,
    TIMEOUT,
    Client,
    Fake,
    Http,
    handshake,
    pings_of,
    quiet,
    said,
    script_of,
    serving,
    texts_of,
    upgrade,
)

DAY_S = 86400.0


async def rest_status(fake: Fake, cookie: str) -> int:
    return (await fake.http().ask("/api/devices", Cookie=cookie)).status


async def socket_status(fake: Fake, cookie: str) -> int:
    http = fake.http()
    await http.send(handshake(cookie))
    answer = await http.head()
    await http.stream.aclose()
    return answer.status


# Sessions


async def test_a_session_ends_a_day_after_its_last_use(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(DEVICES)) as fake:
        cookie = await fake.cookie()
        await trio.sleep(DAY_S)
        assert await rest_status(fake, cookie) == 401
        assert await socket_status(fake, cookie) == 503
        assert fake.rules_broken == ["session.expired-cookie"] * 2


async def test_rest_renews_it(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(quiet(DEVICES)) as fake:
        cookie = await fake.cookie()
        for _ in range(3):
            await trio.sleep(DAY_S - 1)
            assert await rest_status(fake, cookie) == 200
        await trio.sleep(DAY_S - 1)
        assert await socket_status(fake, cookie) == 101
        assert fake.rules_broken == []


async def test_a_call_that_is_answered_404_renews_it_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(DEVICES)) as fake:
        cookie = await fake.cookie()
        await trio.sleep(DAY_S - 1)
        assert (await fake.http().ask("/api/unknown", Cookie=cookie)).status == 404
        await trio.sleep(DAY_S - 1)
        assert await rest_status(fake, cookie) == 200


async def test_an_open_socket_outlives_its_session_as_long_as_its_pings_are_answered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(), rules=Rules(ping_interval_s=3600)) as fake:
        cookie = await fake.cookie()
        client = await fake.socket(cookie)
        heard = await client.listen(until_s=2 * DAY_S + 1)
        assert len(pings_of(heard)) == 48
        assert await rest_status(fake, cookie) == 401
        assert await socket_status(fake, cookie) == 503
        assert (await client.listen(answer=False))[-1].frame.close_code == 1001


async def test_pongs_do_not_renew_it(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(quiet(), rules=Rules(ping_interval_s=3600)) as fake:
        cookie = await fake.cookie()
        heard = await (await fake.socket(cookie)).listen(until_s=DAY_S + 1)
        assert len(pings_of(heard)) == 24
        assert await rest_status(fake, cookie) == 401


async def test_a_new_login_does_not_bring_an_old_session_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(DEVICES)) as fake:
        old = await fake.cookie()
        await trio.sleep(DAY_S)
        new = await fake.cookie()
        assert [await rest_status(fake, cookie) for cookie in (old, new)] == [401, 200]


# The timeout that is shown (manual section 3.4)

SHOWN: list[tuple[Any, list[float], list[float]]] = [
    # The rule, when a silent recording shows it, and when one that recorded it at 5 s does.
    ("open", [0], [5]),
    ("never", [], []),
    ("expiry", [DAY_S], [DAY_S]),
]


@pytest.mark.parametrize(("shown", "without", "with_recorded"), SHOWN)
async def test_the_timeout_is_shown_once_and_when_the_rules_say(
    shown: Any,
    without: list[float],
    with_recorded: list[float],
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
) -> None:
    recorded = script_of(tmp_path, [*upgrade(), said(TIMEOUT, 5)])
    rules = Rules(session_timeout_shown=shown, unanswered_ping="ignore", ping_interval_s=10_000)
    for source, expected in ((quiet(), without), (recorded, with_recorded)):
        async with serving(source, rules=rules) as fake:
            start_s = trio.current_time()
            heard = await (await fake.socket()).listen(until_s=start_s + 1.5 * DAY_S)
        times = [one.at_s - start_s for one in heard if one.frame.payload == TIMEOUT]
        assert times == expected


@pytest.mark.parametrize("at_end", ["hold", "close", "loop"])
@pytest.mark.parametrize("mode", ["shared", "per-connection"])
async def test_in_every_playback_exactly_one_is_seen(
    at_end: Any, mode: Any, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(
        tmp_path,
        [
            *upgrade(2),
            said(DEVICES, 0),
            said(b'{"webSessionTimeout":[1800]}', 1),
            *upgrade(3),
            said(b'{"webSessionTimeout":[900]}', 1, connection=3),
            said(DEVICES, 3, connection=3),
        ],
    )
    async with serving(script, playback=Playback(mode=mode, at_end=at_end)) as fake:
        for _ in range(3):
            client = await fake.socket()
            heard = await client.listen(until_s=trio.current_time() + 20)
            assert sum(b"webSessionTimeout" in payload for payload in texts_of(heard)) == 1


async def test_a_session_that_is_renewed_shows_its_expiry_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    rules = Rules(session_timeout_s=100, session_timeout_shown="expiry")
    async with serving(quiet(), rules=rules) as fake:
        cookie = await fake.cookie()
        client = await fake.socket(cookie)
        assert texts_of(await client.listen(until_s=70)) == []
        await rest_status(fake, cookie)
        heard = [
            (one.at_s, one.frame.payload)
            for one in await client.listen(until_s=500)
            if not one.is_ping
        ]
    assert heard == [(170, b'{"webSessionTimeout":[100]}')]


# What holds it together


async def test_it_serves_its_listeners_until_it_is_cancelled() -> None:
    server = FakeServer(quiet(DEVICES))
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, listeners)
        http = Http(await trio.open_tcp_stream("127.0.0.1", port))
        cookie = ((await http.log_in()).header("Set-Cookie") or "").partition(";")[0]
        await http.send(handshake(cookie))
        assert (await http.head()).status == 101
        client = Client(http.stream, http.rest())
        await client.expect(TIMEOUT, DEVICES)
        assert [socket.number for socket in server.hub.sockets] == [1]
        nursery.cancel_scope.cancel()
    await client.stream.aclose()
    with pytest.raises(OSError, match=r"127\.0\.0\.1"):
        await trio.open_tcp_stream("127.0.0.1", port)


async def test_it_serves_unix_sockets_too(tmp_path: Path) -> None:
    listening = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    await listening.bind(str(tmp_path / "s"))
    listening.listen(1)
    async with trio.open_nursery() as nursery:
        server = FakeServer(quiet(DEVICES))
        await nursery.start(server.serve, [trio.SocketListener(listening)])
        http = Http(await trio.open_unix_socket(tmp_path / "s"))
        cookie = ((await http.log_in()).header("Set-Cookie") or "").partition(";")[0]
        assert (await http.ask("/api/devices", Cookie=cookie)).status == 200
        await http.stream.aclose()
        nursery.cancel_scope.cancel()


async def test_violations_are_told_as_they_happen(autojump_clock: trio.testing.MockClock) -> None:
    told: list[Violation] = []
    async with serving(quiet(), on_violation=told.append) as fake:
        await trio.sleep(3)
        await rest_status(fake, "a=b")
    (violation,) = told
    assert (violation.rule, violation.at_ns) == ("session.no-cookie", 3_000_000_000)


async def test_accounts_are_those_that_were_given() -> None:
    accounts = Accounts([Credentials("jane@example.com", "j")])
    async with serving(quiet(), accounts=accounts) as fake:
        assert (await fake.http().log_in("jane@example.com", "j")).status == 200
        assert (await fake.http().log_in()).status == 401


async def test_no_violation_holds_the_cookie(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(quiet()) as fake:
        cookie = await fake.cookie()
        secret = cookie.partition("=")[2]
        await trio.sleep(DAY_S)
        await socket_status(fake, cookie)
        await rest_status(fake, cookie)
        await rest_status(fake, cookie + "x")
        assert len(fake.server.violations.latest) == 3
        assert secret not in str(list(fake.server.violations.latest))
        assert secret not in repr(fake.server.desk)
