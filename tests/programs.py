"""Programs beyond Python that some tests need: CI installs them, a user's machine may lack them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
"""Where this environment's commands are."""


def require(*programs: str) -> None:
    """Skip the test, saying what is missing; in CI, where all must be there, fail it."""
    missing = [program for program in programs if shutil.which(program) is None]
    if not missing:
        return
    message = f"this test needs {', '.join(missing)}: install it, for example by apt-get install"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
