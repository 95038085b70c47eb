"""What a test expects a client to do, and the wait for it with a deadline."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

import msgspec
import trio

from fake_server.journal import Doing, DoingKind, Journal
from recorder.backend import SESSION_PATH, SOCKET_PATH

__all__ = ["Expectation", "ExpectationFailed", "ExpectationKind", "Expectations"]

ExpectationKind: TypeAlias = DoingKind | Literal["login"]

_FIELDS: Final[dict[ExpectationKind, tuple[str, ...]]] = {
    "request": ("method", "path"),
    "login": (),
    "socket": ("socket",),
    "ping": ("socket", "uuid"),
    "pong": ("socket", "uuid"),
    "text": ("socket", "text"),
    "close": ("socket", "code"),
    "ended": ("socket",),
    "played": ("socket",),
}
"""By what each kind can be narrowed."""

_NOUNS: Final[dict[ExpectationKind, str]] = {
    "request": "a request",
    "login": "a login",
    "socket": "a socket",
    "ping": "a PING",
    "pong": "a pong",
    "text": "a text",
    "close": "a close frame",
    "ended": "the end of a socket",
    "played": "the end of playback",
}

_OF_SERVER: Final = ("ping", "played")
"""What the client had no part in."""

_SHOWN_DOINGS: Final = 5


class ExpectationFailed(AssertionError):
    """Nobody did what was expected; the text says what was done."""


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """One doing that is expected; fields that are not given match anything.

    ``kind`` is one of :data:`~fake_server.journal.DoingKind`, or ``login``, a login that was
    granted. ``path`` is a request's without its query, or with it if it has a ``?``. ``text`` is
    the whole of a client's message.
    """

    kind: ExpectationKind
    socket: int | None = None
    method: str = ""
    path: str = ""
    uuid: str = ""
    code: int | None = None
    text: str = ""

    @classmethod
    def of(cls, what: str, **values: Any) -> Expectation:
        """An expectation from values as JSON has them: ``of("request", path="/api/devices")``. None
        is as if it were not given.

        Raises ValueError on a kind that there is not, a field that the kind has not, and a value
        that cannot be.
        """
        fields = next((names for kind, names in _FIELDS.items() if kind == what), None)
        if fields is None:
            raise ValueError(f"what: read {what[:80]!r}, expected one of {', '.join(_FIELDS)}")
        for name in values:
            if name not in fields:
                known = ", ".join(fields) or "nothing more"
                raise ValueError(f"{name[:80]!r}: {what} does not have it, expected {known}")
        given = {name: value for name, value in values.items() if value is not None}
        for name, value in given.items():
            kind, words = (int, "a number") if name in ("socket", "code") else (str, "a text")
            if type(value) is not kind:
                raise ValueError(f"{name}: read {str(value)[:80]!r}, expected {words}")
        path = given.get("path", "/")
        if not path.startswith("/"):
            raise ValueError(f"path: read {path[:80]!r}, expected it to begin with /")
        return msgspec.convert({"kind": what, **given}, cls)

    @property
    def words(self) -> str:
        """It in words: ``a request GET /api/devices``, ``a close frame with 1000``."""
        words = _NOUNS[self.kind]
        for more in (self.method, self.path, self.uuid, self.text and repr(self.text[:200])):
            words += f" {more}" if more else ""
        if self.code is not None:
            words += f" with {self.code}"
        if self.socket is not None:
            words = (
                f"socket {self.socket}"
                if self.kind == "socket"
                else f"{words} on socket {self.socket}"
            )
        return words

    def matches(self, doing: Doing) -> bool:
        """Whether the doing is this."""
        if self.kind == "login":
            return _is_login(doing) and doing.status == 200
        seen_path = doing.target if "?" in self.path else doing.path
        return (
            doing.kind == self.kind
            and self.socket in (None, doing.socket)
            and self.method in ("", doing.method)
            and self.path in ("", seen_path)
            and self.uuid in ("", doing.uuid)
            and self.code in (None, doing.code)
            and self.text.encode("utf-8", "surrogatepass") in (b"", doing.payload)
        )


class Expectations:
    """The expectations on the client of one server. Each takes a doing once: one that was before
    and not taken yet, else the next.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._taken: dict[Expectation, int] = {}
        """The number of the doing that each took last."""
        self._resets = 0

    def clear(self) -> None:
        """Forget what was taken, and let nobody wait any longer; the journal was cleared."""
        self._taken.clear()
        self._resets += 1

    def take(self, expectation: Expectation, *, behind: int = 0) -> Doing | None:
        """The first doing behind that number that matches and was not taken, now taken; None where
        there is none.
        """
        kind = "request" if expectation.kind == "login" else expectation.kind
        for doing in self._journal.after(max(behind, self._taken.get(expectation, 0))):
            if doing.kind == kind and expectation.matches(doing):
                self._taken[expectation] = doing.number
                return doing
        return None

    async def fulfil(
        self,
        expectation: Expectation,
        *,
        within_s: float = 2.0,
        urge: Callable[[], None] | None = None,
    ) -> Doing:
        """Take a doing that matches, or wait for it, at most ``within_s`` seconds of trio's clock;
        ``urge`` is called before each wait.

        Raises ExpectationFailed, which tells what was done meanwhile, also once it is over by a
        :meth:`clear`: what is done behind that is for others; ValueError on a time that is none.
        """
        if not 0 <= within_s < math.inf:
            raise ValueError(f"within_s: read {within_s:g}, expected seconds, 0 or more")
        since_s, last_number = trio.current_time(), self._journal.last_number
        resets, looked_at = self._resets, 0
        with trio.move_on_after(within_s):
            while (doing := self.take(expectation, behind=looked_at)) is None:
                looked_at = self._journal.last_number
                if urge is not None:
                    urge()
                await self._journal.changed()
                if self._resets != resets:
                    waited_s = round(trio.current_time() - since_s, 3)
                    waited = f"waited {waited_s:g} s for {expectation.words}"
                    raise ExpectationFailed(f"{waited}; then the server was reset")
            return doing
        # What came at the very deadline came in time.
        if (doing := self.take(expectation, behind=looked_at)) is not None:
            return doing
        raise ExpectationFailed(self._explain(expectation, within_s, since_s, last_number))

    # What went wrong, in words

    def _explain(
        self, expectation: Expectation, within_s: float, since_s: float, last_number: int
    ) -> str:
        words = self._journal.words
        meanwhile = self._journal.after(last_number)
        waited = f"waited {round(float(within_s), 3)} s for {expectation.words}; meanwhile"
        if all(one.kind in _OF_SERVER for one in meanwhile):
            lines = [f"{waited} the client did nothing"]
        else:
            count = len(meanwhile)
            which = f", the last {_SHOWN_DOINGS} of {count}" if count > _SHOWN_DOINGS else ""
            lines = [f"{waited}{which}:"]
            for one in meanwhile[-_SHOWN_DOINGS:]:
                lines.append(f"  {one.at_ns / 1e9 - since_s:.3f} s  {words(one)}")
        return "\n".join(lines + self._hints(expectation))

    def _hints(self, expectation: Expectation) -> list[str]:
        kept = self._journal.kept
        words = self._journal.words
        if expectation.kind == "login":
            last = next((one for one in reversed(kept) if _is_login(one)), None)
            refused = last is not None and last.status != 200
            return [f"the last login was refused: {words(last)}"] if last and refused else []
        if expectation.kind == "socket":
            last = next((one for one in reversed(kept) if _is_handshake(one)), None)
            refused = last is not None and last.kind == "request"
            return [f"the last handshake was refused: {words(last)}"] if last and refused else []
        if expectation.kind == "request":
            by_words = {f"{one.method} {one.path}": one for one in kept if one.kind == "request"}
            wanted = f"{expectation.method} {expectation.path}"
            nearest = difflib.get_close_matches(wanted, by_words, n=1)
            return [f"the nearest request was {words(by_words[nearest[0]])}"] if nearest else []
        open_ones = self._journal.open_sockets
        if not open_ones:
            return ["no socket is open"]
        if expectation.socket not in (None, *open_ones):
            numbers = ", ".join(map(str, open_ones))
            return [f"socket {expectation.socket} is not open; open are: {numbers}"]
        if expectation.kind == "pong":
            return self._unanswered(expectation)
        if expectation.kind == "text":
            last = next((one for one in reversed(kept) if one.kind == "text"), None)
            return [f"the last text was: {words(last)}"] if last else []
        return []

    def _unanswered(self, expectation: Expectation) -> list[str]:
        """The oldest PING that could have been answered and was not."""
        answered = {(one.socket, one.uuid) for one in self._journal.kept if one.kind == "pong"}
        for one in self._journal.kept:
            if (
                one.kind == "ping"
                and one.socket in self._journal.open_sockets
                and expectation.socket in (None, one.socket)
                and (one.socket, one.uuid) not in answered
            ):
                ping = f"the PING {one.uuid} to socket {one.socket}"
                return [f"{ping} is unanswered since {trio.current_time() - one.at_ns / 1e9:.1f} s"]
        return []


def _is_handshake(doing: Doing) -> bool:
    """One that was granted is no request, but a socket."""
    return doing.kind == "socket" or doing.path == SOCKET_PATH


def _is_login(doing: Doing) -> bool:
    return doing.kind == "request" and doing.method == "POST" and doing.path == SESSION_PATH
