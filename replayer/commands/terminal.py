"""What the commands know of where their answer goes, and what they say beside it."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from recorder.console import say
from replayer.reading.series import SeriesReader
from replayer.reading.words import printable

__all__ = ["PIPED_COLUMNS", "Output", "make_output_safe", "output_columns", "say_problems"]

PIPED_COLUMNS: Final = 160
"""How wide a line is where no terminal says: wide enough for names, narrow enough for a CI log."""

_HELD: Final = 200
_HELD_S: Final = 0.1

_T = TypeVar("_T")


def output_columns() -> int:
    """The width of the terminal, or :data:`PIPED_COLUMNS` where stdout is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPED_COLUMNS


def make_output_safe() -> None:
    """A terminal whose encoding lacks a character gets an escape rather than a traceback."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def say_problems(reader: SeriesReader) -> None:
    """Say what does not fit together in the parts that were read, and what is torn at the end."""
    for remark in reader.remarks:
        say(printable(remark))


class Output(Generic[_T]):
    """An answer of many lines on stdout. ``render`` puts some of them into text, with the line end.

    Writing each alone would cost more than finding it, so that up to 200 are written at once; but
    none waits for longer than a tenth of a second, as long as :meth:`tick` is called, and the first
    not at all. Whoever waits for more calls :meth:`flush` before, and at the end.
    """

    def __init__(
        self, render: Callable[[list[_T]], str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._render = render
        self._clock = clock
        self._held: list[_T] = []
        self._due_s = 0.0
        self.count = 0
        """So many lines were added."""

    def add(self, line: _T) -> None:
        """Write this line, now or soon. Raises OSError, BrokenPipeError where nobody reads on."""
        self._held.append(line)
        self.count += 1
        if len(self._held) >= _HELD:
            self.flush()
        else:
            self.tick()

    def tick(self) -> None:
        """Write what waited for long enough. Raises as :meth:`add`."""
        if self._held and self._clock() >= self._due_s:
            self.flush()

    def flush(self) -> None:
        """Write what there is. Raises as :meth:`add`."""
        held, self._held = self._held, []
        if held:
            sys.stdout.write(self._render(held))
            sys.stdout.flush()
        self._due_s = self._clock() + _HELD_S
