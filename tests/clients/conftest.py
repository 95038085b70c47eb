"""The backend of these tests: the fake as a process, one a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.support import EMAIL, PASSWORD
from tests.processes import fake_server

PING_INTERVAL_S = 1


@pytest.fixture(autouse=True)
def _linux() -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("whether all clients have left the proxy is read from Linux' /proc")


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a fake with a small fleet, which wants its PINGs answered within a second."""
    user_file = tmp_path_factory.mktemp("fake") / "userdata"
    user_file.write_text(f"EMAIL={EMAIL}\nPASSWORD='{PASSWORD}'\n")
    with fake_server("--user-file", user_file, "--ping-interval", PING_INTERVAL_S) as url:
        yield url
