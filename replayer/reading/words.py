"""What every command says its answer with: text made printable, counted, timed, cut and wrapped.
Pure.

Nothing of a recording reaches a terminal as it is: whatever it would obey rather than show (control
characters, escape sequences, marks that turn the direction of writing) is escaped by
:func:`printable`.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from rich.cells import cell_len, set_cell_size

__all__ = ["counted", "duration", "fit", "json_text", "printable", "seconds", "wrap"]


def printable(text: str) -> str:
    r"""The text with whatever is not printable escaped as Python would, ``\x1b`` or ``\u202e``:
    safe in one line."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


def counted(count: int, plural: str) -> str:
    """``1 device``, ``2 devices``: the number with the word, whose last letter is its plural's."""
    return f"{count} {plural[:-1] if count == 1 else plural}"


def json_text(value: object) -> str:
    """The value as JSON in one line of printable characters; others stand as escapes, which say the
    same."""
    try:
        text = msgspec.json.encode(value).decode("utf-8")
    except UnicodeEncodeError:
        # The name of a file need not be UTF-8; then it has lone surrogates, which JSON lacks.
        text = msgspec.json.encode(_without_surrogates(value)).decode("utf-8")
    # JSON itself escapes only what is below a space; in its strings, anything may be escaped.
    return text if text.isprintable() else _PERHAPS_NOT_PRINTABLE.sub(_json_escape, text)


def _without_surrogates(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
        case dict():
            return {
                _without_surrogates(name): _without_surrogates(each) for name, each in value.items()
            }
        case list() | tuple():
            return [_without_surrogates(each) for each in value]
        case _:
            return value


_PERHAPS_NOT_PRINTABLE: Final = re.compile("[^ -~]")


def _json_escape(found: re.Match[str]) -> str:
    character = found[0]
    if character.isprintable():
        return character
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def fit(text: str, columns: int) -> str:
    """The text in at most ``columns`` cells of a terminal (a wide character takes two), cut with
    ``…``."""
    # Of ASCII each printable character takes one cell, which most lines are done with.
    if len(text) <= columns and text.isascii():
        return text
    return text if cell_len(text) <= columns else set_cell_size(text, columns - 1).rstrip() + "…"


_WORD: Final = re.compile(" *[^ ]+")
_WRAPPED_INDENT: Final = " " * 14


def wrap(text: str, columns: int) -> str:
    """The text in lines of at most ``columns`` cells, broken before words; those after the first
    are indented. A wider word stays whole, so that it can be copied where a terminal breaks it."""
    lines, line = [], ""
    for word in _WORD.findall(text.rstrip(" ")):
        if line and cell_len(line + word) > columns:
            lines.append(line)
            line, word = _WRAPPED_INDENT, word.lstrip(" ")
        line += word
    return "\n".join([*lines, line])


def seconds(offset_ns: int | None) -> str:
    """Seconds since the recording's start, three decimals; ``-`` where there is no timing."""
    return "-" if offset_ns is None else f"{offset_ns // 1_000_000 / 1000:.3f}"


def duration(length_ns: int) -> str:
    """A length of time as ``--from`` takes it: ``12.345s``, ``1m30.000s`` or ``2h03m04.500s``."""
    whole_ms = length_ns // 1_000_000
    minutes, rest_ms = divmod(whole_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m{rest_ms / 1000:06.3f}s"
    return f"{minutes}m{rest_ms / 1000:06.3f}s" if minutes else f"{rest_ms / 1000:.3f}s"
