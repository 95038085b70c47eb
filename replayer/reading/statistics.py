"""What a recording amounts to: counts, rates, connections, PINGs, gaps and silences. A pure fold
over its entries; of a proxied connection the client leg counts.

Memory grows with the number of connections and of kinds, not with the length of the recording.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from recorder.model import (
    Bytes,
    Checkpoint,
    Closed,
    End,
    FrameEntry,
    Header,
    KnownEntry,
    MessageEntry,
    Note,
    Open,
    Request,
    Response,
    Resume,
    Sender,
    UnknownEntry,
)
from recorder.track import Heartbeat, Rules, Violation, ping_uuids
from recorder.track.heartbeat import RoundTrips
from recorder.track.kinds import quick_kind
from recorder.wire.handshake import header_value
from replayer.reading.checkpoints import OpenConnection, read_checkpoint
from replayer.reading.conversation import (
    WHOLE_TEXT,
    BrokenMessage,
    DataMessage,
    Exchange,
    Item,
    converse,
    frame_of,
)
from replayer.reading.facts import (
    LISTED_UNANSWERED,
    LISTED_VIOLATIONS,
    SILENCE_NS,
    ConnectionFacts,
    Count,
    Facts,
    Pings,
    Rate,
    Unanswered,
)
from replayer.reading.legs import client_legs, repeats_another
from replayer.reading.pings import PingRow
from replayer.reading.pings import Pings as PingRows
from replayer.reading.tallies import BusiestSecond, Longest

__all__ = ["gather"]


_CONTROL: Final = frozenset({"close", "ping", "pong", *range(8, 16)})


class _Watched:
    """One connection while it lasts."""

    def __init__(
        self, connection: int, opened_ns: int | None, rules: Rules, *, before: bool = False
    ) -> None:
        self.connection = connection
        self.before = before
        self.opened_ns = opened_ns
        self.open: Open | None = None
        self.closed: Closed | None = None
        self.handshake_status: int | None = None
        self.exchanges: Counter[str] = Counter()
        self.client_messages = self.client_bytes = 0
        self.server_messages = self.server_bytes = 0
        self.at_once: dict[str, list[int]] = {}
        """Of the server's messages, those that were counted at once: how many and their bytes, by
        kind."""
        self.between_messages = False
        """Whether it is a socket, of a client's leg, whose server has no message begun."""
        self.control_frames = 0
        self.broken_messages = 0
        self.close: FrameEntry | None = None
        # Without timing every moment is 0: what PINGs and pongs say is judged, how late they are is
        # not.
        self.heartbeat = Heartbeat(rules, opened_ns=opened_ns or 0, connection=connection)
        self._pings: Counter[str] = Counter()
        self._trips: RoundTrips | None = None
        self._unanswered: list[Unanswered] = []

    def message(self, message: DataMessage) -> list[Violation]:
        if message.sender == "client":
            self.client_messages += 1
            self.client_bytes += len(message.payload)
        else:
            self.server_messages += 1
            self.server_bytes += len(message.payload)
        if message.opcode != "text":
            return []
        at_ns = message.offset_ns or 0
        if message.sender == "client":
            return self.heartbeat.client_text(message.payload, at_ns)
        found = []
        for uuid in ping_uuids(message.payload):
            found += self.pinged(uuid, message.offset_ns)
        return found

    def pinged(self, uuid: str, at_ns: int | None) -> list[Violation]:
        return self.heartbeat.ping_sent(uuid, at_ns or 0)

    def settled(self, row: PingRow) -> None:
        """What became of a PING is known."""
        self._pings[row.verdict] += 1
        if row.verdict == "unanswered" and len(self._unanswered) < LISTED_UNANSWERED:
            self._unanswered.append(Unanswered(uuid=row.uuid or "", at_ns=row.sent_ns))
        if row.verdict == "answered" and (trip_ns := row.round_trip_ns) is not None:
            before = self._trips or RoundTrips(trip_ns, trip_ns, 0)
            self._trips = RoundTrips(
                min(before.min_ns, trip_ns), max(before.max_ns, trip_ns), before.sum_ns + trip_ns
            )

    def finish(self, at_ns: int | None) -> list[Violation]:
        return self.heartbeat.finish(at_ns or 0)

    def facts(self) -> ConnectionFacts:
        frame = None if self.close is None else frame_of(self.close)
        closed = self.closed
        return ConnectionFacts(
            connection=self.connection,
            url=None if self.open is None else self.open.url,
            peer=None if self.open is None else self.open.peer,
            before=self.before,
            opened_ns=self.opened_ns,
            closed_ns=None if closed is None else closed.offset_ns,
            handshake_status=self.handshake_status,
            exchanges=dict(self.exchanges),
            client_messages=self.client_messages,
            client_bytes=self.client_bytes,
            server_messages=self.server_messages,
            server_bytes=self.server_bytes,
            control_frames=self.control_frames,
            broken_messages=self.broken_messages,
            close_sender=None if self.close is None else self.close.sender,
            close_code=None if frame is None else frame.close_code,
            close_reason=None if frame is None else frame.close_reason,
            closed_by=None if closed is None else closed.by,
            closed_how=None if closed is None else closed.how,
            closed_detail=None if closed is None else closed.detail,
            pings=self._ping_facts(),
        )

    def _ping_facts(self) -> Pings:
        count, trips = self._pings, self._trips
        return Pings(
            sent=count.total(),
            answered=count["answered"],
            late=count["late"],
            undecided=count["undecided"],
            round_trip_min_ns=None if trips is None else trips.min_ns,
            round_trip_mean_ns=None if trips is None else trips.sum_ns // count["answered"],
            round_trip_max_ns=None if trips is None else trips.max_ns,
            unanswered_count=count["unanswered"],
            unanswered=self._unanswered,
        )


class _Fold:
    def __init__(
        self,
        *,
        timed: bool,
        rules: Rules,
        selected: Callable[[DataMessage], bool] | None = None,
    ) -> None:
        self.timed = timed
        self.rules = rules
        self.pings = PingRows(rules)
        self.selected = selected
        self.entries = 0
        self.from_ns = 0
        self.last_ns = 0
        self.before_ns = 0
        """That of the entry before the last."""
        self.heard_ns: int | None = None
        self.silences = Longest()
        self.sockets: set[int] = set()
        self.without_socket_ns: int | None = None
        self.gaps = Longest()
        self.client_connections = 0
        self.upstream_connections = 0
        self.numbers: set[int] = set()
        self.redacted = 0
        self.redaction: Counter[str] = Counter()
        self.resumed = 0
        self.notes = 0
        self.unknown = 0
        self.tallies: dict[tuple[Sender, str], list[int]] = {}
        """Messages and their bytes, by kind."""
        self.seconds = BusiestSecond()
        self.watched: dict[int, _Watched] = {}
        self.ended: list[ConnectionFacts] = []
        self.violations: Counter[str] = Counter()
        self.first_violations: list[str] = []

    def through(
        self, entries: Iterable[KnownEntry | UnknownEntry]
    ) -> Iterator[KnownEntry | UnknownEntry]:
        """The entries, counted as they pass."""
        for entry in entries:
            if type(entry) is FrameEntry and self._count_at_once(entry):
                continue
            if entry.offset_ns is not None:
                if not self.entries and isinstance(entry, Checkpoint):
                    self.from_ns = self.last_ns = entry.offset_ns
                self.before_ns, self.last_ns = self.last_ns, entry.offset_ns
            self.entries += 1
            if isinstance(entry, UnknownEntry):
                self.unknown += 1
            else:
                self.redacted += entry.redacted
                if isinstance(entry, FrameEntry | MessageEntry | Bytes | Request | Response):
                    self._heard(entry.offset_ns)
                else:
                    self._count_legs(entry)
            yield entry

    def _count_at_once(self, entry: FrameEntry) -> bool:
        """Count a whole message from which nothing follows, as nearly all of a long recording are.
        False if it is none of these: then nothing was counted.
        """
        watched = self.watched.get(entry.connection)
        if watched is None or entry.sender == "client":
            return False
        text = entry.text
        if (
            not watched.between_messages
            or text is None
            or entry.head[:2] != WHOLE_TEXT
            or self.selected is not None
            or (kind := quick_kind(text)) is None
        ):
            if entry.opcode not in _CONTROL:
                watched.between_messages = entry.fin
            return False
        tally = watched.at_once.get(kind)
        if tally is None:
            tally = watched.at_once[kind] = [0, 0]
            # Kinds are listed in the order in which they came.
            self._tally("server", kind, 0, 0)
        tally[0] += 1
        tally[1] += len(text) if text.isascii() else len(text.encode("utf-8"))
        self.redacted += entry.redacted
        at_ns = entry.offset_ns
        if at_ns is not None:
            self.before_ns, self.last_ns = self.last_ns, at_ns
            heard_ns = self.heard_ns
            if heard_ns is not None and at_ns - heard_ns > SILENCE_NS:
                self.silences.add(heard_ns, at_ns)
            self.heard_ns = at_ns
            if at_ns >= self.seconds.end_ns:
                self.seconds.turn(at_ns)
            self.seconds.count += 1
        return True

    def _count_legs(self, entry: KnownEntry) -> None:
        found: list[Open | OpenConnection] = []
        if isinstance(entry, Open):
            found = [entry]
        elif isinstance(entry, Checkpoint):
            listed = read_checkpoint(entry).connections
            found = [each for number, each in listed.items() if number not in self.numbers]
        for each in found:
            self.numbers.add(each.connection)
            if repeats_another(each):
                self.upstream_connections += 1
            else:
                self.client_connections += each.leg == "client"

    def _heard(self, at_ns: int | None) -> None:
        if at_ns is None:
            return
        if self.heard_ns is not None and at_ns - self.heard_ns > SILENCE_NS:
            self.silences.add(self.heard_ns, at_ns)
        self.heard_ns = at_ns

    def item(self, item: Item) -> None:
        self._settle(self.pings.take(item), self.before_ns)
        match item:
            case DataMessage():
                if self.selected is None or self.selected(item):
                    self._count(item)
                self._report(self._of(item).message(item))
            case FrameEntry():
                watched = self._of(item)
                watched.control_frames += 1
                if item.opcode == "close" and watched.close is None:
                    watched.close = item
            case BrokenMessage():
                self._of(item).broken_messages += not item.cut_off
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
            case Checkpoint():
                self._take_up(item)
            case Note():
                self.notes += 1
            case End():
                self.redaction.update(item.redaction)
            case _:
                pass

    def _settle(self, rows: Iterable[PingRow], passed_ns: int) -> None:
        """Count the PINGs of these rows; what was counted at once passed before them."""
        if self.timed:
            self.pings.passed(passed_ns)
        for row in rows:
            # Of one that a checkpoint alone tells of the connection may not be known.
            if row.verdict != "stray" and (watched := self.watched.get(row.connection)) is not None:
                watched.settled(row)

    def _take_up(self, checkpoint: Checkpoint) -> None:
        """Go on from where the checkpoint stands. What reading had before it, if anything, ended
        where entries are missing: that is no silence.
        """
        self.heard_ns = None
        self._end_all(self.before_ns)
        self.without_socket_ns = None
        standing = read_checkpoint(checkpoint)
        for number, connection in standing.connections.items():
            watched = _Watched(number, checkpoint.offset_ns, self.rules, before=True)
            watched.open = connection.opened(checkpoint)
            if connection.is_socket:
                watched.handshake_status = 101
                self._socket_opened(number, checkpoint.offset_ns)
            self.watched[number] = watched
        for ping in standing.pings:
            if (owner := self.watched.get(ping.connection)) is not None:
                owner.pinged(ping.uuid, ping.offset_ns)

    def _socket_opened(self, connection: int, at_ns: int | None) -> None:
        if self.without_socket_ns is not None and at_ns is not None:
            self.gaps.add(self.without_socket_ns, at_ns)
        self.without_socket_ns = None
        self.sockets.add(connection)

    def _of(
        self, item: DataMessage | FrameEntry | BrokenMessage | Exchange | Open | Closed
    ) -> _Watched:
        watched = self.watched.get(item.connection)
        if watched is None:
            watched = _Watched(item.connection, item.offset_ns, self.rules)
            self.watched[item.connection] = watched
        return watched

    def _count(self, message: DataMessage) -> None:
        self._tally(message.sender, "+".join(message.kinds), 1, len(message.payload))
        at_ns = message.offset_ns
        if at_ns is not None:
            if at_ns >= self.seconds.end_ns:
                self.seconds.turn(at_ns)
            self.seconds.count += 1

    def _tally(self, sender: Sender, kind: str, messages: int, size_bytes: int) -> None:
        tally = self.tallies.setdefault((sender, kind), [0, 0])
        tally[0] += messages
        tally[1] += size_bytes

    def _exchange(self, exchange: Exchange) -> None:
        watched = self._of(exchange)
        status = None if exchange.response is None else exchange.response.status
        asked_to_upgrade = (
            exchange.request is not None
            and header_value(exchange.request.headers, "Upgrade") is not None
        )
        if status == 101 or (asked_to_upgrade and status is not None):
            watched.handshake_status = status
            if status == 101:
                watched.between_messages = True
                self._socket_opened(exchange.connection, exchange.offset_ns)
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
            for kind, (messages, size_bytes) in watched.at_once.items():
                self._tally("server", kind, messages, size_bytes)
                self.entries += messages
                watched.server_messages += messages
                watched.server_bytes += size_bytes
            self._report(watched.finish(at_ns))
            self.ended.append(watched.facts())
        if connection in self.sockets:
            self.sockets.remove(connection)
            if not self.sockets:
                self.without_socket_ns = at_ns

    def _end_all(self, at_ns: int | None) -> None:
        for connection in list(self.watched):
            self._end(connection, at_ns)

    def facts(self) -> Facts:
        self._settle(self.pings.finish(), self.last_ns)
        self._end_all(self.last_ns)
        total = sum(messages for messages, _ in self.tallies.values())
        rate = None
        length_ns = self.last_ns - self.from_ns
        if self.timed and total and length_ns:
            busiest, from_ns = self.seconds.most()
            rate = Rate(mean=total / (length_ns / 1e9), busiest=busiest, busiest_from_ns=from_ns)
        return Facts(
            entries=self.entries,
            from_ns=self.from_ns,
            duration_ns=length_ns if self.timed else None,
            client_connections=self.client_connections,
            upstream_connections=self.upstream_connections,
            messages=[
                Count(sender=sender, kind=kind, messages=messages, bytes=size_bytes)
                for (sender, kind), (messages, size_bytes) in sorted(
                    self.tallies.items(), key=lambda one: -one[1][0]
                )
            ],
            rate=rate,
            gap_count=self.gaps.count,
            gaps=self.gaps.longest(),
            silence_count=self.silences.count,
            silences=self.silences.longest(),
            connections=self.ended,
            redacted_entries=self.redacted,
            redaction=dict(self.redaction),
            resumed=self.resumed,
            notes=self.notes,
            unknown_entries=self.unknown,
            violations=dict(self.violations),
            first_violations=self.first_violations,
        )


def gather(
    header: Header,
    entries: Iterable[KnownEntry | UnknownEntry],
    *,
    selected: Callable[[DataMessage], bool] | None = None,
    rules: Rules | None = None,
) -> Facts:
    """Read all entries once. Connections stand in the order in which they ended.

    With ``selected`` the counts and rates are of the messages that it takes; all else is of the
    whole recording.

    PINGs and pongs are judged by ``rules``, else as the manual has them.
    Raises what :func:`~replayer.reading.conversation.converse` and ``entries`` do.
    """
    fold = _Fold(timed=header.timing == "measured", rules=rules or Rules(), selected=selected)
    for item in converse(client_legs(fold.through(entries))):
        fold.item(item)
    return fold.facts()
