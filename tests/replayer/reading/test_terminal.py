"""Where answers go."""

from __future__ import annotations

import pytest

from replayer.commands.terminal import Output
from replayer.reading.words import json_text


class Answer:
    """An output under a clock of ours."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.now_s = 5.0
        self._capsys = capsys
        self.output = Output[int](
            lambda lines: "".join(f"{line} " for line in lines), clock=lambda: self.now_s
        )

    def written(self) -> str:
        return self._capsys.readouterr().out


def test_the_first_line_is_written_at_once_and_the_next_soon(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = Answer(capsys)
    answer.output.add(1)
    assert answer.written() == "1 "
    answer.output.add(2)
    answer.now_s += 0.09
    answer.output.add(3)
    answer.output.tick()
    assert answer.written() == ""
    answer.now_s += 0.02
    answer.output.tick()
    assert answer.written() == "2 3 "
    answer.now_s += 0.2
    answer.output.add(4)
    assert answer.written() == "4 "


def test_many_lines_are_written_together(capsys: pytest.CaptureFixture[str]) -> None:
    answer = Answer(capsys)
    writes = []
    for number in range(1001):
        answer.output.add(number)
        writes.append(answer.written())
    assert [text.count(" ") for text in writes if text] == [1, 200, 200, 200, 200, 200]
    answer.output.flush()
    answer.output.flush()
    assert answer.written() == ""


def test_what_is_left_is_written_in_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    answer = Answer(capsys)
    for number in range(3):
        answer.output.add(number)
    answer.written()
    answer.output.flush()
    assert answer.written() == "1 2 "
    answer.output.flush()
    assert answer.written() == ""


def test_a_name_that_is_no_utf8_stands_in_json_as_an_escape() -> None:
    assert json_text({"recording": "bad\udcff", "n": [1, "\udc80"]}) == (
        '{"recording":"bad\\\\udcff","n":[1,"\\\\udc80"]}'
    )
