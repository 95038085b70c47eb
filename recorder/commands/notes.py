"""Lines that become notes while something is recorded: typed at the terminal, or handed in."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import partial

import trio

from recorder.commands.keys import LineEditor, Typed, read_chunks, single_keys

__all__ = ["Notes"]


class Notes:
    """Hands each line to ``take`` when it ends, and calls ``changed`` after each key.

    ``source`` is ``-`` for stdin, the path of a FIFO, or None for the keys of the terminal.
    """

    def __init__(
        self,
        source: str | None,
        *,
        now_ns: Callable[[], int],
        take: Callable[[Typed], None],
        changed: Callable[[], None],
    ) -> None:
        self._source = source
        self._now_ns = now_ns
        self._take = take
        self._changed = changed
        self._editor: LineEditor | None = None

    @property
    def typed(self) -> str | None:
        """The line that is being typed; None where nobody can."""
        return None if self._editor is None else self._editor.text

    async def run(self) -> None:
        """Take lines until their source ends."""
        if self._source is None:
            await self._keys()
        else:
            await self._lines(self._source)

    async def _lines(self, source: str) -> None:
        # A FIFO that is open for writing, too, does not end with its first writer.
        fd = 0 if source == "-" else os.open(source, os.O_RDWR | os.O_NONBLOCK)
        try:
            await read_chunks(fd, partial(self._feed, LineEditor(keys=False)))
        finally:
            if fd != 0:
                os.close(fd)

    async def _keys(self) -> None:
        fd = sys.stdin.fileno()
        self._editor = LineEditor()
        with single_keys(fd) as take, trio.open_signal_receiver(signal.SIGCONT) as continued:

            async def take_again() -> None:
                async for _ in continued:
                    take()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(take_again)
                await read_chunks(fd, partial(self._feed, self._editor))
                nursery.cancel_scope.cancel()
        self._editor = None

    def _feed(self, editor: LineEditor, data: bytes) -> None:
        for typed in editor.feed(data, self._now_ns()):
            self._take(typed)
        self._changed()
