"""Kinds of text that have a form of their own - header fields, forms, URLs - and where the secrets
stand in each. Every function is linear in the length of its text.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote_plus

from recorder.redaction.rules import rule_of_key, rule_of_value, shape_under_key

__all__ = [
    "Span",
    "Spans",
    "all_of",
    "authorization_spans",
    "cookie_spans",
    "field_spans",
    "form_spans",
    "protocol_spans",
    "url_spans",
]


class Span(NamedTuple):
    """``text[start:end]`` is secret by ``rule``.

    ``quote`` is what the replacement must stand between: a JSON number becomes a string. ``named``
    says that the name before it tells that it is secret, so that it is worth learning. ``opened``
    is where the JSON object or array opens that it stands in.
    """

    start: int
    end: int
    rule: str
    quote: str = ""
    named: bool = False
    opened: int | None = None


Spans = Callable[[str], Iterator[Span]]
"""How spans of one kind of text are found."""

_CREDENTIALS: Final = re.compile(r"\s*+(?:[A-Za-z][\w-]*+[ \t]++)?+(?P<secret>[^\r\n]*\S)")
# Fields that were joined into one: a comma before a name and `=`; the comma of a date is none.
_NEXT_SET_COOKIE: Final = re.compile(r"[,\n]\s*+(?=[^=;,\s]++=)")
_COOKIE_PAIR: Final = re.compile(r"\s*+(?:[^=;]*+=)?+\s*+(?P<secret>[^;]*+)")
# RFC 6455 11.3.4: an item that is a protocol's name, not a token that was put there.
_PROTOCOL: Final = re.compile(
    r"[a-z]{1,20}+[0-9]{0,3}+(?:[._/+-](?:[a-z]{1,20}+[0-9]{0,3}+|[0-9]{1,3}+))*+", re.IGNORECASE
)
_PROTOCOL_ITEM: Final = re.compile(r"[^,\s]++")
_MAX_PROTOCOL_CHARS: Final = 40
# The last word of a field that holds a credential, beside the names of the table.
_SECRET_FIELD: Final = re.compile(
    r"(?:\A|[-_])(?:auth|authentication|session|sess|sid|jwt|bearer|otp|pin|pass|csrf|xsrf|sig"
    r"|signature|assertion|ticket|[a-z]*key)\Z",
    re.IGNORECASE,
)
_SWITCH: Final = re.compile(r"\s*+(?:[0-9]{0,3}|true|false|null|none)\s*+", re.IGNORECASE)
_URL_PAIR: Final = re.compile(r"(?<=[?&;#])([^?&;#=/]*+)=([^&#\s]*+)")


def authorization_spans(value: str) -> Iterator[Span]:
    """The credentials of an ``Authorization`` field; the scheme stays (RFC 9110 11.4)."""
    found = _CREDENTIALS.match(value)
    if found is not None:
        rule = "password" if value.lstrip()[:5].lower() == "basic" else "token"
        yield Span(found.start("secret"), found.end("secret"), rule, named=True)


def cookie_spans(name: str) -> Spans:
    """How the values in a ``Cookie`` or ``Set-Cookie`` field are found; names and attributes stay
    (RFC 6265 4).
    """
    return _set_cookie_spans if _plain_field(name).endswith("setcookie") else _cookie_pair_spans


def _set_cookie_spans(value: str) -> Iterator[Span]:
    at = 0
    while at < len(value):
        following = _NEXT_SET_COOKIE.search(value, at)
        end = len(value) if following is None else following.start()
        # Only the first pair is the cookie, the others are its attributes.
        span = next(_cookie_pair_spans(value, at, end), None)
        if span is not None:
            yield span
        at = len(value) if following is None else following.end()


def _cookie_pair_spans(value: str, at: int = 0, end: int = sys.maxsize) -> Iterator[Span]:
    end = min(end, len(value))
    while at < end:
        found = _COOKIE_PAIR.match(value, at, end)
        if found is None:
            return
        if secret := found["secret"].rstrip():
            start = found.start("secret")
            yield Span(start, start + len(secret), "cookie", named=True)
        at = found.end() + 1


def field_spans(name: str) -> Spans | None:
    """How the secrets in a header field of that name are found, None if the name tells of none."""
    plain_name = _plain_field(name)
    if plain_name == "secwebsocketkey":
        return None
    if plain_name in ("authorization", "proxyauthorization"):
        return authorization_spans
    if plain_name in ("cookie", "setcookie"):
        return cookie_spans(name)
    if plain_name == "secwebsocketprotocol":
        return protocol_spans
    if (rule := rule_of_key(name)) is not None:
        return all_of(rule)
    if (word := _SECRET_FIELD.search(name)) is not None:
        return all_of("cookie" if word[0].lower().strip("-_")[:1] == "s" else "token")
    return None


def _plain_field(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").rstrip("0123456789")


def all_of(rule: str) -> Spans:
    """The whole value is secret by ``rule``, unless it is a small number or a switch."""

    def spans(value: str) -> Iterator[Span]:
        if not _SWITCH.fullmatch(value):
            start = len(value) - len(value.lstrip())
            yield Span(start, len(value.rstrip()), rule, named=True)

    return spans


def protocol_spans(value: str) -> Iterator[Span]:
    """The tokens among the items of a ``Sec-WebSocket-Protocol`` field, where browsers' clients put
    them for want of another field: items that read like no protocol's name, and the one behind an
    item that names a secret.
    """
    is_secret = False
    for found in _PROTOCOL_ITEM.finditer(value):
        item = found[0]
        is_name = len(item) <= _MAX_PROTOCOL_CHARS and _PROTOCOL.fullmatch(item)
        if is_secret or not is_name:
            yield Span(found.start(), found.end(), "token", named=True)
        is_secret = rule_of_key(item) is not None or shape_under_key(item) is not None


def form_spans(text: str) -> Iterator[Span]:
    """The fields of an ``application/x-www-form-urlencoded`` text: only ``&`` ends a value."""
    at = 0
    for field in text.split("&"):
        name, equals, value = field.partition("=")
        rule = rule_of_value(unquote_plus(name), unquote_plus(value)) if equals else None
        if rule is not None and value:
            end = at + len(field)
            yield Span(end - len(value), end, rule, named=True)
        at += len(field) + 1


def url_spans(url: str) -> Iterator[Span]:
    """The parameters of a URL or request target, in its path, query or fragment."""
    for found in _URL_PAIR.finditer(url):
        rule = rule_of_value(unquote_plus(found[1]), unquote_plus(found[2]))
        if rule is not None and found[2]:
            end = found.end(2)
            if rule == "cookie" and (stop := re.search(r"[;/?]", found[2])) is not None:
                end = found.start(2) + stop.start()
            yield Span(found.start(2), end, rule, named=True)
