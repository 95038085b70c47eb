"""The options of the plugin: where failed sessions are kept, and when recordings are made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from fake_server.pytest_plugin.modes import MODES, Mode, parse_age

__all__ = ["OPTIONS", "Options", "add_options", "read_options"]


class Options(NamedTuple):
    """What the command line says. ``url`` is the backend, ``ca_file`` the authorities to trust for
    it; ``in_ci`` whether the variable ``CI`` is set.

    No msgspec.Struct: every run of pytest imports this module, and msgspec takes longer than the
    rest of the plugin.
    """

    failures: Path
    mode: Mode = "replay"
    url: str | None = None
    ca_file: Path | None = None
    max_age_days: float | None = None
    in_ci: bool = False
    record_in_ci: bool = False

    @property
    def may_record(self) -> bool:
        """Not in CI, unless it was told otherwise."""
        return not self.in_ci or self.record_in_ci


OPTIONS: Final = pytest.StashKey[Options]()


def add_options(parser: pytest.Parser) -> None:
    """Make the options known to pytest."""
    group = parser.getgroup("track", "contract tests against a fake Track server")
    group.addoption(
        "--track-failures",
        metavar="DIR",
        default="track-failures",
        help="Where the sessions of failed tests are kept as recordings [track-failures].",
    )
    group.addoption(
        "--track-mode",
        choices=MODES,
        default="replay",
        help="For tests with recording=True. replay: a fake plays it [default]; once: record where"
        " there is none; new: record what it lacks; all: record always; live: run against the"
        " backend and record nothing.",
    )
    group.addoption(
        "--track-url",
        metavar="URL",
        help="The backend to record, as https://track.example.com; who logs in stands in the"
        " variables TRACK_EMAIL and TRACK_PASSWORD.",
    )
    group.addoption(
        "--track-ca-file",
        metavar="PEM",
        help="Further certificate authorities to trust for the backend.",
    )
    group.addoption(
        "--track-max-age",
        metavar="AGE",
        help="A recording older than this, as 12h, 30d or 2w, fails its test, or is recorded again"
        " in the modes that record.",
    )
    group.addoption(
        "--track-record-in-ci",
        action="store_true",
        help="Record although the variable CI is set.",
    )


def read_options(config: pytest.Config) -> Options:
    """What the command line says, checked. Raises pytest.UsageError."""
    age = config.getoption("track_max_age")
    url = config.getoption("track_url")
    ca_file = config.getoption("track_ca_file")
    try:
        max_age_days = None if age is None else parse_age(age)
    except ValueError as error:
        raise pytest.UsageError(f"--track-max-age: {error}") from error
    try:
        if url is not None:
            from recorder.backend import Backend

            Backend.parse(url)
    except ValueError as error:
        raise pytest.UsageError(f"--track-url: {error}") from error
    return Options(
        failures=config.rootpath / config.getoption("track_failures"),
        mode=config.getoption("track_mode"),
        url=url,
        ca_file=None if ca_file is None else config.invocation_params.dir / ca_file,
        max_age_days=max_age_days,
        in_ci=os.environ.get("CI", "").lower() not in ("", "0", "false"),
        record_in_ci=config.getoption("track_record_in_ci"),
    )
