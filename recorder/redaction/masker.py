"""The masker of one text: finds the spans, numbers and learns the values, puts the marks in their
place.
"""

from __future__ import annotations

import base64
import re
import string
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeAlias
from urllib.parse import unquote_plus

from recorder.redaction.binary import TEXT_RUN, is_binary, runs_with_clues
from recorder.redaction.edits import Transform
from recorder.redaction.kinds import Span, Spans, form_spans, url_spans
from recorder.redaction.rules import EMAIL, MARK, NUMBERED, OPAQUE, WHOLE_MARK, mark, rule_of_key
from recorder.redaction.screen import may_hold_key
from recorder.redaction.spans import basic_credentials, extents_in, found_in, torn_spans
from recorder.redaction.views import View, plain, views_of

__all__ = [
    "MAX_LEARNT",
    "MAX_LEARNT_CHARS",
    "MIN_LEARNT_CHARS",
    "MIN_TORN_CHARS",
    "Masker",
    "marked",
]

MIN_LEARNT_CHARS: Final = 8
"""A shorter value is not looked for everywhere: too much else reads like it."""

MIN_TORN_CHARS: Final = 4
"""So much of a learnt value at the end of a torn piece is taken for its beginning."""

MAX_LEARNT_CHARS: Final = 8 * 1024
"""A longer value is not looked for: it may be a piece of one that never ends."""

MAX_LEARNT: Final = {"token": 256, "cookie": 64, "password": 64, "email": 64}
"""Each learnt value costs a search of every text. A peer that sends new ones with each message must
not slow a recording down without end: further ones are masked where they stand. Those that a caller
teaches do not count.
"""

_MAX_PASSES: Final = 5

_DIGIT: Final = re.compile(r"[0-9]")
_JSON_NUMBER: Final = re.compile(r"-?[0-9][0-9.eE+-]*+")
_BEFORE_NUMBER: Final = re.compile(r"[:\[,]\s*\Z")
_AFTER_NUMBER: Final = re.compile(r"\s*+(?:[,\]}]|\Z)")
_BASE64_CHARS: Final = frozenset(string.ascii_letters + string.digits + "+/-_")
_BASE64_END: Final = re.compile(r"[A-Za-z0-9+/_-]*+={0,2}+")
# Rarest first in what Track sends; what is not listed is rarer.
_BY_RARITY: Final = 'QXZJYqzxGHVKWjOBFEPSCDAkwUMLRNyhTIvg_fpbmcludsrnoiate/+=9876543210 -.:,{}[]"'
_RARE: Final = _BY_RARITY[:24]
_UNESCAPED_QUOTE: Final = re.compile(r'(?<!\\)(?:\\\\)*+"')


class Masker:
    """Masks texts by rules and by what it has learnt from earlier ones.

    ``counts`` says how many values were masked, by rule. Values are kept in memory, never shown.
    ``transform`` is asked what else to replace. With ``of_bytes``, bytes that are no text are
    replaced by what it returns for them.
    """

    def __init__(
        self,
        taken: Mapping[str, int],
        transform: Transform | None = None,
        of_bytes: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.counts: dict[str, int] = {}
        self._transform = transform
        self._of_bytes = of_bytes
        self._last_number = dict(taken)
        self._numbers: dict[tuple[str, str], int] = {}
        # The rule of each value to look for; the pieces of base64 among them are named again.
        self._learnt: dict[str, str] = {}
        self._base64: set[str] = set()
        # The same values by a character of theirs that is rare, each with its next rare one: most
        # texts hold few of these.
        self._by_char: dict[str, list[tuple[str, str]]] = {}
        self._learnt_of_rule: dict[str, int] = {}
        self.longest_chars = 0
        """The length of the longest value to look for."""

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
        self._look_for(value, rule)
        # In a form a space is `+`; in bytes that are not UTF-8, characters are read one byte at a
        # time.
        self._look_for(value.replace(" ", "+"), rule)
        data = value.encode("utf-8", "replace")
        if not value.isascii():
            self._look_for(data.decode("iso-8859-1"), rule)
        if rule != "token":
            for piece in _in_base64(data):
                self._look_for(piece, rule)
                self._base64.add(piece)

    def _look_for(self, value: str, rule: str) -> None:
        if value not in self._learnt:
            self._learnt[value] = rule
            self.longest_chars = max(self.longest_chars, len(value))
            rarest = sorted(set(value), key=_BY_RARITY.find)
            known = [char for char in rarest if char in self._by_char and char in _RARE]
            first = known[0] if known else rarest[0]
            second = next((char for char in rarest if char != first), first)
            self._by_char.setdefault(first, []).append((second, value))

    def passes(self, text: str) -> bool:
        """Whether ``text`` is seen at little cost to hold nothing that :meth:`mask` would change.
        True is certain.
        """
        if "\\" in text or "%" in text or "@" in text or self._transform is not None:
            return False
        for char, values in self._by_char.items():
            if char in text:
                for other, value in values:
                    if other in text and value in text:
                        return False
        return not may_hold_key(text)

    def mask(self, text: str, *kinds: Spans, since: int = 0) -> str:
        """``text`` with its secrets replaced; the same object if there are none. ``kinds`` find the
        spans that only its kind of text has. What stands before ``since`` is read, but stays.
        """
        if not kinds and self.passes(text):
            return text
        # What stood in odd quotes or escapes may read as another value once a mark stands there.
        # Masking until nothing is left makes a second redaction of a recording change nothing.
        for _ in range(_MAX_PASSES):
            masked = self._masked_once(text, kinds, since)
            if masked is text:
                break
            text = masked
        return text if self._transform is None else self._transformed(text, kinds, self._transform)

    def _masked_once(self, text: str, kinds: tuple[Spans, ...], since: int) -> str:
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
        return self._replaced(text, spans, views, since) if spans else text

    def mask_bytes(self, data: bytes, *kinds: Spans) -> bytes:
        """``data`` with its secrets replaced, read as UTF-8, or one byte a character where it is
        none.
        """
        try:
            text, encoding = data.decode("utf-8"), "utf-8"
        except UnicodeDecodeError:
            text, encoding = data.decode("iso-8859-1"), "iso-8859-1"
            if self._of_bytes is not None:
                return self.opaque([data])[0]
        masked = (
            self.mask_runs(text)
            if encoding == "iso-8859-1" and is_binary(data)
            else self.mask(text, *kinds)
        )
        return data if masked is text else masked.encode(encoding, "replace")

    def mask_runs(self, text: str, *at_end: Spans, since: int = 0) -> str:
        """``text`` with each run of characters in it masked by itself, as far as it stands behind
        ``since``; ``at_end`` find spans at the end of the whole.
        """
        if next(self._learnt_in(text), None) is None:
            runs: Iterable[tuple[int, int]] = runs_with_clues(text, and_last=bool(at_end))
        else:
            runs = (found.span() for found in TEXT_RUN.finditer(text))
        pieces = []
        at = 0
        for start, end in runs:
            if end <= since:
                continue
            kinds = at_end if end == len(text) else ()
            run = text[start:end]
            masked = self.mask(run, *kinds, since=max(0, since - start))
            if masked is not run:
                pieces += [text[at:start], masked]
                at = end
        return "".join([*pieces, text[at:]]) if pieces else text

    def mask_piece(self, before: bytes, data: bytes) -> bytes:
        """``data``, a piece of a stream that was cut anywhere, with its secrets replaced, read
        behind ``before``, the piece before it as it came. What may be the beginning of a secret at
        the end is replaced, too.
        """
        try:
            context, text, encoding = before.decode("utf-8"), data.decode("utf-8"), "utf-8"
        except UnicodeDecodeError:
            context, text = before.decode("iso-8859-1"), data.decode("iso-8859-1")
            encoding = "iso-8859-1"
        whole, since = context + text, len(context)
        masked = (
            self.mask_runs(whole, self.torn_at_end, since=since)
            if encoding == "iso-8859-1" and is_binary(data)
            else self.mask(whole, self.torn_at_end, since=since)
        )
        return data if masked is whole else masked[len(context) :].encode(encoding, "replace")

    def torn_at_end(self, text: str) -> Iterator[Span]:
        """What at the end of a torn text may be the beginning of a secret."""
        yield from torn_spans(text)
        for value, rule in self._learnt.items():
            for size in range(len(value) - 1, MIN_TORN_CHARS - 1, -1):
                if text.endswith(value[:size]):
                    yield Span(len(text) - size, len(text), rule)
                    break

    def extents(self, text: str, *kinds: Spans) -> Iterator[tuple[int, int, int]]:
        """Where the secrets of ``text`` stand, each with what must be read to find it: where that
        starts, and where the value starts and ends. What is torn reaches the end of the text.
        """
        for kind in kinds:
            yield from ((span.start, span.start, span.end) for span in kind(text))
        yield from extents_in(text)
        for span in self._learnt_in(text):
            yield span.start, span.start, span.end
        for view in views_of(text) if "\\" in text or "%" in text else ():
            for start, value, end in extents_in(view.text):
                at, to = view.raw(value), view.raw(end)
                to = to if view.keeps_strings else _end_in_string(text, at, to)
                yield view.raw(start), at, to
            for span in _mapped(text, view, self._learnt_in(view.text)):
                yield span.start, span.start, span.end

    def begun(self, text: str) -> int:
        """Where at the end of ``text`` what may be the beginning of a learnt value starts, in any
        spelling.
        """
        start = self._begun(text)
        for view in views_of(text) if "\\" in text or "%" in text else ():
            start = min(start, view.raw(self._begun(view.text)))
        return start

    def _begun(self, text: str) -> int:
        longest = 0
        for value in self._learnt if text else ():
            size = value.rfind(text[-1], 0, len(value) - 1) + 1
            while size > longest:
                if text.endswith(value[:size]):
                    longest = size
                    break
                size = value.rfind(text[-1], 0, size - 1) + 1
        return len(text) - longest

    @property
    def hides_bytes(self) -> bool:
        """Whether bytes that are no text, or no whole one, are replaced as a whole."""
        return self._of_bytes is not None

    def opaque(self, pieces: list[bytes]) -> list[bytes]:
        """What stands in place of bytes that cannot be looked into, which count as one value; of
        marks, themselves.
        """
        whole = b"".join(pieces)
        if not whole or WHOLE_MARK.fullmatch(whole.decode("iso-8859-1")):
            return pieces
        self.count(OPAQUE)
        of_bytes = self._of_bytes or marked
        return [piece and of_bytes(piece) for piece in pieces]

    def _transformed(self, text: str, kinds: tuple[Spans, ...], transform: Transform) -> str:
        is_form = form_spans in kinds or url_spans in kinds
        views = views_of(text, is_form=is_form) if is_form or "\\" in text or "%" in text else []
        # By start, the longer first, then the one with more escapes undone.
        changes = [
            (edit.start, -edit.end, 0, edit.text, edit.rule)
            for edit in transform.edits(text)
            if text[edit.start : edit.end] != edit.text
        ]
        for view in views:
            changes += _changes_of(text, view, transform)
        if not changes:
            return text
        marks = _Marks(text)
        pieces = []
        position = 0
        for start, negative_end, _, new, rule in sorted(changes):
            end = -negative_end
            if marks.hold(start, end):
                continue
            start, end = marks.around(start), marks.around(end, at_end=True)
            # Of an edit that begins inside another only what reaches beyond is left to replace.
            if end > position:
                pieces += [text[position:start], new]
                position = end
                self.count(rule)
        return "".join([*pieces, text[position:]]) if position else text

    def _learnt_in(self, text: str) -> Iterator[Span]:
        for char, values in self._by_char.items():
            if char in text:
                for other, value in values:
                    if other in text and value in text:
                        yield from self._places_of(value, text)

    def _places_of(self, value: str, text: str) -> Iterator[Span]:
        rule = self._learnt[value]
        start = text.find(value)
        while start >= 0:
            end = start + len(value)
            quote = ""
            if value in self._base64:
                # All of what was encoded together goes.
                while start > 0 and text[start - 1] in _BASE64_CHARS:
                    start -= 1
                found = _BASE64_END.match(text, end)
                end = found.end() if found is not None else end
            elif (
                _JSON_NUMBER.fullmatch(value)
                and _BEFORE_NUMBER.search(text, max(0, start - 20), start)
                and _AFTER_NUMBER.match(text, end)
            ):
                # A number in JSON must become a string.
                quote = '"'
            yield Span(start, end, rule, quote)
            start = text.find(value, end)

    def _learn_from(self, text: str, spans: Iterable[Span]) -> None:
        for span in spans:
            raw = text[span.start : span.end]
            if not span.named or WHOLE_MARK.fullmatch(raw):
                continue
            # In a form `+` stands for a space.
            for value in {plain(raw), unquote_plus(raw)}:
                # "Password" as the caption of a field would mask every name that holds the word.
                is_caption = rule_of_key(value) is not None and not _DIGIT.search(value)
                in_pairs = _cookie_values(value) if span.rule == "cookie" else []
                if not is_caption and not EMAIL.fullmatch(value) and not in_pairs:
                    self._learn_some(span.rule, value)
                if span.rule == "password":
                    user_pass = basic_credentials(value) or value
                    self._learn_some("password", user_pass.partition(":")[2])
                for one in in_pairs:
                    self._learn_some("cookie", one)

    def _learn_some(self, rule: str, value: str) -> None:
        if not MIN_LEARNT_CHARS <= len(value) <= MAX_LEARNT_CHARS or value in self._learnt:
            return
        count = self._learnt_of_rule.get(rule, 0)
        if count < MAX_LEARNT.get(rule, 0):
            self._learnt_of_rule[rule] = count + 1
            self.learn(rule, value)

    def _replaced(self, text: str, spans: list[Span], views: list[View], since: int) -> str:
        marks = _Marks(text)
        whole = [view for view in views if view.parent is None]
        pieces = []
        position = 0
        for first, end, rule, quote in _merged(text, spans, marks, whole):
            start = max(first, since)
            # Of what begins before, the rest may be a mark already.
            if end <= since or (start > first and WHOLE_MARK.fullmatch(text, start, end)):
                continue
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


def marked(_: bytes) -> bytes:
    """The mark of bytes of which nothing is told."""
    return mark(OPAQUE).encode()


def _in_base64(data: bytes) -> Iterator[str]:
    """How ``data`` reads inside a longer text in base64 or base64url (RFC 4648 4 and 5): one piece
    for each of the three ways in which it may stand, without the characters that also depend on
    what stands beside it.
    """
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + data)
        first, last = (0, 2, 3)[offset], (offset + len(data)) * 4 // 3
        piece = encoded[first:last].decode("ascii")
        yield piece
        yield piece.replace("+", "-").replace("/", "_")


def _cookie_values(value: str) -> list[str]:
    """The values long enough to be secrets of ``NAME=VALUE; …``; the names stay, for it is by them
    that a session is known.
    """
    values = [pair.partition("=")[2].strip() for pair in value.split(";")]
    return [one for one in values if len(one) >= MIN_LEARNT_CHARS]


class _Marks:
    """Where the marks in a text stand."""

    def __init__(self, text: str) -> None:
        found = MARK.finditer(text) if "[redacted" in text else ()
        self._spans = [one.span() for one in found]

    def _at(self, position: int) -> tuple[int, int] | None:
        at = bisect_right(self._spans, (position, sys.maxsize)) - 1
        return self._spans[at] if at >= 0 else None

    def hold(self, start: int, end: int) -> bool:
        """Whether ``text[start:end]`` stands inside a mark."""
        found = self._at(start)
        return found is not None and end <= found[1]

    def around(self, position: int, *, at_end: bool = False) -> int:
        """``position``, or the start or end of the mark that it stands inside of."""
        found = self._at(position)
        inside = found is not None and found[0] < position < found[1]
        return found[at_end] if found is not None and inside else position


_Change: TypeAlias = tuple[int, int, int, str, str]
"""Start and negative end in the raw text, negative depth of the view, the new text, the rule."""


def _changes_of(raw: str, view: View, transform: Transform) -> Iterator[_Change]:
    for edit in transform.edits(view.text):
        old, new = view.text[edit.start : edit.end], edit.text
        if old == new:
            continue
        start = view.raw(edit.start)
        end = _end_in_string(raw, start, view.raw(edit.end))
        yield start, -end, -view.depth, view.escaped(new, raw[start:end]), edit.rule


def _mapped(raw: str, view: View, spans: Iterable[Span]) -> Iterator[Span]:
    """Spans of a view as spans of the raw text."""
    opened, read_to = -1, 0
    for span in spans:
        start, end = view.raw(span.start), view.raw(span.end)
        if span.opened is not None and not view.keeps_strings:
            # An array that stands in a string ends with it, at the latest; one that stands in no
            # string is read in the text itself.
            if span.opened != opened:
                opened, read_to = span.opened, view.raw(span.opened)
            if read_to < 0 or _UNESCAPED_QUOTE.search(raw, read_to, start):
                read_to = -1
                continue
            read_to = start
        quote = span.quote
        if quote:
            before = view.text.rfind(quote, 0, span.start)
            quote = raw[view.raw(before) : view.raw(before + 1)] if before >= 0 else quote
        end = _end_in_string(raw, start, end)
        yield Span(start, end, span.rule, quote, span.named)


def _end_in_string(raw: str, start: int, end: int) -> int:
    """Where what a view found in ``raw[start:end]`` ends.

    A view of JSON reads beyond a string's end where what stands inside the string is torn: an
    unescaped quote ends it.
    """
    found = _UNESCAPED_QUOTE.search(raw, start, end) if '"' in raw[start:end] else None
    return end if found is None else found.end() - 1


def _merged(
    text: str, spans: list[Span], marks: _Marks, whole: list[View]
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
        if marks.hold(start, end):
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
