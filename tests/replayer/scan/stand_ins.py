"""Checks that need no protocol: they go by what a recording is called."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_args

import msgspec

from replayer.reading.series import SeriesReader
from replayer.scan.checks import Finding
from replayer.scan.finding import Found
from replayer.scan.rows import Verdict


class ByName(msgspec.Struct, frozen=True):
    """The verdict is the first word of the name. A recording called ``killer`` kills who reads it,
    ``bug`` raises, ``endless`` never comes to an end."""

    key: str = "by-name"

    def prepare(self) -> None:
        """Nothing."""

    def __call__(self, parts: tuple[str, ...]) -> Finding:
        word = Path(parts[0]).name.partition(".")[0].partition("-")[0]
        if word == "killer":
            os._exit(9)
        if word == "bug":
            raise ZeroDivisionError("of the check")
        with SeriesReader(parts) as reader:
            count = sum(1 for _ in reader)
        verdict: Any = word if word in get_args(Verdict) else "kept"
        return Finding(verdict, f"{count} entries")


def found(path: Path | str, size_bytes: int = 1, parts: tuple[str, ...] = ()) -> Found:
    """As if it had been found."""
    return Found(str(path), parts or (str(path),), size_bytes, 1)
