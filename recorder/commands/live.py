"""What goes on beside a live recording: durability, signals, progress.

Progress is a status line at a terminal, a plain line now and then elsewhere.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import trio

from recorder.console import is_terminal, say
from recorder.errors import RecorderError
from recorder.progress import Progress
from recorder.sink import Sink

__all__ = ["progress_line", "run_beside", "show_progress"]

_T = TypeVar("_T")

_PLAIN_EVERY_S: Final = 10.0
_REFRESH_S: Final = 0.25


async def run_beside(
    sink: Sink,
    work: Callable[[], Awaitable[_T]],
    *,
    stop: Callable[[], None],
    show: Callable[[], Awaitable[None]],
) -> _T:
    """Do ``work`` while ``sink`` is kept durable and ``show`` shows progress; SIGINT and SIGTERM
    call ``stop``, upon which ``work`` should return.

    Raises what ``work`` raises, and DiskFailed once the recording cannot be written; one error of
    ours, never a group.
    """
    results: list[_T] = []
    failures: list[RecorderError] = []

    async def stop_on_signals() -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                stop()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.run)
            nursery.start_soon(stop_on_signals)
            nursery.start_soon(show)
            try:
                results.append(await work())
            except RecorderError as error:
                failures.append(error)
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # The disk failed in the task that keeps the recording durable: that is why everything
        # stopped.
        ours, rest = group.split(RecorderError)
        if rest is not None or ours is None:
            raise
        while isinstance(ours, BaseExceptionGroup):
            ours = ours.exceptions[0]  # type: ignore[assignment]
        raise ours  # noqa: B904 - the group holds nothing else
    if failures:
        raise failures[0]
    return results[0]


def progress_line(progress: Progress, now_ns: int, rate: float) -> str:
    """What a capture has seen, in one line: time, messages a second, the last answered PING,
    messages by kind.
    """
    if progress.opened_ns is None:
        return progress.stage
    seconds = int((now_ns - progress.opened_ns) / 1e9)
    kinds = (
        " ".join(f"{kind} {count}" for kind, count in progress.kinds.most_common()) or "nothing yet"
    )
    if progress.last_answered_ns is not None:
        ping = f"last PING answered {(now_ns - progress.last_answered_ns) / 1e9:.0f} s ago"
    else:
        ping = "no PING yet"
    return f"{seconds // 60:02d}:{seconds % 60:02d}  {rate:.1f}/s  {ping}  {kinds}"


async def show_progress(progress: Progress, sink: Sink) -> None:
    """Show it until cancelled."""
    if is_terminal():
        await _at_terminal(progress, sink)
    else:
        await _in_lines(progress, sink)


async def _at_terminal(progress: Progress, sink: Sink) -> None:
    from rich.console import Console
    from rich.status import Status
    from rich.text import Text

    rate = _Rate()
    with Status("", console=Console(stderr=True), refresh_per_second=1 / _REFRESH_S) as status:
        while True:
            now_ns = sink.now_ns()
            line = progress_line(progress, now_ns, rate.of(progress.messages, now_ns))
            status.update(Text(line, no_wrap=True, overflow="ellipsis"), spinner_style="red")
            await trio.sleep(_REFRESH_S)


async def _in_lines(progress: Progress, sink: Sink) -> None:
    rate = _Rate()
    while True:
        await trio.sleep(_PLAIN_EVERY_S)
        now_ns = sink.now_ns()
        say(progress_line(progress, now_ns, rate.of(progress.messages, now_ns)))


class _Rate:
    """Messages a second, smoothed over some seconds."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None
        self._rate = 0.0

    def of(self, messages: int, now_ns: int) -> float:
        if self._last is not None and now_ns > self._last[1]:
            seconds = (now_ns - self._last[1]) / 1e9
            weight = min(1.0, seconds / 5.0)
            self._rate += weight * ((messages - self._last[0]) / seconds - self._rate)
        self._last = (messages, now_ns)
        return self._rate
