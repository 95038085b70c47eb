"""When a lost socket is opened again, and what is said of the gap. Pure: time and chance are passed
in.

Every wait is drawn evenly from between the shortest delay and a ceiling that doubles with each
attempt, so that the many clients that one restart of a server cut off do not come back together.
"""

from __future__ import annotations

import email.utils
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from recorder.track.rules import Rules

__all__ = [
    "MAX_RETRY_AFTER_S",
    "Failure",
    "Gap",
    "Gaps",
    "GiveUp",
    "Reconnect",
    "Wait",
    "retry_after_s",
]

MAX_RETRY_AFTER_S: Final = 3600.0
"""A server that asks for more patience is asked again after this."""

_NO_SESSION: Final = (401, 403, 503)
"""What a socket or a list is refused with without a session; 503 is how the lineage of the backend
does it.
"""

_REFUSED_FOR_GOOD: Final = (401, 403)
"""A login so refused is not repeated: the password was changed, and guessing locks accounts."""


class Reconnect(msgspec.Struct, frozen=True):
    """How patient a capture is."""

    delay_min_s: float = Rules().reconnect_delay_min_s
    """No attempt comes sooner: a client that does is one that reconnects without delay."""
    delay_max_s: float = 60.0
    lived_s: float = 30.0
    """A socket that was open for so long, a PING's interval, begins with short delays again."""
    max_gap_s: float | None = None
    """Give up when there was no socket for so long."""


class Failure(msgspec.Struct, frozen=True):
    """Why there is no socket: ``why`` in words, ``at`` what it came to an end.

    ``status`` and ``retry_after_s`` are of the HTTP answer, if there was one; ``lived_s`` is how
    long the socket was open; ``logged_in`` says that the session was made in the same attempt.
    """

    why: str
    at: Literal["login", "rest", "connect", "upgrade", "socket"]
    status: int | None = None
    retry_after_s: float | None = None
    lived_s: float = 0.0
    logged_in: bool = False


class Wait(msgspec.Struct, frozen=True):
    """Try again after ``delay_s``, with a new session if ``log_in``."""

    delay_s: float
    log_in: bool = False


class GiveUp(msgspec.Struct, frozen=True):
    """Try no more: the login is refused for good, or the gap is too long."""

    because: Literal["refused", "max gap"]


class Gap(msgspec.Struct, frozen=True):
    """The time from ``since_ns`` to ``until_ns`` in which there was no socket; ``attempts`` counts
    the one that ended it, if one did.
    """

    why: str
    since_ns: int
    until_ns: int
    attempts: int
    reopened: bool

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.until_ns - self.since_ns) / 1e9

    def __str__(self) -> str:
        """The gap in words, as its note has it."""
        attempts = f"{self.attempts} attempt{'' if self.attempts == 1 else 's'}"
        if self.reopened:
            return f"the socket was lost: {self.why}; gap of {self.seconds:.1f} s, {attempts}"
        return (
            f"the socket was lost: {self.why};"
            f" no other was opened in {self.seconds:.1f} s, {attempts}"
        )


class Gaps:
    """Follows a capture from loss to loss. ``chance`` gives a number from 0 up to 1; ``at_ns`` is
    nanoseconds of one clock that never goes back.
    """

    def __init__(self, policy: Reconnect, chance: Callable[[], float]) -> None:
        self._policy = policy
        self._chance = chance
        self._why = ""
        self._since_ns: int | None = None
        self._attempts = 0
        self._doublings = 0

    @property
    def since_ns(self) -> int | None:
        """When the socket was lost, None while there is one."""
        return self._since_ns

    @property
    def attempts(self) -> int:
        """How often it was tried in this gap."""
        return self._attempts

    def failed(self, failure: Failure, at_ns: int) -> Wait | GiveUp:
        """A socket was lost, or an attempt came to nothing."""
        policy = self._policy
        if self._since_ns is None:
            self._why, self._since_ns, self._attempts = failure.why, at_ns, 0
            if failure.lived_s >= policy.lived_s:
                self._doublings = 0
        else:
            self._attempts += 1
        if failure.at == "login" and failure.status in _REFUSED_FOR_GOOD:
            return GiveUp("refused")
        log_in = failure.at in ("rest", "upgrade") and failure.status in _NO_SESSION
        asked_s = failure.retry_after_s or 0.0
        if log_in and not failure.logged_in:
            # Most likely it is the session that is over, and nothing else.
            delay_s = policy.delay_min_s
        else:
            self._doublings += 1
            delay_s = self._drawn_s()
        return self._bounded(max(delay_s, asked_s), asked_s, at_ns, log_in=log_in)

    def _drawn_s(self) -> float:
        policy = self._policy
        # Above 2 ** 30 every ceiling is reached, and floats have an end.
        doubled_s = policy.delay_min_s * 2.0 ** min(self._doublings, 30)
        ceiling_s = max(policy.delay_min_s, min(policy.delay_max_s, doubled_s))
        return policy.delay_min_s + self._chance() * (ceiling_s - policy.delay_min_s)

    def _bounded(
        self, delay_s: float, asked_s: float, at_ns: int, *, log_in: bool
    ) -> Wait | GiveUp:
        max_gap_s = self._policy.max_gap_s
        if max_gap_s is None:
            return Wait(delay_s, log_in)
        assert self._since_ns is not None
        left_s = max_gap_s - (at_ns - self._since_ns) / 1e9
        # The last attempt is made when the time is up, unless the server said that it is too soon.
        if left_s <= 0 or asked_s > left_s:
            return GiveUp("max gap")
        return Wait(min(delay_s, left_s), log_in)

    def opened(self, at_ns: int) -> Gap | None:
        """A socket is open; the gap that it ended, None for the first one."""
        return self._over(at_ns, self._attempts + 1, reopened=True)

    def ended(self, at_ns: int) -> Gap | None:
        """The recording ends; the gap that it ends in, if it is one."""
        return self._over(at_ns, self._attempts, reopened=False)

    def _over(self, at_ns: int, attempts: int, *, reopened: bool) -> Gap | None:
        if self._since_ns is None:
            return None
        gap = Gap(self._why, self._since_ns, at_ns, attempts, reopened)
        self._since_ns = None
        return gap


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """The seconds that a ``Retry-After`` asks for (RFC 9110 section 10.2.3), at most
    :data:`MAX_RETRY_AFTER_S`; None if it is none.

    ``now`` is what a date in it is compared with, with its time zone.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        # Python refuses to read integers of thousands of digits.
        return min(float(text[:20]), MAX_RETRY_AFTER_S)
    try:
        when = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        # What says `-0000` is in UTC.
        when = when.replace(tzinfo=UTC)
    return min(max((when - now).total_seconds(), 0.0), MAX_RETRY_AFTER_S)
