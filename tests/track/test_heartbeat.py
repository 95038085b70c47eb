from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from recorder.track.heartbeat import (
    REMEMBERED_PINGS,
    CloseSocket,
    Heartbeat,
    RoundTrips,
    SendPing,
)
from recorder.track.kinds import ping_uuids
from recorder.track.rules import Rules
from recorder.track.violations import Violation
from tests.profiles import examples

S = 1_000_000_000
INTERVAL_NS = 30 * S
CLOSING = Rules()
IGNORING = Rules(unanswered_ping="ignore")


def names(violations: list[Violation]) -> list[str]:
    return [violation.rule for violation in violations]


def pong(of: str) -> bytes:
    return f"pong {of}".encode()


def never() -> str:
    raise AssertionError("no PING is due")


# The state machine, against a model that keeps everything and looks it through each time.


@dataclass
class Ping:
    uuid: str
    deadline_ns: int
    answered_in_time: bool = False
    answered: bool = False
    reported: bool = False


@dataclass
class Socket:
    opened_ns: int
    server: Heartbeat
    observer: Heartbeat
    due_ns: int
    punctual: bool = True
    pings: list[Ping] = field(default_factory=list)
    seen_by_server: list[str] = field(default_factory=list)
    seen_by_observer: list[str] = field(default_factory=list)

    def open_pings(self) -> list[Ping]:
        return [ping for ping in self.pings if not ping.answered and not ping.reported]

    def judge(self, text: bytes, now_ns: int) -> list[str]:
        """What the rules say about a client's text, as names of violations."""
        for ping in self.pings:
            if text == b"pong " + ping.uuid.encode():
                if ping.answered:
                    return ["pong.repeated"]
                ping.answered = True
                ping.answered_in_time = now_ns <= ping.deadline_ns and not ping.reported
                return [] if ping.answered_in_time else ["pong.late"]
        words = text.split(b" ")
        if len(words) == 2 and words[0] == b"pong" and words[1].strip() == words[1] != b"":
            return ["pong.wrong-uuid" if self.open_pings() else "pong.unsolicited"]
        if b"pong" in text.lower() or any(p.uuid.encode() in text for p in self.open_pings()):
            return ["pong.malformed"]
        return []


SPELLINGS = [
    "pong {}",
    "pong {}",
    "pong {}",
    "PONG {}",
    "Pong {}",
    "pong  {}",
    " pong {}",
    "pong {} ",
    "pong {}\n",
    "pong\t{}",
    '"pong {}"',
    '{{"pong":"{}"}}',
    "{}",
    "pong",
    "hello",
]


class HeartbeatsAgainstModel(RuleBasedStateMachine):
    """Several sockets of one server, each with an observer on its wire, on one virtual clock."""

    @initialize(closing=st.booleans())
    def begin(self, closing: bool) -> None:
        self.rules = CLOSING if closing else IGNORING
        self.now_ns = 0
        self.sockets: list[Socket] = []
        self.uuids: list[str] = []
        self.open_socket()

    @precondition(lambda self: len(self.sockets) < 4)
    @rule()
    def open_socket(self) -> None:
        self.sockets.append(
            Socket(
                self.now_ns,
                Heartbeat(self.rules, opened_ns=self.now_ns),
                Heartbeat(self.rules, opened_ns=self.now_ns),
                self.now_ns + INTERVAL_NS,
            )
        )

    @rule(step_ns=st.sampled_from([1, S, INTERVAL_NS // 2, INTERVAL_NS - 1, 3 * INTERVAL_NS]))
    def time_passes_while_the_server_is_busy(self, step_ns: int) -> None:
        self.now_ns += step_ns

    @precondition(lambda self: self.sockets)
    @rule(before_ns=st.sampled_from([0, 0, 1]))
    def time_passes_to_what_is_due_next(self, before_ns: int) -> None:
        due_ns = min(socket.due_ns for socket in self.sockets)
        self.now_ns = max(self.now_ns, due_ns - before_ns)

    @precondition(lambda self: self.sockets and self.uuids)
    @rule(data=st.data())
    def client_says(self, data: st.DataObject) -> None:
        socket = data.draw(st.sampled_from(self.sockets))
        own = [ping.uuid for ping in socket.pings[-2:]]
        chosen = data.draw(st.sampled_from(own * 3 + self.uuids[-9:]))
        spelled = data.draw(
            st.sampled_from([chosen, chosen, chosen, chosen.upper(), chosen.replace("-", "")])
        )
        self.say(socket, data.draw(st.sampled_from(SPELLINGS)).format(spelled).encode())

    @precondition(lambda self: self.sockets)
    @rule()
    def every_client_answers(self) -> None:
        for socket in self.sockets:
            for ping in socket.open_pings():
                self.say(socket, pong(ping.uuid))

    def say(self, socket: Socket, text: bytes) -> None:
        expected = socket.judge(text, self.now_ns)
        assert names(socket.server.client_text(text, self.now_ns)) == expected
        socket.seen_by_server += expected
        socket.seen_by_observer += names(socket.observer.client_text(text, self.now_ns))

    @precondition(lambda self: self.sockets)
    @rule()
    def server_ticks(self) -> None:
        for socket in list(self.sockets):
            self.tick(socket)

    def new_uuid(self) -> str:
        made = str(uuid.UUID(int=(0xABCDEF << 104) + len(self.uuids)))
        self.uuids.append(made)
        return made

    def tick(self, socket: Socket) -> None:
        now_ns = self.now_ns
        assert socket.server.due_ns == socket.due_ns
        if now_ns < socket.due_ns:
            assert socket.server.tick(now_ns, never) is None
            return
        failed = [p for p in socket.pings if not p.answered_in_time and now_ns >= p.deadline_ns]
        action = socket.server.tick(now_ns, self.new_uuid)
        missing = [ping for ping in failed if not ping.answered and not ping.reported]
        assert action is not None
        assert names([action.violation] if action.violation else []) == [
            "pong.missing" for _ in missing
        ]
        for ping in missing:
            ping.reported = True
            socket.seen_by_server.append("pong.missing")
        if failed and self.rules is CLOSING:
            assert action == CloseSocket(
                1001, "Idle timeout expired: 30000/30000 ms", action.violation
            )
            self.close(socket)
            return
        assert isinstance(action, SendPing)
        socket.punctual = socket.punctual and now_ns == socket.due_ns
        while 2 * (socket.due_ns - now_ns) < INTERVAL_NS:
            socket.due_ns += INTERVAL_NS
        socket.pings.append(Ping(action.uuid, socket.due_ns))
        socket.seen_by_observer += names(socket.observer.ping_sent(action.uuid, now_ns))
        assert socket.server.unanswered == tuple(ping.uuid for ping in socket.open_pings())

    def close(self, socket: Socket) -> None:
        self.sockets.remove(socket)
        assert socket.server.pings == socket.observer.pings == len(socket.pings)
        assert socket.server.answered == sum(ping.answered_in_time for ping in socket.pings)
        socket.seen_by_server += names(socket.server.finish(self.now_ns))
        socket.seen_by_observer += names(socket.observer.finish(self.now_ns))
        # Who watches a punctual server that closes comes to the same judgement as the server.
        if socket.punctual and self.rules is CLOSING:
            assert socket.seen_by_observer == socket.seen_by_server

    def teardown(self) -> None:
        for socket in list(getattr(self, "sockets", [])):
            self.close(socket)


HeartbeatsAgainstModel.TestCase.settings = settings(
    max_examples=examples(200), stateful_step_count=50
)
TestHeartbeatsAgainstModel = HeartbeatsAgainstModel.TestCase


delays = st.none() | st.integers(0, INTERVAL_NS) | st.integers(INTERVAL_NS - 2, INTERVAL_NS + 2)


@settings(max_examples=examples(1000))
@given(delays_ns=st.lists(st.none() | delays, min_size=1, max_size=8))
def test_a_socket_is_closed_if_and_only_if_some_ping_is_unanswered_by_its_deadline(
    delays_ns: list[int | None],
) -> None:
    heartbeat = Heartbeat(CLOSING, opened_ns=7)
    uuids = (f"uuid-{number}" for number in itertools.count())
    kept = 0
    for delay_ns in delays_ns:
        at_ns = heartbeat.due_ns
        action = heartbeat.tick(at_ns, lambda: next(uuids))
        if isinstance(action, CloseSocket):
            break
        assert isinstance(action, SendPing)
        kept += 1
        if delay_ns is not None and at_ns + delay_ns <= heartbeat.due_ns:
            assert heartbeat.client_text(pong(action.uuid), at_ns + delay_ns) == []
    closed = isinstance(heartbeat.tick(heartbeat.due_ns, lambda: "last"), CloseSocket)
    in_time = [delay_ns is not None and delay_ns <= INTERVAL_NS for delay_ns in delays_ns]
    assert closed == (not all(in_time))
    assert kept == (in_time.index(False) + 1 if closed else len(in_time))


# Enforcing


def test_the_first_ping_is_due_one_interval_after_opening() -> None:
    heartbeat = Heartbeat(CLOSING, opened_ns=5)
    assert heartbeat.due_ns == 5 + INTERVAL_NS
    assert heartbeat.tick(4 + INTERVAL_NS, never) is None
    assert heartbeat.tick(5 + INTERVAL_NS, lambda: "one") == SendPing("one", None)
    assert heartbeat.unanswered == ("one",)


def test_at_the_same_moment_the_pong_wins() -> None:
    heartbeat = Heartbeat(CLOSING, opened_ns=0)
    heartbeat.tick(INTERVAL_NS, lambda: "one")
    assert heartbeat.client_text(b"pong one", 2 * INTERVAL_NS) == []
    assert heartbeat.tick(2 * INTERVAL_NS, lambda: "two") == SendPing("two", None)


def test_a_pong_that_is_handed_in_after_the_tick_of_the_same_moment_is_late() -> None:
    heartbeat = Heartbeat(IGNORING, opened_ns=0)
    heartbeat.tick(INTERVAL_NS, lambda: "one")
    heartbeat.tick(2 * INTERVAL_NS, lambda: "two")
    assert names(heartbeat.client_text(b"pong one", 2 * INTERVAL_NS)) == ["pong.late"]


def test_a_pong_a_nanosecond_late_does_not_keep_the_socket() -> None:
    heartbeat = Heartbeat(CLOSING, opened_ns=0)
    heartbeat.tick(INTERVAL_NS, lambda: "one")
    (late,) = heartbeat.client_text(b"pong one", 2 * INTERVAL_NS + 1)
    assert str(late) == (
        "60.000 s: the client sent 'pong one' 30.000 s after its PING; "
        "expected it within 30.000 s [pong.late, manual 3.3]"
    )
    closed = heartbeat.tick(2 * INTERVAL_NS + 1, never)
    assert isinstance(closed, CloseSocket)
    assert closed.violation is None
    assert heartbeat.finish(2 * INTERVAL_NS + 1) == []


def test_code_and_reason_of_the_close_are_those_of_the_rules() -> None:
    rules = Rules(
        ping_interval_s=0.5,
        unanswered_ping_close_code=4000,
        unanswered_ping_close_reason="no pong in {interval_ms}",
    )
    heartbeat = Heartbeat(rules, opened_ns=0)
    assert heartbeat.tick(S // 2, lambda: "one") == SendPing("one", None)
    closed = heartbeat.tick(S, never)
    assert isinstance(closed, CloseSocket)
    assert (closed.code, closed.reason) == (4000, "no pong in 500")


def test_pings_do_not_drift_when_every_tick_is_a_little_late() -> None:
    heartbeat = Heartbeat(IGNORING, opened_ns=0)
    for number in range(1, 1000):
        assert heartbeat.due_ns == number * INTERVAL_NS
        heartbeat.tick(heartbeat.due_ns + S, lambda number=number: f"uuid-{number}")


@pytest.mark.parametrize(
    ("tick_ns", "due_ns"),
    [
        (INTERVAL_NS, 2 * INTERVAL_NS),
        (INTERVAL_NS + INTERVAL_NS // 2, 2 * INTERVAL_NS),
        (INTERVAL_NS + INTERVAL_NS // 2 + 1, 3 * INTERVAL_NS),
        (2 * INTERVAL_NS - 1, 3 * INTERVAL_NS),
        (100 * INTERVAL_NS + 1, 101 * INTERVAL_NS),
    ],
)
def test_a_tick_that_comes_very_late_sends_one_ping_and_leaves_time_to_answer(
    tick_ns: int, due_ns: int
) -> None:
    heartbeat = Heartbeat(CLOSING, opened_ns=0)
    assert heartbeat.tick(tick_ns, lambda: "one") == SendPing("one", None)
    assert heartbeat.due_ns == due_ns
    assert heartbeat.tick(tick_ns, never) is None
    assert heartbeat.client_text(b"pong one", due_ns) == []


def test_a_server_that_ignores_goes_on_and_reports_each_missing_pong_once() -> None:
    heartbeat = Heartbeat(IGNORING, opened_ns=0)
    uuids = iter(["one", "two", "three"])
    actions = [heartbeat.tick(at * INTERVAL_NS, lambda: next(uuids)) for at in (1, 2, 3)]
    said = [names([a.violation] if a.violation else []) for a in actions]
    assert said == [[], ["pong.missing"], ["pong.missing"]]
    assert names(heartbeat.client_text(b"pong one", 3 * INTERVAL_NS)) == ["pong.late"]
    assert names(heartbeat.client_text(b"pong one", 3 * INTERVAL_NS)) == ["pong.repeated"]
    assert heartbeat.unanswered == ("three",)
    assert names(heartbeat.finish(9 * INTERVAL_NS)) == ["pong.missing"]
    assert heartbeat.finish(9 * INTERVAL_NS) == []


# Checking


def test_a_ping_younger_than_the_interval_is_not_missing_at_the_end() -> None:
    heartbeat = Heartbeat(CLOSING, opened_ns=0, connection=2)
    heartbeat.ping_sent("old", 0)
    heartbeat.ping_sent("young", 1)
    (missing,) = heartbeat.finish(INTERVAL_NS)
    assert (missing.rule, missing.connection, missing.at_ns) == ("pong.missing", 2, INTERVAL_NS)
    assert "old" in missing.seen
    assert heartbeat.unanswered == ("young",)


def test_pings_may_be_answered_in_any_order() -> None:
    heartbeat = Heartbeat(CLOSING, opened_ns=0)
    assert heartbeat.ping_sent("one", 0) == heartbeat.ping_sent("two", 1) == []
    assert heartbeat.client_text(b"pong two", 2) == heartbeat.client_text(b"pong one", 3) == []


@pytest.mark.parametrize("answered", [True, False])
def test_a_repeated_uuid_is_the_servers_violation_and_is_answered_again(answered: bool) -> None:
    heartbeat = Heartbeat(CLOSING, opened_ns=0)
    heartbeat.ping_sent("one", 0)
    if answered:
        heartbeat.client_text(b"pong one", 1)
    assert names(heartbeat.ping_sent("one", 2)) == ["ping.repeated-uuid"]
    assert heartbeat.client_text(b"pong one", 2 + INTERVAL_NS) == []


def test_a_repeated_uuid_is_the_youngest_of_the_unanswered() -> None:
    heartbeat = Heartbeat(CLOSING, opened_ns=0)
    for at_ns, each in enumerate(["one", "two", "one"]):
        heartbeat.ping_sent(each, at_ns)
    assert heartbeat.unanswered == ("two", "one")


def test_a_repeated_uuid_does_not_hide_that_the_first_ping_was_unanswered() -> None:
    heartbeat = Heartbeat(CLOSING, opened_ns=0)
    heartbeat.ping_sent("one", 0)
    assert names(heartbeat.ping_sent("one", 1 + INTERVAL_NS)) == [
        "ping.repeated-uuid",
        "pong.missing",
    ]
    assert heartbeat.client_text(b"pong one", 2 + INTERVAL_NS) == []


def test_a_text_that_holds_an_open_uuid_was_meant_as_a_pong() -> None:
    heartbeat = Heartbeat(CLOSING, opened_ns=0)
    echoed = b'{"status":[{"message":"one-and-only","type":"PING"}]}'
    assert heartbeat.client_text(echoed, 0) == []
    heartbeat.ping_sent("one-and-only", 0)
    (malformed,) = heartbeat.client_text(echoed, 1)
    assert (malformed.rule, malformed.expected) == ("pong.malformed", "'pong one-and-only'")
    assert heartbeat.unanswered == ("one-and-only",)


def test_a_violation_shows_line_breaks_and_only_the_beginning_of_a_long_text() -> None:
    heartbeat = Heartbeat(CLOSING, opened_ns=0)
    heartbeat.ping_sent("one", 0)
    (line,) = heartbeat.client_text(b"pong one\n", 1)
    assert line.seen == r"the client sent 'pong one\n'"
    (long,) = heartbeat.client_text(b"pong " + b"x" * 10_000, 1)
    assert len(long.seen) < 120


def test_round_trips_are_summed_up() -> None:
    heartbeat = Heartbeat(CLOSING, opened_ns=0)
    assert heartbeat.round_trips is heartbeat.last_answered is None
    for number, delay_ns in enumerate([5, 2, 9]):
        heartbeat.ping_sent(f"uuid-{number}", 100 * number)
        heartbeat.client_text(pong(f"uuid-{number}"), 100 * number + delay_ns)
    assert heartbeat.round_trips == RoundTrips(min_ns=2, max_ns=9, sum_ns=16)
    assert heartbeat.last_answered == ("uuid-2", 9)
    assert (heartbeat.pings, heartbeat.answered) == (3, 3)


def test_a_flood_of_unanswered_pings_is_forgotten_from_its_beginning_and_reported() -> None:
    heartbeat = Heartbeat(CLOSING, opened_ns=0)
    found = [name for n in range(1000) for name in names(heartbeat.ping_sent(f"uuid-{n}", n))]
    assert found == ["pong.missing"] * (1000 - REMEMBERED_PINGS)
    assert len(heartbeat.unanswered) == REMEMBERED_PINGS
    forgotten = 1000 - 2 * REMEMBERED_PINGS - 1
    assert names(heartbeat.client_text(pong(f"uuid-{forgotten}"), 1000)) == ["pong.wrong-uuid"]
    assert names(heartbeat.client_text(pong(f"uuid-{forgotten + 1}"), 1000)) == ["pong.late"]


# Answering


def test_what_is_answered_is_accepted() -> None:
    heartbeat = Heartbeat(CLOSING, opened_ns=0)
    payload = (
        b'{"status":[{"message":"one","type":"PING"},{"message":"one","type":"PING"}]}'
        b'~{"devices":[]}~{"status":[{"type":"PING","message":"two"}]}'
    )
    assert heartbeat.answer(payload) == ["pong one", "pong two"]
    assert heartbeat.unanswered == ()
    for each in dict.fromkeys(ping_uuids(payload)):
        heartbeat.ping_sent(each, 0)
    for text in heartbeat.answer(payload):
        assert heartbeat.client_text(text.encode(), 1) == []
    assert heartbeat.unanswered == ()


def test_a_message_without_a_ping_is_not_answered() -> None:
    assert Heartbeat(CLOSING, opened_ns=0).answer(b'{"devices":[{"name":"PING"}]}') == []


@given(texts=st.lists(st.binary() | st.text("pong u\n").map(str.encode), max_size=9))
def test_no_text_of_a_client_raises(texts: list[bytes]) -> None:
    heartbeat = Heartbeat(CLOSING, opened_ns=0)
    heartbeat.ping_sent("u", 0)
    for text in texts:
        assert len(heartbeat.client_text(text, 1)) <= 1
