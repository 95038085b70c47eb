"""How calls reach the event loop that a server runs in, and how what they find comes back.

A test may be plain, or run in asyncio or trio, with the server in a thread of its own
(:class:`Elsewhere`); or it runs in the very loop of the server (:class:`Here`).
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import sys
import threading
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

import trio

__all__ = ["Elsewhere", "Here", "Loop", "Waited", "running_library"]

__tracebackhide__ = True
"""A failing test shows its own lines, not these."""

T = TypeVar("T")

_PATIENCE_S: Final = 30.0
"""A server that takes longer for a call than this is stuck."""


class Waited(Generic[T]):
    """What was waited for. A plain test has it at once, in :attr:`value`; a test in asyncio or trio
    awaits this, which gives the value.
    """

    def __init__(
        self, words: str, wait: Callable[[], Generator[Any, Any, T]] | None = None
    ) -> None:
        self._words = words
        self._wait = wait
        self._value: list[T] = []

    @classmethod
    def at_once(cls, words: str, value: T) -> Waited[T]:
        """It is there already."""
        waited = cls(words)
        waited._value.append(value)
        return waited

    @property
    def is_awaited(self) -> bool:
        """Whether it is known what came of it."""
        return self._wait is None

    @property
    def value(self) -> T:
        """What was seen. Raises RuntimeError before it was awaited."""
        if not self._value:
            raise RuntimeError(f"{self._words} was not awaited: write `await` before it")
        return self._value[0]

    def __await__(self) -> Generator[Any, Any, T]:
        wait, self._wait = self._wait, None
        if wait is not None:
            self._value.append((yield from wait()))
        return self.value

    def __repr__(self) -> str:
        return f"<{self._words}: {self._value[0] if self._value else 'not awaited'}>"


class Loop(Protocol):
    """Where a server runs."""

    def call(self, do: Callable[[], T]) -> T:
        """Call it there and return what it returns; it must not wait."""

    def wait(self, words: str, do: Callable[[], Awaitable[T]]) -> Waited[T]:
        """Await it there; ``words`` name it."""


class Here:
    """The server runs in the trio loop of the caller."""

    def call(self, do: Callable[[], T]) -> T:
        """Call it."""
        return do()

    def wait(self, words: str, do: Callable[[], Awaitable[T]]) -> Waited[T]:
        """To be awaited by the caller."""
        return Waited(words, lambda: _await(do).__await__())


class Elsewhere:
    """The server runs in a trio loop of another thread.

    ``token`` is that loop's, ``nursery`` one of its nurseries. Once it has ended, :meth:`ended`
    makes every call raise what it ended with.
    """

    def __init__(self, token: trio.lowlevel.TrioToken, nursery: trio.Nursery) -> None:
        self._token = token
        self._nursery = nursery
        self._lock = threading.Lock()
        self._open: set[concurrent.futures.Future[Any]] = set()
        self._why: BaseException | None = None

    def call(self, do: Callable[[], T]) -> T:
        """Call it there; blocks for as long as that takes."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            try:
                result = do()
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                _fail(future, error)
            else:
                _fulfil(future, result)

        self._submit(future, run)
        return future.result(_PATIENCE_S)

    def wait(self, words: str, do: Callable[[], Awaitable[T]]) -> Waited[T]:
        """A plain caller is blocked until it is there; one in asyncio or trio awaits it."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        async def run() -> None:
            try:
                result = await do()
            except Exception as error:  # noqa: BLE001 - it is the caller's
                # Where in the server it was raised says nothing to a test.
                _fail(future, error.with_traceback(None))
            else:
                _fulfil(future, result)

        def start() -> None:
            try:
                self._nursery.start_soon(run)
            except RuntimeError:
                _fail(future, RuntimeError("the track server is being stopped"))

        library = running_library()
        self._submit(future, start)
        if library is None:
            if (error := future.exception()) is not None:
                raise error
            return Waited.at_once(words, future.result())
        if library == "asyncio":
            import asyncio  # only where the test has it already

            return Waited(words, lambda: asyncio.wrap_future(future).__await__())
        in_thread = trio.to_thread.run_sync
        return Waited(words, lambda: in_thread(future.result, abandon_on_cancel=True).__await__())

    def ended(self, why: BaseException) -> None:
        """The loop has ended: who waits for it is told."""
        with self._lock:
            self._why = why
            waiting, self._open = self._open, set()
        for future in waiting:
            _fail(future, why)

    def _submit(self, future: concurrent.futures.Future[Any], run: Callable[[], object]) -> None:
        with self._lock:
            if self._why is not None:
                raise self._why
            self._open.add(future)
        future.add_done_callback(self._forget)
        try:
            self._token.run_sync_soon(run)
        except trio.RunFinishedError:
            raise RuntimeError("the track server has ended") from None

    def _forget(self, future: concurrent.futures.Future[Any]) -> None:
        with self._lock:
            self._open.discard(future)


def _fulfil(future: concurrent.futures.Future[T], result: T) -> None:
    # Who waited may have given up meanwhile, or was told that the server has ended.
    with contextlib.suppress(concurrent.futures.InvalidStateError):
        future.set_result(result)


def _fail(future: concurrent.futures.Future[Any], why: BaseException) -> None:
    with contextlib.suppress(concurrent.futures.InvalidStateError):
        future.set_exception(why)


def running_library() -> Literal["asyncio", "trio"] | None:
    """The asynchronous library that the caller runs in; None for plain code."""
    if trio.lowlevel.in_trio_run():
        return "trio"
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return None
        return "asyncio"
    return None


async def _await(do: Callable[[], Awaitable[T]]) -> T:
    return await do()
