"""An automaton that reads one JSON object or array, byte by byte, and can stop at any of them.

It is the slow path of :mod:`recorder.wire.json_texts`, for what a library cannot decide: a text
that the end of a chunk cuts, deep nesting, lone surrogates, whatever is torn.
"""

from __future__ import annotations

import re
from array import array
from typing import Final

__all__ = ["WHITE_SPACE", "Attempt", "end_of_match"]

WHITE_SPACE: Final = b" \t\n\r"
"""RFC 8259 section 2."""

# RFC 8259 section 7 (characters and escapes) and RFC 3629 section 4 (UTF-8).
_STRING_BODY: Final = re.compile(
    rb"(?:[ !#-\[\]-\x7f]++"
    rb"|\\(?:[\"\\/bfnrt]|u[0-9A-Fa-f]{4})"
    rb"|[\xc2-\xdf][\x80-\xbf]"
    rb"|\xe0[\xa0-\xbf][\x80-\xbf]|\xed[\x80-\x9f][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
    rb")*+"
)
_LONGEST_UNIT_BYTES: Final = 6  # of the above: \uXXXX


def end_of_match(pattern: re.Pattern[bytes], data: bytes | bytearray, start: int, stop: int) -> int:
    """Where a match that begins at ``start`` ends: at ``start`` if there is none."""
    found = pattern.match(data, start, stop)
    return start if found is None else found.end()


# The states of an attempt. Those from _COMMA on are not lasting: they say what to do.
(
    _DEAD, _VALUE, _FIRST_ITEM, _FIRST_KEY, _KEY, _COLON, _AFTER,
    _MINUS, _ZERO, _WHOLE, _POINT, _FRACTION, _E, _SIGN, _POWER,
    _T, _TR, _TRU, _F, _FA, _FAL, _FALS, _N, _NU, _NUL,
    _IN_KEY, _IN_STRING,
    _COMMA, _OPEN_OBJECT, _OPEN_ARRAY, _CLOSE_OBJECT, _CLOSE_ARRAY,
) = range(32)  # fmt: skip

_DIGITS: Final = b"0123456789"
_BEGINS_VALUE: Final = {
    b'"': _IN_STRING,
    b"{": _OPEN_OBJECT,
    b"[": _OPEN_ARRAY,
    b"-": _MINUS,
    b"0": _ZERO,
    b"123456789": _WHOLE,
    b"t": _T,
    b"f": _F,
    b"n": _N,
}
_FOLLOWS_VALUE: Final = {
    WHITE_SPACE: _AFTER,
    b",": _COMMA,
    b"}": _CLOSE_OBJECT,
    b"]": _CLOSE_ARRAY,
}
# RFC 8259 sections 2 to 6: state, byte, next state. What is not listed is dead.
_MOVES: Final[dict[int, dict[bytes, int]]] = {
    _VALUE: {WHITE_SPACE: _VALUE, **_BEGINS_VALUE},
    _FIRST_ITEM: {WHITE_SPACE: _FIRST_ITEM, **_BEGINS_VALUE, b"]": _CLOSE_ARRAY},
    _FIRST_KEY: {WHITE_SPACE: _FIRST_KEY, b'"': _IN_KEY, b"}": _CLOSE_OBJECT},
    _KEY: {WHITE_SPACE: _KEY, b'"': _IN_KEY},
    _COLON: {WHITE_SPACE: _COLON, b":": _VALUE},
    _AFTER: _FOLLOWS_VALUE,
    _MINUS: {b"0": _ZERO, b"123456789": _WHOLE},
    _ZERO: {**_FOLLOWS_VALUE, b".": _POINT, b"eE": _E},
    _WHOLE: {**_FOLLOWS_VALUE, _DIGITS: _WHOLE, b".": _POINT, b"eE": _E},
    _POINT: {_DIGITS: _FRACTION},
    _FRACTION: {**_FOLLOWS_VALUE, _DIGITS: _FRACTION, b"eE": _E},
    _E: {b"+-": _SIGN, _DIGITS: _POWER},
    _SIGN: {_DIGITS: _POWER},
    _POWER: {**_FOLLOWS_VALUE, _DIGITS: _POWER},
    _T: {b"r": _TR},
    _TR: {b"u": _TRU},
    _TRU: {b"e": _AFTER},
    _F: {b"a": _FA},
    _FA: {b"l": _FAL},
    _FAL: {b"s": _FALS},
    _FALS: {b"e": _AFTER},
    _N: {b"u": _NU},
    _NU: {b"l": _NUL},
    _NUL: {b"l": _AFTER},
}


def _row(moves: dict[bytes, int]) -> bytes:
    row = bytearray(256)
    for keys, state in moves.items():
        for key in keys:
            row[key] = state
    return bytes(row)


_NEXT: Final = [_row(_MOVES.get(state, {})) for state in range(_COMMA)]
_QUOTE, _BACKSLASH, _OPENING_BRACE, _OPENING_BRACKET = b'"\\{['


class Attempt:
    """Reads one text from its start, as far as the bytes go; it can be interrupted after any byte.

    ``opened`` holds the offsets of the objects and arrays that are open, outermost first.
    """

    __slots__ = ("_at", "_state", "opened")

    def __init__(self, start: int) -> None:
        self.opened = array("Q")
        self._at = start
        self._state = _VALUE

    @property
    def is_alive(self) -> bool:
        """Whether more bytes could complete the text."""
        return self._state != _DEAD

    def run(self, data: bytes | bytearray, base: int, stop: int) -> int | None:
        """Read on to index ``stop`` of ``data``, which begins at offset ``base``.

        Returns the index behind the text, or None if it is not complete there or can never be.
        """
        at = self._at - base
        state = self._state
        opened = self.opened
        while at < stop and state != _DEAD:
            if state < _IN_KEY:
                state = _NEXT[state][data[at]]
                at += 1
                if state < _COMMA:
                    continue
                if state == _COMMA:
                    in_object = data[opened[-1] - base] == _OPENING_BRACE
                    state = _KEY if in_object else _VALUE
                elif state <= _OPEN_ARRAY:
                    opened.append(base + at - 1)
                    state = _FIRST_KEY if state == _OPEN_OBJECT else _FIRST_ITEM
                else:
                    opening = _OPENING_BRACE if state == _CLOSE_OBJECT else _OPENING_BRACKET
                    if data[opened[-1] - base] != opening:
                        state = _DEAD
                        break
                    opened.pop()
                    if not opened:
                        return at
                    state = _AFTER
            else:
                at = end_of_match(_STRING_BODY, data, at, stop)
                if at == stop:
                    break
                if data[at] == _QUOTE:
                    state = _COLON if state == _IN_KEY else _AFTER
                    at += 1
                elif data[at] >= _BACKSLASH and stop - at < _LONGEST_UNIT_BYTES:
                    # An escape or a character that the chunk may have cut.
                    break
                else:
                    state = _DEAD
        self._at = base + at
        self._state = state
        return None
