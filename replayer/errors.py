"""The errors of this package, one tree below the recorder's, so that every command reports them
alike.

::

    RecorderError (recorder.errors)      exit code
    └── ReplayerError
        ├── CannotTry                    66   the command cannot be run under the fake server
        ├── CannotExport                 65   the recording does not hold the bytes asked for
        ├── NoContract                   65   the file is no contract
        ├── NothingLearnt                65   the recordings hold nothing of what was asked for
        └── WrongState                   65   a file of outcomes is of other work

``CannotTry`` and ``WrongState`` are at home in :mod:`replayer.minimise`. What a replayer shares
with the recorder (a recording that cannot be read, an output that exists, a full disk) has its
error there. A message says what was read, where, what was expected and what to do. It never holds
a secret.
"""

from __future__ import annotations

from recorder.errors import RecorderError
from recorder.exits import Exit

__all__ = ["CannotExport", "NoContract", "NothingLearnt", "ReplayerError"]


class ReplayerError(RecorderError):
    """The root of this package's own errors."""


class CannotExport(ReplayerError):
    """The recording does not hold the bytes that were asked for."""

    exit_code = Exit.BAD_DATA


class NoContract(ReplayerError):
    """The file is no contract, or one of another version."""

    exit_code = Exit.BAD_DATA


class NothingLearnt(ReplayerError):
    """The recordings hold nothing of what was asked for."""

    exit_code = Exit.BAD_DATA
