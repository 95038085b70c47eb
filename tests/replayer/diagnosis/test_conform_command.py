"""The command: its page, its JSON, its JUnit XML, its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from recorder.errors import OutputExists, RulesError
from recorder.exits import Exit
from replayer.commands.conform import conform_command
from replayer.diagnosis.rules import DIAGNOSED
from tests.replayer.diagnosis.test_diagnosis import client, entries_of, polite_socket
from tests.replayer.recordings import run, session, write


def conform(*arguments: object) -> Result:
    return CliRunner().invoke(
        conform_command, list(map(str, arguments)), standalone_mode=False, catch_exceptions=False
    )


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return write(tmp_path / "kept.track.jsonl", entries_of(polite_socket()))  # type: ignore[arg-type]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    chatter = [(100.0, "client", client(b"hello"))] * 5
    return write(
        tmp_path / "broken.track.jsonl",
        entries_of([*polite_socket(), *chatter]),  # type: ignore[arg-type]
    )


def test_a_recording_that_keeps_the_rules_ends_with_0(kept: Path) -> None:
    result = conform(kept)
    assert result.return_value == Exit.OK
    lines = result.output.splitlines()
    assert lines[0].endswith("kept.track.jsonl: kept")
    assert "  looked at   1 socket, 3 PINGs, 0 calls, 18 messages" in lines
    assert "  pushed      devices, beacons, positions, in this order" in lines


def test_one_that_breaks_them_ends_with_1_and_says_who_did_what_and_when(broken: Path) -> None:
    result = conform(broken)
    assert result.return_value == Exit.DIFFERENT
    assert "text.unknown, 5 times: the client's doing." in result.output
    assert "  100.000 s  connection 3: the client sent 'hello'" in result.output
    assert "and 2 more" in result.output
    assert max(map(len, result.output.splitlines()[1:])) <= 80


def test_all_shows_every_finding(broken: Path) -> None:
    assert conform(broken, "--all").output.count("the client sent 'hello'") == 6


def test_nothing_to_judge_ends_with_2(tmp_path: Path) -> None:
    result = conform(write(tmp_path / "empty.track.jsonl", []))
    assert result.return_value == Exit.UNDECIDED
    assert "No socket and no call" in result.output


def test_json_says_all_of_it(broken: Path) -> None:
    shown = json.loads(conform(broken, "--json").output)
    assert shown["verdict"] == "broken"
    assert shown["counts"] == {"text.unknown": 5}
    assert shown["findings"][0]["at_ns"] == 100_000_000_000
    assert shown["endings"][0]["code"] == 1000


def test_junit_has_a_case_for_each_rule_that_can_be_broken(broken: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    assert conform(broken, "--junit", report).return_value == Exit.DIFFERENT
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    assert {case.get("name") for case in cases} == {
        name for name, rule in DIAGNOSED.items() if rule.is_breach
    }
    failed = [case.get("name") for case in cases if case.find("failure") is not None]
    assert failed == ["text.unknown"]
    skipped = [case.get("name") for case in cases if case.find("skipped") is not None]
    assert "rest.bad-value" in skipped
    with pytest.raises(OutputExists):
        conform(broken, "--junit", report)
    conform(broken, "--junit", report, "--force")


def test_rules_come_from_a_file(kept: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("ping_interval_s = 10\n")
    result = conform(kept, "--rules", rules)
    assert result.return_value == Exit.DIFFERENT
    assert "no PING came from 0.000 s to 30.000 s" in result.output
    rules.write_text("ping_interval = 10\n")
    with pytest.raises(RulesError, match="did you mean 'ping_interval_s'"):
        conform(kept, "--rules", rules)


def test_a_torn_recording_is_judged_as_far_as_it_goes(kept: Path) -> None:
    data = kept.read_bytes()
    kept.write_bytes(data[:-40])
    result = conform(kept)
    assert result.return_value == Exit.OK
    assert "is torn: " in result.output


def test_a_page_names_what_a_session_with_a_bit_of_everything_did(tmp_path: Path) -> None:
    path = write(tmp_path / "session.track.jsonl", session())
    done = run("conform", path)
    assert done.returncode == Exit.DIFFERENT
    text = done.stdout.decode()
    assert "connection 2 was closed by the server at 93.000 s: the PING of 60.100 s" in (
        " ".join(text.split())
    )
    assert "login.refused" in text
    assert "\x1b" not in text
