"""How a live recording is shown: lively at a terminal, in plain lines elsewhere, as JSON for
machines, or hardly at all.

A :class:`Shown` may be slow, or block for ever (Ctrl-S at a terminal, a pipe that nobody reads):
:class:`recorder.commands.live.Beside` calls it in a thread, so that nothing holds up the recording.
"""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from recorder.console import say

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

__all__ = [
    "Event",
    "Json",
    "Lines",
    "Pulse",
    "Quiet",
    "Shown",
    "Terminal",
    "View",
    "plain",
    "rows",
    "size_text",
    "sparkline",
]

_BARS: Final = "▁▂▃▄▅▆▇█"
_SPAN_NS: Final = 2_000_000_000
_SPANS: Final = 30
_SMOOTHED_S: Final = 5.0
_MAX_ROWS: Final = 3


class Event(msgspec.Struct, frozen=True):
    """Something happened: its kind, words for a person, facts for a machine."""

    kind: str
    text: str
    facts: dict[str, object]


class View(msgspec.Struct, frozen=True):
    """What goes on at this moment. ``parts`` are words, the first says when or what;
    ``rate`` is messages a second, ``spans`` the messages of each two seconds of the last minute.
    ``free_bytes`` is there when the disk gets full; ``typed`` when notes may be typed, ``hint``
    being what to show while nothing is.
    """

    parts: tuple[str, ...]
    rate: float
    spans: tuple[int, ...]
    size_bytes: int
    free_bytes: int | None
    typed: str | None
    hint: str
    facts: dict[str, object]


class Pulse:
    """Follows how many messages there are: a smoothed rate, and the last minute in spans. Pure."""

    def __init__(self) -> None:
        self.rate = 0.0
        """Messages a second."""
        self._last: tuple[int, int] | None = None
        self._spans = deque([0] * _SPANS, maxlen=_SPANS)
        self._span = 0

    @property
    def spans(self) -> tuple[int, ...]:
        """The messages of each two seconds of the last minute, the latest last."""
        return tuple(self._spans)

    def beat(self, messages: int, now_ns: int) -> None:
        """There have been so many ``messages`` by ``now_ns``."""
        span = now_ns // _SPAN_NS
        if self._last is None:
            self._last, self._span = (messages, now_ns), span
            return
        came, seconds = messages - self._last[0], (now_ns - self._last[1]) / 1e9
        if seconds <= 0:
            return
        self._spans.extend([0] * min(span - self._span, _SPANS))
        self._spans[-1] += came
        self.rate += min(1.0, seconds / _SMOOTHED_S) * (came / seconds - self.rate)
        self._last, self._span = (messages, now_ns), span


class Shown(Protocol):
    """Shows events, and what goes on."""

    def show(self, events: Sequence[Event], view: View | None) -> None:
        """Show ``events``, then the ``view``, if it is time for one. May block; OSError if it
        cannot be shown any more.
        """

    def close(self) -> None:
        """Leave the terminal as it was."""


class Quiet:
    """Only what went wrong, in lines on stderr."""

    def show(self, events: Sequence[Event], view: View | None) -> None:
        for event in events:
            if event.kind in ("problem", "gap"):
                say(event.text)

    def close(self) -> None:
        return


class Lines:
    """Plain lines on stderr."""

    def show(self, events: Sequence[Event], view: View | None) -> None:
        for event in events:
            if event.text:
                say(event.text)
        if view is not None:
            first, *rest = view.parts
            say("  ".join([first, f"{view.rate:.1f}/s", *rest, *_sizes(view)]))

    def close(self) -> None:
        return


class Json:
    """One JSON object a line on stdout, and nothing else there.

    Once nobody reads it any more the rest is not said; the recording is the work.
    """

    def show(self, events: Sequence[Event], view: View | None) -> None:
        lines = [event.facts for event in events]
        if view is not None:
            lines.append(view.facts)
        try:
            for facts in lines:
                sys.stdout.write(json.dumps(facts) + "\n")
            sys.stdout.flush()
        except OSError:
            # Python flushes stdout once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise

    def close(self) -> None:
        return


class Terminal:
    """A few lines at the bottom of the terminal, on stderr, that are kept up to date; events scroll
    away above them.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True, highlight=False)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def show(self, events: Sequence[Event], view: View | None) -> None:
        from rich.text import Text

        if not self._live.is_started:
            self._live.start()
            # It stands behind what is typed, and is still there in the shell after Ctrl-Z.
            self._console.show_cursor(True)
        for event in events:
            if event.text:
                style = "yellow" if event.kind in ("problem", "gap") else ""
                self._console.print(Text(plain(event.text), style))
        if view is not None:
            self._live.update(self._drawn(view), refresh=True)

    def close(self) -> None:
        self._live.stop()

    def _drawn(self, view: View) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        width = self._console.width
        first, *rest = view.parts
        top = Text.assemble(("● ", "bold red"), (first, "bold"), f"  {view.rate:.1f}/s ")
        if not self._console.options.ascii_only:
            top.append(sparkline(view.spans), "cyan")
        sizes = _sizes(view)
        top.append("".join(f"  {size}" for size in sizes[:1]))
        top.append("".join(f"  {size}" for size in sizes[1:]), "bold yellow")
        lines = [top, *(Text(f"  {row}") for row in rows(rest, width - 2)[:_MAX_ROWS])]
        if view.typed is not None:
            lines.append(_input_line(view.typed, view.hint, width))
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(*lines)


def _input_line(typed: str, hint: str, width: int) -> Text:
    from rich.cells import cell_len
    from rich.text import Text

    if not typed:
        return Text(f"{hint}: ", "dim")
    shown = plain(typed)
    # Its end is what is looked at.
    while cell_len(shown) > width - 4:
        shown = shown[max(1, (cell_len(shown) - width + 4) // 2) :]
    return Text(f"> {shown}")


def _sizes(view: View) -> list[str]:
    sizes = [size_text(view.size_bytes)]
    if view.free_bytes is not None:
        sizes.append(f"only {size_text(view.free_bytes)} of disk left")
    return sizes


def rows(parts: Sequence[str], width: int) -> list[str]:
    """``parts`` in as few rows of at most ``width`` characters as their order allows; one that is
    longer has a row of its own.
    """
    filled: list[str] = []
    for part in parts:
        if filled and len(filled[-1]) + 2 + len(part) <= width:
            filled[-1] += f"  {part}"
        else:
            filled.append(part)
    return filled


def sparkline(counts: Sequence[int]) -> str:
    """A bar a count, the highest as high as it gets; what is more than nothing shows."""
    most = max(counts, default=0)
    top = len(_BARS) - 1
    return "".join(_BARS[-(-count * top // most) if most else 0] for count in counts)


def size_text(size_bytes: int) -> str:
    """In the unit that gives one to three digits before the point: ``812 B``, ``3.2 MB``."""
    size, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" or size >= 99.95 else f"{size:.1f} {unit}"


def plain(text: str) -> str:
    """``text`` with what a terminal would obey shown as an escape."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
