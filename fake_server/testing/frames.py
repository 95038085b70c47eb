"""The last of a recording, in lines that a failing test shows."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Final

from recorder.model import Body, Clock, End, Open
from replayer.commands.formats import text_line
from replayer.reading.conversation import converse
from replayer.reading.describing import Describer
from replayer.reading.series import SeriesReader

__all__ = ["last_frames"]

_COLUMNS: Final = 80
_BACKGROUND: Final = (Open, Body, Clock, End)


def last_frames(recording: Path, count: int) -> list[str]:
    """The last messages, control frames and HTTP exchanges, one line each, oldest first.

    The recording may still be written. Raises what reading it raises.
    """
    describer = Describer()
    last: deque[str] = deque(maxlen=count)
    with SeriesReader([recording]) as reader:
        for item in converse(reader):
            if isinstance(item, _BACKGROUND):
                describer.learn(item)
            else:
                last.append(text_line(describer.line(item), _COLUMNS, piped=True))
    return list(last)
