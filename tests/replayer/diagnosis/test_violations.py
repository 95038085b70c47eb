"""For every violation that the fake can log: a recording in which the diagnosis names the same
rule, on the same connection, at the same moment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from fake_server.playback import Playback
from recorder.recording import Reader
from recorder.track.rules import Rules
from recorder.track.violations import RULES
from recorder.wire.frames import Frame, Opcode
from replayer.conformance import JUDGED_RULES, conformance
from replayer.diagnosis.rules import DIAGNOSED
from tests.fake_server.support import MASK, PING, handshake, quiet
from tests.fake_server.test_conformance_of_the_fake import CLIENTS
from tests.replayer.diagnosis.support import PUSHED, Recorded, diagnosis_of, obey, recorded

Behaviour = Callable[[Recorded], Awaitable[None]]


def calls(method: str, target: str, body: bytes = b"", **headers: str) -> Behaviour:
    """Logs in, and calls."""

    async def behave(fake: Recorded) -> None:
        cookie = await fake.cookie()
        http = fake.http()
        if body:
            headers["Content_Type"] = "application/json"
        await http.ask(target, method=method, body=body, Cookie=cookie, **headers)
        await http.stream.aclose()

    return behave


async def mistypes_its_password(fake: Recorded) -> None:
    http = fake.http()
    assert (await http.log_in(password="wrong")).status == 401
    await http.stream.aclose()


async def reconnects_at_once(fake: Recorded) -> None:
    cookie = await fake.cookie()
    for _ in range(5):
        await obey(await fake.socket(cookie), 0.5)


async def polls(fake: Recorded) -> None:
    cookie = await fake.cookie()
    http = fake.http()
    for _ in range(62):
        await http.ask("/api/devices", Cookie=cookie)
        await trio.sleep(0.5)
    await http.stream.aclose()


async def listens(fake: Recorded) -> None:
    await obey(await fake.socket(), 5)


async def sends_text(fake: Recorded) -> None:
    client = await fake.socket()
    await client.text("hello")
    await obey(client, 5)


PUT = b'{"id":2,"name":"x","speed":1.0}'
OF_REST: dict[str, Behaviour] = {
    "login.refused": mistypes_its_password,
    "handshake.no-upgrade": calls("GET", "/api/socket"),
    "socket.reconnect": reconnects_at_once,
    "text.unknown": sends_text,
    "rest.wrong-method": calls("PATCH", "/api/devices"),
    "rest.bad-value": calls("GET", "/api/devices?id=abc"),
    "rest.unknown-id": calls("GET", "/api/positions?id=999"),
    "rest.unknown-parameter": calls("GET", "/api/devices?colour=red"),
    "rest.partial-put": calls("PUT", "/api/devices/1", b'{"id":1,"name":"x"}'),
    "rest.mismatched-put": calls("PUT", "/api/devices/1", PUT),
    "rest.polling": polls,
    "report.no-accept": calls(
        "GET",
        "/api/reports/route?deviceId=1&from=2026-11-22T00:00:00Z&to=2026-11-23T00:00:00Z",
    ),
    "rest.not-recorded": calls("GET", "/api/nothing-of-the-kind"),
}
NOT_TOLD = {"socket.too-slow"}
"""What the server sent stands in its recording, whether it was read or not."""

CASES: dict[str, tuple[Behaviour, Rules | None]] = {
    rule: (behave, None) for rule, behave in OF_REST.items()
}
for behave, expected, rules in CLIENTS.values():
    for one in expected:
        CASES.setdefault(one, (behave, rules))


def test_every_rule_of_the_fake_has_a_case() -> None:
    assert set(RULES) == {*CASES, "ping.repeated-uuid", *NOT_TOLD}
    assert set(RULES) - NOT_TOLD <= set(DIAGNOSED)


async def assert_told(rule: str, path: Path, fake: Recorded, rules: Rules | None) -> None:
    logged = [one for one in fake.server.violations.latest if one.rule == rule]
    assert logged, fake.rules_broken
    found = [one for one in diagnosis_of(path, rules).findings if one.rule == rule]
    assert [(one.connection, one.section) for one in found] == [
        (one.connection, one.section) for one in logged
    ]
    for mine, its in zip(found, logged, strict=True):
        assert mine.at_ns is not None
        assert its.at_ns is not None
        assert mine.at_ns == pytest.approx(its.at_ns, abs=20_000_000)
        assert mine.is_breach


@pytest.mark.parametrize("rule", CASES)
async def test_a_violation_that_the_fake_logs_is_told(
    rule: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    behave, rules = CASES[rule]
    path = tmp_path / "fake.track.jsonl"
    async with recorded(path, rules=rules, lead_s=0) as fake:
        await behave(fake)
    await assert_told(rule, path, fake, rules)
    with Reader(path) as reader:
        again = [one.rule for one in conformance(reader, rules, from_start=True)]
    # What `serve --record` says at its end.
    assert again.count(rule) == (fake.rules_broken.count(rule) if rule in JUDGED_RULES else 0)
    assert rule in JUDGED_RULES or rule.partition(".")[0] not in ("socket", "handshake")


async def test_a_repeated_uuid_of_recorded_pings_is_told(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "fake.track.jsonl"
    source = quiet(*PUSHED, PING % b"twice", PING % b"twice")
    playback = Playback(pings="recorded")
    async with recorded(path, source=source, playback=playback) as fake:
        await listens(fake)
    await assert_told("ping.repeated-uuid", path, fake, None)


@pytest.mark.parametrize(
    ("rule", "behave"),
    [(rule, behave) for rule, behave in OF_REST.items() if rule.startswith(("rest.", "report."))],
)
async def test_a_strict_fake_that_refuses_is_told_alike(
    rule: str, behave: Behaviour, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "fake.track.jsonl"
    rules = Rules(strict=True)
    async with recorded(path, rules=rules) as fake:
        await behave(fake)
    await assert_told(rule, path, fake, rules)


async def test_an_ending_names_the_unanswered_ping(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "fake.track.jsonl"
    async with recorded(path) as fake:
        client = await fake.socket()
        heard = await client.listen(answer=False)
        await client.stream.aclose()
    (uuid,) = (one.frame.payload.decode().split('"')[5] for one in heard if one.is_ping)
    (ending,) = diagnosis_of(path).endings
    assert str(ending) == (
        f"connection {ending.connection} was closed by the server at 61.010 s:"
        f" the PING of 31.000 s, {uuid}, was never answered; it gave the code 1001 (going away),"
        ' "Idle timeout expired: 30000/30000 ms" (manual 3.3)'
    )
    assert (ending.by, ending.fault) == ("server", "client")


async def test_an_ending_names_what_the_client_sent(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "fake.track.jsonl"
    async with recorded(path) as fake:
        client = await fake.socket()
        await client.send(Frame.make(11, b"", mask=MASK))
        await client.listen()
        await client.stream.aclose()
    (ending,) = diagnosis_of(path).endings
    assert "opcode 0xb is reserved" in ending.cause
    assert (ending.by, ending.fault, ending.code) == ("server", "client", 1002)


async def test_a_refused_handshake_names_the_missing_cookie(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "fake.track.jsonl"
    async with recorded(path) as fake:
        http = fake.http()
        await http.send(handshake(None))
        await http.answer()
        await http.stream.aclose()
    diagnosis = diagnosis_of(path)
    (ending,) = diagnosis.endings
    assert ending.how == "refused"
    assert ending.fault == "client"
    assert "answered 503 Service Unavailable: a request without the cookie" in ending.cause
    assert diagnosis.summary.startswith("broken (1 breach): connection ")


async def test_a_cookie_of_no_login_is_told_where_every_login_was_seen(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "fake.track.jsonl"
    async with recorded(path) as fake:
        http = fake.http()
        await http.send(handshake("JSESSIONID=node0invented.node0"))
        await http.answer()
        await http.stream.aclose()
    await assert_told("session.unknown-cookie", path, fake, None)


async def test_what_comes_behind_a_close_frame_is_told(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "fake.track.jsonl"
    async with recorded(path) as fake:
        client = await fake.socket()
        close = Frame.make(Opcode.CLOSE, b"\x03\xe8", mask=MASK)
        late = Frame.make(Opcode.TEXT, b"pong late", mask=MASK)
        await client.stream.send_all(close.serialize() + late.serialize())
        await client.listen()
        await client.stream.aclose()
    assert diagnosis_of(path).counts == {"close.client-data-after": 1}
