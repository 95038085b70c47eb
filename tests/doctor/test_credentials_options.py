"""Where the commands' credentials come from."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from recorder.commands import credentials_options
from recorder.commands.credentials_options import (
    find_credentials,
    need_credentials,
    user_file_option,
)
from recorder.credentials import Credentials

FILE = "EMAIL=file@example.org\nPASSWORD=from the file\n"


@click.command()
@user_file_option
def who(user_file: Path | None) -> None:
    """Say whose credentials were found."""
    found = find_credentials(user_file)
    click.echo(found.email if found is not None else "nobody")


@pytest.fixture(autouse=True)
def _without_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRACK_EMAIL", raising=False)
    monkeypatch.delenv("TRACK_PASSWORD", raising=False)


def test_a_file_comes_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "userdata"
    file.write_text(FILE.replace("the file", "'the file'").replace("from ", "from-"))
    account = {"TRACK_EMAIL": "environment@example.org", "TRACK_PASSWORD": "x"}
    runner = CliRunner(env=account)
    assert runner.invoke(who, ["--user-file", str(file)]).stdout == "file@example.org\n"
    assert runner.invoke(who).stdout == "environment@example.org\n"


def test_of_several_accounts_the_first_is_used_and_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "userdata"
    file.write_text("EMAIL=a@example.org\nPASSWORD=1\nEMAIL=b@example.org\nPASSWORD=2\n")
    done = CliRunner().invoke(who, ["--user-file", str(file)])
    assert done.stdout == "a@example.org\n"
    assert done.stderr == f"{file}: 2 accounts; the first is used\n"


def test_without_a_terminal_there_is_nobody_to_ask() -> None:
    assert CliRunner().invoke(who).stdout == "nobody\n"
    with pytest.raises(click.UsageError, match="no credentials: give --user-file, or set TRACK_"):
        need_credentials(None)


def test_at_a_terminal_they_are_asked_for_and_the_password_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    asked: list[tuple[str, bool]] = []

    def prompt(text: str, *, hide_input: bool = False, err: bool = False) -> str:
        assert err
        asked.append((text, hide_input))
        return text.lower()

    monkeypatch.setattr(credentials_options.sys, "stdin", Terminal())
    monkeypatch.setattr(credentials_options.click, "prompt", prompt)
    assert need_credentials(None) == Credentials("email", "password")
    assert asked == [("Email", False), ("Password", True)]
