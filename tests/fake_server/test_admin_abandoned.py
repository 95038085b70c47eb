"""Who waits for a client by HTTP and hangs up waits no longer, and takes nothing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fake_server.admin_client import ask, ask_over
from tests.fake_server.support import Fake, Http, quiet, serving
from tests.profiles import examples

TEXT = {"what": "text", "within_s": 50}


def call(method: str, path: str, body: Any = None) -> bytes:
    """A request of the control API, as bytes."""
    data = b"" if body is None else json.dumps(body).encode()
    lines = [
        f"{method} /__admin{path} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(data)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + data


async def waiting(fake: Fake) -> Http:
    """A connection on which a text is waited for."""
    http = fake.http()
    await http.send(call("POST", "/expect", TEXT))
    await trio.testing.wait_all_tasks_blocked()
    return http


async def hang_up(stream: trio.abc.Stream) -> None:
    await stream.aclose()


async def end_sending(stream: trio.abc.Stream) -> None:
    assert isinstance(stream, trio.StapledStream)
    await stream.send_eof()


@pytest.mark.parametrize("leave", [hang_up, end_sending])
async def test_an_abandoned_expectation_leaves_what_comes_to_others(
    leave: Callable[[trio.abc.Stream], Awaitable[None]], autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        http = await waiting(fake)
        await leave(http.stream)
        await trio.testing.wait_all_tasks_blocked()
        await client.text("hello")
        await trio.testing.wait_all_tasks_blocked()
        status, answer = await ask(fake, "POST", "/expect", TEXT)
        assert (status, answer["seen"]["text"]) == (200, "hello")
        assert trio.current_time() == 0
        assert fake.server.failures == []


async def test_who_ends_what_it_sends_is_hung_up_on_without_an_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        http = await waiting(fake)
        await end_sending(http.stream)
        assert await http.ended()
        assert trio.current_time() == 0


@settings(max_examples=examples(40))
@given(cuts=st.lists(st.integers(0, 200), max_size=4), met_at=st.integers(0, 4))
def test_requests_that_come_while_one_waits_are_answered_behind_it(
    cuts: list[int], met_at: int
) -> None:
    async def run() -> None:
        async with serving(quiet()) as fake:
            client = await fake.socket()
            http = await waiting(fake)
            more = call("GET", "/doings?after=99") + call("POST", "/ping", {})
            places = sorted({min(cut, len(more)) for cut in cuts})
            pieces = [
                more[start:end]
                for start, end in zip([0, *places], [*places, len(more)], strict=True)
            ]
            for number, piece in enumerate([*pieces, b""]):
                if number == min(met_at, len(pieces)):
                    await client.text("hello")
                if piece:
                    await http.send(piece)
                await trio.testing.wait_all_tasks_blocked()
            answers = [(await http.answer()).json for _ in range(3)]
            assert answers[0]["seen"]["text"] == "hello"
            assert answers[1]["doings"] == []
            assert len(answers[2]["pinged"]) == 1
            assert (await ask_over(http, "GET"))[0] == 200

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_a_reset_ends_the_wait_too(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(quiet()) as fake, trio.open_nursery() as nursery:
        ours, theirs = trio.testing.memory_stream_pair()
        reset = trio.Event()

        async def read() -> None:
            # The request is read in one.
            if next(reads) > 0:
                await reset.wait()
                raise trio.BrokenResourceError

        reads = itertools.count()
        theirs.receive_stream.receive_some_hook = read
        nursery.start_soon(fake.server.handle, theirs)
        await ours.send_all(call("POST", "/expect", TEXT))
        await trio.testing.wait_all_tasks_blocked()
        reset.set()
        await trio.testing.wait_all_tasks_blocked()
        client = await fake.socket()
        await client.text("hello")
        assert (await ask(fake, "POST", "/expect", TEXT))[1]["seen"]["text"] == "hello"
        assert fake.server.failures == []
