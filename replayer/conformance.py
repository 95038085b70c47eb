"""Did the clients in a recording keep the rules? A pure fold over its entries, by the same rules
that the fake server enforces (:mod:`recorder.track`).

What can be told from the bytes alone is judged: sessions and their cookies, the opening handshake,
what a client's frames may be, PINGs and pongs. What only a server knows, as whether an object
exists, is not; :data:`JUDGED_RULES` lists what is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from recorder.backend import API_PATH, SOCKET_PATH
from recorder.model import (
    AnyEntry,
    Bytes,
    Checkpoint,
    Closed,
    FrameEntry,
    MessageEntry,
    Open,
    Request,
    Response,
    Resume,
    Sender,
)
from recorder.track.heartbeat import Heartbeat
from recorder.track.kinds import parse_pong, ping_uuids
from recorder.track.rules import Rules
from recorder.track.sessions import SessionProblem
from recorder.track.violations import Violation, handshake_violations, session_violation
from recorder.wire.frames import Frame, FrameParser, Opcode, Unparsed
from recorder.wire.handshake import header_value
from recorder.wire.messages import Message, MessageAssembler
from replayer.checkpoints import OpenConnection, read_checkpoint
from replayer.conversation import frame_of
from replayer.legs import client_legs
from replayer.logins import Asked, Logins

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
        "frame.broken",
    }
)
"""The rules that a recording is enough for; see :data:`recorder.track.violations.RULES`."""

_TOO_LONG: Final = re.compile(r"a frame of ([0-9]+) bytes is above")
"""What the parser of frames says of one."""

MAX_CLIENT_MESSAGE_BYTES: Final = 1024 * 1024
"""A client has nothing to send but pongs; a longer frame or message is broken."""


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
        self._rules = rules or Rules()
        self._logins = Logins(self._rules, from_start=from_start)
        self._sockets: dict[int, _Socket] = {}
        self._exchanges: dict[tuple[int, int], Asked] = {}
        self._last_ns: int | None = None

    def feed(self, entry: AnyEntry) -> list[Violation]:
        """What the next entry shows. Raises CorruptRecording on a frame that cannot be one."""
        before_ns = self._last_ns or 0
        if entry.offset_ns is not None:
            self._last_ns = entry.offset_ns
        match entry:
            case Request():
                found = self._request(entry)
            case Response():
                found = self._response(entry)
            case FrameEntry():
                found = self._socket_of(entry.connection, entry).frame(
                    entry.sender, frame_of(entry), _at_ns(entry)
                )
            case MessageEntry():
                found = self._socket_of(entry.connection, entry).message(
                    entry.sender, entry.data, _at_ns(entry), is_text=entry.opcode == "text"
                )
            case Bytes() if entry.connection in self._sockets:
                found = self._sockets[entry.connection].no_frame(entry)
            case Open() | Closed():
                found = self._end(entry.connection, _at_ns(entry))
            case Resume():
                # Whoever recorded before was away: its connections are gone, and who logged in
                # meanwhile was not seen.
                found = self.finish()
                self._logins.from_start = False
            case Checkpoint():
                found = self._take_up(entry, before_ns)
            case _:
                found = []
        return found if entry.offset_ns is not None else _without_times(found)

    def finish(self) -> list[Violation]:
        """The recording ended, and with it what was open."""
        at_ns = self._last_ns or 0
        found = [one for number in list(self._sockets) for one in self._end(number, at_ns)]
        self._exchanges.clear()
        return found if self._last_ns is not None else _without_times(found)

    def _take_up(self, checkpoint: Checkpoint, before_ns: int) -> list[Violation]:
        """Go on from where the checkpoint stands: what is not open there has ended unseen, at
        ``before_ns`` or later, and who logged in before it was not seen.
        """
        self._logins.from_start = False
        standing = read_checkpoint(checkpoint)
        gone = [number for number in self._sockets if number not in standing.connections]
        found = [one for number in gone for one in self._end(number, before_ns)]
        for connection in standing.connections.values():
            self._take_up_connection(connection, checkpoint)
        for fragment in standing.fragments.values():
            if (socket := self._sockets.get(fragment.connection)) is not None:
                socket.begun(fragment.sender, fragment.frame)
        for ping in standing.pings:
            if (socket := self._sockets.get(ping.connection)) is not None:
                socket.pinged(ping.uuid, ping.offset_ns or 0)
        return found

    def _take_up_connection(self, connection: OpenConnection, checkpoint: Checkpoint) -> None:
        at_ns = _at_ns(checkpoint)
        request = connection.asked(checkpoint)
        if request is not None:
            asked = self._asked(request)
            if connection.is_socket and asked.session_id is not None:
                self._logins.seen(asked.session_id, at_ns)
            elif connection.response is None:
                self._exchanges[request.connection, request.exchange] = asked
        if connection.is_socket:
            number = connection.connection
            self._sockets[number] = _Socket(self._rules, number, at_ns)

    # HTTP

    def _asked(self, request: Request) -> Asked:
        path = request.target.partition("?")[0]
        return Asked(request.method, path, self._logins.cookie_of(request))

    def _request(self, request: Request) -> list[Violation]:
        asked = self._asked(request)
        found: list[Violation] = []
        if _opens_socket(request):
            found = self._handshake(request, asked.session_id)
        elif (
            # Only the API has sessions; the fake's own /__admin has none.
            f"{API_PATH}/" in asked.path
            and not asked.is_login
            and header_value(request.headers, "Authorization") is None
        ):
            asked.problem = self._logins.use(asked.session_id, _at_ns(request))
        self._exchanges[request.connection, request.exchange] = asked
        return found

    def _handshake(self, request: Request, session_id: str | None) -> list[Violation]:
        key = header_value(request.headers, "Sec-WebSocket-Key")
        version = header_value(request.headers, "Sec-WebSocket-Version")
        at_ns = _at_ns(request)
        found = handshake_violations(key, version, connection=request.connection, at_ns=at_ns)
        strict = self._rules.socket_key == "strict" or self._rules.strict
        if version != "13" or not key or (strict and found):
            # It is refused whatever its session is.
            return found
        problem = self._logins.use(session_id, at_ns, renew=self._rules.handshake_renews_session)
        return found + self._session(problem, request.connection, at_ns)

    def _response(self, response: Response) -> list[Violation]:
        if 100 <= response.status < 200 and response.status != 101:
            return []
        if response.status == 101:
            self._socket_of(response.connection, response)
        asked = self._exchanges.pop((response.connection, response.exchange), None)
        if asked is None:
            return []
        at_ns = _at_ns(response)
        if asked.is_login and response.status == 200:
            self._logins.login(response, at_ns)
        elif asked.is_logout and response.status // 100 == 2 and asked.session_id is not None:
            self._logins.logout(asked.session_id)
        elif response.status == self._rules.status_rest_no_session:
            # That the call needs a session is what this answer says.
            return self._session(asked.problem, response.connection, at_ns)
        return []

    def _session(
        self, problem: SessionProblem | None, connection: int, at_ns: int
    ) -> list[Violation]:
        if problem is None:
            return []
        return [session_violation(problem, self._rules, connection=connection, at_ns=at_ns)]

    # Sockets

    def _socket_of(self, connection: int, entry: Response | FrameEntry | MessageEntry) -> _Socket:
        socket = self._sockets.get(connection)
        if socket is None:
            socket = self._sockets[connection] = _Socket(self._rules, connection, _at_ns(entry))
        return socket

    def _end(self, connection: int, at_ns: int) -> list[Violation]:
        for key in [key for key in self._exchanges if key[0] == connection]:
            del self._exchanges[key]
        socket = self._sockets.pop(connection, None)
        return [] if socket is None else socket.finish(at_ns)


class _Socket:
    """One WebSocket. What the client sends behind its close frame, or behind what broke the
    connection, is no longer read, as RFC 6455 sections 5.5.1 and 7.1.7 have it.
    """

    def __init__(self, rules: Rules, connection: int, opened_ns: int) -> None:
        self._rules = rules
        self._connection = connection
        self._heartbeat = Heartbeat(rules, opened_ns=opened_ns, connection=connection)
        self._client = MessageAssembler(max_message_bytes=MAX_CLIENT_MESSAGE_BYTES)
        self._server = MessageAssembler()
        self._hears_client = True

    def begun(self, sender: Sender, frame: Frame) -> None:
        """What had come of a message before the recording; what is wrong with it was said there."""
        (self._client if sender == "client" else self._server).feed(frame)

    def pinged(self, uuid: str, at_ns: int) -> None:
        """A PING that came before the recording and waits for its pong."""
        self._heartbeat.ping_sent(uuid, at_ns)

    def frame(self, sender: Sender, frame: Frame, at_ns: int) -> list[Violation]:
        return (
            self._of_client(frame, at_ns) if sender == "client" else self._of_server(frame, at_ns)
        )

    def _of_client(self, frame: Frame, at_ns: int) -> list[Violation]:
        if not self._hears_client:
            return []
        broken = frame.check("client")
        if len(frame.payload) > MAX_CLIENT_MESSAGE_BYTES:
            broken = [f"a frame of {len(frame.payload)} bytes is above the limit"]
        if broken:
            return self._broken(broken[0], at_ns)
        if frame.opcode == Opcode.CLOSE:
            self._hears_client = False
        found: list[Violation] = []
        for event in self._client.feed(frame):
            if not isinstance(event, Message):
                return found + self._broken(event.why, at_ns)
            found += self._client_message(event.payload, at_ns, is_text=event.is_text)
        return found

    def _of_server(self, frame: Frame, at_ns: int) -> list[Violation]:
        if frame.opcode == Opcode.CLOSE:
            return self._heartbeat.finish(at_ns)
        return [
            violation
            for event in self._server.feed(frame)
            if isinstance(event, Message) and event.is_text
            for violation in self._server_text(event.payload, at_ns)
        ]

    def message(
        self, sender: Sender, payload: bytes, at_ns: int, *, is_text: bool
    ) -> list[Violation]:
        """A message whose frames were never seen."""
        if sender == "server":
            return self._server_text(payload, at_ns) if is_text else []
        if not self._hears_client:
            return []
        return self._client_message(payload, at_ns, is_text=is_text)

    def _server_text(self, payload: bytes, at_ns: int) -> list[Violation]:
        uuids = ping_uuids(payload)
        # A server that pings again waits no longer for the pong that is overdue.
        found = self._heartbeat.finish(at_ns) if uuids else []
        for uuid in uuids:
            found += self._heartbeat.ping_sent(uuid, at_ns)
        return found

    def _client_message(self, payload: bytes, at_ns: int, *, is_text: bool) -> list[Violation]:
        found = self._heartbeat.client_text(payload, at_ns) if is_text else []
        if not found and not (is_text and parse_pong(payload) is not None):
            shown = repr(payload[:80].decode("utf-8", "replace"))
            seen = f"the client sent {shown}" + ("" if is_text else " as a binary message")
            expected = "only pongs" if is_text else "only pongs, as text messages"
            found = [self._violation("text.unknown", seen, expected, at_ns)]
            self._hears_client = self._hears_client and self._rules.other_client_text == "ignore"
        if found and self._rules.strict:
            self._hears_client = False
        return found

    def no_frame(self, entry: Bytes) -> list[Violation]:
        """Bytes that are no frame: the client's fault if its head says that it is too long, and no
        fault where the connection tore it.
        """
        if entry.sender == "server" or not self._hears_client:
            return []
        if entry.redacted:
            # Its bytes are masked, since the key that they are masked with stands beside them.
            size = _TOO_LONG.match(entry.why)
            is_refused = size is not None and int(size[1]) > MAX_CLIENT_MESSAGE_BYTES
            refused = [entry.why] if is_refused else []
        else:
            events = FrameParser(max_frame_bytes=MAX_CLIENT_MESSAGE_BYTES).feed(entry.data)
            refused = [event.why for event in events if isinstance(event, Unparsed)]
        return self._broken(refused[0], _at_ns(entry)) if refused else []

    def finish(self, at_ns: int) -> list[Violation]:
        return self._heartbeat.finish(at_ns)

    def _broken(self, why: str, at_ns: int) -> list[Violation]:
        self._hears_client = False
        return [self._violation("frame.broken", why, "frames as RFC 6455 has them", at_ns)]

    def _violation(self, rule: str, seen: str, expected: str, at_ns: int) -> Violation:
        return Violation.of(
            rule, seen=seen, expected=expected, connection=self._connection, at_ns=at_ns
        )


def _at_ns(entry: AnyEntry) -> int:
    """Its moment. Without timing every moment is 0: what was said is judged, when it was is not."""
    return entry.offset_ns or 0


def _opens_socket(request: Request) -> bool:
    upgrade = header_value(request.headers, "Upgrade") or ""
    path = request.target.partition("?")[0]
    return request.method == "GET" and upgrade.lower() == "websocket" and path.endswith(SOCKET_PATH)


def _without_times(found: list[Violation]) -> list[Violation]:
    # With every moment 0 a PING lacks its pong only because there are too many to remember.
    return [msgspec.structs.replace(one, at_ns=None) for one in found if one.rule != "pong.missing"]
