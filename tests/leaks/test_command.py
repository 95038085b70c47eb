"""The command: what it prints, and what it ends with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from recorder.commands.leaks import leaks_command
from recorder.errors import CannotRead, RulesError
from recorder.exits import Exit
from recorder.model import FrameEntry, Note
from recorder.wire.frames import Frame
from tests.leaks.support import header
from tests.recording.files import record

SECRET = "correct-horse"


def run(*arguments: str | Path, env: dict[str, str | None] | None = None) -> Result:
    runner = CliRunner()
    return runner.invoke(
        leaks_command, [str(one) for one in arguments], standalone_mode=False, env=env or {}
    )


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    path = tmp_path / "leaky.track.jsonl"
    notes = [Note(offset_ns=1, text=f"bob{n}@example.com {SECRET}") for n in range(3)]
    record(path, notes, header=header())
    return path


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    path = tmp_path / "clean.track.jsonl"
    record(path, [Note(offset_ns=1, text="all is well")], header=header())
    return path


def test_a_clean_recording_ends_with_0(clean: Path) -> None:
    result = run(clean, "--no-environment")
    assert result.return_value == Exit.OK
    assert (
        result.stdout
        == f"{clean}: clean (3 lines, {clean.stat().st_size - 3} bytes, profile secrets)\n"
    )


def test_a_finding_is_a_line_and_ends_with_1(leaky: Path, clean: Path) -> None:
    result = run(leaky, clean, "--no-environment")
    assert result.return_value == Exit.DIFFERENT
    lines = result.stdout.splitlines()
    assert lines[0] == (
        f"{leaky}:2: email: an email address, bo… (16 characters); in text of note seq 1"
    )
    assert lines[3].startswith(f"{leaky}: 3 found: 3 email (5 lines, ")
    assert lines[4].startswith(f"{clean}: clean")


def test_values_of_the_environment_are_looked_for_and_never_shown(leaky: Path) -> None:
    env: dict[str, str | None] = {"TRACK_PASSWORD": SECRET, "TRACK_URL": "http://x.example/"}
    result = run(leaky, env=env)
    assert "the value of TRACK_PASSWORD, co… (13 characters)" in result.stdout
    assert "TRACK_PASSWORD" in result.stderr
    assert "not looking for the value of TRACK_URL: a URL without credentials" in result.stderr
    assert SECRET not in result.output
    assert "TRACK" not in run(leaky, "--no-environment", env=env).output


def test_values_of_files_are_looked_for(leaky: Path, tmp_path: Path) -> None:
    (tmp_path / "user").write_text(f"EMAIL=bob1@example.com\nPASSWORD={SECRET}\n")
    (tmp_path / "values").write_text(f"# mine\n\nshort\n{SECRET}\n")
    by_account = run(leaky, "--no-environment", "--user-file", tmp_path / "user").stdout
    assert by_account.count("the password of account 1") == 3
    assert by_account.count("the email of account 1") == 1
    by_value = run(leaky, "--no-environment", "--value-file", tmp_path / "values")
    assert by_value.stdout.count(f"the value of {tmp_path / 'values'}:4") == 3
    assert f"{tmp_path / 'values'}:3: shorter than 6" in by_value.stderr
    assert SECRET not in by_account + by_value.output


def test_allowed_values_are_no_findings(leaky: Path, tmp_path: Path) -> None:
    (tmp_path / "allow").write_text("*@example.com\n")
    result = run(leaky, "--no-environment", "--allow", tmp_path / "allow")
    assert result.return_value == Exit.OK


def test_only_the_first_findings_are_shown_and_all_are_counted(leaky: Path) -> None:
    result = run(leaky, "--no-environment", "--most", "1")
    assert len(result.stdout.splitlines()) == 2
    assert "3 found, the first 1 shown: 3 email" in result.stdout


def test_json_says_the_same(leaky: Path, tmp_path: Path) -> None:
    (tmp_path / "values").write_text(f"{SECRET}\nab\n")
    result = run(leaky, "--no-environment", "--json", "--value-file", tmp_path / "values")
    *findings, summary = [json.loads(line) for line in result.stdout.splitlines()]
    assert findings[1] == {
        "file": str(leaky),
        "line": 2,
        "last_line": 2,
        "seq": 1,
        "kind": "note",
        "connection": None,
        "place": "text",
        "detector": "email",
        "what": "an email address",
        "excerpt": "bo… (16 characters)",
        "undone": [],
    }
    assert summary["counts"] == {"value": 3, "email": 3}
    assert (summary["found"], summary["is_recording"], summary["profile"]) == (6, True, "secrets")
    assert summary["looked_for"] == [f"{tmp_path / 'values'}:1"]
    assert [one["name"] for one in summary["left_out"]] == [f"{tmp_path / 'values'}:2"]
    assert result.stderr == ""
    assert SECRET not in result.output


def test_the_profile_may_be_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    record(path, [Note(offset_ns=1, text='{"name":"Bob"}')], header=header())
    assert run(path, "--no-environment").return_value == Exit.OK
    assert run(path, "--no-environment", "--profile", "share").return_value == Exit.DIFFERENT


def test_a_text_is_said_to_be_no_recording(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("hello\n")
    assert "read as text: it is no recording" in run(path, "--no-environment").stdout


@pytest.mark.parametrize("option", ["--value-file", "--allow", "--user-file"])
def test_a_file_that_cannot_be_read_is_an_error(clean: Path, tmp_path: Path, option: str) -> None:
    assert isinstance(run(clean, option, tmp_path / "none").exception, CannotRead)
    assert isinstance(run(tmp_path / "none").exception, CannotRead)
    (tmp_path / "user").write_text("hunter2\n")
    error = run(clean, "--user-file", tmp_path / "user").exception
    assert isinstance(error, RulesError)
    assert "hunter2" not in str(error)


def test_images_are_told_in_the_summary_and_end_with_0(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    image = Frame.make(2, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    font = Frame.make(2, b"wOF2\0\1\0\0\xff")
    frames = [
        FrameEntry.of(frame, connection=1, sender="server", offset_ns=1)
        for frame in (image, font, image)
    ]
    record(path, frames, header=header())
    result = run(path, "--no-environment")
    assert result.return_value == Exit.OK
    assert ": clean (" in result.stdout
    assert result.stdout.splitlines()[-1] == f"{path}: not looked into: 1 font, 2 images"
    summary = json.loads(run(path, "--no-environment", "--json").stdout)
    assert (summary["found"], summary["passed_over"]) == (0, {"image": 2, "font": 1})
