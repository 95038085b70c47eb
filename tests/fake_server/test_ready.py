"""The file that tells a program where the server is."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from fake_server.commands.assembly import parts_of
from fake_server.commands.ready import check_ready_file, ready_facts, ready_file, ready_json
from recorder.backend import Backend
from recorder.errors import OutputExists
from tests.fake_server.command_lines import options

FACTS = {"base_url": "http://127.0.0.1:1", "port": 1}


def test_a_ca_file_is_named_for_a_reader_in_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = options("--tls-self-signed", "ca.pem")
    facts = ready_facts(Backend(tls=True, host="::1", port=8), parts_of(found), found)
    assert facts["ca_file"] == str(tmp_path / "ca.pem")
    assert (facts["base_url"], facts["admin_url"]) == (
        "https://[::1]:8",
        "https://[::1]:8/__admin",
    )


def test_it_is_one_line_of_json() -> None:
    assert json.loads(ready_json(FACTS)) == FACTS
    assert "\n" not in ready_json({"ca_file": "a\nb"})


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_it_stands_there_while_the_block_runs_however_that_ends(
    tmp_path: Path, error: type[BaseException] | None
) -> None:
    path = tmp_path / "ready.json"
    with nullcontext() if error is None else pytest.raises(error), ready_file(path, FACTS):
        assert path.read_bytes() == ready_json(FACTS).encode() + b"\n"
        assert list(tmp_path.iterdir()) == [path]
        if error is not None:
            raise error
    assert list(tmp_path.iterdir()) == []


def test_that_somebody_removed_it_already_does_no_harm(tmp_path: Path) -> None:
    with ready_file(tmp_path / "ready.json", FACTS):
        (tmp_path / "ready.json").unlink()


def test_one_that_is_there_is_another_servers(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    check_ready_file(path)
    path.write_text("{}")
    with pytest.raises(OutputExists, match="another server's, or left by one that was killed"):
        check_ready_file(path)
    with pytest.raises(OutputExists, match="another server's"), ready_file(path, FACTS):
        pass
    assert path.read_text() == "{}"


def test_another_servers_that_came_to_stand_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    with ready_file(path, FACTS):
        path.write_text("{}")
    assert path.read_text() == "{}"


@pytest.mark.parametrize("name", ["missing/ready.json", "/proc/ready.json"])
def test_where_no_file_can_be_made_it_is_told_before_the_server_listens(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(OutputExists, match="cannot be made: "):
        check_ready_file(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_none_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ready_file(None, FACTS):
        assert list(tmp_path.iterdir()) == []
