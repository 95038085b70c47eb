"""The sessions of a server: login, cookie, expiry (manual sections 2 and 3.4). Pure: time is passed
in.

A session id is as good as a password while it lives, so that no repr here shows one.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

import msgspec

from recorder.track.rules import Rules

__all__ = [
    "REMEMBERED_EXPIRED",
    "SESSION_NOTE",
    "Session",
    "SessionProblem",
    "Sessions",
    "random_session_id",
]

REMEMBERED_EXPIRED: Final = 1024
"""How many expired sessions are told apart from those that never were."""


SESSION_NOTE: Final = "a session was begun without a request of a client"
"""The note of a recording in which a login is missing, for that reason."""


class SessionProblem(StrEnum):
    """Why a request has no session; the values are ids of rules, for
    :func:`~recorder.track.violations.session_violation`.
    """

    MISSING = "session.no-cookie"
    UNKNOWN = "session.unknown-cookie"
    EXPIRED = "session.expired-cookie"


class Session(msgspec.Struct, frozen=True):
    """One login: the secret id, whose it is, and when it began (nanoseconds of the sessions'
    clock).
    """

    id: str
    account: str
    opened_ns: int

    def __repr__(self) -> str:
        return f"Session(id=…, account={self.account!r}, opened_ns={self.opened_ns})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("account", self.account), ("opened_ns", self.opened_ns)]


def random_session_id() -> str:
    """An id of the shape that Jetty gives, ``node0<random>.node0``, with 128 random bits."""
    return f"node0{secrets.token_hex(16)}.node0"


class Sessions:
    """All sessions of a server. ``at_ns`` is nanoseconds of one clock, which may jump but must not
    go back.

    A session ends when ``session_timeout_s`` have passed since its login or last :meth:`touch`.
    Live sessions are all kept, of the expired ones the last :data:`REMEMBERED_EXPIRED`. ``new_id``
    must not repeat itself and gives characters that may stand in a cookie. Nothing here raises.
    """

    def __init__(self, rules: Rules, new_id: Callable[[], str] = random_session_id) -> None:
        self._rules = rules
        self._new_id = new_id
        # Each with the time of its last activity, in that order: the ones to expire next stand in
        # front.
        self._live: OrderedDict[str, tuple[Session, int]] = OrderedDict()
        self._expired: OrderedDict[str, None] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Sessions: {len(self._live)} live>"

    def login(self, account: str, at_ns: int) -> Session:
        """A new session. An account may have several."""
        self._expire(at_ns)
        session = Session(self._new_id(), account, at_ns)
        self._live[session.id] = (session, at_ns)
        return session

    def lookup(self, session_id: str | None, at_ns: int) -> Session | SessionProblem:
        """The live session with that id (None: the request had no cookie), or why there is none.
        Not an activity.
        """
        self._expire(at_ns)
        if session_id is None:
            return SessionProblem.MISSING
        if session_id in self._live:
            return self._live[session_id][0]
        return SessionProblem.EXPIRED if session_id in self._expired else SessionProblem.UNKNOWN

    def touch(self, session_id: str | None, at_ns: int) -> Session | SessionProblem:
        """Like :meth:`lookup`, for a REST call: it renews the session. Manual section 3.4, "user
        activity".
        """
        found = self.lookup(session_id, at_ns)
        if isinstance(found, Session):
            self._live[found.id] = (found, at_ns)
            self._live.move_to_end(found.id)
        return found

    def logout(self, session_id: str) -> None:
        """End a session; its id is unknown from now on. Without effect if it does not live."""
        self._live.pop(session_id, None)

    def expire(self, session_id: str) -> None:
        """Let a session expire before its time. Without effect if it does not live."""
        if self._live.pop(session_id, None) is not None:
            self._remember_expired(session_id)

    def live(self, at_ns: int) -> list[Session]:
        """The live sessions, the ones to expire next in front."""
        self._expire(at_ns)
        return [session for session, _ in self._live.values()]

    def expires_ns(self, session_id: str) -> int | None:
        """When the session ends unless it is renewed; None if there is none."""
        entry = self._live.get(session_id)
        return None if entry is None else entry[1] + self._rules.session_timeout_ns

    def set_cookie_header(self, session: Session) -> str:
        """The value of ``Set-Cookie``: host-only, for the session, neither Secure nor HttpOnly
        (manual section 2).
        """
        return f"{self._rules.cookie_name}={session.id}; Path={self._rules.cookie_path}"

    def cookie_from_header(self, value: str) -> str | None:
        """The session id in the value of a ``Cookie`` header, or None. Several such headers are to
        be joined by ``; ``.

        Of a name that stands there twice the first counts: clients put the one with the longest
        path first (RFC 6265 5.4). Quotes around the value are taken off.
        """
        for pair in value.split(";"):
            name, equals, content = pair.partition("=")
            if equals and name.strip() == self._rules.cookie_name:
                content = content.strip()
                quoted = len(content) >= 2 and content[0] == content[-1] == '"'
                return content[1:-1] if quoted else content
        return None

    def _expire(self, at_ns: int) -> None:
        timeout_ns = self._rules.session_timeout_ns
        while self._live:
            session_id, (_, last_ns) = next(iter(self._live.items()))
            if at_ns - last_ns < timeout_ns:
                return
            del self._live[session_id]
            self._remember_expired(session_id)

    def _remember_expired(self, session_id: str) -> None:
        self._expired[session_id] = None
        if len(self._expired) > REMEMBERED_EXPIRED:
            self._expired.popitem(last=False)
