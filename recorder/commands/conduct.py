"""A live recording from its beginning to its end, for the commands that make one."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import msgspec
import trio

from recorder.commands.live import Beside, LiveOptions
from recorder.commands.output import LiveRecording
from recorder.console import say
from recorder.errors import DiskFailed, RecorderError
from recorder.exits import Exit

__all__ = ["Ending", "conduct"]

_T = TypeVar("_T")


class Ending(msgspec.Struct, frozen=True):
    """What is told at the end: why it ended, what was recorded, and what else a person should
    know.
    """

    reason: str
    summary: list[str]
    remarks: list[str]


def conduct(
    recording: LiveRecording,
    live: LiveOptions,
    beside: Beside,
    work: Callable[[], Awaitable[_T]],
    *,
    stop: Callable[[], None],
    ending: Callable[[_T | None], Ending],
) -> None:
    """Do ``work`` with all that runs beside it, close ``recording``, and tell how it went:
    ``ending`` is asked with what ``work`` returned, None if it failed.

    Raises what ``work`` raised, and DiskFailed.
    """
    failure: RecorderError | None = None
    result: _T | None = None
    with _without_being_ended_by_sigusr1():
        try:
            result = trio.run(partial(beside.run, work, stop=stop))
        except RecorderError as error:
            failure = error
        except BaseException:
            recording.abort()
            raise
        try:
            recording.close(failure)
        except RecorderError as error:
            failure = error
    told = ending(result)
    # What a failed disk holds, its error says; the counts here are of what was handed to it.
    is_known = failure is None or (
        bool(recording.sink.entries) and not isinstance(failure, DiskFailed)
    )
    beside.finish(
        Exit.OK if failure is None else failure.exit_code,
        told.reason if failure is None else str(failure),
        told.summary if is_known else [],
    )
    if is_known and live.manner in ("terminal", "lines"):
        for line in told.remarks:
            say(line)
    if failure is not None:
        raise failure


@contextmanager
def _without_being_ended_by_sigusr1() -> Iterator[None]:
    """Who asks to save just before or after there is somebody to hear it must not kill us: that is
    what the system does with SIGUSR1 otherwise.
    """
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)
