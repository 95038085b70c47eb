"""The query of a call, read as Jersey reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from fake_server.rest.refusals import Refusal
from recorder.track.rules import Rules

__all__ = ["number", "numbers", "read_query"]

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,19}")
"""What Java's ``Long.parseLong`` takes, its range aside; Python's ``int`` takes more."""

_LONG: Final = range(-(2**63), 2**63)


def read_query(query: str) -> dict[str, list[str]]:
    """Names and values, decoded, each name's values in order."""
    if not query:
        return {}
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        values.setdefault(name, []).append(value)
    return values


def numbers(query: Mapping[str, list[str]], name: str, rules: Rules) -> list[int]:
    """The values of a repeatable parameter, each once. Raises :exc:`Refusal` if one is no number of
    64 bits, as Jersey finds no method for it then.
    """
    return list(dict.fromkeys(number(value, name, rules) for value in query.get(name, ())))


def number(value: str, name: str, rules: Rules) -> int:
    """One such value; ``name`` is what it is called in the violation. Raises :exc:`Refusal`."""
    found = int(value) if _NUMBER.fullmatch(value) else None
    if found is None or found not in _LONG:
        shown = repr(value[:40])
        raise Refusal(
            rules.status_bad_id,
            rule="rest.bad-value",
            seen=f"{name}={shown}",
            expected="a whole number of 64 bits",
        )
    return found
