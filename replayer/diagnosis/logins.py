"""Who is logged in, as far as a recording shows: what a diagnosis knows of sessions."""

from __future__ import annotations

from recorder.backend import SESSION_PATH
from recorder.model import Request, Response
from recorder.track.rules import Rules
from recorder.track.sessions import SessionProblem, Sessions

__all__ = ["Asked", "Logins"]


class Asked:
    """What is to be known of a request when its response comes. No value: a repr would show the id
    of a session.
    """

    def __init__(self, method: str, path: str, session_id: str | None) -> None:
        self.method = method
        self.path = path
        self.session_id = session_id
        self.problem: SessionProblem | None = None
        """What is wrong with its session, if it is a REST call."""

    @property
    def is_login(self) -> bool:
        """Whether it asks to log in (manual section 2)."""
        return self.method == "POST" and self.path.endswith(SESSION_PATH)

    @property
    def is_logout(self) -> bool:
        """Whether it asks to log out (Traccar lineage)."""
        return self.method == "DELETE" and self.path.endswith(SESSION_PATH)


class Logins:
    """The sessions that the recording shows. A redacted cookie serves as well: one value has one
    mark. ``from_start``: every login was seen, so that a cookie may be known to be of none.
    """

    def __init__(self, rules: Rules, *, from_start: bool) -> None:
        self.from_start = from_start
        self._next_id = ""
        self._sessions = Sessions(rules, lambda: self._next_id)
        self._logged_out: set[str] = set()
        self._ended_early: dict[str, int] = {}

    def cookie_of(self, request: Request) -> str | None:
        """The id of the session that the request names."""
        cookies = [value for name, value in request.headers if name.lower() == "cookie"]
        return self._sessions.cookie_from_header("; ".join(cookies))

    def login(self, response: Response, at_ns: int) -> None:
        """A login was accepted with this response."""
        for session_id in self.cookies_set(response):
            self._sessions.logout(session_id)
            self._logged_out.discard(session_id)
            self._ended_early.pop(session_id, None)
            self._next_id = session_id
            self._sessions.login("", at_ns)

    def cookies_set(self, response: Response) -> list[str]:
        """The ids of the sessions that a response sets a cookie for."""
        found = (
            self._sessions.cookie_from_header(value.partition(";")[0])
            for name, value in response.headers
            if name.lower() == "set-cookie"
        )
        return [session_id for session_id in found if session_id is not None]

    def is_live(self, session_id: str | None, at_ns: int) -> bool:
        """Whether the login of this session was seen, and its time is not over. No activity."""
        return not isinstance(self._sessions.lookup(session_id, at_ns), SessionProblem)

    def seen(self, session_id: str, at_ns: int) -> None:
        """A session that was begun before the recording; without effect if it is known, or was
        logged out."""
        if (
            self._sessions.lookup(session_id, at_ns) is SessionProblem.UNKNOWN
            and session_id not in self._logged_out
        ):
            self._next_id = session_id
            self._sessions.login("", at_ns)

    def ended_early(self, session_id: str, at_ns: int) -> None:
        """A call was told that its session, which had time left, is none."""
        self._ended_early.setdefault(session_id, at_ns)

    def ended_early_ns(self, session_id: str | None) -> int | None:
        """When a call was first told so, None if none was."""
        return self._ended_early.get(session_id or "")

    def logout(self, session_id: str) -> None:
        """A session was ended by its user."""
        self._sessions.logout(session_id)
        self._logged_out.add(session_id)

    def use(
        self, session_id: str | None, at_ns: int, *, renew: bool = True
    ) -> SessionProblem | None:
        """What is wrong with the session of a request, as far as this recording can tell."""
        look = self._sessions.touch if renew else self._sessions.lookup
        found = look(session_id, at_ns)
        if not isinstance(found, SessionProblem):
            return None
        known = self.from_start or session_id in self._logged_out
        return None if found is SessionProblem.UNKNOWN and not known else found
