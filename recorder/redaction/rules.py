"""What is secret: the tables of names, the patterns, the marks that stand in place of values.

A value is secret because of the name that it stands under (:func:`rule_of_key`,
:func:`rule_of_value`) or because of its shape (:data:`EMAIL`, :data:`JWT`, :data:`BASIC`,
:data:`BEARER`, :data:`USERINFO`).
"""

from __future__ import annotations

import re
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
    "NAMES",
    "NUMBERED",
    "OPAQUE",
    "USERINFO",
    "WHOLE_MARK",
    "highest_numbers",
    "mark",
    "rule_of_key",
    "rule_of_value",
    "shape_under_key",
]

INCOMPLETE: Final = "incomplete"
"""The rule of a message or body that never became complete."""
OPAQUE: Final = "opaque"
"""The rule of bytes that are encoded in a way that cannot be undone."""

# A name that ends with one of these, whatever stands before it, as in `userPassword`.
_RULE_OF_SUFFIX: Final = {
    "password": "password",
    "passwd": "password",
    "pwd": "password",
    "passphrase": "password",
    "passcode": "password",
    "passwordhash": "password",
    "passwordconfirm": "password",
    "passwordconfirmation": "password",
    "passwordrepeat": "password",
    "passwordagain": "password",
    "secret": "password",
    "credential": "password",
    "credentials": "password",
    "secretkey": "password",
    "privatekey": "password",
    "signingkey": "password",
    "encryptionkey": "password",
    "masterkey": "password",
    "accesskey": "token",
    "authkey": "token",
    "sessionkey": "token",
    "apikey": "token",
    "token": "token",
    "jwt": "token",
    "authorization": "token",
    "cookie": "cookie",
    "sessionid": "cookie",
    "sessid": "cookie",
}
_SUFFIXES: Final = tuple(_RULE_OF_SUFFIX)

# Names that mean other things, too. They count as whole names, where the name stands in quotes or
# before `=`, and only over a value of this shape: a bypass, a compass or a pin of a processor is no
# secret, nor is a session that is `open`, nor when it was. An object under such a name is looked
# into.
_ANY: Final = re.compile(r".+", re.DOTALL)
_DIGITS: Final = re.compile(r"[0-9]{4,12}")
_OPAQUE_WORD: Final = re.compile(r"(?![0-9]{4}-[0-9]{2})\S{8,}")
_RULE_OF_NAME: Final = {
    **dict.fromkeys(("otp", "totp", "otpcode"), ("password", _ANY)),
    **dict.fromkeys(("pin", "pincode", "userpin", "simpin"), ("password", _DIGITS)),
    **dict.fromkeys(("sid", "connectsid"), ("cookie", _OPAQUE_WORD)),
    **dict.fromkeys(("session", "xsession"), ("cookie", _OPAQUE_WORD)),
    **dict.fromkeys(
        ("auth", "xauth", "bearer", "csrf", "xsrf", "sig", "signature", "xamzsignature"),
        ("token", _OPAQUE_WORD),
    ),
}
_PASS: Final = re.compile(
    r"(?:user|login|account|admin|root|my|old|new|current|db|database|smtp|mail|ftp|http|proxy|mqtt|wifi|wlan)?pass"
)

NAMES: Final = frozenset({*_SUFFIXES, *_RULE_OF_NAME, "pass", "email"})
"""Each name of the tables ends with one of these words."""

NUMBERED: Final = frozenset({"cookie", "email", "token"})
"""The rules whose values stay recognisable, by a number."""

# The name of a rule is a word; a number begins with 1. Behind the size of bytes may stand a hash.
MARK: Final = re.compile(r"\[redacted(?::([a-z]+)-([1-9][0-9]*)(?:-[a-z2-7]{4,52})?)?\]")
WHOLE_MARK: Final = re.compile(
    r"\s*+(?:\[redacted(?::[a-z]+-[1-9][0-9]*(?:-[a-z2-7]{4,52})?)?\])++\s*+"
)

# RFC 5322 allows more before the `@` than anyone has in an address; RFC 6531 adds all letters. `~`
# is left out, for JSON texts may be joined by it. What stands before the `@` is read backwards from
# there: an `@` is rare, and where a run of letters starts is not.
DOMAIN: Final = re.compile(r"@(?:[\w-]++\.)+(?=[^\W\d_])[\w-]{2,}+")
LOCAL_PART: Final = re.compile(r"[\w.+-]")
EMAIL: Final = re.compile(LOCAL_PART.pattern + "++" + DOMAIN.pattern)
# The other patterns take their runs possessively: linear on any input.
# RFC 7515 7.1: three parts of base64url; the first is JSON, and `eyJ` is `{"`. A run that is none
# is taken as well, without the group: it is read once, however often `eyJ` stands in it.
JWT: Final = re.compile(r"(?<![A-Za-z0-9])eyJ[\w-]++(\.[\w-]++\.[\w-]*+)?+", re.ASCII)
# RFC 7617 2 and RFC 6750 2.1. Short words after "bearer" are English.
BASIC: Final = re.compile(r"basic[ \t]++(?=([a-z0-9+/_-]{4,}+={0,2}))", re.ASCII | re.IGNORECASE)
BEARER: Final = re.compile(r"bearer[ \t]++(?=([a-z0-9._~+/-]{16,}+=*+))", re.ASCII | re.IGNORECASE)
# RFC 3986 3.2.1.
USERINFO: Final = re.compile(r"://([^\s/?#\"'<>\\]+)@")


@lru_cache(maxsize=4096)
def rule_of_key(key: str) -> str | None:
    """The rule of what stands under a name (a JSON key, form field, query parameter, header field),
    or None.

    The case does not count, nor do ``-``, ``_`` and what else is neither an ASCII letter nor a
    digit, nor digits at the end: ``API-Key``, ``apiKey2`` and ``user[api_key]`` are one name.
    """
    plain = _plain_name(key)
    if plain == "email":
        return "email"
    if plain.endswith(_SUFFIXES):
        return next(rule for suffix, rule in _RULE_OF_SUFFIX.items() if plain.endswith(suffix))
    return None


@lru_cache(maxsize=4096)
def shape_under_key(key: str) -> tuple[str, re.Pattern[str]] | None:
    """Of a name that may mean something else, too: the rule, and the shape of a value that makes
    it secret. None of all other names.
    """
    plain = _plain_name(key)
    return ("password", _ANY) if _PASS.fullmatch(plain) else _RULE_OF_NAME.get(plain)


def rule_of_value(key: str, value: str) -> str | None:
    """The rule of a value that stands behind ``key=``, None if it is no secret."""
    if (rule := rule_of_key(key)) is not None:
        return rule
    found = shape_under_key(key)
    return found[0] if found is not None and found[1].fullmatch(value) else None


def _plain_name(key: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", key).lower().rstrip("0123456789")


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
