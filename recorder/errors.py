"""The errors of this package, one tree.

::

    RecorderError                   exit code
    ├── RecordingError              65   a recording cannot be read
    │   ├── CorruptRecording        65   a line is not what the format says, or bytes are damaged
    │   └── UnsupportedVersion      65   written by a newer tool
    ├── ImportFailed                65   a foreign file holds nothing that can be read
    ├── RulesError                  65   a rules file, or a file of accounts, is wrong
    ├── CannotRead                  66   an input file cannot be opened
    ├── OutputExists                73   an output exists and ``--force`` was not given
    ├── DiskFailed                  74   writing failed; what was written before is intact
    ├── Unreachable                 69   no TCP or TLS connection, or no HTTP on it
    ├── LoginRefused                77   ``POST /api/session`` was answered without a session
    ├── HandshakeRefused            76   ``/api/socket`` was answered without a 101 that holds
    └── ConnectionLost              75   an open connection ended before its work was done

A message says what was read, where, what was expected and what to do. It never holds a secret.
"""

from __future__ import annotations

from typing import ClassVar

from recorder.exits import Exit

__all__ = [
    "CannotRead",
    "ConnectionLost",
    "CorruptRecording",
    "DiskFailed",
    "HandshakeRefused",
    "ImportFailed",
    "LoginRefused",
    "OutputExists",
    "RecorderError",
    "RecordingError",
    "RulesError",
    "Unreachable",
    "UnsupportedVersion",
    "the_one_of",
]


class RecorderError(Exception):
    """The root of the tree; ``exit_code`` is what a command ends with."""

    exit_code: ClassVar[Exit] = Exit.BUG


def the_one_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error of ours that ended everything, if ``group`` holds nothing else; else ``group``.

    After the first failure of a disk everything fails in the same words: one of them says it all.
    """
    ours, rest = group.split(RecorderError)
    if rest is not None or ours is None:
        return group
    found: BaseException = ours
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


class RecordingError(RecorderError):
    """A recording cannot be read. The message names the file and, where there is one, the line."""

    exit_code = Exit.BAD_DATA


class CorruptRecording(RecordingError):
    """A line is not what the format says, or compressed bytes are damaged."""


class UnsupportedVersion(RecordingError):
    """The recording has a higher format version than this tool reads."""


class ImportFailed(RecorderError):
    """A foreign file holds nothing that can be read as a capture."""

    exit_code = Exit.BAD_DATA


class RulesError(RecorderError):
    """A file of rules or accounts is wrong. The message names the file and the field."""

    exit_code = Exit.BAD_DATA


class CannotRead(RecorderError):
    """An input file cannot be opened."""

    exit_code = Exit.NO_INPUT


class OutputExists(RecorderError):
    """An output file exists already and ``--force`` was not given, or cannot be made."""

    exit_code = Exit.EXISTS


class DiskFailed(RecorderError):
    """Writing failed. Whole lines written before it are intact."""

    exit_code = Exit.DISK_FAILED


class Unreachable(RecorderError):
    """No connection could be made, or what answered does not speak HTTP."""

    exit_code = Exit.UNREACHABLE


class LoginRefused(RecorderError):
    """The login was answered, but not with a session."""

    exit_code = Exit.LOGIN_REFUSED


class HandshakeRefused(RecorderError):
    """The WebSocket handshake was answered, but not with a 101 that holds."""

    exit_code = Exit.HANDSHAKE_REFUSED


class ConnectionLost(RecorderError):
    """An open connection ended before its work was done."""

    exit_code = Exit.CONNECTION_LOST
