"""What clients do, seen by the entries that a recording proxy makes: the same doings that a fake
notes, and the same violations. Sans-IO.

The client legs tell it all; the upstream legs would say everything twice.
"""

from __future__ import annotations

import traceback
from typing import Any, Final

from fake_server.journal import DoingKind, Journal
from fake_server.testing.values import OpenSocket
from fake_server.violation_log import ViolationLog
from recorder.model import AnyEntry, Bytes, Closed, FrameEntry, Open, Request, Response
from recorder.track.heartbeat import Heartbeat
from recorder.track.kinds import parse_pong, ping_uuids
from recorder.track.rules import Rules
from recorder.wire.frames import Opcode
from recorder.wire.messages import MessageAssembler, Problem
from replayer.conformance import MAX_CLIENT_MESSAGE_BYTES, Conformance
from replayer.reading.legs import repeats_another

__all__ = ["Observer"]

_MAX_FAILURES: Final = 20


class Observer:
    """Notes in ``journal`` what clients do: :meth:`feed` each entry of a proxy, in order, as it is
    before redaction. ``rules`` are the backend's.

    ``violations`` is what can be told by the bytes alone (:mod:`replayer.conformance`), at the
    recording's moments. Numbers of connections are the recording's. ``failures`` are the tracebacks
    of the first 20 errors of its own: they are bugs, and who relays must not end by them.
    ``own_peers`` takes addresses, as ``open`` entries have them: requests from there are no
    client's, and are not noted.
    """

    def __init__(self, journal: Journal, rules: Rules) -> None:
        self.violations = ViolationLog()
        self.failures: list[str] = []
        self.own_peers: set[str] = set()
        self._journal = journal
        self._rules = rules
        self._conformance = Conformance(rules)
        self._upstream: set[int] = set()
        self._peers: dict[int, str | None] = {}
        self._asked: dict[int, dict[int, tuple[str, str]]] = {}
        """Of each connection the method and target of requests without an answer, by exchange."""
        self._sockets: dict[int, _Socket] = {}
        self._sockets_count = 0

    def feed(self, entry: AnyEntry) -> None:
        """The next entry."""
        try:
            self._feed(entry)
        except Exception as error:  # noqa: BLE001 - it is a bug, and is told as one by who asks
            if len(self.failures) < _MAX_FAILURES:
                self.failures.append("".join(traceback.format_exception(error)))

    def sockets(self, account: str, offset_ns: int) -> list[OpenSocket]:
        """The sockets that are open at that moment of the recording. Whose they are the wire does
        not tell; what a backend plays has no position but the time.
        """
        return [
            socket.seen(account, offset_ns) for socket in self._sockets.values() if socket.is_open
        ]

    def _feed(self, entry: AnyEntry) -> None:
        if isinstance(entry, Open) and repeats_another(entry):
            self._upstream.add(entry.connection)
        if getattr(entry, "connection", None) in self._upstream:
            if isinstance(entry, Closed):
                self._upstream.discard(entry.connection)
            return
        match entry:
            case FrameEntry() | Bytes() if entry.connection in self._sockets:
                self._sockets[entry.connection].feed(entry)
            case Open():
                self._peers[entry.connection] = entry.peer
            case Request():
                waiting = self._asked.setdefault(entry.connection, {})
                waiting[entry.exchange] = (entry.method, entry.target)
            case Response():
                self._response(entry)
            case Closed():
                self._closed(entry.connection)
        self.violations.report(self._conformance.feed(entry))

    def _response(self, response: Response) -> None:
        connection = response.connection
        if response.status == 101:
            self._sockets_count += 1
            self._sockets[connection] = _Socket(
                self._journal,
                self._rules,
                number=self._sockets_count,
                connection=connection,
                opened_ns=response.offset_ns or 0,
            )
        elif response.status >= 200:
            asked = self._asked.get(connection, {}).pop(response.exchange, None)
            # What answers no request that could be read is noted by the fake neither.
            if asked is not None and self._peers.get(connection) not in self.own_peers:
                method, target = asked
                self._journal.note(
                    "request",
                    connection=connection,
                    method=method,
                    target=target,
                    status=response.status,
                )

    def _closed(self, connection: int) -> None:
        peer = self._peers.pop(connection, None)
        if peer is not None:
            # The next to connect from that port may be a client.
            self.own_peers.discard(peer)
        self._asked.pop(connection, None)
        socket = self._sockets.pop(connection, None)
        if socket is not None:
            socket.ended()


class _Socket:
    """One socket since its handshake. What a client sends behind its close frame, or behind what
    breaks the connection, is not read (RFC 6455 sections 5.5.1 and 7.1.7).
    """

    def __init__(
        self, journal: Journal, rules: Rules, *, number: int, connection: int, opened_ns: int
    ) -> None:
        self.is_open = True
        """Whether messages may still be sent: nothing has passed that ends the socket."""
        self._number = number
        self._connection = connection
        self._opened_ns = opened_ns
        self._journal = journal
        self._rules = rules
        self._heartbeat = Heartbeat(rules, opened_ns=opened_ns, connection=connection)
        self._client = MessageAssembler(max_message_bytes=MAX_CLIENT_MESSAGE_BYTES)
        self._server = MessageAssembler()
        self._hears_client = True
        self._messages_sent = 0
        self._note("socket")

    def seen(self, account: str, offset_ns: int) -> OpenSocket:
        open_s = round((offset_ns - self._opened_ns) / 1e9, 3)
        return OpenSocket(
            number=self._number,
            connection=self._connection,
            account=account,
            open_s=open_s,
            position_s=open_s,
            messages_sent=self._messages_sent,
            pings=self._heartbeat.pings,
            pongs=self._heartbeat.answered,
            unanswered=self._heartbeat.unanswered,
        )

    def feed(self, entry: FrameEntry | Bytes) -> None:
        if entry.sender == "server":
            if isinstance(entry, FrameEntry) and self.is_open:
                self._of_server(entry)
        elif not self._hears_client:
            pass
        elif isinstance(entry, FrameEntry):
            self._of_client(entry)
        else:
            self._stops()

    def ended(self) -> None:
        self.is_open = False
        self._note("ended")

    def _of_server(self, entry: FrameEntry) -> None:
        frame = entry.frame()
        if frame.opcode == Opcode.CLOSE:
            self.is_open = False
            return
        self._messages_sent += 1
        for event in self._server.feed(frame):
            if not isinstance(event, Problem) and event.is_text:
                self._pings(ping_uuids(event.payload), entry.offset_ns or 0)

    def _pings(self, uuids: list[str], at_ns: int) -> None:
        if uuids:
            # A backend that pings again waits no longer for what is overdue.
            self._heartbeat.finish(at_ns)
        for uuid in uuids:
            self._heartbeat.ping_sent(uuid, at_ns)
            self._note("ping", uuid=uuid)

    def _of_client(self, entry: FrameEntry) -> None:
        frame = entry.frame()
        if len(frame.payload) > MAX_CLIENT_MESSAGE_BYTES or frame.check("client"):
            self._stops()
            return
        if frame.opcode == Opcode.CLOSE:
            self._note("close", code=frame.close_code)
            self._stops()
        for event in self._client.feed(frame):
            if isinstance(event, Problem):
                self._stops()
                return
            self._message(event.payload, entry.offset_ns or 0, is_text=event.is_text)

    def _message(self, payload: bytes, at_ns: int, *, is_text: bool) -> None:
        found = self._heartbeat.client_text(payload, at_ns) if is_text else []
        pong = parse_pong(payload) if is_text else None
        if pong is not None and pong.uuid is not None and not found:
            self._note("pong", uuid=pong.uuid)
            return
        self._note("text", payload=payload)
        if pong is None and not found and self._rules.other_client_text == "close":
            self._stops()

    def _stops(self) -> None:
        """What the client sent ends the socket; it is not heard any more."""
        self._hears_client = False
        self.is_open = False

    def _note(self, kind: DoingKind, **what: Any) -> None:
        self._journal.note(kind, connection=self._connection, socket=self._number, **what)
