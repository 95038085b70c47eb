"""The tables that a recording can be read as: entries in, rows of JSON texts by column out. Pure.

Columns that begin with ``_`` are ours: where and when an object was told. The others are the
object's own (:mod:`replayer.export.flat`), unknown ones too, so that which columns there are is
only known when all rows were read once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from recorder.model import AnyEntry, Header, UnknownEntry
from recorder.recording import encode_entry
from recorder.sink import wall_clock_text
from replayer.errors import CannotExport
from replayer.export.flat import cells
from replayer.measurements.joining import Choice
from replayer.playing.dates import read_date
from replayer.reading.conversation import DataMessage, converse, kinds_of, parts_of
from replayer.reading.legs import client_legs
from replayer.reading.said import objects_said

__all__ = ["MAX_COLUMNS", "TABLES", "Columns", "Row", "Table", "TableRows"]

Table: TypeAlias = Literal["positions", "devices", "beacons", "events", "messages", "entries"]
TABLES: Final[tuple[str, ...]] = get_args(Table)

Row: TypeAlias = dict[str, bytes]
"""JSON texts by column; a column that is missing is null."""

_WHERE: Final = ("_seq", "_offset_ns", "_wall", "_connection")
_MESSAGE: Final = (
    *("sender", "opcode", "kind", "size_bytes", "fragments", "redacted", "text", "base64"),
)

MAX_COLUMNS: Final = 2000
"""More are no table: then ids or the like stand as keys."""


class TableRows:
    """The rows of one ``table``. With ``whole`` objects are kept as JSON texts beside their
    flattened parts. After reading, ``redacted`` counts the entries that hold marks in place of
    secrets, and ``left_out`` what is no row, by name.
    """

    def __init__(
        self, table: Table, header: Header, *, choice: Choice | None = None, whole: bool = False
    ) -> None:
        self.table: Final = table
        self.redacted = 0
        self.left_out: Counter[str] = Counter()
        self._choice = choice or Choice()
        self._whole = whole
        started = read_date(header.started_at)
        self._started_ns = None if started is None else started.utc_ns

    @property
    def own_columns(self) -> tuple[str, ...]:
        """Those that are there whatever is told, and if nothing is."""
        match self.table:
            case "messages":
                return *_WHERE, *_MESSAGE
            case "entries":
                return ("_wall",)
            case _:
                return *_WHERE, "_via"

    def rows(self, entries: Iterable[AnyEntry]) -> Iterator[Row]:
        """All of them. Of a proxied connection the client's leg gives objects and messages; the
        table of entries has both. Raises what ``entries`` raise, and CorruptRecording."""
        read: Callable[[Iterable[AnyEntry]], Iterator[Row]] = {
            "messages": self._messages,
            "entries": self._entries,
        }.get(self.table, self._objects)
        yield from read(self._watched(entries))

    def _watched(self, entries: Iterable[AnyEntry]) -> Iterator[AnyEntry]:
        for entry in entries:
            self.redacted += not isinstance(entry, UnknownEntry) and entry.redacted
            yield entry

    def _objects(self, entries: Iterable[AnyEntry]) -> Iterator[Row]:
        for said in objects_said(client_legs(entries)):
            if said.kind != self.table or not self._choice.takes_time(said.offset_ns):
                continue
            row = self._where(said.seq, said.offset_ns, said.connection)
            row["_via"] = _json(said.via)
            try:
                row.update(cells(said.text, whole=self._whole))
            except (ValueError, RecursionError):
                self.left_out["texts that are no objects"] += 1
            else:
                yield row

    def _messages(self, entries: Iterable[AnyEntry]) -> Iterator[Row]:
        for item in converse(client_legs(entries)):
            if isinstance(item, DataMessage) and self._choice.takes_time(item.offset_ns):
                row = self._where(item.seq, item.offset_ns, item.connection)
                row["sender"] = _json(item.sender)
                row["opcode"] = _json(str(item.opcode))
                row["kind"] = _json("+".join(kinds_of(item, parts_of(item))))
                row["size_bytes"] = _json(len(item.payload))
                row["fragments"] = _json(item.fragments)
                row["redacted"] = _json(item.redacted)
                try:
                    row["text"] = _json(item.payload.decode("utf-8"))
                    row["base64"] = b"null"
                except UnicodeDecodeError:
                    row["text"] = b"null"
                    row["base64"] = _json(item.payload)
                yield row

    def _entries(self, entries: Iterable[AnyEntry]) -> Iterator[Row]:
        for entry in entries:
            if self._choice.takes_time(entry.offset_ns):
                row = {"_wall": self._wall(entry.offset_ns)}
                row.update(cells(encode_entry(entry), whole=self._whole))
                yield row

    def _where(self, seq: int, offset_ns: int | None, connection: int | None) -> Row:
        return {
            "_seq": _json(seq),
            "_offset_ns": _json(offset_ns),
            "_wall": self._wall(offset_ns),
            "_connection": _json(connection),
        }

    def _wall(self, offset_ns: int | None) -> bytes:
        if offset_ns is None or self._started_ns is None:
            return b"null"
        return _json(wall_clock_text(self._started_ns + offset_ns))


class Columns:
    """Which columns there are, learnt row by row: those of one top-level field stand together, and
    all in the order in which they came first."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, None]] = {}
        self._known: set[str] = set()

    def learn(self, row: Row) -> None:
        """Take a row's columns in. Raises CannotExport if there are more than
        :data:`MAX_COLUMNS`."""
        if row.keys() <= self._known:
            return
        for name in row:
            self._groups.setdefault(_top_of(name), {})[name] = None
        self._known |= row.keys()
        if len(self._known) > MAX_COLUMNS:
            raise CannotExport(
                f"the objects have more than {MAX_COLUMNS} different fields, the last {name!r};"
                " expected objects of the same fields; export to har instead"
            )

    def names(self) -> list[str]:
        """All of them, in their order."""
        return [name for group in self._groups.values() for name in group]


def _top_of(name: str) -> str:
    """The first key of a column's name: up to a dot that has no backslash before it."""
    at = name.find(".")
    while at > 0 and (at - len(name[:at].rstrip("\\"))) % 2:
        at = name.find(".", at + 1)
    return name if at < 0 else name[:at]


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)
