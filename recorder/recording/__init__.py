"""Recordings as files: read them, write them, go on with them. ``docs/recording-format.md``
describes the format.

:class:`Reader` and :class:`Writer` work on files, :func:`keep_durable` flushes and syncs a writer
in time, and the functions of version 1 turn single lines into entries and back. A
:class:`Series` writes a recording in parts, a :class:`FlightRecorder` keeps the last of them.
"""

from __future__ import annotations

from recorder.recording.durability import EntryWriter, keep_durable
from recorder.recording.files import File, OsFile
from recorder.recording.flight import FlightRecorder
from recorder.recording.joined import OpenParts, Saved
from recorder.recording.parts import find_parts, name_and_suffix, part_path
from recorder.recording.reader import MAX_LINE_BYTES, Damage, Reader, Torn
from recorder.recording.series import Fold, Rotation, Series, parts_to_resume
from recorder.recording.v1 import (
    VERSION,
    decode_entry,
    decode_header,
    encode_entry,
    encode_header,
    with_seq,
)
from recorder.recording.writer import FLUSH_INTERVAL_S, SYNC_INTERVAL_S, Writer

__all__ = [
    "FLUSH_INTERVAL_S",
    "MAX_LINE_BYTES",
    "SYNC_INTERVAL_S",
    "VERSION",
    "Damage",
    "EntryWriter",
    "File",
    "FlightRecorder",
    "Fold",
    "OpenParts",
    "OsFile",
    "Reader",
    "Rotation",
    "Saved",
    "Series",
    "Torn",
    "Writer",
    "decode_entry",
    "decode_header",
    "encode_entry",
    "encode_header",
    "find_parts",
    "keep_durable",
    "name_and_suffix",
    "part_path",
    "parts_to_resume",
    "with_seq",
]
