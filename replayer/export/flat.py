"""A JSON object as the cells of a row: nested objects flattened, everything spelled as it came.
Pure.

A column's name is the way to its value, with a dot between the keys: ``attributes.batteryLevel``. A
dot or backslash within a key has a backslash before it, and so has an underscore that the first key
begins with, as such names are those of columns of ours; so no two values share a column.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

__all__ = ["MAX_DEPTH", "cells", "is_object"]

MAX_DEPTH: Final = 8
"""Objects nested deeper than that stay JSON texts."""

_read_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def is_object(text: bytes) -> bool:
    """Whether a JSON text is an object."""
    return text[:1] == b"{"


def cells(text: bytes, *, whole: bool = False) -> Iterator[tuple[str, bytes]]:
    """Column and JSON text of each value of the object ``text``, in its order. Lists and empty
    objects stand as JSON texts. With ``whole`` an object that is flattened comes first as a whole,
    under its own name.

    Raises ValueError, and RecursionError, where it cannot be read as an object.
    """
    for key, value in _read_members(text).items():
        name = _escaped(key)
        yield from _cells(f"\\{name}" if name.startswith("_") else name, value, 1, whole=whole)


def _cells(
    name: str, value: msgspec.Raw, depth: int, *, whole: bool
) -> Iterator[tuple[str, bytes]]:
    text = bytes(value).strip()
    members = _read_members(text) if is_object(text) and depth < MAX_DEPTH else None
    if not members or whole:
        yield name, text
    for key, each in (members or {}).items():
        # Only what stands at the top is kept whole: its parts are in it.
        yield from _cells(f"{name}.{_escaped(key)}", each, depth + 1, whole=False)


def _escaped(key: str) -> str:
    return key if key.isidentifier() else key.replace("\\", "\\\\").replace(".", "\\.")
