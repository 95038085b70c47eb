"""Where the secrets of a text stand: spans, found without parsing the text as a whole.

Nothing here needs a text to be whole or to be of one kind: every rule looks at a name and at what
follows it, so JSON, JSON texts joined by ``~``, a torn half of one, a form, a URL, raw heads and
log lines go through the same few lines. Every function is linear in the length of its text.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote_plus

from recorder.redaction.rules import (
    BASIC,
    BEARER,
    DOMAIN,
    JWT,
    LOCAL_PART,
    USERINFO,
    may_hold_key,
    rule_of_key,
)

__all__ = [
    "Span",
    "Spans",
    "authorization_spans",
    "basic_credentials",
    "cookie_spans",
    "form_spans",
    "found_in",
    "url_spans",
]


class Span(NamedTuple):
    """``text[start:end]`` is secret by ``rule``.

    ``quote`` is what the replacement must stand between: a JSON number becomes a string. ``named``
    says that the name before it tells that it is secret, so that it is worth learning.
    """

    start: int
    end: int
    rule: str
    quote: str = ""
    named: bool = False


Spans = Callable[[str], Iterator[Span]]
"""How spans of one kind of text are found."""

# A name, the quote that may end it, and `:` or `=`. Not `==`, `=>` and `::` of program text.
_NAMED: Final = re.compile(r"(?<![\w-])([\w-]++)(?:\]?([\"']?))\s*+(?:[=:](?![=>:]))[ \t\r\n]*+")
_STRING: Final = re.compile(r'"((?:[^"\\]|\\.)*+)', re.DOTALL)
_SINGLE_QUOTED: Final = re.compile(r"'([^'\"\r\n\\]*+)")
_NOT_A_VALUE: Final = re.compile(r"\"\s*+(?:[,:}\]]|\Z)")
# RFC 8259 section 6, loosely: what stands where a number should.
_NUMBER: Final = re.compile(r"[-+]?[0-9][0-9.eE+-]*+")
_JSON_TOKEN: Final = re.compile(
    r'"(?P<string>(?:[^"\\]|\\.)*+)(?:"(?P<key>\s*+:)?+|\Z)|(?P<number>[-+]?[0-9][0-9.eE+-]*+)|[\[{]|(?P<close>[\]}])',
    re.DOTALL,
)
_WORD: Final = re.compile(r"([^\s&\"'<>\\]++)")
# RFC 6265 4.1.1 ends a cookie's value there; `?`, `&` and `#` end a session id in a URL.
_COOKIE_WORD: Final = re.compile(r"([^\s;,&?#\"'<>\\]++)")
_LITERAL: Final = re.compile(r"(?:null|true|false|none|undefined)(?![\w.%+-])", re.IGNORECASE)
_LINE: Final = re.compile(r"[^\r\n\"'\\]++")
_CREDENTIALS: Final = re.compile(r"\s*+(?:[A-Za-z][\w-]*+[ \t]++)?+(?P<secret>[^\r\n]*\S)")
_COOKIE_PAIR: Final = re.compile(r"\s*+(?:[^=;]*+=)?+\s*+(?P<secret>[^;]*+)")
# RFC 7578 4.2: the name in a part's head, then its fields, an empty line, and the value up to the
# boundary.
_FORM_PART: Final = re.compile(
    r"\bname=\"?([^\"\r\n;]{1,200}+)\"?[^\r\n]{0,400}+\r?\n(?:[^\r\n]{1,400}+\r?\n){0,9}+\r?\n(.*?)(?=\r?\n--|\Z)",
    re.DOTALL,
)
_URL_PAIR: Final = re.compile(r"(?<=[?&;#])([^?&;#=/]*+)=([^&#\s]*+)")


def found_in(text: str) -> Iterator[Span]:
    """Every span in a text of any kind, in no order and overlapping."""
    if may_hold_key(text):
        yield from _named_spans(text)
        yield from _form_part_spans(text)
        for found in BASIC.finditer(text):
            # "Basic" is a word, too: RFC 7617 encodes `user:password`.
            if basic_credentials(found[1]) is not None:
                yield Span(found.start(1), found.end(1), "password", named=True)
        for pattern, group in ((BEARER, 1), (JWT, 0)):
            for found in pattern.finditer(text):
                yield Span(found.start(group), found.end(group), "token", named=True)
    if "@" in text:
        ends = set()
        for found in USERINFO.finditer(text):
            ends.add(found.end(1))
            yield Span(found.start(1), found.end(1), "password", named=True)
        for found in DOMAIN.finditer(text):
            start = at = found.start()
            while start > 0 and LOCAL_PART.match(text, start - 1):
                start -= 1
            # What looks like an address in `https://user:password@host` is none.
            if start < at and at not in ends:
                yield Span(start, found.end(), "email")


def basic_credentials(blob: str) -> str | None:
    """``user:password`` of the base64 in Basic credentials, None if it is none (RFC 7617 2)."""
    core = blob.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = base64.b64decode(core + "=" * (-len(core) % 4))
    except ValueError:
        return None
    return decoded.decode("utf-8", "replace") if b":" in decoded else None


def _named_spans(text: str) -> Iterator[Span]:
    # A name inside a value that is taken out already is passed over; else `token=token=…` would
    # take quadratic time.
    done = 0
    for found in _NAMED.finditer(text):
        if found.start() < done:
            continue
        rule = rule_of_key(found[1])
        # After a mark stands the rest of a name that was another one before the mark was put.
        if rule == "email" and text.endswith("]", 0, found.start()):
            continue
        if rule is not None:
            spans, done = _value_spans(text, found, rule)
            yield from spans


def _value_spans(text: str, found: re.Match[str], rule: str) -> tuple[list[Span], int]:
    """The spans of what stands under a name, and where it ends."""
    name, quote = found.groups()
    at = found.end()
    first = text[at : at + 1]
    if first == '"':
        # Of `"label":"Password:","x"` the quote after the colon ends a string: nothing stands under
        # the name.
        value = None if not quote and _NOT_A_VALUE.match(text, at) else _STRING.match(text, at)
    elif first == "'":
        value = _SINGLE_QUOTED.match(text, at)
    elif first in ("{", "[") and quote:
        return _scalar_spans(text, at, rule, quote)
    elif quote and (number := _NUMBER.match(text, at)) is not None:
        return [Span(at, number.end(), rule, quote, named=True)], number.end()
    elif _LITERAL.match(text, at):
        return [], at
    elif not quote and ":" in found[0] and name.lower().endswith(("authorization", "cookie")):
        line = _LINE.match(text, at)
        if line is None:
            return [], at
        spans = authorization_spans if rule == "token" else cookie_spans(name)
        moved = [span._replace(start=span.start + at, end=span.end + at) for span in spans(line[0])]
        return moved, line.end()
    else:
        value = (_COOKIE_WORD if rule == "cookie" else _WORD).match(text, at)
    if value is None:
        return [], at
    return [Span(value.start(1), value.end(1), rule, named=True)], value.end()


def _scalar_spans(text: str, at: int, rule: str, quote: str) -> tuple[list[Span], int]:
    """Every string and number inside the JSON object or array that opens at ``at``, the names left
    out; and its end.
    """
    spans: list[Span] = []
    depth = 0
    for token in _JSON_TOKEN.finditer(text, at):
        if token["string"] is not None:
            if token["key"] is None:
                spans.append(Span(token.start("string"), token.end("string"), rule, named=True))
        elif token["number"] is not None:
            spans.append(Span(token.start(), token.end(), rule, quote, named=True))
        else:
            depth += -1 if token["close"] else 1
            if depth == 0:
                return spans, token.end()
    return spans, len(text)


def _form_part_spans(text: str) -> Iterator[Span]:
    for found in _FORM_PART.finditer(text):
        rule = rule_of_key(found[1])
        if rule is not None:
            yield Span(found.start(2), found.end(2), rule, named=True)


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
    is_set_cookie = name.lower().replace("-", "").replace("_", "").endswith("setcookie")

    def spans(value: str) -> Iterator[Span]:
        at = 0
        while at < len(value):
            found = _COOKIE_PAIR.match(value, at)
            if found is None:
                return
            if secret := found["secret"].rstrip():
                start = found.start("secret")
                yield Span(start, start + len(secret), "cookie", named=True)
            if is_set_cookie:
                return
            at = found.end() + 1

    return spans


def form_spans(text: str) -> Iterator[Span]:
    """The fields of an ``application/x-www-form-urlencoded`` text: only ``&`` ends a value."""
    at = 0
    for field in text.split("&"):
        name, equals, value = field.partition("=")
        rule = rule_of_key(unquote_plus(name)) if equals else None
        if rule is not None and value:
            end = at + len(field)
            yield Span(end - len(value), end, rule, named=True)
        at += len(field) + 1


def url_spans(url: str) -> Iterator[Span]:
    """The parameters of a URL or request target, in its path, query or fragment."""
    for found in _URL_PAIR.finditer(url):
        rule = rule_of_key(unquote_plus(found[1]))
        if rule is not None and found[2]:
            end = found.end(2)
            if rule == "cookie" and (stop := re.search(r"[;/?]", found[2])) is not None:
                end = found.start(2) + stop.start()
            yield Span(found.start(2), end, rule, named=True)
