"""Rules from a TOML file."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any

from recorder.errors import CannotRead, RulesError
from recorder.track.rules import Rules

__all__ = ["load_rules"]


def load_rules(path: str | Path) -> Rules:
    """The rules in a TOML file: field names of :class:`Rules` at the top level; what it leaves out
    keeps its default.

    Raises :exc:`~recorder.errors.CannotRead` if the file cannot be opened, and
    :exc:`~recorder.errors.RulesError`, naming the file, the field and what was expected, if it is
    not TOML, names an unknown field or holds an impossible value.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as exc:
        raise CannotRead(f"{path}: the rules cannot be read: {exc.strerror}") from exc
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as exc:  # not UTF-8, not TOML, or nested beyond all sense
        raise RulesError(f"{path}: not a TOML file: {exc}") from exc
    for name in table:
        if name not in Rules.__struct_fields__:
            raise RulesError(f"{path}: there is no rule {name!r}; {_nearest(name)}")
    try:
        return Rules(**{name: _frozen(value) for name, value in table.items()})
    except ValueError as exc:
        raise RulesError(f"{path}: {exc}") from exc


def _frozen(value: Any) -> Any:
    # TOML has lists where a frozen value has tuples.
    return tuple(value) if isinstance(value, list) else value


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, Rules.__struct_fields__, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"expected one of {', '.join(Rules.__struct_fields__)}"
