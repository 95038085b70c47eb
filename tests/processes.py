"""The project's commands as processes, for tests that need a real one."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.programs import BIN

__all__ = ["clean_environment", "fake_server", "run", "serving"]


def clean_environment(**more: str) -> dict[str, str]:
    """This environment without what would change the commands' behaviour."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "CI" and not name.startswith("TRACK_")
    }
    return {**kept, "PYTHONWARNINGS": "error", **more}


def run(
    program: object, *arguments: object, cwd: Path | None = None, timeout_s: float = 60, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run one of this environment's commands, or the program at a path, to its end."""
    return subprocess.run(
        [str(BIN / str(program)), *map(str, arguments)],
        cwd=cwd,
        env=clean_environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@contextmanager
def serving(
    *arguments: object, program: Path = BIN / "track-fake-server", cwd: Path | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`track-fake-server serve --port 0 …` and its URL; what still runs at the end is killed."""
    process = subprocess.Popen(
        [str(program), "serve", "--port", "0", *map(str, arguments)],
        cwd=cwd,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, process.communicate(timeout=20)[1]
        yield process, url
    finally:
        process.kill()
        process.communicate(timeout=20)


@contextmanager
def fake_server(*arguments: object, **where: Path) -> Iterator[str]:
    """The same, ended in order; gives its URL. ``where`` is as above."""
    with serving(*arguments, **where) as (process, url):
        try:
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors, errors
