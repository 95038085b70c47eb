"""What a recording amounts to: counts, rates, connections, PINGs and silences. A pure fold over its
entries.

Memory grows with the number of connections and of kinds, not with the length of the recording.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import heappushpop
from typing import Final

import msgspec

from recorder.model import (
    Bytes,
    Closed,
    End,
    FrameEntry,
    Header,
    KnownEntry,
    MessageEntry,
    Open,
    Request,
    Response,
    Resume,
    Sender,
    UnknownEntry,
)
from recorder.track import Heartbeat, Rules, Violation, parse_pong, ping_uuids
from recorder.track.heartbeat import REMEMBERED_PINGS
from recorder.wire.handshake import header_value
from replayer.conversation import BrokenMessage, DataMessage, Exchange, Item, converse, frame_of

__all__ = [
    "LISTED_UNANSWERED",
    "LISTED_VIOLATIONS",
    "SILENCE_NS",
    "ConnectionFacts",
    "Count",
    "Facts",
    "Pings",
    "Rate",
    "Silence",
    "Unanswered",
    "gather",
]

SILENCE_NS: Final = 5_000_000_000
"""A longer time without anything from either side, while someone recorded, is a silence."""

LISTED_SILENCES: Final = 3
LISTED_UNANSWERED: Final = 10
LISTED_VIOLATIONS: Final = 10
"""So many are listed; all are counted."""


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of one kind from one sender. One that holds several kinds counts under their names
    joined by ``+``."""

    sender: Sender
    kind: str
    messages: int
    bytes: int


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """Messages a second: over the whole recording, and in the busiest whole second, which begins at
    ``busiest_from_ns``."""

    mean: float
    busiest: int
    busiest_from_ns: int


class Silence(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A time in which nothing came from either side."""

    length_ns: int
    from_ns: int


class Unanswered(msgspec.Struct, frozen=True, kw_only=True):
    """A PING that no pong came for, and when it passed."""

    uuid: str
    at_ns: int | None


class Pings(msgspec.Struct, frozen=True, kw_only=True):
    """The PINGs of one connection. ``answered`` in time; the round trips are None where there are
    none or no timing.

    ``unanswered`` lists the first :data:`LISTED_UNANSWERED` of ``unanswered_count``.
    """

    sent: int
    answered: int
    round_trip_min_ns: int | None
    round_trip_mean_ns: int | None
    round_trip_max_ns: int | None
    unanswered_count: int
    unanswered: list[Unanswered]


class ConnectionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One TCP connection.

    ``exchanges`` counts HTTP responses by status (``none`` where no response came), without the
    handshake, whose status is ``handshake_status``. The close is the first close frame;
    ``closed_by`` is who ended the TCP connection. Each is None where it was not seen.
    """

    connection: int
    url: str | None
    peer: str | None
    opened_ns: int | None
    closed_ns: int | None
    handshake_status: int | None
    exchanges: dict[str, int]
    client_messages: int
    client_bytes: int
    server_messages: int
    server_bytes: int
    control_frames: int
    broken_messages: int
    close_sender: Sender | None
    close_code: int | None
    close_reason: str | None
    closed_by: str | None
    closed_how: str | None
    closed_detail: str | None
    pings: Pings


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. ``duration_ns`` is the offset of the last entry, ``rate`` and ``silences`` are
    empty without timing.

    ``silences`` are the longest, longest first, of ``silence_count``. ``redacted_entries`` are
    those with a replaced value, ``redaction`` the counts by rule that the recording ends with,
    empty where it has no end. ``violations`` counts by rule; ``first_violations`` are the first
    :data:`LISTED_VIOLATIONS` in words.
    """

    entries: int
    duration_ns: int | None
    messages: list[Count]
    rate: Rate | None
    silence_count: int
    silences: list[Silence]
    connections: list[ConnectionFacts]
    redacted_entries: int
    redaction: dict[str, int]
    resumed: int
    unknown_entries: int
    violations: dict[str, int]
    first_violations: list[str]


class _Watched:
    """One connection while it lasts."""

    def __init__(self, connection: int, opened_ns: int | None) -> None:
        self.connection = connection
        self.opened_ns = opened_ns
        self.open: Open | None = None
        self.closed: Closed | None = None
        self.handshake_status: int | None = None
        self.exchanges: Counter[str] = Counter()
        self.messages: Counter[Sender] = Counter()
        self.bytes: Counter[Sender] = Counter()
        self.control_frames = 0
        self.broken_messages = 0
        self.close: FrameEntry | None = None
        # Without timing every moment is 0: what PINGs and pongs say is judged, how late they are is
        # not.
        self.heartbeat = Heartbeat(Rules(), opened_ns=opened_ns or 0, connection=connection)
        self._waiting: dict[str, int | None] = {}
        self._unanswered: list[Unanswered] = []
        self._unanswered_count = 0

    def message(self, message: DataMessage) -> list[Violation]:
        self.messages[message.sender] += 1
        self.bytes[message.sender] += len(message.payload)
        if message.opcode != "text":
            return []
        at_ns = message.offset_ns or 0
        if message.sender == "client":
            pong = parse_pong(message.payload)
            if pong is not None and pong.uuid is not None:
                self._waiting.pop(pong.uuid, None)
            return self.heartbeat.client_text(message.payload, at_ns)
        found = []
        for uuid in ping_uuids(message.payload):
            found += self.heartbeat.ping_sent(uuid, at_ns)
            self._waiting[uuid] = message.offset_ns
            if len(self._waiting) > REMEMBERED_PINGS:
                self._give_up(next(iter(self._waiting)))
        return found

    def _give_up(self, uuid: str) -> None:
        at_ns = self._waiting.pop(uuid)
        self._unanswered_count += 1
        if len(self._unanswered) < LISTED_UNANSWERED:
            self._unanswered.append(Unanswered(uuid=uuid, at_ns=at_ns))

    def finish(self, at_ns: int | None) -> list[Violation]:
        for uuid in list(self._waiting):
            self._give_up(uuid)
        return self.heartbeat.finish(at_ns or 0)

    def facts(self) -> ConnectionFacts:
        frame = None if self.close is None else frame_of(self.close)
        closed = self.closed
        return ConnectionFacts(
            connection=self.connection,
            url=None if self.open is None else self.open.url,
            peer=None if self.open is None else self.open.peer,
            opened_ns=self.opened_ns,
            closed_ns=None if closed is None else closed.offset_ns,
            handshake_status=self.handshake_status,
            exchanges=dict(self.exchanges),
            client_messages=self.messages["client"],
            client_bytes=self.bytes["client"],
            server_messages=self.messages["server"],
            server_bytes=self.bytes["server"],
            control_frames=self.control_frames,
            broken_messages=self.broken_messages,
            close_sender=None if self.close is None else self.close.sender,
            close_code=None if frame is None else frame.close_code,
            close_reason=None if frame is None else frame.close_reason,
            closed_by=None if closed is None else closed.by,
            closed_how=None if closed is None else closed.how,
            closed_detail=None if closed is None else closed.detail,
            pings=self._pings(),
        )

    def _pings(self) -> Pings:
        beat = self.heartbeat
        trips = None if self.opened_ns is None else beat.round_trips
        return Pings(
            sent=beat.pings,
            answered=beat.answered,
            round_trip_min_ns=None if trips is None else trips.min_ns,
            round_trip_mean_ns=None if trips is None else trips.sum_ns // beat.answered,
            round_trip_max_ns=None if trips is None else trips.max_ns,
            unanswered_count=self._unanswered_count,
            unanswered=self._unanswered,
        )


class _Fold:
    def __init__(self, *, timed: bool) -> None:
        self.timed = timed
        self.entries = 0
        self.last_ns = 0
        self.heard_ns: int | None = None
        self.silence_count = 0
        self.silences: list[Silence] = []
        self.redacted = 0
        self.redaction: dict[str, int] = {}
        self.resumed = 0
        self.unknown = 0
        self.counts: Counter[tuple[Sender, str]] = Counter()
        self.sizes: Counter[tuple[Sender, str]] = Counter()
        self.second = -1
        self.in_second = 0
        self.busiest = (0, 0)
        self.watched: dict[int, _Watched] = {}
        self.ended: list[ConnectionFacts] = []
        self.violations: Counter[str] = Counter()
        self.first_violations: list[str] = []

    def through(
        self, entries: Iterable[KnownEntry | UnknownEntry]
    ) -> Iterator[KnownEntry | UnknownEntry]:
        """The entries, counted as they pass."""
        for entry in entries:
            self.entries += 1
            if entry.offset_ns is not None:
                self.last_ns = entry.offset_ns
            if isinstance(entry, UnknownEntry):
                self.unknown += 1
            else:
                self.redacted += entry.redacted
                if isinstance(entry, FrameEntry | MessageEntry | Bytes | Request | Response):
                    self._heard(entry.offset_ns)
            yield entry

    def _heard(self, at_ns: int | None) -> None:
        if at_ns is None:
            return
        if self.heard_ns is not None and at_ns - self.heard_ns > SILENCE_NS:
            self.silence_count += 1
            silence = Silence(length_ns=at_ns - self.heard_ns, from_ns=self.heard_ns)
            if len(self.silences) < LISTED_SILENCES:
                self.silences.append(silence)
                self.silences.sort()
            else:
                heappushpop(self.silences, silence)
        self.heard_ns = at_ns

    def item(self, item: Item) -> None:
        match item:
            case DataMessage():
                self._count(item)
                self._report(self._of(item).message(item))
            case FrameEntry():
                watched = self._of(item)
                watched.control_frames += 1
                if item.opcode == "close" and watched.close is None:
                    watched.close = item
            case BrokenMessage():
                self._of(item).broken_messages += 1
            case Exchange():
                self._exchange(item)
            case Open():
                self._end(item.connection, item.offset_ns)
                self._of(item).open = item
            case Closed():
                self._of(item).closed = item
                self._end(item.connection, item.offset_ns)
            case Resume():
                self.resumed += 1
                # Nobody listened in between: that is no silence, and the connections are gone.
                self.heard_ns = None
                self._end_all(item.offset_ns)
            case End():
                self.redaction = item.redaction
            case _:
                pass

    def _of(
        self, item: DataMessage | FrameEntry | BrokenMessage | Exchange | Open | Closed
    ) -> _Watched:
        watched = self.watched.get(item.connection)
        if watched is None:
            watched = self.watched[item.connection] = _Watched(item.connection, item.offset_ns)
        return watched

    def _count(self, message: DataMessage) -> None:
        key = (message.sender, "+".join(message.kinds))
        self.counts[key] += 1
        self.sizes[key] += len(message.payload)
        if message.offset_ns is not None:
            second = message.offset_ns // 1_000_000_000
            if second != self.second:
                self.second, self.in_second = second, 0
            self.in_second += 1
            if self.in_second > self.busiest[0]:
                self.busiest = (self.in_second, second)

    def _exchange(self, exchange: Exchange) -> None:
        watched = self._of(exchange)
        status = None if exchange.response is None else exchange.response.status
        asked_to_upgrade = (
            exchange.request is not None
            and header_value(exchange.request.headers, "Upgrade") is not None
        )
        if status == 101 or (asked_to_upgrade and status is not None):
            watched.handshake_status = status
        else:
            watched.exchanges["none" if status is None else str(status)] += 1

    def _report(self, violations: list[Violation]) -> None:
        for violation in violations:
            if not self.timed:
                # Every moment was 0 (see _Watched), so a PING is missing its pong only because
                # there are too many.
                if violation.rule == "pong.missing":
                    continue
                violation = msgspec.structs.replace(violation, at_ns=None)
            self.violations[violation.rule] += 1
            if len(self.first_violations) < LISTED_VIOLATIONS:
                self.first_violations.append(str(violation))

    def _end(self, connection: int, at_ns: int | None) -> None:
        watched = self.watched.pop(connection, None)
        if watched is not None:
            self._report(watched.finish(at_ns))
            self.ended.append(watched.facts())

    def _end_all(self, at_ns: int | None) -> None:
        for connection in list(self.watched):
            self._end(connection, at_ns)

    def facts(self) -> Facts:
        self._end_all(self.last_ns)
        total = self.counts.total()
        rate = None
        if self.timed and total and self.last_ns:
            busiest, second = self.busiest
            rate = Rate(
                mean=total / (self.last_ns / 1e9),
                busiest=busiest,
                busiest_from_ns=second * 1_000_000_000,
            )
        return Facts(
            entries=self.entries,
            duration_ns=self.last_ns if self.timed else None,
            messages=[
                Count(sender=sender, kind=kind, messages=count, bytes=self.sizes[sender, kind])
                for (sender, kind), count in self.counts.most_common()
            ],
            rate=rate,
            silence_count=self.silence_count,
            silences=sorted(self.silences, reverse=True),
            connections=self.ended,
            redacted_entries=self.redacted,
            redaction=self.redaction,
            resumed=self.resumed,
            unknown_entries=self.unknown,
            violations=dict(self.violations),
            first_violations=self.first_violations,
        )


def gather(header: Header, entries: Iterable[KnownEntry | UnknownEntry]) -> Facts:
    """Read all entries once. Connections stand in the order in which they ended.

    PINGs and pongs are judged by the rules as the manual has them (:class:`~recorder.track.Rules`).
    Raises what :func:`~replayer.conversation.converse` and ``entries`` do.
    """
    fold = _Fold(timed=header.timing == "measured")
    for item in converse(fold.through(entries)):
        fold.item(item)
    return fold.facts()
