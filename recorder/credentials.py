"""Who logs in: an email and a password, from a file, the environment or a prompt. Never from the
command line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

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

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("email", "…"), ("password", "…")]


def credentials_from_environment(environment: Mapping[str, str] = os.environ) -> Credentials | None:
    """The account in ``TRACK_EMAIL`` and ``TRACK_PASSWORD``, or None unless both are set."""
    email, password = environment.get(EMAIL_VARIABLE), environment.get(PASSWORD_VARIABLE)
    if not email or not password:
        return None
    try:
        (email + password).encode("utf-8")
    except UnicodeEncodeError:
        raise RulesError(f"{EMAIL_VARIABLE} or {PASSWORD_VARIABLE} is not UTF-8") from None
    return Credentials(email, password)


def read_user_file(path: Path) -> list[Credentials]:
    """Read accounts in the form of the manual's `userdata` file (section 3.6): ``EMAIL=…`` and
    ``PASSWORD=…``.

    It is read as a shell would: quotes, ``export`` and comments are understood, nothing is expanded
    or run. Each EMAIL begins a further account. Raises CannotRead if the file cannot be opened and
    RulesError, which names the line but never its value, if a line is something else or a half is
    missing.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CannotRead(f"{path}: cannot read the user file: {reason}") from error
    accounts: list[dict[str, str]] = []
    starts: list[int] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, value = _assignment(path, number, line)
        if name == "EMAIL" or not accounts:
            accounts.append({})
            starts.append(number)
        if name in accounts[-1]:
            raise RulesError(
                f"{path}:{number}: a second PASSWORD for one EMAIL; accounts begin with EMAIL"
            )
        accounts[-1][name] = value
    if not accounts:
        raise RulesError(f"{path}: no account found; expected the lines EMAIL=… and PASSWORD=…")
    for start, account in zip(starts, accounts, strict=True):
        for name in ("EMAIL", "PASSWORD"):
            if not account.get(name):
                raise RulesError(
                    f"{path}:{start}: an account has no {name};"
                    " expected the lines EMAIL=… and PASSWORD=…"
                )
    return [Credentials(account["EMAIL"], account["PASSWORD"]) for account in accounts]


def _assignment(path: Path, number: int, line: str) -> tuple[str, str]:
    expected = f"{path}:{number}: expected EMAIL=… or PASSWORD=…"
    text = line.strip()
    text = re.sub(r"^export\s+", "", text)
    name, equals, value = text.partition("=")
    if not equals or name not in ("EMAIL", "PASSWORD"):
        raise RulesError(expected)
    word, rest = _shell_word(value)
    if rest[:1] in ("'", '"', "\\"):
        raise RulesError(f"{expected}, with its quote closed")
    if rest.strip() and not rest.lstrip().startswith("#"):
        raise RulesError(f"{expected}; put quotes around a value with spaces")
    return name, word


_PIECE: Final = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+)""")


def _shell_word(text: str) -> tuple[str, str]:
    """The first word with its quotes undone, as POSIX 2.2 has them, and what stands behind it."""
    word, at = "", 0
    while piece := _PIECE.match(text, at):
        single, double, escaped, plain = piece.groups()
        # Inside double quotes a backslash escapes only these four.
        word += (
            re.sub(r'\\([$`"\\])', r"\1", double) if double else single or escaped or plain or ""
        )
        at = piece.end()
    return word, text[at:]
