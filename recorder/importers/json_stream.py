"""A JSON document that is walked through while it arrives, without holding it. No I/O.

The caller goes into the objects and arrays that may be of any size and takes the values in them
whole. A value's extent is found here, by its strings and brackets; its grammar is left to whoever
decodes it. That keeps the place of every tear known, to the byte, and a string is found as it came:
escapes of lone surrogates and bytes that are no UTF-8, which HAR files of some tools hold, end
nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final

__all__ = ["MAX_DEPTH", "MAX_VALUE_BYTES", "JsonStream", "TornJson"]

MAX_VALUE_BYTES: Final = 256 * 1024 * 1024
"""The longest value that is taken whole unless told otherwise."""

MAX_DEPTH: Final = 200
"""How deep objects and arrays may stand in one value."""

_LONG_BYTES: Final = 4 * 1024 * 1024

_WHITE_SPACE: Final = re.compile(rb"[ \t\n\r]*+")
_SCALAR: Final = re.compile(rb"[^ \t\n\r,:\]}\[{\"]*+")
# What holds no bracket, with the strings that are whole.
_OUTSIDE: Final = re.compile(rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_STRING_REST: Final = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_QUOTE, _BACKSLASH, _COMMA = b'"\\,'
_OPENING: Final = b"{["
_BOM: Final = b"\xef\xbb\xbf"


def _name(data: bytes) -> str:
    """A member's name; what is no Unicode in it is replaced."""
    try:
        name: str = json.loads(data.decode("utf-8", "replace"), strict=False)
    except ValueError:
        return data.decode("utf-8", "replace")
    return name.encode("utf-8", "replace").decode("utf-8")


class TornJson(ValueError):
    """The document cannot be read on. The message says where and why, and nothing of what is there.

    ``ended`` says that it is its end that came too early.
    """

    def __init__(self, why: str, *, ended: bool = False) -> None:
        super().__init__(why)
        self.ended = ended


class JsonStream:
    """Walks through one JSON document (RFC 8259) that arrives in chunks of any size.

    Each of :meth:`members`, :meth:`items`, :meth:`value` and :meth:`skip` reads the next value; in
    a loop over the first two the caller reads each value by one of the four. Everything raises
    TornJson where the document ends too early or is none, and on a value that is nested deeper than
    :data:`MAX_DEPTH` or, where it is held, longer than ``max_value_bytes``. Held are one value and
    one chunk.

    >>> stream = JsonStream([b'{"a": [1, "x', b'y"], "b": {}}'])
    >>> [(name, stream.value()) for name in stream.members()]
    [('a', b'[1, "xy"]'), ('b', b'{}')]

    A number or a word that ends with the document counts as cut, so a document that is nothing else
    is torn.
    """

    def __init__(self, chunks: Iterable[bytes], *, max_value_bytes: int = MAX_VALUE_BYTES) -> None:
        self._chunks = iter(chunks)
        self._max_value_bytes = max_value_bytes
        self._buffer = bytearray()
        self._at = 0
        self._dropped_bytes = 0
        # A byte order mark is no part of the document (RFC 8259 section 8.1).
        while len(self._buffer) < len(_BOM) and self._fetch():
            pass
        if self._buffer.startswith(_BOM):
            self._at = len(_BOM)

    @property
    def position(self) -> int:
        """How many bytes of the document were read."""
        return self._dropped_bytes + self._at

    def peek(self) -> int | None:
        """The first byte of what comes next, white space left out; None at the end."""
        while True:
            match = _WHITE_SPACE.match(self._buffer, self._at)
            assert match is not None
            self._at = match.end()
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                return None

    def members(self) -> Iterator[str]:
        """The names of the object that comes next; the caller reads each one's value."""
        self._expect(b"{")
        if self.peek() != ord("}"):
            while True:
                if self.peek() != _QUOTE:
                    raise self._torn("a member's name")
                name = self.value()
                self._expect(b":")
                yield _name(name)
                if self.peek() != _COMMA:
                    break
                self._at += 1
        self._expect(b"}")

    def items(self) -> Iterator[int]:
        """The numbers, from 0, of the items of the array that comes next; the caller reads each."""
        self._expect(b"[")
        number = 0
        if self.peek() != ord("]"):
            while True:
                yield number
                number += 1
                if self.peek() != _COMMA:
                    break
                self._at += 1
        self._expect(b"]")

    def value(self) -> bytes:
        """The bytes of the value that comes next."""
        end = self._end(hold=True)
        data = bytes(memoryview(self._buffer)[self._at : end])
        self._at = end
        if end > _LONG_BYTES:
            # Not to hold a long value twice.
            self._drop()
        return data

    def skip(self) -> None:
        """Pass over the value that comes next, whatever its size."""
        self._at = self._end(hold=False)

    def _expect(self, byte: bytes) -> None:
        if self.peek() != byte[0]:
            raise self._torn(byte.decode())
        self._at += 1

    def _end(self, *, hold: bool) -> int:
        """Where in the buffer the next value ends; its start stays in the buffer if it is held."""
        first = self.peek()
        buffer = self._buffer
        at = self._at
        if first is None or first in b",:]}":
            raise self._torn("a value")
        if first != _QUOTE and first not in _OPENING:
            return self._end_of_scalar()
        depth = 0
        in_string = first == _QUOTE
        at += in_string
        while True:
            match = (_STRING_REST if in_string else _OUTSIDE).match(buffer, at)
            assert match is not None
            at = match.end()
            if at == len(buffer) or buffer[at] == _BACKSLASH:
                at = self._continued(at, hold=hold)
                continue
            byte = buffer[at]
            at += 1
            if byte == _QUOTE:
                in_string = not in_string
            elif byte in _OPENING:
                depth += 1
                if depth > MAX_DEPTH:
                    raise TornJson(
                        f"byte {self._dropped_bytes + at}: nested deeper than {MAX_DEPTH}"
                    )
            else:
                depth -= 1
            if depth == 0 and not in_string:
                return at

    def _end_of_scalar(self) -> int:
        at = self._at
        while True:
            match = _SCALAR.match(self._buffer, at)
            assert match is not None
            if match.end() < len(self._buffer):
                return match.end()
            # One that ends with the document may be a part of a longer one.
            at = self._continued(match.end(), hold=True)

    def _continued(self, at: int, *, hold: bool) -> int:
        """Get more of a value that goes on at ``at``; return where that is now."""
        if not hold:
            self._at = at
        behind = at - self._at
        if not self._more():
            raise TornJson(
                f"it ends at byte {self._dropped_bytes + len(self._buffer)}, inside a value",
                ended=True,
            )
        if hold and len(self._buffer) - self._at > self._max_value_bytes:
            raise self._too_long()
        return self._at + behind

    def _more(self) -> bool:
        """Forget what was read and get the next chunk; False at the end."""
        self._drop()
        return self._fetch()

    def _drop(self) -> None:
        self._dropped_bytes += self._at
        del self._buffer[: self._at]
        self._at = 0

    def _fetch(self) -> bool:
        for chunk in self._chunks:
            if chunk:
                self._buffer += chunk
                return True
        return False

    def _too_long(self) -> TornJson:
        return TornJson(
            f"the value at byte {self.position} is longer than {self._max_value_bytes} bytes"
        )

    def _torn(self, expected: str) -> TornJson:
        if self.peek() is None:
            return TornJson(f"it ends at byte {self.position}; expected {expected}", ended=True)
        return TornJson(f"byte {self.position}: expected {expected}, found something else")
