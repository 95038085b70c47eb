"""The opening handshake of the socket: whether it is answered 101 (manual section 3.2, RFC 6455
section 4.2). Pure but for what it reports.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fake_server.desk import SessionDesk
from fake_server.exchange import Answer, HttpRequest, reason_of, text_answer
from fake_server.http1 import SERVER_NAME, date
from fake_server.pace import Pace
from fake_server.violation_log import ViolationLog
from recorder.track.rules import Rules
from recorder.track.sessions import Session, SessionProblem
from recorder.track.violations import Violation, handshake_violations, session_violation
from recorder.wire.handshake import accept_for

__all__ = ["Gate", "Upgrade", "switching"]


class Upgrade(msgspec.Struct, frozen=True):
    """The handshake succeeds: whose it is, and the accept that answers the key."""

    session: Session
    accept: str


class Gate:
    """Judges handshakes."""

    def __init__(
        self, *, rules: Rules, desk: SessionDesk, pace: Pace, violations: ViolationLog
    ) -> None:
        self._rules = rules
        self._desk = desk
        self._pace = pace
        self._violations = violations

    def judge(self, request: HttpRequest) -> Upgrade | Answer:
        """What a request for the socket is answered: an upgrade, or the refusal."""
        rules = self._rules
        if request.method != "GET" or not _asks_for_upgrade(request):
            seen = f"a {request.method} of the socket that asks for no upgrade"
            expected = "Upgrade: websocket and Connection: Upgrade"
            self._report(request, "handshake.no-upgrade", seen, expected)
            status = rules.status_no_upgrade
            answer = text_answer(status, f"{status} - {reason_of(status)}")
            return answer.with_headers({"Allow": "GET"}) if status == 405 else answer
        key = request.header("sec-websocket-key") or None
        version = request.header("sec-websocket-version") or None
        found = handshake_violations(
            key, version, connection=request.connection, at_ns=request.at_ns
        )
        self._violations.report(found)
        if version != "13":
            answer = self._bad_handshake("Unsupported websocket version specification")
            return answer.with_headers({"Sec-WebSocket-Version": "13"})
        if key is None:
            return self._bad_handshake("Missing request header 'Sec-WebSocket-Key'")
        if found and (rules.socket_key == "strict" or rules.strict):
            return self._bad_handshake("Sec-WebSocket-Key is not 16 bytes in base64")
        ask = self._desk.touch if rules.handshake_renews_session else self._desk.lookup
        session = ask(request.cookies)
        if isinstance(session, SessionProblem):
            self._violations.report(
                [
                    session_violation(
                        session, rules, connection=request.connection, at_ns=request.at_ns
                    )
                ]
            )
            is_absent = session is SessionProblem.MISSING
            return _html_page(rules.status_no_session if is_absent else rules.status_dead_session)
        storm = self._pace.opened(session.account, request.at_ns)
        if storm is not None:
            self._violations.report([msgspec.structs.replace(storm, connection=request.connection)])
            if rules.strict:
                return text_answer(429, "429 - reconnected without delay [socket.reconnect]")
        return Upgrade(session, accept_for(key))

    def failed(self, upgrade: Upgrade, at_ns: int) -> None:
        """A fault refused what was granted: the account's next handshake is a reconnection."""
        self._pace.closed(upgrade.session.account, at_ns)

    def _bad_handshake(self, why: str) -> Answer:
        status = self._rules.status_bad_handshake
        return text_answer(status, f"{status} - {why}")

    def _report(self, request: HttpRequest, rule: str, seen: str, expected: str) -> None:
        self._violations.report(
            [
                Violation.of(
                    rule,
                    seen=seen,
                    expected=expected,
                    connection=request.connection,
                    at_ns=request.at_ns,
                )
            ]
        )


def _asks_for_upgrade(request: HttpRequest) -> bool:
    """RFC 6455 section 4.2.1 points 3 and 4."""
    options = ",".join(value for name, value in request.headers if name == "connection")
    return request.header("upgrade").lower() == "websocket" and "upgrade" in {
        option.strip().lower() for option in options.split(",")
    }


def switching(accept: str) -> bytes:
    """The head of the 101, spelled as the backend's proxy spells it (manual section 3.2)."""
    lines: Final = [
        "HTTP/1.1 101 Switching Protocols",
        f"Server: {SERVER_NAME}",
        f"Date: {date()}",
        "Connection: upgrade",
        *([f"Sec-WebSocket-Accept: {accept}"] if accept else []),
        "Upgrade: WebSocket",
    ]
    return "\r\n".join([*lines, "", ""]).encode("iso-8859-1")


def _html_page(status: int) -> Answer:
    """A small error page as Jetty's."""
    text = f"{status} - {reason_of(status)}"
    page = (
        f"<!DOCTYPE html><html><head><title>{text}</title></head>"
        f"<body><h1>{text}</h1></body></html>\n"
    )
    return text_answer(status, page, content_type="text/html; charset=utf-8")
