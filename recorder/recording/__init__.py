"""Recordings as files: read them, write them, go on with them. ``docs/recording-format.md``
describes the format.

:class:`Reader` and :class:`Writer` work on files, :func:`keep_durable` flushes and syncs a writer
in time, and the functions of version 1 turn single lines into entries and back.
"""

from __future__ import annotations

from recorder.recording.durability import keep_durable
from recorder.recording.files import File, OsFile
from recorder.recording.reader import MAX_LINE_BYTES, Damage, Reader, Torn
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
    "File",
    "OsFile",
    "Reader",
    "Torn",
    "Writer",
    "decode_entry",
    "decode_header",
    "encode_entry",
    "encode_header",
    "keep_durable",
    "with_seq",
]
