"""The pytest plugin: a fake Track server for each test that asks for one, which fails the test if a
client broke a rule.

It is found by pytest without an import. Fixtures: ``track_server``, ``track_settings`` (what the
server is like) and ``track_recording`` (what it plays), both to be overridden,
``track_credentials`` (who logs in where a backend is recorded), ``track_network_guard`` (nothing
else is talked to). Mark: ``track``, whose values are those of
:class:`fake_server.testing.settings.Settings`. See docs/pytest.md.
"""

from __future__ import annotations

from fake_server.pytest_plugin.fixtures import (
    track_credentials,
    track_network_guard,
    track_recording,
    track_server,
    track_settings,
)
from fake_server.pytest_plugin.hooks import (
    pytest_addoption,
    pytest_configure,
    pytest_report_header,
    pytest_runtest_call,
    pytest_runtest_makereport,
    pytest_runtest_teardown,
    pytest_terminal_summary,
)

__all__ = [
    "pytest_addoption",
    "pytest_configure",
    "pytest_report_header",
    "pytest_runtest_call",
    "pytest_runtest_makereport",
    "pytest_runtest_teardown",
    "pytest_terminal_summary",
    "track_credentials",
    "track_network_guard",
    "track_recording",
    "track_server",
    "track_settings",
]
