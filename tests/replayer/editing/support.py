"""What the tests of edits ask of recordings, and how they run the verbs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from recorder.model import AnyEntry, Checkpoint, End, Note, UnknownEntry
from recorder.recording import Reader, with_seq
from replayer.commands.edit import edit_group
from replayer.conformance import conformance
from replayer.reading.conversation import BrokenMessage, DataMessage, converse
from replayer.reading.legs import client_legs

FUTURE = b'{"kind":"future","seq":0,"offset_ns":%d,"x":1.10}'


def run(*arguments: object) -> Result:
    """`track-replayer edit`, in this process."""
    return CliRunner().invoke(edit_group, [*map(str, arguments)], catch_exceptions=False)


def edited(path: Path, *arguments: object) -> Path:
    """What a verb makes of its sources, at ``path``."""
    done = run(*arguments, "-o", path)
    assert done.exit_code == 0, done.output
    return path


def read(path: Path) -> list[AnyEntry]:
    """The entries of a complete recording, without its ``end``."""
    with Reader(path) as reader:
        entries = list(reader)
        assert reader.complete, reader.why_incomplete
    assert isinstance(entries[-1], End)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    return entries[:-1]


def ended(entries: Iterable[AnyEntry]) -> list[AnyEntry]:
    """The entries as a source gives them: numbered, with an ``end``."""
    made = [numbered(entry, number) for number, entry in enumerate(entries, 1)]
    last = made[-1].offset_ns if made else 0
    return [*made, End(seq=len(made) + 1, offset_ns=last, entries=0, redaction={}, sha256="")]


def numbered(entry: AnyEntry, seq: int) -> AnyEntry:
    return with_seq(entry, seq)


def plain(entries: Iterable[AnyEntry], *, but: Any = (End,)) -> list[AnyEntry]:
    """The entries without numbers of their own, and without some kinds."""
    return [numbered(entry, 0) for entry in entries if not isinstance(entry, but)]


def told(entries: Iterable[AnyEntry]) -> list[AnyEntry]:
    """What was recorded: without what edits add."""
    return plain(entries, but=(End, Checkpoint, Note))


def messages(entries: Iterable[AnyEntry], *, by_ns: int = 0) -> list[tuple[int, str, bytes]]:
    """Moment, sender and payload of each message."""
    return [
        ((item.offset_ns or 0) + by_ns, item.sender, item.payload)
        for item in converse(client_legs(entries))
        if isinstance(item, DataMessage)
    ]


def broken(entries: Iterable[AnyEntry]) -> list[BrokenMessage]:
    """The messages that somebody broke."""
    items = converse(client_legs(entries))
    return [one for one in items if isinstance(one, BrokenMessage) and not one.cut_off]


def is_sound(entries: Iterable[AnyEntry], source: Iterable[AnyEntry] = ()) -> bool:
    """Whether times go on, and neither a rule nor a message is broken that the source has whole."""
    entries, source = list(entries), list(source)
    times = [entry.offset_ns or 0 for entry in entries]
    assert times == sorted(times)
    assert len(broken(entries)) <= len(broken(source))
    assert rules(entries) <= rules(source)
    return True


def rules(entries: Iterable[AnyEntry]) -> Counter[str]:
    """How often each rule was broken."""
    return Counter(one.rule for one in conformance(entries))


def unknown(entries: Iterable[AnyEntry]) -> list[UnknownEntry]:
    return [entry for entry in entries if isinstance(entry, UnknownEntry)]
