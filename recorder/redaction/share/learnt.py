"""Values that stood under a name, found again as whole words in any text: a note, a report, an
error message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from recorder.redaction.share.fields import ORDINARY_WORDS

__all__ = ["MIN_CHARS", "Learnt"]

MIN_CHARS: Final = 4
"""A shorter value is replaced only under its name: too much else reads like it."""
_MIN_DIGITS: Final = 8
"""So is a shorter number: numbers of rows read like it."""
_MAX_CHARS: Final = 200
_MAX_VALUES: Final = 100_000

_WORD: Final = re.compile(r"\w++")
_SPACES: Final = bytes(
    code if chr(code).isalnum() or code == ord("_") else ord(" ") for code in range(256)
)


class Learnt:
    """Values and their pseudonyms. Finding them takes time by the size of a text and what is in
    it, whatever the number of values: they are looked up by their first word and their length.
    """

    def __init__(self) -> None:
        # By first word: how far into the value that stands, and the length of the value.
        self._shapes: dict[str, set[tuple[int, int]]] = {}
        self._ascii_words: set[bytes] = set()
        self._values: dict[str, tuple[str, str]] = {}

    def __contains__(self, value: str) -> bool:
        return value in self._values

    def add(self, value: str, pseudonym: str, rule: str) -> None:
        """Find ``value`` from now on, unless it is too short or an ordinary word of this traffic
        (:data:`~recorder.redaction.share.fields.ORDINARY_WORDS`).
        """
        if (
            value in self._values
            or not MIN_CHARS <= len(value) <= _MAX_CHARS
            or len(self._values) >= _MAX_VALUES
            or value.lower() in ORDINARY_WORDS
            or (len(value) < _MIN_DIGITS and not re.search(r"[^\W\d_]", value))
        ):
            return
        for spelled in {value, value.replace(" ", "+")}:
            word = _WORD.search(spelled)
            if word is not None:
                self._values[spelled] = pseudonym, rule
                self._shapes.setdefault(word[0], set()).add((word.start(), len(spelled)))
                if word[0].isascii():
                    self._ascii_words.add(word[0].encode())

    def found_in(self, text: str) -> Iterator[tuple[int, int, str, str]]:
        """Start, end, pseudonym and rule of each value in ``text`` that is not part of a longer
        word; they may overlap.
        """
        for first in self._first_words(text):
            at = text.find(first)
            while at >= 0:
                after = at + len(first)
                if not _goes_on(text, at) and not _goes_on(text, after):
                    yield from self._at(text, at, first)
                at = text.find(first, after)

    def _at(self, text: str, at: int, first: str) -> Iterator[tuple[int, int, str, str]]:
        for before, size in self._shapes[first]:
            start, end = at - before, at - before + size
            if start >= 0 and not _goes_on(text, start) and not _goes_on(text, end):
                found = self._values.get(text[start:end])
                if found is not None:
                    yield start, end, *found

    def _first_words(self, text: str) -> Iterable[str]:
        """The first words that stand in ``text``; of ASCII four times as quick as by the words of a
        pattern.
        """
        if not text.isascii():
            return self._shapes.keys() & set(_WORD.findall(text))
        words = self._ascii_words.intersection(text.encode().translate(_SPACES).split())
        return [word.decode() for word in words]


def _goes_on(text: str, at: int) -> bool:
    """Whether a word goes on over ``at``."""
    return 0 < at < len(text) and _is_word(text[at]) and _is_word(text[at - 1])


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"
