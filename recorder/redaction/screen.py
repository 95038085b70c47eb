"""The screen: most messages hold no secret, and to see that must cost little.

Strategy: a text is thinned out to its letters, in lower case, and to the characters that end a
name, written as quotes; one pass of ``bytes.translate``. What stands together in the text stands
together in the thinned text, so a name that is there cannot be missed, whatever its case and
whatever stands within it that does not count: one of its words between quotes ends with the name.
Numbers and dates are gone, so that messages about one thing look alike. What is known of a thinned
text, and of a word, is remembered; as it depends on nothing else, that is safe.
"""

from __future__ import annotations

import re
import string
from functools import cache, lru_cache
from typing import Final, NamedTuple

from recorder.redaction.rules import MARK, NAMES

__all__ = ["Clues", "clues", "may_hold_key"]

_NAME_ENDS: Final = b"\"'=:;\r\n"
_KEPT: Final = string.ascii_letters.encode() + _NAME_ENDS
_LOWER: Final = bytes.maketrans(
    string.ascii_uppercase.encode() + _NAME_ENDS,
    string.ascii_lowercase.encode() + b'"' * len(_NAME_ENDS),
)
_DROPPED: Final = bytes(code for code in range(256) if code not in _KEPT)

_NAMES: Final = tuple(name.encode() for name in sorted(NAMES))
_NEEDLES: Final = tuple(
    name + b'"' for name in _NAMES if not name.endswith(tuple({*_NAMES} - {name}))
)
_CREDENTIALS: Final = (b"basic", b"bearer", b"eyj")

_MAX_REMEMBERED_BYTES: Final = 2048
_MAX_WORDS: Final = 8192
_MAX_WORD_BYTES: Final = 64

# Of Track's own device objects. No value stands under this name, so it need not be looked at.
_HARMLESS: Final = ',"lastAsnCookie":null,'


class Clues(NamedTuple):
    """What a text may hold: a name of the tables before ``:`` or ``=``; one that stands elsewhere,
    as in a list of fields; the first words of credentials. What is False is certain.
    """

    name: bool
    listed: bool
    basic: bool
    bearer: bool
    jwt: bool


def clues(text: str) -> Clues:
    """What to look for in ``text``."""
    # A mark names its rule; that is no name of the table.
    thinned = _thinned(MARK.sub(" ", text) if "[redacted" in text else text)
    needles = [needle for needle in _NEEDLES if needle in thinned]
    return Clues(
        any(_spelled(needle).search(text) for needle in needles),
        bool(needles),
        b"basic" in thinned,
        b"bearer" in thinned,
        "eyJ" in text,
    )


@cache
def _spelled(needle: bytes) -> re.Pattern[str]:
    # In random bytes the letters of short names stand often enough, but not in one word.
    between = r"(?:(?![A-Za-z])[\w-])*+"
    return re.compile(between.join(needle.decode().rstrip('"')), re.IGNORECASE)


def may_hold_key(text: str) -> bool:
    """Whether ``text`` may hold a name of the tables, or the first word of a credential. False is
    certain.
    """
    thinned = _thinned(text)
    if len(thinned) > _MAX_REMEMBERED_BYTES:
        found = _has_clue(thinned)
    else:
        found = _has_clue_remembered(thinned)
    return found and not (_HARMLESS in text and not may_hold_key(text.replace(_HARMLESS, ",")))


def _thinned(text: str) -> bytes:
    return text.encode("utf-8", "replace").translate(_LOWER, _DROPPED)


# Words that are no names and hold no credential's first word: those that every message has.
_harmless_words: Final[set[bytes]] = set()


def _has_clue(thinned: bytes) -> bool:
    for word in set(thinned.split(b'"')) - _harmless_words:
        if word.endswith(_NAMES) or any(first in word for first in _CREDENTIALS):
            return True
        if len(word) <= _MAX_WORD_BYTES:
            if len(_harmless_words) >= _MAX_WORDS:
                _harmless_words.clear()
            _harmless_words.add(word)
    return False


_has_clue_remembered: Final = lru_cache(maxsize=2048)(_has_clue)
