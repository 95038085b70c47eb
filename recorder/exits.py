"""The one table of exit codes, for every command of the three packages.

The numbers follow ``sysexits.h`` where it has a name for the case, so that scripts and CI systems
that know it need no translation. ``docs/exit-codes.md`` shows the same table and is checked against
this module by a test.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = ["MEANINGS", "Exit"]


class Exit(IntEnum):
    """What a command's exit status says."""

    OK = 0
    DIFFERENT = 1
    UNDECIDED = 2
    USAGE = 64
    BAD_DATA = 65
    NO_INPUT = 66
    UNREACHABLE = 69
    BUG = 70
    EXISTS = 73
    DISK_FAILED = 74
    CONNECTION_LOST = 75
    HANDSHAKE_REFUSED = 76
    LOGIN_REFUSED = 77
    INTERRUPTED = 130


MEANINGS: Final[dict[Exit, str]] = {
    Exit.OK: "done",
    Exit.DIFFERENT: "the answer is no: recordings differ, or a check failed",
    Exit.UNDECIDED: "neither yes nor no: too little was seen to tell",
    Exit.USAGE: "the command line is wrong",
    Exit.BAD_DATA: "an input file does not hold what it should",
    Exit.NO_INPUT: "an input file, or the program to run, cannot be opened",
    Exit.UNREACHABLE: "nothing answers at that address, or the port is taken",
    Exit.BUG: "a bug in the tool; please report the traceback",
    Exit.EXISTS: "the output exists already (see --force) or cannot be made",
    Exit.DISK_FAILED: "writing failed; what was written before is intact",
    Exit.CONNECTION_LOST: "the connection ended before the capture was complete",
    Exit.HANDSHAKE_REFUSED: "the server refused the WebSocket handshake",
    Exit.LOGIN_REFUSED: "the server refused the login",
    Exit.INTERRUPTED: "interrupted by Ctrl-C or SIGTERM before the work was done",
}
