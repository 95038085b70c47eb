"""What the commands know of where their answer goes."""

from __future__ import annotations

import shutil
import sys
from typing import Final

__all__ = ["PIPED_COLUMNS", "make_output_safe", "output_columns"]

PIPED_COLUMNS: Final = 160
"""How wide a line is where no terminal says: wide enough for names, narrow enough for a CI log."""


def output_columns() -> int:
    """The width of the terminal, or :data:`PIPED_COLUMNS` where stdout is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPED_COLUMNS


def make_output_safe() -> None:
    """A terminal whose encoding lacks a character gets an escape rather than a traceback."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
