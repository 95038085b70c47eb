"""The last of a recording that is still written, in lines that a failing test shows."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeGuard

import trio

from fake_server.exchange import ADMIN_PATH
from fake_server.recording import ServerRecording
from recorder.model import Body, Clock, Closed, End, Note, Open
from replayer.commands.formats import text_line
from replayer.reading.conversation import Exchange, Item, converse
from replayer.reading.describing import Describer
from replayer.reading.legs import client_legs
from replayer.reading.series import SeriesReader

__all__ = ["last_frames", "last_frames_of"]

_COLUMNS: Final = 80
_BACKGROUND: Final = (Open, Body, Clock, End, Note)


def last_frames_of(recording: ServerRecording, path: Path) -> Callable[[int], Awaitable[list[str]]]:
    """A function that gives :func:`last_frames` of what was recorded so far, read in a thread."""

    async def last(count: int) -> list[str]:
        recording.flush()
        return await trio.to_thread.run_sync(last_frames, path, count)

    return last


def last_frames(recording: Path, count: int) -> list[str]:
    """The last messages, control frames and HTTP exchanges, one line each, oldest first; without
    those of the control API, and of what a proxy recorded each once, as the client had it.

    The recording may still be written. Raises what reading it raises.
    """
    describer = Describer()
    last: deque[str] = deque(maxlen=count)
    of_admin: set[int] = set()
    """The connections that spoke with the control API: their ends are not told."""
    with SeriesReader([recording]) as reader:
        for item in converse(client_legs(reader)):
            if isinstance(item, _BACKGROUND):
                continue
            if _is_for_admin(item):
                of_admin.add(item.connection)
            elif not isinstance(item, Closed) or item.connection not in of_admin:
                last.append(text_line(describer.line(item), _COLUMNS))
    return list(last)


def _is_for_admin(item: Item) -> TypeGuard[Exchange]:
    if not isinstance(item, Exchange) or item.request is None:
        return False
    path = item.request.target.partition("?")[0]
    return path == ADMIN_PATH or path.startswith(ADMIN_PATH + "/")
