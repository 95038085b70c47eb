"""Live progress of a capture: a status line at a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

from typing import Final

import trio

from recorder.console import is_terminal, say
from recorder.progress import Progress
from recorder.sink import Sink

__all__ = ["progress_line", "show_progress"]

_PLAIN_EVERY_S: Final = 10.0
_REFRESH_S: Final = 0.25


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
