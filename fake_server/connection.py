"""One WebSocket of the fake server, after its handshake: frames in, frames out, the closing
handshake (RFC 6455 sections 5 to 7).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

import trio

from fake_server.faults.base import Cut, Expire, Finish, Send, Step, text_of
from fake_server.faults.carrier import FaultCarrier
from fake_server.journal import DoingKind, Journal
from fake_server.messages import ping_message
from fake_server.outbox import Outbox
from fake_server.sight import Sight
from fake_server.violation_log import ViolationLog
from recorder.track.heartbeat import Heartbeat, SendPing
from recorder.track.kinds import parse_pong, ping_uuids
from recorder.track.rules import Rules
from recorder.track.sessions import Session
from recorder.track.violations import Violation
from recorder.transport import Transport
from recorder.wire.frames import CloseCode, Frame, FrameParser, Opcode, Unparsed, close_frame
from recorder.wire.messages import MessageAssembler, Problem

__all__ = ["MAX_CLIENT_MESSAGE_BYTES", "Socket", "now_ns"]

MAX_CLIENT_MESSAGE_BYTES: Final = 1024 * 1024
"""A client has nothing to send but pongs; what is larger is refused with 1009."""

_CLOSE_TIMEOUT_S: Final = 2.0
"""How long the server waits for the answer to its close frame before it ends TCP."""

_HEAD_TIMEOUT_S: Final = 5.0
"""How long the answer to a handshake may take, a few hundred bytes; a server that stops waits for
it.
"""

_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)

_KEEP_UP_TIMEOUT_S: Final = 5.0
"""How long playback without a pace of its own waits for one client."""


def now_ns() -> int:
    """This moment on trio's clock, in nanoseconds."""
    return round(trio.current_time() * 1e9)


class Surroundings(Protocol):
    """What a socket needs of the server around it."""

    rules: Rules
    violations: ViolationLog
    journal: Journal

    def start(self, run: Callable[[], Any]) -> None:
        """Run a task that is the socket's, beside all others."""

    def expire(self, session: Session) -> None:
        """End a session as if its time were over."""

    def on_ping(self, socket: Socket, uuid: str) -> None:
        """A PING went out that a client did not get straight from the playback."""

    def on_shut(self, socket: Socket) -> None:
        """A socket begins to end."""


class Socket:
    """One client's WebSocket. :meth:`run` reads until it ends; any task may ``send`` and ``close``
    meanwhile.

    ``number`` counts sockets, ``connection`` TCP connections, both from 1. ``carrier`` is there
    while the socket has faults: then every message goes its way.

    *Resource handling:* ``run`` closes the stream. *Error handling:* ``run`` raises nothing of the
    network's: a broken connection is a socket that ended.
    """

    __slots__ = (
        "__weakref__",
        "_answered_late",
        "_around",
        "_close_sent",
        "_ended",
        "_got_close",
        "_head",
        "_held",
        "_journal",
        "_outbox",
        "_rules",
        "_scope",
        "_transport",
        "_violations",
        "carrier",
        "connection",
        "expiry_shown",
        "heartbeat",
        "is_done",
        "is_inside_message",
        "is_open",
        "messages_sent",
        "number",
        "opened_ns",
        "session",
        "sight",
    )

    def __init__(
        self,
        stream: trio.abc.Stream,
        *,
        number: int,
        connection: int,
        session: Session,
        sight: Sight,
        around: Surroundings,
    ) -> None:
        self.number = number
        self.connection = connection
        self.session = session
        self.sight = sight
        self.is_open = True
        """Whether messages may still be sent: no close frame has passed in either direction."""
        self.opened_ns = now_ns()
        self.heartbeat = Heartbeat(around.rules, opened_ns=self.opened_ns, connection=connection)
        self.is_done = False
        """Whether the connection has ended."""
        self.carrier: FaultCarrier | None = None
        self.messages_sent = 0
        self._around = around
        self._violations = around.violations
        self._journal = around.journal
        self._rules = around.rules
        self._transport = Transport(stream)
        self._scope = trio.CancelScope()
        self._outbox = Outbox(
            self._transport, start=self._start_drain, on_broken=self._scope.cancel
        )
        self._head = b""
        self._close_sent = False
        self._got_close = False
        self._ended: trio.Event | None = None
        self._answered_late = False
        self.is_inside_message = False
        """Whether fragments of a played message are still to come."""
        self.expiry_shown = False
        self._held: list[Send] = []

    # Life

    def begin(self, head: bytes) -> None:
        """The answer to the handshake is still to be sent, which :meth:`run` does before anything
        else. What is sent meanwhile waits for it; no fault touches it.
        """
        self._head = head
        self._outbox.hold()

    async def run(self, early: bytes = b"") -> None:
        """Read until the connection ends. ``early`` is what came behind the handshake request
        already.
        """
        try:
            if self._head:
                await self._answer()
            with self._scope:
                await self._read(early)
                self._shut()
                with trio.move_on_after(_CLOSE_TIMEOUT_S):
                    await self._outbox.flushed()
                    await self._transport.hang_up()
        finally:
            self._shut()
            self._outbox.close()
            self.is_done = True
            if self._ended is not None:
                self._ended.set()
            self._violations.report(self.heartbeat.finish(now_ns()))
            self.note("ended")
            await trio.aclose_forcefully(self._transport.stream)

    async def _answer(self) -> None:
        head, self._head = self._head, b""
        with trio.move_on_after(_HEAD_TIMEOUT_S), suppress(*_GONE):
            await self._transport.stream.send_all(head)
            self._outbox.release()
            return
        self._scope.cancel()

    def _start_drain(self, outbox: Outbox) -> None:
        self._around.start(outbox.drain)

    async def _read(self, early: bytes) -> None:
        frames = FrameParser(max_frame_bytes=MAX_CLIENT_MESSAGE_BYTES)
        messages = MessageAssembler(max_message_bytes=MAX_CLIENT_MESSAGE_BYTES)
        data = early
        while not self._got_close:
            for event in frames.feed(data) if data else ():
                if isinstance(event, Unparsed):
                    self._refuse(CloseCode.TOO_BIG, event.why)
                else:
                    self._on_frame(event, messages)
                if self._got_close:
                    return
            try:
                data = await self._transport.read()
            except _GONE:
                return
            if not data:
                return

    def _shut(self) -> None:
        """Nothing more is sent."""
        if self.is_open:
            self.is_open = False
            self._around.on_shut(self)

    # What the client says

    def _on_frame(self, frame: Frame, messages: MessageAssembler) -> None:
        broken = frame.check("client")
        if broken:
            self._refuse(CloseCode.PROTOCOL_ERROR, broken[0])
            return
        if frame.opcode == Opcode.CLOSE:
            self.note("close", code=frame.close_code)
        if frame.opcode == Opcode.CLOSE and not self._is_stalled:
            self._got_close = True
            if not self._close_sent:
                # 5.5.1: "the endpoint typically echos the status code it received".
                code = frame.close_code
                answer = Frame.make(Opcode.CLOSE) if code is None else close_frame(code)
                self._end(answer.serialize())
        elif frame.opcode == Opcode.PING and self.is_open:
            # 5.5.3: "A Pong frame sent in response to a Ping frame must have identical Application
            # data".
            self.offer(Frame.make(Opcode.PONG, frame.payload).serialize())
        for event in messages.feed(frame):
            if isinstance(event, Problem):
                self._refuse(event.close_code, event.why)
                return
            self._on_message(event.payload, is_text=event.is_text)

    def _on_message(self, payload: bytes, *, is_text: bool) -> None:
        found = self.heartbeat.client_text(payload, now_ns()) if is_text else []
        self._answered_late |= any(violation.rule == "pong.late" for violation in found)
        pong = parse_pong(payload) if is_text else None
        if pong is not None and pong.uuid is not None and not found:
            self.note("pong", uuid=pong.uuid)
        else:
            self.note("text", payload=payload)
        if not found and pong is None:
            shown = repr(payload[:80].decode("utf-8", "replace"))
            seen = f"the client sent {shown}" + ("" if is_text else " as a binary message")
            expected = "only pongs" if is_text else "only pongs, as text messages"
            found = [self._violation("text.unknown", seen, expected)]
            if self._rules.other_client_text == "close" and not self._rules.strict:
                self._fail(CloseCode.POLICY_VIOLATION, "only pongs are taken")
        self._violations.report(found)
        if found and self._rules.strict:
            # The backend would go on without a word; whoever asked for strictness is told at once.
            self._fail(CloseCode.POLICY_VIOLATION, _named(found[0]))

    def _refuse(self, code: int, why: str) -> None:
        """Fail the connection for what no frame may be."""
        violation = self._violation("frame.broken", why, "frames as RFC 6455 has them")
        self._violations.report([violation])
        self._fail(code, why)

    def _fail(self, code: int, why: str) -> None:
        """Fail the connection (RFC 6455 section 7.1.7): a close frame, and nothing is read any
        more.
        """
        if self._is_stalled:
            return
        if self.is_open:
            self._end(close_frame(code, why[:120]).serialize())
        self._got_close = True

    @property
    def _is_stalled(self) -> bool:
        """Whether nothing goes out any more, the answer to a close frame neither; TCP stays open
        until the client ends it.
        """
        return self.is_open and self.carrier is not None and self.carrier.stalled

    def _violation(self, rule: str, seen: str, expected: str) -> Violation:
        return Violation.of(
            rule, seen=seen, expected=expected, connection=self.connection, at_ns=now_ns()
        )

    def note(self, kind: DoingKind, **what: Any) -> None:
        """Keep in the journal what happened on this socket."""
        self._journal.note(kind, connection=self.connection, socket=self.number, **what)

    # What it is sent

    async def send(self, data: bytes) -> None:
        """Send a frame of the playback; waits while the client is behind.

        Raises ClosedResourceError once the socket ended.
        """
        await self._outbox.room()
        if not self.is_open:
            raise trio.ClosedResourceError("the socket is closed")
        self.offer(data)
        if data[0] & 0x0F < Opcode.CLOSE:
            self.is_inside_message = data[0] < 0x80
        if not self.is_inside_message:
            for held in self._held:
                self._pass(held)
            self._held.clear()

    def offer(self, data: bytes) -> None:
        """Send a frame without waiting; a client that is too far behind is closed and reported."""
        if self.carrier is not None:
            send = Send(data=data)
            uuids = ping_uuids(text_of(send) or b"")
            self._pass(Send(data=data, ping=uuids[0]) if uuids else send)
        elif self.is_open:
            self.messages_sent += 1
            if not self._outbox.offer(data):
                self._give_up()

    def offer_message(self, data: bytes, *, ping: str | None = None) -> None:
        """Send a message of our own; it waits while the fragments of a played one are going out
        (RFC 6455 section 5.4). ``ping`` is the uuid of the PING in it.
        """
        send = Send(data=data, ping=ping)
        if self.is_inside_message:
            self._held.append(send)
        else:
            self._pass(send)

    def _pass(self, send: Send) -> None:
        if not self.is_open:
            return
        if self.carrier is None:
            self.take(send)
        elif not self.carrier.put(send):
            self._give_up()

    def take(self, step: Step) -> None:
        """Do a step that faults have decided on, or that there was no fault for."""
        if isinstance(step, Send):
            if not self.is_open:
                return
            self.messages_sent += 1
            if step.ping is not None:
                self._around.on_ping(self, step.ping)
            if not self._outbox.offer(step.data):
                self._give_up()
        elif isinstance(step, Finish):
            self.finish(step.data)
        elif isinstance(step, Cut):
            self._cut(step)
        elif isinstance(step, Expire):
            self._around.expire(self.session)

    def _cut(self, cut: Cut) -> None:
        self._shut()
        if cut.how == "fin":
            self._around.start(self._end_tcp)
            return
        self._transport.reset_at_close()
        self._scope.cancel()

    async def _end_tcp(self) -> None:
        """FIN behind what was sent; the reading task waits for the client's."""
        with trio.move_on_after(_CLOSE_TIMEOUT_S):
            await self._outbox.flushed()
            stream = self._transport.stream
            if isinstance(stream, trio.abc.HalfCloseableStream):
                with suppress(*_GONE):
                    await stream.send_eof()
                await self.ended()
        self._scope.cancel()

    def _give_up(self) -> None:
        """The client reads too slowly: end TCP, as a close frame would wait behind all the rest."""
        if self._scope.cancel_called:
            return
        seen = "the client does not read what it is sent"
        self._violations.report(
            [self._violation("socket.too-slow", seen, "a client that keeps up")]
        )
        self._shut()
        self._scope.cancel()

    # Faults

    def use_faults(self, carrier: FaultCarrier) -> None:
        """Send everything through these faults from now on."""
        self.carrier = carrier

    # Heartbeat

    def beat(self) -> bytes | None:
        """Do what the heartbeat says is due; returns the close frame that an unanswered PING has
        earned, to be sent.
        """
        action = self.heartbeat.tick(now_ns(), lambda: str(uuid.uuid4()))
        if action is None:
            return None
        if action.violation is not None:
            self._violations.report([action.violation])
            if self._rules.strict and isinstance(action, SendPing):
                return close_frame(CloseCode.POLICY_VIOLATION, _named(action.violation)).serialize()
        if isinstance(action, SendPing):
            # Whether it goes out, and when, faults and fragments decide; it counts from then.
            self.heartbeat.retract(action.uuid)
            self.offer_message(ping_message(action.uuid), ping=action.uuid)
            return None
        return close_frame(action.code, action.reason).serialize()

    def check_recorded_pings(self) -> bytes | None:
        """The same where recorded PINGs are played: they are only checked."""
        missing = self.heartbeat.finish(now_ns())
        self._violations.report(missing)
        if (missing or self._answered_late) and self._rules.unanswered_ping == "close":
            return close_frame(
                self._rules.unanswered_ping_close_code, self._rules.close_reason
            ).serialize()
        return None

    # The end

    async def keep_up(self) -> None:
        """Wait until the client has read most of what it was sent; one that does not is closed and
        reported.
        """
        with trio.move_on_after(_KEEP_UP_TIMEOUT_S) as patience:
            await self._outbox.room()
        if patience.cancelled_caught:
            self._give_up()

    async def close(self, frame: bytes) -> None:
        """Send a close frame, wait for its answer for a moment, end the connection. Faults that
        hold messages back hold the close frame behind them.
        """
        if self.carrier is None:
            self.finish(frame)
        else:
            self.carrier.add([*self.carrier.line.release(), Finish(data=frame)])
        await self.ended()

    async def ended(self) -> None:
        """Wait until the connection has ended."""
        if self._ended is None:
            self._ended = trio.Event()
        if not self.is_done:
            await self._ended.wait()

    def finish(self, frame: bytes) -> None:
        """Send a close frame now, past all that faults hold back, and nothing behind it; the
        connection ends when it is answered, or after a moment.
        """
        if self.is_open:
            self._end(frame)
            self._around.start(self._await_end)

    def forget(self, frame: bytes) -> None:
        """Like :meth:`finish`, and what the client does from now on is reported nowhere."""
        self._violations = ViolationLog()
        self._journal = Journal(now_ns)
        self.finish(frame)

    def cut(self, how: Any) -> None:
        """End TCP without a close frame, by ``fin`` or ``rst``."""
        self.take(Cut(how=how))

    async def _await_end(self) -> None:
        with trio.move_on_after(_CLOSE_TIMEOUT_S):
            await self.ended()
        self._scope.cancel()

    def _end(self, frame: bytes) -> None:
        self._shut()
        self._close_sent = True
        self._outbox.end(frame)


def _named(violation: Violation) -> str:
    """The rule and where it stands: the reason of a close frame under strict rules."""
    return f"{violation.rule}, manual {violation.section}"
