"""Which cues of a source are played, and from where."""

from __future__ import annotations

from typing import Literal

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.messages import text_frame
from fake_server.playback import Playback
from fake_server.playback.cues import cues_to_play, skip_to
from recorder.wire.frames import Frame, Opcode
from replayer.playing.timeline import Cue, CueKind, may_begin_with
from replayer.state import State
from tests.profiles import examples

KINDS: tuple[CueKind, ...] = ("data", "ping", "timeout", "control", "close", "torn")


def device(number: int) -> bytes:
    return b'{"devices":[{"id":%d}]}' % number


def whole(at_ns: int, number: int) -> list[Cue]:
    message = device(number)
    return [Cue(at_ns, "data", text_frame(message), message)]


def in_fragments(at_ns: int, number: int) -> list[Cue]:
    message = device(number)
    first = Frame.make(Opcode.TEXT, message[:5], fin=False).serialize()
    rest = Frame.make(Opcode.CONTINUATION, message[5:]).serialize()
    return [Cue(at_ns, "data", first), Cue(at_ns + 1, "data", rest, message)]


@st.composite
def played(draw: st.DrawFn) -> list[Cue]:
    spoken = draw(st.lists(st.sampled_from([whole, in_fragments]), max_size=8))
    return [cue for number, speak in enumerate(spoken) for cue in speak(number // 2 * 2, number)]


@settings(max_examples=examples(100))
@given(played(), st.integers(0, 10))
async def test_what_is_skipped_is_learned_and_the_rest_begins_with_a_message(
    cues: list[Cue], position_ns: int
) -> None:
    state = State()
    rest = list(await skip_to(cues, position_ns, state))
    skipped = cues[: len(cues) - len(rest)]
    assert skipped + rest == cues
    assert not any(may_begin_with(cue, position_ns) for cue in skipped)
    assert all(may_begin_with(cue, position_ns) for cue in rest[:1])
    learned = State()
    for cue in skipped:
        if cue.message is not None:
            learned.apply(cue.message)
    assert state.messages() == learned.messages()


async def test_others_run_while_many_cues_are_skipped() -> None:
    cues = [cue for number in range(600) for cue in whole(number, 1)]
    with trio.testing.assert_checkpoints():
        assert list(await skip_to(cues, 1000)) == []


@given(
    st.sampled_from(["close", "hold"]),
    st.sampled_from(["live", "recorded"]),
    st.booleans(),
    st.booleans(),
)
def test_what_is_left_out(
    at_end: Literal["close", "hold"],
    pings: Literal["live", "recorded"],
    with_timeout: bool,
    with_close: bool,
) -> None:
    cues = [Cue(number, kind, b"\x81\x00") for number, kind in enumerate(KINDS)]
    found = cues_to_play(
        Playback(at_end=at_end, pings=pings),
        lambda later_ns: cues,
        with_timeout=with_timeout,
        with_close=with_close,
    )
    expected = {"data", "control"}
    expected |= {"ping"} if pings == "recorded" else set()
    expected |= {"timeout"} if with_timeout else set()
    expected |= {"close"} if with_close else set()
    expected |= {"torn"} if at_end == "close" else set()
    assert [cue.kind for cue in found] == [kind for kind in KINDS if kind in expected]
