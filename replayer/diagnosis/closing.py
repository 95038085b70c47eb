"""How one socket ended, and why: its close frames and the end of TCP become an :class:`Ending`
(RFC 6455 sections 5.5.1 and 7, manual section 3.4).
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from recorder.model import Sender
from recorder.track.rules import Rules
from replayer.diagnosis.findings import Findings
from replayer.diagnosis.model import Ending, Party

__all__ = ["Blame", "CloseFrame", "Closing", "TcpEnd"]

_GOES_AWAY: Final = (1000, 1001, 1012, 1013)
"""Codes that a server may close with whenever it likes: done, going away, restart, try again
later."""

_REFUSALS: Final = (1002, 1003, 1007, 1008, 1009, 1010)
"""Codes that blame the other side for what it sent (RFC 6455 section 7.4.1)."""

_OWN_REASONS: Final = (1000, 1011, 1012, 1013, 1014)
"""Codes that say why a server closes, and not for what a client left undone (RFC 6455 section
7.4.1, the registry of codes)."""

_AT_ONCE_NS: Final = 2_000_000_000

_MEANINGS: Final = {
    1000: "normal",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1007: "invalid data",
    1008: "policy violation",
    1009: "message too big",
    1010: "extension missing",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1014: "bad gateway",
}


class CloseFrame(msgspec.Struct, frozen=True):
    """The first close frame of a sender. ``code`` is None where it had none."""

    sender: Sender
    code: int | None
    reason: str
    at_ns: int
    seq: int

    def __str__(self) -> str:
        code = "no code" if self.code is None else f"the code {self.code}"
        meaning = f" ({_MEANINGS[self.code]})" if self.code in _MEANINGS else ""
        reason = f', "{self.reason}"' if self.reason else ""
        return f"{code}{meaning}{reason}"


class TcpEnd(msgspec.Struct, frozen=True):
    """How TCP ended, as a ``closed`` entry has it; ``how`` is ``open`` where nobody saw it end."""

    by: Literal["client", "server", "recorder"]
    how: Literal["eof", "reset", "timeout", "stopped", "open"]
    detail: str
    at_ns: int
    seq: int | None


class Blame(msgspec.Struct, frozen=True):
    """What went wrong before the end, as a clause, and where that stands."""

    by: Party
    words: str
    section: str
    at_ns: int
    lasts: bool = False
    """Whether it was still so at the end."""


class Closing:
    """The end of one socket. Tell it each close frame and what went wrong, then :meth:`end`."""

    __slots__ = (
        "_connection",
        "_findings",
        "_rules",
        "_says_waited",
        "blames",
        "first",
        "missed_pong",
        "perhaps_closed",
        "second",
    )

    def __init__(self, findings: Findings, rules: Rules, connection: int) -> None:
        self._findings = findings
        self._rules = rules
        self._connection = connection
        said = re.escape(rules.unanswered_ping_close_reason)
        # Its figure may come twice.
        said = said.replace(re.escape("{interval_ms}"), "([1-9][0-9]{0,11})", 1)
        self._says_waited = re.compile(said.replace(re.escape("{interval_ms}"), "[0-9]+"))
        self.first: CloseFrame | None = None
        self.second: CloseFrame | None = None
        self.missed_pong: Blame | None = None
        """The latest PING that was not answered in time."""
        self.blames: dict[Party, Blame] = {}
        """What each side did that the other cannot take, the latest of each."""
        self.perhaps_closed: set[Sender] = set()
        """Who may have sent a close frame before the recording, as nothing else came since."""

    def closed_by(self, sender: Sender) -> bool:
        """Whether that side sent a close frame."""
        return any(each is not None and each.sender == sender for each in (self.first, self.second))

    def frame(self, close: CloseFrame) -> None:
        """A close frame came; a side's second one says nothing new."""
        if self.first is None:
            self.first = close
        elif self.second is None and self.first.sender != close.sender:
            self.second = close

    def blame(
        self, by: Party, words: str, section: str, at_ns: int, *, lasts: bool = False
    ) -> None:
        """Something came that the other side must fail the connection for, or nothing comes."""
        self.blames[by] = Blame(by, words, section, at_ns, lasts)

    def end(self, tcp: TcpEnd) -> Ending:
        """TCP ended, or the recording did. What the end itself breaks is found here."""
        first = self.first
        if first is None:
            return self._without_frame(tcp)
        # Tools that know no times know nothing of the other direction either.
        other: Sender = "server" if first.sender == "client" else "client"
        is_told = self._findings.is_timed and other not in self.perhaps_closed
        if self.second is None and tcp.how in ("eof", "reset") and is_told:
            by_server = "-by-server" if first.sender == "client" else ""
            self._add(
                f"close.unanswered{by_server}",
                first.at_ns,
                first.seq,
                f"the {first.sender} sent a close frame with {first}, and the {other} none",
            )
        words, section, fault = (
            self._of_server(first) if first.sender == "server" else self._of_client(first)
        )
        return self._ending(
            first.at_ns, first.sender, "close frame", words, section, fault, first=first
        )

    def _of_server(self, close: CloseFrame) -> tuple[str, str, Party | None]:
        blamed = self.blames.get("client")
        if close.code in _REFUSALS and blamed is not None:
            return f"{blamed.words}; it gave {close}", blamed.section, "client"
        missed, before = self.missed_pong, ""
        if missed is not None and self._is_recent(missed, close.at_ns):
            # Whichever code a backend has for that, it is none that says something else.
            if (
                close.code not in _OWN_REASONS
                or close.code == self._rules.unanswered_ping_close_code
            ):
                return f"{missed.words}; it gave {close}", missed.section, "client"
            before = f"; before that {missed.words}"
        if self._says_unanswered(close):
            words = f"it gave {close}, although no PING was left unanswered"
            self._add("close.unexplained", close.at_ns, close.seq, f"the server closed: {words}")
            return words, "3.4", "server"
        if close.code is None or close.code in _GOES_AWAY:
            words = f"it gave {close}"
            if "client" not in self.perhaps_closed:
                self._add("close.going-away", close.at_ns, close.seq, f"the server closed: {words}")
            return words, "", None
        words = f"it gave {close}, and nothing that the client did explains it{before}"
        self._add("close.unexplained", close.at_ns, close.seq, f"the server closed: {words}")
        return words, "3.4", "server"

    def _of_client(self, close: CloseFrame) -> tuple[str, str, Party | None]:
        blamed = self.blames.get("server")
        if blamed is None:
            return f"it gave {close}", "", None
        at_once = close.at_ns - blamed.at_ns <= _AT_ONCE_NS
        if blamed.lasts or close.code in _REFUSALS or (at_once and close.code not in _GOES_AWAY):
            return f"{blamed.words}; it gave {close}", blamed.section, "server"
        # Who closes as usual did not close for what went wrong, or does not say so.
        before = f"; shortly before, {blamed.words}" if at_once else ""
        return f"it gave {close}{before}", "", None

    def _without_frame(self, tcp: TcpEnd) -> Ending:
        missed, at_ns = self.missed_pong, tcp.at_ns
        server, network = self.blames.get("server"), self.blames.get("network")
        if tcp.how in ("open", "stopped"):
            goes_on = tcp.how == "open"
            words = tcp.detail or ("nobody closed it" if goes_on else "the recording was stopped")
            return self._ending(at_ns, "recorder", tcp.how, words, "", None)
        if tcp.how == "timeout":
            words = tcp.detail or "nothing came any more"
            fault: Party | None = None
            if server is not None and _explains(server, at_ns):
                words, fault = server.words, "server"
            return self._ending(at_ns, tcp.by, "timeout", words, "3.3" if fault else "", fault)
        came_before = tcp.by in self.perhaps_closed
        if tcp.how == "eof" and came_before and not (server or network or missed):
            words = "TCP ended; whether a close frame came before the recording was not seen"
            return self._ending(at_ns, tcp.by, "eof", words, "", None)
        if tcp.by == "client":
            blamed = next((one for one in (server, network) if one and _explains(one, at_ns)), None)
            rule = "close.by-client-without-frame" if tcp.how == "eof" else "tcp.reset-by-client"
            words = "it ended TCP without a close frame"
            if tcp.how == "reset":
                words = "it reset TCP, or the network did"
            self._add(rule, at_ns, tcp.seq, f"the client: {words}")
            if blamed is not None:
                return self._ending(
                    at_ns, "client", tcp.how, blamed.words, blamed.section, blamed.by
                )
            return self._ending(at_ns, "client", tcp.how, words, "", None)
        if tcp.by == "recorder":
            words = tcp.detail or "whoever recorded ended it"
            return self._ending(at_ns, "recorder", tcp.how, words, "", None)
        if missed is not None and self._is_recent(missed, at_ns):
            return self._ending(at_ns, "server", tcp.how, missed.words, missed.section, "client")
        if network is not None:
            return self._ending(at_ns, "server", tcp.how, network.words, network.section, "network")
        if tcp.how == "reset":
            words = "TCP was reset without a close frame, by the server or the network"
            self._add("tcp.reset", at_ns, tcp.seq, words)
            return self._ending(at_ns, "server", "reset", words, "RFC 6455 7.1.1", "network")
        words = "TCP ended without a close frame, although no PING was left unanswered"
        self._add("close.without-frame", at_ns, tcp.seq, f"the server ended it: {words}")
        return self._ending(at_ns, "server", "eof", words, "3.4", "server")

    def _is_recent(self, missed: Blame, at_ns: int) -> bool:
        return at_ns - missed.at_ns <= self._rules.ping_interval_ns

    def waited_ns(self, close: CloseFrame) -> int | None:
        """How long a server waited for a pong, if its close frame says that it did (lineage)."""
        found = self._says_waited.fullmatch(close.reason)
        if found is None or close.code != self._rules.unanswered_ping_close_code:
            return None
        return int(found[1]) * 1_000_000 if found.groups() else self._rules.ping_interval_ns

    def _says_unanswered(self, close: CloseFrame) -> bool:
        return (
            close.code == self._rules.unanswered_ping_close_code
            and close.reason == self._rules.close_reason
        )

    def _ending(
        self,
        at_ns: int,
        by: Party,
        how: Literal["close frame", "eof", "reset", "timeout", "stopped", "open"],
        words: str,
        section: str,
        fault: Party | None,
        *,
        first: CloseFrame | None = None,
    ) -> Ending:
        return Ending(
            connection=self._connection,
            at_ns=at_ns if self._findings.is_timed else None,
            by=by,
            how=how,
            code=first.code if first is not None else None,
            reason=first.reason if first is not None else "",
            cause=words,
            section=section,
            fault=fault,
        )

    def _add(self, rule: str, at_ns: int, seq: int | None, seen: str) -> None:
        self._findings.add(rule, connection=self._connection, at_ns=at_ns, seq=seq, seen=seen)


def _explains(blame: Blame, at_ns: int) -> bool:
    return blame.lasts or at_ns - blame.at_ns <= _AT_ONCE_NS
