"""Which recordings a scan takes, and which shard has which."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import CannotRead
from recorder.model import Series
from replayer.scan.finding import find, shard
from tests.profiles import examples
from tests.replayer.recordings import session, write
from tests.replayer.scan.stand_ins import found
from tests.replayer.traffic import recorded, write_parts

STEPS = [("say", 1, number, 1000) for number in range(9)]


def test_a_folder_stands_for_all_recordings_below_it(tmp_path: Path) -> None:
    deep = tmp_path / "b" / "c"
    deep.mkdir(parents=True)
    a = write(tmp_path / "a.track.jsonl", session())
    z = write(deep / "z.track.jsonl.zst", session())
    (tmp_path / "notes.jsonl").write_text("{}\n")
    everything = find([str(tmp_path)])
    assert [each.path for each in everything] == [str(a), str(z)]
    assert everything[0].size_bytes == a.stat().st_size
    assert everything[0].mtime_ns == a.stat().st_mtime_ns
    assert find([f"{tmp_path}/**/*.zst"]) == everything[1:]
    assert find([f"{tmp_path}/./a.track.jsonl", str(tmp_path), str(z)]) == everything


def test_a_file_is_taken_whatever_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "odd[name]", session())
    assert [each.path for each in find([str(path)])] == [str(path)]


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    for missing in ("gone.track.jsonl", "*.track.jsonl"):
        with pytest.raises(CannotRead, match="no such file or folder, and no recording fits it"):
            find([str(tmp_path / missing)])


def test_a_folder_without_recordings_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(CannotRead, match="there is no recording in this folder"):
        find([str(tmp_path)])
    with pytest.raises(CannotRead, match="no recording fits it"):
        find([f"{tmp_path.parent}/{tmp_path.name[:-1]}*"])


def test_a_pattern_of_folders_stands_for_what_is_in_them(tmp_path: Path) -> None:
    paths = []
    for day in ("2026-11-01", "2026-11-02"):
        (tmp_path / day).mkdir()
        paths.append(write(tmp_path / day / "a.track.jsonl", session()))
    assert [each.path for each in find([f"{tmp_path}/2026-*"])] == list(map(str, paths))


def test_a_recording_of_several_names_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.track.jsonl", session())
    (tmp_path / "link.track.jsonl").symlink_to(path)
    (tmp_path / "up").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert [each.parts for each in find([".", str(tmp_path), "a*"])] == [(str(path),)]


def test_what_is_no_file_is_left_out_of_a_folder_but_a_dangling_link_is_told(
    tmp_path: Path,
) -> None:
    os.mkfifo(tmp_path / "pipe.track.jsonl")
    (tmp_path / "folder.track.jsonl").mkdir()
    (tmp_path / "gone.track.jsonl").symlink_to("nowhere")
    (tmp_path / "loop.track.jsonl").symlink_to("loop.track.jsonl")
    assert [Path(each.path).name for each in find([str(tmp_path)])] == [
        "gone.track.jsonl",
        "loop.track.jsonl",
    ]


def test_a_folder_that_cannot_be_listed_is_told_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").mkdir()
    path = write(tmp_path / "a.track.jsonl", session())
    scandir = os.scandir

    def refused(folder: str) -> Any:
        if folder.endswith("secret"):
            raise PermissionError(errno.EACCES, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refused)
    assert [each.path for each in find([str(tmp_path)])] == [str(path), str(tmp_path / "secret")]


def test_a_name_that_is_no_utf8_has_escapes_but_is_found(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.track.jsonl"
    with open(name, "wb") as file:
        file.write(write(tmp_path / "other", session()).read_bytes())
    (each,) = find([str(tmp_path)])
    assert each.path == f"{tmp_path}/\\udcff.track.jsonl"
    assert each.parts == (os.fsdecode(name),)
    assert os.path.exists(each.parts[0])


def test_the_parts_of_a_series_are_one_recording(tmp_path: Path) -> None:
    parts = write_parts(tmp_path, recorded(STEPS), [8, 11])
    alone = write(tmp_path / "alone.track.jsonl", session())
    both = find([str(tmp_path)])
    series = next(each for each in both if each.path != str(alone))
    assert len(both) == 2
    assert series.parts == tuple(sorted(map(str, parts)))
    assert series.path == series.parts[0]
    assert series.size_bytes == sum(part.stat().st_size for part in parts)


def test_a_name_alone_makes_no_part(tmp_path: Path) -> None:
    other = Series(id="other", part=1)
    write(tmp_path / "day.track.jsonl", session())
    write(tmp_path / "day.000001.track.jsonl", session())
    write(tmp_path / "day.000002.track.jsonl", session(), series=other)
    (tmp_path / "day.000003.track.jsonl").write_text("no recording")
    assert [len(each.parts) for each in find([str(tmp_path)])] == [1, 1, 1, 1]


@settings(max_examples=examples(60))
@given(st.lists(st.integers(0, 10**6), max_size=30), st.integers(1, 6), st.randoms())
def test_shards_share_all_and_are_balanced(sizes: list[int], of: int, random: object) -> None:
    recordings = [found(f"{number:03}", size) for number, size in enumerate(sizes)]
    shares = [shard(recordings, number, of) for number in range(1, of + 1)]
    assert sorted(each.path for share in shares for each in share) == [
        each.path for each in recordings
    ]
    loads = [sum(each.size_bytes + 4096 for each in share) for share in shares]
    assert max(loads) - min(loads) <= max(sizes, default=0) + 4096
    shuffled = list(recordings)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = [{each.path for each in shard(shuffled, number, of)} for number in range(1, of + 1)]
    assert again == [{each.path for each in share} for share in shares]
