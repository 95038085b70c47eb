"""What Track means by its traffic, pure: message kinds, the heartbeat, sessions, and the rules that
they go by.

One set of rules, three uses: a capture obeys them, a check of a recording judges by them, a fake
server enforces them.
"""

from __future__ import annotations

from recorder.track.heartbeat import CloseSocket, Heartbeat, RoundTrips, SendPing
from recorder.track.kinds import (
    Kind,
    Part,
    PongText,
    classify,
    objects_of,
    parse_pong,
    ping_uuids,
    pong_text,
    read_message,
)
from recorder.track.rules import Rules
from recorder.track.rules_file import load_rules
from recorder.track.sessions import Session, SessionProblem, Sessions, random_session_id
from recorder.track.violations import RULES, Violation, handshake_violations, session_violation

__all__ = [
    "RULES",
    "CloseSocket",
    "Heartbeat",
    "Kind",
    "Part",
    "PongText",
    "RoundTrips",
    "Rules",
    "SendPing",
    "Session",
    "SessionProblem",
    "Sessions",
    "Violation",
    "classify",
    "handshake_violations",
    "load_rules",
    "objects_of",
    "parse_pong",
    "ping_uuids",
    "pong_text",
    "random_session_id",
    "read_message",
    "session_violation",
]
