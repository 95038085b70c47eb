"""What clients did, in order: what tests wait for and reports tell.

The server notes each doing as it happens; few they are, beside the messages that it sends. Who
waits looks at what has happened already first, so that nothing is missed between a doing and its
being waited for.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final, Literal, TypeAlias

import msgspec
import trio

from recorder.redaction import Redactor

__all__ = ["KEPT_DOINGS", "Doing", "DoingKind", "Journal"]

KEPT_DOINGS: Final = 10_000
"""So many are kept; all are counted."""

DoingKind: TypeAlias = Literal[
    "request", "socket", "ping", "pong", "text", "close", "ended", "played"
]
"""``request``: an HTTP request was answered, a login and a refused handshake too. ``socket``: one
was opened. ``ping``: the server sent a PING. ``pong``: the client answered one in time. ``text``:
it sent any other message. ``close``: it sent a close frame. ``ended``: a socket's connection is
over. ``played``: a socket was sent all that there is for it."""

_SHOWN: Final = 200


class Doing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing that was done.

    ``number`` counts them from 1, ``at_ns`` is of the server's clock, ``connection`` the TCP
    connection and ``socket`` the socket, numbered from 1 in the order of opening; 0 where there is
    none. Of a request there are ``method``, ``target`` as it was sent and ``status``; of PINGs and
    pongs ``uuid``; of other messages ``payload``; of a close frame ``code``, None without one.
    """

    number: int
    at_ns: int
    kind: DoingKind
    connection: int = 0
    socket: int = 0
    method: str = ""
    target: str = ""
    status: int = 0
    uuid: str = ""
    payload: bytes = b""
    code: int | None = None

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


class Journal:
    """The doings of one server. ``clock`` gives the nanoseconds of the server's clock.

    Nothing secret is in :meth:`words`; a target and a payload are as the client sent them.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self.kept: deque[Doing] = deque(maxlen=KEPT_DOINGS)
        self.counts: Counter[DoingKind] = Counter()
        self.open_sockets: set[int] = set()
        """The numbers of those whose connection has not ended."""
        self._clock = clock
        self._changed = trio.Event()
        self._redactor = Redactor("secrets")

    @property
    def last_number(self) -> int:
        """That of the latest doing; 0 before the first."""
        return self.counts.total()

    def learn_passwords(self, passwords: Iterable[str]) -> None:
        """Values that :meth:`words` shall show nowhere."""
        for password in passwords:
            self._redactor.learn("password", password)

    def note(self, kind: DoingKind, **what: Any) -> None:
        """It happened now; ``what`` are fields of :class:`Doing`."""
        self.counts[kind] += 1
        doing = Doing(number=self.last_number, at_ns=self._clock(), kind=kind, **what)
        self.kept.append(doing)
        if kind == "socket":
            self.open_sockets.add(doing.socket)
        elif kind == "ended":
            self.open_sockets.discard(doing.socket)
        self._wake()

    def after(self, number: int) -> list[Doing]:
        """Those that are kept and later than that number."""
        # From the end: who waits asks at each doing for the last one.
        later = list(islice(reversed(self.kept), max(0, self.last_number - number)))
        later.reverse()
        return later

    def clear(self) -> None:
        """Forget all; what happens next is the first doing again."""
        self.kept.clear()
        self.counts.clear()
        self.open_sockets.clear()
        self._wake()

    async def changed(self) -> None:
        """Wait until something further happens, or all is forgotten."""
        await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def fields(self, doing: Doing) -> dict[str, Any]:
        """It as JSON has it, without secrets and without what it has not; no time."""
        fields: dict[str, Any] = {"number": doing.number, "what": doing.kind}
        if doing.kind == "request":
            fields |= {"method": doing.method, "target": self._redactor.url(doing.target)}
            fields["status"] = doing.status
        for name in ("connection", "socket", "uuid"):
            if value := getattr(doing, name):
                fields[name] = value
        if doing.kind == "text":
            fields["text"] = self._redactor.text(doing.payload.decode("utf-8", "replace"))
        if doing.kind == "close":
            fields["code"] = doing.code
        return fields | {"words": self.words(doing)}

    def words(self, doing: Doing) -> str:
        """It in a line of words, without secrets: ``GET /api/devices, answered 200``."""
        match doing.kind:
            case "request":
                target = self._redactor.url(doing.target)
                return f"{doing.method[:20]} {target[:_SHOWN]}, answered {doing.status}"
            case "socket":
                return f"opened socket {doing.socket}"
            case "ping":
                return f"PING {doing.uuid} to socket {doing.socket}"
            case "pong":
                return f"pong {doing.uuid} on socket {doing.socket}"
            case "text":
                text = self._redactor.text(doing.payload.decode("utf-8", "replace"))
                return f"sent {text[:_SHOWN]!r} on socket {doing.socket}"
            case "close":
                code = "without a code" if doing.code is None else f"with {doing.code}"
                return f"closed socket {doing.socket} {code}"
            case "ended":
                return f"socket {doing.socket} ended"
            case "played":
                return f"socket {doing.socket} was sent all that was to play"
