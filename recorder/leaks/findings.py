"""What was found, told so that it may stand in the log of a CI system: where, and what kind of
thing, never the thing itself.
"""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["NOT_LOOKED_INTO", "Finding", "excerpt", "how_read"]

NOT_LOOKED_INTO: Final = "not-looked-into"
"""The detector of what may hold anything: an encoding that cannot be undone, or not to its end."""

_MIN_SHOWN_CHARS: Final = 8
_SHOWN_CHARS: Final = 2


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that should not be in a recording.

    ``line`` is where the entry stands, ``last_line`` where the last one does of a text that is put
    together from several. ``seq`` and ``connection`` are None where there is none; ``kind`` is the
    entry's, ``line`` for a line that is none. ``place`` is the key that it stands under.
    ``excerpt`` shows two characters at most, and the length. ``undone`` is what had to be undone to
    read it, the outermost first.
    """

    line: int
    last_line: int
    seq: int | None
    kind: str
    connection: int | None
    place: str
    detector: str
    what: str
    excerpt: str
    undone: tuple[str, ...] = ()


def excerpt(value: str) -> str:
    """As much of a value as may be shown: of eight characters or more the first two, and how many
    there are.
    """
    size = f"({len(value)} character{'' if len(value) == 1 else 's'})"
    start = value[:_SHOWN_CHARS]
    shown = len(value) >= _MIN_SHOWN_CHARS and start.isascii() and start.isprintable()
    return f"{start if shown else ''}… {size}"


def how_read(undone: tuple[str, ...]) -> str:
    """The wraps in words, the innermost first, as ``percent-encoded in base64``."""
    return " in ".join(reversed(undone))
