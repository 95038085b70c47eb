"""`track-replayer scan`: the rows, what they end with, and going on from them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

import replayer.commands.scan as command
from recorder.errors import OutputExists
from recorder.exits import Exit
from replayer.commands.scan import in_order, scan_command, summary_line
from replayer.contract.model import Contract, encode_contract
from replayer.scan.finding import find
from replayer.scan.workers import in_this_process
from tests.processes import clean_environment
from tests.replayer.recordings import run, session, write
from tests.replayer.scan.stand_ins import ByName


def scan(*arguments: object) -> Result:
    return CliRunner().invoke(
        scan_command,
        [str(each) for each in arguments],
        standalone_mode=False,
        catch_exceptions=False,
    )


@pytest.fixture
def by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_check", lambda *_: ByName())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    whole = write(tmp_path / "kept-1.track.jsonl", session()).read_bytes()
    for name in ("kept-2", "broken", "undecided"):
        (tmp_path / f"{name}.track.jsonl").write_bytes(whole)
    (tmp_path / "error.track.jsonl").write_text("what\n")
    return tmp_path


def rows_of(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.output.splitlines()]


@pytest.mark.usefixtures("by_name")
@pytest.mark.parametrize("jobs", [1, 2])
def test_there_is_a_row_for_each_recording_in_order(folder: Path, jobs: int) -> None:
    found = scan(folder, "--check", "conform", "--jobs", jobs, "--json")
    rows = rows_of(found)
    assert [(Path(row["path"]).name.partition(".")[0], row["verdict"]) for row in rows] == [
        ("broken", "broken"),
        ("error", "error"),
        ("kept-1", "kept"),
        ("kept-2", "kept"),
        ("undecided", "undecided"),
    ]
    assert rows[0]["what"] == "30 entries"
    assert rows[0]["size_bytes"] == (folder / "broken.track.jsonl").stat().st_size
    assert found.return_value == Exit.DIFFERENT


@pytest.mark.usefixtures("by_name")
def test_people_see_what_is_not_fine_and_all_of_it_counted(folder: Path) -> None:
    lines = scan(folder, "--check", "conform").output.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["broken", "30"]
    assert lines[1] == "          30 entries"
    assert "error.track.jsonl is no recording: " in lines[3]
    assert len(lines) == 5 + 3 + 1
    assert lines[-1].startswith("5 recordings, ")
    assert lines[-1].endswith(": 2 kept, 1 broken, 1 undecided, 1 error")


@pytest.mark.usefixtures("by_name")
@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["kept-1", "kept-2"], Exit.OK),
        (["kept-1", "undecided"], Exit.UNDECIDED),
        (["undecided", "error"], Exit.BAD_DATA),
        (["broken", "error"], Exit.DIFFERENT),
    ],
)
def test_the_worst_recording_decides_the_exit_code(
    folder: Path, names: list[str], code: Exit
) -> None:
    paths = [folder / f"{name}.track.jsonl" for name in names]
    assert scan(*paths, "--check", "conform").return_value == code


def test_a_second_run_asks_only_what_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Counter[str] = Counter()

    class Counting(ByName, frozen=True):
        def __call__(self, parts: tuple[str, ...]) -> Any:
            asked[Path(parts[0]).name.partition(".")[0]] += 1
            return super().__call__(parts)

    check = Counting()
    monkeypatch.setattr(command, "_check", lambda *_: check)
    results = folder / "results.jsonl"
    arguments = (folder, "--check", "conform", "--jobs", 1, "--results", results, "--json")
    first = scan(*arguments)
    everything = {"broken": 1, "error": 1, "kept-1": 1, "kept-2": 1, "undecided": 1}
    assert asked == everything
    # A kill in the middle of the last row.
    results.write_bytes(results.read_bytes()[:-5])
    os.utime(folder / "kept-1.track.jsonl", ns=(1, 1))
    with (folder / "broken.track.jsonl").open("ab") as file:
        file.write(b"{")
    second = scan(*arguments)
    assert asked == Counter(everything) + Counter(["undecided", "kept-1", "broken"])
    paths = [row["path"] for row in rows_of(first)]
    assert [row["path"] for row in rows_of(second)] == paths
    assert scan(*arguments).output == second.output
    check = Counting(key="another")
    scan(*arguments)
    assert sum(asked.values()) == 8 + 5


@pytest.mark.usefixtures("by_name")
def test_progress_is_wiped_before_a_row_is_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "is_terminal", lambda: True)
    monkeypatch.setattr(command, "_PROGRESS_AFTER_S", 0)
    shown = scan(folder, "--check", "conform", "--jobs", 1, "--json").output
    # Without its escapes, which click keeps for terminals.
    pieces = re.sub(r'{"path".*}', "row", shown)
    assert pieces == "\rrow\n" + "".join(f"\r{n} of 5\rrow\n" for n in range(1, 5))


@pytest.mark.usefixtures("by_name")
def test_rows_from_before_are_counted_as_such(folder: Path) -> None:
    arguments = (folder, "--check", "conform", "--results", folder / "r.jsonl")
    scan(*arguments)
    assert scan(*arguments).output.splitlines()[-1].startswith("5 recordings (5 from before), ")


@pytest.mark.usefixtures("by_name")
def test_shards_share_the_recordings(folder: Path) -> None:
    shares = [
        rows_of(scan(folder, "--check", "conform", "--json", "--shard", f"{n}/2")) for n in (1, 2)
    ]
    names = [[Path(row["path"]).name for row in share] for share in shares]
    assert sorted(names[0] + names[1]) == sorted(path.name for path in folder.iterdir())
    assert all(names)


@pytest.mark.usefixtures("by_name")
def test_junit_has_a_case_for_each_recording(folder: Path) -> None:
    scan(folder, "--check", "conform", "--junit", folder / "out.xml")
    suite = ElementTree.parse(folder / "out.xml").getroot()[0]
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
    }
    assert suite[0].get("name") == str(folder / "broken.track.jsonl")
    assert suite[0][0].get("message") == "30 entries"


def test_conform_and_contract_are_asked_of_real_recordings(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.track.jsonl.zst", session())
    torn = tmp_path / "b.track.jsonl"
    torn.write_bytes(write(tmp_path / "c.track.jsonl", []).read_bytes()[:-9])
    conform = rows_of(scan(tmp_path, "--check", "conform", "--json"))
    assert [row["verdict"] for row in conform] == ["broken", "undecided", "undecided"]
    assert conform[0]["path"] == str(whole)
    assert conform[1]["remark"].startswith("torn: ")
    contract = tmp_path / "contract.json"
    contract.write_bytes(encode_contract(Contract(tool="test")))
    arguments = ("--check", "contract", "--contract", contract, "--json")
    rows = rows_of(scan(tmp_path, *arguments))
    assert {row["verdict"] for row in rows[1:]} == {"undecided"}
    assert rows[0]["check"].startswith("contract ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--check", "contract"], b"needs --contract FILE"),
        (["--check", "conform", "--contract", "x"], b"--contract is for --check contract"),
        (["--check", "contract", "--rules", "x"], b"--rules is for --check conform"),
        (["--check", "conform", "--shard", "3/2"], b"'3/2' is no shard"),
        (["--check", "conform", "--jobs", "2", "--dask", "tcp://x:1"], b"--dask for a cluster"),
    ],
)
def test_a_wrong_command_line_is_said(arguments: list[str], words: bytes) -> None:
    found = CliRunner().invoke(scan_command, [".", *arguments])
    assert words.decode() in found.output


def test_a_cluster_without_its_library_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    found = CliRunner().invoke(scan_command, [str(folder), "--check", "conform", "--dask", "x:1"])
    assert "pip install 'tracktape[cluster]'" in found.output


def test_rows_wait_for_those_before_them(folder: Path) -> None:
    recordings = find([str(folder)])
    rows = list(in_this_process(ByName(), recordings))
    known = {rows[2].path: rows[2]}
    fresh = [rows[4], rows[0], rows[3], rows[1]]
    assert list(in_order(recordings, known, iter(fresh))) == rows


def test_a_shard_that_nothing_is_left_for_has_nothing_wrong(tmp_path: Path) -> None:
    write(tmp_path / "a.track.jsonl", session())
    found = scan(tmp_path, "--check", "conform", "--shard", "2/2")
    assert found.output == "0 recordings, 0 B, 0.0 s\n"
    assert found.return_value == Exit.OK
    assert summary_line(Counter(), 1_234_567, 2.0) == "0 recordings, 1.2 MB, 2.0 s"


def test_ctrl_c_ends_all_at_once_and_keeps_the_rows(tmp_path: Path) -> None:
    whole = write(tmp_path / "a-00.track.jsonl", session()).read_bytes()
    for number in range(1, 40):
        (tmp_path / f"a-{number:02}.track.jsonl").write_bytes(whole)
    # Whoever opens it waits for a writer that never comes: the last chunk has no end.
    endless = tmp_path / "z.track.jsonl"
    os.mkfifo(endless)
    results = tmp_path / "results"
    code = "import sys; from replayer.cli import main; main()"
    arguments = (
        "scan",
        tmp_path,
        endless,
        "--check",
        "conform",
        "--jobs",
        2,
        "--results",
        results,
        "--json",
    )
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code, *map(str, arguments)],
        env=clean_environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        seen = [json.loads(process.stdout.readline()) for _ in range(32)]
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
    assert said == b"track-replayer: interrupted\n"
    assert process.returncode == Exit.INTERRUPTED
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert {json.loads(line)["path"] for line in results.read_text().splitlines()} == {
        row["path"] for row in seen
    }


def test_rules_of_ones_own_are_judged_by_and_asked_anew(tmp_path: Path) -> None:
    entries = [entry for entry in session() if getattr(entry, "status", None) != 101]
    write(tmp_path / "a.track.jsonl", entries)
    rules = tmp_path / "rules.toml"
    rules.write_text("ping_interval_s = 7\n")
    arguments = (tmp_path, "--check", "conform", "--results", tmp_path / "rows", "--json")
    (plain,) = rows_of(scan(*arguments))
    (ruled,) = rows_of(scan(*arguments, "--rules", rules))
    assert plain["check"] == "conform"
    assert ruled["check"].startswith("conform ")
    assert len((tmp_path / "rows").read_text().splitlines()) == 2
    assert rows_of(scan(*arguments, "--rules", rules)) == [ruled]
    rules.write_text("# what every backend does\nping_interval_s = 30\n")
    assert rows_of(scan(*arguments, "--rules", rules))[0]["check"] == "conform"


def test_a_name_that_is_no_utf8_has_a_row_everywhere(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.track.jsonl"
    with open(name, "wb") as file:
        file.write(b"no recording\n")
    results, junit = tmp_path / "rows", tmp_path / "out.xml"
    found = scan(tmp_path, "--check", "conform", "--json", "--results", results, "--junit", junit)
    (row,) = rows_of(found)
    assert row["path"] == f"{tmp_path}/\\udcff.track.jsonl"
    assert "is no recording" in row["what"]
    assert json.loads(results.read_text()) == row
    assert ElementTree.parse(junit).getroot()[0][0].get("name") == row["path"]


def test_a_report_that_cannot_be_written_is_said_before_the_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_fresh", None)
    with pytest.raises(OutputExists, match="cannot be made"):
        scan(folder, "--check", "conform", "--junit", folder / "nowhere" / "out.xml")


def test_a_scan_that_is_killed_leaves_no_process_and_its_rows(tmp_path: Path) -> None:
    whole = write(tmp_path / "a-00.track.jsonl", session()).read_bytes()
    for number in range(1, 20):
        (tmp_path / f"a-{number:02}.track.jsonl").write_bytes(whole)
    endless = tmp_path / "z.track.jsonl"
    os.mkfifo(endless)
    results = tmp_path / "results"
    code = "from replayer.cli import main; main()"
    arguments = ("scan", tmp_path, endless, "--check", "conform", "--jobs", 2, "--json")
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments), "--results", str(results)],
        env=clean_environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        seen = [json.loads(process.stdout.readline()) for _ in range(16)]
    finally:
        process.kill()
    # The workers hold the pipe as well, so that it ends with the last of them.
    process.communicate(timeout=20)
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert {row["path"] for row in rows} >= {row["path"] for row in seen}
    again = scan(tmp_path, "--check", "conform", "--results", results)
    assert f"20 recordings ({len(rows)} from before)" in again.output


def test_it_runs_as_a_command(tmp_path: Path) -> None:
    path = write(tmp_path / "a.track.jsonl", session())
    done = run("scan", path, tmp_path / "gone", "--check", "conform")
    assert done.returncode == Exit.NO_INPUT
    assert b"gone: there is no such file or folder" in done.stderr
