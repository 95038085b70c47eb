"""Faults from a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path

from fake_server.faults import Injection, injection_from
from recorder.errors import CannotRead, RulesError

__all__ = ["load_faults"]

_EXPECTED = 'expected seed = NUMBER and tables [[fault]] with fault = "NAME"'


def load_faults(path: Path) -> tuple[list[Injection], int | None]:
    """The faults in a TOML file and its seed, None where it has none.

    Each table ``[[fault]]`` has ``fault``, the name, and fields of that fault and of its schedule
    (see :func:`fake_server.faults.injection_from`); ``seed`` stands at the top. Raises CannotRead
    if the file cannot be opened and RulesError, which names the file and the fault, if it is wrong.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CannotRead(f"{path}: the faults cannot be read: {error.strerror}") from error
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise RulesError(f"{path}: not a TOML file: {error}") from error
    seed, faults = table.pop("seed", None), table.pop("fault", [])
    if table:
        raise RulesError(f"{path}: unexpected {next(iter(table))!r}; {_EXPECTED}")
    if seed is not None and type(seed) is not int:
        raise RulesError(f"{path}: seed: expected a whole number")
    if not isinstance(faults, list) or not all(isinstance(one, dict) for one in faults):
        raise RulesError(f"{path}: {_EXPECTED}")
    injections = []
    for number, one in enumerate(faults, 1):
        try:
            injections.append(injection_from(one))
        except ValueError as error:
            raise RulesError(f"{path}: fault {number}: {error}") from error
    return injections, seed
