"""Reports as spreadsheets, read by another library."""

from __future__ import annotations

import io
import json
from typing import Any

import openpyxl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fake_server.reports import xlsx
from tests.profiles import examples

names = st.text(st.characters(codec="utf-8"), max_size=40)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=10),
    st.lists(st.integers(0, 3), max_size=2),
)


def sheets(data: bytes) -> dict[str, list[tuple[Any, ...]]]:
    book = openpyxl.load_workbook(io.BytesIO(data))
    return {sheet.title: [tuple(row) for row in sheet.values] for sheet in book}


def rows(*some: Any) -> list[bytes]:
    return [json.dumps(one).encode() for one in some]


def test_a_route_has_a_sheet_for_each_device_with_the_fields_as_columns() -> None:
    found = sheets(
        xlsx(
            "route",
            rows(
                {"id": 5, "deviceId": 1, "speed": 1.5, "valid": True, "attributes": {"a": 1}},
                {"id": 6, "deviceId": 2, "fixTime": "2025-02-21T10:02:20.172+00:00"},
                {"id": 7, "deviceId": 1, "speed": None, "rssi": -64},
            ),
            {1: "one", 2: "two"},
        )
    )
    assert found == {
        "one": [
            ("id", "deviceId", "speed", "valid", "attributes", "rssi"),
            (5, 1, 1.5, True, '{"a": 1}', None),
            (7, 1, None, None, None, -64),
        ],
        "two": [("id", "deviceId", "fixTime"), (6, 2, "2025-02-21T10:02:20.172+00:00")],
    }


def test_a_summary_is_one_sheet() -> None:
    found = sheets(xlsx("summary", rows({"deviceId": 1, "distance": 0.5}, {"deviceId": 2})))
    assert found == {"Summary": [("deviceId", "distance"), (1, 0.5), (2, None)]}


@pytest.mark.parametrize("kind", ["route", "events", "summary"])
def test_nothing_is_a_sheet_without_lines(kind: Any) -> None:
    assert sheets(xlsx(kind, [])) == {kind.capitalize(): []}


def test_a_device_is_called_by_what_its_objects_say_or_by_its_id() -> None:
    found = sheets(xlsx("events", rows({"deviceId": 1, "deviceName": "one"}, {"deviceId": 22}, {})))
    assert list(found) == ["one", "22", "null"]


@pytest.mark.parametrize("text", ["=1+1", "{=A1}", "http://example.com", "@x", "+1", "007"])
def test_text_is_text_whatever_it_looks_like(text: str) -> None:
    data = xlsx("summary", rows({"a": text}))
    sheet = openpyxl.load_workbook(io.BytesIO(data)).worksheets[0]
    assert (sheet["A2"].value, sheet["A2"].data_type) == (text, "s")
    assert sheet["A2"].hyperlink is None


def test_a_number_that_a_spreadsheet_would_round_is_text() -> None:
    found = sheets(xlsx("summary", [b'{"a":9007199254740993,"b":12345678901234567890123}']))
    assert found["Summary"][1] == ("9007199254740993", "12345678901234567890123")


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(names, min_size=1, max_size=6))
@example(["\ufffe"])
@example(["\U00010000" * 20, "x" + "\U00010000" * 20, "x" + "\U00010000" * 20])
@example(["a", "A", "a 2", "History", "'a'", "x" * 40, "x" * 40])
def test_any_names_of_devices_make_sheets_that_can_be_read(given: list[str]) -> None:
    objects = rows(*({"deviceId": number} for number in range(len(given))))
    found = sheets(xlsx("route", objects, dict(enumerate(given))))
    assert [lines[1:] for lines in found.values()] == [[(n,)] for n in range(len(given))]


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abcd"), values, max_size=3), max_size=4))
def test_the_same_rows_make_the_same_bytes_and_values_come_back(
    objects: list[dict[str, Any]],
) -> None:
    data = xlsx("summary", rows(*objects))
    assert data == xlsx("summary", rows(*objects))
    lines = sheets(data)["Summary"]
    for expected, line in zip(objects, lines[1:], strict=False):
        read = dict(zip(lines[0], line, strict=True))
        for name, value in expected.items():
            if isinstance(value, str):
                assert (read[name] or "") == value
            elif isinstance(value, bool) or value is None:
                assert read[name] is value
            elif isinstance(value, float) and abs(value) <= 2**53:
                assert read[name] == pytest.approx(value, rel=1e-15)
            else:
                assert json.loads(str(read[name])) == value


@settings(max_examples=examples(30), deadline=None)
@given(names, names)
@example("\uffff", "\ufffe")
def test_any_text_makes_a_spreadsheet_that_can_be_read(name: str, value: str) -> None:
    columns, line = sheets(xlsx("summary", rows({name: value} | {"id": 1})))["Summary"]
    assert line[columns.index("id")] == 1


def test_a_cell_holds_no_more_than_a_spreadsheet_takes() -> None:
    found = sheets(xlsx("summary", rows({"a": "x" * 40_000})))
    assert len(found["Summary"][1][0]) == 32_767
