"""The HTTP of a recording: logins, sessions, the opening handshakes of sockets, REST calls (manual
sections 2 to 4, RFC 6455 section 4).
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qs

from recorder.backend import API_PATH, SESSION_PATH, SOCKET_PATH
from recorder.model import AnyEntry, Bytes, Request, Response
from recorder.track.rules import Rules
from recorder.track.sessions import SessionProblem
from recorder.track.violations import handshake_violations, session_violation
from recorder.wire.handshake import check_accept, header_value
from replayer.diagnosis.closing import TcpEnd
from replayer.diagnosis.findings import Findings
from replayer.diagnosis.known import Known
from replayer.diagnosis.logins import Asked, Logins
from replayer.diagnosis.model import Ending, Party
from replayer.diagnosis.pace import Pace
from replayer.diagnosis.rest import LISTS, answered_kind, endpoint_of, judge_call
from replayer.reading.calls import Call, Calls
from replayer.reading.words import seconds

__all__ = ["Exchanges"]

_MAX_USERS: Final = 10_000
_SLOW_LOGIN_NS: Final = 3_000_000_000
_PATIENCE_NS: Final = 10_000_000_000
"""A client that gives an unanswered handshake up sooner has not waited for it."""


class _Waiting:
    """A request whose response has not come."""

    def __init__(self, request: Request, asked: Asked) -> None:
        self.request = request
        self.asked = asked
        self.at_ns = request.offset_ns or 0
        self.is_upgrade = False
        self.blame: str | None = None
        """What the client did wrong with an upgrade, in words, and where that stands."""
        self.section = ""

    @property
    def is_socket(self) -> bool:
        """Whether it asks for the socket, rightly or not."""
        return self.asked.path.endswith(SOCKET_PATH)


class Exchanges:
    """Judges the heads and bodies of HTTP, entry by entry. ``heads_whole``: header fields are all
    there, as an importer cannot promise.
    """

    def __init__(
        self,
        findings: Findings,
        rules: Rules,
        known: Known,
        *,
        from_start: bool,
        heads_whole: bool,
        one_client: bool,
    ) -> None:
        self.logins = Logins(rules, from_start=from_start)
        self.handshakes = 0
        self.calls = 0
        self.cookies_missing = 0
        """How many sockets were opened by requests that show no cookie."""
        self._findings = findings
        self._rules = rules
        self._known = known
        self._heads_whole = heads_whole
        self._one_client = one_client
        self._calls = Calls()
        self._pace = Pace(rules)
        self._waiting: dict[tuple[int, int], _Waiting] = {}
        # Whose session it is, and whose socket.
        self._users: dict[str, str] = {}
        self._sockets: dict[int, str] = {}
        self.wrong_accept: dict[int, str] = {}
        """Of open sockets whose handshake a client must not take: why."""

    def take_up(self, request: Request, at_ns: int, *, is_socket: bool, answered: bool) -> None:
        """A request that was sent before the recording goes on."""
        asked = self._asked(request)
        if is_socket and asked.session_id is not None:
            self.logins.seen(asked.session_id, at_ns)
        elif not answered:
            self._waiting[request.connection, request.exchange] = _Waiting(request, asked)

    def request(self, request: Request) -> None:
        """The head of a request."""
        waiting = _Waiting(request, self._asked(request))
        asked = waiting.asked
        if _opens_socket(request):
            waiting.is_upgrade = True
            self.handshakes += 1
            self._handshake(request, waiting)
        elif (
            # Only the API has sessions; the fake's own /__admin has none.
            f"{API_PATH}/" in asked.path
            and not asked.is_login
            and header_value(request.headers, "Authorization") is None
        ):
            asked.problem = self.logins.use(asked.session_id, waiting.at_ns)
        self._waiting[request.connection, request.exchange] = waiting

    def response(self, response: Response) -> Ending | None:
        """The head of a response; how a socket's connection ended, if it refuses one."""
        if 100 <= response.status < 200 and response.status != 101:
            return None
        waiting = self._waiting.pop((response.connection, response.exchange), None)
        if waiting is None:
            return None
        at_ns = response.offset_ns or 0
        if waiting.is_socket:
            return self._socket_answered(waiting, response, at_ns)
        asked = waiting.asked
        if asked.is_login:
            self._login(waiting, response, at_ns)
        elif asked.is_logout and response.status // 100 == 2 and asked.session_id is not None:
            self.logins.logout(asked.session_id)
        elif response.status == self._rules.status_rest_no_session:
            # That the call needs a session is what this answer says.
            self._no_session(waiting, response, at_ns)
        return None

    def whole(self, entry: AnyEntry) -> None:
        """Any entry of HTTP, or one that ends connections: judges the calls that it completes."""
        for call in self._calls.feed(entry):
            self._call(call)

    def end(self, connection: int, tcp: TcpEnd) -> Ending | None:
        """A connection ended; how, if it was to become a socket."""
        user = self._sockets.pop(connection, None)
        if user is not None:
            self._pace.ended(user, tcp.at_ns)
        ending = None
        for key in [key for key in self._waiting if key[0] == connection]:
            waiting = self._waiting.pop(key)
            if waiting.is_upgrade:
                ending = self._unanswered(waiting, tcp)
        return ending

    def socket_ends(self, connection: int, at_ns: int) -> None:
        """A close frame came: what its client opens from now on is a reconnection."""
        user = self._sockets.pop(connection, None)
        if user is not None:
            self._pace.ended(user, at_ns)

    def no_head(self, entry: Bytes) -> None:
        """Bytes in place of a head."""
        is_asked = any(key[0] == entry.connection for key in self._waiting)
        if entry.sender == "server" and is_asked:
            self._add(
                "http.broken",
                entry.connection,
                entry.offset_ns,
                entry.seq,
                f"the server answered with {len(entry.data)} bytes that are no response:"
                f" {entry.why}",
            )

    def finish(self) -> None:
        """The recording ended, or whoever recorded was away."""
        for call in self._calls.finish():
            self._call(call)
        self._waiting.clear()

    # Handshakes

    def _handshake(self, request: Request, waiting: _Waiting) -> None:
        key = header_value(request.headers, "Sec-WebSocket-Key")
        version = header_value(request.headers, "Sec-WebSocket-Version")
        at_ns, connection = waiting.at_ns, request.connection
        found = handshake_violations(key, version, connection=connection, at_ns=at_ns)
        is_refused = version != "13" or not key
        if not self._heads_whole:
            # An importer keeps what its file has, and browsers leave fields out.
            found = [one for one in found if key is not None or version is not None]
        strict = self._rules.socket_key == "strict" or self._rules.strict
        if not is_refused and not (strict and found):
            session_id = waiting.asked.session_id
            problem = self.logins.use(session_id, at_ns, renew=self._rules.handshake_renews_session)
            if problem is SessionProblem.MISSING and not self._heads_whole:
                waiting.asked.problem = problem
            elif problem is not None:
                found.append(
                    session_violation(problem, self._rules, connection=connection, at_ns=at_ns)
                )
        for violation in found:
            self._findings.violation(violation, request.seq)
            if is_refused or strict or violation.rule.startswith("session."):
                waiting.blame, waiting.section = violation.seen, violation.section

    def _socket_answered(self, waiting: _Waiting, response: Response, at_ns: int) -> Ending | None:
        if response.status == 101:
            self._opened(waiting, response, at_ns)
            return None
        self._pace.ended(self._user(waiting.asked), at_ns)
        if not waiting.is_upgrade or response.status == self._rules.status_no_upgrade:
            what = f"a {waiting.request.method} of the socket that asks for no upgrade"
            self._add(
                "handshake.no-upgrade", response.connection, waiting.at_ns, response.seq, what
            )
            return None
        if waiting.asked.problem is SessionProblem.MISSING and waiting.blame is None:
            violation = session_violation(
                SessionProblem.MISSING,
                self._rules,
                connection=response.connection,
                at_ns=waiting.at_ns,
            )
            self._findings.violation(violation, waiting.request.seq)
            waiting.blame, waiting.section = violation.seen, violation.section
        said = f"{response.status} {response.reason}".rstrip()
        server = header_value(response.headers, "Server")
        by = f" by {server[:40]}" if server else ""
        if waiting.blame is not None:
            words = f"the handshake was answered {said}: {waiting.blame}"
            return self._refusal(response, at_ns, words, waiting.section, "client")
        ended_ns = self.logins.ended_early_ns(waiting.asked.session_id)
        if ended_ns is not None:
            when = f"at {seconds(ended_ns)} s " if self._findings.is_timed else ""
            words = (
                f"the handshake was answered {said}{by}: the server had ended its session early, as"
                f" a call {when}was told"
            )
            return self._refusal(response, at_ns, words, "3.4", "server")
        is_live = self._is_live(waiting)
        session = "its session had time left" if is_live else "it had a cookie"
        words = f"the handshake was answered {said}{by}, although {session}"
        self._add("handshake.refused", response.connection, at_ns, response.seq, words)
        return self._refusal(response, at_ns, words, "3.2", "server")

    def _opened(self, waiting: _Waiting, response: Response, at_ns: int) -> None:
        connection, asked = response.connection, waiting.asked
        if asked.problem is SessionProblem.MISSING:
            self.cookies_missing += 1
        user = self._user(asked)
        too_soon = self._pace.opened(user, waiting.at_ns)
        if too_soon is not None:
            self._add("socket.reconnect", connection, waiting.at_ns, waiting.request.seq, too_soon)
        self._sockets[connection] = user
        key = header_value(waiting.request.headers, "Sec-WebSocket-Key")
        # A head without this field is not as it was on the wire.
        if key and header_value(response.headers, "Upgrade") is not None:
            accept = header_value(response.headers, "Sec-WebSocket-Accept")
            why = check_accept(key, accept)
            if why is not None:
                self._add(
                    "handshake.wrong-accept", connection, response.offset_ns, response.seq, why
                )
                self.wrong_accept[connection] = why

    def _refusal(
        self, response: Response, at_ns: int, words: str, section: str, fault: Party
    ) -> Ending:
        return self._ending(response.connection, at_ns, "server", "refused", words, section, fault)

    def _unanswered(self, waiting: _Waiting, tcp: TcpEnd) -> Ending | None:
        connection, waited_ns = waiting.request.connection, tcp.at_ns - waiting.at_ns
        if tcp.how == "open" or (tcp.how == "stopped" and waited_ns < _PATIENCE_NS):
            return None
        for_s = f"{seconds(waited_ns)} s" if self._findings.is_timed else "as long as it was open"
        words = f"the upgrade asked for at {seconds(waiting.at_ns)} s was not answered for {for_s}"
        fault: Party | None = None
        if tcp.by == "server" or waited_ns >= _PATIENCE_NS:
            fault = "server"
            self._add("handshake.unanswered", connection, tcp.at_ns, waiting.request.seq, words)
        return self._ending(connection, tcp.at_ns, tcp.by, tcp.how, words, "3.2", fault)

    def _ending(
        self,
        connection: int,
        at_ns: int,
        by: Party,
        how: Any,
        words: str,
        section: str,
        fault: Party | None,
    ) -> Ending:
        return Ending(
            connection=connection,
            at_ns=at_ns if self._findings.is_timed else None,
            by=by,
            how=how,
            code=None,
            reason="",
            cause=words,
            section=section,
            fault=fault,
        )

    # Sessions

    def _asked(self, request: Request) -> Asked:
        path = request.target.partition("?")[0]
        return Asked(request.method, path, self.logins.cookie_of(request))

    def _user(self, asked: Asked) -> str:
        if self._one_client:
            return ""
        session_id = asked.session_id or ""
        return self._users.get(session_id, session_id)

    def _is_live(self, waiting: _Waiting) -> bool:
        return self.logins.is_live(waiting.asked.session_id, waiting.at_ns)

    def _login(self, waiting: _Waiting, response: Response, at_ns: int) -> None:
        connection, took_ns = response.connection, at_ns - waiting.at_ns
        if took_ns > _SLOW_LOGIN_NS:
            what = f"the login of {seconds(waiting.at_ns)} s took {seconds(took_ns)} s"
            self._add("login.slow", connection, waiting.at_ns, response.seq, what)
        rules = self._rules
        if response.status == 200:
            self.logins.login(response, at_ns)
            if self._heads_whole and not self.logins.cookies_set(response):
                what = f"a login was answered 200 without the cookie {rules.cookie_name}"
                self._add("login.no-cookie", connection, at_ns, response.seq, what)
        elif response.status in (
            rules.status_wrong_password,
            rules.status_missing_field,
            rules.status_json_login,
        ):
            what = f"a login that was answered {response.status} {response.reason}".rstrip()
            self._add("login.refused", connection, waiting.at_ns, waiting.request.seq, what)

    def _no_session(self, waiting: _Waiting, response: Response, at_ns: int) -> None:
        asked, connection = waiting.asked, response.connection
        if header_value(waiting.request.headers, "Authorization") is not None:
            what = "HTTP Basic without the email and password of an account"
            self._add("login.refused", connection, waiting.at_ns, waiting.request.seq, what)
        elif asked.problem is not None:
            self._findings.violation(
                session_violation(asked.problem, self._rules, connection=connection, at_ns=at_ns),
                response.seq,
            )
        elif self._is_live(waiting):
            what = (
                f"{asked.method} {asked.path} was answered {response.status}, although its session"
                f" was used less than {self._rules.session_timeout_s:g} s ago"
            )
            self._add("session.ended-early", connection, at_ns, response.seq, what)
            if asked.session_id is not None:
                self.logins.ended_early(asked.session_id, at_ns)

    # Calls

    def _call(self, call: Call) -> None:
        request, response = call.request, call.response
        name, one = endpoint_of(request.target)
        if not name or response is None:
            return
        self.calls += 1
        if request.method == "POST" and request.target.partition("?")[0].endswith(SESSION_PATH):
            self._learn_user(call)
        kind = answered_kind(call)
        if kind is not None:
            self._known.answered(kind, call)
        at_ns = request.offset_ns
        for rule, seen in judge_call(call, self._rules).items():
            self._add(rule, request.connection, at_ns, request.seq, seen)
        is_list = name in LISTS and not one and request.method in ("GET", "HEAD")
        if is_list and response.status != self._rules.status_rest_no_session and at_ns is not None:
            who = self.logins.cookie_of(request) or (
                header_value(request.headers, "Authorization") or ""
            )
            polled = self._pace.polled(who, f"{API_PATH}/{name}", at_ns)
            if polled is not None:
                self._add("rest.polling", request.connection, at_ns, request.seq, polled)

    def _learn_user(self, call: Call) -> None:
        """Whose session a login began; of a redacted one the mark, which is the same each time."""
        if call.response is None or call.response.status != 200 or not call.request_body:
            return
        email = parse_qs(call.request_body.decode("utf-8", "replace")).get("email", [""])[0]
        for session_id in self.logins.cookies_set(call.response):
            if email and len(self._users) < _MAX_USERS:
                self._users[session_id] = f"user {email}"

    def _add(
        self, rule: str, connection: int, at_ns: int | None, seq: int | None, seen: str
    ) -> None:
        self._findings.add(rule, connection=connection, at_ns=at_ns, seq=seq, seen=seen)


def _opens_socket(request: Request) -> bool:
    upgrade = header_value(request.headers, "Upgrade") or ""
    path = request.target.partition("?")[0]
    return request.method == "GET" and upgrade.lower() == "websocket" and path.endswith(SOCKET_PATH)
