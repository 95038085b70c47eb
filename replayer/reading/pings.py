"""Every PING, its pong and what became of it, judged by the rules that the fake server enforces
(:mod:`recorder.track.heartbeat`; manual section 3.3). A pure fold.

Strategy: a PING is a row at once, and a socket's rows wait in the order of sending until nothing
can change them: a pong in time, or so many later PINGs that the heartbeat has forgotten it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

import msgspec

from recorder.model import Checkpoint, Closed, FrameEntry, Open, Resume
from recorder.track.heartbeat import REMEMBERED_PINGS, Heartbeat
from recorder.track.kinds import parse_pong, ping_uuids
from recorder.track.rules import Rules
from recorder.track.violations import Violation
from replayer.reading.checkpoints import read_checkpoint
from replayer.reading.conversation import DataMessage, Item

__all__ = ["PingRow", "Pings", "Verdict"]

Verdict: TypeAlias = Literal["answered", "late", "unanswered", "undecided", "stray"]
"""Of a PING: ``answered`` in time, ``late``; ``unanswered`` if it waited for the whole interval, or
the server closed the socket while it waited; ``undecided`` if its client closed before, the
recording ended before, or nobody took the time. ``stray`` is a pong that no PING counts as its
own."""


class PingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One PING, or one stray pong, which has no ``sent_ns``. ``seq`` is that of the message.

    ``rules`` names what was done against the rules (:data:`recorder.track.violations.RULES`) by
    this PING or its pong. ``uuid`` is None where a stray pong has none that can be read.
    """

    seq: int
    connection: int
    uuid: str | None
    sent_ns: int | None
    pong_ns: int | None
    round_trip_ns: int | None
    verdict: Verdict
    rules: tuple[str, ...]


class _Row:
    """A row that may still change."""

    def __init__(self, row: PingRow) -> None:
        self.row = row
        self.is_open = True

    def settle(self, verdict: Verdict, *rules: str, pong_ns: int | None = None) -> None:
        sent_ns = self.row.sent_ns
        trip_ns = None if pong_ns is None or sent_ns is None else pong_ns - sent_ns
        self.row = msgspec.structs.replace(
            self.row,
            verdict=verdict,
            pong_ns=pong_ns,
            round_trip_ns=trip_ns,
            rules=(*self.row.rules, *rules),
        )
        self.is_open = verdict == "unanswered"


class _Socket:
    def __init__(self, connection: int, rules: Rules, at_ns: int | None) -> None:
        self._connection = connection
        self._beat = Heartbeat(rules, opened_ns=at_ns or 0, connection=connection)
        self._rows: deque[_Row] = deque()
        self._by_uuid: dict[str, list[_Row]] = {}
        self._client_closed = False

    def knows(self, uuid: str) -> bool:
        """Whether a PING with this uuid is remembered."""
        return uuid in self._by_uuid

    def pinged(self, uuid: str, seq: int, at_ns: int | None) -> Iterator[PingRow]:
        """A PING passed; gives the rows that are settled by it."""
        found = self._judged(self._beat.ping_sent(uuid, at_ns or 0), at_ns)
        again = ("ping.repeated-uuid",) if "ping.repeated-uuid" in found else ()
        # One pong answers all that are open with its uuid: which one it meant cannot be told.
        same = [row for row in self._by_uuid.pop(uuid, []) if row.is_open]
        row = _Row(
            PingRow(
                seq=seq,
                connection=self._connection,
                uuid=uuid,
                sent_ns=at_ns,
                pong_ns=None,
                round_trip_ns=None,
                verdict="undecided",
                rules=again,
            )
        )
        self._rows.append(row)
        self._by_uuid[uuid] = [*same[-REMEMBERED_PINGS:], row]
        for forgotten in same[:-REMEMBERED_PINGS]:
            forgotten.is_open = False
        if len(self._by_uuid) > 2 * REMEMBERED_PINGS:
            # The heartbeat remembers as many open ones, and as many past.
            for forgotten in self._by_uuid.pop(next(iter(self._by_uuid))):
                forgotten.is_open = False
        yield from self._settled()

    def give_up(self, at_ns: int | None) -> None:
        """Whoever pings again, or ends the socket, waits no longer for what is overdue."""
        if at_ns is not None:
            self._judged(self._beat.finish(at_ns), at_ns)

    def closed(self, sender: str, at_ns: int | None) -> None:
        """Somebody closed the socket. What waits when the server does that first was not answered,
        though its client may not have broken a rule: the pong can still come, on its way already.
        """
        self.give_up(at_ns)
        if sender == "client":
            self._client_closed = True
        elif sender == "server" and not self._client_closed:
            for row in self._rows:
                if row.is_open and row.row.verdict == "undecided":
                    row.settle("unanswered")

    def heard(self, message: DataMessage) -> Iterator[PingRow]:
        """A text of the client passed."""
        at_ns = message.offset_ns
        pong = parse_pong(message.payload)
        uuid = None if pong is None else pong.uuid
        rules = [one.rule for one in self._beat.client_text(message.payload, at_ns or 0)]
        asked = [row for row in self._by_uuid.get(uuid or "", []) if row.is_open]
        if asked and rules in ([], ["pong.late"]):
            for row in asked:
                row.settle("late" if rules else "answered", *rules, pong_ns=at_ns)
        elif rules:
            stray = PingRow(
                seq=message.seq,
                connection=self._connection,
                uuid=uuid,
                sent_ns=None,
                pong_ns=at_ns,
                round_trip_ns=None,
                verdict="stray",
                rules=tuple(rules),
            )
            added = _Row(stray)
            added.is_open = False
            self._rows.append(added)
        yield from self._settled()

    def end(self, at_ns: int | None) -> Iterator[PingRow]:
        self.give_up(at_ns)
        for row in self._rows:
            row.is_open = False
        yield from self._settled()

    def _judged(self, found: list[Violation], at_ns: int | None) -> list[str]:
        """The names of the rules; PINGs that were given up are marked."""
        if at_ns is None or not any(one.rule == "pong.missing" for one in found):
            return [one.rule for one in found]
        still = set(self._beat.unanswered)
        for uuid, rows in self._by_uuid.items():
            for row in rows:
                if row.is_open and uuid not in still and "pong.missing" not in row.row.rules:
                    row.settle("unanswered", "pong.missing")
        return [one.rule for one in found]

    def _settled(self) -> Iterator[PingRow]:
        while self._rows and not self._rows[0].is_open:
            yield self._rows.popleft().row


class Pings:
    """The rows of a conversation. Memory: the PINGs that a socket remembers, 128 of them, for each
    that is open."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.client_messages = 0
        """Texts of clients; where there are none, nobody recorded what clients said."""
        self._rules = rules or Rules()
        self._sockets: dict[int, _Socket] = {}
        self._last_ns: int | None = None

    def rows(self, items: Iterable[Item]) -> Iterator[PingRow]:
        """One row a PING, in the order of sending of each socket, and one a stray pong. Raises what
        ``items`` raise."""
        for item in items:
            yield from self.take(item)
        yield from self.finish()

    def take(self, item: Item) -> Iterator[PingRow]:
        """The rows that the next item settles."""
        before_ns = self._last_ns
        self.passed(item.offset_ns)
        match item:
            case DataMessage():
                yield from self._message(item)
            case FrameEntry() if item.opcode == "close":
                self._closed(item.connection, item.sender, item.offset_ns)
            case Closed():
                self._closed(item.connection, item.by, item.offset_ns)
                yield from self._end(item.connection, item.offset_ns)
            case Open():
                yield from self._end(item.connection, item.offset_ns)
            case Resume():
                # Whoever recorded before is gone, and its connections with it.
                yield from self._end_all(before_ns)
            case Checkpoint():
                yield from self._take_up(item, before_ns)

    def passed(self, at_ns: int | None) -> None:
        """Something passed at that moment, be it left out here."""
        if at_ns is not None and (self._last_ns is None or at_ns > self._last_ns):
            self._last_ns = at_ns

    def finish(self) -> Iterator[PingRow]:
        """The rows that are left when the recording ends."""
        yield from self._end_all(self._last_ns)

    def _closed(self, connection: int, sender: str, at_ns: int | None) -> None:
        if (socket := self._sockets.get(connection)) is not None:
            socket.closed(sender, at_ns)

    def _message(self, message: DataMessage) -> Iterator[PingRow]:
        if message.opcode != "text":
            return
        if message.sender == "client":
            self.client_messages += 1
            yield from self._of(message.connection, message.offset_ns).heard(message)
            return
        uuids = ping_uuids(message.payload)
        if uuids:
            socket = self._of(message.connection, message.offset_ns)
            socket.give_up(message.offset_ns)
            for uuid in uuids:
                yield from socket.pinged(uuid, message.seq, message.offset_ns)

    def _take_up(self, checkpoint: Checkpoint, before_ns: int | None) -> Iterator[PingRow]:
        """Go on from where the checkpoint stands: what is not open there has ended unseen."""
        standing = read_checkpoint(checkpoint)
        for connection in [one for one in self._sockets if one not in standing.connections]:
            yield from self._end(connection, before_ns)
        for ping in standing.pings:
            socket = self._of(ping.connection, checkpoint.offset_ns)
            if not socket.knows(ping.uuid):
                yield from socket.pinged(ping.uuid, checkpoint.seq, ping.offset_ns)

    def _of(self, connection: int, at_ns: int | None) -> _Socket:
        if connection not in self._sockets:
            self._sockets[connection] = _Socket(connection, self._rules, at_ns)
        return self._sockets[connection]

    def _end(self, connection: int, at_ns: int | None) -> Iterator[PingRow]:
        socket = self._sockets.pop(connection, None)
        if socket is not None:
            yield from socket.end(at_ns)

    def _end_all(self, at_ns: int | None) -> Iterator[PingRow]:
        for connection in list(self._sockets):
            yield from self._end(connection, at_ns)
