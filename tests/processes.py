"""The project's commands as processes, for tests that need a real one."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.programs import BIN

__all__ = ["clean_environment", "fake_server", "run"]


def clean_environment(**more: str) -> dict[str, str]:
    """This environment without what would change the commands' behaviour."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRACK_")}
    return {**kept, "PYTHONWARNINGS": "error", **more}


def run(
    *arguments: object, cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run one of the project's commands to its end; it has a minute."""
    return subprocess.run(
        [str(BIN / str(arguments[0])), *map(str, arguments[1:])],
        cwd=cwd,
        env=clean_environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def fake_server(*arguments: object) -> Iterator[str]:
    """`track-fake-server serve --port 0 …`; gives its URL, and ends it in order."""
    process = subprocess.Popen(
        [str(BIN / "track-fake-server"), "serve", "--port", "0", *map(str, arguments)],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, process.communicate(timeout=20)[1]
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors, errors
