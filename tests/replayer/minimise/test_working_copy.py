"""What is written of a plan is a recording, and holds what the plan says and what that needs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import DiskFailed
from recorder.model import AnyEntry, FrameEntry
from recorder.recording import Reader, encode_entry, with_seq
from recorder.track.rules import Rules
from replayer.conformance import conformance
from replayer.minimise.plan import Plan, emptied, is_playable, whole
from replayer.minimise.units import Role
from replayer.minimise.working_copy import WorkingCopy
from replayer.playing.script import load_script
from replayer.reading.conversation import BrokenMessage, DataMessage, converse
from replayer.reading.legs import client_legs
from replayer.reading.series import SeriesReader
from tests.profiles import examples
from tests.replayer.minimise.support import (
    entries_of,
    positions,
    socket_of,
    texts_of,
    working_copy,
)
from tests.replayer.recordings import frame, message, session
from tests.replayer.traffic import polite, proxied, rude, write_parts

BARE = {"open", "closed"}
"""A connection on which nothing came is left out."""


def line_of(entry: AnyEntry) -> bytes:
    return encode_entry(with_seq(entry, 0))


def write(copy: WorkingCopy, plan: Plan, folder: Path) -> Path:
    path = folder / "written.track.jsonl"
    path.unlink(missing_ok=True)
    copy.write(plan, path, hasty=True, meta={})
    return path


@settings(max_examples=examples(40))
@given(rude | rude.map(proxied))
def test_all_of_a_recording_is_its_client_legs_entry_by_entry(entries: list[AnyEntry]) -> None:
    with working_copy(entries) as (copy, folder):
        written = entries_of(write(copy, whole(copy.units), folder))
        assert [line_of(one) for one in written[:-1] if one.kind not in BARE] == [
            line_of(one) for one in client_legs(entries) if one.kind not in BARE
        ]
        assert [entry.seq for entry in written] == list(range(1, len(written) + 1))


@settings(max_examples=examples(60))
@given(polite, st.data())
def test_any_part_of_a_recording_is_one_that_keeps_the_rules(
    entries: list[AnyEntry], data: st.DataObject
) -> None:
    with working_copy(entries) as (copy, folder):
        everything = whole(copy.units)
        sockets = frozenset(data.draw(st.sets(st.sampled_from(sorted(everything.sockets)))))
        units = [
            unit
            for unit in everything.units
            if data.draw(st.booleans())
            and copy.units.connections[unit] in {*sockets, -1, *_without_socket(copy)}
        ]
        plan = Plan(sockets, units)
        path = write(copy, plan, folder)
        written = entries_of(path)
        left = Counter(map(line_of, written[:-1]))
        assert left <= Counter(map(line_of, entries))
        whole_before = messages_of(entries)
        assert all(one in whole_before for one in messages_of(written))
        if is_playable(copy.units, plan):
            assert load_script(path).sockets == len(sockets)
        with Reader(path) as reader:
            assert not list(conformance(reader, Rules(), from_start=False))


def _without_socket(copy: WorkingCopy) -> set[int]:
    return set(range(len(copy.units.ends))) - copy.units.sockets.keys()


def messages_of(entries: list[AnyEntry]) -> list[tuple[int, str, bytes]]:
    found = []
    for item in converse(entries):
        assert not isinstance(item, BrokenMessage) or item.cut_off or "finished" in item.why
        if isinstance(item, DataMessage):
            found.append((item.connection, item.sender, item.payload))
    return found


def test_the_handshakes_alone_are_a_login_and_an_upgrade() -> None:
    with working_copy(session()) as (copy, folder):
        path = write(copy, emptied(copy.units), folder)
        written = entries_of(path)
        assert [(entry.kind, getattr(entry, "status", None)) for entry in written] == [
            ("open", None),
            ("request", None),
            ("response", 200),
            ("closed", None),
            ("open", None),
            ("request", None),
            ("response", 101),
            ("closed", None),
            ("end", None),
        ]
        assert load_script(path).sockets == 1


def test_a_ping_goes_with_its_pong_a_message_with_its_fragments_and_closes_together() -> None:
    with working_copy(session()) as (copy, folder):
        alone = []
        for unit in whole(copy.units).units:
            plan = Plan(frozenset(copy.units.sockets), [unit])
            frames = [e for e in entries_of(write(copy, plan, folder)) if e.kind == "frame"]
            alone.append([(one.sender, one.opcode) for one in frames])
    assert [("server", "text"), ("client", "text")] in alone, "PING and pong"
    assert [("server", "text"), ("server", "continuation")] in alone
    assert [("server", "ping"), ("client", "pong")] in alone
    assert [("server", "close")] in alone


def test_what_is_cut_of_a_message_is_gone_and_its_head_fits() -> None:
    parts = b'{"devices":[{"id":1,"x":100.0},', b'{"id":2}]}'
    fragments = [
        frame("server", parts[0], fin=False, connection=2),
        frame("server", parts[1], opcode=0, connection=2),
    ]
    with working_copy([*socket_of([]), *fragments]) as (copy, folder):
        (unit,) = whole(copy.units).units
        assert copy.payload_of(unit) == b"".join(parts)
        plan = Plan(frozenset(copy.units.sockets), [unit], {unit: frozenset([5])})
        path = write(copy, plan, folder)
        (entry,) = [one for one in entries_of(path) if isinstance(one, FrameEntry)]
        assert entry.data == b'{"devices":[{"id":1,"x":100.0}]}'
        assert (entry.fin, entry.opcode, entry.head) == (True, "text", "8120")


def test_messages_without_frames_are_cut_too() -> None:
    with working_copy([message("server", b'{"a":[1,2]}')], fidelity="messages") as (copy, folder):
        plan = whole(copy.units)
        cut = Plan(plan.sockets, plan.units, {plan.units[0]: frozenset([3])})
        (entry, _) = entries_of(write(copy, cut, folder))
        assert entry.text == '{"a":[1]}'


def test_what_cannot_be_played_is_known_before_it_is_tried() -> None:
    with working_copy([message("server", b"{}")], fidelity="messages") as (copy, _):
        assert is_playable(copy.units, whole(copy.units))
        assert not is_playable(copy.units, emptied(copy.units))
    with working_copy(socket_of([b"{}"])) as (copy, _):
        assert is_playable(copy.units, emptied(copy.units))
        assert not is_playable(copy.units, Plan(frozenset(), []))


def test_the_header_says_what_it_is_made_of() -> None:
    with working_copy(socket_of(positions(3)), mode="proxy") as (copy, folder):
        path = folder / "some.track.jsonl.zst"
        written = copy.write(whole(copy.units), path, hasty=False, meta={"minimised": {"a": 1}})
        with Reader(path) as reader:
            assert reader.header.mode == "edit"
            assert reader.header.id != copy.header.id
            assert reader.header.started_at == copy.header.started_at
            assert bytes(reader.header.meta["minimised"]) == b'{"a":1}'
        assert path.read_bytes().startswith(b"\x28\xb5\x2f\xfd")
        assert (written.entries, written.messages) == (7, 3)
        assert len(texts_of(path)) == 3
        assert copy.size.messages == 3
        assert copy.size.entries == 7


def test_a_socket_that_was_open_at_a_checkpoint_stays(tmp_path: Path) -> None:
    entries = socket_of(positions(6))
    parts = write_parts(tmp_path, entries, [6])
    with SeriesReader(parts[1:]) as reader, WorkingCopy(reader, tmp_path) as copy:
        assert Role.FIXED in copy.units.roles
        assert not copy.units.sockets.keys() - copy.units.upgraded
        path = write(copy, emptied(copy.units), tmp_path)
        assert load_script(path).sockets == 1


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(entry: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("replayer.minimise.working_copy.encode_entry", fail)
    with pytest.raises(DiskFailed, match="TMPDIR"), working_copy(socket_of([b"{}"])):
        pass
