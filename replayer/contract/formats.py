"""The forms of strings: what a text looks like, by name. Pure, and linear in the text.

====================== ====================================================================
form                   an example
====================== ====================================================================
``date-time…``         ``2020-02-26T16:05:26.469+0000`` is ``date-time.000+0000``: the name
                       spells the fraction and the zone as they stand: ``date-time.000+00:00``,
                       ``date-time.000Z``, ``date-timeZ``, ``date-time`` without a zone;
                       ``date time…`` with a space in place of the ``T``
``date``               ``2020-02-26``
``uuid``               ``a0b34365-908f-4868-a52a-84a3ed83bd59``; ``uuid-upper``, and without
                       dashes ``uuid-plain`` and ``uuid-plain-upper``
``mac``                ``00:1b:44:11:3a:b7``, or with dashes
``ipv4``               ``192.168.0.1``
``email``              ``demo@example.com``
``uri``                ``https://track.example/api``
``integer``            ``13614234773123`` in a string
``number``             ``1.50`` in a string
``hex``                ``9a06de64``: at least 8 hexadecimal digits, one of them a decimal one
``empty``              the empty string
``null``               the word ``null`` (the manual's section 4.4 has it beside a null)
the empty name         anything else: free text
====================== ====================================================================

The manual itself has two spellings of dates (sections 3.2 and 3.6), which clients parse by pattern.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

__all__ = ["EMPTY", "FREE_TEXT", "NULL_WORD", "form_of", "is_strict"]

FREE_TEXT: Final = ""
EMPTY: Final = "empty"
NULL_WORD: Final = "null"

_MAX_FORM_CHARACTERS: Final = 2048
"""What is longer is free text: no form of ours is that long."""

_DATE: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:([T ])[0-9]{2}:[0-9]{2}(:[0-9]{2})?(\.[0-9]{1,9})?(Z|[+-][0-9]{2}(:?)[0-9]{2})?)?"
)
_ZEROS: Final = str.maketrans("123456789", "000000000")
_NUMBER: Final = re.compile(r"[+-]?[0-9]++(\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+")
_UUID: Final = re.compile(r"(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32})")
_MAC: Final = re.compile(r"[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}")
_HEX: Final = re.compile(r"(?=[^0-9]*+[0-9])(?:[0-9a-f]{8,}+|[0-9A-F]{8,}+)")
_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4: Final = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
# The local part is one run without an `@`, the domain labels without a dot: nothing is tried twice.
_EMAIL: Final = re.compile(r"[^\s@]{1,64}+@(?:[\w-]++\.)++[\w-]{2,}+")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*+://\S++")
_HEXADECIMAL: Final = frozenset("0123456789abcdefABCDEF")


def form_of(text: str) -> str:
    """The name of the text's form.

    >>> form_of("2020-02-26T16:05:26.469+0000"), form_of("13614234773123"), form_of("Halle 7")
    ('date-time.000+0000', 'integer', '')
    """
    size = len(text)
    if size == 0:
        return EMPTY
    first = text[0]
    if "0" <= first <= "9" and 10 <= size <= 40 and text[4] == "-":
        form = _date_form(text.translate(_ZEROS))
        if form is not None:
            return form
    if size > _MAX_FORM_CHARACTERS:
        return FREE_TEXT
    if first in _HEXADECIMAL and (form := _digits_form(text, size)):
        return form
    if first in "+-" and (found := _NUMBER.fullmatch(text)):
        return _number_form(found)
    if text == "null":
        return NULL_WORD
    if ":" in text and _URI.fullmatch(text):
        return "uri"
    return "email" if "@" in text and _EMAIL.fullmatch(text) else FREE_TEXT


def is_strict(form: str) -> bool:
    """Whether clients parse a text of that form by a pattern, so that another form breaks them."""
    return form.startswith(("date", "uuid", "mac", "ipv4", "email", "uri"))


def _digits_form(text: str, size: int) -> str | None:
    """The form of what begins with a hexadecimal digit."""
    if size in (32, 36):
        if _UUID.fullmatch(text):
            return "uuid" if size == 36 else "uuid-plain"
        if _UUID.fullmatch(text.lower()) and text.isupper():
            return "uuid-upper" if size == 36 else "uuid-plain-upper"
    if "0" <= text[0] <= "9" and (found := _NUMBER.fullmatch(text)):
        return _number_form(found)
    if size == 17 and _MAC.fullmatch(text):
        return "mac"
    if size >= 8 and _HEX.fullmatch(text):
        return "hex"
    return "ipv4" if 7 <= size <= 15 and _IPV4.fullmatch(text) else None


def _number_form(found: re.Match[str]) -> str:
    return "integer" if found[0].lstrip("+-").isdecimal() else "number"


@lru_cache(maxsize=256)
def _date_form(zeros: str) -> str | None:
    """The form of a date whose digits are all 0: there are few, so most are looked up."""
    found = _DATE.fullmatch(zeros)
    if found is None:
        return None
    separator, seconds, fraction, zone, colon = found.groups()
    if separator is None:
        return "date"
    start = "date-time" if separator == "T" else "date time"
    minutes = "" if seconds else "-minutes"
    offset = "" if zone is None else "Z" if zone == "Z" else f"+00{colon}00"
    return f"{start}{minutes}{fraction or ''}{offset}"
