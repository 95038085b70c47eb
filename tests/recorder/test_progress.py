"""What a capture counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recorder.progress import KEPT_PROBLEMS, Progress
from recorder.wire.frames import Opcode
from recorder.wire.messages import Message

KINDS = {
    b'{"devices":[]}': "devices",
    b'{"positions":[]}': "positions",
    b'{"beacons":[]}': "beacons",
    b'{"events":[]}': "events",
    b'{"webSessionTimeout":[86400]}': "webSessionTimeout",
    b"{}": "empty",
    b'{"devices":[],"positions":[]}': "several-keys",
    b'{"other":1}': "unknown",
    b"hello": "unparsed",
}


def text(payload: bytes) -> Message:
    return Message(Opcode.TEXT, payload)


@given(st.lists(st.sampled_from(sorted(KINDS))))
def test_messages_are_counted_by_kind(payloads: list[bytes]) -> None:
    progress = Progress()
    for payload in payloads:
        progress.count(text(payload), is_ping=False)
    assert progress.messages == len(payloads)
    assert progress.kinds.total() == len(payloads)
    for payload, kind in KINDS.items():
        assert progress.kinds[kind] == payloads.count(payload)


def test_a_ping_is_a_kind_but_no_message() -> None:
    progress = Progress()
    ping = b'{"status":[{"message":"a-b","type":"PING"}]}'
    progress.count(text(ping), is_ping=True)
    assert (progress.messages, dict(progress.kinds)) == (0, {"PING": 1})


def test_a_status_that_is_no_ping_is_a_message() -> None:
    progress = Progress()
    progress.count(text(b'{"status":[{"message":"hi","type":"INFO"}]}'), is_ping=False)
    assert (progress.messages, dict(progress.kinds)) == (1, {"status": 1})


def test_a_message_of_several_texts_counts_once_for_each_of_its_kinds() -> None:
    progress = Progress()
    progress.count(text(b'{"devices":[]}~{"positions":[]}~{"devices":[]}'), is_ping=False)
    assert (progress.messages, dict(progress.kinds)) == (1, {"devices": 1, "positions": 1})


def test_a_binary_message_is_a_message_whatever_it_holds() -> None:
    progress = Progress()
    progress.count(Message(Opcode.BINARY, b'{"devices":[]}'), is_ping=False)
    assert (progress.messages, dict(progress.kinds)) == (1, {"binary": 1})


@given(st.lists(st.lists(st.text(max_size=3), max_size=60), max_size=6))
def test_the_first_hundred_problems_are_kept(batches: list[list[str]]) -> None:
    progress = Progress()
    for batch in batches:
        progress.note_problems(batch)
    assert progress.problems == [why for batch in batches for why in batch][:KEPT_PROBLEMS]
