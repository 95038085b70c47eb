"""The sessions of a server on a clock that can be made to jump (manual sections 2 and 3.4)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from recorder.track.rules import Rules
from recorder.track.sessions import Session, SessionProblem, Sessions

__all__ = ["SessionDesk"]

_RANDOM_BYTES: Final = 16


class SessionDesk:
    """Logs in, looks cookies up, and lets sessions expire.

    ``clock`` gives nanoseconds and never goes back; :meth:`advance` puts the sessions' time ahead
    of it, so that a session of a day expires now. Neither playback nor PINGs go by that time.
    """

    def __init__(self, rules: Rules, clock: Callable[[], int]) -> None:
        shape = rules.session_id_shape
        self._rules = rules
        self._new_id = lambda: shape.replace("{random}", secrets.token_hex(_RANDOM_BYTES))
        self._clock = clock
        self.reset()

    def __repr__(self) -> str:
        return f"<SessionDesk: {len(self.live)} live>"

    def reset(self) -> None:
        """Forget all sessions, and that time was let pass."""
        self._sessions = Sessions(self._rules, self._new_id)
        self._ahead_ns = 0

    @property
    def now_ns(self) -> int:
        """The sessions' time."""
        return self._clock() + self._ahead_ns

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass at once. Raises ValueError if they are fewer than 0."""
        if not 0 <= seconds <= 1e9:
            raise ValueError(f"{seconds:g} s: the sessions' clock goes forward, by 0 to 1e9 s")
        self._ahead_ns += round(seconds * 1e9)

    def login(self, account: str) -> Session:
        """A new session of an account, which may have several."""
        return self._sessions.login(account, self.now_ns)

    def touch(self, cookie_header: str) -> Session | SessionProblem:
        """The live session that the value of a ``Cookie`` header names, renewed; or why there is
        none.
        """
        session_id = self._sessions.cookie_from_header(cookie_header)
        return self._sessions.touch(session_id, self.now_ns)

    def lookup(self, cookie_header: str) -> Session | SessionProblem:
        """Like :meth:`touch`, but it renews nothing."""
        session_id = self._sessions.cookie_from_header(cookie_header)
        return self._sessions.lookup(session_id, self.now_ns)

    def logout(self, session_id: str) -> None:
        """End a session: its cookie is unknown from now on."""
        self._sessions.logout(session_id)

    def expire(self, session_id: str) -> None:
        """Let a session expire now. Without effect if it does not live."""
        self._sessions.expire(session_id)

    def expires_in_ns(self, session_id: str) -> int | None:
        """How long the session lives unless it is renewed; None if it does not live."""
        at_ns = self.now_ns
        expires_ns = self._sessions.expires_ns(session_id)
        return expires_ns - at_ns if expires_ns is not None and expires_ns > at_ns else None

    def set_cookie_header(self, session: Session) -> str:
        """The value of ``Set-Cookie``."""
        return self._sessions.set_cookie_header(session)

    @property
    def live(self) -> list[Session]:
        """The live sessions, the ones to expire next in front. Their ids are not to be shown."""
        return self._sessions.live(self.now_ns)
