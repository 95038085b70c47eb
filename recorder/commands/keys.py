"""What a person types while something is recorded, and lines that a program hands in.

At a terminal each key is read by itself, so that the line which is being typed can be shown below
the progress and neither garbles the other, and so that it is known when the line was begun.
"""

from __future__ import annotations

import codecs
import errno
import os
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

__all__ = ["MAX_LINE_CHARACTERS", "LineEditor", "Typed", "is_fifo", "read_chunks", "single_keys"]

MAX_LINE_CHARACTERS: Final = 10_000
"""A longer line is cut in pieces of this size."""

_READ_BYTES: Final = 4096
_AWAY_S: Final = 1.0

_ESCAPE: Final = "\x1b"
_ENTER: Final = "\r\n"
_RUBOUT: Final = "\x7f\b"
_KILL_LINE: Final = "\x15"
_KILL_WORD: Final = "\x17"


class Typed(msgspec.Struct, frozen=True):
    """A line, the moment of its first character and that of its end."""

    text: str
    begun_ns: int
    at_ns: int


class LineEditor:
    """Makes lines of what is typed: backspace, Ctrl-U and Ctrl-W take back, arrows and other
    control keys do nothing. Pure.

    Without ``keys`` the bytes are those of a file or pipe, in which only line ends are special.
    ``text`` is the line that is being typed. Bytes that are no UTF-8 become U+FFFD.
    """

    def __init__(self, *, keys: bool = True) -> None:
        self.text = ""
        self._keys = keys
        self._begun_ns = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        # Of an escape sequence that has begun: its second character, or nothing yet.
        self._escape: str | None = None
        self._after_return = False

    def feed(self, data: bytes, at_ns: int) -> list[Typed]:
        """Take what came at ``at_ns``; return the lines that it ended, empty ones too. No bytes end
        an unfinished line.
        """
        lines: list[Typed] = []
        for character in self._decoder.decode(data, final=not data):
            self._take(character, at_ns, lines)
        if not data and self.text:
            self._end_line(at_ns, lines)
        return lines

    def _take(self, character: str, at_ns: int, lines: list[Typed]) -> None:
        after_return, self._after_return = self._after_return, character == "\r"
        if self._keys and self._in_escape(character):
            return
        if character in _ENTER:
            # `\r\n` is one end.
            if not (character == "\n" and after_return):
                self._end_line(at_ns, lines)
        elif not self._keys or character == "\t" or (character >= " " and character != "\x7f"):
            if not self.text:
                self._begun_ns = at_ns
            self.text += character
            if len(self.text) >= MAX_LINE_CHARACTERS:
                self._end_line(at_ns, lines)
        elif character in _RUBOUT:
            self.text = self.text[:-1]
        elif character == _KILL_LINE:
            self.text = ""
        elif character == _KILL_WORD:
            self.text = self.text.rstrip().rpartition(" ")[0]
            self.text += " " if self.text else ""

    def _in_escape(self, character: str) -> bool:
        """Whether it belongs to the sequence of a key, as ECMA-48 5.4 and terminals have them."""
        if self._escape is None:
            if character != _ESCAPE:
                return False
            self._escape = ""
        elif self._escape == "":
            # CSI and SS3 go on; Alt with a key is over.
            self._escape = character if character in "[O" else None
        elif self._escape == "O" or "@" <= character <= "~":
            self._escape = None
        return True

    def _end_line(self, at_ns: int, lines: list[Typed]) -> None:
        lines.append(Typed(self.text, self._begun_ns if self.text else at_ns, at_ns))
        self.text = ""


@contextmanager
def single_keys(fd: int) -> Iterator[Callable[[], None]]:
    """Let the terminal ``fd`` hand out each key at once and not show it; as before on leaving.

    Ctrl-C and Ctrl-Z stay signals. Gives a function that does it again, for after a Ctrl-Z. While
    we run in the background the terminal is the shell's, and is left alone.
    """
    import termios

    before: list[Any] | None = None

    def take() -> None:
        nonlocal before
        if _is_anothers(fd):
            return
        attributes = termios.tcgetattr(fd)
        before = before or termios.tcgetattr(fd)
        attributes[3] &= ~(termios.ICANON | termios.ECHO)
        attributes[6][termios.VMIN], attributes[6][termios.VTIME] = 1, 0
        termios.tcsetattr(fd, termios.TCSADRAIN, attributes)

    # It may have been closed meanwhile.
    with suppress(termios.error):
        take()
    try:
        yield take
    finally:
        if before is not None and not _is_anothers(fd):
            with suppress(termios.error):
                termios.tcsetattr(fd, termios.TCSADRAIN, before)


def is_fifo(path: Path) -> bool:
    """Whether there is a FIFO."""
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except OSError:
        return False


async def read_chunks(fd: int, take: Callable[[bytes], None]) -> None:
    """Hand what comes from ``fd``, which stays open, to ``take`` as it comes; returns where it
    ends, after an empty chunk.

    It never blocks and never spins: a terminal that is somebody else's just now, since we run in
    the background, is left alone until it is ours again.
    """
    # Reading would stop us otherwise.
    before = signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    try:
        data = b"?"
        while data:
            await _until_readable(fd)
            if _is_anothers(fd):
                await trio.sleep(_AWAY_S)
                continue
            try:
                data = os.read(fd, _READ_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                # The terminal is gone.
                data = b""
            take(data)
    finally:
        signal.signal(signal.SIGTTIN, before)


async def _until_readable(fd: int) -> None:
    try:
        await trio.lowlevel.wait_readable(fd)
    except OSError as error:
        # What is a file, or /dev/null, cannot be waited for, and need not be.
        if error.errno != errno.EPERM:
            raise
        await trio.lowlevel.checkpoint()


def _is_anothers(fd: int) -> bool:
    try:
        return os.tcgetpgrp(fd) != os.getpgrp()
    except OSError:
        # No terminal.
        return False
