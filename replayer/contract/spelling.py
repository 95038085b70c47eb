"""How numbers were spelled: a parsed number is looked up in the text that it came from. Pure.

``100.0`` and ``100`` are one number, and two spellings, and only the spelling is evidence. Reading
every number with its text would cost as much again as parsing; only extremes are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

__all__ = ["Batch", "Extreme"]


class Batch:
    """The texts that values came from: asked for how a number was spelled there."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._spelled: dict[float, str] | None = None

    def spelling(self, value: float, name: str) -> str:
        """The text of that number under that name in one of the texts; else of an equal number, the
        shortest if there are several."""
        shown = repr(value)
        for end in (",", "}"):
            sought = f'"{name}":{shown}{end}'
            if any(sought in text for text in self._texts):
                return shown
        if self._spelled is None:
            self._spelled = self._all()
        return self._spelled.get(value, shown)

    def _all(self) -> dict[float, str]:
        spelled: dict[float, str] = {}

        def keep(text: str) -> None:
            value = float(text)
            known = spelled.get(value)
            if known is None or (len(text), text) < (len(known), known):
                spelled[value] = text

        decoder = msgspec.json.Decoder(float_hook=keep)
        for text in self._texts:
            decoder.decode(text)
        return spelled


class Extreme:
    """The least or the greatest number, as it was spelled: ``text``, None before the first.

    ``name`` is that of its field; ``before`` says whether the known number goes before another.
    """

    def __init__(self, name: str, before: Callable[[Any, Any], bool]) -> None:
        self._name = name
        self._before = before
        self._value: int | float = 0
        self.text: str | None = None

    def take(self, value: int | float, batch: Batch) -> None:
        """One more number, from that batch."""
        if self.text is not None and self._before(self._value, value):
            return
        text = str(value) if isinstance(value, int) else batch.spelling(value, self._name)
        if self.text is None or value != self._value or (len(text), text) < _order(self.text):
            self._value, self.text = value, text


def _order(text: str) -> tuple[int, str]:
    return len(text), text
