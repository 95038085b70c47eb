"""Views: a text as it reads once its JSON escapes or percent escapes are undone, and the way back
to the raw text.

A secret may be spelled ``bob%40example.com`` in a URL, ``bob\\u0040example.com`` in JSON, or both
inside each other. The rules know none of these spellings: they look at every view of a text, and
what they find is mapped back to the raw text, where whole escapes are replaced or none.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable
from typing import Final, TypeAlias
from urllib.parse import quote

__all__ = ["View", "plain", "views_of"]

_MAX_LAYERS: Final = 3

_JSON_ESCAPE: Final = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))",
    re.DOTALL,
)
_UNIT_ESCAPE: Final = re.compile(r"\\u[0-9a-fA-F]{4}")
_PERCENT_RUN: Final = re.compile(r"(?:%[0-9a-fA-F]{2})++")
_FORM_RUN: Final = re.compile(r"\+|(?:%[0-9a-fA-F]{2})++")
# RFC 8259 section 7.
_SHORT_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


_Unescape: TypeAlias = Callable[[re.Match[str]], list[tuple[str, int]]]
_Escape: TypeAlias = Callable[[str, str], str]
"""A text as it must stand where another, the second, stood."""
_Kind: TypeAlias = tuple[re.Pattern[str], _Unescape, _Escape]


class View:
    """``text``, and where each of its characters stands in the text that it was read from.

    ``depth`` counts the layers of escapes that were undone as a whole. ``keeps_strings`` says that
    the strings of JSON begin and end where they did.
    """

    __slots__ = ("_escape", "_raws", "_starts", "depth", "keeps_strings", "parent", "text")

    def __init__(
        self,
        text: str,
        starts: list[int],
        raws: list[int],
        parent: View | None,
        kind: _Kind,
    ) -> None:
        self.text = text
        self.parent = parent
        above = 0 if parent is None else parent.depth
        self.depth: int = above + (kind is not _IN_STRINGS)
        self.keeps_strings: bool = kind is _IN_STRINGS and (parent is None or parent.keeps_strings)
        self._escape = kind[2]
        # Piece i of `text` starts at `_starts[i]` and was read at `_raws[i]`. It is a run that
        # stands there as it is, or one character that was an escape. The last piece is the empty
        # one at the end.
        self._starts = starts
        self._raws = raws

    def raw(self, position: int) -> int:
        """Where the character at ``position`` starts in the raw text, or where it ends."""
        piece = bisect_right(self._starts, position) - 1
        above = self._raws[piece] + position - self._starts[piece]
        return above if self.parent is None else self.parent.raw(above)

    def whole(self, raw: int) -> int:
        """``raw``, or the end of the escape that it stands inside of. Only for a view of the raw
        text itself.
        """
        piece = bisect_right(self._raws, raw) - 1
        if piece + 1 == len(self._raws):
            return raw
        inside = raw - self._raws[piece]
        is_run = (
            self._raws[piece + 1] - self._raws[piece]
            == self._starts[piece + 1] - self._starts[piece]
        )
        return raw if is_run or inside == 0 else self._raws[piece + 1]

    def escaped(self, text: str, old: str) -> str:
        """``text`` with the escapes that this view undoes done, to stand where ``old`` stood in the
        raw text.
        """
        text = self._escape(text, old)
        return text if self.parent is None else self.parent.escaped(text, old)


def _escape_json(text: str, _: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _escape_percent(text: str, old: str) -> str:
    # What stood there as it is may stand there.
    return quote(text, safe=old.replace("%", "").replace("+", ""))


def _unescape_json(found: re.Match[str]) -> list[tuple[str, int]]:
    high, low, unit, short = found.groups()
    if high is not None:
        return [(chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00), 12)]
    return (
        [(chr(int(unit, 16)), 6)] if unit is not None else [(_SHORT_ESCAPES.get(short, short), 2)]
    )


def _unescape_in_strings(found: re.Match[str]) -> list[tuple[str, int]]:
    [(char, width)] = _unescape_json(found)
    # What would end the string, or escape what follows, stays escaped.
    return [("\\", 1), (char, width - 1)] if char in '"\\' else [(char, width)]


def _unescape_percent(found: re.Match[str]) -> list[tuple[str, int]]:
    if found[0] == "+":
        return [(" ", 1)]
    data = bytes.fromhex(found[0].replace("%", ""))
    try:
        return [(char, 3 * len(char.encode("utf-8"))) for char in data.decode("utf-8")]
    except UnicodeDecodeError:
        return [(char, 3) for char in data.decode("iso-8859-1")]


_JSON: Final[_Kind] = (_JSON_ESCAPE, _unescape_json, _escape_json)
_IN_STRINGS: Final[_Kind] = (_JSON_ESCAPE, _unescape_in_strings, _escape_json)
_PERCENT: Final[_Kind] = (_PERCENT_RUN, _unescape_percent, _escape_percent)
_FORM: Final[_Kind] = (_FORM_RUN, _unescape_percent, _escape_percent)


def _undone(above: str, kind: _Kind, parent: View | None) -> View | None:
    escape, unescape, _ = kind
    pieces: list[str] = []
    starts: list[int] = []
    raws: list[int] = []
    size = position = 0
    for found in escape.finditer(above):
        if found.start() > position:
            pieces.append(above[position : found.start()])
            starts.append(size)
            raws.append(position)
            size += found.start() - position
        position = found.start()
        for char, width in unescape(found):
            pieces.append(char)
            starts.append(size)
            raws.append(position)
            size += 1
            position += width
    if not starts:
        return None
    tail = above[position:]
    return View(
        "".join([*pieces, tail]),
        [*starts, size, size + len(tail)],
        [*raws, position, len(above)],
        parent,
        kind,
    )


def _layer(text: str, parent: View | None, percent: _Kind = _PERCENT) -> list[View]:
    views = []
    if "\\" in text:
        views.append(_undone(text, _JSON, parent))
        # A name may be escaped so.
        if _UNIT_ESCAPE.search(text):
            views.append(_undone(text, _IN_STRINGS, parent))
    if "%" in text or (percent is _FORM and "+" in text):
        views.append(_undone(text, percent, parent))
    return [view for view in views if view is not None]


def views_of(raw: str, *, is_form: bool = False) -> list[View]:
    """The views of ``raw``, itself left out: first those with one layer of escapes undone, then
    those with more.

    Three layers are undone: JSON in a JSON string, a URL in that, and the like. In a form and in a
    URL ``+`` is a space.
    """
    layer = _layer(raw, None, _FORM if is_form else _PERCENT)
    views = list(layer)
    seen = {raw, *(view.text for view in views)}
    for _ in range(_MAX_LAYERS - 1):
        deeper = []
        for view in (view for parent in layer for view in _layer(parent.text, parent)):
            if view.text not in seen:
                seen.add(view.text)
                deeper.append(view)
        views += deeper
        layer = deeper
    return views


def plain(raw: str) -> str:
    """A value as it reads with JSON escapes and then percent escapes undone: equal for all
    spellings of one value.
    """
    for kind in (_JSON, _PERCENT):
        view = _undone(raw, kind, None)
        raw = raw if view is None else view.text
    return raw
