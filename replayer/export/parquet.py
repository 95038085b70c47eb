"""A table as Parquet, with pyarrow (extra ``parquet``).

A column's type is what all its values are: ``int64``, ``double``, ``bool``, a timestamp in UTC with
nanoseconds where each is a date as Track spells them, else ``string``. A column whose values differ
is a string column of what they say, as CSV has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, TypeAlias

import msgspec

from replayer.export.csv_table import csv_text
from replayer.export.tables import Row
from replayer.playing.dates import read_date

if TYPE_CHECKING:
    import pyarrow

__all__ = ["ROW_GROUP_BYTES", "ROW_GROUP_ROWS", "ColumnType", "Types", "write_parquet"]

ROW_GROUP_ROWS: Final = 10_000
ROW_GROUP_BYTES: Final = 4 * 1024 * 1024
"""A row group has no more rows, and hardly more bytes of JSON: it is all that is held."""

_BATCH_ROWS: Final = 500
_BATCH_BYTES: Final = 512 * 1024
"""So many rows are held as Python's objects, which take five times what Arrow's columns take."""

ColumnType: TypeAlias = Literal["int64", "double", "bool", "timestamp", "string"]

_INT64: Final = range(-(2**63), 2**63)
_EXACT: Final = range(-(2**53), 2**53 + 1)
"""The whole numbers that a double holds, all of them."""
_KNOWN: Final[dict[str, ColumnType]] = {
    "_seq": "int64",
    "_offset_ns": "int64",
    "_wall": "timestamp",
    "_connection": "int64",
}
"""Ours have their type also where a recording has no times, and they are all null."""

_read_string: Final = msgspec.json.Decoder(str).decode


class Types:
    """The types of columns, learnt row by row."""

    def __init__(self) -> None:
        self._seen: dict[str, set[str]] = {}

    def learn(self, row: Row) -> None:
        """Take a row's values in."""
        for name, value in row.items():
            seen = self._seen.get(name)
            if seen is None:
                seen = self._seen[name] = set()
            # Nothing can make another type of it then.
            if "string" not in seen:
                seen.add(_kind(value))

    def of(self, name: str) -> ColumnType:
        """The type that holds all that was seen in the column."""
        if name in _KNOWN:
            return _KNOWN[name]
        kinds = frozenset(self._seen.get(name, ())) - {"null"}
        return _TYPES.get(kinds, "string")


_TYPES: Final[dict[frozenset[str], ColumnType]] = {
    frozenset({"int"}): "int64",
    frozenset({"long"}): "int64",
    frozenset({"int", "long"}): "int64",
    frozenset({"double"}): "double",
    frozenset({"double", "int"}): "double",
    frozenset({"bool"}): "bool",
    frozenset({"date"}): "timestamp",
}
"""A ``long`` is a whole number that no double holds, so that the two do not mix."""


def _kind(value: bytes) -> str:
    first = value[:1]
    if first == b'"':
        return "string" if not value[1:2].isdigit() or _utc_ns(value) is None else "date"
    if value == b"null":
        return "null"
    if value in (b"true", b"false"):
        return "bool"
    if first in b"[{":
        return "string"
    try:
        number = int(value)
    except ValueError:
        return "double" if math.isfinite(float(value)) else "string"
    return "int" if number in _EXACT else "long" if number in _INT64 else "string"


@lru_cache(maxsize=1024)
def _utc_ns(value: bytes) -> int | None:
    try:
        moment = read_date(_read_string(value))
    except ValueError:
        return None
    return None if moment is None or moment.utc_ns not in _INT64 else moment.utc_ns


def _bool(value: bytes) -> bool:
    return value == b"true"


_READERS: Final[dict[ColumnType, Callable[[bytes], Any]]] = {
    "int64": int,
    "double": float,
    "bool": _bool,
    "timestamp": _utc_ns,
    "string": csv_text,
}


def write_parquet(names: Sequence[str], types: Types, rows: Iterable[Row], file: BinaryIO) -> None:
    """Write the rows, whose columns and types were learnt before. The caller closes the file.

    Raises ImportError without pyarrow, OSError of the file, and what ``rows`` raise."""
    import pyarrow
    import pyarrow.parquet

    arrow: dict[ColumnType, pyarrow.DataType] = {
        "int64": pyarrow.int64(),
        "double": pyarrow.float64(),
        "bool": pyarrow.bool_(),
        "timestamp": pyarrow.timestamp("ns", tz="UTC"),
        "string": pyarrow.string(),
    }
    kinds = [types.of(name) for name in names]
    schema = pyarrow.schema([(name, arrow[kind]) for name, kind in zip(names, kinds, strict=True)])
    readers = [_READERS[kind] for kind in kinds]
    with pyarrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        group: list[pyarrow.RecordBatch] = []
        group_rows = group_bytes = 0
        for batch, batch_bytes in _batches(rows):
            columns = [
                pyarrow.array([_value(row, name, read) for row in batch], type=field.type)
                for name, read, field in zip(names, readers, schema, strict=True)
            ]
            group.append(pyarrow.record_batch(columns, schema=schema))
            group_rows += len(batch)
            group_bytes += batch_bytes
            if group_rows + _BATCH_ROWS > ROW_GROUP_ROWS or group_bytes > ROW_GROUP_BYTES:
                writer.write_table(pyarrow.Table.from_batches(group))
                group.clear()
                group_rows = group_bytes = 0
        if group:
            writer.write_table(pyarrow.Table.from_batches(group))


def _batches(rows: Iterable[Row]) -> Iterator[tuple[list[Row], int]]:
    """The rows, some at a time, with how many bytes of JSON they are."""
    held: list[Row] = []
    held_bytes = 0
    for row in rows:
        held.append(row)
        held_bytes += sum(map(len, row.values()))
        if len(held) == _BATCH_ROWS or held_bytes > _BATCH_BYTES:
            yield held, held_bytes
            held, held_bytes = [], 0
    if held:
        yield held, held_bytes


def _value(row: Row, name: str, read: Callable[[bytes], Any]) -> Any:
    value = row.get(name)
    return None if value is None or value == b"null" else read(value)
