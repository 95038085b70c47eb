"""What came of each trial, kept in a file as it comes, so that nothing is tried twice.

The file is JSON Lines: first what the trials are of, then a line for each outcome, appended at
once. What a killed process left of its last line is cut.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal

import msgspec

from recorder.errors import CannotRead, DiskFailed
from recorder.exits import Exit
from recorder.recording.files import create_locked, open_locked
from replayer.errors import ReplayerError
from replayer.minimise.trial import Outcome

__all__ = ["Outcomes", "Subject", "WrongState"]

_VERSION: Final = 1


class WrongState(ReplayerError):
    """The file is no state of this work: of another recording, command or rules, or none at all."""

    exit_code = Exit.BAD_DATA


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What outcomes depend on beside what is kept: the recording, by the sha256 of its entries, the
    command, how it is served, and what counts as a failure.
    """

    recording: str
    test: list[str]
    options: list[str]
    timeout_s: float | None
    timeout_fails: bool
    any_failure: bool
    says: str | None


class _Opening(Subject, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal["track-minimise"] = "track-minimise"
    version: int = _VERSION


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    plan: str | None = None
    code: int | None = None
    says: bool = False
    took_s: float = 0.0
    written: str | None = None


class Outcomes:
    """The outcomes in the file ``path``, which is made where there is none; locked against a second
    process.

    Raises WrongState if it is of another ``subject``, OutputExists if another process has it open,
    CannotRead, DiskFailed. *Resource handling.* The file is open until :meth:`close` or the end of
    the ``with`` block.
    """

    def __init__(self, path: Path, subject: Subject) -> None:
        self.path: Final = path
        self.written: str | None = None
        """The sha256 of the answer that was written last."""
        self._known: dict[str, Outcome] = {}
        name = str(path)
        descriptor = open_locked(name) if path.exists() else create_locked(name, force=False)
        self._file = os.fdopen(descriptor, "r+b")
        try:
            self._take_up(subject)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Outcomes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._known)

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._file.close()

    def get(self, plan: str) -> Outcome | None:
        """What came of the plan with this key, None if it was not tried."""
        return self._known.get(plan)

    def put(self, plan: str, outcome: Outcome) -> None:
        """Something came of a plan. Raises DiskFailed."""
        self._known[plan] = outcome
        self._append(_Line(plan=plan, code=outcome.code, says=outcome.says, took_s=outcome.took_s))

    def put_written(self, sha256: str) -> None:
        """An answer was written, whose bytes have this sha256: it may be replaced by a better one.
        Raises DiskFailed.
        """
        self.written = sha256
        self._append(_Line(written=sha256))

    def remove(self) -> None:
        """The work is done: the file is removed."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _append(self, value: msgspec.Struct) -> None:
        try:
            self._file.write(msgspec.json.encode(value) + b"\n")
            self._file.flush()
        except OSError as exc:
            raise DiskFailed(
                f"{self.path}: writing failed: {exc.strerror}; what was tried before is kept"
            ) from exc

    def _take_up(self, subject: Subject) -> None:
        try:
            lines = self._file.read().splitlines(keepends=True)
        except OSError as exc:
            raise CannotRead(f"{self.path} cannot be read: {exc.strerror}") from exc
        if lines and not lines[-1].endswith(b"\n"):
            torn = lines.pop()
            self._file.seek(-len(torn), os.SEEK_END)
            self._file.truncate()
        if not lines:
            opening = {name: getattr(subject, name) for name in Subject.__struct_fields__}
            self._append(_Opening(**opening))
            return
        self._check(lines[0], subject)
        for number, line in enumerate(lines[1:], 2):
            known = self._decode(line, _Line, number)
            if known.plan is not None:
                self._known[known.plan] = Outcome(known.code, known.says, known.took_s)
            elif known.written is not None:
                self.written = known.written

    def _check(self, line: bytes, subject: Subject) -> None:
        found = self._decode(line, _Opening, 1)
        if found.version != _VERSION:
            raise WrongState(
                f"{self.path}: its version is {found.version}, expected {_VERSION}; {_ADVICE}"
            )
        different = [
            words
            for name, words in _WORDS.items()
            if getattr(found, name) != getattr(subject, name)
        ]
        if different:
            raise WrongState(
                f"{self.path} is the state of other work: it has another"
                f" {' and another '.join(different)}; {_ADVICE}"
            )

    def _decode(self, line: bytes, shape: type[Any], number: int) -> Any:
        try:
            return msgspec.json.decode(line, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise WrongState(
                f"{self.path}:{number}: expected a line of the state of `track-replayer minimise`,"
                f" found something else; {_ADVICE}"
            ) from None


_ADVICE: Final = "remove it, or name another file with --state"
_WORDS: Final = {
    "recording": "recording",
    "test": "command",
    "options": "way of serving it",
    "timeout_s": "--timeout-s",
    "timeout_fails": "--timeout-fails",
    "any_failure": "--any-failure",
    "says": "--says",
}
