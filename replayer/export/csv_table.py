"""A table as CSV (RFC 4180): a line of names, then a line a row. Pure.

UTF-8, lines end with CR LF. Numbers, ``true`` and ``false`` stand as they came, strings as what
they say, lists as their JSON text; null and what is missing is an empty field, an empty string
``""``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from replayer.export.tables import Row

__all__ = ["csv_field", "csv_lines", "csv_text"]

_QUOTED: Final = re.compile(r'[",\r\n]|\A\s|\s\Z|\A\Z')
_MAY_BE_QUOTED: Final = b'"[{'
"""What strings, lists and objects begin with. All else is digits or a word."""
_read_string: Final = msgspec.json.Decoder(str).decode


def csv_lines(names: Sequence[str], rows: Iterable[Row]) -> Iterator[bytes]:
    """The bytes of the file, line by line. Raises what ``rows`` raise."""
    yield _line([_quoted(name) for name in names])
    for row in rows:
        yield _line([csv_field(row.get(name)) for name in names])


def csv_field(value: bytes | None) -> str:
    """A JSON text as a field, quoted where that is needed."""
    if value is None or value == b"null":
        return ""
    text = csv_text(value)
    return _quoted(text) if value[0] in _MAY_BE_QUOTED else text


def csv_text(value: bytes) -> str:
    """What a JSON text says: a string its characters, all else its own."""
    if value[:1] == b'"':
        try:
            return _read_string(value)
        except ValueError:
            # It is no UTF-8, or holds a lone surrogate, which has none: the JSON text says it.
            pass
    return value.decode("utf-8", "backslashreplace")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def _line(fields: list[str]) -> bytes:
    return (",".join(fields) + "\r\n").encode("utf-8", "backslashreplace")
