"""The REST endpoints (manual section 4), as a Starlette application. Imported when REST is first
asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from fake_server.accounts import Accounts
from fake_server.connection import now_ns
from fake_server.violation_log import ViolationLog
from recorder.track.rules import Rules
from recorder.track.sessions import Session, SessionProblem, Sessions
from recorder.track.violations import Violation, session_violation
from recorder.wire.handshake import header_value
from replayer.script import Source
from replayer.state import State

__all__ = ["rest_application"]

_JSON: Final = "application/json"

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,19}")
"""What Java's `Long.parseLong` takes; Python's `int` takes more."""


def rest_application(
    source: Source,
    state_for: Callable[[Session], State],
    *,
    accounts: Accounts,
    sessions: Sessions,
    rules: Rules,
    violations: ViolationLog,
) -> Starlette:
    """The application. ``state_for`` tells what a session sees."""
    rest = _Rest(source, state_for, accounts, sessions, rules, violations)
    return Starlette(
        routes=[
            Route("/api/session", rest.session, methods=["GET"]),
            Route("/api/session", rest.log_out, methods=["DELETE"]),
            Route("/api/devices", rest.devices),
            Route("/api/beacons", rest.beacons),
            Route("/api/positions", rest.positions),
            Route("/{path:path}", rest.recorded, methods=["GET", "POST", "PUT", "DELETE", "PATCH"]),
        ]
    )


class _Rest:
    def __init__(
        self,
        source: Source,
        state_for: Callable[[Session], State],
        accounts: Accounts,
        sessions: Sessions,
        rules: Rules,
        violations: ViolationLog,
    ) -> None:
        self._source = source
        self._state_for = state_for
        self._accounts = accounts
        self._sessions = sessions
        self._rules = rules
        self._violations = violations

    async def session(self, request: Request) -> Response:
        """Who is logged in; 404 if nobody is (Traccar)."""
        session = self._session_of(request)
        if isinstance(session, SessionProblem):
            return PlainTextResponse("HTTP 404 Not Found - WebApplicationException", 404)
        return Response(self._accounts.user_json(session.account), media_type=_JSON)

    async def log_out(self, request: Request) -> Response:
        """End the session; its open sockets go on (Traccar)."""
        session = self._logged_in(request)
        if isinstance(session, Response):
            return session
        self._sessions.logout(session.id)
        return Response(status_code=204)

    async def devices(self, request: Request) -> Response:
        """Manual section 4.4; `id`, repeatable, as Traccar has it."""
        return self._list_of(request, "devices")

    async def beacons(self, request: Request) -> Response:
        """Manual section 4.5."""
        return self._list_of(request, "beacons")

    async def positions(self, request: Request) -> Response:
        """Manual sections 4.2 and 4.3: all latest, or by `id` (repeatable, keeps order, wins), or
        by `deviceId`.
        """
        state = self._state(request)
        if isinstance(state, Response):
            return state
        for name, find in (("id", state.positions_by_id), ("deviceId", state.positions_of_devices)):
            wanted = _numbers(request, name)
            if isinstance(wanted, Response):
                return wanted
            if wanted:
                return _json_list(find(wanted))
        return _json_list(state.objects("positions"))

    def _list_of(self, request: Request, kind: str) -> Response:
        state = self._state(request)
        if isinstance(state, Response):
            return state
        wanted = _numbers(request, "id")
        if isinstance(wanted, Response):
            return wanted
        known: dict[Any, bytes] = getattr(state, kind)
        return _json_list(
            [known[one] for one in wanted if one in known] if wanted else list(known.values())
        )

    async def recorded(self, request: Request) -> Response:
        """Whatever else was recorded: the answer to the same method, path and sorted query; else
        404 and a violation.
        """
        state = self._state(request)
        if isinstance(state, Response):
            return state
        # As it was sent: so it was recorded, and so it is safe to print (h11 takes no controls).
        path = request.scope["raw_path"].decode("ascii", "replace")
        query = request.scope["query_string"].decode("ascii", "replace")
        target = f"{path}?{query}" if query else path
        answer = self._source.answer(request.method, target)
        if answer is None:
            self._violations.report(
                [
                    Violation.of(
                        "rest.not-recorded",
                        # Not its parameters: `;jsessionid=…` is a session.
                        seen=f"{request.method} {path.partition(';')[0]}",
                        expected="a call that this server computes or that the recording holds",
                        at_ns=now_ns(),
                    )
                ]
            )
            return PlainTextResponse("HTTP 404 Not Found - NotFoundException", 404)
        kept = {
            name: value
            for name in ("Content-Type", "Content-Encoding")
            if (value := header_value(answer.headers, name)) is not None
        }
        return Response(answer.body, answer.status, headers=kept)

    def _session_of(self, request: Request) -> Session | SessionProblem:
        """The caller's session, renewed by this call."""
        cookies = "; ".join(request.headers.getlist("cookie"))
        return self._sessions.touch(self._sessions.cookie_from_header(cookies), now_ns())

    def _logged_in(self, request: Request) -> Session | Response:
        """The caller's session, or the 401 of a call without one (manual section 2)."""
        session = self._session_of(request)
        if isinstance(session, Session):
            return session
        self._violations.report([session_violation(session, self._rules, at_ns=now_ns())])
        # Browsers' own requests must not pop up a password dialog.
        by_script = request.headers.get("x-requested-with") == "XMLHttpRequest"
        challenge = {} if by_script else {"WWW-Authenticate": 'Basic realm="api"'}
        return PlainTextResponse("HTTP 401 Unauthorized - WebApplicationException", 401, challenge)

    def _state(self, request: Request) -> State | Response:
        """What the caller sees, or the 401."""
        session = self._logged_in(request)
        return session if isinstance(session, Response) else self._state_for(session)


def _numbers(request: Request, name: str) -> list[int] | Response:
    """The values of a repeatable query parameter; 404 if one is no number, as Jersey answers."""
    values = request.query_params.getlist(name)
    if not all(_NUMBER.fullmatch(value) for value in values):
        return PlainTextResponse("HTTP 404 Not Found - NotFoundException", 404)
    return [int(value) for value in values]


def _json_list(objects: list[bytes]) -> Response:
    return Response(b"[" + b",".join(objects) + b"]", media_type=_JSON)
