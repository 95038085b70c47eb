"""One WebSocket of the fake server, after its handshake: frames in, frames out, the closing
handshake (RFC 6455 sections 5 to 7).
"""

from __future__ import annotations

import uuid
from typing import Final

import trio

from fake_server.outbox import Outbox
from fake_server.violation_log import ViolationLog
from recorder.track.heartbeat import Heartbeat, SendPing
from recorder.track.rules import Rules
from recorder.track.sessions import Session
from recorder.track.violations import Violation
from recorder.wire.frames import CloseCode, Frame, FrameParser, Opcode, Unparsed, close_frame
from recorder.wire.messages import MessageAssembler, Problem
from replayer.state import State

__all__ = [
    "MAX_CLIENT_MESSAGE_BYTES",
    "Socket",
    "View",
    "now_ns",
    "ping_message",
    "timeout_message",
]

MAX_CLIENT_MESSAGE_BYTES: Final = 1024 * 1024
"""A client has nothing to send but pongs; what is larger is refused with 1009."""

_CLOSE_TIMEOUT_S: Final = 2.0
"""How long the server waits for the answer to its close frame before it ends TCP."""

_KEEP_UP_TIMEOUT_S: Final = 5.0
"""How long playback without a pace of its own waits for one client."""


def now_ns() -> int:
    """This moment on trio's clock, in nanoseconds."""
    return round(trio.current_time() * 1e9)


def ping_message(uuid: str) -> bytes:
    """The frame of a PING (manual section 3.3)."""
    status = b'{"message":"%s","type":"PING","localeKey":null,"localeValues":null}' % uuid.encode()
    return Frame.make(Opcode.TEXT, b'{"status":[%s]}' % status).serialize()


def timeout_message(rules: Rules) -> bytes:
    """The frame that shows the web session timeout (manual section 3.4)."""
    return Frame.make(
        Opcode.TEXT, b'{"webSessionTimeout":[%d]}' % round(rules.session_timeout_s)
    ).serialize()


class View:
    """What a socket was shown so far: the state, and after how many cues. It outlives the socket,
    for REST.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.played = 0


class Socket:
    """One client's WebSocket. :meth:`run` reads until it ends; any task may ``send`` and ``close``
    meanwhile.

    *Resource handling:* ``run`` closes the stream. *Error handling:* ``run`` raises nothing of the
    network's: a broken connection is a socket that ended.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        *,
        number: int,
        session: Session,
        rules: Rules,
        violations: ViolationLog,
        view: View,
    ) -> None:
        self.number = number
        self.session = session
        self.view = view
        self.outbox = Outbox()
        self.heartbeat = Heartbeat(rules, opened_ns=now_ns(), connection=number)
        self.done = trio.Event()
        self._rules = rules
        self._stream = stream
        self._violations = violations
        self._closing = False
        self._got_close = False
        self._answered_late = False
        self._inside_message = False
        self._held: list[bytes] = []
        self._scope = trio.CancelScope()

    @property
    def is_open(self) -> bool:
        """Whether messages may still be sent: no close frame has passed in either direction."""
        return not (self._closing or self._got_close or self.done.is_set())

    async def run(self, early: bytes = b"") -> None:
        """Read until the connection ends. ``early`` is what came behind the handshake request
        already.
        """
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    await self._read(early)
                    with trio.move_on_after(_CLOSE_TIMEOUT_S):
                        await self.outbox.flushed()
                        await self._hang_up()
                    nursery.cancel_scope.cancel()
        finally:
            self.done.set()
            self._violations.report(self.heartbeat.finish(now_ns()))
            await trio.aclose_forcefully(self._stream)

    async def _hang_up(self) -> None:
        """End our half and wait for the other: closing with bytes unread would reset TCP and
        destroy our close frame.
        """
        if not isinstance(self._stream, trio.abc.HalfCloseableStream):
            return
        try:
            await self._stream.send_eof()
            while await self._stream.receive_some():
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def _write(self) -> None:
        try:
            await self.outbox.drain(self._stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._scope.cancel()

    async def _read(self, early: bytes) -> None:
        frames = FrameParser(max_frame_bytes=MAX_CLIENT_MESSAGE_BYTES)
        messages = MessageAssembler(max_message_bytes=MAX_CLIENT_MESSAGE_BYTES)
        data = early
        while not self._got_close:
            for event in frames.feed(data):
                if isinstance(event, Unparsed):
                    self._refuse(CloseCode.TOO_BIG, event.why)
                else:
                    self._on_frame(event, messages)
                if self._got_close:
                    return
            try:
                data = bytes(await self._stream.receive_some(64 * 1024))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            if not data:
                return

    def _on_frame(self, frame: Frame, messages: MessageAssembler) -> None:
        broken = frame.check("client")
        if broken:
            self._refuse(CloseCode.PROTOCOL_ERROR, broken[0])
            return
        if frame.opcode == Opcode.CLOSE:
            self._got_close = True
            if not self._closing:
                # 5.5.1: "the endpoint typically echos the status code it received".
                code = frame.close_code
                answer = Frame.make(Opcode.CLOSE) if code is None else close_frame(code)
                self.outbox.end(answer.serialize())
        elif frame.opcode == Opcode.PING and self.is_open:
            # 5.5.3: "A Pong frame sent in response to a Ping frame must have identical Application
            # data".
            self.outbox.offer(Frame.make(Opcode.PONG, frame.payload).serialize())
        for event in messages.feed(frame):
            if isinstance(event, Problem):
                self._refuse(event.close_code, event.why)
            elif event.is_text:
                found = self.heartbeat.client_text(event.payload, now_ns())
                self._answered_late |= any(violation.rule == "pong.late" for violation in found)
                self._violations.report(found)

    def _refuse(self, code: int, why: str) -> None:
        """Fail the connection (RFC 6455 section 7.1.7): a close frame, and nothing is read any
        more.
        """
        self._report("frame.broken", why, "frames as RFC 6455 has them")
        if self.is_open:
            self.outbox.end(close_frame(code, why[:120]).serialize())
        self._got_close = True

    async def send(self, data: bytes) -> None:
        """Send a frame of the playback; waits while the client is behind.

        Raises ClosedResourceError once the socket ended.
        """
        await self.outbox.put(data)
        if data[0] & 0x0F < Opcode.CLOSE:
            self._inside_message = data[0] < 0x80
        if not self._inside_message:
            for held in self._held:
                self.offer(held)
            self._held.clear()

    def offer(self, data: bytes) -> None:
        """Send a frame without waiting; a client that is too far behind is closed and reported."""
        if self.is_open and not self.outbox.offer(data):
            self._give_up()

    def offer_message(self, data: bytes) -> None:
        """Send a message of our own; it waits while the fragments of a played one are going out
        (RFC 6455 section 5.4).
        """
        if self._inside_message:
            self._held.append(data)
        else:
            self.offer(data)

    def _give_up(self) -> None:
        """The client reads too slowly: end TCP, as a close frame would wait behind all the rest."""
        if self._scope.cancel_called:
            return
        self._report(
            "socket.too-slow", "the client does not read what it is sent", "a client that keeps up"
        )
        self._scope.cancel()

    def _report(self, rule: str, seen: str, expected: str) -> None:
        self._violations.report(
            [
                Violation.of(
                    rule, seen=seen, expected=expected, connection=self.number, at_ns=now_ns()
                )
            ]
        )

    def beat(self) -> bytes | None:
        """Do what the heartbeat says is due; returns the close frame that an unanswered PING has
        earned, to be sent.
        """
        action = self.heartbeat.tick(now_ns(), lambda: str(uuid.uuid4()))
        if action is None:
            return None
        if action.violation is not None:
            self._violations.report([action.violation])
        if isinstance(action, SendPing):
            self.offer_message(ping_message(action.uuid))
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

    async def keep_up(self) -> None:
        """Wait until the client has read most of what it was sent; one that does not is closed and
        reported.
        """
        with trio.move_on_after(_KEEP_UP_TIMEOUT_S) as patience:
            await self.outbox.room()
        if patience.cancelled_caught:
            self._give_up()

    async def close(self, frame: bytes) -> None:
        """Send a close frame, wait for its answer for a moment, end the connection."""
        if self._closing or self.done.is_set():
            return
        self._closing = True
        self.outbox.end(frame)
        with trio.move_on_after(_CLOSE_TIMEOUT_S):
            await self.done.wait()
        self._scope.cancel()
