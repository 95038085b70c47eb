"""Who logs in: an email and a password, from a file, the environment or a prompt. Never from the
command line.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from recorder.errors import CannotRead, RulesError

__all__ = [
    "EMAIL_VARIABLE",
    "PASSWORD_VARIABLE",
    "Credentials",
    "credentials_from_environment",
    "read_user_file",
]

EMAIL_VARIABLE: Final = "TRACK_EMAIL"
PASSWORD_VARIABLE: Final = "TRACK_PASSWORD"


class Credentials(msgspec.Struct, frozen=True):
    """One account. Neither value shows in its repr."""

    email: str
    password: str

    def __repr__(self) -> str:
        return "Credentials(email=…, password=…)"


def credentials_from_environment(environment: Mapping[str, str] = os.environ) -> Credentials | None:
    """The account in ``TRACK_EMAIL`` and ``TRACK_PASSWORD``, or None unless both are set."""
    email, password = environment.get(EMAIL_VARIABLE), environment.get(PASSWORD_VARIABLE)
    return Credentials(email, password) if email and password else None


def read_user_file(path: Path) -> list[Credentials]:
    """Read accounts in the form of the manual's `userdata` file (section 3.6): ``EMAIL=…`` and
    ``PASSWORD=…``.

    It is read as a shell would: quotes, ``export`` and comments are understood, nothing is expanded
    or run. Each EMAIL begins a further account. Raises CannotRead if the file cannot be opened and
    RulesError, which names the line but never its value, if a line is something else or a half is
    missing.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CannotRead(f"{path}: cannot read the user file: {reason}") from error
    accounts: list[dict[str, str]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, value = _assignment(path, number, line)
        if name == "EMAIL" or not accounts:
            accounts.append({})
        if name in accounts[-1]:
            raise RulesError(
                f"{path}:{number}: a second PASSWORD for one EMAIL; accounts begin with EMAIL"
            )
        accounts[-1][name] = value
    if not accounts:
        raise RulesError(f"{path}: no account found; expected the lines EMAIL=… and PASSWORD=…")
    for account in accounts:
        for name in ("EMAIL", "PASSWORD"):
            if not account.get(name):
                raise RulesError(
                    f"{path}: an account has no {name}; expected the lines EMAIL=… and PASSWORD=…"
                )
    return [Credentials(account["EMAIL"], account["PASSWORD"]) for account in accounts]


def _assignment(path: Path, number: int, line: str) -> tuple[str, str]:
    expected = f"{path}:{number}: expected EMAIL=… or PASSWORD=…"
    text = line.strip()
    text = text.removeprefix("export ").lstrip()
    name, equals, value = text.partition("=")
    if not equals or name not in ("EMAIL", "PASSWORD"):
        raise RulesError(expected)
    if value[:1] in ("'", '"'):
        try:
            words = shlex.split(value, comments=True)
        except ValueError:
            raise RulesError(f"{expected}, with its quote closed") from None
        if len(words) != 1:
            raise RulesError(f"{expected}, one value")
        return name, words[0]
    # An unquoted value ends at white space, as in a shell; a `#` behind it begins a comment.
    bare, _, rest = value.partition(" ")
    if rest.strip() and not rest.lstrip().startswith("#"):
        raise RulesError(f"{expected}; put quotes around a value with spaces")
    return name, bare
