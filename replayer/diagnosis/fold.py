"""The protocol's rules as one fold over the entries of a recording: what was done against them, by
whom, and why each socket ended. Pure, and streaming.

The rules are those that the capture client obeys and the fake server enforces
(:mod:`recorder.track`), with what RFC 6455 and the manual ask of a server.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

from recorder.model import (
    AnyEntry,
    Body,
    Bytes,
    Checkpoint,
    Closed,
    FrameEntry,
    Header,
    MessageEntry,
    Note,
    Open,
    Request,
    Response,
    Resume,
)
from recorder.track.rules import Rules
from recorder.track.sessions import SESSION_NOTE
from replayer.diagnosis.closing import TcpEnd
from replayer.diagnosis.exchanges import Exchanges
from replayer.diagnosis.findings import KEPT_OF_EACH_RULE, Findings
from replayer.diagnosis.known import Known
from replayer.diagnosis.model import Diagnosis, Ending, Finding, Judged
from replayer.diagnosis.rules import DIAGNOSED
from replayer.diagnosis.socket import Socket
from replayer.editing.steps import times_faster, verbs_of
from replayer.reading.checkpoints import OpenConnection, read_checkpoint
from replayer.reading.legs import client_legs

__all__ = ["Diagnoser", "diagnose"]

_KEPT_ENDINGS: Final = 1000
_KEPT_OPENINGS: Final = 100

_OF_ABSENCE: Final = frozenset(
    {
        *("ping.absent", "ping.late", "socket.silent", "timeout.missing", "opening.missing"),
        *("join.unknown-device", "join.unknown-position", "join.unknown-beacon"),
        "message.repeated",
    }
)
"""What is found because something did not come, or nothing between."""


def diagnose(
    header: Header,
    entries: Iterable[AnyEntry],
    rules: Rules | None = None,
    *,
    keep: int | None = KEPT_OF_EACH_RULE,
) -> Diagnosis:
    """Judge a recording by ``rules``. ``keep``: so many findings of each rule word for word, None
    all of them.

    What a proxy recorded is judged as the client had it, once. A recording that begins in the
    middle is judged from there on; what cannot be told for that is in ``undecided``. Raises
    CorruptRecording on an entry that cannot be, and what ``entries`` raises. Memory grows with the
    sessions and open connections; of ids a bounded number is remembered. Of what was filtered
    nothing is missed, and what was sped up is judged by times that are shorter by as much.
    """
    faster = times_faster(header)
    fold = Diagnoser(
        (rules or Rules()) if faster == 1 else _at_speed(rules or Rules(), float(faster)),
        keep=keep,
        is_filtered="filter" in verbs_of(header),
        # The fake sees every login that it accepts.
        from_start=header.mode == "fake" and (header.series is None or header.series.part == 1),
        heads_whole=header.mode not in ("import", "edit"),
        one_client=header.mode == "capture",
    )
    feed = fold.feed
    for entry in client_legs(entries):
        feed(entry)
    fold.finish()
    return fold.diagnosis()


class Diagnoser:
    """The same, entry by entry: :meth:`feed` each one that is not of an upstream leg paired with a
    client's, :meth:`finish` at the end, and ask for the :meth:`diagnosis`.

    ``from_start``: every login that the server accepted is seen; only then a cookie is known to be
    of none. ``heads_whole``: heads have all their fields. ``one_client``: all connections are those
    of one client, who recorded them. ``is_filtered``: messages were left out on purpose.
    """

    def __init__(
        self,
        rules: Rules | None = None,
        *,
        keep: int | None = KEPT_OF_EACH_RULE,
        from_start: bool = False,
        heads_whole: bool = True,
        one_client: bool = False,
        is_filtered: bool = False,
    ) -> None:
        self.findings = Findings(keep, _OF_ABSENCE if is_filtered else frozenset())
        self._is_filtered = is_filtered
        self._rules = rules or Rules()
        self._one_client = one_client
        self._known = Known()
        self._http = Exchanges(
            self.findings,
            self._rules,
            self._known,
            from_start=from_start,
            heads_whole=heads_whole,
            one_client=one_client,
        )
        self._sockets: dict[int, Socket] = {}
        self._last_ns: int | None = None
        self._endings: list[Ending] = []
        self._endings_count = 0
        self._sockets_count = 0
        self._joined_late = 0
        self._messages = 0
        self._pings = 0
        self._answered = 0
        self._openings: Counter[str] = Counter()
        self._gaps: list[str] = []

    def feed(self, entry: AnyEntry) -> None:
        """The next entry. Raises CorruptRecording on a frame that cannot be one."""
        offset_ns = entry.offset_ns
        before_ns = self._last_ns or 0
        if offset_ns is not None:
            self._last_ns = offset_ns
            self.findings.is_timed = True
        else:
            self.findings.is_timed = False
        match entry:
            case FrameEntry():
                self._socket_of(entry).frame(entry)
            case MessageEntry():
                self._socket_of(entry).message(entry)
            case Request():
                self._http.whole(entry)
                self._http.request(entry)
            case Response():
                self._response(entry)
            case Body():
                self._http.whole(entry)
            case Bytes():
                socket = self._sockets.get(entry.connection)
                if socket is not None:
                    socket.no_frame(entry)
                else:
                    self._http.no_head(entry)
            case Open():
                self._end(entry.connection, _unseen(offset_ns or 0))
            case Closed():
                self._http.whole(entry)
                self._end(
                    entry.connection,
                    TcpEnd(entry.by, entry.how, _detail(entry), offset_ns or 0, entry.seq),
                )
            case Resume():
                # Whoever recorded before was away: its connections are gone, and who logged in
                # meanwhile was not seen.
                self._gap("the recorder was away for a while")
                self._all_end()
                self._http.logins.from_start = False
            case Checkpoint():
                self._take_up(entry, before_ns)
            case Note() if entry.text == SESSION_NOTE:
                self._http.logins.from_start = False
            case Note() if entry.seq == 0:
                # What a reader of several files says is missing between two of them.
                self._gap(entry.text)

    def finish(self) -> None:
        """The recording ended, and with it what was open."""
        self.findings.is_timed = self._last_ns is not None
        self._all_end()

    def diagnosis(self) -> Diagnosis:
        """What was found so far."""
        findings = self.findings
        kept = sorted(findings.kept, key=_moment)
        return Diagnosis(
            findings=tuple(kept),
            counts=dict(findings.counts),
            breaches=sum(
                count for rule, count in findings.counts.items() if DIAGNOSED[rule].is_breach
            ),
            endings=tuple(self._endings),
            endings_count=self._endings_count,
            judged=Judged(
                sockets=self._sockets_count,
                handshakes=self._http.handshakes,
                calls=self._http.calls,
                messages=self._messages,
                pings=self._pings,
                pings_answered=self._answered,
                openings=dict(self._openings),
            ),
            undecided=tuple(self._undecided()),
        )

    def _undecided(self) -> list[str]:
        found = list(self._gaps)
        if self._last_ns is None and self._sockets_count:
            found.append(
                "the recording has no timing: whether PINGs and pongs came in time, and what never"
                " came, was not judged"
            )
        if self._is_filtered:
            found.append(
                "the recording was filtered: what is missing from it, as PINGs and objects, was not"
                " judged"
            )
        if self._joined_late:
            were = "socket was" if self._joined_late == 1 else "sockets were"
            found.append(
                f"{self._joined_late} {were} open before the recording begins: what was pushed on"
                " opening was not seen, so that joins were judged no further"
            )
        if self._http.cookies_missing:
            found.append(
                "sockets were opened by requests that show no cookie: the tool that was imported"
                " from leaves it out, or there was none"
            )
        if self.findings.hint:
            found.append(self.findings.hint)
        if not self._known.knows_all_devices:
            found.append("there are more devices than are remembered: joins were judged no further")
        return found

    # Connections

    def _response(self, response: Response) -> None:
        self._http.whole(response)
        ending = self._http.response(response)
        if ending is not None:
            self._keep_ending(ending)
        if response.status == 101:
            self._open(response.connection, response.offset_ns or 0, from_opening=True)

    def _open(self, connection: int, at_ns: int, *, from_opening: bool) -> Socket:
        self._sockets_count += 1
        self._joined_late += not from_opening
        socket = self._sockets[connection] = Socket(
            self.findings,
            self._rules,
            self._known,
            connection,
            at_ns,
            from_opening=from_opening,
        )
        why = self._http.wrong_accept.pop(connection, None)
        if why is not None:
            socket.refuse_accept(why, at_ns)
        return socket

    def _socket_of(self, entry: FrameEntry | MessageEntry) -> Socket:
        socket = self._sockets.get(entry.connection)
        if socket is None:
            socket = self._open(entry.connection, entry.offset_ns or 0, from_opening=False)
        return socket

    def _end(self, connection: int, tcp: TcpEnd) -> None:
        socket = self._sockets.pop(connection, None)
        ending = None
        closed_ns = tcp.at_ns
        if socket is not None:
            if self._one_client and tcp.by == "recorder" and tcp.how == "stopped":
                # Who recorded is the client, and what it stopped is this socket.
                tcp = msgspec.structs.replace(tcp, by="client", how="eof")
            ending = socket.end(tcp)
            closed_ns = tcp.at_ns if ending.at_ns is None else ending.at_ns
            self._messages += socket.messages
            self._pings += socket.pings.heartbeat.pings
            self._answered += socket.pings.heartbeat.answered
            opening = ", ".join(socket.pushed.opening) if socket.pushed.from_opening else ""
            if opening and (opening in self._openings or len(self._openings) < _KEPT_OPENINGS):
                self._openings[opening] += 1
        self._http.socket_ends(connection, closed_ns)
        refused = self._http.end(connection, tcp)
        if (ending := ending or refused) is not None:
            self._keep_ending(ending)

    def _keep_ending(self, ending: Ending) -> None:
        self._endings_count += 1
        if len(self._endings) < _KEPT_ENDINGS:
            self._endings.append(ending)

    def _all_end(self) -> None:
        for number in list(self._sockets):
            self._end(number, TcpEnd("recorder", "open", "", self._last_ns or 0, None))
        self._http.finish()

    # Gaps

    def _gap(self, words: str) -> None:
        if len(self._gaps) < _KEPT_OPENINGS:
            self._gaps.append(f"{words}: what came there was not judged")

    def _take_up(self, checkpoint: Checkpoint, before_ns: int) -> None:
        """Go on from where the checkpoint stands: what is not open there has ended unseen, at
        ``before_ns`` or later.
        """
        self._http.logins.from_start = False
        standing = read_checkpoint(checkpoint)
        for number in [one for one in self._sockets if one not in standing.connections]:
            self._end(number, _unseen(before_ns))
        self._known.checkpoint(checkpoint)
        for connection in standing.connections.values():
            self._take_up_connection(connection, checkpoint, before_ns)
        for fragment in standing.fragments.values():
            if (socket := self._sockets.get(fragment.connection)) is not None:
                socket.begun(fragment.sender, fragment.frame)
        for ping in standing.pings:
            if (socket := self._sockets.get(ping.connection)) is not None:
                socket.pings.taken_up(ping.uuid, ping.offset_ns or 0)

    def _take_up_connection(
        self, connection: OpenConnection, checkpoint: Checkpoint, before_ns: int
    ) -> None:
        at_ns = checkpoint.offset_ns or 0
        request = connection.asked(checkpoint)
        if request is not None:
            self._http.take_up(
                request,
                at_ns,
                is_socket=connection.is_socket,
                answered=connection.response is not None,
            )
        if connection.is_socket:
            number = connection.connection
            if number in self._sockets:
                self._end(number, _unseen(before_ns))
            self._open(number, at_ns, from_opening=False)


def _at_speed(rules: Rules, faster: float) -> Rules:
    """The rules of a recording whose times are shorter than they were."""
    return msgspec.structs.replace(
        rules,
        unanswered_ping_close_reason=rules.close_reason,
        ping_interval_s=rules.ping_interval_s / faster,
        session_timeout_s=rules.session_timeout_s / faster,
        reconnect_delay_min_s=rules.reconnect_delay_min_s / faster,
        max_polls_per_minute=math.ceil(rules.max_polls_per_minute * faster),
    )


def _unseen(at_ns: int) -> TcpEnd:
    return TcpEnd("recorder", "open", "its end was not recorded", at_ns, None)


def _detail(closed: Closed) -> str:
    # The first close frame in words is there already.
    return "" if closed.detail.startswith("close ") else closed.detail


def _moment(finding: Finding) -> int:
    return finding.at_ns or 0
