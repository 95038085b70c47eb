"""What a capture counts."""

from __future__ import annotations

import json

import pytest
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


S = 1_000_000_000


def opened(at_ns: int = 0) -> Progress:
    progress = Progress()
    progress.opened_ns = at_ns
    progress.stage = "recording"
    return progress


@pytest.mark.parametrize("stage", ["starting", "logging in", "asking for devices", "upgrading"])
def test_before_the_socket_is_open_the_stage_is_shown(stage: str) -> None:
    progress = Progress()
    progress.stage = stage
    assert progress.line(5 * S) == stage


def test_an_open_socket_shows_time_kinds_and_the_last_ping() -> None:
    progress = opened(10 * S)
    progress.kinds.update({"devices": 3, "positions": 40, "PING": 2})
    progress.last_answered_ns = 70 * S
    assert progress.line(83 * S).split("  ") == [
        *["01:13", "last PING answered 13 s ago", "positions 40 devices 3 PING 2"]
    ]


def test_nothing_yet_is_said_in_words() -> None:
    assert opened().line(0).split("  ") == ["00:00", "no PING yet", "nothing yet"]


@given(st.integers(0, 30 * 24 * 3600 * S))
def test_the_time_counts_on_after_an_hour(now_ns: int) -> None:
    shown = opened().line(now_ns).split("  ")[0]
    minutes, seconds = map(int, shown.split(":"))
    assert minutes * 60 + seconds == now_ns // S
    assert seconds < 60


def test_a_gap_shows_how_long_it_is_and_when_it_is_tried_again() -> None:
    progress = opened()
    progress.lost_ns, progress.attempts = 60 * S, 2
    progress.next_attempt_ns = 75 * S + S // 2
    assert progress.line(70 * S).split("  ")[1:3] == ["no socket for 10 s", "attempt 3 in 6 s"]
    assert progress.line(80 * S).split("  ")[2] == "attempt 3 in 0 s"
    progress.next_attempt_ns, progress.stage = None, "upgrading"
    assert progress.line(80 * S).split("  ")[2] == "attempt 3: upgrading"


def test_gaps_that_are_over_are_counted() -> None:
    progress = opened()
    progress.lost_ns, progress.attempts = 60 * S, 2
    progress.count_gap(4 * S)
    assert progress.line(70 * S).split("  ")[1:] == ["no PING yet", "nothing yet", "1 gap, 4 s"]
    progress.count_gap(3 * S)
    assert progress.line(70 * S).endswith("  2 gaps, 7 s")
    assert (progress.lost_ns, progress.attempts) == (None, 0)


def test_the_facts_are_plain_values() -> None:
    progress = opened(S)
    progress.lost_ns = 3 * S
    progress.kinds["devices"] = 2
    facts = progress.facts(4 * S)
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["open_s"], facts["no_socket_s"], facts["last_pong_s"]) == (3.0, 1.0, None)
    assert facts["kinds"] == {"devices": 2}
