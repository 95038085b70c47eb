"""JSONPath queries (RFC 9535) over JSON texts, by the library python-jsonpath."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from recorder.wire.json_texts import JsonText, split

__all__ = ["JsonPath"]

_LITERAL: Final = re.compile(r"[\w-]+", re.ASCII)
_decode: Final = msgspec.json.Decoder().decode


class JsonPath:
    """A compiled query. Raises ValueError if ``text`` is none, which says what was expected."""

    def __init__(self, text: str) -> None:
        # It takes a tenth of a second to import, which only those pay who ask by a path.
        from jsonpath import JSONPath, JSONPathEnvironment
        from jsonpath.exceptions import JSONPathError
        from jsonpath.selectors import NameSelector

        self.text: Final = text
        self._error: Final = JSONPathError
        try:
            # Strict: what RFC 9535 has, without what the library adds to it.
            self._path = JSONPathEnvironment(strict=True).compile(text)
        except JSONPathError as exc:
            # The library says -1 where the text ends too early.
            at = -1 if exc.token is None else exc.token.index
            column = f" at character {at + 1}" if at >= 0 else ""
            raise ValueError(
                f"{text!r} is no JSONPath: {exc.args[0]}{column}; expected a query of RFC 9535,"
                " such as $.positions[?@.rssi < -80]"
            ) from exc

        self._names: Final = [
            f'"{segment.selectors[0].name}"'.encode()
            for segment in (self._path.segments if isinstance(self._path, JSONPath) else ())
            if len(segment.selectors) == 1
            and isinstance(segment.selectors[0], NameSelector)
            # Of others JSON may escape more than by \u.
            and _LITERAL.fullmatch(segment.selectors[0].name)
        ]

    def __repr__(self) -> str:
        return f"JsonPath({self.text!r})"

    def may_be_in(self, payload: bytes) -> bool:
        """Whether a match is possible, told without reading the payload: each name that the query
        has alone in a step is then a key, spelled literally or with an escape."""
        return b"\\u" in payload or all(name in payload for name in self._names)

    def found_in(self, payload: bytes) -> bool:
        """Whether any JSON text of a payload (most often it is one) has a match. Raises nothing."""
        return any(
            self._matches(span.data) for span in split(payload) if isinstance(span, JsonText)
        )

    def _matches(self, text: bytes) -> bool:
        try:
            return self._path.match(_read(text)) is not None
        # Nested deeper than can be read, or a number longer than Python reads.
        except (self._error, RecursionError, ValueError):
            return False


def _read(text: bytes) -> Any:
    try:
        return _decode(text)
    except ValueError:
        # It takes the escapes of lone surrogates, which are in the grammar of RFC 8259.
        return json.loads(text)
