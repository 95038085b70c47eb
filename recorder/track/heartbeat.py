"""The heartbeat of one socket: PINGs from the server, pongs from the client (manual section 3.3).

One state machine, three uses:

- *answering*: :meth:`Heartbeat.answer` says which pongs a client owes for a payload;
- *checking*: whoever watches both directions passes each PING to :meth:`Heartbeat.ping_sent` and
  each client text to :meth:`Heartbeat.client_text`, and ends with :meth:`Heartbeat.finish`;
- *enforcing*: a server sleeps until :attr:`Heartbeat.due_ns`, calls :meth:`Heartbeat.tick` and does
  what it returns; it passes each client text to :meth:`Heartbeat.client_text`.

A pong counts if it is exactly ``pong <uuid>`` of an unanswered PING of this socket and not late;
anything else is ignored and reported. Late is after the moment when the next PING is due; at that
very moment the pong wins. So a socket is kept exactly as long as every PING is answered in time
with its own uuid.

Strategy: a PING is *open* until it is answered or given up, then *past*. Both are dicts in the
order of the PINGs and hold :data:`REMEMBERED_PINGS` at most, so that an endless socket takes
bounded memory: what is older is forgotten, and a pong for it counts as one of no PING.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from recorder.track.kinds import parse_pong, ping_uuids, pong_text
from recorder.track.rules import Rules
from recorder.track.violations import Violation

__all__ = ["REMEMBERED_PINGS", "CloseSocket", "Heartbeat", "RoundTrips", "SendPing"]

REMEMBERED_PINGS: Final = 64
"""How many open, and how many past PINGs a socket remembers: half an hour at the usual interval."""


class SendPing(msgspec.Struct, frozen=True):
    """Send a PING with this uuid now. ``violation`` is news: the PING before it was given up
    (``unanswered_ping = "ignore"``).
    """

    uuid: str
    violation: Violation | None


class CloseSocket(msgspec.Struct, frozen=True):
    """Close the socket now with this close frame. ``violation`` is why, None where it was reported
    before, as a late pong.
    """

    code: int
    reason: str
    violation: Violation | None


class RoundTrips(msgspec.Struct, frozen=True):
    """The shortest, the longest and the sum of the times from PING to pong, of all that were
    answered in time.
    """

    min_ns: int
    max_ns: int
    sum_ns: int


class _Sent(msgspec.Struct, frozen=True, gc=False):
    at_ns: int
    deadline_ns: int


class Heartbeat:
    """The heartbeat of one socket that was opened at ``opened_ns``. Pure: time is passed in and
    must not decrease.

    All times are nanoseconds of one clock. ``connection`` is only for the violations. Nothing here
    raises, whatever comes from the wire.
    """

    __slots__ = (
        "_again",
        "_answered",
        "_broken",
        "_connection",
        "_due_ns",
        "_last_answered",
        "_open",
        "_opened_ns",
        "_past",
        "_pings",
        "_round_trips",
        "_rules",
    )

    def __init__(self, rules: Rules, *, opened_ns: int, connection: int | None = None) -> None:
        self._rules = rules
        self._connection = connection
        self._opened_ns = opened_ns
        self._due_ns = opened_ns + rules.ping_interval_ns
        self._open: dict[str, _Sent] = {}
        # A past PING that no pong has come for keeps its _Sent; an answered one, in time or late,
        # has None.
        self._past: dict[str, _Sent | None] = {}
        # How often an open PING was sent again: so many more pongs are no fault of the client's.
        self._again: dict[str, int] = {}
        self._broken = False
        self._pings = 0
        self._answered = 0
        self._last_answered: tuple[str, int] | None = None
        self._round_trips: RoundTrips | None = None

    @property
    def due_ns(self) -> int:
        """When :meth:`tick` has something to decide."""
        return self._due_ns

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The uuids of the open PINGs, oldest first."""
        return tuple(self._open)

    @property
    def last_answered(self) -> tuple[str, int] | None:
        """The PING that was last answered in time: its uuid, and nanoseconds from PING to pong."""
        return self._last_answered

    @property
    def pings(self) -> int:
        """How many PINGs were sent."""
        return self._pings

    @property
    def answered(self) -> int:
        """How many PINGs were answered in time."""
        return self._answered

    @property
    def round_trips(self) -> RoundTrips | None:
        """None before the first answer."""
        return self._round_trips

    def answer(self, payload: bytes) -> list[str]:
        """The pongs that a client owes for a message of the server, one a PING in it. It changes
        nothing.
        """
        return [pong_text(uuid) for uuid in dict.fromkeys(ping_uuids(payload))]

    def ping_sent(self, uuid: str, at_ns: int) -> list[Violation]:
        """A PING passed on the wire; it is to be answered within the interval. Not for those that
        :meth:`tick` returned.

        Returns ``ping.repeated-uuid`` if the uuid is among the remembered, and ``pong.missing`` for
        a PING that is forgotten unanswered.
        """
        found = []
        if uuid in self._open or uuid in self._past:
            found.append(
                self._violation(
                    "ping.repeated-uuid",
                    f"the server sent a PING with the uuid {uuid} again",
                    "a new uuid",
                    at_ns,
                )
            )
        return found + self._sent(uuid, at_ns, at_ns + self._rules.ping_interval_ns)

    def client_text(self, text: bytes, at_ns: int) -> list[Violation]:
        """A text message of the client passed on the wire (a binary one never counts).

        Returns nothing if it is a pong that counts, or no pong at all, which the backend ignores;
        else the one violation.
        """
        pong = parse_pong(text)
        if pong is None or pong.uuid is None:
            # An open uuid in any other text was meant as a pong, too: the PING sent back, or its
            # bare uuid.
            if pong is None and not any(uuid.encode() in text for uuid in self._open):
                return []
            return [self._wrong_pong("pong.malformed", text, at_ns)]
        uuid = pong.uuid
        if (sent := self._open.get(uuid)) is not None:
            del self._open[uuid]
            self._keep_past(uuid, None)
            if at_ns > sent.deadline_ns:
                self._broken = True
                return [self._late(uuid, sent, at_ns)]
            self._count(uuid, at_ns - sent.at_ns)
            return []
        if uuid in self._past:
            if (given_up := self._past[uuid]) is None:
                if self._again.get(uuid):
                    self._again[uuid] -= 1
                    return []
                return [self._wrong_pong("pong.repeated", text, at_ns)]
            self._past[uuid] = None
            return [self._late(uuid, given_up, at_ns)]
        rule = "pong.wrong-uuid" if self._open else "pong.unsolicited"
        return [self._wrong_pong(rule, text, at_ns)]

    def tick(self, at_ns: int, new_uuid: Callable[[], str]) -> SendPing | CloseSocket | None:
        """What a server must do at ``at_ns``: nothing before :attr:`due_ns`, then send a PING or
        close the socket.

        A pong that was handed in before, at the same moment, has won; after it, it is late. The
        PING counts as sent at ``at_ns``. PINGs are due at multiples of the interval since the
        socket was opened, so that they do not drift; a tick that comes late leaves out multiples
        rather than give a client less than half an interval, and never catches up with a burst.
        Nothing is to be called after CloseSocket but :meth:`finish`.
        """
        if at_ns < self._due_ns:
            return None
        overdue = self._overdue(at_ns)
        violation = self._give_up(overdue[0], at_ns) if overdue else None
        rules = self._rules
        if self._broken and rules.unanswered_ping == "close":
            return CloseSocket(rules.unanswered_ping_close_code, rules.close_reason, violation)
        interval_ns = rules.ping_interval_ns
        # The first multiple that is at least half an interval away; -(-a // b) rounds up.
        multiples = -(-(at_ns + interval_ns // 2 - self._opened_ns) // interval_ns)
        self._due_ns = self._opened_ns + multiples * interval_ns
        uuid = new_uuid()
        self._sent(uuid, at_ns, self._due_ns)
        return SendPing(uuid, violation)

    def retract(self, uuid: str) -> None:
        """The PING that :meth:`tick` returned did not go out: nobody owes its pong."""
        if self._open.pop(uuid, None) is not None:
            self._pings -= 1

    def went_out(self, uuid: str, at_ns: int) -> None:
        """A PING that was retracted went out after all, or another in its place. It is to be
        answered before the next one is due, and never within less than half an interval.
        """
        interval_ns = self._rules.ping_interval_ns
        in_time = self._due_ns - at_ns >= interval_ns // 2
        self._sent(uuid, at_ns, self._due_ns if in_time else at_ns + interval_ns)

    def finish(self, at_ns: int) -> list[Violation]:
        """The socket ended: ``pong.missing`` for each open PING whose deadline has come. Younger
        ones stay unanswered.
        """
        return [self._give_up(uuid, at_ns) for uuid in self._overdue(at_ns)]

    def _sent(self, uuid: str, at_ns: int, deadline_ns: int) -> list[Violation]:
        found = []
        if uuid in self._open:
            self._again[uuid] = self._again.get(uuid, 0) + 1
            if at_ns > self._open[uuid].deadline_ns:
                found.append(self._give_up(uuid, at_ns))
        # Taken out first, so that a repeated uuid moves to the end of the order.
        self._open.pop(uuid, None)
        self._open[uuid] = _Sent(at_ns, deadline_ns)
        self._pings += 1
        if len(self._open) > REMEMBERED_PINGS:
            found.append(self._give_up(next(iter(self._open)), at_ns))
        return found

    def _overdue(self, at_ns: int) -> list[str]:
        return [uuid for uuid, sent in self._open.items() if at_ns >= sent.deadline_ns]

    def _give_up(self, uuid: str, at_ns: int) -> Violation:
        sent = self._open.pop(uuid)
        self._keep_past(uuid, sent)
        self._broken = True
        waited_s = (at_ns - sent.at_ns) / 1e9
        seen = f"the client sent no pong in the {waited_s:.3f} s since the PING {uuid}"
        return self._violation("pong.missing", seen, _quoted(pong_text(uuid)), at_ns)

    def _keep_past(self, uuid: str, sent: _Sent | None) -> None:
        self._past[uuid] = sent
        if len(self._past) > REMEMBERED_PINGS:
            forgotten = next(iter(self._past))
            del self._past[forgotten]
            self._again.pop(forgotten, None)

    def _count(self, uuid: str, round_trip_ns: int) -> None:
        self._answered += 1
        self._last_answered = (uuid, round_trip_ns)
        so_far = self._round_trips or RoundTrips(round_trip_ns, round_trip_ns, 0)
        self._round_trips = RoundTrips(
            min(so_far.min_ns, round_trip_ns),
            max(so_far.max_ns, round_trip_ns),
            so_far.sum_ns + round_trip_ns,
        )

    def _late(self, uuid: str, sent: _Sent, at_ns: int) -> Violation:
        after_s = (at_ns - sent.at_ns) / 1e9
        allowed_s = (sent.deadline_ns - sent.at_ns) / 1e9
        seen = f"the client sent {_quoted(pong_text(uuid))} {after_s:.3f} s after its PING"
        return self._violation("pong.late", seen, f"it within {allowed_s:.3f} s", at_ns)

    def _wrong_pong(self, rule: str, text: bytes, at_ns: int) -> Violation:
        seen = f"the client sent {_quoted(text.decode('utf-8', 'replace'))}"
        if rule == "pong.repeated":
            seen += " again"
        oldest = next(iter(self._open), None)
        expected = (
            "no pong, for no PING is unanswered" if oldest is None else _quoted(pong_text(oldest))
        )
        return self._violation(rule, seen, expected, at_ns)

    def _violation(self, rule: str, seen: str, expected: str, at_ns: int) -> Violation:
        return Violation.of(
            rule, seen=seen, expected=expected, connection=self._connection, at_ns=at_ns
        )


_QUOTED_CHARACTERS: Final = 80


def _quoted(text: str) -> str:
    # repr shows what a terminal would not, as a line break at the end: the usual reason why a pong
    # does not count.
    return repr(text if len(text) <= _QUOTED_CHARACTERS else text[:_QUOTED_CHARACTERS] + "…")
