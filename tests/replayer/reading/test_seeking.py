"""Recordings that are entered later than at their start."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import AnyEntry, Checkpoint, FrameEntry, Open, Resume
from recorder.recording import Reader
from recorder.wire.frames import Opcode
from replayer.commands.show import show_command
from replayer.reading.conversation import BrokenMessage, converse
from replayer.reading.series import SeriesReader
from tests.profiles import examples
from tests.replayer import traffic
from tests.replayer.reading.test_following import small_frames, suffixes, write_chunked, write_parts
from tests.replayer.reading.test_selection import talks
from tests.replayer.recordings import frame, ms, session, write

moments = st.integers(0, 20).map(lambda half_s: half_s * 500_000_000)


def whole(paths: list[Path], from_ns: int = 0) -> list[AnyEntry]:
    with SeriesReader(paths) as reader:
        return [entry for entry in reader if (entry.offset_ns or 0) >= from_ns]


def joinable(entries: Iterable[AnyEntry], from_ns: int) -> list[AnyEntry]:
    """Those from that moment on, without frames of messages that were begun before."""
    begun: dict[tuple[int, str], bool] = {}
    found = []
    for entry in entries:
        is_late = (entry.offset_ns or 0) >= from_ns
        if isinstance(entry, FrameEntry) and entry.opcode in ("text", "binary", "continuation"):
            key = entry.connection, entry.sender
            begins = entry.opcode != "continuation"
            if begins:
                begun[key] = is_late
            if is_late and begun.get(key, True):
                found.append(entry)
        elif is_late:
            found.append(entry)
    return found


@settings(max_examples=examples(60))
@given(traffic.rude, moments, moments)
def test_a_compressed_recording_is_entered_where_it_is_asked_for(
    entries: list[AnyEntry], first_ns: int, from_ns: int
) -> None:
    """And again, elsewhere; what was begun before is left out, as nobody could join it."""
    with small_frames() as folder:
        path = write_chunked(folder / "a.track.jsonl.zst", entries)
        with SeriesReader([path]) as reader:
            reader.seek(first_ns)
            next(reader, None)
            reader.seek(from_ns)
            assert list(reader) == joinable(whole([path]), from_ns)


@settings(max_examples=examples(60))
@given(traffic.rude, suffixes, st.lists(st.integers(0, 500), min_size=1, max_size=4), moments)
def test_parts_are_entered_like_one_recording(
    entries: list[AnyEntry], suffix: str, places: list[int], from_ns: int
) -> None:
    with small_frames() as folder:
        parts = write_parts(folder, entries, places, suffix)
        with SeriesReader(parts) as reader:
            reader.seek(from_ns)
            found = list(reader)
        late = [entry for entry in found if (entry.offset_ns or 0) >= from_ns]
        late = [entry for entry in late if not isinstance(entry, Checkpoint)]
        expected = whole(parts, from_ns)
        assert late in (expected, joinable(whole(parts), from_ns))
        if not suffix.endswith(".zst"):
            # A plain part is read from its start, where its checkpoint has what was begun.
            assert late == expected
            broken = [one for one in converse(found) if isinstance(one, BrokenMessage)]
            assert not any("continues no message" in one.why for one in broken)


def test_whole_parts_are_passed_over_and_begin_with_a_checkpoint(tmp_path: Path) -> None:
    entries = [frame("server", b'{"devices":[]}', at=at_s * 1000) for at_s in range(10)]
    for suffix in (".track.jsonl", ".track.jsonl.zst"):
        parts = write_parts(tmp_path, entries, [3, 6, 8], suffix)
        with SeriesReader(parts) as reader:
            reader.seek(7_000_000_000, only_parts=True)
            first, *rest = reader
            assert isinstance(first, Checkpoint)
            assert [one.offset_ns for one in rest if isinstance(one, FrameEntry)] == [
                at_s * 1_000_000_000 for at_s in range(6, 10)
            ]
            reader.seek(0)
            assert list(reader) == whole(parts)


def test_only_the_part_that_holds_the_moment_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [frame("server", b"{}", at=at_s * 1000) for at_s in range(10)]
    first, *parts = write_parts(tmp_path, entries, [3, 6], ".track.jsonl.zst")
    damaged = first.read_bytes()
    first.write_bytes(damaged[:-60] + bytes([damaged[-60] ^ 255]) + damaged[-59:])
    with SeriesReader([first, *parts]) as reader:
        reader.seek(8_000_000_000)
        assert next(reader).offset_ns == 8_000_000_000


def test_an_untimed_recording_cannot_be_entered(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [frame("server", b"{}", at=None)], timing="none")
    with SeriesReader([path]) as reader, pytest.raises(ValueError, match="no timing to seek by"):
        reader.seek(1)


# By `show --from`


def show(path: Path, *options: str) -> str:
    result = CliRunner().invoke(show_command, [str(path), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


class Watch:
    """Whether a reader is entered later than at its start."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seeks = 0
        seek = Reader.seek

        def watched(reader: Reader, offset_ns: int) -> None:
            self.seeks += 1
            seek(reader, offset_ns)

        monkeypatch.setattr(Reader, "seek", watched)


@settings(max_examples=examples(40))
@given(talks(), st.integers(0, 12))
def test_what_is_shown_from_a_moment_on_is_what_a_filter_would_show(
    entries: list[AnyEntry], from_ms: int
) -> None:
    """Of messages that say themselves what they are about; see the next test for others."""
    said = [one for one in entries if isinstance(one, FrameEntry) and one.fin]
    said = [one for one in said if one.opcode != "continuation" and "Id" not in (one.text or "")]
    with small_frames() as folder:
        compressed = write_chunked(folder / "a.track.jsonl.zst", said)
        plain = write_chunked(folder / "a.track.jsonl", said)
        options = ("--from", f"0.{from_ms:03}", "--format", "jsonl")
        assert show(compressed, *options) == show(plain, *options)


def test_a_name_that_is_asked_for_is_found_where_it_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [
        frame("server", b'{"devices":[{"id":5,"name":"cart"}]}', at=1),
        frame("server", b'{"positions":[{"deviceId":5}]}', at=2000),
    ]
    path = write(tmp_path / "a.track.jsonl.zst", entries)
    watch = Watch(monkeypatch)
    assert show(path, "--from", "1", "--device", "5").endswith("device 5\n")
    assert watch.seeks == 1
    assert show(path, "--from", "1", "--device", "cart").endswith("cart\n")
    assert show(path, "--from", "1", "--beacon", "door") == ""
    assert show(path, "--device", "5").endswith("cart\n")
    assert watch.seeks == 1


def test_a_proxied_recording_is_read_from_its_start_to_know_its_legs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = traffic.proxied(traffic.recorded([("say", 1, 0, 10**9)]))
    path = write(tmp_path / "a.track.jsonl.zst", entries, mode="proxy")
    watch = Watch(monkeypatch)
    assert show(path, "--from", "1").count("\n") == 2
    assert watch.seeks == 0
    show(path, "--from", "1", "--all-legs")
    assert watch.seeks == 1


def test_a_message_whose_start_nobody_saw_is_not_called_broken(tmp_path: Path) -> None:
    entries = [
        frame("server", b'{"dev', at=1, fin=False),
        frame("server", b'ices":', at=2000, fin=False, opcode=Opcode.CONTINUATION),
        frame("server", b"x", at=2000, opcode=Opcode.PING),
        frame("server", b"[]}", at=2001, opcode=Opcode.CONTINUATION),
        frame("server", b"[]}", at=2002, opcode=Opcode.CONTINUATION),
    ]
    path = write(tmp_path / "a.track.jsonl.zst", entries)
    (ping, broken, _) = show(path, "--from", "1", "--all").splitlines()
    assert ping.split()[4] == "control"
    # But this one continues nothing, whatever stands before.
    assert "a continuation frame continues no message" in broken


@pytest.mark.parametrize(
    "entry",
    [
        Open(offset_ns=ms(2000), connection=1, leg="client"),
        Resume(offset_ns=ms(2000), wall="2026-11-22T18:00:00.000000000Z"),
    ],
)
def test_behind_what_tells_all_that_is_open_a_message_without_a_start_is_broken(
    tmp_path: Path, entry: AnyEntry
) -> None:
    entries = [
        frame("server", b"{", at=1, fin=False),
        entry,
        frame("server", b"}", at=2001, opcode=Opcode.CONTINUATION),
    ]
    path = write(tmp_path / "a.track.jsonl.zst", entries)
    assert "a continuation frame continues no message" in show(path, "--from", "1")


def test_reading_stops_behind_the_last_moment(tmp_path: Path) -> None:
    path = write(tmp_path / "a.track.jsonl", session())
    path.write_bytes(path.read_bytes().replace(b'"seq":20,', b'"seq":!!,'))
    assert show(path, "--from", "1.3", "--to", "1.999").count("\n") == 2
