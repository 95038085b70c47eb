"""`track-replayer contract infer` and `check`, as a person and a CI system use them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from click.testing import CliRunner, Result

from recorder.errors import OutputExists, RecordingError
from recorder.exits import Exit
from recorder.model import Note, Series
from recorder.recording import Writer
from replayer.commands.contract import check_command, contract_group, infer_command
from replayer.contract.model import decode_contract, load_contract
from replayer.errors import NoContract, NothingLearnt
from tests.replayer.contract.backend import Said, changed, entries_of, fleet
from tests.replayer.recordings import header, run, write


def record(path: Path, said: list[Said]) -> str:
    return str(write(path, entries_of(said)))


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(
        check_command, arguments, standalone_mode=False, catch_exceptions=False
    )


@pytest.fixture
def contract(tmp_path: Path) -> str:
    output = tmp_path / "contract.json"
    recording = record(tmp_path / "old.track.jsonl", fleet(12))
    done = CliRunner().invoke(infer_command, [recording, "-o", str(output)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "learnt 3 kinds of messages from 85 messages, and 1 REST call, seen 2 times" in (
        done.stderr
    )
    return str(output)


@pytest.fixture
def drifted(tmp_path: Path) -> str:
    said = changed(
        fleet(12), "positions", ("zone",), lambda holder: holder.update(zone=1), some=False
    )
    return record(tmp_path / "new.track.jsonl", said)


def test_the_same_is_0_and_drift_is_1_and_too_little_is_2(
    tmp_path: Path, contract: str, drifted: str
) -> None:
    assert invoke(str(tmp_path / "old.track.jsonl"), contract).return_value == Exit.OK
    assert invoke(drifted, contract).return_value == Exit.DIFFERENT
    few = record(tmp_path / "few.track.jsonl", fleet(12)[1:4])
    assert invoke(few, contract).return_value == Exit.UNDECIDED


def test_fail_on_says_what_is_too_much(contract: str, drifted: str) -> None:
    assert invoke(drifted, contract, "--fail-on", "deprecated").return_value == Exit.OK
    assert invoke(drifted, contract, "--fail-on", "additive").return_value == Exit.DIFFERENT


def test_the_page_names_the_change_in_80_columns(contract: str, drifted: str) -> None:
    lines = invoke(drifted, contract).stdout.splitlines()
    assert lines[:7] == [
        "drift: 1 additive change; 54 places in 4 kinds of messages and calls compared",
        "",
        "additive  field-added",
        "  positions: /positions/*/zone",
        "  The field is new.",
        "  before  0 of 36",
        "  after   36 of 36, number, as 1",
    ]
    assert max(map(len, lines)) <= 80


def test_ranges_are_shown_on_demand(tmp_path: Path, contract: str) -> None:
    later = record(
        tmp_path / "later.track.jsonl",
        changed(fleet(12), "positions", ("id",), lambda each: each.update(id=9**15), some=False),
    )
    assert "1 range outside of those learnt: see --ranges" in invoke(later, contract).stdout
    assert "205891132094649, where it was" in invoke(later, contract, "--ranges").stdout


def test_json_holds_the_report(contract: str, drifted: str) -> None:
    report = msgspec.json.decode(invoke(drifted, contract, "--json").stdout)
    assert report["verdict"] == "drift"
    assert report["changes"][0] == {
        "severity": "additive",
        "where": "positions",
        "place": "/positions/*/zone",
        "what": "field-added",
        "before": {"count": 0, "of": 36},
        "after": {"count": 36, "of": 36, "shown": "number", "example": 1},
        "sentence": "The field is new.",
    }


def test_junit_has_a_case_for_each_place(tmp_path: Path, contract: str, drifted: str) -> None:
    path = tmp_path / "report.xml"
    invoke(drifted, contract, "--junit", str(path))
    suite = ElementTree.parse(path).getroot()[0]
    failed = [case for case in suite if case.find("failure") is not None]
    assert [(case.get("classname"), case.get("name")) for case in failed] == [
        ("positions", "/positions/*/zone")
    ]
    places = [(case.get("classname"), case.get("name")) for case in suite]
    assert len(places) == len(set(places)) == int(suite.get("tests", ""))
    assert ("GET /api/devices 200", "/*/status") in places
    invoke(drifted, contract, "--junit", str(path), "--fail-on", "breaking")
    assert ElementTree.parse(path).getroot().get("failures") == "0"


def test_in_junit_what_was_not_seen_is_skipped(tmp_path: Path, contract: str) -> None:
    path = tmp_path / "report.xml"
    said = [each for each in fleet(12) if each.where != "status"]
    invoke(record(tmp_path / "quiet.track.jsonl", said), contract, "--junit", str(path))
    cases = ElementTree.parse(path).getroot()[0]
    skipped = [case for case in cases if case.find("skipped") is not None]
    assert [(case.get("classname"), case.get("name")) for case in skipped] == [
        ("status (PING)", "/")
    ]


def test_what_a_backend_says_is_printed_harmlessly(tmp_path: Path, contract: str) -> None:
    evil = changed(
        fleet(12),
        "positions",
        ("\x1b[31m",),
        lambda each: each.update({"\x1b[31m": "\x1b[0m"}),
        some=False,
    )
    result = invoke(record(tmp_path / "evil.track.jsonl", evil), contract)
    assert "/positions/*/\\x1b[31m" in result.stdout
    assert (
        "\x1b"
        not in result.stdout + invoke(str(tmp_path / "evil.track.jsonl"), contract, "--json").stdout
    )


def test_several_recordings_are_learnt_together_and_parts_as_one(tmp_path: Path) -> None:
    paths = []
    for part, said in enumerate((fleet(12)[:20], fleet(12)[20:])):
        path = tmp_path / f"part{part}.track.jsonl"
        with Writer.create(path, header(series=Series(id="s", part=part))) as writer:
            for entry in entries_of(said):
                writer.write(entry)
        paths.append(str(path))
    alone = record(tmp_path / "alone.track.jsonl", fleet(12))
    output = str(tmp_path / "c.json")
    arguments = [paths[1], alone, paths[0], "-o", output]
    done = CliRunner().invoke(infer_command, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    contract = load_contract(output)
    assert [each.messages for each in contract.learnt_from] == [85, 85]


def test_a_contract_is_not_overwritten_unless_told(tmp_path: Path, contract: str) -> None:
    recording = str(tmp_path / "old.track.jsonl")
    with pytest.raises(OutputExists):
        CliRunner().invoke(infer_command, [recording, "-o", contract], catch_exceptions=False)
    done = CliRunner().invoke(infer_command, [recording, "-o", contract, "--force"])
    assert done.exit_code == 0


def test_a_recording_without_anything_of_a_backend_teaches_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "empty.track.jsonl", [Note(offset_ns=0, text="nothing")])
    with pytest.raises(NothingLearnt, match="holds no message"):
        CliRunner().invoke(infer_command, [str(path), "-o", "-"], catch_exceptions=False)


def test_a_file_that_is_no_contract_is_told(tmp_path: Path) -> None:
    recording = record(tmp_path / "old.track.jsonl", fleet(12))
    later, torn = tmp_path / "later.json", tmp_path / "torn.json"
    later.write_text('{"format":"track-contract","version":2,"tool":""}')
    torn.write_text('{"format":"track-contract"')
    with pytest.raises(NoContract, match="contract infer"):
        invoke(recording, str(later))
    with pytest.raises(NoContract, match="is a recording, not a contract"):
        invoke(recording, recording)
    packed = tmp_path / "old.track.jsonl.zst"
    write(packed, entries_of(fleet(12)))
    with pytest.raises(NoContract, match="is a recording, not a contract"):
        invoke(recording, str(packed))
    with pytest.raises(NoContract, match="no JSON"):
        invoke(recording, str(torn))
    with pytest.raises(NoContract, match="UTF-8"):
        decode_contract(b"\xff", "x")


def test_a_contract_in_place_of_a_recording_is_told(tmp_path: Path, contract: str) -> None:
    recording = str(tmp_path / "old.track.jsonl")
    with pytest.raises(RecordingError, match="is a contract, not a recording"):
        invoke(contract, contract)
    with pytest.raises(RecordingError, match="is a contract, not a recording"):
        CliRunner().invoke(infer_command, [recording, contract, "-o", "-"], catch_exceptions=False)


def test_what_was_not_checked_is_a_line_or_few_for_each_reason(tmp_path: Path) -> None:
    rare = {f"rare {number}": 1 for number in range(60)}
    said = [
        Said("positions", [{"id": number} | (rare if number < 3 else {})]) for number in range(40)
    ]
    recording, output = record(tmp_path / "r.track.jsonl", said), str(tmp_path / "c.json")
    CliRunner().invoke(infer_command, [recording, "-o", output], catch_exceptions=False)
    lines = invoke(recording, output).stdout.splitlines()
    assert lines[0].startswith("same: ")
    assert lines[1:4] == [
        "",
        "not checked (--json has each):",
        "  60 too little seen (below 5 in the contract or now): positions:",
    ]
    assert lines[4].startswith("    /positions/*/rare 0, /positions/*/rare 1, ")
    assert lines[-1] == "    …"
    assert len(lines) <= 8
    assert max(map(len, lines)) <= 80
    report = msgspec.json.decode(invoke(recording, output, "--json").stdout)
    assert len(report["unchecked"]) == 60


def test_a_contract_alone_is_a_usage_error_and_help_names_the_three_commands(
    contract: str,
) -> None:
    done = run("contract", "check", contract)
    assert done.returncode == Exit.USAGE
    assert b"name a recording, and last the contract" in done.stderr
    shown = CliRunner().invoke(contract_group, ["--help"]).stdout
    assert all(f"\n  {name} " in shown for name in ("infer", "check", "export"))
