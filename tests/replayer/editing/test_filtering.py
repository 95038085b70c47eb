"""A filter takes messages whole, and what they need stays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import AnyEntry, Body, Checkpoint, FrameEntry, Note, Open, Request
from recorder.wire.frames import Opcode
from replayer.editing.cutting import cut
from replayer.editing.filtering import filtered
from replayer.reading.checkpoints import read_checkpoint
from replayer.reading.conversation import DataMessage, converse
from replayer.reading.legs import client_legs
from replayer.reading.selection import Selection
from tests.profiles import examples
from tests.replayer.editing.support import ended, is_sound, messages, plain, unknown
from tests.replayer.recordings import DEVICES, UUID_1, frame, message, ms, ping, session
from tests.replayer.traffic import UPSTREAM, polite, proxied, rude

KINDS = ("devices", "positions", "beacons", "events", "PING", "pong", "http", "note", "control")

selections = st.builds(
    Selection,
    kinds=st.frozensets(st.sampled_from(KINDS), max_size=3),
    connections=st.just(frozenset()) | st.frozensets(st.integers(1, 3), max_size=2),
    devices=st.just(frozenset()) | st.just(frozenset({"3"})),
    senders=st.just(frozenset()) | st.just(frozenset({"server"})),
    to_ns=st.none() | st.integers(0, 10**11),
)


def of_kind(*kinds: str) -> Selection:
    return Selection(kinds=frozenset(kinds))


def kinds_in(entries: Any) -> list[str]:
    return [
        kind for item in converse(entries) if isinstance(item, DataMessage) for kind in item.kinds
    ]


@settings(max_examples=examples(60))
@given(rude, st.booleans())
def test_to_keep_all_is_to_change_nothing(entries: list[AnyEntry], through_a_proxy: bool) -> None:
    source = ended(proxied(entries) if through_a_proxy else entries)
    assert list(filtered(source, Selection(everything=True))) == source
    assert list(filtered(source, of_kind("beacons", "nothing"), keep=False)) != []


@settings(max_examples=examples(150))
@given(polite, selections, st.booleans(), st.booleans(), st.integers(0, 200))
def test_what_is_left_keeps_the_rules(
    entries: list[AnyEntry],
    selection: Selection,
    keep: bool,
    through_a_proxy: bool,
    place: int,
) -> None:
    source = ended(proxied(entries) if through_a_proxy else entries)
    source = ended(cut(source, from_ns=source[place % len(source)].offset_ns or 0))[:-1]
    made = list(filtered(source, selection, keep=keep))
    assert is_sound(made, source)
    assert unknown(made) == unknown(source)
    # Nothing is invented, and the order stays.
    rest = iter(plain(source, but=Checkpoint))
    assert all(entry in rest for entry in plain(made, but=Checkpoint))


@settings(max_examples=examples(60))
@given(polite, st.frozensets(st.sampled_from(["devices", "positions", "beacons"]), min_size=1))
def test_what_is_kept_and_what_is_dropped_is_all(
    entries: list[AnyEntry], kinds: frozenset[str]
) -> None:
    source = ended(entries)
    kept, dropped = (
        messages(filtered(source, Selection(kinds=kinds), keep=keep)) for keep in (True, False)
    )
    assert sorted([*kept, *dropped]) == sorted(messages(source))
    items = converse(client_legs(source))
    meant = [
        item.payload
        for item in items
        if isinstance(item, DataMessage) and not kinds.isdisjoint(item.kinds)
    ]
    assert [payload for _, _, payload in kept] == meant


def test_a_ping_and_its_pong_go_together() -> None:
    source = session()
    for kinds in (("PING",), ("pong",)):
        kept = kinds_in(filtered(source, of_kind(*kinds)))
        assert kept == ["PING", "pong", "PING", "pong"]
        dropped = kinds_in(filtered(source, of_kind(*kinds), keep=False))
        assert not {"PING", "pong"} & {*dropped}
    assert kinds_in(filtered(source, of_kind("positions"))) == ["positions", "positions"]
    of_client = Selection(senders=frozenset({"client"}))
    assert kinds_in(filtered(source, of_client)) == ["PING", "pong", "PING", "pong", "text"]


def test_a_pong_stays_with_its_ping_whatever_else_is_asked_for() -> None:
    made = filtered(session(), Selection(kinds=frozenset({"PING"}), to_ns=ms(30_120)))
    assert kinds_in(made) == ["PING", "pong"]


def test_the_pong_of_a_ping_that_began_before_the_recording_stays() -> None:
    opened, told = session()[:11], ping(UUID_1)
    begun = frame("server", told[:40], at=200, connection=2, fin=False)
    rest = frame("server", told[40:], at=300, opcode=Opcode.CONTINUATION, connection=2)
    pong = frame("client", f"pong {UUID_1}".encode(), at=400, connection=2)
    source = list(cut(ended([*opened, begun, rest, pong]), from_ns=ms(250)))
    assert kinds_in(filtered(source, of_kind("positions"))) == ["PING", "pong"]


def test_a_fragmented_message_goes_whole_and_what_is_between_stays() -> None:
    def opcodes(kind: str) -> list[str | int]:
        made = filtered(session(), of_kind(kind))
        return [entry.opcode for entry in made if isinstance(entry, FrameEntry)][:4]

    assert opcodes("positions") == ["ping", "pong", "text", "text"]
    assert opcodes("devices") == ["text", "ping", "continuation", "pong"]


def test_http_notes_and_control_frames_go_only_by_their_kind() -> None:
    kept = plain(filtered(session(), of_kind("devices")))
    assert {Note, Body, Request} <= {type(entry) for entry in kept}
    made = plain(filtered(session(), of_kind("http", "note", "control"), keep=False))
    assert {Note, Body}.isdisjoint(type(entry) for entry in made)
    assert [one.target for one in made if isinstance(one, Request)] == ["/api/socket"]
    opcodes = {one.opcode for one in made if isinstance(one, FrameEntry)}
    assert opcodes == {"text", "continuation", "binary", "close"}


@pytest.mark.parametrize("keep", [True, False])
def test_a_connection_goes_with_its_leg_to_the_upstream(keep: bool) -> None:
    source = [*proxied(session()[:7]), *proxied(session()[7:])]
    made = list(filtered(source, Selection(connections=frozenset({2})), keep=keep))
    numbers = {2, 2 + UPSTREAM} if keep else {1, 1 + UPSTREAM}
    assert {one.connection for one in made if hasattr(one, "connection")} == numbers
    assert any(isinstance(one, Note) for one in made)
    cut_in = list(cut(ended(source), from_ns=ms(1250)))
    made = list(filtered(cut_in, Selection(connections=frozenset({2})), keep=keep))
    (checkpoint,) = [one for one in made if isinstance(one, Checkpoint)]
    assert set(read_checkpoint(checkpoint).connections) == ({2, 2 + UPSTREAM} if keep else set())


def test_only_messages_of_a_connection_go_if_more_is_said() -> None:
    both = Selection(connections=frozenset({2}), kinds=frozenset({"devices"}))
    made = list(filtered(session(), both, keep=False))
    assert 2 in {one.connection for one in made if isinstance(one, Open)}
    assert "devices" not in kinds_in(made)


def test_a_message_that_began_before_the_recording_stays() -> None:
    source = list(cut(ended(session()), from_ns=ms(102.5)))
    assert kinds_in(filtered(source, of_kind("positions")))[0] == "devices"


def test_a_message_that_is_too_long_to_hold_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replayer.editing.held.MAX_HELD_BYTES", 3000)
    opcode = Opcode.CONTINUATION
    entries = [
        frame("server", DEVICES[:10], at=1, fin=False),
        *(frame("server", b"", at=2 + number, fin=False, opcode=opcode) for number in range(9)),
        frame("server", DEVICES[10:], at=20, opcode=opcode),
        frame("server", DEVICES, at=21),
    ]
    asked = iter(entries)
    made = filtered(asked, of_kind("positions"))
    first = [next(made) for _ in range(5)]
    assert plain(first) == plain(entries[:5])
    assert len(list(asked)) > 3
    assert len(list(filtered(entries, of_kind("positions")))) == len(entries) - 1


def test_messages_whose_frames_were_never_seen_are_judged_too() -> None:
    source = [message("server", b'{"devices":[]}', at=1), message("server", b"{}", at=2)]
    assert list(filtered(source, of_kind("devices"))) == source[:1]
