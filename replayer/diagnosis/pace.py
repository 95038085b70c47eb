"""How often clients come, told from a recording: REST lists that are asked for all the time, and
sockets that are opened again without delay (rules ``max_polls_per_minute``,
``reconnect_delay_min_s``, ``reconnects_without_delay``). Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from recorder.track.rules import Rules
from replayer.reading.words import seconds

__all__ = ["MAX_WATCHED", "Pace"]

MAX_WATCHED: Final = 4096
"""So many clients are watched; the one that came longest ago is forgotten first."""

_MINUTE_NS: Final = 60_000_000_000


class Pace:
    """Counts the calls and sockets of clients, told apart by a key that is never shown: the id of
    a session, or a user's mark.
    """

    def __init__(self, rules: Rules) -> None:
        self._max_polls = rules.max_polls_per_minute
        self._delay_min_ns = round(rules.reconnect_delay_min_s * 1e9)
        self._free = rules.reconnects_without_delay
        self._delay_min_s = rules.reconnect_delay_min_s
        # Of each client and path: since when, and how many.
        self._polls: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()
        # Of each client: when its last socket ended, and how many came right behind one in a row.
        self._ended: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def polled(self, client: str, path: str, at_ns: int) -> str | None:
        """A list was asked for. What was seen, at the first call too many of a minute."""
        key = (client, path)
        since_ns, count = self._polls.get(key, (at_ns, 0))
        if at_ns - since_ns >= _MINUTE_NS:
            since_ns, count = at_ns, 0
        _put(self._polls, key, (since_ns, count + 1))
        if not self._max_polls or count != self._max_polls:
            return None
        return f"{count + 1} calls of GET {path} within a minute"

    def opened(self, client: str, at_ns: int) -> str | None:
        """A socket was opened. What was seen, if it came too soon too often."""
        if client not in self._ended:
            return None
        ended_ns, in_a_row = self._ended[client]
        waited_ns = at_ns - ended_ns
        if waited_ns >= self._delay_min_ns:
            self._ended[client] = (ended_ns, 0)
            return None
        self._ended[client] = (ended_ns, in_a_row + 1)
        if in_a_row + 1 <= self._free:
            return None
        return (
            f"a socket {seconds(waited_ns)} s after the last one ended, {in_a_row + 1} times in a"
            " row"
        )

    def ended(self, client: str, at_ns: int) -> None:
        """A socket ended, or its handshake was refused."""
        _, in_a_row = self._ended.get(client, (at_ns, 0))
        _put(self._ended, client, (at_ns, in_a_row))


def _put(
    table: OrderedDict[tuple[str, str], tuple[int, int]] | OrderedDict[str, tuple[int, int]],
    key: object,
    value: tuple[int, int],
) -> None:
    table[key] = value  # type: ignore[index]
    table.move_to_end(key)  # type: ignore[arg-type]
    if len(table) > MAX_WATCHED:
        table.popitem(last=False)
