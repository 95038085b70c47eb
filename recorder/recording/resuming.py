"""What a writer that goes on with a recording must know: how far it has come, and its tail."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from recorder.errors import CorruptRecording, RecordingError
from recorder.model import End, KnownEntry, UnknownEntry
from recorder.recording.reader import Reader, Standing
from recorder.recording.zstd_frames import mend

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["read_through", "tail_of"]


def read_through(
    name: str, watch: Callable[[KnownEntry | UnknownEntry], None]
) -> tuple[Reader, _Hash]:
    """A recording that can be gone on with: its reader, closed at the end, and the sha256 of it.
    ``watch`` is called with each entry. Raises CannotRead, RecordingError.
    """
    entry = None
    with Reader(name) as reader:
        for entry in reader:
            watch(entry)
    # An `end` to come would vouch for what the one before does not.
    if type(entry) is End and reader.torn is None and not reader.complete:
        raise CorruptRecording(
            f"{name} is damaged: {reader.why_incomplete}; record to another name instead"
        )
    return reader, reader.digest()


def tail_of(name: str, standing: Standing) -> tuple[int, bytes]:
    """Where a resumed recording goes on, and what has to be written there to mend its frame. Raises
    RecordingError if it cannot be mended.
    """
    if not standing.compressed:
        return standing.lines_end, b""
    with open(name, "rb") as file:
        if standing.torn_frame is None:
            return file.seek(0, os.SEEK_END), b""
        try:
            position, mending = mend(file, standing.torn_frame)
        except ValueError:
            position, mending = 0, b""
    if not mending and not (position and standing.frame_starts_line):
        raise RecordingError(
            f"{name} is torn inside a frame that another program compressed: decompress it with "
            f"`zstd -dc` first, then go on with that"
        )
    return position, mending
