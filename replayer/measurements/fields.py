"""Single fields of a raw JSON object: as they came, and as what they mean. Pure."""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import msgspec

__all__ = ["ABSENT", "Spelled", "given", "name_of", "number_of", "text_of"]

Spelled: TypeAlias = msgspec.Raw
"""A value as the JSON text that it came in, so that ``100.0`` is not ``100``."""

ABSENT: Final = msgspec.Raw(b"null")
"""A field that is missing; to be told from null by nobody."""


_IN_ONE_LINE: Final = bytes.maketrans(b"\n\r\t", b"   ")
"""Between values a line break is white space, and within strings it cannot stand."""


def given(value: msgspec.Raw) -> Spelled | None:
    """The value as it came, in one line; None where it is null or missing."""
    text = bytes(value).translate(_IN_ONE_LINE).strip()
    return None if text == b"null" else msgspec.Raw(text)


def number_of(value: Spelled | None) -> float | None:
    """The number that it is; None if it is none, or one that no float holds."""
    found = _decoded(value)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    try:
        number = float(found)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def text_of(value: Spelled | None) -> str | None:
    """The text that a string holds, or the JSON text of what is none; None for None."""
    if value is None:
        return None
    found = _decoded(value)
    return found if isinstance(found, str) else bytes(value).decode("utf-8", "replace")


def name_of(value: Any) -> str | None:
    """A name that is a string and not empty; None for anything else."""
    return value if isinstance(value, str) and value else None


def _decoded(value: Spelled | None) -> Any:
    if value is None:
        return None
    try:
        return msgspec.json.decode(value)
    except (ValueError, RecursionError):
        return None
