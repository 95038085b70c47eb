"""Which recordings a scan takes, and which shard has which."""

from __future__ import annotations

from pathlib import Path

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
        with pytest.raises(CannotRead, match="no such file or folder, and nothing fits it"):
            find([str(tmp_path / missing)])
    assert find([str(tmp_path)]) == []


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
