"""REST as a function from a request to an answer: who asks, which endpoint, by which rules (manual
sections 2 and 4).
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Awaitable, Callable, Iterator
from typing import Final
from urllib.parse import unquote

import msgspec

from fake_server.accounts import Accounts
from fake_server.desk import SessionDesk
from fake_server.exchange import MAX_BODY_BYTES, Answer, Headers, HttpRequest, text_answer
from fake_server.pace import Pace
from fake_server.rest.call import Call
from fake_server.rest.nearest import nearest
from fake_server.rest.objects import answer_objects
from fake_server.rest.recorded import recorded_answer
from fake_server.rest.refusals import Refusal
from fake_server.rest.report import answer_report
from fake_server.rest.routes import ROUTES, Route, methods_of
from fake_server.rest.session import answer_session
from fake_server.rest.start import answer_start
from fake_server.rest.view import View
from fake_server.sight import Sight
from fake_server.violation_log import ViolationLog
from fake_server.written import Written
from recorder.backend import API_PATH
from recorder.track.rules import Rules
from recorder.track.sessions import Session, SessionProblem
from recorder.track.violations import Violation, session_violation
from replayer.playing.script import Source
from replayer.state import State

__all__ = ["Rest"]

_DOCUMENTS: Final = ("/api/swagger", "/api/openapi.json")
_NO_CORS_BELOW: Final = "/__admin"

_HANDLERS: Final[dict[str, Callable[[Call], Answer]]] = {
    "session": answer_session,
    "objects": answer_objects,
    "report": answer_report,
    "start": answer_start,
}

_CORS: Final[Headers] = (
    ("Access-Control-Allow-Headers", "origin, content-type, accept, authorization"),
    ("Access-Control-Allow-Credentials", "true"),
    ("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS"),
)


class Rest:
    """The REST endpoints of a server. Call it with a request; it never raises.

    ``state_for`` tells what a session is shown, None being a caller without one (HTTP Basic).
    ``on_login`` and ``on_logout`` are called with the session that began or ended, ``on_written``
    with the kind and the raw JSON text of an object after a client created or updated it.
    ``forward`` answers what is neither computed nor recorded, and GETs of which the recording shows
    nothing: reports, settings, and lists of a kind of which it has no object; without it the first
    is 404. A HEAD is answered as its GET: to leave the body out is for the caller.
    """

    def __init__(
        self,
        source: Source,
        state_for: Callable[[Session | None], State],
        *,
        accounts: Accounts,
        desk: SessionDesk,
        rules: Rules,
        violations: ViolationLog,
        written: Written,
        pace: Pace,
        on_login: Callable[[Session], None],
        on_logout: Callable[[Session], None],
        on_written: Callable[[str, bytes], None],
        forward: Callable[[HttpRequest], Awaitable[Answer]] | None = None,
    ) -> None:
        self.source = source
        self.accounts = accounts
        self.desk = desk
        self.rules = rules
        self.violations = violations
        self.written = written
        self.on_login = on_login
        self.on_logout = on_logout
        self.on_written = on_written
        self._state_for = state_for
        self._pace = pace
        self._forward = forward
        if not accounts.all_see_everything:
            accounts.know(source.opening.objects("devices"))
        self._cors_for_all = (("Access-Control-Allow-Origin", "*"), *_CORS)

    def __call__(self, request: HttpRequest) -> Answer:
        """The answer to a request."""
        try:
            answer = self._answer(request)
        except Refusal as refusal:
            answer = self._refused(request, refusal)
        if self.rules.cors == "none" or request.path.startswith(_NO_CORS_BELOW):
            return answer
        origin = request.header("origin")
        cors = (("Access-Control-Allow-Origin", origin), *_CORS) if origin else self._cors_for_all
        return msgspec.structs.replace(answer, headers=(*answer.headers, *cors))

    def view(self, session: Session | None, account: str) -> View:
        """What an account is shown."""
        return View(self._state_for(session), self.written, self.accounts.sight(account))

    def _answer(self, request: HttpRequest) -> Answer:
        if len(request.body) > MAX_BODY_BYTES:
            raise Refusal(413)
        method = "GET" if request.method == "HEAD" else request.method
        routes, object_id = methods_of(request.path)
        if method == "OPTIONS":
            return Answer(200, b"", _allowed(routes))
        route = routes.get(method)
        if route is not None and route.endpoint == "start" and not self.rules.start_endpoints:
            route = None
        if route is None:
            return self._unmatched(request, method, routes)
        session, account = self._caller(request, needed=route.needs_session)
        call = Call(self, request, route, session, account, unquote(object_id))
        call.check_parameters()
        if self._forward is not None and self._lacks(call):
            return Answer(200, later=functools.partial(self._forward, request))
        if method == "GET" and route.endpoint == "objects":
            self._check_pace(call)
        return _HANDLERS[route.endpoint](call)

    def _unmatched(self, request: HttpRequest, method: str, routes: dict[str, Route]) -> Answer:
        """A call that nothing computes: the recorded answer, or an error."""
        if routes and method not in routes:
            # Jersey finds no method before it asks who calls.
            return self._wrong_method(request, method, routes)
        if method == "GET" and request.path.startswith(_DOCUMENTS):
            # Read from files and made from tables, which few servers are asked for.
            from fake_server.rest.swagger import documentation

            document = documentation(request.path, self.rules)
            if document is not None:
                return document
        # What stands beside the API, such as pages, is for anybody; a proxy may have had it deeper.
        _, account = self._caller(request, needed=f"{API_PATH}/" in request.path)
        sight = self.accounts.sight(account) if account else Sight()
        answer = recorded_answer(self.source, request.method, request.target, sight)
        if answer is None and method != request.method:
            answer = recorded_answer(self.source, method, request.target, sight)
        if answer is not None:
            return answer
        if self._forward is not None:
            return Answer(200, later=functools.partial(self._forward, request))
        # Not its parameters: `;jsessionid=…` is a session.
        seen = f"{method} {request.path.partition(';')[0]}"
        raise Refusal(
            404,
            rule="rest.not-recorded",
            seen=seen,
            expected=nearest(method, request.target, self.source.requests(), self._routes()),
            matched=False,
        )

    def _lacks(self, call: Call) -> bool:
        """Whether the answer to a GET would be made up: the recording shows nothing of it."""
        route = call.route
        if route.method != "GET" or route.endpoint == "session":
            return False
        if self.source.answer("GET", call.request.target) is not None:
            return False
        return route.endpoint != "objects" or not call.view.objects(call.kind)

    def _routes(self) -> Iterator[Route]:
        """The endpoints that these rules leave."""
        with_start = self.rules.start_endpoints
        return (route for route in ROUTES if with_start or route.endpoint != "start")

    def _wrong_method(self, request: HttpRequest, method: str, routes: dict[str, Route]) -> Answer:
        session = self.desk.touch(request.cookies)
        if isinstance(session, Session):
            sight = self.accounts.sight(session.account)
            kind = next(iter(routes.values())).kind
            answer = recorded_answer(self.source, method, request.target, sight, kind=kind)
            if answer is not None:
                return answer
        allow = _allowed(routes)
        raise Refusal(
            405,
            rule="rest.wrong-method",
            seen=f"{method[:20]} {next(iter(routes.values())).path}",
            expected=allow[0][1].replace(",", ", "),
            headers=allow,
            matched=False,
        )

    # Who calls

    def _caller(self, request: HttpRequest, *, needed: bool) -> tuple[Session | None, str]:
        """The session, if there is one, and the account; "" for nobody. Raises :exc:`Refusal`, the
        401, if somebody is ``needed``.
        """
        session = self.desk.touch(request.cookies)
        if isinstance(session, Session):
            return session, session.account
        authorization = request.header("authorization") if self.rules.basic_auth else ""
        account = self._basic_account(authorization) if authorization else None
        if account is not None:
            return None, account
        if not needed:
            return None, ""
        raise self._unauthorized(request, session, tried_basic=bool(authorization))

    def _basic_account(self, authorization: str) -> str | None:
        """The account that HTTP Basic names (RFC 7617), if its password is right."""
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            email, colon, password = (
                base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
            )
        except (binascii.Error, ValueError):
            return None
        return email if colon and self.accounts.check(email, password) else None

    def _unauthorized(
        self, request: HttpRequest, problem: SessionProblem, *, tried_basic: bool
    ) -> Refusal:
        challenge: Headers = ()
        # Browsers' own requests must not pop up a password dialog.
        by_script = request.header("x-requested-with") == "XMLHttpRequest"
        if self.rules.challenge_scripts or not by_script:
            challenge = (("WWW-Authenticate", f'Basic realm="{self.rules.basic_realm}"'),)
        if tried_basic:
            rule, seen = "login.refused", "HTTP Basic without the email and password of an account"
            expected = "those of an account, or the cookie that POST /api/session sets"
        else:
            violation = session_violation(problem, self.rules)
            rule, seen, expected = violation.rule, violation.seen, violation.expected
        return Refusal(
            self.rules.status_rest_no_session,
            exception="WebApplicationException",
            rule=rule,
            seen=seen,
            expected=expected,
            headers=challenge,
        )

    # What is against the rules

    def _check_pace(self, call: Call) -> None:
        request = call.request
        too_often = self._pace.polled(
            call.session.id if call.session is not None else call.account,
            call.route.path,
            request.at_ns,
            connection=request.connection,
        )
        if too_often is None:
            return
        if too_often.violation is not None:
            self.violations.report([too_often.violation])
        if self.rules.strict:
            retry_after = (("Retry-After", str(too_often.retry_after_s)),)
            raise Refusal(429, headers=retry_after)

    def _refused(self, request: HttpRequest, refusal: Refusal) -> Answer:
        if refusal.rule:
            violation = Violation.of(
                refusal.rule,
                seen=refusal.seen,
                expected=refusal.expected,
                connection=request.connection,
                at_ns=request.at_ns,
            )
            self.violations.report([violation])
        plain = "text/plain; charset=utf-8"
        content_type = self.rules.error_content_type if refusal.matched else plain
        answer = text_answer(refusal.status, refusal.text, content_type=content_type)
        return Answer(answer.status, answer.body, (*answer.headers, *refusal.headers))


def _allowed(routes: dict[str, Route]) -> Headers:
    """The ``Allow`` header of a path's methods; all where none are known."""
    methods = {*routes, "OPTIONS"} if routes else {"DELETE", "GET", "OPTIONS", "POST", "PUT"}
    if "GET" in methods:
        methods.add("HEAD")
    return (("Allow", ",".join(sorted(methods))),)
