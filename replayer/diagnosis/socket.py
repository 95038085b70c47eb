"""One WebSocket of a recording, both directions of it, judged frame by frame (RFC 6455 sections 5
to 8, manual sections 3.3 and 3.4).
"""

from __future__ import annotations

import re
from typing import Any, Final

from recorder.model import Bytes, FrameEntry, MessageEntry, Sender
from recorder.track.kinds import parse_pong
from recorder.track.rules import Rules
from recorder.track.violations import Violation
from recorder.wire.frames import Frame, FrameParser, Opcode, Unparsed
from recorder.wire.messages import Message, MessageAssembler
from replayer.diagnosis.closing import CloseFrame, Closing, TcpEnd
from replayer.diagnosis.findings import Findings
from replayer.diagnosis.known import Known
from replayer.diagnosis.messages import Said, read
from replayer.diagnosis.model import Ending
from replayer.diagnosis.pings import Pings
from replayer.diagnosis.pushed import Pushed
from replayer.reading.conversation import frame_of
from replayer.reading.words import seconds

__all__ = ["MAX_CLIENT_MESSAGE_BYTES", "Socket"]

MAX_CLIENT_MESSAGE_BYTES: Final = 1024 * 1024
"""A client has nothing to send but pongs; a longer frame or message is broken."""

_TOO_LONG: Final = re.compile(r"a frame of ([0-9]+) bytes is above")
"""What the parser of frames says of one."""

_SOURCE: Final = re.compile(r" \((RFC [0-9]+ [0-9.]+)\)$")

_TORN: Final = "the stream ended"

_SLOW_FRAME_NS: Final = 1_000_000_000


class Socket:
    """One socket since ``opened_ns``, or since the recording begins: then not ``from_opening``.

    What the client sends behind its close frame, or behind what broke the connection, is no longer
    read, as RFC 6455 sections 5.5.1 and 7.1.7 have it; nor what the server does.
    """

    def __init__(
        self,
        findings: Findings,
        rules: Rules,
        known: Known,
        connection: int,
        opened_ns: int,
        *,
        from_opening: bool,
    ) -> None:
        self.messages = 0
        self.pushed = Pushed(findings, known, connection, from_opening=from_opening)
        self._findings = findings
        self._rules = rules
        self._connection = connection
        self._closing = Closing(findings, rules, connection)
        if not from_opening:
            self._closing.perhaps_closed = {"client", "server"}
        self.pings = Pings(findings, rules, self._closing, connection, opened_ns)
        self._client = MessageAssembler(max_message_bytes=MAX_CLIENT_MESSAGE_BYTES)
        self._server = MessageAssembler()
        self._hears_client = True
        self._hears_server = True
        self._is_broken = False
        self._opened_ns = opened_ns
        self._is_first = from_opening
        self._torn: Bytes | None = None

    def begun(self, sender: Sender, frame: Frame) -> None:
        """What had come of a message before the recording; what is wrong with it was said there."""
        (self._client if sender == "client" else self._server).feed(frame)

    def refuse_accept(self, why: str, at_ns: int) -> None:
        """The handshake was answered so that a client must not take it (RFC 6455 section 4.1)."""
        self._closing.blame("server", why, "RFC 6455 4.2.2", at_ns)

    def frame(self, entry: FrameEntry) -> None:
        """The next frame. Raises CorruptRecording if its fields cannot be one."""
        at_ns = entry.offset_ns or 0
        if entry.sender == "client":
            self._of_client(frame_of(entry), at_ns, entry)
            return
        self.pings.heard_ns = at_ns
        self._closing.perhaps_closed.discard("server")
        text = entry.text
        if entry.opcode == "text" and entry.fin and text is not None and self._hears_server:
            payload = text.encode()
            # Most frames are these, and their heads what they must be.
            if entry.head == _head_of(len(payload)) and not self._server.unfinished:
                if entry.first_ns is not None:
                    self._slow(entry, at_ns)
                self._server_text(payload, at_ns, entry.seq)
                return
        self._of_server(frame_of(entry), at_ns, entry)

    def message(self, entry: MessageEntry) -> None:
        """A message whose frames were never seen."""
        at_ns, is_text = entry.offset_ns or 0, entry.opcode == "text"
        self._closing.perhaps_closed.discard(entry.sender)
        if entry.sender == "client":
            if self._hears_client:
                self._client_message(entry.data, at_ns, entry.seq, is_text=is_text)
            return
        self.pings.heard_ns = at_ns
        if self._hears_server:
            self._server_message(entry.data, at_ns, entry.seq, is_text=is_text)

    def no_frame(self, entry: Bytes) -> None:
        """Bytes that are no frame: the fault of whose head says that it is too long, and of nobody
        where the connection tore it.
        """
        at_ns = entry.offset_ns or 0
        if entry.sender == "server":
            self._server_bytes(entry, at_ns)
            return
        if not self._hears_client:
            return
        if entry.redacted:
            # Its bytes are masked, since the key that they are masked with stands beside them.
            size = _TOO_LONG.match(entry.why)
            is_refused = size is not None and int(size[1]) > MAX_CLIENT_MESSAGE_BYTES
            refused = [entry.why] if is_refused else []
        else:
            events = FrameParser(max_frame_bytes=MAX_CLIENT_MESSAGE_BYTES).feed(entry.data)
            refused = [event.why for event in events if isinstance(event, Unparsed)]
        if refused:
            self._broken(refused[0], at_ns, entry.seq)

    def end(self, tcp: TcpEnd) -> Ending:
        """The socket ended, or what was seen of it."""
        first = self._closing.first
        at_ns = tcp.at_ns if first is None else first.at_ns
        if first is None:
            self.pings.finish(at_ns, tcp.seq)
        if self._torn is not None and first is None and tcp.by == "server":
            torn = self._torn
            what = f"{torn.why}, of which {len(torn.data)} bytes had come"
            self._add("frame.torn", at_ns, torn.seq, what)
            self._closing.blame("network", what, "RFC 6455 5.2", at_ns)
        if not self._is_broken:
            # What broke the server's frames took the PINGs with it.
            self.pings.silence(tcp, at_ns, torn=self._torn)
        if at_ns - self._opened_ns >= self._rules.ping_interval_ns and self._findings.is_timed:
            self.pushed.missing(at_ns)
        self.pushed.end(at_ns)
        return self._closing.end(tcp)

    # The client

    def _of_client(self, frame: Frame, at_ns: int, entry: FrameEntry) -> None:
        if not self._hears_client:
            if frame.opcode == Opcode.CLOSE:
                self._close("client", frame, at_ns, entry.seq)
            elif self._closing.closed_by("client") and frame.opcode < Opcode.CLOSE:
                self._after_close("close.client-data-after", at_ns, entry.seq)
            return
        broken = _forbidden(frame, entry)
        if len(frame.payload) > MAX_CLIENT_MESSAGE_BYTES:
            broken = [f"a frame of {len(frame.payload)} bytes is above the limit"]
        if broken:
            self._broken(broken[0], at_ns, entry.seq)
            return
        if frame.opcode == Opcode.CLOSE:
            self._hears_client = False
            self._close("client", frame, at_ns, entry.seq)
        self._closing.perhaps_closed.discard("client")
        for event in self._client.feed(frame):
            if not isinstance(event, Message):
                self._broken(event.why, at_ns, entry.seq)
                return
            self._client_message(event.payload, at_ns, entry.seq, is_text=event.is_text)

    def _client_message(self, payload: bytes, at_ns: int, seq: int, *, is_text: bool) -> None:
        found = self.pings.client_text(payload, at_ns) if is_text else []
        if not found and not (is_text and parse_pong(payload) is not None):
            shown = repr(payload[:80].decode("utf-8", "replace"))
            seen = f"the client sent {shown}" + ("" if is_text else " as a binary message")
            expected = "only pongs" if is_text else "only pongs, as text messages"
            found = [self._violation("text.unknown", seen, expected, at_ns)]
            self._hears_client = self._hears_client and self._rules.other_client_text == "ignore"
        if found and self._rules.strict:
            self._hears_client = False
        for violation in found:
            self._findings.violation(violation, seq)
            if violation.rule == "text.unknown" or self._rules.strict:
                self._closing.blame("client", violation.seen, violation.section, at_ns)

    def _broken(self, why: str, at_ns: int, seq: int) -> None:
        self.pings.finish(at_ns, seq)
        # What the server sends on is answered by nobody who is heard.
        self.pings.are_owed = False
        self._hears_client = False
        violation = self._violation("frame.broken", why, "frames as RFC 6455 has them", at_ns)
        self._findings.violation(violation, seq)
        words, section = _sourced(why, "RFC 6455 5")
        self._closing.blame(
            "client", f"the client broke the rules of frames: {words}", section, at_ns
        )

    # The server

    def _of_server(self, frame: Frame, at_ns: int, entry: FrameEntry) -> None:
        if not self._hears_server:
            if self._closing.closed_by("server") and frame.opcode < Opcode.CLOSE:
                self._after_close("close.data-after", at_ns, entry.seq)
            elif frame.opcode == Opcode.CLOSE:
                self._close("server", frame, at_ns, entry.seq)
            return
        if entry.first_ns is not None:
            self._slow(entry, at_ns)
        broken = _forbidden(frame, entry)
        if broken:
            self._server_broken("frame.server-broken", broken[0], at_ns, entry.seq)
        if frame.opcode == Opcode.CLOSE:
            self.pings.finish(at_ns, entry.seq)
            if self._closing.first is None:
                close = CloseFrame("server", frame.close_code, frame.close_reason, at_ns, entry.seq)
                self.pings.server_closed(close)
            self._hears_server = False
            self._close("server", frame, at_ns, entry.seq)
            return
        if broken:
            return
        for event in self._server.feed(frame):
            if isinstance(event, Message):
                if event.fragments > 1:
                    what = f"a message came in {event.fragments} fragments"
                    self._add("frame.fragmented", at_ns, entry.seq, what)
                if self._hears_server:
                    self._server_message(event.payload, at_ns, entry.seq, is_text=event.is_text)
            else:
                bad = "UTF-8" in event.why
                rule = "message.bad-utf8" if bad else "frame.server-broken"
                self._server_broken(rule, event.why, at_ns, entry.seq)

    def _server_message(self, payload: bytes, at_ns: int, seq: int, *, is_text: bool) -> None:
        if is_text:
            self._server_text(payload, at_ns, seq)
            return
        self.messages += 1
        what = f"a binary message of {len(payload)} bytes"
        self._add("message.binary", at_ns, seq, what)

    def _server_text(self, payload: bytes, at_ns: int, seq: int) -> None:
        self.messages += 1
        texts, shapes = read(payload)
        for shape in shapes:
            self._add(shape.rule, at_ns, seq, shape.seen)
            if shape.rule == "message.broken-json":
                self._closing.blame("server", shape.seen, "3", at_ns)
        status = [one for text in texts if text.status is not None for one in text.status]
        if status:
            self.pings.status(status, at_ns, seq)
            texts = [text for text in texts if text.status is None or _says_more(text)]
        if texts:
            self.pushed.message(payload, texts, at_ns, seq)
            if self._is_first:
                self._is_first = False
                if self._rules.session_timeout_shown == "open":
                    self.pushed.no_timeout_before(at_ns, seq)

    def _server_bytes(self, entry: Bytes, at_ns: int) -> None:
        if not self._hears_server:
            return
        if entry.why.startswith(_TORN):
            # Whose doing it is tells who ended the connection.
            self._torn = entry
        else:
            self.pings.heard_ns = at_ns
            self._server_broken("frame.server-broken", entry.why, at_ns, entry.seq)

    def _server_broken(self, rule: str, why: str, at_ns: int, seq: int) -> None:
        self._is_broken = True
        self.pings.are_owed = False
        self._hears_server = False
        # The client has to fail the connection here: no pong that it still sends is owed.
        self._hears_client = False
        self._add(rule, at_ns, seq, f"the server sent what RFC 6455 forbids: {why}")
        section = "RFC 6455 8.1" if rule == "message.bad-utf8" else "RFC 6455 5"
        words, section = _sourced(why, section)
        self._closing.blame(
            "server", f"the server broke the rules of frames: {words}", section, at_ns
        )

    def _slow(self, entry: FrameEntry, at_ns: int) -> None:
        took_ns = at_ns - (entry.first_ns if entry.first_ns is not None else at_ns)
        if took_ns > _SLOW_FRAME_NS:
            what = f"a frame took {seconds(took_ns)} s from its first byte to its last"
            self._add("frame.slow", at_ns, entry.seq, what)

    # Both

    def _close(self, sender: Sender, frame: Frame, at_ns: int, seq: int) -> None:
        if self._closing.first is None and sender == "client":
            self.pings.finish(at_ns, seq)
        self._closing.frame(CloseFrame(sender, frame.close_code, frame.close_reason, at_ns, seq))

    def _after_close(self, rule: str, at_ns: int, seq: int) -> None:
        self._add(rule, at_ns, seq, "a data frame came behind a close frame of the same side")

    def _add(self, rule: str, at_ns: int, seq: int | None, seen: str, expected: str = "") -> None:
        self._findings.add(
            rule,
            connection=self._connection,
            at_ns=at_ns,
            seq=seq,
            seen=seen,
            expected=expected,
        )

    def _violation(self, rule: str, seen: str, expected: str, at_ns: int) -> Violation:
        return Violation.of(
            rule, seen=seen, expected=expected, connection=self._connection, at_ns=at_ns
        )


def _forbidden(frame: Frame, entry: FrameEntry) -> list[str]:
    """What RFC 6455 forbids in a frame. Of a redacted one the length is another than on the
    wire."""
    found = frame.check(entry.sender)
    if entry.redacted and found:
        found = [why for why in found if not why.startswith("a length of ")]
    return found


def _sourced(why: str, section: str) -> tuple[str, str]:
    """What is wrong with a frame, and where that stands: ``section`` unless it says so itself."""
    found = _SOURCE.search(why)
    return (why, section) if found is None else (why[: found.start()], found[1])


def _says_more(text: Said) -> bool:
    return text.devices is not None or text.positions is not None


_SHORT_HEADS: Final[Any] = [f"81{size:02x}" for size in range(126)]


def _head_of(size: int) -> str:
    """The head of a server's whole text of so many bytes, in hex; of a very long one, none."""
    if size < 126:
        head: str = _SHORT_HEADS[size]
        return head
    return f"817e{size:04x}" if size < 65536 else ""
