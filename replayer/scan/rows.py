"""One row a recording: what was found, as JSON Lines that a scan can go on from."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Literal

import msgspec

from recorder.errors import CannotRead, DiskFailed
from recorder.exits import Exit
from replayer.scan.finding import Found

__all__ = ["VERDICTS", "Results", "Row", "Verdict", "exit_of"]

Verdict = Literal["kept", "same", "broken", "drift", "undecided", "error"]

VERDICTS: Final[tuple[Verdict, ...]] = ("kept", "same", "broken", "drift", "undecided", "error")
"""The first two are fine, the next two are not; ``error`` is of what could not be read."""

_EXITS: Final[dict[Verdict, Exit]] = {
    "broken": Exit.DIFFERENT,
    "drift": Exit.DIFFERENT,
    "error": Exit.BAD_DATA,
    "undecided": Exit.UNDECIDED,
}
"""In the order in which one decides for all: a no is a no, whatever else could not be asked."""


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was found out about one recording. ``what`` is one line. ``check``, ``size_bytes`` and
    ``mtime_ns`` say what it holds for; ``seconds`` is how long it took. ``remark`` is what keeps
    the recording from being whole. ``retry`` says that the recording is not to blame for an error,
    so that another run asks again."""

    path: str
    verdict: Verdict
    what: str
    size_bytes: int
    seconds: float
    parts: int
    mtime_ns: int
    check: str
    remark: str = ""
    retry: bool = False

    def holds_for(self, found: Found, check: str) -> bool:
        """Whether asking again would find the same."""
        return not self.retry and (
            self.path,
            self.parts,
            self.size_bytes,
            self.mtime_ns,
            self.check,
        ) == (
            found.path,
            len(found.parts),
            found.size_bytes,
            found.mtime_ns,
            check,
        )


def exit_of(verdicts: Iterable[Verdict]) -> Exit:
    """What a scan with these verdicts ends with: 1 if one is broken or drifted, else 65 if one
    could not be read, else 2 if one is undecided, else 0."""
    seen = set(verdicts)
    return next((code for verdict, code in _EXITS.items() if verdict in seen), Exit.OK)


class Results:
    """The file of ``--results``: rows of earlier runs, and new ones as they come.

    Each row is one line, written at once, so that what was found outlives whoever is killed. A torn
    last line is cut off; of several rows of one recording the last counts. A context manager: the
    file is open until its end. Raises CannotRead if it cannot be opened or is something else than
    rows, DiskFailed if a row cannot be written.
    """

    def __init__(self, path: str) -> None:
        self.path: Final = path
        self.rows: dict[str, Row] = {}
        """By path."""
        try:
            self._file = open(path, "a+b", buffering=0)  # noqa: SIM115 - closed by close
        except OSError as exc:
            raise CannotRead(f"{path} cannot be opened: {exc.strerror}") from exc
        try:
            self._read()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, row: Row) -> None:
        """Append a row."""
        line = memoryview(msgspec.json.encode(row) + b"\n")
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as exc:
            raise DiskFailed(
                f"{self.path}: a row could not be written: {exc.strerror}; those before it are"
                " intact, and the same command goes on from them"
            ) from exc

    def _read(self) -> None:
        if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
            raise CannotRead(
                f"{self.path} is no regular file; a scan goes on from what stands there"
            )
        decoder = msgspec.json.Decoder(Row)
        self._file.seek(0)
        whole_bytes = 0
        with open(self._file.fileno(), "rb", closefd=False) as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break
                try:
                    row = decoder.decode(line)
                except msgspec.DecodeError as exc:
                    raise CannotRead(
                        f"{self.path} line {number} is no row of a scan ({exc}); name another file"
                        " for --results, or remove the line"
                    ) from exc
                self.rows[row.path] = row
                whole_bytes += len(line)
        try:
            # What a killed scan left of its last line.
            if os.fstat(self._file.fileno()).st_size != whole_bytes:
                self._file.truncate(whole_bytes)
        except OSError as exc:
            raise DiskFailed(f"{self.path} cannot be written: {exc.strerror}") from exc
