"""A report as a spreadsheet: what the backend sends to whoever does not ask for JSON (Traccar
lineage).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from fake_server.reports.report import Kind

__all__ = ["XLSX", "xlsx"]

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
"""The content type of a spreadsheet."""

_CREATED: Final = datetime(2020, 1, 1, tzinfo=UTC).replace(tzinfo=None)
"""Fixed, so that the same rows are the same bytes."""

_MAX_NAME: Final = 31
_MAX_CELL: Final = 32_767
_MAX_EXACT: Final = 2**53

_NOT_XML: Final = re.compile("[\ufffe\uffff]")
"""What XML has no way to say, of the characters that JSON may hold and XlsxWriter leaves alone."""

_FORBIDDEN: Final = re.compile(r"[\[\]:*?/\\\x00-\x1f]")


def xlsx(kind: Kind, rows: Iterable[bytes], device_names: Mapping[Any, str] | None = None) -> bytes:
    """Rows, each the JSON text of an object, as a spreadsheet.

    Routes and events have a sheet for each device, summaries one for all. A sheet's first line
    names its columns, the fields of its objects in the order of first sight. Numbers are numbers
    (as text where a spreadsheet would round them), dates are text as they came, lists and objects
    are JSON. ``device_names`` is by id; a device that is not in it is called by what its objects
    say, or by its id. The same rows make the same bytes.
    """
    # Imported here: few ask for a spreadsheet, and it takes 60 ms.
    import xlsxwriter  # type: ignore[import-untyped]

    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True})
    book.set_properties({"created": _CREATED})
    sheets = _sheets(kind, [_members(row) for row in rows], device_names or {})
    for name, objects in sheets.items():
        _fill(book.add_worksheet(name), objects)
    book.close()
    return target.getvalue()


def _members(row: bytes) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(row, type=dict[str, msgspec.Raw])


def _sheets(
    kind: Kind, objects: Sequence[dict[str, msgspec.Raw]], device_names: Mapping[Any, str]
) -> dict[str, list[dict[str, msgspec.Raw]]]:
    """The objects by the name of their sheet; at least one sheet, as a spreadsheet must have."""
    if kind == "summary" or not objects:
        return {kind.capitalize(): list(objects)}
    by_device: dict[bytes, list[dict[str, msgspec.Raw]]] = {}
    for one in objects:
        by_device.setdefault(bytes(one.get("deviceId", b"null")), []).append(one)
    sheets: dict[str, list[dict[str, msgspec.Raw]]] = {}
    taken: set[str] = set()
    for device_id, its in by_device.items():
        name = device_names.get(msgspec.json.decode(device_id)) or _text(its[0].get("deviceName"))
        sheet = _sheet_name(name or device_id.decode(), taken)
        taken.add(sheet.lower())
        sheets[sheet] = its
    return sheets


def _sheet_name(wanted: str, taken: set[str]) -> str:
    """A name that a spreadsheet takes and that no other sheet has."""
    # Quotes may stand inside, but not around; History is Excel's own.
    plain = _FORBIDDEN.sub(" ", _cell(wanted)).strip("' ")
    plain = _cut(plain, _MAX_NAME).strip("' ") or "Device"
    name, number = plain, 1
    while name.lower() in taken or name.lower() == "history":
        number += 1
        suffix = f" {number}"
        name = _cut(plain, _MAX_NAME - len(suffix)) + suffix
    return name


def _fill(sheet: Any, objects: Sequence[dict[str, msgspec.Raw]]) -> None:
    columns = {
        name: number for number, name in enumerate(dict.fromkeys(k for o in objects for k in o))
    }
    for name, column in columns.items():
        sheet.write_string(0, column, _cell(name))
    for row, members in enumerate(objects, 1):
        for name, raw in members.items():
            _write(sheet, row, columns[name], bytes(raw))


def _write(sheet: Any, row: int, column: int, raw: bytes) -> None:
    value = msgspec.json.decode(raw)
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, int | float) and abs(value) <= _MAX_EXACT:
        sheet.write_number(row, column, value)
    else:
        # Never as a formula, whatever it begins with.
        text = value if isinstance(value, str) else raw.decode()
        sheet.write_string(row, column, _cell(text))


def _cell(text: str) -> str:
    """As much of a text as a cell takes."""
    return _NOT_XML.sub("\ufffd", _cut(text, _MAX_CELL))


def _cut(text: str, max_units: int) -> str:
    """The beginning of a text; a spreadsheet counts UTF-16 units, at most two a character."""
    if 2 * len(text) <= max_units:
        return text
    return text.encode("utf-16-le")[: 2 * max_units].decode("utf-16-le", "ignore")


def _text(raw: msgspec.Raw | None) -> str:
    value = None if raw is None else msgspec.json.decode(raw)
    return value if isinstance(value, str) else ""
