"""How many examples a property takes: a number for every run, more for a night."""

from __future__ import annotations

import os
from typing import Final

NIGHTLY_FACTOR: Final = 20


EVERY_RUN_FACTOR: Final = 0.15
"""All of the tests together take less than ten minutes on two processors."""


def examples(some: int) -> int:
    """How many examples a property of that weight takes in this run."""
    is_night = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
    return max(5, round(some * (NIGHTLY_FACTOR if is_night else EVERY_RUN_FACTOR)))
