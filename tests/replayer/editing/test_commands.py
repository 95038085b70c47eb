"""The verbs on files: each leaves a whole recording, and says what it did."""

from __future__ import annotations

import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from recorder.errors import CorruptRecording, DiskFailed, OutputExists, RecordingError
from recorder.importers import import_file
from recorder.model import (
    AnyEntry,
    Checkpoint,
    End,
    FrameEntry,
    MessageEntry,
    Note,
    Redaction,
    UnknownEntry,
)
from recorder.recording import Reader, Writer
from replayer.commands.export import Socket, wire_bytes
from replayer.editing.heading import origin_of
from replayer.playing.script import load_script
from replayer.reading.series import SeriesReader
from tests.profiles import examples
from tests.recording.files import NoSync
from tests.replayer.editing.support import edited, messages, plain, read, run, told
from tests.replayer.recordings import DEVICES, frame, header, ms, session, write
from tests.replayer.traffic import polite, write_parts, write_whole

ROOT = Path(__file__).parents[3]
FUTURE = b'{"kind":"future","seq":0,"offset_ns":7000000,"connection":2,"x":[1.10]}'
VERBS: dict[str, list[str]] = {
    "cut": ["cut", "--from", "0.001", "--to", "100"],
    "filter": ["filter", "--kind", "devices"],
    "merge": ["merge"],
    "rebase": ["rebase", "--to", "2025-02-21T10:05:04Z"],
    "speed": ["speed", "2"],
    "annotate": ["annotate", "--at", "1.5", "--note", "here"],
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    future = UnknownEntry(kind="future", seq=0, offset_ns=ms(7), line=FUTURE)
    entries: list[Any] = session()
    extra = {"x": msgspec.Raw(b"1.10")}
    opened = [msgspec.structs.replace(entries[0], extra=extra), *entries[1:3], future]
    return write(
        tmp_path / "a.track.jsonl",
        [*opened, *entries[3:]],
        redaction={"password": 1},
        meta={"mine": msgspec.Raw(b"1.10")},
        extra=extra,
    )


def header_of(path: Path) -> Any:
    with Reader(path) as reader:
        return reader.header


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("suffix", ["", ".zst"])
def test_every_verb_leaves_a_whole_recording(
    verb: str, suffix: str, source: Path, tmp_path: Path
) -> None:
    before = source.read_bytes()
    path = edited(tmp_path / f"b.track.jsonl{suffix}", *VERBS[verb], source)
    assert path.read_bytes().startswith(b"\x28\xb5\x2f\xfd") == bool(suffix)
    made, head, old = read(path), header_of(path), header_of(source)
    (future,) = [entry for entry in made if isinstance(entry, UnknownEntry)]
    assert b'"connection":2,"x":[1.10]}' in future.line
    assert (head.mode, head.series, head.redaction) == ("edit", None, old.redaction)
    assert head.id != old.id
    assert (bytes(head.meta["mine"]), bytes(head.extra["x"])) == (b"1.10", b"1.10")
    (step,) = json.loads(bytes(head.meta["edited"]))
    assert (step["verb"], step["recordings"]) == (verb, [{"id": old.id, "mode": "capture"}])
    assert origin_of(head) == old.id
    assert source.read_bytes() == before
    assert load_script(path).sockets == 1
    if verb not in ("cut", "filter"):
        assert path.read_bytes().count(b'"x":1.10') == 2 or suffix
        assert len(told(made)) == len(told(read(source)))


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_replaces_what_it_reads_or_what_is_there(
    verb: str, source: Path, tmp_path: Path
) -> None:
    before = source.read_bytes()
    link = tmp_path / "link"
    link.symlink_to(source)
    for output in (source, link):
        with pytest.raises(OutputExists, match="which stays as it is"):
            run(*VERBS[verb], source, "-o", output, "--force")
    there = tmp_path / "there.track.jsonl"
    there.write_text("mine")
    with pytest.raises(OutputExists, match="it exists already"):
        run(*VERBS[verb], source, "-o", there)
    assert (there.read_text(), source.read_bytes()) == ("mine", before)
    edited(there, *VERBS[verb], source, "--force")
    assert run(*VERBS[verb], source, "-o", "-").exit_code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("a.track.jsonl", "link", "there.track.jsonl")
    ]


def test_a_full_disk_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("recorder.rewriting.os.replace", fail)
    with pytest.raises(DiskFailed, match=r"b: writing failed: No space left .* nothing was left"):
        run("speed", "2", source, "-o", tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["a.track.jsonl"]


def test_a_damaged_recording_leaves_nothing(source: Path, tmp_path: Path) -> None:
    source.write_bytes(source.read_bytes().replace(b'"kind":"note"', b'"kind":note', 1))
    with pytest.raises(CorruptRecording, match=f"{source}:21"):
        run("speed", "2", source, "-o", tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["a.track.jsonl"]


def test_what_came_of_it_is_said(source: Path, tmp_path: Path) -> None:
    said = run("cut", source, "-o", tmp_path / "b", "--from", "1.25").stderr
    assert said == f"{tmp_path / 'b'}: 14 entries (30 read, 17 left out, 1 added)\n"
    said = run("cut", source, "-o", tmp_path / "d", "--from", "1h").stderr
    assert said.endswith(f"1 added)\nnothing of {source} stands there\n")
    said = run("annotate", source, "-o", tmp_path / "c", "--at", "1", "--note", "x").stderr
    assert said == f"{tmp_path / 'c'}: 31 entries (30 read, 0 left out, 1 added)\n"


def test_a_note_behind_the_end_is_said_to_make_the_recording_longer(
    source: Path, tmp_path: Path
) -> None:
    ended_ns = max(one.offset_ns or 0 for one in read(source))
    late = ["--at", "2h", "--note", "x"]
    said = run("annotate", source, "-o", tmp_path / "b", *late, "--at", "1", "--note", "y").stderr
    assert said.splitlines()[1] == (
        f"it is {7200 - ended_ns / 1e9:.3f} s longer now: a note stands behind the end, which was"
        f" at {ended_ns / 1e9:.3f} s"
    )


def test_edits_of_edits_say_all_that_was_done(source: Path, tmp_path: Path) -> None:
    once = edited(tmp_path / "b", "cut", source, "--from", "1.25")
    twice = edited(tmp_path / "c", "speed", "1/3", once)
    steps = json.loads(bytes(header_of(twice).meta["edited"]))
    assert [step["verb"] for step in steps] == ["cut", "speed"]
    assert steps[0]["from_ns"] == ms(1250)
    assert (steps[1]["factor"], steps[1]["recordings"][0]["mode"]) == ("1/3", "edit")
    assert header_of(once).started_at == "2026-11-22T17:00:01.373456789Z"
    again = edited(tmp_path / "d", "merge", twice, source)
    (step,) = json.loads(bytes(header_of(again).meta["edited"]))
    assert [len(one.get("edited", [])) for one in step["recordings"]] == [2, 0]
    assert origin_of(header_of(again)) == header_of(again).id


def test_cuts_of_a_file_join_again(source: Path, tmp_path: Path) -> None:
    first = edited(tmp_path / "b", "cut", source, "--to", "1.25")
    wall = "2026-11-22T17:00:01.373456789Z"
    second = edited(tmp_path / "c.zst", "cut", source, "--from", wall)
    joined = edited(tmp_path / "d", "merge", second, first)
    assert told(read(joined)) == told(read(source))
    assert header_of(joined).started_at == header_of(source).started_at


@settings(max_examples=examples(10))
@given(polite)
def test_the_parts_of_a_series_are_one_recording(
    tmp_path_factory: pytest.TempPathFactory, entries: list[AnyEntry]
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    parts = write_parts(folder, entries, [5, 9])
    whole = write_whole(folder / "whole", entries)
    for verb in ("cut", "merge"):
        made = [
            edited(folder / f"{verb}-{number}", *VERBS[verb], *paths)
            for number, paths in enumerate((parts, [whole]))
        ]
        assert plain(read(made[0])) == plain(read(made[1]))
    with SeriesReader(parts) as reader, Reader(folder / "merge-0") as merged:
        redaction = [entry.redaction for entry in reader if isinstance(entry, End)]
        *_, end = merged
        assert isinstance(end, End)
        assert end.redaction == {"cookie": sum(one.get("cookie", 0) for one in redaction)}


def test_an_incomplete_recording_is_said_to_be_one(source: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    torn.write_bytes(source.read_bytes()[:-400])
    done = run("speed", "2", torn, "-o", tmp_path / "b")
    assert done.exit_code == 0
    assert f"{torn} is incomplete: there is no `end`" in done.stderr
    last = read(tmp_path / "b")[-1]
    assert isinstance(last, Note)
    assert last.text.startswith("the recording that this was made of is incomplete: there is no")


@pytest.mark.parametrize("verb", VERBS)
def test_a_recording_that_only_began_is_edited_too(verb: str, source: Path, tmp_path: Path) -> None:
    begun = tmp_path / "begun.track.jsonl"
    begun.write_bytes(source.read_bytes().partition(b"\n")[0] + b"\n")
    first = read(edited(tmp_path / "b", *VERBS[verb], begun))[0]
    if verb == "cut":
        assert isinstance(first, Checkpoint)
    else:
        assert isinstance(first, Note)
        assert "is incomplete" in first.text


def test_the_bytes_of_an_edited_socket_are_those_that_it_was(source: Path, tmp_path: Path) -> None:
    path = edited(tmp_path / "b", "filter", "--kind", "positions", source)
    with Reader(path) as old, Reader(source) as new:
        kept, all_bytes = (
            [data for _, data in wire_bytes(entries, Socket(2, {"server": 0}), "server")]
            for entries in (old, new)
        )
    rest = iter(all_bytes)
    assert all(data in rest for data in kept)
    assert 0 < len(kept) < len(all_bytes)
    path = edited(tmp_path / "c", "rebase", "--to", "now", source)
    with Reader(path) as new:
        socket = Socket(2, {"server": 0})
        assert b"".join(d for _, d in wire_bytes(new, socket, "server")) == b"".join(all_bytes)


def test_rebase_to_now_puts_the_last_date_there(tmp_path: Path) -> None:
    dated = b'{"devices":[{"lastUpdate":"2025-02-21T10:05:04.906Z"}]}'
    source = write(tmp_path / "a", [frame("server", dated, at=1000)])
    path = edited(tmp_path / "b", "rebase", "--to", "now", source)
    ((_, _, payload),) = messages(read(path))
    shown = time.strptime(payload.decode()[27:46], "%Y-%m-%dT%H:%M:%S")
    assert payload.endswith(b'.906Z"}]}')
    assert abs(time.time() - (time.mktime(shown) - time.timezone)) < 60


def test_a_fixture_goes_through_every_verb(tmp_path: Path) -> None:
    for name in ("curl-capture.bin", "browser.har"):
        source = tmp_path / name
        with (ROOT / "fixtures" / name).open("rb") as file:
            import_file(file, source, name=name)
        timed = header_of(source).timing == "measured"
        for verb, arguments in VERBS.items():
            if timed or verb in ("filter", "rebase"):
                path = edited(tmp_path / f"{name}-{verb}", *arguments, source)
                assert read(path)


def test_notes_come_from_a_file_too(source: Path, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_text("1m\tone minute\n\n2026-11-22T17:00:02.123456789Z\tby the clock\n")
    path = edited(tmp_path / "b", "annotate", source, "--notes", file)
    notes = [(one.offset_ns, one.text) for one in read(path) if isinstance(one, Note)]
    assert notes == [
        (ms(2000), "pressed reload here"),
        (ms(2000), "by the clock"),
        (ms(60_000), "one minute"),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cut"], "name where to cut"),
        (["cut", "--from", "3", "--to", "3"], "--to has to be after --from"),
        (["cut", "--from", "soon"], "'soon' is no time"),
        (["filter"], "say what is meant"),
        (["speed", "0"], "'0' is no speed"),
        (["speed", "1e9"], "'1e9' is no speed"),
        (["speed", "1/0"], "'1/0' is no speed"),
        (["rebase", "--to", "soon"], "'soon' is no date"),
        (["annotate"], "say what to note"),
        (["annotate", "--at", "3"], "there are 1 --at and 0 --note"),
        (["annotate", "--at", "1", "--note", "password=geheim99"], "(password): say it without"),
        (["annotate", "--at", "1", "--note", "mail a.b@example.com"], "(email): say it without"),
        (["annotate", "--at", "1", "--note", "\udcff"], "a note is no UTF-8 from character 0 on"),
        (["annotate", "--at", "2020-01-01T00:00:00Z", "--note", "x"], "before the recording"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[str], said: str, source: Path, tmp_path: Path
) -> None:
    done = run(*arguments, source, "-o", tmp_path / "b")
    assert done.exit_code == 2
    assert said in done.stderr
    assert "geheim" not in done.stderr
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("verb", ["cut", "merge", "speed", "annotate"])
def test_without_times_nothing_is_edited_by_time(verb: str, tmp_path: Path) -> None:
    text = MessageEntry(offset_ns=None, connection=1, sender="server", opcode="text", text="{}")
    source = write(tmp_path / "a", [text], timing="none")
    if verb == "merge":
        with pytest.raises(RecordingError, match="has no times"):
            run(*VERBS[verb], source, "-o", tmp_path / "b")
    else:
        done = run(*VERBS[verb], source, "-o", tmp_path / "b")
        assert (done.exit_code, "has no times" in done.stderr) == (2, True)
    assert messages(read(edited(tmp_path / "c", *VERBS["filter"], source))) == []
    assert messages(read(edited(tmp_path / "d", *VERBS["rebase"], source))) == [
        (0, "server", b"{}")
    ]


def test_a_weaker_profile_is_said(source: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "o", session(), redaction={}, id="other")
    plain_one = tmp_path / "p"
    with Writer.create(plain_one, header(id="p", redaction=Redaction(profile="none"))) as writer:
        writer.write(frame("server", DEVICES))
    done = run("merge", source, other, plain_one, "-o", tmp_path / "b")
    assert "by different profiles (none, secrets): the merged one claims no more than none" in (
        done.stderr.replace("\n", " ")
    )
    assert header_of(tmp_path / "b").redaction.profile == "none"
    assert "profiles" not in run("merge", source, other, "-o", tmp_path / "c").stderr


@pytest.mark.parametrize("verb", VERBS)
def test_memory_does_not_grow_with_the_recording(verb: str, tmp_path: Path) -> None:
    def peak_bytes(count: int) -> int:
        source = tmp_path / f"{count}"
        if not source.exists():
            with Writer.create(source, header(), file_of=NoSync) as writer:
                for number in range(count):
                    writer.write(frame("server", DEVICES + b" " * 8000, at=number))
        tracemalloc.start()
        try:
            edited(tmp_path / "out", *VERBS[verb], source, "--force")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak_bytes(5)
    # The checkpoint's fold lets 1 MiB wait; the larger recording has 2.4 MB more.
    assert peak_bytes(400) < peak_bytes(100) + 1_200_000


def test_a_cut_that_begins_in_the_middle_plays(source: Path, tmp_path: Path) -> None:
    path = edited(tmp_path / "b", "cut", source, "--from", "1.25")
    first = read(path)[0]
    assert isinstance(first, Checkpoint)
    script = load_script(path)
    texts = [cue.message for cue in script.cues(0) if cue.message is not None]
    assert b"quickstart-guide-device-1" in texts[0]
    assert any(b"49.897595543798104" in text for text in texts)
    assert len([one for one in read(path) if isinstance(one, FrameEntry)]) > 5
