"""The forms of strings (:mod:`replayer.contract.formats`) in words of JSON Schema.

RFC 3339 is what JSON Schema means by ``date-time``; a date of another form, such as one that ends
in ``+0000``, has a pattern instead. Only forms that clients parse by bind: a name that was a number
so far may be a word tomorrow.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

from replayer.contract.formats import EMPTY, NULL_WORD, is_strict

__all__ = ["rule_of_forms"]

_BESIDE: Final[dict[str, dict[str, Any]]] = {
    EMPTY: {"enum": [""]},
    NULL_WORD: {"enum": ["null"]},
}
"""What may stand in place of a value of a form."""

_RULES: Final[dict[str, dict[str, Any]]] = {
    "date": {"format": "date"},
    "uuid": {"format": "uuid"},
    "uuid-upper": {"format": "uuid"},
    "uuid-plain": {"pattern": "^[0-9a-f]{32}$"},
    "uuid-plain-upper": {"pattern": "^[0-9A-F]{32}$"},
    "mac": {"pattern": "^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$"},
    "ipv4": {"format": "ipv4"},
    "email": {"format": "email"},
    "uri": {"format": "uri"},
}

_ZONES: Final = {
    None: "",
    "Z": "Z",
    "+0000": "[+-][0-9]{4}",
    "+00:00": "[+-][0-9]{2}:[0-9]{2}",
}

_DATE_TIME: Final = re.compile(r"date([- ])time(-minutes)?(?:\.(0+))?(Z|\+00:?00)?")


def rule_of_forms(forms: Collection[str]) -> dict[str, Any]:
    """What binds strings that had these forms: ``format`` or ``pattern``, or ``anyOf`` several;
    empty where they may be anything. It lets values of other types through."""
    strict = [form for form in forms if is_strict(form)]
    rules: list[dict[str, Any]] = []
    for form in forms:
        rule = _rule_of(form) if form in strict else _BESIDE.get(form)
        if rule is None or not strict:
            return {}
        if rule not in rules:
            rules.append(rule)
    return rules[0] if len(rules) == 1 else {"anyOf": rules} if rules else {}


def _rule_of(form: str) -> dict[str, Any] | None:
    found = _DATE_TIME.fullmatch(form)
    if found is None:
        return _RULES.get(form)
    separator, is_short, fraction, zone = found.groups()
    if separator == "-" and not is_short and zone in ("Z", "+00:00"):
        return {"format": "date-time"}
    seconds = "" if is_short else ":[0-9]{2}"
    digits = f"\\.[0-9]{{{len(fraction)}}}" if fraction else ""
    letter = "T" if separator == "-" else " "
    return {
        "pattern": f"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}{letter}[0-9]{{2}}:[0-9]{{2}}"
        f"{seconds}{digits}{_ZONES[zone]}$"
    }
