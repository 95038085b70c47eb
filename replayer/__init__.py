"""Read, explain, compare and play recordings of a Track backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recorder.lazy import at_first_use

if TYPE_CHECKING:
    from replayer.difference import Difference, first_difference
    from replayer.playing.script import Script, load_script
    from replayer.playing.timeline import Cue
    from replayer.reading.conversation import converse
    from replayer.reading.series import SeriesReader
    from replayer.state import State
else:
    __getattr__, __dir__ = at_first_use(
        __name__,
        {
            "converse": "replayer.reading.conversation",
            "Difference": "replayer.difference",
            "first_difference": "replayer.difference",
            "Script": "replayer.playing.script",
            "load_script": "replayer.playing.script",
            "SeriesReader": "replayer.reading.series",
            "State": "replayer.state",
            "Cue": "replayer.playing.timeline",
        },
    )

__all__ = [
    "Cue",
    "Difference",
    "Script",
    "SeriesReader",
    "State",
    "converse",
    "first_difference",
    "load_script",
]
