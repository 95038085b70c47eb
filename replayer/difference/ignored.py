"""What a comparison leaves out, as its user says it: JSON Pointers and JSONPaths. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from jsonpath import CompoundJSONPath, JSONPath

__all__ = ["IGNORED", "BadPath", "Ignored", "pointer", "tokens_of"]

IGNORED: Final = "\0ignored"
"""What stands in the place of an element of an array that is ignored: those behind it keep their
places."""

_BAD_ESCAPE: Final = re.compile("~(?![01])")


class BadPath(ValueError):
    """What was given is neither a JSON Pointer nor a JSONPath."""


class Ignored:
    """The places that ``paths`` name: JSON Pointers (RFC 6901), in which ``*`` stands for any one
    name or number, and JSONPaths (RFC 9535), which begin with ``$``. Raises BadPath."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._pointers: list[list[str]] = []
        self._paths: list[JSONPath | CompoundJSONPath] = []
        for path in paths:
            if path.startswith("/"):
                self._pointers.append(tokens_of(path))
            elif path.startswith("$"):
                self._paths.append(_compiled(path))
            else:
                raise BadPath(
                    f"{path!r} names no place: expected a JSON Pointer, like /positions/*/speed,"
                    " or a JSONPath, like $.positions[*].speed"
                )

    def __bool__(self) -> bool:
        return bool(self._pointers or self._paths)

    def left_of(self, value: Any) -> Any:
        """The value without what is ignored; it is changed in place. Raises RecursionError where a
        path looks into a value that is nested too deeply."""
        # All are found before any is taken out, so that a filter sees the value as it came.
        found = [list(match.parts) for path in self._paths for match in path.finditer(value)]
        if [] in found:
            return IGNORED
        for tokens in self._pointers:
            _take_out(value, tokens)
        for parts in found:
            _take_out(value, [str(part) for part in parts], exactly=True)
        return value


def pointer(tokens: Iterable[str | int]) -> str:
    """The JSON Pointer of a place; empty for the whole (RFC 6901 section 5)."""
    return "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in tokens)


def tokens_of(text: str) -> list[str]:
    """The reference tokens of a JSON Pointer (RFC 6901 section 4). Raises BadPath."""
    if not text.startswith("/") or _BAD_ESCAPE.search(text):
        raise BadPath(
            f"{text!r} is no JSON Pointer: it begins with / and has ~0 for ~ and ~1 for /"
        )
    return [token.replace("~1", "/").replace("~0", "~") for token in text[1:].split("/")]


def _compiled(path: str) -> JSONPath | CompoundJSONPath:
    # Imported here: it takes 50 ms that nobody else needs.
    import jsonpath

    try:
        return jsonpath.compile(path)
    except jsonpath.JSONPathError as exc:
        why = str(exc).partition("\n")[0]
        raise BadPath(f"{path!r} is no JSONPath: {why}") from exc


def _take_out(value: Any, tokens: list[str], *, exactly: bool = False) -> None:
    token, rest = tokens[0], tokens[1:]
    names: Iterable[Any] = ()
    if isinstance(value, dict):
        if token == "*" and not exactly:
            names = list(value)
        elif token in value:
            names = [token]
    elif isinstance(value, list):
        if token == "*" and not exactly:
            names = range(len(value))
        elif token.isdecimal() and int(token) < len(value):
            names = [int(token)]
    for name in names:
        if rest:
            _take_out(value[name], rest, exactly=exactly)
        elif isinstance(value, dict):
            del value[name]
        else:
            value[name] = IGNORED
