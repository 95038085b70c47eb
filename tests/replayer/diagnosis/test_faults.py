"""For every fault of the fake: a recording of a client that keeps to the rules and meets it, and
what the diagnosis says of it: the cause, the moment, and whose doing it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
import trio
import trio.testing

from fake_server.faults import FAULTS
from fake_server.recording import ServerRecording
from fake_server.server import FakeServer
from recorder.track.rules import Rules
from replayer.diagnosis.model import Diagnosis
from tests.fake_server.faults.support import injections
from tests.fake_server.support import Client, Http, handshake, quiet
from tests.replayer.diagnosis.support import (
    PUSHED,
    Recorded,
    breaches,
    diagnosis_of,
    obey,
    recorded,
    rules_of,
    the,
)


class Case(NamedTuple):
    """What is seen of a fault: a rule, and in what words; and of the socket's end."""

    fault: str
    rule: str
    at_s: float
    words: str
    by: str = "server"
    is_breach: bool = True
    ends: str = "was closed by the client at 131.000 s: it gave the code 1000"


FORBIDDEN = "was closed by the client at 1.000 s: the server broke the rules of frames: "
ON_SOCKETS: dict[str, Case] = {
    "broken-json": Case("broken-json:after=1,count=1", "message.broken-json", 1, "no JSON"),
    "bad-utf8": Case(
        "bad-utf8:after=2", "message.bad-utf8", 1, "not UTF-8", ends=FORBIDDEN + "a text message"
    ),
    "joined-texts": Case(
        "joined-texts", "message.several-texts", 1, "2 JSON texts", is_breach=False
    ),
    "field-removed": Case(
        "field-removed:key=deviceId,objects=positions",
        "join.field",
        1,
        "position 11 has the deviceId null or missing",
    ),
    "field-retyped": Case(
        "field-retyped:key=deviceId", "join.field", 1, 'position 11 has the deviceId "1"'
    ),
    "field-null": Case("field-null:key=id,objects=positions", "join.field", 1, "whose id is null"),
    "duplicate": Case(
        "duplicate:after=4,count=1", "message.repeated", 1, "the same message", is_breach=False
    ),
    "reorder": Case(
        "reorder:after=4,count=1",
        "message.out-of-order",
        1,
        "position 13 of device 1 came behind the newer 14",
        is_breach=False,
    ),
    "loss": Case(
        "loss:kinds=positions,count=1",
        "join.unknown-position",
        1,
        "device 1 names position 11, which never came",
    ),
    "fragmentation": Case(
        "fragmentation:kinds=devices,pieces=3",
        "frame.fragmented",
        1,
        "3 fragments",
        is_breach=False,
    ),
    "reserved-bits": Case(
        "reserved-bits", "frame.server-broken", 1, "bits 100", ends=FORBIDDEN + "reserved bits"
    ),
    "reserved-opcode": Case(
        "reserved-opcode", "frame.server-broken", 1, "opcode 0x3", ends=FORBIDDEN + "opcode"
    ),
    "masked-frame": Case(
        "masked-frame", "frame.server-broken", 1, "masked", ends=FORBIDDEN + "a server's frame"
    ),
    "oversized-frame": Case(
        "oversized-frame:after=1",
        "frame.server-broken",
        1,
        "a frame of 9223372036854775807 bytes",
        ends=FORBIDDEN + "a frame of 92",
    ),
    "chunking": Case(
        "chunking:pause_s=0.1,kinds=devices",
        "frame.slow",
        8.2,
        "took 7.200 s",
        by="network",
        is_breach=False,
    ),
    "torn-frame": Case(
        "torn-frame:kinds=PING,after=1",
        "frame.torn",
        61,
        "58 bytes had come",
        by="network",
        ends="was closed by the server at 61.000 s: the stream ended inside a frame",
    ),
    "delay": Case("delay:delay_s=12,kinds=PING", "ping.late", 43, "12.000 s late", is_breach=False),
    "stall": Case(
        "stall:at_s=45",
        "socket.silent",
        61,
        "nothing came any more behind 31.000 s",
        ends="was closed by the client at 131.000 s: nothing came any more",
    ),
    "close": Case(
        "close:at_s=45",
        "close.unexplained",
        46,
        "1011 (internal error)",
        ends="was closed by the server at 46.000 s: it gave the code 1011",
    ),
    "fin": Case(
        "fin:at_s=45",
        "close.without-frame",
        46,
        "TCP ended without a close frame",
        ends="was closed by the server at 46.000 s: TCP ended without",
    ),
    "flood": Case("flood:at_s=40", "message.flood", 41, "500 messages within 0.4", is_breach=False),
    "ping-late": Case(
        "ping-late:after=1,count=1", "ping.late", 66, "5.000 s late", is_breach=False
    ),
    "ping-absent": Case(
        "ping-absent:after=1,count=1",
        "ping.absent",
        61,
        "no PING came from 31.000 s to 91.000 s",
    ),
    "ping-doubled": Case(
        "ping-doubled:after=1,count=1", "ping.repeated-uuid", 61, "again, 0.000 s after"
    ),
    "ping-repeated": Case("ping-repeated", "ping.repeated-uuid", 61, "again, 30.000 s after"),
    "session-expiry": Case(
        "session-expiry:at_s=45",
        "session.ended-early",
        131,
        "GET /api/devices was answered 401",
    ),
    "slow-login": Case("slow-login:delay_s=12", "login.slow", 1, "12.000 s", is_breach=False),
}
HANDSHAKES: dict[str, Case] = {
    "refusal": Case(
        "refusal:status=502,body=nginx",
        "handshake.refused",
        1,
        "502 Bad Gateway by nginx, although its session had time left",
        ends="was refused by the server at 1.000 s: the handshake was answered 502",
    ),
    "wrong-accept": Case(
        "wrong-accept",
        "handshake.wrong-accept",
        1,
        "does not answer the key",
        ends="by the client at 1.000 s: Sec-WebSocket-Accept",
    ),
    "silence": Case(
        "silence:hang_up_s=20",
        "handshake.unanswered",
        21,
        "was not answered for 20.000 s",
        ends="was closed by the server at 21.000 s: the upgrade",
    ),
}
TOLD_OTHERWISE = {"rst", "field-added"}
"""By a test of its own; and by nothing, which has one, too."""

NAMES_POSITION = b'{"devices":[{"id":1,"name":"one","positionId":11},{"id":2,"name":"two"}]}'


def expect(case: Case, diagnosis: Diagnosis) -> None:
    found = the(diagnosis, case.rule)
    # The socket opens at 1 s, and the client closes it 130 s later, if it lives.
    assert found.at_ns == pytest.approx(case.at_s * 1e9, abs=20_000_000)
    assert case.words in found.seen
    assert (found.by, found.is_breach) == (case.by, case.is_breach)
    assert diagnosis.kept == (not case.is_breach)
    if case.rule not in ("login.slow", "session.ended-early"):
        # Calls have connections of their own.
        assert found.connection == diagnosis.endings[0].connection
    # Nothing else is blamed.
    assert {one.rule for one in breaches(diagnosis)} <= {case.rule}
    (ending,) = diagnosis.endings
    late_s = 12 if case.fault.startswith("slow-login") else 0
    assert case.ends.replace("131.", f"{131 + late_s}.") in str(ending)


def test_every_fault_has_a_case() -> None:
    assert set(FAULTS) == {*ON_SOCKETS, *HANDSHAKES, *TOLD_OTHERWISE}


async def visit(fake: Recorded) -> None:
    """A socket for 130 s, and a call behind it."""
    await obey(await fake.socket(), 130)
    await fake.http().ask("/api/devices", Cookie=fake.cookie_header)


@pytest.mark.parametrize("fault", ON_SOCKETS)
async def test_a_fault_is_named_with_its_moment(
    fault: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    case = ON_SOCKETS[fault]
    path = tmp_path / "fake.track.jsonl"
    says = (NAMES_POSITION, *PUSHED[1:3]) if fault == "loss" else PUSHED
    async with recorded(path, case.fault, says=says) as fake:
        await visit(fake)
    expect(case, diagnosis_of(path))


@pytest.mark.parametrize("fault", HANDSHAKES)
async def test_a_fault_of_a_handshake_is_named_with_its_moment(
    fault: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    case = HANDSHAKES[fault]
    path = tmp_path / "fake.track.jsonl"
    async with recorded(path, case.fault) as fake:
        cookie = await fake.cookie()
        http = fake.http()
        await http.send(handshake(cookie))
        if fault == "silence":
            assert await http.ended()
        else:
            await http.head()
        await http.stream.aclose()
    expect(case, diagnosis_of(path))


async def test_a_reset_is_named(tmp_path: Path) -> None:
    # Memory has no TCP that could be reset.
    path = tmp_path / "fake.track.jsonl"
    recording = ServerRecording.open(path)
    server = FakeServer(quiet(*PUSHED), faults=injections(["rst:after=5"]))
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)

        async def handle(stream: trio.SocketStream) -> None:
            await server.handle(recording.tap(stream, "a client"))

        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, handle, [listener])
        session = server.desk.login("demo@example.com")
        stream = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
        http = Http(stream)
        await http.send(handshake(f"JSESSIONID={session.id}"))
        await http.head()
        with trio.fail_after(10), pytest.raises(trio.BrokenResourceError):
            await Client(stream, http.rest()).listen()
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    recording.close()
    # The test's session was begun without a login.
    diagnosis = diagnosis_of(path)
    found = the(diagnosis, "tcp.reset")
    assert (found.by, found.is_breach, found.connection) == ("network", True, 1)
    (ending,) = diagnosis.endings
    assert "was reset by the server" in str(ending)
    assert "without a close frame" in ending.cause


@pytest.mark.parametrize(
    "fault",
    [
        "field-added:key=future",
        "field-removed:key=name",
        "loss:kinds=beacons",
        "delay",
        "chunking:pause_s=0.001",
        "slow-login:delay_s=2",
        "joined-texts:texts=2,kinds=beacons",
        "flood:at_s=40,messages=400,size_bytes=50,messages_per_s=10",
        "oversized-frame:probability=0",
    ],
)
async def test_what_keeps_the_rules_is_not_blamed(
    fault: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "fake.track.jsonl"
    async with recorded(path, fault) as fake:
        await visit(fake)
    assert breaches(diagnosis_of(path)) == []


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ("oversized-frame:size_bytes=70000,after=1", "socket.silent"),
        ("close:code=1005,at_s=45", "frame.server-broken"),
        ("close:code=1001,at_s=45", "close.going-away"),
        ("field-null:key=message,objects=status", "ping.malformed"),
        ("field-removed:key=type,objects=status", "ping.malformed"),
        ("loss:kinds=PING,count=1", "ping.absent"),
        ("loss:count=1", "timeout.missing"),
        ("loss:kinds=devices,count=1", "opening.missing"),
        ("delay:delay_s=70,kinds=PING", "ping.absent"),
        ("broken-json:mode=trailing-comma,count=1", "message.broken-json"),
        ("bad-utf8:sequence=surrogate,count=1", "message.bad-utf8"),
        ("duplicate:kinds=PING,count=1", "ping.repeated-uuid"),
        ("fragmentation:kinds=PING", "frame.fragmented"),
        ("ping-late:delay_s=40,count=1", "ping.absent"),
        ("field-retyped:key=id,objects=devices", "join.field"),
        ("field-null:key=id,objects=beacons", "join.field"),
        ("field-retyped:key=beaconId", "join.field"),
    ],
)
async def test_other_forms_of_a_fault_are_named_too(
    fault: str, rule: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "fake.track.jsonl"
    async with recorded(path, fault) as fake:
        await visit(fake)
    assert rule in diagnosis_of(path).counts


async def test_the_fake_without_faults_and_a_good_client_keep_every_rule(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "fake.track.jsonl"
    async with recorded(path) as fake:
        await visit(fake)
        await trio.sleep(2)
        await visit(fake)
    diagnosis = diagnosis_of(path)
    assert rules_of(diagnosis) == []
    assert diagnosis.kept
    assert diagnosis.judged.openings == {"devices, beacons, positions": 2}
    assert (diagnosis.judged.sockets, diagnosis.judged.pings) == (2, 8)
    assert diagnosis.judged.pings_answered == 8


async def test_a_refused_session_at_a_handshake_is_told_as_refused_by_the_server(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "fake.track.jsonl"
    async with recorded(path, "session-expiry:at_s=10") as fake:
        await obey(await fake.socket(), 20)
        await trio.sleep(5)
        http = fake.http()
        await http.send(handshake(fake.cookie_header))
        assert (await http.answer()).status == 503
        await http.stream.aclose()
    diagnosis = diagnosis_of(path)
    assert [one.rule for one in breaches(diagnosis)] == ["handshake.refused"]


async def test_another_interval_of_pings_is_judged_by_its_rules(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "fake.track.jsonl"
    rules = Rules(ping_interval_s=60)
    async with recorded(path, rules=rules) as fake:
        await visit(fake)
    assert diagnosis_of(path, rules).kept
    # From 1 s to 61 s, to 121 s.
    assert diagnosis_of(path).counts == {"ping.absent": 2}
