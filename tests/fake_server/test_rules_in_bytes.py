"""Every field of `Rules` changes what is on the wire: one case a field."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
import pytest
import trio
import trio.testing

from recorder.track.rules import Rules
from recorder.wire.frames import close_frame
from tests.fake_server.rest.test_rules_in_bytes_of_rest import CASES as OF_REST
from tests.fake_server.support import (
    TIMEOUT,
    Fake,
    handshake,
    pings_of,
    quiet,
    serving,
    text,
)


async def opening(fake: Fake) -> bytes:
    """What a socket hears at once."""
    client = await fake.socket()
    await client.listen(until_s=1)
    return client.read


async def set_cookie(fake: Fake) -> bytes:
    value = (await fake.http().log_in()).header("Set-Cookie") or ""
    return re.sub(r"node0\w+\.node0", "node0….node0", value).encode()


async def ping_times(fake: Fake) -> bytes:
    heard = await (await fake.socket()).listen(until_s=61)
    return b" ".join(b"%g" % at_s for at_s, _ in pings_of(heard))


async def unanswered(fake: Fake) -> bytes:
    """What is heard from 45 s to 65 s by a client that answers nothing; a PING is `PING`."""
    client = await fake.socket()
    await client.listen(until_s=45, answer=False)
    heard = await client.listen(until_s=65, answer=False)
    return b"".join(b"PING" if one.is_ping else one.frame.serialize() for one in heard)


async def long_key(fake: Fake) -> bytes:
    http = fake.http()
    await http.send(handshake(await fake.cookie(), key="A" * 43 + "="))
    return b"%d" % (await http.head()).status


async def no_session(fake: Fake) -> bytes:
    http = fake.http()
    await http.send(handshake(None))
    answer = await http.answer()
    return b"%d %s" % (answer.status, re.findall(rb"<h1>(.*)</h1>", answer.body)[0])


async def dead_session(fake: Fake) -> bytes:
    http = fake.http()
    await http.send(handshake("JSESSIONID=node0dead.node0"))
    return b"%d" % (await http.answer()).status


async def no_upgrade(fake: Fake) -> bytes:
    answer = await fake.http().ask("/api/socket")
    return b"%d %s" % (answer.status, (answer.header("Allow") or "").encode())


async def no_key(fake: Fake) -> bytes:
    http = fake.http()
    await http.send(handshake(await fake.cookie(), key=None))
    return b"%d" % (await http.answer()).status


async def after_hello(fake: Fake) -> bytes:
    """What a socket hears after it said something that is no pong."""
    client = await fake.socket()
    await client.expect(TIMEOUT)
    client.read = b""
    await client.text("hello")
    await client.listen(until_s=1)
    return client.read


async def after_logout(fake: Fake) -> bytes:
    cookie = await fake.cookie()
    client = await fake.socket(cookie)
    await client.expect(TIMEOUT)
    client.read = b""
    assert (await fake.http().ask("/api/session", method="DELETE", Cookie=cookie)).status == 204
    await client.listen(until_s=1)
    return client.read


async def a_day_after_login_and_less_after_the_handshake(fake: Fake) -> bytes:
    cookie = await fake.cookie()
    await trio.sleep(80_000)
    await fake.socket(cookie)
    await trio.sleep(10_000)
    return b"%d" % (await fake.http().ask("/api/devices", Cookie=cookie)).status


async def quarter_of_a_minute(fake: Fake) -> bytes:
    client = await fake.socket()
    await client.expect(TIMEOUT)
    heard = await client.listen(until_s=16)
    return b" ".join(b"%g %s" % (one.at_s, one.frame.payload) for one in heard)


async def after_a_new_beacon(fake: Fake) -> bytes:
    cookie = await fake.cookie()
    client = await fake.socket(cookie)
    await client.expect(TIMEOUT)
    answer = await fake.http().ask(
        "/api/beacons",
        method="POST",
        body=b'{"name":"new"}',
        Cookie=cookie,
        Content_Type="application/json",
    )
    assert answer.status == 200
    heard = await client.listen(until_s=1)
    return b" ".join(one.frame.payload.partition(b":")[0] for one in heard)


async def storm(fake: Fake) -> bytes:
    """What is reported of a client that opens a socket six times, each as soon as the last one has
    ended.
    """
    cookie = await fake.cookie()
    for _ in range(6):
        await (await fake.socket(cookie)).close()
    return " ".join(fake.rules_broken).encode()


class Case(NamedTuple):
    """A field's other value, what to watch, and what is seen by default and with that value."""

    value: Any
    watch: Callable[[Fake], Awaitable[bytes]]
    by_default: bytes
    changed: bytes


CASES = {
    "session_timeout_s": Case(
        1800.0,
        opening,
        text(b'{"webSessionTimeout":[86400]}'),
        text(b'{"webSessionTimeout":[1800]}'),
    ),
    "session_timeout_shown": Case("never", opening, text(b'{"webSessionTimeout":[86400]}'), b""),
    "cookie_name": Case(
        "SID",
        set_cookie,
        "JSESSIONID=node0….node0; Path=/api".encode(),
        "SID=node0….node0; Path=/api".encode(),
    ),
    "cookie_path": Case(
        "/",
        set_cookie,
        "JSESSIONID=node0….node0; Path=/api".encode(),
        "JSESSIONID=node0….node0; Path=/".encode(),
    ),
    "ping_interval_s": Case(20.0, ping_times, b"30 60", b"20 40 60"),
    "unanswered_ping": Case(
        "ignore",
        unanswered,
        close_frame(1001, "Idle timeout expired: 30000/30000 ms").serialize(),
        b"PING",
    ),
    "unanswered_ping_close_code": Case(
        1008,
        unanswered,
        close_frame(1001, "Idle timeout expired: 30000/30000 ms").serialize(),
        close_frame(1008, "Idle timeout expired: 30000/30000 ms").serialize(),
    ),
    "unanswered_ping_close_reason": Case(
        "no pong in {interval_ms} ms",
        unanswered,
        close_frame(1001, "Idle timeout expired: 30000/30000 ms").serialize(),
        close_frame(1001, "no pong in 30000 ms").serialize(),
    ),
    "socket_key": Case("strict", long_key, b"101", b"400"),
    "status_no_session": Case(
        403, no_session, b"503 503 - Service Unavailable", b"403 403 - Forbidden"
    ),
    "strict": Case(
        True, after_hello, b"", close_frame(1008, "text.unknown, manual 3.3").serialize()
    ),
    "other_client_text": Case(
        "close", after_hello, b"", close_frame(1008, "only pongs are taken").serialize()
    ),
    "status_dead_session": Case(403, dead_session, b"503", b"403"),
    "status_no_upgrade": Case(400, no_upgrade, b"405 GET", b"400 "),
    "status_bad_handshake": Case(426, no_key, b"400", b"426"),
    "logout_closes_sockets": Case(
        True, after_logout, b"", close_frame(1000, "logged out").serialize()
    ),
    "handshake_renews_session": Case(
        False, a_day_after_login_and_less_after_the_handshake, b"200", b"401"
    ),
    "keepalive_interval_s": Case(5.0, quarter_of_a_minute, b"", b"5 {} 10 {} 15 {}"),
    "beacons_pushed": Case(False, after_a_new_beacon, b'{"beacons"', b""),
    "reconnect_delay_min_s": Case(0, storm, b"socket.reconnect socket.reconnect", b""),
    "reconnects_without_delay": Case(
        4, storm, b"socket.reconnect socket.reconnect", b"socket.reconnect"
    ),
}


def test_every_field_of_the_rules_has_a_case() -> None:
    assert {*CASES, *OF_REST} == set(Rules.__struct_fields__)


@pytest.mark.parametrize("field", CASES)
def test_a_changed_field_changes_the_bytes(field: str) -> None:
    case = CASES[field]
    assert seen_under(Rules(), case.watch) == case.by_default
    changed = msgspec.structs.replace(Rules(), **{field: case.value})
    assert seen_under(changed, case.watch) == case.changed
    assert case.by_default != case.changed


def seen_under(rules: Rules, watch: Callable[[Fake], Awaitable[bytes]]) -> bytes:
    """What is seen of a server of its own, from the beginning of time."""

    async def main() -> bytes:
        async with serving(quiet(), rules=rules) as fake:
            return await watch(fake)

    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_the_session_timeout_is_also_when_the_session_ends(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(), rules=Rules(session_timeout_s=1800)) as fake:
        cookie = await fake.cookie()
        await trio.sleep(1800)
        assert (await fake.http().ask("/api/devices", Cookie=cookie)).status == 401


async def test_a_cookie_of_another_name_logs_in_under_that_name(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(), rules=Rules(cookie_name="SID")) as fake:
        cookie = await fake.cookie()
        assert cookie.startswith("SID=")
        assert (await fake.http().ask("/api/devices", Cookie=cookie)).status == 200
        wrong = cookie.replace("SID=", "JSESSIONID=")
        assert (await fake.http().ask("/api/devices", Cookie=wrong)).status == 401
