"""The options that say what is taken out of a recording, the same for every command that writes
one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from recorder.console import say
from recorder.redaction.options import Profile, RedactionOptions
from recorder.redaction.own_rules import load_own_rules
from recorder.redaction.share import KEY_VARIABLE, RedactionKey, key_from_file, key_from_text

__all__ = ["RedactionOptions", "redaction_options"]

_F = TypeVar("_F", bound=Callable[..., Any])


def redaction_options(command: _F) -> _F:
    """Add the options to a command, which gets them as ``redaction``."""

    @click.option(
        "--redact",
        "profile",
        type=click.Choice(["secrets", "share", "none"]),
        default="secrets",
        show_default=True,
        help="What to take out; share also replaces names, ids and places.",
    )
    @click.option(
        "--redaction-key",
        "key_file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help=f"The key of pseudonyms, or {KEY_VARIABLE}; else a random one.",
    )
    @click.option(
        "--redaction-rules",
        "rules_file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="A TOML file of what else to take out.",
    )
    @wraps(command)
    def with_options(
        *arguments: Any,
        profile: Profile,
        key_file: Path | None,
        rules_file: Path | None,
        **others: Any,
    ) -> Any:
        redaction = _read(profile, key_file, rules_file)
        return command(*arguments, redaction=redaction, **others)

    return with_options  # type: ignore[return-value]


def _read(profile: Profile, key_file: Path | None, rules_file: Path | None) -> RedactionOptions:
    if profile == "none" and rules_file is not None:
        raise click.UsageError(
            "--redaction-rules take something out and --redact none takes out nothing: "
            "use --redact secrets or share"
        )
    rules = None if rules_file is None else load_own_rules(rules_file)
    needs_key = profile == "share" or (rules is not None and rules.need_key)
    if not needs_key:
        if key_file is not None:
            raise click.UsageError(
                "--redaction-key is of no use here: only --redact share, and rules whose action is "
                "pseudonym, make pseudonyms"
            )
        return RedactionOptions(profile, rules=rules)
    return RedactionOptions(profile, _key(key_file), rules)


def _key(key_file: Path | None) -> RedactionKey:
    if key_file is not None:
        key, warning = key_from_file(key_file)
        if warning is not None:
            say(warning)
        return key
    given = os.environ.get(KEY_VARIABLE)
    if given is not None:
        return key_from_text(os.fsencode(given), where=KEY_VARIABLE)
    say(
        "no --redaction-key: pseudonyms are by a random key and join within this recording only; "
        "to join several, make one with `openssl rand -hex 32 > key`"
    )
    return RedactionKey.random()
