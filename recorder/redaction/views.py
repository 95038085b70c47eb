"""Views: a text as it reads once its JSON escapes or percent escapes are undone, and the way back
to the raw text.

A secret may be spelled ``bob%40example.com`` in a URL, ``bob\\u0040example.com`` in JSON, or both
inside each other. The rules know none of these spellings: they look at every view of a text, and
what they find is mapped back to the raw text, where whole escapes are replaced or none.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from typing import Final

__all__ = ["View", "plain", "views_of"]

_MAX_LAYERS: Final = 3

_JSON_ESCAPE: Final = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))",
    re.DOTALL,
)
_PERCENT_RUN: Final = re.compile(r"(?:%[0-9a-fA-F]{2})++")
# RFC 8259 section 7.
_SHORT_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class View:
    """``text``, and where each of its characters stands in the text that it was read from."""

    __slots__ = ("_raws", "_starts", "parent", "text")

    def __init__(
        self, text: str, starts: list[int], raws: list[int], parent: View | None = None
    ) -> None:
        self.text = text
        self.parent = parent
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


def _unescape_json(found: re.Match[str]) -> list[tuple[str, int]]:
    high, low, unit, short = found.groups()
    if high is not None:
        return [(chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00), 12)]
    return (
        [(chr(int(unit, 16)), 6)] if unit is not None else [(_SHORT_ESCAPES.get(short, short), 2)]
    )


def _unescape_percent(found: re.Match[str]) -> list[tuple[str, int]]:
    data = bytes.fromhex(found[0].replace("%", ""))
    try:
        return [(char, 3 * len(char.encode("utf-8"))) for char in data.decode("utf-8")]
    except UnicodeDecodeError:
        return [(char, 3) for char in data.decode("iso-8859-1")]


def _undone(
    above: str,
    escape: re.Pattern[str],
    unescape: Callable[[re.Match[str]], list[tuple[str, int]]],
    parent: View | None,
) -> View | None:
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
    )


def _layer(text: str, parent: View | None) -> list[View]:
    views = []
    if "\\" in text:
        views.append(_undone(text, _JSON_ESCAPE, _unescape_json, parent))
    if "%" in text:
        views.append(_undone(text, _PERCENT_RUN, _unescape_percent, parent))
    return [view for view in views if view is not None]


def views_of(raw: str) -> list[View]:
    """The views of ``raw``, itself left out: first those with one layer of escapes undone, then
    those with more.

    Three layers are undone: JSON in a JSON string, a URL in that, and the like.
    """
    layer = _layer(raw, None)
    views = list(layer)
    seen = {raw, *(view.text for view in views)}
    for _ in range(_MAX_LAYERS - 1):
        layer = [
            view
            for parent in layer
            for view in _layer(parent.text, parent)
            if view.text not in seen
        ]
        seen.update(view.text for view in layer)
        views += layer
    return views


def plain(raw: str) -> str:
    """A value as it reads with JSON escapes and then percent escapes undone: equal for all
    spellings of one value.
    """
    for escape, unescape in ((_JSON_ESCAPE, _unescape_json), (_PERCENT_RUN, _unescape_percent)):
        view = _undone(raw, escape, unescape, None)
        raw = raw if view is None else view.text
    return raw
