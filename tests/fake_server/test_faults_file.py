"""Faults from a TOML file."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_server.commands.faults_file import load_faults
from recorder.errors import CannotRead, RulesError


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "faults.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_faults_come_in_the_order_of_the_file_with_their_schedules(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'seed = 7\n[[fault]]\nfault = "close"\ncode = 1011\nafter = 2\n'
        '[[fault]]\nfault = "loss"\nsockets = [2, 3]\nprobability = 0.5\n',
    )
    faults, seed = load_faults(path)
    assert seed == 7
    shown = [one.to_builtins() for one in faults]
    assert [one["fault"] for one in shown] == ["close", "loss"]
    assert (shown[0]["code"], shown[0]["after"]) == (1011, 2)
    assert (faults[1].schedule.sockets, faults[1].schedule.probability) == ((2, 3), 0.5)


@pytest.mark.parametrize("text", ["", "# nothing\n", "fault = []\n"])
def test_a_file_may_hold_no_faults_and_no_seed(tmp_path: Path, text: str) -> None:
    assert load_faults(written(tmp_path, text)) == ([], None)


@pytest.mark.parametrize("seed", [0, -1])
def test_a_seed_is_any_whole_number(tmp_path: Path, seed: int) -> None:
    assert load_faults(written(tmp_path, f"seed = {seed}\n")) == ([], seed)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seed = true\n", "seed: expected a whole number"),
        ('seed = "7"\n', "seed: expected a whole number"),
        ("fault = [1]\n", "expected seed = NUMBER and tables"),
        ('[fault]\nfault = "fin"\n', "expected seed = NUMBER and tables"),
        ('seeds = 7\n[[fault]]\nfault = "fin"\n', "unexpected 'seeds'; expected seed = NUMBER"),
        ('[[fault]]\nfault = "fin"\n[[fault]]\nfault = "fun"\n', "fault 2: there is no fault"),
        ('[[fault]]\nfault = "fin"\nafter = "2"\n', "fault 1: fin: "),
        (b"seed = 7 # \xff\n", "not a TOML file"),
        ("x = " + "[" * 5000 + "\n", "not a TOML file"),
    ],
)
def test_what_is_wrong_is_told_with_the_file_and_the_fault(
    tmp_path: Path, text: str | bytes, told: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RulesError) as caught:
        load_faults(path)
    assert str(caught.value).startswith(f"{path}: {told}")


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotRead, match=r"faults\.toml: the faults cannot be read: No such file"):
        load_faults(tmp_path / "faults.toml")
