"""The socket of a capture as the tap sees it: what to record, what to answer, how it ended."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import trio

from recorder.model import Bytes, KnownEntry
from recorder.observer import SocketObserver
from recorder.progress import Progress
from recorder.sink import Sink
from recorder.tap import Direction
from recorder.track.heartbeat import Heartbeat
from recorder.track.kinds import ping_uuids
from recorder.track.rules import Rules
from recorder.wire.frames import CloseCode, Frame, Opcode, Sender
from recorder.wire.handshake import check_accept, header_value
from recorder.wire.messages import Message, MessageAssembler, Problem

__all__ = ["TappedSocket"]

_MISSED_PINGS: Final = 3
_SILENCE_NS: Final = _MISSED_PINGS * Rules().ping_interval_ns
_SESSION_TIMEOUT: Final = re.compile(rb'"webSessionTimeout"\s*:\s*\[\s*(\d{1,9})\s*\]')
"""``{"webSessionTimeout":[86400]}``, manual section 3.4."""


class TappedSocket:
    """Hears each chunk of one client connection (:meth:`on_chunk`), records it and follows the
    conversation.

    ``pongs`` receives what is owed for each PING; ``on_message`` is called after each data message
    of the server.
    """

    def __init__(
        self,
        observer: SocketObserver,
        sink: Sink,
        progress: Progress,
        *,
        on_message: Callable[[], None],
    ) -> None:
        self.observer = observer
        self.ended = trio.Event()
        """Set once the server sends nothing more."""
        self.unreadable = trio.Event()
        """Set once what the server sends cannot be read as frames any more."""
        self.session_timeout_s: float | None = None
        """After how long without REST a session ends, as far as the server said (manual section
        3.4).
        """
        self.problem: str | None = None
        """The first thing that RFC 6455 forbids in what the server sent."""
        self.silent = False
        """Whether it was given up because nothing came any more."""
        self._opened_ns = self._heard_ns = sink.now_ns()
        self._ping_ns: int | None = None
        self._longest_between_pings_ns = 0
        self._pongs_to_send, self.pongs = trio.open_memory_channel[str](float("inf"))
        self._sink = sink
        self._progress = progress
        self._on_message = on_message
        self._closes: dict[Sender, Frame] = {}
        self._messages = MessageAssembler()
        self._heartbeat = Heartbeat(Rules(), opened_ns=0, connection=observer.connection)

    def close_of(self, sender: Sender) -> Frame | None:
        """The close frame that ``sender`` sent, if any."""
        return self._closes.get(sender)

    def silence_left_ns(self) -> int | None:
        """How long it may be silent yet before it is dead; None where nobody can tell.

        A server that sends PINGs (manual section 3.3) has missed three of them by then, at the
        longest interval that it kept so far.
        """
        if not self._longest_between_pings_ns:
            return None
        limit_ns = max(_SILENCE_NS, _MISSED_PINGS * self._longest_between_pings_ns)
        return self._heard_ns + limit_ns - self._sink.now_ns()

    @property
    def unanswered(self) -> int:
        """How many PINGs wait for their pong."""
        return len(self._heartbeat.unanswered)

    @property
    def ended_in_order(self) -> bool:
        """Whether the server closed the socket with 1000, and we did not fail it before."""
        server, client = self._closes.get("server"), self._closes.get("client")
        normal = (CloseCode.NORMAL, None)
        return (
            server is not None
            and server.close_code == CloseCode.NORMAL
            and (client is None or client.close_code in normal)
        )

    def handshake_problem(self) -> str | None:
        """Why the handshake came to nothing, in words; None if it holds (RFC 6455 section 4.1)."""
        request, response = self.observer.request, self.observer.response
        if request is None or response is None:
            return "the server hung up without an HTTP answer to the handshake"
        if response.status != 101:
            hint = (
                "; was the session cookie accepted?" if response.status in (401, 403, 503) else ""
            )
            return f"the handshake was refused: {response.status} {response.reason}{hint}"
        key = header_value(request.headers, "Sec-WebSocket-Key") or ""
        wrong = check_accept(key, header_value(response.headers, "Sec-WebSocket-Accept"))
        return None if wrong is None else f"the handshake failed: {wrong}"

    def on_chunk(self, direction: Direction, data: bytes) -> None:
        """What the tap reports."""
        sender: Sender = "client" if direction == "sent" else "server"
        at_ns = self._sink.now_ns()
        if sender == "server":
            self._heard_ns = at_ns
        entries = self.observer.received(sender, data, at_ns)
        self._sink.write(entries)
        if sender == "server" and data:
            self._note_unreadable(entries)
        for _, frame in self.observer.frames_seen:
            if frame.opcode == Opcode.CLOSE:
                self._closes.setdefault(sender, frame)
            if sender == "server":
                self._from_server(frame, at_ns)
            elif frame.opcode == Opcode.TEXT:
                answered = self._heartbeat.answered
                self._heartbeat.client_text(frame.payload, at_ns)
                if self._heartbeat.answered > answered:
                    self._progress.pongs += 1
                    self._progress.last_answered_ns = at_ns
        if sender == "server" and not data:
            self.ended.set()

    def _note_unreadable(self, entries: list[KnownEntry]) -> None:
        response = self.observer.response
        if self.unreadable.is_set() or response is None or response.status != 101:
            return
        for entry in entries:
            if isinstance(entry, Bytes):
                self._note_problems([entry.why])
                self.unreadable.set()
                return

    def _from_server(self, frame: Frame, at_ns: int) -> None:
        problems = frame.check("server")
        for event in self._messages.feed(frame):
            if isinstance(event, Problem):
                problems.append(event.why)
            else:
                self._on_server_message(event, at_ns)
        self._note_problems(problems)

    def _note_problems(self, problems: list[str]) -> None:
        if problems and self.problem is None:
            self.problem = problems[0]
        self._progress.note_problems(problems)

    def _on_server_message(self, message: Message, at_ns: int) -> None:
        uuids = ping_uuids(message.payload) if message.is_text else []
        for uuid in uuids:
            self._heartbeat.ping_sent(uuid, at_ns)
        for pong in self._heartbeat.answer(message.payload) if uuids else []:
            self._pongs_to_send.send_nowait(pong)
        self._progress.pings += len(uuids)
        if uuids:
            since_ns = self._opened_ns if self._ping_ns is None else self._ping_ns
            self._longest_between_pings_ns = max(self._longest_between_pings_ns, at_ns - since_ns)
            self._ping_ns = at_ns
        kinds = self._progress.kinds
        timeouts = kinds["webSessionTimeout"]
        self._progress.count(message, is_ping=bool(uuids))
        if kinds["webSessionTimeout"] > timeouts:
            # Only now: looking for it in every message would cost as much as all the rest here.
            timeout = _SESSION_TIMEOUT.search(message.payload)
            self.session_timeout_s = float(timeout[1]) if timeout else None
        self._on_message()
