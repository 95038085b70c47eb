"""What lines are made of: names, texts and numbers of a payload, cut and made printable. Pure."""

from __future__ import annotations

from typing import Any, Final

from replayer.reading.words import printable

__all__ = ["cut", "decimal", "excerpt", "listed", "plain_text", "quoted", "rssi_words", "word"]

_LISTED: Final = 8
"""So many names stand in a line; the others are counted."""

_WORD_CHARACTERS: Final = 80
"""A name or text longer than this is cut."""


def plain_text(value: Any) -> str:
    """An id or a name as somebody would type it; empty if it is none."""
    if isinstance(value, str):
        return value
    return str(value) if type(value) is int or type(value) is float else ""


def word(value: Any, *, or_else: str = "?") -> str:
    """An id or a name as it is shown."""
    if isinstance(value, str) and value:
        return cut(value)
    return str(value) if type(value) is int or type(value) is float else or_else


def rssi_words(value: Any) -> str:
    """An rssi with both readings of what may be an unsigned byte: ``204 (-52 dBm)``; empty if it is
    no number.
    """
    if type(value) is not int and type(value) is not float:
        return ""
    # 128 to 255 are taken for unsigned bytes: the manual's section 3.6 calls -64 also 204.
    return f"{value:g} ({value - 256:g} dBm)" if 128 <= value <= 255 else decimal(value, "g")


def decimal(value: float, form: str) -> str:
    """A number in that form of Python's; JSON has whole ones that are too large for it."""
    try:
        return format(value, form)
    except OverflowError:
        return cut(str(value))


def listed(words: list[str], separator: str = ", ") -> str:
    """The first few of these; the others are counted."""
    return separator.join(words[:_LISTED]) + _more(len(words))


def _more(count: int) -> str:
    return f" and {count - _LISTED} more" if count > _LISTED else ""


def cut(text: str) -> str:
    """A name or text in one line of printable characters, cut where it is long."""
    return printable(text if len(text) <= _WORD_CHARACTERS else text[: _WORD_CHARACTERS - 1] + "…")


def quoted(text: str) -> str:
    """As :func:`cut`, in quotes."""
    return f"'{cut(text)}'"


def excerpt(data: bytes) -> str:
    """The start of a payload: as quoted text, or as hex where it is no UTF-8."""
    # A character takes four bytes at most. One that the cut tears must not turn text into binary.
    start = data[: 4 * _WORD_CHARACTERS]
    try:
        return quoted(start.decode("utf-8", "strict" if start == data else "ignore"))
    except UnicodeDecodeError:
        return data[:16].hex(" ") + ("…" if len(data) > 16 else "")
