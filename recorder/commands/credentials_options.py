"""Who logs in: the option and the other ways to say it, the same for every command that does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from recorder.console import say
from recorder.credentials import (
    EMAIL_VARIABLE,
    PASSWORD_VARIABLE,
    Credentials,
    credentials_from_environment,
    read_user_file,
)

__all__ = ["find_credentials", "need_credentials", "user_file_option"]

_F = TypeVar("_F", bound=Callable[..., Any])


def user_file_option(command: _F) -> _F:
    """Add ``--user-file``, which the command gets as ``user_file``."""
    return click.option(
        "--user-file",
        type=click.Path(path_type=Path),
        help="EMAIL=… and PASSWORD=… lines, as the manual's userdata.",
    )(command)


def find_credentials(user_file: Path | None) -> Credentials | None:
    """From the user file, else from the environment, else from a prompt; None where there is no
    terminal to ask at. Raises CannotRead and RulesError.
    """
    if user_file is not None:
        accounts = read_user_file(user_file)
        if len(accounts) > 1:
            say(f"{user_file}: {len(accounts)} accounts; the first is used")
        return accounts[0]
    found = credentials_from_environment()
    if found is not None:
        return found
    if not sys.stdin.isatty():
        return None
    email = click.prompt("Email", err=True)
    return Credentials(email, click.prompt("Password", hide_input=True, err=True))


def need_credentials(user_file: Path | None) -> Credentials:
    """The same, for a command that cannot do without. Raises click.UsageError too."""
    found = find_credentials(user_file)
    if found is None:
        raise click.UsageError(
            f"no credentials: give --user-file, or set {EMAIL_VARIABLE} and {PASSWORD_VARIABLE}"
            " (there is no terminal to ask at)"
        )
    return found
