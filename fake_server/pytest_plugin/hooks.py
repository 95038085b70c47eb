"""What pytest calls. Light: it is imported for every run of pytest, with Track tests or without."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import pytest

from fake_server.pytest_plugin.options import OPTIONS, add_options, read_options
from fake_server.pytest_plugin.watch import WATCH

__all__ = [
    "pytest_addoption",
    "pytest_configure",
    "pytest_report_header",
    "pytest_runtest_call",
    "pytest_runtest_makereport",
    "pytest_runtest_teardown",
    "pytest_terminal_summary",
]

_MARK: Final = (
    "track(recording, playback, speed, at_end, pings, paused, rebase, faults, fault_seed, rules,"
    " user_file, require_all, allow): what the fake Track server of this test is like, and what"
    " shall not fail it"
)

_RECORDED: Final = "track recordings"
"""The user property of a test that says what was recorded of it."""

_INTERRUPTED: Final = pytest.StashKey[list[str]]()
"""What the server saw of the test that was interrupted: there is no report of that."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the plugin."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known; read the options. Raises pytest.UsageError."""
    config.addinivalue_line("markers", _MARK)
    config.stash[OPTIONS] = read_options(config)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Which mode it is, if not the usual one."""
    options = config.stash[OPTIONS]
    if options.mode == "replay":
        return None
    backend = "" if options.url is None else f", backend {options.url}"
    why = "; CI is set, nothing is recorded" if not options.may_record else ""
    return f"track: mode {options.mode}{backend}{why}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Judge what clients did as soon as the test's function is through: then the test itself has
    failed, and not its taking down.
    """
    # The test may have asked for its server only when it ran.
    try:
        result = yield
    except (KeyboardInterrupt, pytest.exit.Exception):
        if (watch := item.stash.get(WATCH, None)) is not None:
            told = [f"{item.nodeid} was interrupted", *watch.interrupted()]
            item.config.stash[_INTERRUPTED] = told
        raise
    if (watch := item.stash.get(WATCH, None)) is not None:
        watch.judge()
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what became of the test, once all others have had their say on that."""
    report = yield
    if call.when != "teardown" and (watch := item.stash.get(WATCH, None)) is not None:
        watch.reported(report, None if call.excinfo is None else call.excinfo.value)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Only when everything of a test is taken down it has passed, and is recorded."""
    try:
        result = yield
    except BaseException:
        if (watch := item.stash.get(WATCH, None)) is not None:
            del item.stash[WATCH]
            watch.drop()
        raise
    if (watch := item.stash.get(WATCH, None)) is not None:
        del item.stash[WATCH]
        if words := watch.place():
            item.user_properties.append((_RECORDED, words))
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was recorded, to be looked at and committed; what was seen of a test that was
    interrupted, which may have hung.
    """
    told = [
        str(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "teardown"
        for name, value in report.user_properties
        if name == _RECORDED
    ]
    if told:
        terminalreporter.section("track recordings")
        for line in sorted(told):
            terminalreporter.line(line)
    if interrupted := terminalreporter.config.stash.get(_INTERRUPTED, None):
        terminalreporter.section("track server")
        for line in interrupted:
            terminalreporter.line(line)
