"""What may stand in a redacted recording: marks, pseudonyms, and values that say nothing.

The shapes are written down here once more, on purpose: what judges a redaction takes none of its
code.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_harmless", "is_pseudonym", "is_pseudonymous_mac", "is_pseudonymous_uuid"]

_MARK: Final = re.compile(r"\[redacted[^\[\]]{0,60}\]")
_WORDS: Final = frozenset({"", "null", "none", "undefined", "true", "false", "nil"})
_AROUND: Final = " \t\r\n,;)}]\"'"
"""What may stand around a word that was cut out of a line."""
_RANDOM: Final = r"[a-z2-7]{8}"
_PSEUDONYMS: Final = {
    "name": re.compile(rf"name-{_RANDOM}"),
    "contact": re.compile(rf"contact-{_RANDOM}"),
    "phone": re.compile(r"\+999[0-9]+"),
    "unique-id": re.compile(rf"00[0-9]*|id-{_RANDOM}"),
}
# RFC 9562 5.8 and 5.9: version 8 is free for anyone's use; the nil and the max UUID name nobody.
_UUID: Final = re.compile(
    r"[0-9a-f]{8}-?[0-9a-f]{4}-?8[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}"
)
_SAME_DIGIT: Final = re.compile(r"(?:0+|f+)", re.IGNORECASE)


def is_harmless(value: str) -> bool:
    """Whether ``value``, under whatever name, tells nothing: marks and what stands between words
    only, or one of the words for no value.
    """
    rest = _MARK.sub("", value) if "[redacted" in value else value
    # Of a partly masked value the rest is no less a leak.
    return rest.strip(_AROUND).lower() in _WORDS or not any(char.isalnum() for char in rest)


def is_pseudonymous_uuid(value: str) -> bool:
    """Whether a UUID, with dashes or without, is of version 8, or nil or max."""
    plain = value.replace("-", "")
    return _UUID.fullmatch(value.lower()) is not None or _SAME_DIGIT.fullmatch(plain) is not None


def is_pseudonymous_mac(value: str) -> bool:
    """Whether a MAC is locally administered and no group's (IEEE 802 8.2), or all zeros or ones."""
    digits = re.sub(r"[^0-9a-fA-F]", "", value)
    return int(digits[:2], 16) & 3 == 2 or _SAME_DIGIT.fullmatch(digits) is not None


def is_pseudonym(kind: str, value: str) -> bool:
    """Whether ``value`` is what profile ``share`` puts in place of a ``name``, ``contact``,
    ``phone`` or ``unique-id``, of a ``uuid`` or ``mac``. Of another kind nothing is.
    """
    value = value.strip()
    hexadecimal = re.sub(r"[:.-]", "", value)
    is_hex = re.fullmatch(r"[0-9a-fA-F]+", hexadecimal) is not None
    if kind in ("uuid", "unique-id") and is_hex and len(hexadecimal) == 32:
        return is_pseudonymous_uuid(value)
    # Twelve digits alone are no MAC: they are an id.
    is_mac = kind == "mac" or (kind == "unique-id" and not value.isdecimal())
    if is_mac and is_hex and len(hexadecimal) == 12:
        return is_pseudonymous_mac(value)
    shape = _PSEUDONYMS.get(kind)
    return shape is not None and shape.fullmatch(value) is not None
