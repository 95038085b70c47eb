"""A JSON object as the cells of a row: nested objects flattened, everything spelled as it came.
Pure.

A column's name is the way to its value, with a dot between the keys: ``attributes.batteryLevel``. A
dot or backslash within a key has a backslash before it, and so has an underscore that the first key
begins with, as such names are those of columns of ours; so no two values share a column.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

__all__ = ["MAX_DEPTH", "cells"]

MAX_DEPTH: Final = 8
"""Objects nested deeper than that stay JSON texts."""

_read_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def cells(text: bytes, *, whole: bool = False) -> dict[str, bytes]:
    """Column and JSON text of each value of the object ``text``, in its order. Lists and empty
    objects stand as JSON texts. With ``whole`` an object that is flattened comes first as a whole,
    under its own name.

    Raises ValueError, and RecursionError, where it cannot be read as an object.
    """
    found: dict[str, bytes] = {}
    _flatten(found, "", _read_members(text), 1, whole=whole)
    return found


def _flatten(
    found: dict[str, bytes],
    prefix: str,
    members: dict[str, msgspec.Raw],
    depth: int,
    *,
    whole: bool,
) -> None:
    for key, value in members.items():
        name = _column(prefix, key)
        text = bytes(value).strip()
        inner = _read_members(text) if text[:1] == b"{" and depth < MAX_DEPTH else None
        if not inner or whole:
            found[name] = text
        if inner:
            # Only what stands at the top is kept whole: its parts are in it.
            _flatten(found, f"{name}.", inner, depth + 1, whole=False)


@lru_cache(maxsize=4096)
def _column(prefix: str, key: str) -> str:
    name = key if key.isidentifier() else key.replace("\\", "\\\\").replace(".", "\\.")
    return f"\\{name}" if not prefix and name.startswith("_") else prefix + name
