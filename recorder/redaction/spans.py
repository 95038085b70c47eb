"""Where the secrets of a text stand: spans, found without parsing the text as a whole.

Nothing here needs a text to be whole or to be of one kind: every rule looks at a name and at what
follows it, so JSON, JSON texts joined by ``~``, a torn half of one, a form, a URL, raw heads and
log lines go through the same few lines. Every function is linear in the length of its text.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Final

from recorder.redaction.kinds import (
    Span,
    Spans,
    all_of,
    authorization_spans,
    cookie_spans,
    field_spans,
)
from recorder.redaction.rules import (
    BASIC,
    BEARER,
    DOMAIN,
    INCOMPLETE,
    JWT,
    LOCAL_PART,
    USERINFO,
    rule_of_key,
    rule_of_value,
    shape_under_key,
)
from recorder.redaction.screen import Clues, clues

__all__ = ["basic_credentials", "extents_in", "found_in", "torn_spans"]

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
_MAX_PEEK_CHARS: Final = 256
_FLAT_LIST: Final = re.compile(r'\[(?:"(?:[^"\\]|\\.)*+"|[^"\[\]{}]++)*+\]', re.DOTALL)
_TORN_LIST: Final = re.compile(
    r'\[(?:"(?:[^"\\]|\\.)*+"|[^"\[\]{}]++)*+(?:"(?:[^"\\]|\\.)*+\\?)?+\Z', re.DOTALL
)
_WORD: Final = re.compile(r"([^\s&\"'<>\\]++)")
# RFC 6265 4.1.1 ends a cookie's value there; `?`, `&` and `#` end a session id in a URL.
_COOKIE_WORD: Final = re.compile(r"([^\s;,&?#\"'<>\\]++)")
_LITERAL: Final = re.compile(r"(?:null|true|false|none|undefined)(?![\w.%+-])", re.IGNORECASE)
_LINE: Final = re.compile(r"[^\r\n\"'\\]++")
# RFC 7578 4.2: the name in a part's head, which ends with an empty line; the value ends before the
# boundary. No name holds what ends names elsewhere.
_FORM_PART_NAME: Final = re.compile(r"\bname=\"?([^\"'=:;\r\n]++)(?=[\";\r\n]|\Z)")
_TORN_DOMAIN: Final = re.compile(r"[\w.-]*+")
_TORN_JWT: Final = re.compile(r"eyJ[\w.-]*+", re.ASCII)
_EMPTY_LINE: Final = re.compile(r"\n\r?\n")
_BOUNDARY: Final = re.compile(r"\r?\n--|\Z")
_MAX_PART_HEAD_CHARS: Final = 4096
# A field as JSON lists it: `["Cookie", "a=b"]`, or `"name":"Cookie","value":"a=b"` as a HAR does.
_STRING_PAIR: Final = re.compile(
    r"""\[\s*+"(?P<name>[^"\\'=:;\r\n]++)"\s*+,\s*+"(?P<value>(?:[^"\\]|\\.)*+)"?\s*+(?:\]|\Z)"""
    r"""|"name"\s*+:\s*+"(?P<named>[^"\\'=:;\r\n]++)"\s*+,\s*+"value"\s*+:\s*+"""
    r""""(?P<stands>(?:[^"\\]|\\.)*+)""",
    re.DOTALL,
)


def found_in(text: str) -> Iterator[Span]:
    """Every span in a text of any kind, in no order and overlapping."""
    may_hold = clues(text)
    if may_hold.name:
        yield from _named_spans(text)
    if may_hold.listed:
        yield from _pair_spans(text)
    yield from _other_spans(text, may_hold)


def _other_spans(text: str, may_hold: Clues, *, torn: bool = False) -> Iterator[Span]:
    if may_hold.listed:
        yield from _form_part_spans(text, torn=torn)
    if may_hold.basic:
        for found in BASIC.finditer(text):
            # "Basic" is a word, too: RFC 7617 encodes `user:password`.
            if basic_credentials(found[1]) is not None:
                yield Span(found.start(1), found.end(1), "password", named=True)
    if may_hold.bearer:
        for found in BEARER.finditer(text):
            yield Span(found.start(1), found.end(1), "token", named=True)
    if may_hold.jwt:
        for found in JWT.finditer(text):
            if found[1] is not None:
                yield Span(found.start(), found.end(), "token", named=True)
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


def extents_in(text: str) -> Iterator[tuple[int, int, int]]:
    """Where every secret of :func:`found_in` stands with what tells of it: where that starts, and
    where the value starts and ends. In a torn text that is its end.
    """
    may_hold = clues(text)
    if may_hold.name:
        for found, end, _ in _named(text):
            # A value of which only the quote is there has begun.
            begins_last = found.end() + 1 >= len(text)
            yield found.start(), found.end(), len(text) if begins_last else end
    if may_hold.listed:
        for found, value, _ in _pairs(text):
            yield found.start(), found.start(value), found.end()
    for span in _other_spans(text, may_hold, torn=True):
        # A part of a form ends before what ends it.
        yield span.start, span.start, min(span.end + len("\r\n--"), len(text))


def basic_credentials(blob: str) -> str | None:
    """``user:password`` of the base64 in Basic credentials, None if it is none (RFC 7617 2)."""
    core = blob.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = base64.b64decode(core + "=" * (-len(core) % 4))
    except ValueError:
        return None
    return decoded.decode("utf-8", "replace") if b":" in decoded else None


def torn_spans(text: str) -> Iterator[Span]:
    """What at the end of a torn text may be the beginning of an address, a token, or a value whose
    shape would tell that it is secret.
    """
    for found, end, spans in _named(text):
        shape = shape_under_key(found[1])
        if not spans and end >= len(text) and shape is not None:
            start = found.end() + (text[found.end() : found.end() + 1] in ('"', "'"))
            if start < end:
                yield Span(start, end, shape[0])
    at = text.rfind("@")
    if at >= 0 and _TORN_DOMAIN.fullmatch(text, at + 1):
        start = at
        while start > 0 and LOCAL_PART.match(text, start - 1):
            start -= 1
        if start < at:
            yield Span(start, len(text), "email")
    at = text.rfind("eyJ")
    if at >= 0 and _TORN_JWT.fullmatch(text, at):
        yield Span(at, len(text), "token", named=True)


def _named_spans(text: str) -> Iterator[Span]:
    for _, _, spans in _named(text):
        yield from spans


def _named(text: str) -> Iterator[tuple[re.Match[str], int, list[Span]]]:
    """Each name that tells of a secret, where what stands under it ends, and its spans."""
    # A name inside a value that is taken out already is passed over; else `token=token=…` would
    # take quadratic time.
    done = 0
    is_torn = False
    for found in _NAMED.finditer(text):
        at = found.start()
        if at < done:
            continue
        rule = rule_of_key(found[1])
        shape = None
        if rule is None:
            shape = shape_under_key(found[1])
            # Of prose, as in `2 pass: 3 fail`, nothing is taken out for such a name.
            is_named = bool(found[2]) or "=" in found[0]
            if shape is None or not is_named:
                continue
            # Objects are looked into, name by name.
            opening = text[found.end() : found.end() + 1]
            if opening == "{" or (opening == "[" and not _FLAT_LIST.match(text, found.end())):
                if opening == "[" and not is_torn and _TORN_LIST.match(text, found.end()):
                    is_torn = True
                    yield found, len(text), []
                continue
            if not found[2] and not _has_shape(text, found.end(), shape[1]):
                continue
            rule = shape[0]
        # The name of a mark is none; after a mark stands the rest of a name that was another one
        # before the mark was put.
        if text.endswith("[redacted:", 0, at) or (rule == "email" and text.endswith("]", 0, at)):
            continue
        spans, end = _value_spans(text, found, rule)
        if shape is not None:
            spans = [span for span in spans if shape[1].fullmatch(text, span.start, span.end)]
        if spans or shape is None:
            done = end
            yield found, end, spans
        elif end >= len(text):
            # More of it may have the shape.
            yield found, end, []


def _has_shape(text: str, at: int, shape: re.Pattern[str]) -> bool:
    """Whether what stands behind `name=` begins as a value of that shape. Only so much is read:
    where it does not, the next name is looked at inside of it.
    """
    opening = text[at : at + 1]
    if opening in ('"', "'", "["):
        return True
    word = _WORD.match(text, at, at + _MAX_PEEK_CHARS)
    return word is not None and shape.fullmatch(word[0]) is not None


def _pair_spans(text: str) -> Iterator[Span]:
    for found, value, kind in _pairs(text):
        yield from _moved(kind(found[value]), found.start(value))


def _pairs(text: str) -> Iterator[tuple[re.Match[str], str, Spans]]:
    """Each pair, the group of its value, and how the secrets in that are found."""
    for found in _STRING_PAIR.finditer(text):
        value = "value" if found["name"] is not None else "stands"
        name = found["name"] or found["named"]
        kind = field_spans(name)
        if kind is None and (rule := rule_of_value(name, found[value])) is not None:
            kind = all_of(rule)
        # A list of two names is no field.
        if kind is None or rule_of_key(found[value]) is not None:
            continue
        yield found, value, kind


def _moved(spans: Iterable[Span], by: int) -> Iterator[Span]:
    """Spans of a piece that stands at ``by``, as spans of the whole."""
    for span in spans:
        yield span._replace(start=span.start + by, end=span.end + by)


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
        return list(_moved(spans(line[0]), at)), line.end()
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
                spans.append(Span(*token.span("string"), rule, named=True, opened=at))
        elif token["number"] is not None:
            spans.append(Span(*token.span(), rule, quote, named=True, opened=at))
        else:
            depth += -1 if token["close"] else 1
            if depth == 0:
                return spans, token.end()
    return spans, len(text)


def _form_part_spans(text: str, *, torn: bool = False) -> Iterator[Span]:
    """The parts under names of secrets; of a ``torn`` text also the last one, if its value may
    become a secret.
    """
    at = 0
    while (empty := _EMPTY_LINE.search(text, at)) is not None:
        start = max(at, empty.start() - _MAX_PART_HEAD_CHARS)
        names = [found[1] for found in _FORM_PART_NAME.finditer(text, start, empty.start())]
        # What ends the empty line may begin another one.
        at = empty.end() - 1
        start = empty.end()
        for name in names:
            rule = rule_of_key(name)
            if rule is None and shape_under_key(name) is not None:
                end = _end_of_part(text, start, start + _MAX_PEEK_CHARS)
                rule = rule_of_value(name, text[start:end])
                if torn and rule is None and end >= len(text):
                    rule = INCOMPLETE
            if rule is not None:
                at = _end_of_part(text, start, len(text))
                yield Span(start, at, rule, named=True)
                break


def _end_of_part(text: str, start: int, end: int) -> int:
    found = _BOUNDARY.search(text, start, end)
    return end if found is None else found.start()
