"""A recording read while it is being written."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.checkpoint import SoFar
from recorder.errors import CannotRead, CorruptRecording, RecordingError, UnsupportedVersion
from recorder.exits import Exit
from recorder.model import AnyEntry, Note
from recorder.recording import Reader, Series, Writer, zstd_frames
from recorder.recording.series import Rotation
from replayer.commands import show
from replayer.reading.following import FollowedSeries
from replayer.reading.series import SeriesReader
from tests.profiles import examples
from tests.recording.files import NoSync
from tests.replayer import traffic
from tests.replayer.recordings import DEVICES, NAMELESS_POSITION, POSITION, frame, header, session
from tests.replayer.recordings import write as write_recording

suffixes = st.sampled_from([".track.jsonl", ".track.jsonl.zst"])


@contextmanager
def small_frames() -> Iterator[Path]:
    """A folder, while compressed recordings have many small frames."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(zstd_frames, "FRAME_BYTES", 400)
        yield Path(folder)


class Growing:
    """Files that grow by a step at each wait, up to their end: waiting for more is a failure."""

    def __init__(self, steps: list[tuple[Path, bytes]]) -> None:
        self.steps = steps
        self.waits = 0

    def __call__(self) -> None:
        self.waits += 1
        assert self.steps, "it waits for more than there will ever be"
        path, data = self.steps.pop(0)
        with open(path, "ab") as file:
            file.write(data)


def pieces(path: Path, data: bytes, cuts: list[int]) -> list[tuple[Path, bytes]]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [(path, data[start:stop]) for start, stop in itertools.pairwise(places)]


def followed(path: Path, wait: Callable[[], None]) -> list[AnyEntry]:
    with FollowedSeries([path], wait) as reader:
        return list(reader)


def whole(paths: list[Path]) -> list[AnyEntry]:
    with SeriesReader(paths) as reader:
        return list(reader)


def write_chunked(path: Path, entries: list[AnyEntry]) -> Path:
    """Flushed every few entries, so that a compressed one has many blocks."""
    with Writer.create(path, header(), file_of=NoSync) as writer:
        for number, entry in enumerate(entries):
            writer.write(entry)
            if number % 3 == 0:
                writer.flush()
        writer.close({})
    return path


@settings(max_examples=examples(40))
@given(traffic.rude, suffixes, st.lists(st.integers(0, 100_000), max_size=12))
def test_however_it_grows_all_of_it_is_read_once(
    entries: list[AnyEntry], suffix: str, cuts: list[int]
) -> None:
    with small_frames() as folder:
        path = write_chunked(folder / f"a{suffix}", entries)
        expected = whole([path])
        growing = folder / f"b{suffix}"
        growing.touch()
        wait = Growing(pieces(growing, path.read_bytes(), cuts))
        assert followed(growing, wait) == expected
        assert wait.waits >= 1


@pytest.mark.parametrize("suffix", [".track.jsonl", ".track.jsonl.zst"])
def test_it_may_be_cut_at_every_byte(tmp_path: Path, suffix: str) -> None:
    path = write_recording(tmp_path / f"a{suffix}", [Note(offset_ns=1, text="é")])
    expected, data = whole([path]), path.read_bytes()
    for cut in range(len(data)):
        growing = tmp_path / f"b{suffix}"
        growing.write_bytes(data[:cut])
        assert followed(growing, Growing([(growing, data[cut:])])) == expected


@settings(max_examples=examples(40))
@given(
    traffic.rude,
    suffixes,
    st.lists(st.integers(0, 1000), min_size=1, max_size=3),
    st.lists(st.integers(0, 100_000), max_size=8),
    st.integers(0, 3),
)
def test_it_goes_on_with_the_parts_that_a_rotating_recorder_begins(
    entries: list[AnyEntry], suffix: str, places: list[int], cuts: list[int], given_parts: int
) -> None:
    """A recorder makes the next part, ends the old one, and then writes to the next."""
    with small_frames() as folder:
        parts = write_parts(folder, entries, places, suffix)
        expected = whole(parts)
        names = [folder / part.name for part in parts]
        steps: list[tuple[Path, bytes]] = []
        rest = b""
        for name, part in zip(names, parts, strict=True):
            begun, more, end = divided(part)
            steps += pieces(name, begun, [])
            steps += [(names[names.index(name) - 1], rest)] if rest else []
            steps += pieces(name, more, cuts)
            rest = end
        steps.append((names[-1], rest))
        given_names = names[: 1 + min(given_parts, len(names) - 1)]
        for name in given_names:
            name.touch()
        with FollowedSeries(given_names, Growing(steps)) as reader:
            assert list(reader) == expected
            assert reader.names == list(map(str, names))
            assert not reader.problems


def write_parts(
    folder: Path, entries: list[AnyEntry], places: list[int], suffix: str
) -> list[Path]:
    path = Path(tempfile.mkdtemp(dir=folder)) / f"some{suffix}"
    series = Series.create(path, header(), SoFar(), Rotation(), file_of=NoSync)
    cuts = {place % len(entries) for place in places}
    for number, entry in enumerate(entries):
        if number in cuts:
            series.cut(series.offset_ns or 0)
        series.write(entry)
        if number % 3 == 0:
            series.flush()
    series.close({})
    return sorted(path.parent.iterdir())


def divided(part: Path) -> tuple[bytes, bytes, bytes]:
    """What a cut writes of a part before it ends the one before, the rest, and its `end`; of a
    compressed part the first block, the rest, and the last block."""
    data = part.read_bytes()
    if part.suffix == ".zst":
        with open(part, "rb") as file:
            blocks = [one for one in zstd_frames.read_blocks(file) if one.data]
        begun, end = blocks[min(1, len(blocks) - 1)].position, blocks[-1].position
        return data[:begun], data[begun:end], data[end:]
    lines = data.splitlines(keepends=True)
    begun = 2 if b'"checkpoint"' in lines[1] else 1
    return b"".join(lines[:begun]), b"".join(lines[begun:-1]), lines[-1]


def test_a_part_whose_recorder_died_is_given_up_once_the_next_one_goes_on(tmp_path: Path) -> None:
    entries = [frame("server", DEVICES, at=1), frame("server", POSITION, at=2)]
    first, second = write_parts(tmp_path, entries, [1], ".track.jsonl")
    lines = first.read_bytes().splitlines(keepends=True)
    first.write_bytes(b"".join(lines[:-1]) + lines[-1][:10])
    expected = [entry for entry in whole([first, second]) if not isinstance(entry, Note)]
    data = second.read_bytes()
    second.unlink()
    begun, more, end = data.partition(b'{"kind":"frame"')
    wait = Growing([(second, begun), (second, more + end)])
    with FollowedSeries([first], wait) as reader:
        found = list(reader)
        assert [entry for entry in found if not isinstance(entry, Note)] == expected
        assert reader.problems == [
            f"{first} is torn: 10 bytes at its end could not be read"
            " (the file ends in a line without its end)"
        ]
    assert wait.waits == 2


def test_a_resumed_recording_is_read_on_behind_what_was_cut(tmp_path: Path) -> None:
    for suffix in (".track.jsonl", ".track.jsonl.zst"):
        path = write_chunked(tmp_path / f"a{suffix}", session())
        path.write_bytes(path.read_bytes()[:-40])
        waits = 0

        def resume(path: Path = path) -> None:
            nonlocal waits
            waits += 1
            if waits == 1:
                return
            with Writer.resume(path, wall="2026-11-22T18:00:00.000000000Z") as writer:
                writer.write(frame("server", POSITION, at=1_000_001))
                writer.close({})

        found = followed(path, resume)
        assert found == whole([path])
        assert waits == 2


def test_a_file_that_is_replaced_by_a_shorter_one_is_another_recording(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a", session())
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CorruptRecording, match="was cut while it was followed: expected"):
        followed(path, lambda: path.write_bytes(b"short") and None)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"HTTP/1.1 101", RecordingError),
        (b'{"kind":"header","format":"track-recording","version":9}\n', UnsupportedVersion),
        (b'{"kind":"note"}\n', RecordingError),
    ],
)
def test_what_is_no_recording_is_not_waited_for(
    tmp_path: Path, content: bytes, error: type[Exception]
) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(error):
        followed(path, Growing([]))


def test_a_file_that_is_not_there_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(CannotRead, match="cannot be opened"):
        followed(tmp_path / "a", Growing([]))


def test_damage_is_an_error_also_while_following(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a", session())
    path.write_bytes(path.read_bytes().replace(b'"seq":12,', b'"seq":!!,'))
    with pytest.raises(CorruptRecording, match="a:13"):
        followed(path, Growing([]))


# As a command


class Typing:
    """In place of the clock: each sleep writes a bit more, and notes what is shown by then."""

    def __init__(self, steps: list[Callable[[], Any]]) -> None:
        self.steps = steps

    def sleep(self, seconds: float) -> None:
        assert seconds == show.POLL_S
        self.steps.pop(0)()

    monotonic = staticmethod(lambda: 0.0)


def test_lines_come_out_as_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.track.jsonl.zst"
    writer = Writer.create(path, header(), file_of=NoSync)
    shown: list[str] = []

    def say(*entries: Any) -> Callable[[], None]:
        def step() -> None:
            shown.append(capsys.readouterr().out)
            for entry in entries:
                writer.write(entry)
            writer.flush()

        return step

    steps = [
        say(frame("server", DEVICES, at=1)),
        say(),
        say(frame("server", NAMELESS_POSITION, at=2), frame("server", POSITION, at=3)),
        lambda: (say()(), writer.close({})),
    ]
    monkeypatch.setattr(show, "time", Typing(steps))
    writer.flush()
    show.show_command.main([str(path), "--follow"], standalone_mode=False)
    shown.append(capsys.readouterr().out)
    assert [text.count("\n") for text in shown] == [0, 1, 0, 2, 0]
    result = CliRunner().invoke(show.show_command, [str(path)])
    assert "".join(shown) == result.stdout


def test_the_end_of_what_was_asked_for_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_recording(tmp_path / "a", session())
    path.write_bytes(path.read_bytes()[:-40])
    monkeypatch.setattr(show, "time", Typing([]))
    options = [str(path), "--to", "2"]
    following = CliRunner().invoke(show.show_command, [*options, "--follow"])
    assert following.exit_code == Exit.OK
    assert following.stdout == CliRunner().invoke(show.show_command, options).stdout != ""


@pytest.mark.parametrize("form", ["line", "table", "jsonl"])
def test_interrupting_is_how_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    path = write_recording(tmp_path / "a", session())
    expected = CliRunner().invoke(show.show_command, [str(path), "--format", form]).stdout
    path.write_bytes(path.read_bytes()[:-40])

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(show, "time", Typing([interrupt]))
    result = CliRunner().invoke(
        show.show_command, [str(path), "--follow", "--format", form], catch_exceptions=False
    )
    assert (result.exit_code, result.stdout, result.stderr) == (Exit.OK, expected, "")


def test_one_moment_cannot_be_followed(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a", session())
    result = CliRunner().invoke(show.show_command, [str(path), "--follow", "--at", "end"])
    assert result.exit_code == 2
    assert "leave out --follow" in result.output


def test_a_reader_that_does_not_follow_says_the_same(tmp_path: Path) -> None:
    path = write_chunked(tmp_path / "a.track.jsonl.zst", session())
    with Reader(path) as reader:
        assert list(reader) == followed(path, Growing([]))
