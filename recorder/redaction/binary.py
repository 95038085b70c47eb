"""Bytes that are mostly no text, as those of an image, a font or an archive: which they are, and
where text may stand in them.

Read as one long text they would cost seconds a megabyte: chance makes escapes and names in them
that lead nowhere. A secret in them stands in a run of characters, and so does what tells it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["TEXT_RUN", "is_binary", "runs_with_clues"]

TEXT_RUN: Final = re.compile(r"[^\x00-\x08\x0b\x0e-\x1f\x7f]++")
"""A run of what may be text, in bytes read one a character: all but controls."""

_CONTROLS: Final = frozenset(map(chr, [*range(9), 11, *range(14, 32), 127]))
_TEXT: Final = bytes(code for code in range(256) if chr(code) not in _CONTROLS)
_LEAST_BYTES: Final = 256
_MOST_CONTROLS: Final = 0.02

# A name and what ends it; escapes, in which one may be spelled; addresses; words of credentials.
_CLUE: Final = re.compile(
    r"(?<![\w-])[\w-]{3,}+[\"'\]]{0,2}+[ \t\r\n]*+[:=,\r\n]"
    r"|\\[u\"/\\bfnrt]|%[0-9a-f]{2}|@[\w-]++\.|eyj|basic|bearer",
    re.ASCII | re.IGNORECASE,
)


def is_binary(data: bytes) -> bool:
    """Whether more than a fiftieth of ``data`` is controls, which text in any one-byte encoding is
    not; a few bytes are never called binary.
    """
    return len(data) >= _LEAST_BYTES and (
        len(data.translate(None, _TEXT)) > _MOST_CONTROLS * len(data)
    )


def runs_with_clues(text: str, *, and_last: bool) -> Iterator[tuple[int, int]]:
    """Where runs of characters start and end in ``text``, bytes read one a character, that may
    hold a name or the shape of a secret; and the last run, if asked for.
    """
    start = end = 0
    for found in _CLUE.finditer(text):
        if found.start() < end:
            continue
        start, end = found.span()
        while start > 0 and text[start - 1] not in _CONTROLS:
            start -= 1
        while end < len(text) and text[end] not in _CONTROLS:
            end += 1
        yield start, end
    if and_last and end < len(text):
        start = len(text)
        while start > end and text[start - 1] not in _CONTROLS:
            start -= 1
        yield start, len(text)
