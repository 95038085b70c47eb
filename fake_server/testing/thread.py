"""A server in a trio run of a thread of its own, for a test in plain code, asyncio or trio."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Final, Generic, TypeVar

import trio

from fake_server.testing.loops import Elsewhere, Loop

__all__ = ["in_thread"]

__tracebackhide__ = True
"""A failing test shows its own lines, not these."""

ServerT = TypeVar("ServerT")

_PATIENCE_S: Final = 30.0
"""A server that takes longer to start or to stop is stuck."""


@contextlib.contextmanager
def in_thread(
    opened: Callable[[Loop], AbstractAsyncContextManager[ServerT]],
) -> Iterator[ServerT]:
    """Run what ``opened`` gives, in a thread of its own, until the block ends. ``opened`` is called
    there with the loop by which others reach it; it is left before this block is.

    Waits that go on when the block ends are given up. Raises what ``opened`` raises when it is
    entered; at the end what it failed with meanwhile or is left with, and RuntimeError if it is
    not left within 30 s.
    """
    thread = _Thread(opened)
    server = thread.start()
    try:
        yield server
    finally:
        thread.stop()


class _Thread(Generic[ServerT]):
    def __init__(self, opened: Callable[[Loop], AbstractAsyncContextManager[ServerT]]) -> None:
        self._opened = opened
        self._started = threading.Event()
        self._server: list[ServerT] = []
        self._loop: Elsewhere | None = None
        self._stop: Callable[[], None] = lambda: None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="track-server", daemon=True)

    def start(self) -> ServerT:
        self._thread.start()
        self._started.wait(_PATIENCE_S)
        if not self._server:
            self._thread.join(_PATIENCE_S)
            raise self._failure or RuntimeError("the track server did not start")
        return self._server[0]

    def stop(self) -> None:
        with contextlib.suppress(trio.RunFinishedError):
            self._stop()
        self._thread.join(_PATIENCE_S)
        if self._failure is not None:
            raise self._failure
        if self._thread.is_alive():
            raise RuntimeError(f"the track server did not stop within {_PATIENCE_S:.0f} s")

    def _run(self) -> None:
        try:
            trio.run(self._serve)
        except BaseException as error:  # noqa: BLE001 - it is raised where the server was started
            self._failure = error
        finally:
            why = self._failure or RuntimeError("the track server has ended")
            if self._loop is not None:
                self._loop.ended(why)
            self._started.set()

    async def _serve(self) -> None:
        failure: BaseException | None = None
        async with trio.open_nursery() as waits:
            token = trio.lowlevel.current_trio_token()
            stopped = trio.Event()
            self._stop = lambda: token.run_sync_soon(stopped.set)
            self._loop = Elsewhere(token, waits)
            try:
                async with self._opened(self._loop) as server:
                    self._server.append(server)
                    self._started.set()
                    await stopped.wait()
            except BaseException as error:  # noqa: BLE001 - raised below, in no group
                failure = error
            waits.cancel_scope.cancel()
        if failure is not None:
            raise failure
