"""Splits bytes into JSON texts where they stand joined by ``~``, and joins them.

Text copied from a terminal, a log whose unprintable bytes were lost, and some payloads hold several
JSON texts (RFC 8259), one after the other. Between them stand ``~`` and white space; inside their
strings a ``~`` is data. So the splitter goes by the structure of JSON and never by the ``~`` alone:

* A text is an object or an array, complete by the grammar of RFC 8259 and valid UTF-8 (its section
  8.1). Escapes of lone surrogates are in that grammar, NaN is not. Depth has no bound.
* Between texts any number of ``~``, space, tab, line break and UTF-8 byte order mark are
  delimiters. None is needed.
* Everything else is unparsed. After it reading goes on at the next ``{`` or ``[`` with which a text
  begins, also inside what a torn text took for one of its strings or for a part of itself.

Every byte fed is in a text, in a span or a delimiter; no input raises; time is linear in the size
of any input.
"""

from __future__ import annotations

import re
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final, TypeAlias

import msgspec

from recorder.wire.json_automaton import WHITE_SPACE, Attempt, end_of_match

__all__ = [
    "MAX_TEXT_BYTES",
    "JsonText",
    "JsonTextSplitter",
    "UnparsedSpan",
    "join",
    "split",
]

MAX_TEXT_BYTES: Final = 16 * 1024 * 1024
"""The longest text that :class:`JsonTextSplitter` takes unless it is told otherwise."""

# Strategy
# ========
#
# An *attempt* reads from one `{` or `[`, its start, until the text is complete or cannot become
# one. Starts are tried in the order of their offsets; a text that completes is given out and
# reading goes on behind it.
#
# The fast path lets msgspec find the end of a text. Where it failed it is not asked again before
# the byte that it got to, so it reads every byte once. What it cannot decide (a text that is cut by
# the end of a chunk, deep nesting, lone surrogates, whatever is torn) goes to the slow path,
# `Attempt`: an automaton over bytes with a stack of its own, which can stop at any byte and go on
# with the next chunk. Both accept the same texts. A whole payload that is in order needs neither:
# with commas for `~` it is one array, whose items msgspec finds in one call, three times as fast.
#
# Why the slow path is linear: an attempt that fails at byte e settles every `{` and `[` that it
# took for structure. Those still open at e fail there too, for they were read the same way; they
# are remembered and not tried again. Those complete before e are texts; reading them once more
# costs what is then given out for good. What is left are starts inside the attempt's strings. An
# attempt from there is outside a string wherever the first is inside one, and the other way round:
# a quote turns both, and a backslash, which could hide a quote from one, ends the other. So where
# two failing attempts overlap, one of them takes the next start for structure, and a third begins
# only behind the end of one of them. No byte is read by more than two attempts that fail and one
# that succeeds.

_TEXT_START: Final = re.compile(rb"[\[{]")
_DELIMITERS: Final = re.compile(rb"(?:[ \t\n\r~]|\xef\xbb\xbf)*+")
_DELIMITERS_REVERSED: Final = re.compile(rb"(?:[ \t\n\r~]|\xbf\xbb\xef)*+")


class JsonText(msgspec.Struct, frozen=True, gc=False):
    """One JSON object or array, its bytes as they came.

    ``offset`` counts from the first byte that the splitter was fed.
    """

    data: bytes
    offset: int


class UnparsedSpan(msgspec.Struct, frozen=True, gc=False):
    """Bytes between two JSON texts that belong to none, without the delimiters at their two ends.

    ``offset`` counts from the first byte that the splitter was fed.
    """

    data: bytes
    offset: int


_Event: TypeAlias = JsonText | UnparsedSpan


def split(payload: bytes) -> list[JsonText | UnparsedSpan]:
    """The JSON texts of one payload and what stands between them, in order. Raises nothing.

    >>> split(b'{"a":"~"} ~ [1]~{"torn":"')
    [JsonText(data=b'{"a":"~"}', offset=0), JsonText(data=b'[1]', offset=12), \
UnparsedSpan(data=b'{"torn":"', offset=16)]
    """
    texts = _split_at_once(payload)
    return texts or JsonTextSplitter(max_text_bytes=sys.maxsize)._read(payload, last=True)


def join(texts: Iterable[bytes]) -> bytes:
    """The texts with a ``~`` between them, unchecked; :func:`split` gives them back."""
    return b"~".join(texts)


class JsonTextSplitter:
    """Splits a stream that arrives in chunks of any size, with the same result whatever the chunks.

    A text longer than ``max_text_bytes`` is given up where it passes that size, and with it every
    object and array that is open at that byte. Unparsed bytes are cut into spans of at most that
    size, at offsets that only the bytes decide. So at most twice that size and one chunk are held.
    Raises ValueError if ``max_text_bytes`` is less than 1.

    >>> splitter = JsonTextSplitter()
    >>> splitter.feed(b'Logged In...~{"a":')
    []
    >>> splitter.feed(b'1}~[')
    [UnparsedSpan(data=b'Logged In...', offset=0), JsonText(data=b'{"a":1}', offset=13)]
    >>> splitter.close()
    [UnparsedSpan(data=b'[', offset=21)]
    """

    def __init__(self, *, max_text_bytes: int = MAX_TEXT_BYTES) -> None:
        if max_text_bytes < 1:
            raise ValueError(f"max_text_bytes is at least 1, not {max_text_bytes}")
        self._limit = max_text_bytes
        # These are offsets: `_base` that of the first byte held, `_at` where reading goes on, and
        # no text begins between them.
        self._held = bytearray()
        self._base = 0
        self._at = 0
        self._fast_from = 0
        # An attempt from `_at` that the end of the last chunk interrupted.
        self._attempt: Attempt | None = None
        # Starts that are known to fail: what an attempt that failed had open then, ascending.
        self._failed: list[array[int]] = []

    def feed(self, chunk: bytes) -> list[JsonText | UnparsedSpan]:
        """Take the next chunk; return what it completes, in order. Raises nothing."""
        if not self._held:
            return self._read(chunk, last=False)
        self._held += chunk
        return self._read(self._held, last=False)

    def close(self) -> list[JsonText | UnparsedSpan]:
        """Say that the stream ended; return what is left. Raises nothing; feed nothing after it."""
        return self._read(self._held, last=True)

    def _read(self, data: bytes | bytearray, *, last: bool) -> list[JsonText | UnparsedSpan]:
        """What is decided in ``data``, which begins at offset ``_base``; the rest is held."""
        events: list[_Event] = []
        base, size, limit = self._base, len(data), self._limit
        at = self._at - base
        unparsed = 0
        while True:
            if self._attempt is None:
                found = _TEXT_START.search(data, at)
                at = size if found is None else found.start()
            while at - unparsed >= limit:
                self._add_span(events, data, unparsed, unparsed + limit)
                unparsed += limit
            if at == size:
                self._failed.clear()
                break
            end = self._end_of_text(data, at, last=last)
            if self._attempt is not None:
                break
            if end is None:
                at += 1
                continue
            self._add_span(events, data, unparsed, at)
            events.append(JsonText(bytes(data[at:end]), base + at))
            unparsed = at = end
        if last:
            self._add_span(events, data, unparsed, size)
            unparsed = size
        self._at = base + at
        self._base = base + unparsed
        if data is self._held:
            del self._held[:unparsed]
        else:
            self._held += data[unparsed:]
        return events

    def _end_of_text(self, data: bytes | bytearray, at: int, *, last: bool) -> int | None:
        """The index behind the text at ``at``; None if there is none, or not yet (``_attempt``)."""
        start = self._base + at
        attempt, self._attempt = self._attempt, None
        if attempt is None:
            if self._is_known_to_fail(start):
                return None
            end = self._find_end(data, at)
            if end is not None:
                return end
            attempt = Attempt(start)
        end = attempt.run(data, self._base, min(len(data), at + self._limit))
        if end is None:
            if attempt.is_alive and not last and len(data) - at < self._limit:
                self._attempt = attempt
            else:
                # Only what lies ahead matters; no more than two attempts got there.
                failed = [*self._failed, attempt.opened]
                self._failed = [opened for opened in failed if opened[-1] > start]
        return end

    def _add_span(
        self, events: list[_Event], data: bytes | bytearray, start: int, end: int
    ) -> None:
        start = end_of_match(_DELIMITERS, data, start, end)
        if start < end:
            reverse = data[start:end][::-1]
            end -= end_of_match(_DELIMITERS_REVERSED, reverse, 0, end - start)
            events.append(UnparsedSpan(bytes(data[start:end]), self._base + start))

    def _is_known_to_fail(self, start: int) -> bool:
        for opened in self._failed:
            index = bisect_left(opened, start)
            if index < len(opened) and opened[index] == start:
                return True
        return False

    def _find_end(self, data: bytes | bytearray, at: int) -> int | None:
        """The fast path: the index behind the text at ``at``; None where the slow one must tell."""
        if self._base + at < self._fast_from or not _MESSAGES_ARE_KNOWN:
            return None
        size, read = _find_end_by_msgspec(memoryview(data)[at:])
        if size is not None and size <= self._limit and _is_utf8(data[at : at + size]):
            return at + size
        self._fast_from = self._base + at + read
        return None


def _is_utf8(data: bytes | bytearray) -> bool:
    # msgspec passes over the bytes of strings that it does not decode.
    if data.isascii():
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


_find_raw: Final = msgspec.json.Decoder(msgspec.Raw).decode
_find_raw_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _split_at_once(payload: bytes) -> list[_Event] | None:
    """The texts of a payload that holds only texts and a ``~`` between any two; None of others."""
    texts: list[_Event] = []
    at = 0
    try:
        array = b"[" + payload.strip(b"~ \t\n\r").replace(b"~", b",") + b"]"
        for item in _find_raw_items(array):
            at = end_of_match(_DELIMITERS, payload, at, len(payload))
            data = payload[at : at + len(item)]
            if data[:1] not in (b"{", b"["):
                return None
            if b"~" in data:
                # Inside a string it is as good as a comma, elsewhere it is not.
                _find_raw(data)
            texts.append(JsonText(data, at))
            at += len(data)
    except (msgspec.DecodeError, RecursionError):
        return None
    return texts if _is_utf8(payload) else None


_ERROR_AT: Final = re.compile(r"JSON is malformed: (trailing characters)?.*\(byte (\d+)\)")


def _find_end_by_msgspec(data: memoryview) -> tuple[int | None, int]:
    """The size of the text that ``data`` begins with, or None; and how many bytes were read."""
    try:
        size = len(_find_raw(data))
    except msgspec.DecodeError as error:
        # The number is that of the offending byte, counted from 1.
        found = _ERROR_AT.fullmatch(error.args[0])
        if found is None:
            return None, len(data)
        read = int(found[2])
        if found[1] is None:
            return None, read
        end = read - 1
        while data[end - 1] in WHITE_SPACE:
            end -= 1
        return end, read
    except RecursionError:
        return None, len(data)
    return size, size


# Nobody promises what an error of msgspec says. Where it differs, the slow path does all.
_MESSAGES_ARE_KNOWN: bool = _find_end_by_msgspec(memoryview(b'["~"] ~ []')) == (5, 7)
