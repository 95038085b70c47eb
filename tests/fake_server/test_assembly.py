"""Options, read and checked: what a server is made of."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from fake_server.commands.assembly import parts_of
from recorder.errors import RulesError
from tests.fake_server.command_lines import options
from tests.fake_server.support import DEVICES, TIMEOUT, said, upgrade, write


def recording(folder: Path, name: str = "some") -> Path:
    return write(folder / f"{name}.track.jsonl", [*upgrade(), said(TIMEOUT), said(DEVICES)])


def test_faults_of_the_file_stand_before_those_of_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text('[[fault]]\nfault = "close"\n[[fault]]\nfault = "loss"\n')
    found = options("--fault", "rst:after=9", "--faults", file, "--fault", "fin:after=1")
    names = [one.to_builtins()["fault"] for one in parts_of(found).faults]
    assert names == ["close", "loss", "rst", "fin"]


@pytest.mark.parametrize("token", ["two words", "t\u00f6ken", "a\nb", "", "\x7f"])
def test_an_admin_token_has_to_fit_into_a_header(tmp_path: Path, token: str) -> None:
    file = tmp_path / "token"
    file.write_text(token)
    with pytest.raises(RulesError, match="expected the admin token, printable ASCII") as caught:
        parts_of(options("--admin-token-file", file))
    assert str(file) in str(caught.value)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("token", ["t", "a~!b\n", " abc "])
def test_around_an_admin_token_may_be_white_space(tmp_path: Path, token: str) -> None:
    file = tmp_path / "token"
    file.write_text(token)
    assert parts_of(options("--admin-token-file", file)).admin_token == token.strip()


def test_none_of_the_parts_that_are_played_is_recorded_into(tmp_path: Path) -> None:
    first, second = recording(tmp_path, "first"), recording(tmp_path, "second")
    for target in (first, second, tmp_path / "." / "second.track.jsonl"):
        found = options("--record", target, "--force")
        with pytest.raises(click.UsageError, match="is what is played; --record into another"):
            parts_of(found, first, second)


def test_what_is_played_is_told_in_words(tmp_path: Path) -> None:
    path = recording(tmp_path)
    assert parts_of(options()).what == "a synthetic fleet"
    assert parts_of(options(), path).what == f"{path} (1 socket)"
    rebased = parts_of(options("--rebase", "now"), path).what
    assert rebased == f"{path} (1 socket; it holds no dates)"


def test_a_fleet_is_shared_and_a_recording_each_sockets_own_unless_told(tmp_path: Path) -> None:
    path = recording(tmp_path)
    assert parts_of(options()).playback.mode == "shared"
    assert parts_of(options(), path).playback.mode == "per-connection"
    assert parts_of(options("--playback", "shared"), path).playback.mode == "shared"
    assert parts_of(options("--playback", "per-connection")).playback.mode == "per-connection"
