"""What clients did against the rules in a recording, as the fake server reports it while it serves:
the diagnosis (:mod:`replayer.diagnosis`), of which only that is taken which a client can be told by
the bytes alone.

What only a server knows, as whether an object exists, is not among it; :data:`JUDGED_RULES` lists
what is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from recorder.model import AnyEntry
from recorder.track.rules import Rules
from recorder.track.violations import Violation
from replayer.diagnosis.findings import Findings
from replayer.diagnosis.fold import Diagnoser
from replayer.diagnosis.model import Finding
from replayer.diagnosis.socket import MAX_CLIENT_MESSAGE_BYTES
from replayer.reading.legs import client_legs

__all__ = ["JUDGED_RULES", "MAX_CLIENT_MESSAGE_BYTES", "Conformance", "conformance"]

JUDGED_RULES: Final = frozenset(
    {
        "pong.malformed",
        "pong.wrong-uuid",
        "pong.late",
        "pong.missing",
        "pong.unsolicited",
        "pong.repeated",
        "ping.repeated-uuid",
        "text.unknown",
        "session.no-cookie",
        "session.unknown-cookie",
        "session.expired-cookie",
        "handshake.missing-key",
        "handshake.bad-key",
        "handshake.bad-version",
        "handshake.no-upgrade",
        "socket.reconnect",
        "frame.broken",
    }
)
"""The rules that a recording is enough for; see :data:`recorder.track.violations.RULES`."""


def conformance(
    entries: Iterable[AnyEntry], rules: Rules | None = None, *, from_start: bool = False
) -> Iterator[Violation]:
    """What was done against ``rules`` in a recording, in the order in which it showed.

    The ``connection`` of a violation is the recording's, ``at_ns`` an offset of it; None where the
    recording has no timing, and then nothing is judged by time. ``from_start``: the recording shows
    every login that the server accepted, as the fake's own do (mode ``fake``); only then a cookie
    is known to be of none. What a proxy recorded is judged as the client sent it, once. A recording
    that begins with a checkpoint is judged from there on: whose login, upgrade or PINGs came before
    is taken as the checkpoint has it. Raises CorruptRecording on an entry that cannot be, and what
    ``entries`` raises. Memory grows with the sessions and the open connections.
    """
    fold = Conformance(rules, from_start=from_start)
    for entry in client_legs(entries):
        yield from fold.feed(entry)
    yield from fold.finish()


class Conformance:
    """The same, entry by entry: :meth:`feed` each one that is not of an upstream leg paired with a
    client's, :meth:`finish` at the end.
    """

    def __init__(self, rules: Rules | None = None, *, from_start: bool = False) -> None:
        self._fold = Diagnoser(rules, keep=0, from_start=from_start)
        self._findings: Findings = self._fold.findings
        self._findings.latest = []

    def feed(self, entry: AnyEntry) -> list[Violation]:
        """What the next entry shows. Raises CorruptRecording on a frame that cannot be one."""
        self._fold.feed(entry)
        return self._taken()

    def finish(self) -> list[Violation]:
        """The recording ended, and with it what was open."""
        self._fold.finish()
        return self._taken()

    def _taken(self) -> list[Violation]:
        latest = self._findings.latest
        if not latest:
            return []
        self._findings.latest = []
        return [_violation(finding) for finding in latest if finding.rule in JUDGED_RULES]


def _violation(finding: Finding) -> Violation:
    return Violation.of(
        finding.rule,
        seen=finding.seen,
        expected=finding.expected,
        connection=finding.connection,
        at_ns=finding.at_ns,
    )
