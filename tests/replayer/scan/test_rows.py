"""The rows of a scan, and the file that keeps them."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import CannotRead, DiskFailed
from recorder.exits import Exit
from replayer.scan.finding import Found
from replayer.scan.rows import VERDICTS, Results, Row, exit_of
from tests.profiles import examples


def row(path: str = "a", **changes: object) -> Row:
    made = Row(
        path=path,
        verdict="kept",
        what="fine",
        size_bytes=5,
        seconds=0.5,
        parts=1,
        mtime_ns=7,
        check="conform",
    )
    return msgspec.structs.replace(made, **changes)


@settings(max_examples=examples(30))
@given(count=st.integers(0, 5), torn=st.binary(max_size=30).filter(lambda one: b"\n" not in one))
def test_rows_outlive_a_kill_at_any_byte(
    tmp_path_factory: pytest.TempPathFactory, count: int, torn: bytes
) -> None:
    path = tmp_path_factory.mktemp("rows") / "r.jsonl"
    with Results(str(path)) as results:
        for number in range(count):
            results.add(row(f"{number}"))
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    with Results(str(path)) as results:
        assert list(results.rows.values()) == [row(f"{number}") for number in range(count)]
        assert path.read_bytes() == whole
        results.add(row("new"))
    assert path.read_bytes() == whole + msgspec.json.encode(row("new")) + b"\n"


def test_of_several_rows_of_a_recording_the_last_counts(tmp_path: Path) -> None:
    with Results(str(tmp_path / "r")) as results:
        results.add(row())
        results.add(row(verdict="broken"))
    with Results(str(tmp_path / "r")) as results:
        assert results.rows == {"a": row(verdict="broken")}


def test_a_file_of_something_else_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "r"
    for text in ("path,verdict\n", '{"path":1}\n', "[]\n{}\n"):
        path.write_text(text)
        with pytest.raises(CannotRead, match="line 1 is no row of a scan"):
            Results(str(path))
        assert path.read_text() == text


def test_a_file_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(CannotRead, match="cannot be opened"):
        Results(str(tmp_path / "none" / "r"))


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    with Results(str(tmp_path / "r")) as results, open("/dev/full", "wb", buffering=0) as full:
        os.dup2(full.fileno(), results._file.fileno())
        with pytest.raises(DiskFailed, match="those before it"):
            results.add(row())


def test_what_never_ends_is_not_read() -> None:
    with pytest.raises(CannotRead, match="no regular file"):
        Results("/dev/null")


@pytest.mark.parametrize(
    "changed",
    [
        {"path": "b"},
        {"parts": ("a", "b")},
        {"size_bytes": 6},
        {"mtime_ns": 8},
    ],
)
def test_a_row_holds_for_what_it_was_asked_of(changed: dict[str, object]) -> None:
    same = Found("a", ("a",), 5, 7)
    assert row().holds_for(same, "conform")
    assert not row().holds_for(msgspec.structs.replace(same, **changed), "conform")
    assert not row().holds_for(same, "contract 00")
    assert not row(retry=True).holds_for(same, "conform")


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([], Exit.OK),
        (["kept", "same"], Exit.OK),
        (["kept", "undecided"], Exit.UNDECIDED),
        (["undecided", "error"], Exit.BAD_DATA),
        (["broken", "error", "undecided"], Exit.DIFFERENT),
        (["error", "drift"], Exit.DIFFERENT),
        (VERDICTS, Exit.DIFFERENT),
    ],
)
def test_the_worst_verdict_decides_the_exit_code(verdicts: list[str], code: Exit) -> None:
    assert exit_of(verdicts) == code
