"""The masker of one text: finds the spans, numbers and learns the values, puts the marks in their
place.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import unquote_plus

from recorder.redaction.rules import EMAIL, MARK, NUMBERED, WHOLE_MARK, mark, rule_of_key
from recorder.redaction.spans import Span, Spans, basic_credentials, found_in
from recorder.redaction.views import View, plain, views_of

__all__ = ["MAX_LEARNT_TOKENS", "MIN_LEARNT_CHARS", "Masker"]

MIN_LEARNT_CHARS: Final = 8
"""A shorter value is not looked for everywhere: too much else reads like it."""

MAX_LEARNT_TOKENS: Final = 256
"""Each learnt value costs a search of every text. A peer that sends a new token with each message
must not slow a recording down without end: further ones are masked where they stand.
"""

_MAX_PASSES: Final = 5

_JSON_NUMBER: Final = re.compile(r"-?[0-9][0-9.eE+-]*+")
_BEFORE_NUMBER: Final = re.compile(r"[:\[,]\s*\Z")
_AFTER_NUMBER: Final = re.compile(r"\s*+(?:[,\]}]|\Z)")
_UNESCAPED_QUOTE: Final = re.compile(r'(?<!\\)(?:\\\\)*+"')


class Masker:
    """Masks texts by rules and by what it has learnt from earlier ones.

    ``counts`` says how many values were masked, by rule. Values are kept in memory, never shown.
    """

    def __init__(self, taken: Mapping[str, int]) -> None:
        self.counts: dict[str, int] = {}
        self._last_number = dict(taken)
        self._numbers: dict[tuple[str, str], int] = {}
        self._learnt: dict[str, str] = {}

    def count(self, rule: str) -> None:
        """One more value of ``rule`` was masked."""
        self.counts[rule] = self.counts.get(rule, 0) + 1

    def learn(self, rule: str, value: str) -> None:
        """Mask ``value`` wherever it stands from now on, if it has at least
        :data:`MIN_LEARNT_CHARS` characters.
        """
        # Learning a piece of a mark would mask the marks.
        if len(value) < MIN_LEARNT_CHARS or value in mark(rule, 1) or MARK.search(value):
            return
        if rule == "token" and len(self._learnt) >= MAX_LEARNT_TOKENS:
            return
        self._learnt.setdefault(value, rule)
        # In a form a space is `+`; in bytes that are not UTF-8, characters are read one byte at a
        # time.
        self._learnt.setdefault(value.replace(" ", "+"), rule)
        if not value.isascii():
            one_by_one = value.encode("utf-8", "replace").decode("iso-8859-1")
            self._learnt.setdefault(one_by_one, rule)

    def mask(self, text: str, *kinds: Spans) -> str:
        """``text`` with its secrets replaced; the same object if there are none. ``kinds`` find the
        spans that only its kind of text has.
        """
        # What stood in odd quotes or escapes may read as another value once a mark stands there.
        # Masking until nothing is left makes a second redaction of a recording change nothing.
        for _ in range(_MAX_PASSES):
            masked = self._masked_once(text, kinds)
            if masked is text:
                break
            text = masked
        return text

    def _masked_once(self, text: str, kinds: tuple[Spans, ...]) -> str:
        views = views_of(text) if "\\" in text or "%" in text else []
        spans = [span for kind in kinds for span in kind(text)]
        spans += found_in(text)
        for view in views:
            spans += _mapped(text, view, found_in(view.text))
        if spans:
            self._learn_from(text, spans)
        spans += self._learnt_in(text)
        for view in views:
            spans += _mapped(text, view, self._learnt_in(view.text))
        return self._replaced(text, spans, views) if spans else text

    def mask_bytes(self, data: bytes, *kinds: Spans) -> bytes:
        """``data`` with its secrets replaced, read as UTF-8, or one byte a character where it is
        none.
        """
        try:
            text, encoding = data.decode("utf-8"), "utf-8"
        except UnicodeDecodeError:
            text, encoding = data.decode("iso-8859-1"), "iso-8859-1"
        masked = self.mask(text, *kinds)
        return data if masked is text else masked.encode(encoding)

    def _learnt_in(self, text: str) -> Iterator[Span]:
        for value, rule in self._learnt.items():
            if value not in text:
                continue
            start = text.find(value)
            while start >= 0:
                end = start + len(value)
                # A number in JSON must become a string.
                is_number = (
                    _JSON_NUMBER.fullmatch(value)
                    and _BEFORE_NUMBER.search(text, max(0, start - 20), start)
                    and _AFTER_NUMBER.match(text, end)
                )
                yield Span(start, end, rule, '"' if is_number else "")
                start = text.find(value, end)

    def _learn_from(self, text: str, spans: Iterable[Span]) -> None:
        emails, passwords = set(), set()
        for span in spans:
            raw = text[span.start : span.end]
            if WHOLE_MARK.fullmatch(raw):
                continue
            if span.rule == "email":
                emails.add(plain(raw))
            if not span.named:
                continue
            # In a form `+` stands for a space.
            for value in {plain(raw), unquote_plus(raw)}:
                # "Password" as the caption of a field would mask every name that holds the word.
                if rule_of_key(value) is None and not EMAIL.fullmatch(value):
                    self.learn(span.rule, value)
                if span.rule == "password":
                    passwords.add(value)
                    self.learn("password", (basic_credentials(value) or value).partition(":")[2])
                elif span.rule == "cookie" and "=" in value:
                    for pair in value.split(";"):
                        self.learn("cookie", pair.partition("=")[2].strip())
        # RFC 7617 2: what a client that logs in with this may send as Basic credentials.
        if len(emails) == 1:
            [email] = emails
            for password in passwords:
                user_pass = f"{email}:{password}".encode("utf-8", "replace")
                self.learn("password", base64.b64encode(user_pass).decode("ascii"))

    def _replaced(self, text: str, spans: list[Span], views: list[View]) -> str:
        marks = [found.span() for found in MARK.finditer(text)] if "[redacted" in text else []
        whole = [view for view in views if view.parent is None]
        pieces = []
        position = 0
        for start, end, rule, quote in _merged(text, spans, marks, whole):
            pieces += [text[position:start], quote, self._mark(rule, plain(text[start:end])), quote]
            position = end
        return "".join([*pieces, text[position:]]) if position else text

    def _mark(self, rule: str, value: str) -> str:
        self.count(rule)
        if rule not in NUMBERED:
            return mark(rule)
        number = self._numbers.get((rule, value))
        if number is None:
            number = self._last_number[rule] = self._last_number.get(rule, 0) + 1
            self._numbers[rule, value] = number
        return mark(rule, number)


def _mapped(raw: str, view: View, spans: Iterable[Span]) -> Iterator[Span]:
    """Spans of a view as spans of the raw text.

    A view of JSON reads beyond a string's end where what stands inside the string is torn: an
    unescaped quote ends it.
    """
    for span in spans:
        start, end = view.raw(span.start), view.raw(span.end)
        quote = span.quote
        if quote:
            before = view.text.rfind(quote, 0, span.start)
            quote = raw[view.raw(before) : view.raw(before + 1)] if before >= 0 else quote
        if (
            '"' in raw[start:end]
            and (found := _UNESCAPED_QUOTE.search(raw, start, end)) is not None
        ):
            end = found.end() - 1
        yield Span(start, end, span.rule, quote, span.named)


def _merged(
    text: str, spans: list[Span], marks: list[tuple[int, int]], whole: list[View]
) -> list[tuple[int, int, str, str]]:
    """Spans in order that neither overlap, nor cut an escape in two, nor touch what is a mark
    already.
    """
    tidy = []
    for span in spans:
        start, end = span.start, span.end
        for view in whole:
            start, end = view.whole(start), view.whole(end)
        if start >= end or WHOLE_MARK.fullmatch(text, start, end):
            continue
        if any(first <= start and end <= last for first, last in marks):
            continue
        tidy.append((start, end, span.rule, span.quote, span.named))
    # Where two rules find the same, the one that goes by the name is right; else the wider one.
    tidy.sort(key=lambda span: (span[0], -span[1], not span[4]))
    merged: list[tuple[int, int, str, str]] = []
    for start, end, rule, quote, _ in tidy:
        if merged and start < merged[-1][1]:
            first, last, outer, outer_quote = merged[-1]
            merged[-1] = (first, max(last, end), outer, outer_quote)
        else:
            merged.append((start, end, rule, quote))
    return merged
