"""The file of outcomes: what is in it counts, whatever ended the process that wrote it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import OutputExists
from replayer.minimise.outcomes import Outcomes, Subject, WrongState
from replayer.minimise.trial import Outcome
from tests.profiles import examples

SUBJECT = Subject(
    recording="ab",
    test=["pytest", "-x"],
    options=["--speed", "max"],
    timeout_s=None,
    timeout_fails=False,
    any_failure=False,
    says=None,
)
SOME = {"1": Outcome(0, False, 1.5), "2": Outcome(1, True, 0.25), "3": Outcome(None, False, 9.0)}


def fill(path: Path) -> None:
    with Outcomes(path, SUBJECT) as outcomes:
        for plan, outcome in SOME.items():
            outcomes.put(plan, outcome)
        outcomes.put_written("cd")


def test_what_was_put_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "state"
    fill(path)
    with Outcomes(path, SUBJECT) as outcomes:
        assert {plan: outcomes.get(plan) for plan in "123"} == SOME
        assert outcomes.get("4") is None
        assert outcomes.written == "cd"
        assert len(outcomes) == 3


def test_an_outcome_is_in_the_file_before_the_next_trial(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with Outcomes(path, SUBJECT) as outcomes:
        outcomes.put("1", SOME["1"])
        assert path.read_bytes().count(b"\n") == 2


@settings(max_examples=examples(50))
@given(st.data())
def test_of_a_file_that_was_cut_anywhere_every_whole_line_counts(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("cut") / "state"
    fill(path)
    whole = path.read_bytes()
    size = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:size])
    with Outcomes(path, SUBJECT) as outcomes:
        assert len(outcomes) == min(3, max(0, whole[:size].count(b"\n") - 1))
        for plan, outcome in SOME.items():
            if outcomes.get(plan) is None:
                outcomes.put(plan, outcome)
    with Outcomes(path, SUBJECT) as outcomes:
        assert {plan: outcomes.get(plan) for plan in "123"} == SOME


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recording": "cd"}, "another recording;"),
        ({"test": ["pytest"]}, "another command;"),
        ({"options": []}, "another way of serving it;"),
        ({"says": "x", "any_failure": True}, "another --any-failure and another --says;"),
    ],
)
def test_a_state_of_other_work_is_refused(
    change: dict[str, object], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "state"
    fill(path)
    before = path.read_bytes()
    with pytest.raises(WrongState, match=words):
        Outcomes(path, msgspec.structs.replace(SUBJECT, **change))
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"hello\n", b'{"kind":"header"}\n', b"\xff\n", b"[]\n"])
def test_another_file_is_no_state(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(content)
    with pytest.raises(WrongState, match=r"state:1: expected a line of the state"):
        Outcomes(path, SUBJECT)
    assert path.read_bytes() == content


def test_a_damaged_line_is_told(tmp_path: Path) -> None:
    path = tmp_path / "state"
    fill(path)
    path.write_bytes(path.read_bytes() + b"??\n")
    with pytest.raises(WrongState, match=r"state:6: "):
        Outcomes(path, SUBJECT)


def test_two_processes_do_not_share_a_state(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with Outcomes(path, SUBJECT), pytest.raises(OutputExists):
        Outcomes(path, SUBJECT)


def test_when_the_work_is_done_the_file_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with Outcomes(path, SUBJECT) as outcomes:
        outcomes.remove()
    assert not path.exists()
