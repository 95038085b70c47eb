"""What is expected of a client: what each helper waits for, and what a wait says that failed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from fake_server.expectations import Expectation, ExpectationFailed
from fake_server.journal import Doing, Journal
from fake_server.testing.expect import WITHIN_S, Expect, until
from fake_server.testing.loops import Waited

OF_KIND: list[tuple[str, Callable[[Expect], object], Expectation]] = [
    ("login", lambda expect: expect.login(), Expectation(kind="login")),
    ("request", lambda expect: expect.request(), Expectation(kind="request")),
    (
        "request",
        lambda expect: expect.request("GET", "/api/devices"),
        Expectation(kind="request", method="GET", path="/api/devices"),
    ),
    ("socket", lambda expect: expect.socket(), Expectation(kind="socket")),
    ("socket", lambda expect: expect.socket(2), Expectation(kind="socket", socket=2)),
    ("pong", lambda expect: expect.pong(), Expectation(kind="pong")),
    (
        "pong",
        lambda expect: expect.pong("1-2", socket=2),
        Expectation(kind="pong", uuid="1-2", socket=2),
    ),
    ("text", lambda expect: expect.text(), Expectation(kind="text")),
    (
        "text",
        lambda expect: expect.text("hello", socket=2),
        Expectation(kind="text", text="hello", socket=2),
    ),
    ("close", lambda expect: expect.close(), Expectation(kind="close")),
    (
        "close",
        lambda expect: expect.close(1000, socket=2),
        Expectation(kind="close", code=1000, socket=2),
    ),
    ("ended", lambda expect: expect.ended(2), Expectation(kind="ended", socket=2)),
    ("played", lambda expect: expect.played(2), Expectation(kind="played", socket=2)),
]


class Asked:
    """An `Expect`, and what it waits for."""

    def __init__(self) -> None:
        self.seen: list[tuple[Expectation, float]] = []
        self.words: list[str] = []
        self.expect = Expect(self._fulfil, self._wait)

    async def _fulfil(self, expectation: Expectation, *, within_s: float) -> Doing:
        self.seen.append((expectation, within_s))
        return Doing(number=1, at_ns=0, kind="played")

    def _wait(self, words: str, do: Callable[[], Awaitable[Any]]) -> Waited[Any]:
        self.words.append(words)
        return Waited.at_once(words, trio.run(do))


@pytest.mark.parametrize(("kind", "ask", "expected"), OF_KIND)
def test_each_helper_waits_for_what_it_names(
    kind: str, ask: Callable[[Expect], object], expected: Expectation
) -> None:
    asked = Asked()
    ask(asked.expect)
    assert asked.seen == [(expected, WITHIN_S)]
    assert asked.words == [f"expect.{kind}()"]


@pytest.mark.parametrize("kind", sorted({kind for kind, _, _ in OF_KIND}))
def test_each_helper_waits_as_long_as_it_is_told(kind: str) -> None:
    asked = Asked()
    getattr(asked.expect, kind)(within_s=0.25)
    assert [within_s for _, within_s in asked.seen] == [0.25]


def journal() -> Journal:
    return Journal(lambda: 0)


async def test_what_holds_already_is_not_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    assert await until(journal(), lambda: "held", "it", 1.0) == "held"
    assert trio.current_time() == 0


async def test_it_is_asked_again_when_a_client_did_something(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    noted = journal()

    async def client() -> None:
        for number in (1, 2):
            await trio.sleep(1)
            noted.note("socket", socket=number)

    nursery.start_soon(client)
    assert await until(noted, lambda: len(noted.kept) == 2, "two sockets", 5.0) is True
    assert trio.current_time() == 2


async def test_what_holds_at_the_very_deadline_holds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    # Nobody says so: it is true without a doing.
    found = await until(journal(), lambda: trio.current_time() >= 1, "a second", 1.0)
    assert found is True


async def test_a_wait_in_vain_tells_the_last_that_the_client_did(
    autojump_clock: trio.testing.MockClock,
) -> None:
    noted = journal()
    with pytest.raises(ExpectationFailed) as caught:
        await until(noted, lambda: None, "the impossible", 1.5)
    assert str(caught.value) == "waited 1.5 s for the impossible; the client did nothing"
    for number in range(1, 8):
        noted.note("socket", socket=number)
    with pytest.raises(ExpectationFailed) as caught:
        await until(noted, lambda: None, "the impossible", 1.5)
    assert str(caught.value).splitlines() == [
        "waited 1.5 s for the impossible; the last that the client did:",
        *(f"  opened socket {number}" for number in range(3, 8)),
    ]
