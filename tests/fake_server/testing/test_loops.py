"""How calls reach a server in a thread of its own, and what comes back when that goes wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import trio
import trio.testing

from fake_server.testing import loops
from fake_server.testing.loops import Elsewhere, Here, Loop, Waited, running_library
from fake_server.testing.thread import in_thread

Opened = Callable[[Loop], AbstractAsyncContextManager[Loop]]


@asynccontextmanager
async def loop_of_its_own(loop: Loop) -> AsyncIterator[Loop]:
    """What runs in the thread here is nothing but the loop."""
    yield loop


def fail() -> None:
    raise KeyError("mine")


async def fail_later() -> None:
    await trio.lowlevel.checkpoint()
    raise KeyError("mine")


async def later() -> str:
    await trio.lowlevel.checkpoint()
    return threading.current_thread().name


# What is called and awaited there


def test_a_call_runs_in_the_thread_of_the_loop_and_gives_what_it_gave_or_raised() -> None:
    with in_thread(loop_of_its_own) as loop:
        assert loop.call(lambda: threading.current_thread().name) == "track-server"
        assert loop.call(trio.lowlevel.in_trio_run)
        with pytest.raises(KeyError, match="mine"):
            loop.call(fail)


def test_plain_code_is_blocked_until_it_is_there() -> None:
    with in_thread(loop_of_its_own) as loop:
        waited = loop.wait("it", later)
        assert (waited.is_awaited, waited.value) == (True, "track-server")
        with pytest.raises(KeyError, match="mine"):
            loop.wait("it", fail_later)


async def test_a_test_in_trio_awaits_it_and_its_own_tasks_go_on() -> None:
    went_on = threading.Event()

    async def until_it_went_on() -> str:
        assert await trio.to_thread.run_sync(went_on.wait, 10)
        return "there"

    async def go_on() -> None:
        went_on.set()

    with in_thread(loop_of_its_own) as loop:
        waited = loop.wait("it", until_it_went_on)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(go_on)
            assert await waited == "there"
        assert await waited == "there", "it may be asked again"
        with pytest.raises(KeyError, match="mine"):
            await loop.wait("it", fail_later)


def test_a_test_in_asyncio_awaits_it() -> None:
    async def test(loop: Loop) -> None:
        assert await loop.wait("it", later) == "track-server"
        with pytest.raises(KeyError, match="mine"):
            await loop.wait("it", fail_later)

    with in_thread(loop_of_its_own) as loop:
        asyncio.run(test(loop))


async def test_who_gives_up_waiting_is_not_held() -> None:
    with in_thread(loop_of_its_own) as loop:
        waited = loop.wait("it", trio.sleep_forever)
        with trio.move_on_after(0.01) as scope:
            await waited
        assert scope.cancelled_caught
        assert waited.is_awaited
        # It goes on there, and is given up with the block.
    with pytest.raises(RuntimeError, match="it was not awaited"):
        _ = waited.value


def test_an_error_of_the_server_shows_the_lines_of_the_test_and_not_the_servers() -> None:
    with in_thread(loop_of_its_own) as loop, pytest.raises(KeyError) as caught:
        loop.wait("it", fail_later)
    assert "fail_later" not in [entry.name for entry in caught.traceback]


async def test_in_the_loop_of_the_server_itself_it_is_simply_called_and_awaited() -> None:
    here = Here()
    assert here.call(trio.lowlevel.in_trio_run)
    waited = here.wait("it", later)
    assert (waited.is_awaited, repr(waited)) == (False, "<it: not awaited>")
    assert await waited == threading.current_thread().name
    assert repr(waited) == f"<it: {threading.current_thread().name}>"


def test_it_is_known_which_library_the_caller_runs_in() -> None:
    async def ask() -> str | None:
        return running_library()

    assert running_library() is None
    assert trio.run(ask) == "trio"
    assert asyncio.run(ask()) == "asyncio"


def test_trio_is_the_one_that_runs_where_it_is_a_guest_of_asyncio() -> None:
    seen: list[str | None] = []

    async def ask() -> None:
        seen.append(running_library())

    async def host() -> None:
        done = asyncio.get_running_loop().create_future()
        trio.lowlevel.start_guest_run(
            ask,
            run_sync_soon_threadsafe=asyncio.get_running_loop().call_soon_threadsafe,
            done_callback=done.set_result,
        )
        (await done).unwrap()

    asyncio.run(host())
    assert seen == ["trio"]


# The end


def test_after_the_end_every_call_says_so() -> None:
    with in_thread(loop_of_its_own) as loop:
        pass
    for ask in (lambda: loop.call(list), lambda: loop.wait("it", later)):
        with pytest.raises(RuntimeError, match="the track server has ended"):
            ask()


async def test_a_loop_that_nobody_said_has_ended_refuses_too() -> None:
    made: list[Elsewhere] = []

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            made.append(Elsewhere(trio.lowlevel.current_trio_token(), nursery))

    thread = threading.Thread(target=trio.run, args=[run])
    thread.start()
    thread.join()
    with pytest.raises(RuntimeError, match="the track server has ended"):
        made[0].call(list)


async def test_a_wait_that_begins_while_the_nursery_closes_is_told() -> None:
    async with trio.open_nursery() as waits:
        loop = Elsewhere(trio.lowlevel.current_trio_token(), waits)
    waited = loop.wait("it", later)
    with pytest.raises(RuntimeError, match="the track server is being stopped"):
        await waited


def test_who_waits_when_the_server_fails_is_told_what_it_failed_with() -> None:
    @asynccontextmanager
    async def failing(loop: Loop) -> AsyncIterator[Loop]:
        async with trio.open_nursery() as nursery:
            begun = trio.Event()

            async def break_down() -> None:
                await begun.wait()
                raise LookupError("broken")

            nursery.start_soon(break_down)
            begins.append(begun.set)
            yield loop

    async def begin_and_wait() -> None:
        begins[0]()
        await trio.sleep_forever()

    def use() -> None:
        with in_thread(failing) as loop:
            for ask in (lambda: loop.wait("it", begin_and_wait), lambda: loop.call(list)):
                with pytest.raises(ExceptionGroup) as caught:
                    ask()
                told.append(caught.value)

    begins: list[Callable[[], None]] = []
    told: list[ExceptionGroup[Exception]] = []
    with pytest.raises(ExceptionGroup) as at_the_end:
        use()
    assert [str(error) for error in at_the_end.value.exceptions] == ["broken"]
    assert told == [at_the_end.value, at_the_end.value]


def test_nothing_is_kept_of_calls_that_are_over() -> None:
    with in_thread(loop_of_its_own) as loop:
        assert isinstance(loop, Elsewhere)
        for _ in range(3):
            loop.call(list)
            loop.wait("it", later)
        assert loop._open == set()


# The thread


def test_what_cannot_be_opened_is_raised_as_it_is_and_no_thread_is_left() -> None:
    @asynccontextmanager
    async def closed(loop: Loop) -> AsyncIterator[Loop]:
        raise KeyError("mine")
        yield loop

    with pytest.raises(KeyError, match="mine"), in_thread(closed):
        raise AssertionError("never here")
    assert "track-server" not in [thread.name for thread in threading.enumerate()]


def test_what_it_is_left_with_is_raised_as_it_is() -> None:
    @asynccontextmanager
    async def sore(loop: Loop) -> AsyncIterator[Loop]:
        yield loop
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"), in_thread(sore):
        pass


def test_it_is_left_before_the_block_is_and_when_the_block_raises_too() -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def slow(loop: Loop) -> AsyncIterator[Loop]:
        yield loop
        await trio.sleep(0.01)
        steps.append("left")

    with pytest.raises(KeyError, match="mine"), in_thread(slow):
        raise KeyError("mine")
    assert steps == ["left"]
    assert "track-server" not in [thread.name for thread in threading.enumerate()]


def test_a_server_that_failed_meanwhile_can_be_stopped() -> None:
    runs_in: list[threading.Thread] = []

    @asynccontextmanager
    async def brief(loop: Loop) -> AsyncIterator[Loop]:
        runs_in.append(threading.current_thread())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_later)
            yield loop

    with pytest.raises(ExceptionGroup, match="Exceptions from Trio nursery"), in_thread(brief):
        # Stopping it shall meet a run that is over.
        runs_in[0].join(10)


@pytest.mark.parametrize("stage", ["start", "stop"])
def test_a_thread_that_is_stuck_is_told_and_not_waited_for(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fake_server.testing.thread._PATIENCE_S", 0.02)
    free = threading.Event()
    stuck_ones: list[threading.Thread] = []

    @asynccontextmanager
    async def stuck(loop: Loop) -> AsyncIterator[Loop]:
        stuck_ones.append(threading.current_thread())
        if stage == "start":
            free.wait(10)
            raise KeyError("nobody hears it")
        yield loop
        free.wait(10)

    expected = pytest.raises(RuntimeError, match=f"the track server did not {stage}")
    with expected, in_thread(stuck):
        pass
    (thread,) = stuck_ones
    assert thread.is_alive()
    assert thread.daemon, "a process can end without it"
    free.set()
    thread.join(10)
    assert not thread.is_alive()


def test_a_call_that_is_stuck_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()
    with in_thread(loop_of_its_own) as loop:
        monkeypatch.setattr(loops, "_PATIENCE_S", 0.02)
        with pytest.raises(TimeoutError):
            loop.call(lambda: free.wait(10))
        free.set()


def test_what_is_there_at_once_need_not_be_awaited() -> None:
    waited = Waited.at_once("it", 3)
    assert (waited.is_awaited, waited.value, repr(waited)) == (True, 3, "<it: 3>")
