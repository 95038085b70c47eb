"""How many examples a property takes: a number for every run, more for a night."""

from __future__ import annotations

import os
from typing import Final

NIGHTLY_FACTOR: Final = 20


def examples(every_run: int) -> int:
    """`every_run` examples, or NIGHTLY_FACTOR times as many under the nightly profile."""
    return (
        every_run * NIGHTLY_FACTOR
        if os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
        else every_run
    )
