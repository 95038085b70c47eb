"""What pytest calls. Light: it is imported for every run of pytest, with Track tests or without."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import pytest

from fake_server.pytest_plugin.watch import WATCH

__all__ = ["FAILURES_OPTION", "pytest_addoption", "pytest_configure", "pytest_runtest_call"]

FAILURES_OPTION: Final = "track_failures"

_MARK: Final = (
    "track(recording, playback, speed, at_end, pings, paused, rebase, faults, fault_seed, rules,"
    " user_file, require_all, allow): what the fake Track server of this test is like, and what"
    " shall not fail it"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the plugin."""
    group = parser.getgroup("track", "contract tests against a fake Track server")
    group.addoption(
        "--track-failures",
        dest=FAILURES_OPTION,
        metavar="DIR",
        default="track-failures",
        help="Where the sessions of failed tests are kept as recordings [track-failures].",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", _MARK)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Judge what clients did as soon as the test's function is through: then the test itself has
    failed, and not its taking down.
    """
    try:
        result = yield
    except BaseException:
        if (watch := item.stash.get(WATCH, None)) is not None:
            watch.test_failed(item)
        raise
    if (watch := item.stash.get(WATCH, None)) is not None:
        watch.judge(item)
    return result
