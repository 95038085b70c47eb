"""Read, explain, compare and play recordings of a Track backend."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from replayer.difference import Difference, first_difference
    from replayer.playing.script import Script, load_script
    from replayer.playing.timeline import Cue
    from replayer.reading.conversation import converse
    from replayer.reading.series import SeriesReader
    from replayer.state import State

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

_HOMES: Final = {
    "converse": "replayer.reading.conversation",
    "Difference": "replayer.difference",
    "first_difference": "replayer.difference",
    "Script": "replayer.playing.script",
    "load_script": "replayer.playing.script",
    "SeriesReader": "replayer.reading.series",
    "State": "replayer.state",
    "Cue": "replayer.playing.timeline",
}
"""Where each name lives; imported at first use, so that a command loads only its own part."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
