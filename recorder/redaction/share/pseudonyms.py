"""A value's pseudonym: HMAC-SHA256 of the value as it reads without escapes, in the shape of its
kind.

Shapes, so that people and tools can tell a pseudonym: a UUID is one of version 8 (RFC 9562 5.8), a
MAC has the locally administered bit set and the multicast bit clear (IEEE 802 8.2.2), a name is
``name-`` and eight letters of base32, a contact ``contact-`` and eight, a phone ``+999`` and
digits (a country code that nobody has, ITU-T E.164 D), a unique id digits that begin with ``00``,
or ``id-`` and eight letters where it was more than digits.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterator
from typing import Any, Final

from recorder.redaction.rules import WHOLE_MARK, mark
from recorder.redaction.share.key import RedactionKey
from recorder.redaction.views import plain

__all__ = ["Pseudonyms", "identifiers_in", "normal", "readings"]

_HEX: Final = "[0-9a-fA-F]"
# With dashes or without (the manual's beacons have none), as a whole word that is no number.
_UUID: Final = re.compile(
    rf"(?<![\w-])(?:(?![0-9]++(?:[eE][0-9]++)?(?!\w)){_HEX}{{32}}|{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}})(?![\w-])"
)
# Of 48 or 64 bits.
_MAC: Final = re.compile(
    rf"(?<![\w:-]){_HEX}{{2}}([:-])(?:{_HEX}{{2}}\1){{4}}{_HEX}{{2}}(?:(?:\1{_HEX}{{2}}){{2}})?(?![\w:-])"
)
_BARE_MAC: Final = re.compile(rf"(?=[0-9]*[a-fA-F]){_HEX}{{12}}")
_DOTTED_MAC: Final = re.compile(rf"{_HEX}{{4}}\.{_HEX}{{4}}\.{_HEX}{{4}}")

_PHONE: Final = re.compile(r"[0-9 ()/.+-]*[0-9][0-9 ()/.+-]*")

_NOTHING: Final = frozenset({"", "null", "none", "undefined", "true", "false"})
_MIN_FREE_DIGITS: Final = 10
"""Fewer digits would let two of a thousand values fall together too often."""
_MAX_PHONE_DIGITS: Final = 15  # E.164 6.1
_MAX_LAYERS: Final = 4
_REMEMBERED: Final = 65_536

# The patterns have no first letter to search for. What they need at least is searched for first, in
# a text where all digits are one, ten times as quick.
_UUID_DIGITS: Final = bytes(
    ord("0") if chr(code) in "0123456789abcdefABCDEF-" else ord(" ") for code in range(256)
)
_MAC_DIGITS: Final = bytes(
    ord(":")
    if chr(code) in ":-"
    else ord("0")
    if chr(code) in "0123456789abcdefABCDEF"
    else ord(" ")
    for code in range(256)
)


_SHAPES: Final = (
    ("uuid", _UUID_DIGITS, b"0" * 32, _UUID),
    ("mac", _MAC_DIGITS, b"00:00:00:00:00:00", _MAC),
)


class Pseudonyms:
    """Pseudonyms by one key. Keeps the last ones that it gave, so that it knows its own."""

    def __init__(self, key: RedactionKey) -> None:
        self._key: Final = key.derived("pseudonyms")
        # Values as they stood, and their pseudonyms; and the pseudonyms, to be left alone.
        self._given: dict[tuple[str, str], str] = {}
        self._own: dict[str, None] = {}

    def of(self, rule: str, value: str) -> str | None:
        """The pseudonym of ``value``, spelled as it stands in a text; None if it has to stay: it
        holds nothing, is a mark, or is a pseudonym already.

        ``rule`` is ``name``, ``contact``, ``phone``, ``id``, ``mac`` or ``uuid``, or a prefix of
        its own; what looks like a UUID or MAC gets one under any rule. ``text`` gives a mark.
        """
        given = self._given.get((rule, value))
        if given is not None:
            return given
        if value in self._own:
            return None
        reads = normal(value)
        if reads.lower() in _NOTHING or WHOLE_MARK.fullmatch(reads):
            return None
        pseudonym = self._made(rule, reads)
        if "%" in value:
            # What stood percent-encoded is put back so.
            pseudonym = pseudonym.replace("+", "%2B").replace("[", "%5B").replace("]", "%5D")
        _make_room(self._given)
        self._given[rule, value] = pseudonym
        self.remember(pseudonym)
        return pseudonym

    def remember(self, own: str) -> None:
        """``own`` was put in place of something; it is to stay from now on."""
        _make_room(self._own)
        self._own[own] = None

    def number(self, rule: str, value: str) -> str | None:
        """What stands in place of a JSON number: a number, too, that of a unique id read without
        its leading zeros.
        """
        if value in self._own:
            return None
        pseudonym = self.of("id" if rule == "id" else "digits", value)
        if pseudonym is None:
            return None
        number = pseudonym.lstrip("0") if pseudonym.isdigit() else ""
        number = number or self._digits("number", value, _MIN_FREE_DIGITS).lstrip("0") or "1"
        self.remember(number)
        return number

    def of_bytes(self, data: bytes) -> str:
        """Eight letters that are the same for the same bytes."""
        return _letters(hmac.digest(self._key, b"bytes\0" + data, "sha256"))

    def _made(self, rule: str, reads: str) -> str:
        if rule == "text":
            return mark(rule)
        if _UUID.fullmatch(reads):
            return self._uuid(reads)
        if (
            _MAC.fullmatch(reads)
            or (rule in ("id", "mac") and _BARE_MAC.fullmatch(reads))
            or (rule == "mac" and _DOTTED_MAC.fullmatch(reads))
        ):
            return self._mac(reads)
        if rule == "phone":
            digits = re.sub(r"[^0-9]", "", reads) if _PHONE.fullmatch(reads) else ""
            free = min(max(len(digits) - 3, _MIN_FREE_DIGITS), _MAX_PHONE_DIGITS - 3)
            return "+999" + self._digits("phone", digits or reads, free)
        if rule in ("id", "mac", "digits"):
            if reads.isascii() and reads.isdigit():
                return "00" + self._digits("id", reads, max(len(reads) - 2, _MIN_FREE_DIGITS))
            if rule != "digits":
                return "id-" + self._letters("id", reads)
            return "00" + self._digits("id", reads, _MIN_FREE_DIGITS)
        return f"{rule}-{self._letters(rule, reads)}"

    def _digest(self, kind: str, value: str) -> bytes:
        message = f"{kind}\0{value}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, "sha256")

    def _letters(self, kind: str, value: str) -> str:
        return _letters(self._digest(kind, value))

    def _digits(self, kind: str, value: str, count: int) -> str:
        digits = ""
        while len(digits) < count:
            number = int.from_bytes(self._digest(kind, f"{len(digits)} {value}"), "big")
            digits += f"{number % 10**60:060d}"
        return digits[:count]

    def _uuid(self, reads: str) -> str:
        value = reads.replace("-", "").lower()
        drawn = bytearray(self._digest("uuid", value)[:16])
        drawn[6] = 0x80 | drawn[6] & 0x0F
        drawn[8] = 0x80 | drawn[8] & 0x3F
        return _like(drawn.hex(), reads)

    def _mac(self, reads: str) -> str:
        value = re.sub(r"[^0-9a-f]", "", reads.lower())
        drawn = bytearray(self._digest("mac", value)[: len(value) // 2])
        drawn[0] = drawn[0] & 0xFC | 0x02
        return _like(drawn.hex(), reads)


def identifiers_in(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Every UUID and MAC in ``text``, with its rule; they do not overlap among their kind."""
    one_byte_a_character = text.encode("iso-8859-1", "replace")
    for rule, table, needed, pattern in _SHAPES:
        thinned = one_byte_a_character.translate(table)
        at = thinned.find(needed)
        while at >= 0:
            # The run that it stands in may begin earlier, and not be one.
            end = thinned.find(b" ", at)
            end = len(text) if end < 0 else end
            # With the character behind it, which a word may go on with.
            for found in pattern.finditer(text, max(0, thinned.rfind(b" ", 0, at)), end + 1):
                yield rule, found
            at = thinned.find(needed, end)


def readings(value: str) -> list[str]:
    """``value`` and how it reads with one layer of escapes undone after the other, :func:`normal`
    last.
    """
    found = [value]
    for _ in range(_MAX_LAYERS):
        undone = plain(value) if "\\" in value or "%" in value else value
        if undone == value:
            break
        value = undone
        found.append(value)
    value = value.strip()
    if "+" in value or " " in value:
        value = " ".join(value.replace("+", " ").split())
    if value != found[-1]:
        found.append(value)
    return found


def normal(value: str) -> str:
    """``value`` as it reads with all its escapes undone: equal for all spellings, however deep in
    JSON strings and URLs. A ``+`` between words is a space, as forms have it.
    """
    return readings(value)[-1]


def _make_room(table: dict[Any, Any]) -> None:
    if len(table) >= _REMEMBERED:
        del table[next(iter(table))]


def _letters(digest: bytes) -> str:
    """Eight letters of base32 (RFC 4648 6)."""
    return base64.b32encode(digest[:5]).decode("ascii").lower()


def _like(digits: str, reads: str) -> str:
    """Hex digits with the separators and the case of ``reads``."""
    if not re.search("[a-f]", reads) and re.search("[A-F]", reads):
        digits = digits.upper()
    left = iter(digits)
    return "".join(next(left) if char.isalnum() else char for char in reads)
