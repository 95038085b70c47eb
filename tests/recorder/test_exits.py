"""One table of exit codes, here and in the documentation."""

from __future__ import annotations

import os
import re
from pathlib import Path

from recorder.exits import MEANINGS, Exit

PAGE = Path(__file__).parents[2] / "docs" / "exit-codes.md"


def test_every_code_has_a_meaning() -> None:
    assert list(MEANINGS) == list(Exit)
    assert all(MEANINGS.values())


def test_the_documentation_shows_the_same_table() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert rows == [(str(int(code)), code.name, meaning) for code, meaning in MEANINGS.items()]


def test_the_numbers_are_those_of_sysexits() -> None:
    sysexits = {
        Exit.USAGE: os.EX_USAGE,
        Exit.BAD_DATA: os.EX_DATAERR,
        Exit.NO_INPUT: os.EX_NOINPUT,
        Exit.UNREACHABLE: os.EX_UNAVAILABLE,
        Exit.BUG: os.EX_SOFTWARE,
        Exit.EXISTS: os.EX_CANTCREAT,
        Exit.DISK_FAILED: os.EX_IOERR,
        Exit.CONNECTION_LOST: os.EX_TEMPFAIL,
        Exit.HANDSHAKE_REFUSED: os.EX_PROTOCOL,
        Exit.LOGIN_REFUSED: os.EX_NOPERM,
    }
    assert {code: int(code) for code in sysexits} == sysexits
