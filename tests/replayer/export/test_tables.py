"""CSV and Parquet: every value of every object, as it came."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
import pyarrow.parquet
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.model import Entry
from recorder.recording import encode_entry
from replayer.errors import CannotExport
from replayer.export import parquet
from replayer.export.csv_table import csv_lines, csv_text
from replayer.export.flat import MAX_DEPTH, cells
from replayer.export.parquet import Types, write_parquet
from replayer.export.tables import MAX_COLUMNS, TABLES, Columns, Row, TableRows
from tests.profiles import examples
from tests.replayer.measurements.told import run_here, told
from tests.replayer.recordings import frame, header, numbered, session, write

KEYS = st.sampled_from(["id", "a", "a.b", "b", "_seq", "\\", "\\_x", "ä", "", "attributes"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.sampled_from(["2025-02-21T10:02:20.172+00:00", "2020-01-14", '"', ",", "\r\n", "=1+1"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.lists(st.dictionaries(KEYS, VALUES, max_size=5), max_size=5)


def flattened(one: dict[str, Any], before: str = "", depth: int = 1) -> dict[str, Any]:
    """Flattened by the rules that the documentation gives."""
    found: dict[str, Any] = {}
    for key, value in one.items():
        name = key.replace("\\", "\\\\").replace(".", "\\.")
        name = f"{before}.{name}" if depth > 1 else ("\\" if key.startswith("_") else "") + name
        if isinstance(value, dict) and value and depth < MAX_DEPTH:
            found |= flattened(value, name, depth + 1)
        else:
            found[name] = value
    return found


def table(entries: list[Entry], name: str, *, whole: bool = False) -> tuple[list[str], list[Row]]:
    columns = Columns()
    rows = list(TableRows(name, header(), whole=whole).rows(numbered(entries)))
    for row in rows:
        columns.learn(row)
    return columns.names(), rows


def csv_of(entries: list[Entry], name: str) -> list[dict[str, str]]:
    data = b"".join(csv_lines(*table(entries, name))).decode()
    return list(csv.DictReader(io.StringIO(data, newline=""), strict=True))


def as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@settings(max_examples=examples(120))
@given(OBJECTS)
@example([{"a": {"b": 1}, "a.b": 2}])
@example([{"_seq": 1, "\\_seq": 2}])
@example([{"a": ""}])
def test_csv_holds_every_value_of_every_object(found: list[dict[str, Any]]) -> None:
    rows = csv_of([told("positions", *found)], "positions")
    assert len(rows) == len(found)
    for row, one in zip(rows, found, strict=True):
        expected = flattened(one)
        assert len(expected) == len(list(cells(json.dumps(one).encode())))
        own = {name: text for name, text in row.items() if not name.startswith("_")}
        assert {name: text for name, text in own.items() if text} == {
            name: (value if isinstance(value, str) else own[name])
            for name, value in expected.items()
            if as_text(value)
        }
        for name, value in expected.items():
            if not isinstance(value, str) and value is not None:
                assert json.loads(own[name]) == value


@settings(max_examples=examples(100))
@given(OBJECTS)
@example([{"a": 2**53 + 1}, {"a": 0.5}])
@example([{"a": 2**63}])
@example([{"a": True}, {"a": 1}])
@example([{"a": "2020-01-14"}, {"a": "soon"}])
@example([{"a": "1500-01-01"}])
def test_parquet_holds_what_csv_holds_with_types_that_lose_nothing(
    found: list[dict[str, Any]],
) -> None:
    names, rows = table([told("positions", *found)], "positions", whole=True)
    types = Types()
    for row in rows:
        types.learn(row)
    file = io.BytesIO()
    write_parquet(names, types, rows, file)
    read = pyarrow.parquet.read_table(io.BytesIO(file.getvalue()))
    assert read.column_names == names
    for name in names:
        values = read.column(name)
        for row, value in zip(rows, values, strict=True):
            text = row.get(name, b"null")
            if text == b"null":
                assert value.as_py() is None
            elif types.of(name) == "string":
                assert value.as_py() == csv_text(text)
            elif types.of(name) == "timestamp":
                assert parquet._utc_ns(text) == value.value
            else:
                assert value.as_py() == json.loads(text)
                assert type(value.as_py()) in (type(json.loads(text)), float)


def test_the_types_of_parquet() -> None:
    def kind(*values: bytes) -> str:
        types = Types()
        for value in values:
            types.learn({"x": value})
        return types.of("x")

    assert kind(b"1", b"null", b"-5") == "int64"
    assert kind(b"1", b"0.5") == "double"
    assert kind(b"9007199254740993", b"0.5") == "string"
    assert kind(b"true", b"false") == "bool"
    assert kind(b"true", b"1") == "string"
    assert (
        kind(b'"2025-02-21T10:02:20.172+00:00"', b'"2020-01-14T10:18:44.514+0000"') == "timestamp"
    )
    assert kind(b'"2025-02-21T10:02:20.172+00:00"', b'"n/a"') == "string"
    assert kind(b"[1]") == kind(b"1e999") == kind(b"null") == kind() == "string"
    assert kind(b"9223372036854775807") == "int64"
    assert kind(b"9223372036854775808") == "string"


def test_ours_have_their_types_without_times_too(tmp_path: Path) -> None:
    entries = [told("positions", {"id": 1, "attributes": {"x": 1.0}}, at=None)]
    path = write(tmp_path / "a.track.jsonl", entries, timing="none")
    output = tmp_path / "a.parquet"
    result = run_here("export", path, "--to", "parquet", "--table", "positions", "-o", output)
    assert result.exception is None
    schema = pyarrow.parquet.read_schema(output)
    assert str(schema.field("_offset_ns").type) == "int64"
    assert str(schema.field("_wall").type) == "timestamp[ns, tz=UTC]"
    row = pyarrow.parquet.read_table(output).to_pylist()[0]
    assert row["attributes"] == '{"x": 1.0}'
    assert (row["attributes.x"], row["_wall"]) == (1.0, None)


def test_row_groups_are_bounded_by_rows_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def groups(rows: list[Row]) -> list[int]:
        file, types = io.BytesIO(), Types()
        for row in rows:
            types.learn(row)
        write_parquet(["x"], types, rows, file)
        made = pyarrow.parquet.ParquetFile(io.BytesIO(file.getvalue())).metadata
        return [made.row_group(number).num_rows for number in range(made.num_row_groups)]

    monkeypatch.setattr(parquet, "_BATCH_ROWS", 2)
    monkeypatch.setattr(parquet, "_BATCH_BYTES", 60)
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 4)
    monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", 100)
    assert groups([{"x": b"1"}] * 9) == [4, 4, 1]
    assert groups([{"x": b'"%b"' % (b"a" * 60)}] * 5) == [2, 2, 1]
    assert groups([]) == []


def test_numbers_stand_as_they_came() -> None:
    text = b'{"positions":[{"a":100.0,"b":1e2,"c":-0,"d":49.897595543798104}]}'
    (row,) = csv_of([frame("server", text)], "positions")
    assert [row[name] for name in "abcd"] == [
        "100.0",
        "1e2",
        "-0",
        "49.897595543798104",
    ]


def test_an_empty_string_is_not_null() -> None:
    lines = list(csv_lines(["a", "b"], [{"a": b'""', "b": b"null"}, {"b": b'" x"'}]))
    assert lines == [b"a,b\r\n", b'"",\r\n', b'," x"\r\n']


def test_a_string_that_is_no_utf8_stands_as_its_json_text() -> None:
    assert csv_text(b'"\xff"') == '"\\xff"'


def test_columns_of_one_field_stand_together() -> None:
    columns = Columns()
    for row in (["id", "attributes.a", "name"], ["attributes.b", "x\\.y", "attributes"]):
        columns.learn(dict.fromkeys(row, b"1"))
    assert columns.names() == ["id", "attributes.a", "attributes.b", "attributes", "name", "x\\.y"]


def test_too_many_columns_are_refused() -> None:
    columns = Columns()
    with pytest.raises(CannotExport, match="different fields"):
        columns.learn(dict.fromkeys(map(str, range(MAX_COLUMNS + 1)), b"1"))


def test_messages_and_entries_are_all_there() -> None:
    entries = numbered(session())
    messages = csv_of(session(), "messages")
    assert [row["kind"] for row in messages].count("PING") == 2
    assert {row["sender"] for row in messages} == {"client", "server"}
    assert [row["base64"] for row in messages if row["base64"]] == ["AP8Q"]
    rows = csv_of(session(), "entries")
    assert [int(row["seq"]) for row in rows] == [one.seq for one in entries]
    for row, entry in zip(rows, entries, strict=True):
        for name, value in json.loads(encode_entry(entry)).items():
            assert row[name] == (
                value if isinstance(value, str) else msgspec.json.encode(value).decode()
            )


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("name", TABLES)
def test_every_table_of_a_recording_is_written(name: str, form: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.track.jsonl", session())
    output = tmp_path / "out"
    result = run_here("export", path, "--to", form, "--table", name, "-o", output)
    assert result.exception is None
    expected = {"positions": 2, "devices": 3, "beacons": 0, "events": 0, "messages": 12}
    count = expected.get(name, len(session()) + 1)
    assert f"{count} row" in result.stderr
    assert "1 entries were redacted" in result.stderr
    if form == "csv":
        text = output.read_bytes().decode()
        assert len(list(csv.reader(io.StringIO(text, newline="")))) == count + 1
    else:
        assert pyarrow.parquet.read_table(output).num_rows == count


def test_a_time_selects_rows(tmp_path: Path) -> None:
    entries = [told("events", {"id": n}, at=n * 1000) for n in range(5)]
    path = write(tmp_path / "a.track.jsonl", entries)
    arguments = ["--to", "csv", "--table", "events", "--from", "1s", "--until", "3s", "-o", "-"]
    rows = list(csv.DictReader(io.StringIO(run_here("export", path, *arguments).stdout)))
    assert [row["id"] for row in rows] == ["1", "2", "3"]
    assert rows[0]["_wall"] == "2026-11-22T17:00:01.123456789Z"
    assert datetime.fromisoformat(rows[0]["_wall"]).tzinfo == UTC


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "csv"], "--to csv needs --table: positions, devices"),
        (["--to", "har", "--table", "events"], "--table is for --to csv and parquet"),
        (["--to", "csv", "--table", "events", "--device", "x"], "--device is for --to geojson"),
        (["--to", "geojson", "--gap", "1m"], "--gap is for --to gpx"),
        (["--to", "gpx", "--gap", "2026-11-22"], "--gap: expected a length of time"),
        (["--to", "parquet", "--table", "events"], "needs the name of a file"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, arguments: list[str], said: str) -> None:
    path = write(tmp_path / "a.track.jsonl", session())
    result = run_here("export", path, *arguments, "-o", "-")
    assert isinstance(result.exception, click.UsageError)
    assert said in str(result.exception)


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.track.jsonl", session())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    arguments = ["--to", "parquet", "--table", "events", "-o", tmp_path / "x"]
    assert "pip install 'tracktape[parquet]'" in str(run_here("export", path, *arguments).exception)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("events", "_seq,_offset_ns,_wall,_connection,_via"),
        (
            "messages",
            "_seq,_offset_ns,_wall,_connection,sender,opcode,kind,size_bytes,fragments,redacted,"
            "text,base64",
        ),
        ("entries", "_wall"),
    ],
)
def test_a_table_without_rows_has_our_columns(table: str, expected: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.track.jsonl", [])
    arguments = ("--to", "csv", "--table", table, "-o", "-", "--from", "9h")
    assert run_here("export", path, *arguments).stdout.splitlines() == [expected]


@pytest.mark.parametrize("table", ["messages", "events"])
def test_our_columns_come_first_and_as_the_rows_have_them(table: str, tmp_path: Path) -> None:
    entries = [frame("server", b'{"events":[{"id":1}]}')]
    rows = TableRows(table, header())  # type: ignore[arg-type]
    (row,) = rows.rows(numbered(entries))
    assert tuple(row)[: len(rows.own_columns)] == rows.own_columns
