"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recorder.destination import destination
from recorder.errors import DiskFailed, OutputExists


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with destination(str(path)) as file:
        file.write(b"half")
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert os.listdir(tmp_path) == ["a.json"]


def test_nothing_is_left_of_what_failed(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"before")

    def half() -> None:
        with destination(str(path), force=True) as file:
            file.write(b"half")
            raise RuntimeError("meanwhile")

    with pytest.raises(RuntimeError, match="meanwhile"):
        half()
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["a.json"]


def test_what_is_there_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"before")
    with pytest.raises(OutputExists, match="--force"), destination(str(path)):
        pass
    with destination(str(path), force=True) as file:
        file.write(b"after")
    assert path.read_bytes() == b"after"


def test_a_link_is_followed_and_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"before")
    link.symlink_to(target)
    with destination(str(link), force=True) as file:
        file.write(b"after")
    assert link.is_symlink()
    assert target.read_bytes() == b"after"
    with pytest.raises(OutputExists, match="no regular file"), destination(str(tmp_path)):
        pass
    with pytest.raises(OutputExists, match="cannot be made"), destination(f"{tmp_path}/no/a"):
        pass


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(DiskFailed, match="nothing was left"), destination(str(path)):
        raise OSError(28, "No space left on device")
    assert os.listdir(tmp_path) == []


def test_a_dash_is_stdout(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with destination("-") as file:
        file.write(b"data")
    assert capfdbinary.readouterr().out == b"data"
