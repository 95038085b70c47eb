"""Programs beyond Python that some tests need: CI installs them, a user's machine may lack them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
"""Where this environment's commands are."""

NODE_MODULES = Path(__file__).parents[1] / "build" / "node" / "node_modules"
"""Where `.ci/run` installs the packages that `tests/clients/node/package.json` names."""

# Debian keeps servers where a user's PATH does not lead.
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))


def find(program: str) -> str | None:
    """The path of a program, None where it is missing."""
    return shutil.which(program, path=_PATH)


def require(*programs: str) -> None:
    """Skip the test, saying what is missing; in CI, where all must be there, fail it."""
    missing = [program for program in programs if find(program) is None]
    if missing:
        _lack(f"this test needs {', '.join(missing)}: install it, for example by apt-get install")


def require_node(*packages: str) -> None:
    """The same for Node's program and its packages."""
    require("node")
    missing = [package for package in packages if not (NODE_MODULES / package).is_dir()]
    if missing:
        _lack(
            f"this test needs {', '.join(missing)} of npm: mkdir -p build/node &&"
            " cp tests/clients/node/package.json build/node/ && npm install --prefix build/node"
        )


def _lack(message: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
