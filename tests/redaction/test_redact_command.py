"""`track-recorder redact`: a recording in, a recording out."""

from __future__ import annotations

import json
import re
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from recorder.checkpoint import SoFar
from recorder.commands.redact import redact_command
from recorder.console import run_command
from recorder.errors import DiskFailed
from recorder.exits import Exit
from recorder.importers import import_file
from recorder.model import (
    AnyEntry,
    End,
    FrameEntry,
    Header,
    Note,
    Redaction,
    Series,
    UnknownEntry,
)
from recorder.recording import Reader, Rotation, Writer, find_parts
from recorder.recording import Series as RotatedSeries
from recorder.redact import redact_recording
from recorder.redaction.options import RedactionOptions
from recorder.redaction.share import KEY_VARIABLE
from recorder.wire.frames import Frame
from replayer.difference import first_difference
from replayer.reading.series import SeriesReader
from replayer.reading.statistics import gather
from tests.processes import fake_server
from tests.processes import run as process
from tests.recording.files import NoSync
from tests.redaction.share_support import KEY
from tests.replayer.traffic import write_parts

ROOT = Path(__file__).parents[2]
KEY_TEXT = "5f0c6e1b2a7d4893b6c1e0f94d5a3c78"
SHARE = RedactionOptions("share", KEY)
SECRETS = RedactionOptions("secrets")
DEVICE = '{"devices":[{"id":1,"name":"Tor Süd-1","uniqueId":"661168222238"}]}'


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Ran]:
    """Runs the command line in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(KEY_VARIABLE, raising=False)

    def run_it(*arguments: str | Path) -> Ran:
        monkeypatch.setattr(sys, "argv", ["redact", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run_command(redact_command)
        return Ran(ended.value.code, *capsys.readouterr())

    return run_it


def header(**more: Any) -> Header:
    fields: dict[str, Any] = {
        "id": "7d5f", "started_at": "2026-11-22T17:00:00.000000000Z", "tool": "tests",
        "mode": "capture", "fidelity": "wire", "timing": "measured",
        "redaction": Redaction(profile="none"), "upstream": "https://track.example.com", **more,
    }  # fmt: skip
    return Header(**fields)


def frame(text: str, offset_ns: int = 5) -> FrameEntry:
    made = Frame.make(1, text.encode())
    return FrameEntry.of(made, connection=1, sender="server", offset_ns=offset_ns)


ENTRIES: list[AnyEntry] = [
    Note(offset_ns=1, text="Tor Süd-1 hangs; password=geheim123"),
    frame(DEVICE),
    UnknownEntry(kind="later", seq=3, offset_ns=6, line=b'{"kind":"later","seq":3,"offset_ns":6,'
                 b'"number":1.10,"name":"Tor S\xc3\xbcd-1"}'),
    frame('{"positions":[{"deviceId":1,"latitude":49.897595,"longitude":10.878755}]}', 7),
]  # fmt: skip

ENTRIES_LATER: list[AnyEntry] = [frame(DEVICE, 8), Note(offset_ns=9, text="it is Tor Süd-1 again")]


def write(path: Path, entries: list[AnyEntry] = ENTRIES, **more: Any) -> Path:
    first = header(**more)
    seq = 0 if first.series is None else 100
    with Writer.create(path, first, seq=seq) as writer:
        for entry in entries:
            writer.write(entry)
    return path


def read(path: Path) -> tuple[Header, list[AnyEntry], bool]:
    with Reader(path) as reader:
        return reader.header, list(reader), reader.complete


def test_secrets_go_and_all_else_stays(run: Callable[..., Ran]) -> None:
    write(Path("a.track.jsonl"), meta={"by": msgspec.Raw(b'"Tor"')})
    ran = run("a.track.jsonl", "-o", "b.track.jsonl")
    assert (ran.code, ran.err) == (Exit.OK, "")
    assert ran.out == "b.track.jsonl: 5 entries, profile secrets\nredacted  password 1\n"
    before, after = [
        Path(name).read_text().splitlines() for name in ("a.track.jsonl", "b.track.jsonl")
    ]
    assert "Tor Süd-1 hangs; password=[redacted]" in after[1]
    assert after[2:5] == before[2:5]
    head, entries, complete = read(Path("b.track.jsonl"))
    assert complete
    assert (head.id, head.mode) == ("7d5f", "capture")
    assert head.redaction == Redaction(profile="secrets")
    end = entries[-1]
    assert isinstance(end, End)
    assert end.redaction == {"password": 1}


@pytest.mark.parametrize("given", ["file", "environment"])
def test_share_takes_its_key_from_a_file_or_the_environment(
    run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    write(Path("a.track.jsonl"))
    more: list[str] = []
    if given == "file":
        Path("key").write_text(KEY_TEXT + "\n")
        Path("key").chmod(0o600)
        more = ["--redaction-key", "key"]
    else:
        monkeypatch.setenv(KEY_VARIABLE, KEY_TEXT)
    ran = run("a.track.jsonl", "-o", "b.track.jsonl.zst", "--redact", "share", "--json", *more)
    assert (ran.code, ran.err) == (Exit.OK, "")
    said = json.loads(ran.out)
    assert said["redactions"] == {
        "password": 1, "name": 3, "id": 1, "coordinate": 2,
    }  # fmt: skip
    assert said["entries"] == 5
    assert said["incomplete"] is None
    head, entries, complete = read(Path("b.track.jsonl.zst"))
    assert complete
    assert head.redaction == Redaction(profile="share", key_id=said["key_id"])
    text = repr(entries) + repr(head)
    for gone in ("Tor S", "661168222238", "49.89", "geheim", KEY_TEXT):
        assert gone not in text
    assert "1.10" in text
    assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5]
    # The note stands before the object that its name was learnt from.
    note = entries[0]
    assert isinstance(note, Note)
    assert note.text.startswith("name-")


def test_the_same_key_gives_the_same_and_no_key_a_random_one(run: Callable[..., Ran]) -> None:
    write(Path("a.track.jsonl"))
    Path("key").write_text(KEY_TEXT)
    Path("key").chmod(0o600)
    share = ["a.track.jsonl", "--redact", "share", "-o"]
    assert run(*share, "1.track.jsonl", "--redaction-key", "key").code == Exit.OK
    assert run(*share, "2.track.jsonl", "--redaction-key", "key").code == Exit.OK
    third = run(*share, "3.track.jsonl")
    assert "no --redaction-key: pseudonyms are by a random key" in third.err
    assert run(*share, "4.track.jsonl").code == Exit.OK
    one, two, three, four = [Path(f"{n}.track.jsonl").read_bytes() for n in range(1, 5)]
    assert one == two
    assert len({one, three, four}) == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the redaction key is empty"),
        ("   \n", "the redaction key is empty"),
        ("0123456789abcdef0123456789abcde", "the redaction key is too short"),
        ("correct horse", "the redaction key is too short"),
        ("a" * 64, "the redaction key repeats itself"),
        ("abcabcabcabcabcabcabcabcabc z", "the redaction key repeats itself"),
    ],
)
def test_a_weak_key_is_refused_and_never_shown(
    run: Callable[..., Ran], content: str, said: str
) -> None:
    write(Path("a.track.jsonl"))
    Path("key").write_text(content)
    ran = run("a.track.jsonl", "-o", "b.track.jsonl", "--redact", "share", "--redaction-key", "key")
    assert ran.code == Exit.BAD_DATA
    assert f"key: {said}" in ran.err
    assert "openssl rand -hex 32 > key" in ran.err
    assert not content.strip() or content.strip() not in ran.err
    assert not Path("b.track.jsonl").exists()


def test_a_key_that_others_can_read_is_warned_of(run: Callable[..., Ran]) -> None:
    write(Path("a.track.jsonl"))
    Path("key").write_text(KEY_TEXT)
    Path("key").chmod(0o644)
    ran = run("a.track.jsonl", "-o", "b.track.jsonl", "--redact", "share", "--redaction-key", "key")
    assert ran.code == Exit.OK
    assert "key: others can read this key; chmod 600 it" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--redaction-key", "key"], Exit.USAGE, "--redaction-key is of no use here"),
        (["--redact", "none"], Exit.USAGE, "takes out nothing: copy the file"),
        (["--redact", "none", "--redaction-rules", "x"], Exit.USAGE, "takes out nothing"),
        (
            ["--redact", "share", "--redaction-key", "none"],
            Exit.NO_INPUT,
            "cannot be read: No such",
        ),
        (["--redaction-rules", "none"], Exit.NO_INPUT, "the rules cannot be read"),
        (["-o", "a.track.jsonl"], Exit.EXISTS, "it is a.track.jsonl itself"),
        (["-o", "none/b.track.jsonl"], Exit.EXISTS, "there is no such folder"),
        (["-o", "-"], Exit.USAGE, "not to stdout"),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(
    run: Callable[..., Ran], arguments: list[str], code: Exit, said: str
) -> None:
    write(Path("a.track.jsonl"))
    before = Path("a.track.jsonl").read_bytes()
    ran = run("a.track.jsonl", "-o", "b.track.jsonl", *arguments)
    assert ran.code == code
    assert said in " ".join(ran.err.split())
    assert [path.name for path in Path().iterdir()] == ["a.track.jsonl"]
    assert Path("a.track.jsonl").read_bytes() == before


def test_a_file_that_exists_is_replaced_by_force_only(run: Callable[..., Ran]) -> None:
    write(Path("a.track.jsonl"))
    Path("b.track.jsonl").write_text("mine")
    ran = run("a.track.jsonl", "-o", "b.track.jsonl")
    assert ran.code == Exit.EXISTS
    assert "it exists already; give another name, or --force" in " ".join(ran.err.split())
    assert Path("b.track.jsonl").read_text() == "mine"
    assert run("a.track.jsonl", "-o", "b.track.jsonl", "--force").code == Exit.OK
    assert read(Path("b.track.jsonl"))[2]


@pytest.mark.parametrize(
    "name", ["a.track.jsonl", "to/../a.track.jsonl", "link", "symlink", "to/a"]
)
def test_the_source_is_never_replaced_whatever_it_is_called(
    run: Callable[..., Ran], name: str
) -> None:
    source = write(Path("a.track.jsonl"))
    before = source.read_bytes()
    Path("link").hardlink_to(source)
    Path("symlink").symlink_to(source)
    Path("to").mkdir()
    Path("to/a").symlink_to(Path("../symlink"))
    for one, other in ((source.name, name), (name, source.name)):
        ran = run(one, "-o", other, "--force")
        assert ran.code == Exit.EXISTS
        said = f"{other}: it is {one} itself, which stays as it is; give another name"
        assert said in " ".join(ran.err.split())
    assert source.read_bytes() == before
    assert Path("symlink").is_symlink()


def test_rules_of_the_users_own_apply_by_any_profile(run: Callable[..., Ran]) -> None:
    write(Path("a.track.jsonl"), [frame('{"x":{"driver":"Hans","order":"AB-12"}}')])
    Path("rules.toml").write_text(
        "[[path]]\npath = '$..driver'\nrule = 'driver'\naction = 'pseudonym'\n"
        "[[pattern]]\npattern = 'AB-[0-9]+'\nrule = 'order'\n"
    )
    ran = run("a.track.jsonl", "-o", "b.track.jsonl", "--redaction-rules", "rules.toml", "--json")
    assert json.loads(ran.out)["redactions"] == {"driver": 1, "order": 1}
    assert json.loads(ran.out)["key_id"] is not None
    text = Path("b.track.jsonl").read_text()
    assert "Hans" not in text
    assert "AB-12" not in text


def test_what_share_has_moved_is_not_moved_again(tmp_path: Path) -> None:
    source = write(tmp_path / "a.track.jsonl")
    once, again, secrets = [tmp_path / f"{n}.track.jsonl" for n in range(3)]
    redact_recording(source, once, SHARE)
    redact_recording(once, again, SHARE)
    redact_recording(once, secrets, SECRETS)
    assert once.read_bytes() == again.read_bytes() == secrets.read_bytes()


def test_share_by_another_key_is_refused(run: Callable[..., Ran]) -> None:
    redact_recording(write(Path("a.track.jsonl")), Path("b.track.jsonl"), SHARE)
    ran = run("b.track.jsonl", "-o", "c.track.jsonl", "--redact", "share")
    assert ran.code == Exit.BAD_DATA
    assert f"redacted with --redact share and the key {KEY.id}" in ran.err
    assert "or --redact secrets, or start from the original" in ran.err
    assert not Path("c.track.jsonl").exists()


def test_marks_go_on_counting_where_the_source_stopped(tmp_path: Path) -> None:
    entries = [frame('{"email":"[redacted:email-7]"}'), frame('{"email":"a@b.example"}')]
    source = write(tmp_path / "a.track.jsonl", entries, redaction=Redaction(profile="secrets"))
    redact_recording(source, tmp_path / "b.track.jsonl", SHARE)
    text = (tmp_path / "b.track.jsonl").read_text()
    assert "email-7]" in text
    assert "email-8]" in text


def test_a_torn_recording_gives_one_without_an_end(run: Callable[..., Ran]) -> None:
    whole = write(Path("whole.track.jsonl")).read_bytes()
    Path("a.track.jsonl").write_bytes(whole[: whole.rindex(b'{"kind":"end"') - 30])
    ran = run("a.track.jsonl", "-o", "b.track.jsonl")
    assert ran.code == Exit.OK
    assert "b.track.jsonl has no `end`, as a.track.jsonl is incomplete" in ran.err
    _, entries, complete = read(Path("b.track.jsonl"))
    assert not complete
    assert len(entries) == 3


def test_what_was_changed_by_hand_is_not_vouched_for(run: Callable[..., Ran]) -> None:
    source = write(Path("a.track.jsonl"))
    source.write_bytes(source.read_bytes().replace(b"deviceId", b"deviceIx"))
    ran = run(source, "-o", "b.track.jsonl")
    assert "it was changed after it was recorded" in ran.err
    assert not read(Path("b.track.jsonl"))[2]


def test_a_part_of_a_series_keeps_its_place_but_not_the_hash_of_the_original(
    tmp_path: Path,
) -> None:
    series = Series(id="s", part=3, previous_sha256="ab")
    source = write(tmp_path / "a.track.jsonl", series=series)
    redact_recording(source, tmp_path / "b.track.jsonl", SHARE)
    head, entries, complete = read(tmp_path / "b.track.jsonl")
    assert head.series == Series(id="s", part=3)
    assert complete
    assert [entry.seq for entry in entries] == [101, 102, 103, 104, 105]


@pytest.mark.parametrize("options", [SECRETS, SHARE])
def test_parts_that_were_redacted_one_by_one_read_as_one_series(
    tmp_path: Path, options: RedactionOptions
) -> None:
    parts = write_parts(tmp_path, [*ENTRIES, *ENTRIES_LATER], [2, 5])
    shared = [tmp_path / part.name for part in parts]
    for part, one in zip(parts, shared, strict=True):
        assert redact_recording(part, one, options).incomplete is None
    with SeriesReader(parts) as before, SeriesReader(shared) as after:
        entries = list(after)
        assert [one.seq for one in entries] == [one.seq for one in before]
        assert (len(shared), after.problems, after.why_incomplete) == (3, [], None)
    names = re.findall(
        r'"name":"(.*?)"', "".join(e.text or "" for e in entries if type(e) is FrameEntry)
    )
    assert len(names) == 2
    assert len(set(names)) == 1
    assert ("Tor" in names[0]) == (options is SECRETS)


def test_parts_that_were_ended_and_gone_on_with_lose_no_entry(tmp_path: Path) -> None:
    write_parts(tmp_path, ENTRIES, [2])
    (path,) = tmp_path.glob("*/*.000002.*")
    base = path.with_name(path.name.replace(".000002", ""))
    series = RotatedSeries.resume(
        base, SoFar(), Rotation(), wall="2026-11-22T17:00:01.000000000Z", file_of=NoSync
    )
    series.write(Note(offset_ns=8, text="password=geheim456"))
    series.cut(8)
    series.write(Note(offset_ns=9, text="later"))
    series.close({"password": 1})
    parts = [part for _, part in find_parts(base)]
    shared = [tmp_path / part.name for part in parts]
    for part, one in zip(parts, shared, strict=True):
        redact_recording(part, one, SECRETS)
    with SeriesReader(parts) as before, SeriesReader(shared) as after:
        assert [(one.kind, one.seq) for one in after] == [(one.kind, one.seq) for one in before]
        assert (after.problems, after.why_incomplete) == ([], None)
    former, last = [one for one in read(shared[1])[1] if isinstance(one, End)]
    assert former.entries == former.seq - 3
    assert (former.redaction, last.redaction) == ({"cookie": 1}, {"password": 1})


def test_an_empty_recording_gives_an_empty_one(tmp_path: Path) -> None:
    summary = redact_recording(
        write(tmp_path / "a.track.jsonl", []), tmp_path / "b.track.jsonl", SHARE
    )
    assert (summary.entries, summary.redactions) == (1, {})
    assert read(tmp_path / "b.track.jsonl")[2]


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "a.track.jsonl")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("recorder.rewriting.os.replace", fail)
    with pytest.raises(DiskFailed, match=r"b.track.jsonl: writing failed: No space left"):
        redact_recording(source, tmp_path / "b.track.jsonl", SECRETS)
    assert [path.name for path in tmp_path.iterdir()] == ["a.track.jsonl"]


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    def peak_bytes(entries: int) -> int:
        source, target = tmp_path / f"{entries}.track.jsonl", tmp_path / f"{entries}.share.jsonl"
        with Writer.create(source, header()) as writer:
            for number in range(entries):
                text = DEVICE.replace("Süd-1", f"Süd-{number % 20}") + " " * 8000
                writer.write(frame(text, number))
        tracemalloc.start()
        try:
            redact_recording(source, target, SHARE)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak_bytes(5)
    # Reading and writing take 256 KiB at a time, and the larger one has 640 kB more.
    assert peak_bytes(150) < peak_bytes(70) + 200_000


@pytest.mark.parametrize("fixture", ["curl-capture.bin", "manual-excerpt.txt", "browser.har"])
def test_a_capture_tells_the_same_story_once_redacted(fixture: str, tmp_path: Path) -> None:
    source, target = tmp_path / "a.track.jsonl", tmp_path / "b.track.jsonl"
    with (ROOT / "fixtures" / fixture).open("rb") as file:
        import_file(file, source, name=fixture)
    redact_recording(source, target, SHARE)
    before, after = [counts(path) for path in (source, target)]
    assert before == after
    text = target.read_text()
    for gone in ("quickstart-guide", "LynKey", "13614234773123", "661168222238", "49.8975955"):
        assert gone not in text
    for gone in (
        "9a06de64642b4441b377b63c2d5cd123",
        "d87b32bdcc0e437a81b3383833bc5ff8",
        "Operation M",
    ):
        assert gone not in text


def counts(path: Path) -> Any:
    """What `track-replayer info` counts, sizes and redactions aside."""
    with Reader(path) as reader:
        facts = gather(reader.header, reader)
    return (
        facts.entries,
        [(count.sender, count.kind, count.messages) for count in facts.messages],
        [(one.pings.sent, one.pings.answered, one.exchanges) for one in facts.connections],
        facts.notes,
        facts.unknown_entries,
        facts.violations,
    )


def test_the_fake_plays_what_was_redacted(tmp_path: Path) -> None:
    source, target = tmp_path / "a.track.jsonl", tmp_path / "b.track.jsonl"
    with (ROOT / "fixtures" / "curl-capture.bin").open("rb") as file:
        import_file(file, source, name="curl")
    redact_recording(source, target, SHARE)
    again, user_file = tmp_path / "again.track.jsonl", tmp_path / "userdata"
    user_file.write_text("EMAIL=demo@example.com\nPASSWORD=demo\n")
    with fake_server(target, "--ping-interval", "1") as url:
        arguments = ["--url", url, "--user-file", user_file, "--duration", "1.5", "-o", again]
        done = process("track-recorder", "capture", *arguments)
    assert done.returncode == 0, done.stderr
    with Reader(target) as one, Reader(again) as other:
        assert first_difference(one, other) is None
