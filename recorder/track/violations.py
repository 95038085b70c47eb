"""What a client or a server did against the rules: which rule, where, what was seen and what was
expected.

:data:`RULES` is the table of all rules. A violation never holds a secret: of a session cookie it
says that it was unknown, not what it was.
"""

from __future__ import annotations

from typing import Final

import msgspec

from recorder.track.rules import Rules
from recorder.wire.handshake import check_key

__all__ = ["RULES", "Violation", "handshake_violations", "session_violation"]

RULES: Final[dict[str, tuple[str, str]]] = {
    "pong.malformed": (
        "3.3",
        'A pong is the text "pong", one space and the uuid of the PING, and nothing else.',
    ),
    "pong.wrong-uuid": ("3.3", "A pong carries the uuid of the PING that it answers."),
    "pong.late": ("3.3", "A PING is answered before the next one is due."),
    "pong.missing": ("3.3", "Every PING is answered."),
    "pong.unsolicited": ("3.3", "A pong answers a PING: there is none before one came."),
    "pong.repeated": ("3.3", "A PING is answered once."),
    "ping.repeated-uuid": ("3.3", "Every PING has a new uuid."),
    "session.no-cookie": ("3.4", "A socket or a REST call needs the cookie of a login."),
    "session.unknown-cookie": (
        "2",
        "The session cookie is one that a login of this server has set.",
    ),
    "session.expired-cookie": (
        "3.4",
        "A session ends after a time without REST calls; then a new login is due.",
    ),
    "handshake.missing-key": ("3.2", "The upgrade request has a Sec-WebSocket-Key."),
    "handshake.bad-key": ("3.2", "The Sec-WebSocket-Key is base64 of 16 random bytes."),
    "handshake.bad-version": ("RFC 6455 4.2.1", "The Sec-WebSocket-Version is 13."),
    "frame.broken": ("RFC 6455 5", "A client's frames are masked, whole and of known kinds."),
    "socket.too-slow": ("3", "A client reads what it is sent."),
    "login.refused": (
        "2",
        "A login has the email and the password of an account, as form fields.",
    ),
    "handshake.no-upgrade": ("3.2", "The socket is asked for with an upgrade to a WebSocket."),
    "text.unknown": ("3.3", "A client says nothing on the socket but pongs."),
    "socket.reconnect": ("3", "A client whose socket ended waits before it opens another."),
    "rest.wrong-method": ("4.1", "An endpoint is called with a method that it has."),
    "rest.bad-value": (
        "4",
        "Ids are numbers, dates have a time and a zone (a `+` in a URL is %2B), bodies are JSON.",
    ),
    "rest.unknown-id": ("4.1", "A call names objects that there are, and that the account sees."),
    "rest.unknown-parameter": ("4", "A call has only parameters that its endpoint knows."),
    "rest.partial-put": ("4.1", "A PUT sends the full object: what it leaves out is lost."),
    "rest.mismatched-put": ("4.1", "The id in the path of a PUT is the one in its body."),
    "rest.polling": ("3", "Changes come by the socket; REST is not asked for them all the time."),
    "report.no-accept": (
        "4.6",
        "A report is asked for with Accept: application/json, or it is a spreadsheet.",
    ),
    "rest.not-recorded": ("4", "A REST call is one that the server computes or has recorded."),
}
"""Every rule: its id, with the section of the manual (or of an RFC) that it stands in, and what it
asks, in one sentence.
"""


_MAX_SEEN: Final = 400
"""Many violations are kept, and what a client sends may be long."""


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One breach of a rule of :data:`RULES`.

    ``section`` is of the manual unless it names an RFC. ``connection`` is the recording's or the
    server's number of the TCP connection, ``at_ns`` the moment on the clock of whoever watched;
    both None where there is none. ``seen`` and ``expected`` are phrases.
    """

    rule: str
    section: str
    connection: int | None = None
    at_ns: int | None = None
    seen: str
    expected: str

    @classmethod
    def of(
        cls,
        rule: str,
        *,
        seen: str,
        expected: str,
        connection: int | None = None,
        at_ns: int | None = None,
    ) -> Violation:
        """A violation of a rule, its section looked up. Raises KeyError if :data:`RULES` has no
        such rule. A long ``seen`` is cut.
        """
        section, _ = RULES[rule]
        if len(seen) > _MAX_SEEN:
            seen = seen[:_MAX_SEEN] + "…"
        return cls(
            rule=rule,
            section=section,
            connection=connection,
            at_ns=at_ns,
            seen=seen,
            expected=expected,
        )

    def __str__(self) -> str:
        places = []
        if self.connection is not None:
            places.append(f"connection {self.connection}")
        if self.at_ns is not None:
            places.append(f"{self.at_ns / 1e9:.3f} s")
        where = ", ".join(places) + ": " if places else ""
        source = self.section if self.section.startswith("RFC") else f"manual {self.section}"
        return f"{where}{self.seen}; expected {self.expected} [{self.rule}, {source}]"


def session_violation(
    rule: str, rules: Rules, *, connection: int | None = None, at_ns: int | None = None
) -> Violation:
    """What is wrong with a request's session; ``rule`` is one of the three ``session.*`` (a
    ``SessionProblem`` is).

    Raises KeyError on any other.
    """
    seen = {
        "session.no-cookie": f"a request without the cookie {rules.cookie_name}",
        "session.unknown-cookie": f"a cookie {rules.cookie_name} that this server has not set",
        "session.expired-cookie": f"a session idle for {rules.session_timeout_s:g} s or more",
    }[rule]
    return Violation.of(
        rule,
        seen=seen,
        expected="the cookie that POST /api/session sets, while its session lives",
        connection=connection,
        at_ns=at_ns,
    )


def handshake_violations(
    key: str | None,
    version: str | None,
    *,
    connection: int | None = None,
    at_ns: int | None = None,
) -> list[Violation]:
    """What is wrong with an upgrade request's ``Sec-WebSocket-Key`` and ``Sec-WebSocket-Version``;
    None is absent.

    RFC 6455 section 4.2.1 points 5 and 6. Whether a bad key is refused is for
    :attr:`Rules.socket_key` to say.
    """
    broken = []
    if not key:
        broken.append(("handshake.missing-key", "no Sec-WebSocket-Key", "one (base64 of 16 bytes)"))
    elif (why := check_key(key)) is not None:
        broken.append(
            ("handshake.bad-key", f"a Sec-WebSocket-Key, but {why}", "base64 of 16 bytes")
        )
    if version != "13":
        what = "no Sec-WebSocket-Version"
        if version is not None:
            what = f"the Sec-WebSocket-Version {version[:20]!r}"
        broken.append(("handshake.bad-version", what, "13"))
    return [
        Violation.of(rule, seen=seen, expected=expected, connection=connection, at_ns=at_ns)
        for rule, seen, expected in broken
    ]
