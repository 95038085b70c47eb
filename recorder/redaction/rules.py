"""What is secret: the table of names, the patterns, the marks that stand in place of values, and a
cheap screen.

A value is secret because of the name that it stands under (:func:`rule_of_key`) or because of its
shape (:data:`EMAIL`, :data:`JWT`, :data:`BASIC`, :data:`BEARER`, :data:`USERINFO`).
"""

from __future__ import annotations

import re
import string
from functools import lru_cache
from typing import Final

__all__ = [
    "BASIC",
    "BEARER",
    "DOMAIN",
    "EMAIL",
    "INCOMPLETE",
    "JWT",
    "LOCAL_PART",
    "MARK",
    "NUMBERED",
    "OPAQUE",
    "USERINFO",
    "WHOLE_MARK",
    "highest_numbers",
    "mark",
    "may_hold_key",
    "rule_of_key",
]

INCOMPLETE: Final = "incomplete"
"""The rule of a message or body that never became complete."""
OPAQUE: Final = "opaque"
"""The rule of bytes that are encoded in a way that cannot be undone."""

_RULE_OF_SUFFIX: Final = {
    "password": "password",
    "passwd": "password",
    "pwd": "password",
    "secret": "password",
    "credential": "password",
    "credentials": "password",
    "passphrase": "password",
    "secretkey": "password",
    "privatekey": "password",
    "accesskey": "token",
    "token": "token",
    "apikey": "token",
    "authorization": "token",
    "cookie": "cookie",
    "jsessionid": "cookie",
    "sessionid": "cookie",
}
_SUFFIXES: Final = tuple(_RULE_OF_SUFFIX)

NUMBERED: Final = frozenset({"cookie", "email", "token"})
"""The rules whose values stay recognisable, by a number."""

# The name of a rule is a word; a number begins with 1.
MARK: Final = re.compile(r"\[redacted(?::([a-z]+)-([1-9][0-9]*))?\]")
WHOLE_MARK: Final = re.compile(r"\s*+(?:\[redacted(?::[a-z]+-[1-9][0-9]*)?\])++\s*+")

# RFC 5322 allows more before the `@` than anyone has in an address; RFC 6531 adds all letters. `~`
# is left out, for JSON texts may be joined by it. What stands before the `@` is read backwards from
# there: an `@` is rare, and where a run of letters starts is not.
DOMAIN: Final = re.compile(r"@(?:[\w-]++\.)+(?=[^\W\d_])[\w-]{2,}+")
LOCAL_PART: Final = re.compile(r"[\w.+-]")
EMAIL: Final = re.compile(LOCAL_PART.pattern + "++" + DOMAIN.pattern)
# The other patterns take their runs possessively: linear on any input.
# RFC 7515 7.1: three parts of base64url; the first is JSON, and `eyJ` is `{"`.
JWT: Final = re.compile(r"(?<![A-Za-z0-9])eyJ[\w-]{1,4000}+\.[\w-]++\.[\w-]*+", re.ASCII)
# RFC 7617 2 and RFC 6750 2.1. Short words after "bearer" are English.
BASIC: Final = re.compile(r"basic[ \t]++(?=([a-z0-9+/_-]{4,}+={0,2}))", re.ASCII | re.IGNORECASE)
BEARER: Final = re.compile(r"bearer[ \t]++(?=([a-z0-9._~+/-]{16,}+=*+))", re.ASCII | re.IGNORECASE)
# RFC 3986 3.2.1.
USERINFO: Final = re.compile(r"://([^\s/?#\"'<>\\]{1,1000})@")


@lru_cache(maxsize=4096)
def rule_of_key(key: str) -> str | None:
    """The rule of what stands under a name (a JSON key, form field, query parameter, header field),
    or None.

    The case does not count, nor do ``-``, ``_`` and what else is neither an ASCII letter nor a
    digit: ``API-Key``, ``apiKey`` and ``user[api_key]`` are one name.
    """
    plain = re.sub(r"[^A-Za-z0-9]", "", key).lower()
    if plain == "email":
        return "email"
    if plain.endswith(_SUFFIXES):
        return next(rule for suffix, rule in _RULE_OF_SUFFIX.items() if plain.endswith(suffix))
    return None


def mark(rule: str, number: int | None = None) -> str:
    """What stands in place of a value."""
    return "[redacted]" if number is None else f"[redacted:{rule}-{number}]"


def highest_numbers(text: str) -> dict[str, int]:
    """The highest number of each rule among the marks in ``text``: where a resumed recording goes
    on counting.
    """
    highest: dict[str, int] = {}
    for found in MARK.finditer(text):
        rule, number = found.groups()
        if rule is not None and len(number) < 19:
            highest[rule] = max(highest.get(rule, 0), int(number))
    return highest


# The screen. Most messages hold no secret, and looking for each word in the whole text costs three
# times what this does. The text is first thinned out to a few letters, in one pass that also folds
# the case and drops `-`, `_` and all else. What stands together in the text stands together in the
# thinned text, so a word that is there cannot be missed; that an innocent text passes for one that
# holds a secret is rare. The letters were found by search over Track's messages: few are left of
# these, and the words stay tellable.
_KEPT: Final = "acdejkmorsw"
_LOWER: Final = bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode())
_DROPPED: Final = bytes(code for code in range(256) if chr(code).lower() not in _KEPT)


def _thinned(text: str) -> bytes:
    return text.encode("utf-8", "replace").translate(_LOWER, _DROPPED)


def _needles() -> tuple[bytes, ...]:
    thinned = {_thinned(word) for word in (*_SUFFIXES, "email", "basic", "bearer", "eyJ")}
    return tuple(
        sorted(one for one in thinned if not any(other in one for other in thinned - {one}))
    )


_NEEDLES: Final = _needles()


def may_hold_key(text: str) -> bool:
    """Whether ``text`` may hold a name of the table, or the first word of a credential. False is
    certain.
    """
    # A mark names its rule; that is no name of the table.
    return _has_needle(text) and ("[redacted" not in text or _has_needle(MARK.sub(" ", text)))


def _has_needle(text: str) -> bool:
    thinned = _thinned(text)
    for needle in _NEEDLES:  # noqa: SIM110 - a generator would double the time
        if needle in thinned:
            return True
    return False
