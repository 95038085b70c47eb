"""The options of the plugin, as pytest's command line and the environment give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_server.pytest_plugin.options import OPTIONS, Options, read_options
from tests.fake_server.pytest_plugin.inner import OPTIONS as INNER


def options(pytester: pytest.Pytester, *arguments: str) -> Options:
    return pytester.parseconfigure(*INNER, *arguments).stash[OPTIONS]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def test_without_any_nothing_is_recorded_and_failures_lie_below_the_root(
    pytester: pytest.Pytester,
) -> None:
    assert options(pytester) == Options(failures=pytester.path / "track-failures")


def test_each_is_read_and_paths_are_where_a_user_of_pytest_expects_them(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A path of the command line is seen from the shell that it was typed in, the folder of
    # failures from the root of the project.
    here = pytester.mkdir("here")
    monkeypatch.chdir(here)
    assert options(
        pytester,
        f"--rootdir={pytester.path}",
        "--track-failures=failed",
        "--track-mode=new",
        "--track-url=https://track.example",
        "--track-ca-file=ca.pem",
        "--track-max-age=2w",
        "--track-record-in-ci",
    ) == Options(
        failures=pytester.path / "failed",
        mode="new",
        url="https://track.example",
        ca_file=here / "ca.pem",
        max_age_days=14.0,
        in_ci=False,
        record_in_ci=True,
    )


@pytest.mark.parametrize(
    ("value", "in_ci"),
    [
        ("", False),
        ("0", False),
        ("false", False),
        ("False", False),
        ("true", True),
        ("1", True),
        ("woodpecker", True),
    ],
)
def test_in_ci_is_where_the_variable_says_so(
    value: str, in_ci: bool, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", value)
    assert read_options(pytestconfig).in_ci is in_ci


@pytest.mark.parametrize(
    ("in_ci", "told", "may"),
    [(False, False, True), (False, True, True), (True, False, False), (True, True, True)],
)
def test_in_ci_only_who_was_told_may_record(in_ci: bool, told: bool, may: bool) -> None:
    assert Options(failures=Path(), in_ci=in_ci, record_in_ci=told).may_record is may


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--track-max-age=soon", "--track-max-age: 'soon' is no age"),
        ("--track-url=ftp://track.example", "--track-url: the scheme 'ftp' is none of"),
    ],
)
def test_what_cannot_be_is_an_error_of_usage(
    option: str, told: str, pytester: pytest.Pytester
) -> None:
    with pytest.raises(pytest.UsageError, match=told):
        options(pytester, option)
