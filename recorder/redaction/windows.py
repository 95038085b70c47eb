"""A text that comes in pieces, masked in windows as it comes.

Strategy: what came is cut where nothing secret, and nothing that may become one, goes over the cut.
What stands before the cut is masked and let go; what is behind it waits for more. The end of what
was let go is read again in front of the next window, so that a name tells what its value is,
whichever side of the cut that stands on. Of what may still become a secret no more is held than
:data:`MAX_VALUE_CHARS`: a value that is longer is masked as far as it came, and so is the rest of
it, which is found by its beginning, kept in front of the next window. Where the beginning cannot
tell where the value ends (an object, an array), the rest of the text is masked.

A window cannot know what stands behind it: a value that only a later window tells to be secret is
left where it stood without its name before. Of runs of characters without a space, a quote or
the like more than :attr:`TextWindows.reach_chars` are not held for what might follow them.
"""

from __future__ import annotations

import re
import string
from bisect import bisect_left
from typing import Final, Literal, NamedTuple, TypeAlias

from recorder.redaction.binary import TEXT_RUN, is_binary
from recorder.redaction.kinds import Span, Spans
from recorder.redaction.masker import Masker
from recorder.redaction.rules import INCOMPLETE, WHOLE_MARK, mark

__all__ = ["MAX_VALUE_CHARS", "SLICE_BYTES", "Amount", "TextWindows", "Window"]


MAX_VALUE_CHARS: Final = 64 * 1024
"""So much of a value, or of what may become one, is held until its end comes."""

_CONTEXT_CHARS: Final = 8 * 1024
"""So much of what was let go is read again: a part's head in a form has at most 4096."""
_MAX_HEAD_CHARS: Final = 5 * 1024
_TAIL_CHARS: Final = 1024
_LEAST_REACH_CHARS: Final = 4 * 1024
_SPELLED: Final = 6
"""By so much a character is longer as an escape of JSON."""
SLICE_BYTES: Final = 256 * 1024
"""So much of a body is masked at once."""

# What can stand inside an escape, an address, a token or base64 is none of these.
_RUN: Final = re.compile(r"[^\s\"'<>{},;&|\x00-\x1f]*+")
_USERINFO: Final = re.compile(r"[^\s/?#\"'<>\\]*+")
_JWT_CHARS: Final = string.ascii_letters + string.digits + "_.-"
_JWT_START: Final = re.compile(r"(?<![A-Za-z0-9])eyJ")
_TORN_ESCAPE: Final = re.compile(r"[\\%][\\%0-9a-zA-Z]{0,40}\Z")
_CONTEXT_START: Final = re.compile(r"[\s,{&]")
_CONTAINER: Final = re.compile(r"\\*+(?:[\[{]|u00[57]b|%(?:25)*+[57]b)", re.IGNORECASE)

Amount: TypeAlias = Literal["ahead", "now", "torn", "end"]
"""How much of what is held must go. ``ahead``: what is surely settled, whole pieces; ``now``: all
but what may be the beginning of a secret; ``torn``: all, and nothing will follow; ``end``: all, for
the body is complete.
"""


class Window(NamedTuple):
    """``size_bytes`` of what was fed, the oldest, let go as ``masked``."""

    size_bytes: int
    masked: bytes


class TextWindows:
    """The text of one body. ``kinds`` as in :meth:`recorder.redaction.masker.Masker.mask`."""

    def __init__(self, masker: Masker, kinds: tuple[Spans, ...] = ()) -> None:
        self._masker = masker
        self._kinds = kinds
        self._context = b""
        self._encoding = "utf-8"
        self._held = bytearray()
        self._is_open = False
        self._is_shut = False

    @property
    def held_bytes(self) -> int:
        """How much of what was fed is not let go."""
        return len(self._held)

    @property
    def reach_chars(self) -> int:
        """So far behind a cut the text is read for secrets that go over it."""
        spelled = _SPELLED * self._masker.longest_chars
        return max(_LEAST_REACH_CHARS, min(spelled, MAX_VALUE_CHARS))

    def feed(self, data: bytes) -> None:
        """Take what comes next."""
        self._held += data

    def take(self, amount: Amount, ends: list[int] | None = None) -> Window:
        """Let go of as much as ``amount`` says. ``ahead`` lets go up to one of ``ends`` if it can:
        sizes in bytes, counted from the oldest byte held.
        """
        data = bytes(self._held)
        if not data:
            return Window(0, b"")
        if self._is_shut:
            del self._held[:]
            return Window(len(data), self._hidden(data))
        context, text = self._texts(data, is_torn=amount != "end")
        whole, since = context + text, len(context)
        binary = self._encoding != "utf-8" and is_binary(data)
        is_clean = not self._kinds and self._masker.passes(whole)
        at_end: tuple[Spans, ...] = ()
        if amount == "end" or amount == "torn":
            cut = len(whole)
            at_end = (self._masker.torn_at_end,) if amount == "torn" else ()
        else:
            last = len(whole) - (self.reach_chars if amount == "ahead" else 0)
            places = None if ends is None or amount == "now" else self._places(data, text, ends)
            if binary and not self._is_open:
                cut = self._cut_in_binary(whole, since, last, places)
            else:
                cut, at_end = self._cut(whole, since, last, places, is_clean=is_clean)
        if cut <= since:
            return Window(0, b"")
        before = whole[:cut]
        if is_clean and not at_end:
            masked = before
        elif binary and not at_end:
            masked = self._masker.mask_runs(before, since=since)
        else:
            masked = self._masker.mask(before, *self._kinds, *at_end, since=since)
        # What is left over of a character at the very end goes as it is.
        size = len(data) if amount in ("end", "torn") else len(self._encoded(text[: cut - since]))
        if masked is before:
            out = data[:size]
        else:
            out = self._encoded(masked[since:]) + data[len(self._encoded(text)) : size]
        del self._held[:size]
        if not self._is_open:
            self._context = self._encoded(_end_of(before))
        return Window(size, out)

    def _texts(self, data: bytes, *, is_torn: bool) -> tuple[str, str]:
        """What was let go and what is held, read alike: as UTF-8 until something is none."""
        if self._encoding == "utf-8":
            context = self._context.decode("utf-8")
            try:
                return context, data.decode("utf-8")
            except UnicodeDecodeError as exc:
                if is_torn and exc.reason == "unexpected end of data":
                    return context, data[: exc.start].decode("utf-8")
            self._encoding = "iso-8859-1"
        return self._context.decode("iso-8859-1"), data.decode("iso-8859-1")

    def _encoded(self, text: str) -> bytes:
        return text.encode(self._encoding, "replace")

    def _places(self, data: bytes, text: str, ends: list[int]) -> list[int]:
        """``ends`` as places in ``text``, the last first; those inside a character are left out."""
        if len(text) == len(data):
            return ends[::-1]
        places = []
        for end in reversed(ends):
            if end == len(data) or data[end] & 0xC0 != 0x80:
                places.append(len(data[:end].decode("utf-8", "ignore")))
        return places

    def _cut_in_binary(self, whole: str, since: int, last: int, places: list[int] | None) -> int:
        """Where what is mostly no text can be cut: no run of characters that may hold a secret goes
        over the cut.
        """
        for place in places or ():
            if since < since + place <= last and self._is_harmless(whole, since + place):
                return since + place
        if places is not None and len(whole) - since <= 2 * SLICE_BYTES:
            return since
        at = last
        while at > max(since, last - MAX_VALUE_CHARS) and TEXT_RUN.match(whole, at - 1, at):
            at -= 1
        return at if at > max(since, last - MAX_VALUE_CHARS) else last

    def _is_harmless(self, whole: str, at: int) -> bool:
        """Whether the run of characters around a place is a short one without a secret."""
        low, high = max(0, at - _CONTEXT_CHARS), at + _LEAST_REACH_CHARS
        start, end = at, TEXT_RUN.match(whole, at - 1, high)
        while start > low and TEXT_RUN.match(whole, start - 1, start):
            start -= 1
        if start == at or end is None or end.end() == at:
            return True
        if start == low or end.end() >= min(high, len(whole)):
            return False
        return next(self._masker.extents(whole[start : end.end()]), None) is None

    def _cut(
        self, whole: str, since: int, last: int, places: list[int] | None, *, is_clean: bool = False
    ) -> tuple[int, tuple[Spans, ...]]:
        """The last place behind ``since``, up to ``last``, that no secret goes over; with a span of
        what goes over it, if that is too long to be held.
        """
        self._is_open = False
        found = () if is_clean else self._masker.extents(_untorn(whole), *self._kinds)
        extents = [extent for extent in found if extent[2] > since]
        start, value = self._torn_from(whole, since, extents)
        if value < since or len(whole) - max(start, since) > MAX_VALUE_CHARS:
            return self._cut_inside(whole, since, start, value)
        closed = _merged(extents)
        last = min(last, start)
        if places is not None:
            for place in places:
                at = since + place
                if since < at <= last and _outside(closed, at) == at:
                    return at, ()
            if len(whole) - since <= 2 * SLICE_BYTES:
                return since, ()
        return max(since, _outside(closed, last)), ()

    def _torn_from(
        self, whole: str, since: int, extents: list[tuple[int, int, int]]
    ) -> tuple[int, int]:
        """Where that starts which may go on behind ``whole``, and where its value starts."""
        end = len(whole)
        reach = max(since, end - self.reach_chars)
        tail = whole[reach:]
        # An address, base64, an escape, half a word.
        start = end - _RUN.match(tail[::-1]).end()  # type: ignore[union-attr]
        scheme = tail.rfind("://")
        if scheme >= 0 and _USERINFO.fullmatch(tail, scheme + 3):
            start = min(start, reach + scheme)
        far = max(0, end - 2 * MAX_VALUE_CHARS)
        run = far + len(whole[far:].rstrip(_JWT_CHARS))
        if (token := _JWT_START.search(whole, run)) is not None:
            dot = whole.find(".", token.start())
            if dot >= 0 or end - token.start() < _CONTEXT_CHARS:
                start = min(start, token.start())
        start = value = min(start, reach + self._masker.begun(tail))
        for first, inside, last in sorted(extents, key=lambda extent: -extent[2]):
            if last < start:
                break
            if first < start:
                start, value = first, inside
        return start, value

    def _cut_inside(
        self, whole: str, since: int, start: int, value: int
    ) -> tuple[int, tuple[Spans, ...]]:
        """A cut inside a value that is too long to be held, and how what stands before it is
        masked.
        """
        cut = len(_untorn(whole))
        if cut <= since:
            return since, ()
        self._is_open = True
        tail = whole[_neutral(whole, max(value, cut - _TAIL_CHARS), cut) : cut]
        context = whole[max(0, start - _MAX_HEAD_CHARS) : value] + tail
        extents = list(self._masker.extents(context, *self._kinds))
        at = len(context) - len(tail)
        is_found = any(first < at + bool(tail) and end >= len(context) for first, _, end in extents)
        if is_found and not _CONTAINER.match(whole, value):
            self._context = self._encoded(context)
        else:
            self._is_shut = True
        once = [Span(max(since, value), cut, INCOMPLETE)]
        return cut, (lambda _: iter([once.pop()] if once else ()),)

    def _hidden(self, data: bytes) -> bytes:
        if WHOLE_MARK.fullmatch(data.decode("iso-8859-1")):
            return data
        self._masker.count(INCOMPLETE)
        return mark(INCOMPLETE).encode()


def _end_of(text: str) -> str:
    """The end of a text, from where it can be read."""
    if len(text) <= _CONTEXT_CHARS:
        return text
    at = len(text) - _CONTEXT_CHARS
    found = _CONTEXT_START.search(text, at, at + _TAIL_CHARS)
    return text[at if found is None else found.end() :]


def _untorn(text: str) -> str:
    """``text`` without the escapes at its end, of which the last may be torn."""
    torn = _TORN_ESCAPE.search(text, max(0, len(text) - 42))
    return text if torn is None else text[: torn.start()].rstrip("\\")


def _neutral(text: str, start: int, end: int) -> int:
    """The first place in ``text[start:end]`` that is inside no escape; the end if there is none."""
    while start < end:
        is_escape = _TORN_ESCAPE.search(text, max(0, start - 42), start) is not None
        if text[start].isalnum() and not is_escape:
            break
        start += 1
    return start


def _merged(extents: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """From where to where no cut may be, in order."""
    merged: list[tuple[int, int]] = []
    for start, _, end in sorted(extents):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def _outside(merged: list[tuple[int, int]], at: int) -> int:
    """``at``, or where that starts which goes over it."""
    found = bisect_left(merged, (at, 0)) - 1
    return merged[found][0] if found >= 0 and at < merged[found][1] else at
