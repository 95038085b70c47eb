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
from tests.fake_server.support import Fake, handshake, pings_of, quiet, serving, text

FORM = "application/x-www-form-urlencoded"


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


def posting(body: bytes, content_type: str = FORM) -> Callable[[Fake], Awaitable[bytes]]:
    async def post(fake: Fake) -> bytes:
        answer = await fake.http().ask(
            "/api/session", method="POST", body=body, Content_Type=content_type
        )
        return b"%d" % answer.status

    return post


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
    "status_wrong_password": Case(
        403, posting(b"email=demo%40example.com&password=x"), b"401", b"403"
    ),
    "status_missing_field": Case(422, posting(b"email=demo%40example.com"), b"400", b"422"),
    "status_json_login": Case(400, posting(b"{}", "application/json"), b"415", b"400"),
}


def test_every_field_of_the_rules_has_a_case() -> None:
    assert set(CASES) == set(Rules.__struct_fields__)


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
