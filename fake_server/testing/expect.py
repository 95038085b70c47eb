"""Waiting for what a client does: each helper waits with a deadline and explains itself.

A plain test calls them, a test in asyncio or trio awaits them. What was done before the call and no
expectation of the same kind has taken counts, so nothing is missed between two lines of a test.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import trio

from fake_server.expectations import Expectation, ExpectationFailed
from fake_server.journal import Doing, Journal
from fake_server.testing.loops import Waited

__all__ = ["WITHIN_S", "Expect", "until"]

__tracebackhide__ = True
"""A failing test shows its own lines, not these."""

WITHIN_S: Final = 2.0
"""How long is waited unless the test says otherwise."""


class _Wait(Protocol):
    def __call__(self, words: str, do: Callable[[], Awaitable[Any]]) -> Waited[Any]: ...


class _Fulfil(Protocol):
    def __call__(self, expectation: Expectation, *, within_s: float) -> Awaitable[Doing]: ...


class Expect:
    """What a client may be expected to do; every method gives the
    :class:`~fake_server.journal.Doing`, and fails with ExpectationFailed, an AssertionError, where
    it does not come ``within_s`` seconds.

    ``fulfil`` waits for an expectation in the server's loop, ``wait`` awaits something there.
    """

    def __init__(self, fulfil: _Fulfil, wait: _Wait) -> None:
        self._fulfil = fulfil
        self._wait = wait

    def login(self, *, within_s: float = WITHIN_S) -> Waited[Doing]:
        """A login by ``POST /api/session`` that was granted."""
        return self._expect("login", within_s)

    def request(
        self, method: str = "", path: str = "", *, within_s: float = WITHIN_S
    ) -> Waited[Doing]:
        """An HTTP request; ``path`` without its query, or with it."""
        return self._expect("request", within_s, method=method, path=path)

    def socket(self, number: int | None = None, *, within_s: float = WITHIN_S) -> Waited[Doing]:
        """A socket that was opened."""
        return self._expect("socket", within_s, socket=number)

    def pong(
        self, uuid: str = "", *, socket: int | None = None, within_s: float = WITHIN_S
    ) -> Waited[Doing]:
        """A pong that answers its PING. If no PING waits for an answer, one is sent."""
        return self._expect("pong", within_s, uuid=uuid, socket=socket)

    def text(
        self, text: str = "", *, socket: int | None = None, within_s: float = WITHIN_S
    ) -> Waited[Doing]:
        """A message of the client that is no pong that counts."""
        return self._expect("text", within_s, text=text, socket=socket)

    def close(
        self,
        code: int | None = None,
        *,
        socket: int | None = None,
        within_s: float = WITHIN_S,
    ) -> Waited[Doing]:
        """A close frame of the client."""
        return self._expect("close", within_s, code=code, socket=socket)

    def ended(self, socket: int | None = None, *, within_s: float = WITHIN_S) -> Waited[Doing]:
        """The end of a socket's connection."""
        return self._expect("ended", within_s, socket=socket)

    def played(self, socket: int | None = None, *, within_s: float = WITHIN_S) -> Waited[Doing]:
        """A socket was sent all that there is to play for it."""
        return self._expect("played", within_s, socket=socket)

    def _expect(self, what: str, within_s: float, **values: Any) -> Waited[Doing]:
        given = {name: value for name, value in values.items() if value not in (None, "")}
        expectation = Expectation.of(what, **given)
        do = functools.partial(self._fulfil, expectation, within_s=within_s)
        return self._wait(f"expect.{what}()", do)


async def until(
    journal: Journal, holds: Callable[[], object], words: str, within_s: float
) -> object:
    """Wait until ``holds`` gives something true, and give that; it is asked whenever a client has
    done something. Raises ExpectationFailed.
    """
    with trio.move_on_after(within_s):
        while not (found := holds()):
            await journal.changed()
        return found
    if found := holds():
        return found
    last = [f"  {journal.words(doing)}" for doing in list(journal.kept)[-5:]]
    did = "\n".join(
        ["the last that the client did:", *last] if last else ["the client did nothing"]
    )
    raise ExpectationFailed(f"waited {within_s:.1f} s for {words}; {did}")
