"""The rules that a diagnosis goes by: those of :mod:`recorder.track.violations`, which are the
client's, and those of the server and of the network.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from recorder.track import violations
from replayer.diagnosis.model import Party

__all__ = ["DIAGNOSED", "Evidence", "Rule"]

Evidence: TypeAlias = Literal["manual", "RFC", "lineage", "clients", "assumption", "ours"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: where it stands, whose it is, and what it asks in one sentence.

    What breaks a rule that is no ``is_breach`` is worth a remark: neither the manual nor an RFC
    settles it, or allows it.
    """

    section: str
    by: Party
    is_breach: bool
    evidence: Evidence
    asks: str


_UNTOLD: Final = frozenset({"socket.too-slow"})
"""Only the server knows that a client did not read: what a recording shows is its end."""


def _of_clients(rule: str) -> Rule:
    section, asks = violations.RULES[rule]
    return Rule(
        section=section,
        by="server" if rule == "ping.repeated-uuid" else "client",
        is_breach=True,
        evidence="RFC" if section.startswith("RFC") else "manual",
        asks=asks,
    )


def _server(section: str, asks: str, evidence: Evidence | None = None) -> Rule:
    return _rule("server", section, asks, evidence, is_breach=True)


def _network(section: str, asks: str) -> Rule:
    return _rule("network", section, asks, None, is_breach=True)


def _remark(by: Party, section: str, asks: str, evidence: Evidence | None = None) -> Rule:
    return _rule(by, section, asks, evidence, is_breach=False)


def _rule(
    by: Party, section: str, asks: str, evidence: Evidence | None, *, is_breach: bool
) -> Rule:
    said: Evidence = "RFC" if section.startswith("RFC") else "manual"
    return Rule(section=section, by=by, is_breach=is_breach, evidence=evidence or said, asks=asks)


DIAGNOSED: Final[dict[str, Rule]] = {
    rule: _of_clients(rule) for rule in violations.RULES if rule not in _UNTOLD
} | {
    # PINGs
    "ping.absent": _server("3.3", "PINGs come at the interval (ping_interval_s)."),
    "ping.late": _remark("server", "3.3", "A PING comes when it is due (ping_interval_s)."),
    "ping.malformed": _server("3.3", "A PING has a uuid as its message, and the type PING."),
    "socket.silent": _server("3.3", "A server that has nothing to tell still sends PINGs."),
    # the opening handshake and HTTP
    "handshake.refused": _server("3.2", "With a live session a socket is opened."),
    "handshake.unanswered": _server("3.2", "An upgrade is answered."),
    "handshake.wrong-accept": _server(
        "RFC 6455 4.2.2", "The Sec-WebSocket-Accept answers the key that was sent."
    ),
    "http.broken": _server("RFC 9112 2.1", "A response is one of HTTP/1.1."),
    "http.server-error": _server("4", "A call is answered without an error of the server's own."),
    "session.ended-early": _server(
        "3.4", "A session lives until there was no call for its time (session_timeout_s)."
    ),
    "login.no-cookie": _remark("server", "2", "A login that succeeds sets the session's cookie."),
    "login.slow": _remark("server", "2", "A login is answered within 3 s.", "ours"),
    # frames and messages
    "frame.server-broken": _server(
        "RFC 6455 5", "A server's frames are not masked, whole and of known kinds."
    ),
    "frame.torn": _network("RFC 6455 5.2", "A frame that began comes to its end."),
    "frame.slow": _remark("network", "3", "A frame comes within a second.", "ours"),
    "frame.fragmented": _remark("server", "RFC 6455 5.4", "Most servers send a message whole."),
    "message.bad-utf8": _server("RFC 6455 8.1", "A text message is UTF-8."),
    "message.broken-json": _server("3", "A message is JSON."),
    "message.binary": _remark("server", "3", "A message of the server is a text."),
    "message.several-texts": _remark(
        "server", "3", "A message is one JSON text; several may be joined.", "assumption"
    ),
    "message.unknown-kind": _remark("server", "3", "A message is of a kind that is known."),
    "message.repeated": _remark("server", "3", "After the initial push only changes are sent."),
    "message.out-of-order": _remark(
        "server", "3.6", "The positions of a device come in the order of their ids.", "assumption"
    ),
    "message.flood": _remark(
        "server", "3", "Fewer than 500 messages come within a second.", "ours"
    ),
    # what is pushed
    "opening.missing": _remark("server", "3", "On opening all known devices are pushed."),
    "opening.repeated": _remark("server", "3", "The initial push comes once."),
    "timeout.missing": _remark(
        "server", "3.4", "A socket shows the session's timeout when it opens.", "assumption"
    ),
    "timeout.repeated": _server("3.4", "The session's timeout is shown once."),
    "timeout.value": _remark("server", "3.4", "The session's timeout is one number of seconds."),
    "join.field": _server("3.6", "Ids are numbers, and a position names its device."),
    "join.unknown-position": _server("3.6", "The position that a device names is sent."),
    # All known devices are pushed (3), but joins go from a device to its position (3.6), and the
    # output that the manual prints (3.2) has a position whose device it does not show.
    "join.unknown-device": _remark(
        "server", "3", "A position is of a device that was pushed.", "assumption"
    ),
    "join.unknown-beacon": _remark("server", "3", "A position names a beacon that was pushed."),
    # the end
    "close.unexplained": _server("3.4", "A socket is kept as long as its PINGs are answered."),
    "close.going-away": _remark("server", "3.4", "A server that goes away says so."),
    "close.without-frame": _server("RFC 6455 7.1.2", "A socket is closed by a close frame."),
    "close.by-client-without-frame": _remark(
        "client", "RFC 6455 7.1.2", "A socket is closed by a close frame."
    ),
    "close.unanswered": _remark("client", "RFC 6455 5.5.1", "A close frame is answered by one."),
    "close.unanswered-by-server": _remark(
        "server", "RFC 6455 5.5.1", "A close frame is answered by one."
    ),
    "close.data-after": _server("RFC 6455 5.5.1", "Nothing follows a close frame."),
    "close.client-data-after": _rule(
        "client", "RFC 6455 5.5.1", "Nothing follows a close frame.", None, is_breach=True
    ),
    "tcp.reset": _network("RFC 6455 7.1.1", "TCP ends in order."),
    "tcp.reset-by-client": _remark("client", "RFC 6455 7.1.1", "TCP ends in order."),
}
"""Every rule by its id. Those of :data:`recorder.track.violations.RULES` keep theirs."""
