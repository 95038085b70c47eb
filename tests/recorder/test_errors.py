"""The error tree: as drawn, and each error with its exit code."""

from __future__ import annotations

import re

import pytest

import recorder.errors
from recorder.errors import RecorderError
from recorder.exits import Exit

DRAWN = re.compile(r"^    ((?:│   |    )*(?:[├└]── )?)(\w+) +(\d+|exit code)\b", re.MULTILINE)


def descendants(root: type[RecorderError]) -> list[type[RecorderError]]:
    return [
        error
        for child in root.__subclasses__()
        if child.__module__ == recorder.errors.__name__
        for error in (child, *descendants(child))
    ]


def test_the_drawn_tree_is_the_tree() -> None:
    assert recorder.errors.__doc__ is not None
    parents: list[str] = []
    drawn = set()
    for branch, name, code in DRAWN.findall(recorder.errors.__doc__):
        depth = len(branch) // 4
        parents[depth:] = [name]
        if depth:
            drawn.add((name, parents[depth - 1], int(code)))
    assert drawn == {
        (error.__name__, error.__bases__[0].__name__, int(error.exit_code))
        for error in descendants(RecorderError)
    }


def test_every_error_is_public() -> None:
    names = [RecorderError.__name__, *(error.__name__ for error in descendants(RecorderError))]
    assert sorted(recorder.errors.__all__) == sorted([*names, "the_one_of"])


@pytest.mark.parametrize("error", descendants(RecorderError), ids=lambda error: error.__name__)
def test_an_error_ends_a_command_with_a_failure_of_its_own(error: type[RecorderError]) -> None:
    assert isinstance(error.exit_code, Exit)
    assert error.exit_code not in (Exit.OK, Exit.DIFFERENT, Exit.USAGE, Exit.BUG)
    assert str(error("x.jsonl:3: what was read")) == "x.jsonl:3: what was read"
