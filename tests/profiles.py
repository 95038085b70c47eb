"""How many examples a property takes: a number for every run, more for a night."""

from __future__ import annotations

import os
from typing import Final

NIGHTLY_FACTOR: Final = 20

EVERY_RUN_FACTOR: Final = 0.1
"""All of the tests together take less than ten minutes on two processors."""


def examples(some: int, *, least: int = 5) -> int:
    """How many examples a property of that weight takes in this run; one whose examples are long
    may do with a smaller ``least``.
    """
    is_night = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
    return max(least, round(some * (NIGHTLY_FACTOR if is_night else EVERY_RUN_FACTOR)))
