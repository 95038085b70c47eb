"""The PINGs of one socket and their pongs: who kept time, who answered (manual section 3.3)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from recorder.model import Bytes
from recorder.track.heartbeat import Heartbeat
from recorder.track.rules import Rules
from recorder.track.violations import Violation
from replayer.diagnosis.closing import Blame, CloseFrame, Closing, TcpEnd
from replayer.diagnosis.findings import Findings
from replayer.diagnosis.messages import Status, is_ping, shown
from replayer.reading.words import seconds

__all__ = ["Pings"]

_REMEMBERED_PINGS: Final = 64


class Pings:
    """The heartbeat of a socket that opened, or began to be seen, at ``opened_ns``. What it finds
    goes to ``findings``, and what may be why the socket ends to ``closing``.
    """

    __slots__ = (
        "_closing",
        "_connection",
        "_findings",
        "_interval_ns",
        "_is_cause",
        "_last_ns",
        "_missed_first",
        "_sent_ns",
        "_was_sent",
        "are_owed",
        "heard_ns",
        "heartbeat",
    )

    def __init__(
        self, findings: Findings, rules: Rules, closing: Closing, connection: int, opened_ns: int
    ) -> None:
        self.heartbeat = Heartbeat(rules, opened_ns=opened_ns, connection=connection)
        self.are_owed = True
        """Whether the client is heard, and the server's frames are ones that it may answer."""
        self.heard_ns = opened_ns
        """When anything of the server's came last."""
        self._findings = findings
        self._closing = closing
        self._connection = connection
        self._interval_ns = rules.ping_interval_ns
        self._is_cause = rules.unanswered_ping == "close"
        self._last_ns = opened_ns
        self._was_sent = False
        # The first of the PINGs in a row that were not answered.
        self._missed_first = ""
        self._sent_ns: OrderedDict[str, int] = OrderedDict()

    def taken_up(self, uuid: str, at_ns: int) -> None:
        """A PING that came before the recording and waits for its pong."""
        self.heartbeat.ping_sent(uuid, at_ns)
        self._remember(uuid, at_ns)

    def client_text(self, payload: bytes, at_ns: int) -> list[Violation]:
        """What is wrong with a text of the client, if it is a pong or was meant as one."""
        answered = self.heartbeat.answered
        found = self.heartbeat.client_text(payload, at_ns)
        if self.heartbeat.answered > answered:
            self._missed_first = ""
        if found and found[0].rule == "pong.late":
            self._missed(payload.decode().removeprefix("pong "), at_ns, "was answered too late")
        return found

    def status(self, status: list[Status], at_ns: int, seq: int) -> None:
        """The entries of a ``status`` message of the server."""
        is_finished = False
        for one in status:
            found = is_ping(one)
            if found is None:
                what = f"a PING whose message is {shown(one.message)}, type {shown(one.type)}"
                self._add("ping.malformed", at_ns, seq, what)
            elif found:
                if not is_finished:
                    # A server that pings again waits no longer for the pong that is overdue.
                    self.finish(at_ns, seq)
                    self._interval(at_ns, seq)
                    is_finished = True
                self._ping(one.message, at_ns, seq)

    def _ping(self, uuid: str, at_ns: int, seq: int) -> None:
        before_ns = self._sent_ns.get(uuid)
        for violation in self.heartbeat.ping_sent(uuid, at_ns):
            if violation.rule == "ping.repeated-uuid" and before_ns is not None:
                after = f", {seconds(at_ns - before_ns)} s after it was sent before"
                seen = violation.seen + (after if self._findings.is_timed else "")
                self._add(violation.rule, at_ns, seq, seen, violation.expected)
            else:
                self._findings.violation(violation, seq)
        self._remember(uuid, at_ns)

    def _remember(self, uuid: str, at_ns: int) -> None:
        self._sent_ns.pop(uuid, None)
        self._sent_ns[uuid] = at_ns
        if len(self._sent_ns) > _REMEMBERED_PINGS:
            self._sent_ns.popitem(last=False)

    def finish(self, at_ns: int, seq: int | None) -> None:
        """Give up the PINGs that were to be answered by now."""
        unanswered = self.heartbeat.unanswered
        if not unanswered or not self.are_owed:
            return
        found = self.heartbeat.finish(at_ns)
        if not found:
            return
        for violation in found:
            self._findings.violation(violation, seq)
        left = set(self.heartbeat.unanswered)
        self._missed(next(one for one in unanswered if one not in left), at_ns)

    def server_closed(self, close: CloseFrame) -> None:
        """The server closed, and may say that it waited for a pong in vain (lineage): that counts,
        for the interval is the server's to know.
        """
        waited_ns = self._closing.waited_ns(close)
        if waited_ns is None or not self._findings.is_timed:
            return
        latest_ns = close.at_ns - waited_ns + waited_ns // 10
        asked = [
            (uuid, sent_ns)
            for uuid in self.heartbeat.unanswered
            if (sent_ns := self._sent_ns.get(uuid)) is not None and sent_ns <= latest_ns
        ]
        if not asked or not self.are_owed:
            return
        for uuid, sent_ns in asked:
            what = (
                f"the client sent no pong in the {seconds(close.at_ns - sent_ns)} s since the PING"
                f' {uuid}; the server says that it waited: "{close.reason}" (lineage)'
            )
            self._add("pong.missing", close.at_ns, close.seq, what, f"'pong {uuid}'")
        self._missed(asked[0][0], close.at_ns, is_said=True)
        if waited_ns != self._interval_ns:
            self._findings.hint = (
                f"a server closed for a PING that was not answered for {waited_ns / 1e9:g} s, but"
                f" its PINGs were judged by an interval of {self._interval_ns / 1e9:g} s: give"
                f" --rules a file with ping_interval_s = {waited_ns / 1e9:g}"
            )

    def _missed(
        self, uuid: str, at_ns: int, how: str = "was never answered", *, is_said: bool = False
    ) -> None:
        """A PING got no pong that counts. Of some in a row it is the first that explains an end."""
        self._missed_first = self._missed_first or uuid
        if not (self._is_cause or is_said):
            return
        sent_ns = self._sent_ns.get(self._missed_first)
        when = "" if sent_ns is None else f" of {seconds(sent_ns)} s"
        words = f"the PING{when}, {self._missed_first}, {how}"
        self._closing.missed_pong = Blame("client", words, "3.3", at_ns)

    def _interval(self, at_ns: int, seq: int) -> None:
        """A PING came: was it time?"""
        interval_ns = self._interval_ns
        late_ns = at_ns - self._last_ns - interval_ns
        if late_ns > interval_ns // 10:
            since = f"{seconds(self._last_ns)} s"
            if late_ns >= interval_ns - interval_ns // 10:
                what = f"no PING came from {since} to {seconds(at_ns)} s{self._every}"
                self._add("ping.absent", self._last_ns + interval_ns, seq, what)
            else:
                which = f"the PING behind that of {since}" if self._was_sent else "the first PING"
                what = f"{which} came {seconds(late_ns)} s late{self._every}"
                self._add("ping.late", at_ns, seq, what)
        self._last_ns = at_ns
        self._was_sent = True

    @property
    def _every(self) -> str:
        return f"; one is due every {self._interval_ns / 1e9:g} s"

    def silence(self, tcp: TcpEnd, at_ns: int, *, torn: Bytes | None) -> None:
        """The socket ended: should there have been another PING? ``torn`` is a frame that came no
        further."""
        tolerance_ns = self._interval_ns // 10
        # Who goes on reading, as nobody did where only the recording ended, may still get it late.
        goes_on = tcp.how in ("open", "stopped")
        patience_ns = self._interval_ns - tolerance_ns if goes_on else tolerance_ns
        if at_ns - self._last_ns <= self._interval_ns + patience_ns:
            return
        due_ns = self._last_ns + self._interval_ns
        began_ns = self.heard_ns if torn is None or torn.first_ns is None else torn.first_ns
        for_s = f"{seconds(at_ns - began_ns)} s"
        if torn is not None and began_ns < due_ns:
            what = f"a frame that began at {seconds(began_ns)} s did not end in {for_s}"
        elif at_ns - self.heard_ns > tolerance_ns and self.heard_ns < due_ns:
            what = f"nothing came any more behind {seconds(self.heard_ns)} s, for {for_s}"
        else:
            since = f"{seconds(self._last_ns)} s"
            what = f"no PING came from {since} to the end at {seconds(at_ns)} s"
            self._add("ping.absent", due_ns, None, what + self._every)
            if tcp.how == "timeout":
                self._closing.blame("server", what, "3.3", due_ns, lasts=True)
            return
        what += ", no PING either"
        self._add("socket.silent", due_ns, None, what)
        self._closing.blame("server", what, "3.3", due_ns, lasts=True)

    def _add(self, rule: str, at_ns: int, seq: int | None, seen: str, expected: str = "") -> None:
        self._findings.add(
            rule,
            connection=self._connection,
            at_ns=at_ns,
            seq=seq,
            seen=seen,
            expected=expected,
        )
