"""How often clients come: REST lists that are asked for all the time, sockets that are opened again
without delay. Pure: time is passed in.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec

from recorder.track.rules import Rules
from recorder.track.violations import Violation

__all__ = ["MAX_WATCHED", "Pace", "TooOften"]

MAX_WATCHED: Final = 4096
"""So many pollers, and so many accounts, are watched; the one that came longest ago is forgotten
first.
"""

_MINUTE_NS: Final = 60_000_000_000
_NS_PER_S: Final = 1_000_000_000


class TooOften(msgspec.Struct, frozen=True):
    """A call beyond the pace. ``retry_after_s`` is when the next one is welcome; ``violation`` is
    there for the first one of a minute.
    """

    retry_after_s: int
    violation: Violation | None


class _Polls(msgspec.Struct):
    """The calls of one poller in the minute that began with one of them."""

    since_ns: int
    count: int = 0


class _Opened(msgspec.Struct):
    """When an account's last socket ended, and how many were opened right after one in a row."""

    closed_ns: int
    without_delay: int = 0


class Pace:
    """Counts by the rules ``max_polls_per_minute``, ``reconnect_delay_min_s`` and
    ``reconnects_without_delay``. ``at_ns`` is nanoseconds of one clock that never goes back.
    """

    def __init__(self, rules: Rules) -> None:
        self._max_polls = rules.max_polls_per_minute
        self._delay_min_ns = round(rules.reconnect_delay_min_s * _NS_PER_S)
        self._free_reconnects = rules.reconnects_without_delay
        self._polls: OrderedDict[tuple[str, str], _Polls] = OrderedDict()
        self._opened: OrderedDict[str, _Opened] = OrderedDict()

    def polled(
        self, session: str, path: str, at_ns: int, *, connection: int | None = None
    ) -> TooOften | None:
        """A list was asked for. ``session`` tells sessions apart and is never shown.

        A minute begins with the first call after the last one was over.
        """
        if not self._max_polls:
            return None
        key = (session, path)
        polls = self._polls.get(key)
        if polls is None or at_ns - polls.since_ns >= _MINUTE_NS:
            polls = self._polls[key] = _Polls(at_ns)
            self._polls.move_to_end(key)
            if len(self._polls) > MAX_WATCHED:
                self._polls.popitem(last=False)
        polls.count += 1
        if polls.count <= self._max_polls:
            return None
        violation = None
        if polls.count == self._max_polls + 1:
            violation = Violation.of(
                "rest.polling",
                seen=f"{polls.count} calls of GET {path} within a minute",
                expected=f"at most {self._max_polls}: changes come by the socket",
                connection=connection,
                at_ns=at_ns,
            )
        left_ns = _MINUTE_NS - (at_ns - polls.since_ns)
        return TooOften(-(-left_ns // _NS_PER_S), violation)

    def clear(self) -> None:
        """Forget who came."""
        self._polls.clear()
        self._opened.clear()

    def opened(
        self, account: str, at_ns: int, *, connection: int | None = None
    ) -> Violation | None:
        """A socket was opened."""
        last = self._opened.get(account)
        if last is None:
            return None
        waited_ns = at_ns - last.closed_ns
        if waited_ns >= self._delay_min_ns:
            last.without_delay = 0
            return None
        last.without_delay += 1
        if last.without_delay <= self._free_reconnects:
            return None
        return Violation.of(
            "socket.reconnect",
            seen=f"a socket {waited_ns / 1e9:.3f} s after the last one ended,"
            f" {last.without_delay} times in a row",
            expected=f"a delay of {self._delay_min_ns / 1e9:g} s or more, and a longer one each"
            " time",
            connection=connection,
            at_ns=at_ns,
        )

    def closed(self, account: str, at_ns: int) -> None:
        """A socket ended, or its handshake was refused."""
        last = self._opened.setdefault(account, _Opened(at_ns))
        last.closed_ns = at_ns
        self._opened.move_to_end(account)
        if len(self._opened) > MAX_WATCHED:
            self._opened.popitem(last=False)
