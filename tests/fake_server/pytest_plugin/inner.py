"""Inner runs of pytest, in this process."""

from __future__ import annotations

import httpcore  # noqa: F401 - httpx imports it when it is first used
import pytest
import websockets.sync.client  # noqa: F401 - as said

# What an inner run imports first is imported anew by each: pytester takes it away again.
import fake_server.last_frames
import fake_server.pytest_plugin.watch
import fake_server.testing.adding
import fake_server.testing.expect
import fake_server.testing.guard
import fake_server.testing.live  # noqa: F401 - as said

__all__ = ["OPTIONS", "kept", "run"]

CLIENT = """
import urllib.error
import urllib.request

import pytest
from websockets.sync.client import connect


def open_socket(server, cookie=None):
    return connect(server.ws_url, additional_headers={"Cookie": cookie or server.login().cookie})


def get(server, path, cookie=None):
    headers = {"Cookie": cookie or server.login().cookie}
    request = urllib.request.Request(server.base_url + path, headers=headers)
    with urllib.request.urlopen(request) as answer:
        return answer.read()
"""

OPTIONS = ("-p", "no:cacheprovider", "-p", "fake_server.pytest_plugin", "-p", "pytest_trio.plugin")
"""Those of an inner run. Without the plugins that happen to be installed it begins much sooner."""


def run(pytester: pytest.Pytester, body: str, *arguments: str) -> pytest.RunResult:
    """Run a test file of these tests."""
    pytester.makepyfile(test_it=CLIENT + body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return pytester.runpytest_inprocess("-q", *OPTIONS, *arguments)


def kept(pytester: pytest.Pytester) -> list[str]:
    """The sessions of failed tests."""
    folder = pytester.path / "track-failures"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jsonl"))
