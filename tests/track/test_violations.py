from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import recorder.track
from recorder.track.heartbeat import CloseSocket, Heartbeat, SendPing
from recorder.track.rules import Rules
from recorder.track.sessions import SessionProblem
from recorder.track.violations import RULES, Violation, handshake_violations, session_violation

INTERVAL_NS = Rules().ping_interval_ns
GOOD_KEY = base64.b64encode(bytes(16)).decode()


def test_the_public_surface_is_what_it_names() -> None:
    assert recorder.track.__all__ == sorted(
        recorder.track.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)
    )
    for name in recorder.track.__all__:
        assert hasattr(recorder.track, name)


def test_a_violation_reads_as_a_sentence_with_place_rule_and_section() -> None:
    violation = Violation.of(
        "pong.wrong-uuid",
        seen="the client sent 'pong 1'",
        expected="'pong 2'",
        connection=4,
        at_ns=30_091_822_000,
    )
    assert violation.section == "3.3"
    assert str(violation) == (
        "connection 4, 30.092 s: the client sent 'pong 1'; expected 'pong 2' "
        "[pong.wrong-uuid, manual 3.3]"
    )


def test_a_violation_without_a_place_says_none_and_an_rfc_is_no_manual() -> None:
    (violation,) = handshake_violations(GOOD_KEY, "8")
    assert str(violation) == (
        "the Sec-WebSocket-Version '8'; expected 13 [handshake.bad-version, RFC 6455 4.2.1]"
    )


def test_a_rule_that_does_not_exist_makes_no_violation() -> None:
    with pytest.raises(KeyError):
        Violation.of("pong.green", seen="", expected="")


def test_every_rule_has_a_section_and_one_sentence() -> None:
    for section, meaning in RULES.values():
        assert re.fullmatch(r"(RFC \d+ )?\d(\.\d)*", section)
        assert meaning[0].isupper()
        assert meaning.endswith(".")


@pytest.mark.parametrize(
    ("key", "version", "rules"),
    [
        (GOOD_KEY, "13", []),
        (None, "13", ["handshake.missing-key"]),
        ("", "13", ["handshake.missing-key"]),
        ("Glqex2Dld1EaSqg/QK5BJ+9zdt9WbI5I6XndnZL24+4=", "13", ["handshake.bad-key"]),
        ("not base64!", "13", ["handshake.bad-key"]),
        ("ключ", "13", ["handshake.bad-key"]),
        (GOOD_KEY, None, ["handshake.bad-version"]),
        (GOOD_KEY, "", ["handshake.bad-version"]),
        (None, "8", ["handshake.missing-key", "handshake.bad-version"]),
    ],
)
def test_an_upgrade_request_is_judged_by_key_and_version(
    key: str | None, version: str | None, rules: list[str]
) -> None:
    found = handshake_violations(key, version, connection=3, at_ns=7)
    assert [violation.rule for violation in found] == rules
    assert all((violation.connection, violation.at_ns) == (3, 7) for violation in found)


@given(st.binary(max_size=40))
def test_a_key_is_good_if_and_only_if_it_is_base64_of_16_bytes(nonce: bytes) -> None:
    rules = [violation.rule for violation in handshake_violations(encode(nonce), "13")]
    if len(nonce) == 16:
        assert rules == []
    else:
        assert rules == ["handshake.bad-key" if nonce else "handshake.missing-key"]


def encode(nonce: bytes) -> str:
    return base64.b64encode(nonce).decode()


def test_a_problem_with_a_session_names_the_cookie_as_the_rules_do() -> None:
    rules = Rules(cookie_name="SID", session_timeout_s=60)
    said = [str(session_violation(problem, rules, connection=1)) for problem in SessionProblem]
    assert [text.split(";")[0] for text in said] == [
        "connection 1: a request without the cookie SID",
        "connection 1: a cookie SID that this server has not set",
        "connection 1: a session idle for 60 s or more",
    ]


def test_every_rule_has_a_producer() -> None:
    """One socket on which everything goes wrong, and one bad handshake; the rest is a server's."""
    by_a_server_only = {
        "frame.broken",
        "handshake.no-upgrade",
        "login.refused",
        "report.no-accept",
        "rest.bad-value",
        "rest.mismatched-put",
        "rest.not-recorded",
        "rest.partial-put",
        "rest.polling",
        "rest.unknown-id",
        "rest.unknown-parameter",
        "rest.wrong-method",
        "socket.reconnect",
        "socket.too-slow",
        "text.unknown",
    }
    heartbeat = Heartbeat(Rules(unanswered_ping="ignore"), opened_ns=0)
    found = heartbeat.client_text(b"pong early", 0)
    found += heartbeat.ping_sent("one", 0)
    found += heartbeat.client_text(b"PONG one", 1)
    found += heartbeat.client_text(b"pong two", 2)
    found += heartbeat.client_text(b"pong one", 3)
    found += heartbeat.client_text(b"pong one", 4)
    found += heartbeat.ping_sent("one", 5)
    found += heartbeat.client_text(b"pong one", 6 + INTERVAL_NS)
    found += heartbeat.ping_sent("three", 7 + INTERVAL_NS)
    found += heartbeat.finish(8 + 2 * INTERVAL_NS)
    found += handshake_violations(None, None) + handshake_violations("k", "13")
    found += [session_violation(problem, Rules()) for problem in SessionProblem]
    assert [violation.rule for violation in found] == [
        "pong.unsolicited",
        "pong.malformed",
        "pong.wrong-uuid",
        "pong.repeated",
        "ping.repeated-uuid",
        "pong.late",
        "pong.missing",
        "handshake.missing-key",
        "handshake.bad-version",
        "handshake.bad-key",
        "session.no-cookie",
        "session.unknown-cookie",
        "session.expired-cookie",
    ]
    assert {violation.rule for violation in found} == set(RULES) - by_a_server_only


def test_what_a_server_is_told_to_do_carries_the_violation_behind_it() -> None:
    heartbeat = Heartbeat(Rules(), opened_ns=0, connection=9)
    sent = heartbeat.tick(INTERVAL_NS, lambda: "one")
    closed = heartbeat.tick(2 * INTERVAL_NS, lambda: "two")
    assert sent == SendPing("one", None)
    assert isinstance(closed, CloseSocket)
    assert closed.violation is not None
    assert str(closed.violation) == (
        "connection 9, 60.000 s: the client sent no pong in the 30.000 s since the PING one; "
        "expected 'pong one' [pong.missing, manual 3.3]"
    )
