"""Captures by other tools become recordings: a file a format, and :func:`import_file` over them.

An importer turns chunks of a file into entries and does no I/O. What it cannot read it keeps as
``bytes`` entries.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, Final, Literal, NoReturn, TypeAlias

import msgspec

from recorder.errors import CannotRead, DiskFailed, ImportFailed, OutputExists
from recorder.importers import curl_log, text_dump
from recorder.importers.chunks import take
from recorder.model import Bytes, Fidelity, FrameEntry, Header, KnownEntry, MessageEntry, Response
from recorder.recording import Writer
from recorder.redaction import Redactor
from recorder.sink import wall_clock_text

__all__ = ["Format", "Summary", "import_file"]

Format: TypeAlias = Literal["curl", "text"]

_CHUNK_BYTES: Final = 256 * 1024
_IMPORTERS: Final[dict[Format, Callable[[Iterable[bytes]], Iterator[KnownEntry]]]] = {
    "curl": curl_log.entries,
    "text": text_dump.entries,
}
_FIDELITY: Final[dict[Format, Fidelity]] = {"curl": "wire", "text": "text"}
_EXPECTED: Final[dict[Format, str]] = {
    "curl": "the raw output of `curl -i --no-buffer --output -` (WebSocket frames or an HTTP head)",
    "text": "JSON texts, separated by ~, or an HTTP head",
}

_HAR: Final = re.compile(rb'(?:\xef\xbb\xbf)?\s*+\{\s*+"log"\s*+:')
_RECORDING: Final = re.compile(rb'\{[^\n]*?"format"\s*+:\s*+"track-recording"')
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"  # RFC 8878 section 3.1.1


class Summary(msgspec.Struct, frozen=True):
    """What was imported.

    ``before_bytes`` stand before the first head, frame or message; ``unread_bytes`` behind it, and
    ``unread_why`` says why the last of them could not be read. All of them are kept in the
    recording. ``redactions`` counts replaced values by rule.
    """

    format: Format
    messages: int
    frames: int
    before_bytes: int
    unread_bytes: int
    unread_why: str
    redactions: dict[str, int]


class _Tally:
    """Counts entries on their way from an importer to the redaction."""

    def __init__(self) -> None:
        self.messages = 0
        self.frames = 0
        self.found = False
        self.before_bytes = 0
        self.unread_bytes = 0
        self.unread_why = ""

    def summary(self, form: Format, redactions: Mapping[str, int]) -> Summary:
        return Summary(
            format=form,
            messages=self.messages,
            frames=self.frames,
            before_bytes=self.before_bytes,
            unread_bytes=self.unread_bytes,
            unread_why=self.unread_why,
            redactions=dict(redactions),
        )

    def count(self, entry: KnownEntry) -> None:
        match entry:
            case FrameEntry():
                self.frames += 1
                # A message ends with its final data frame; opcodes from 8 on are control.
                self.messages += entry.fin and entry.opcode_number < 8
                self.found = True
            case MessageEntry():
                self.messages += 1
                self.found = True
            case Response():
                self.found = True
            case Bytes() if self.found:
                self.unread_bytes += len(entry.data)
                self.unread_why = entry.why
            case Bytes():
                self.before_bytes += len(entry.data)


def import_file(
    source: BinaryIO,
    destination: Path,
    *,
    name: str,
    form: Format | Literal["auto"] = "auto",
    redact: Literal["secrets", "none"] = "secrets",
    force: bool = False,
) -> Summary:
    """Read ``source`` to its end and make a recording of it at ``destination``.

    ``name`` is what messages and the header call the source; ``form`` its format, ``auto`` to tell
    by its first MiB; ``redact`` a profile of :class:`recorder.redaction.Redactor`; ``force`` lets
    it replace an existing file. Memory is constant, whatever the size of the source.

    *Resource handling:* the recording is written beside its final name and renamed at the end, so
    that a failed import leaves nothing and takes nothing away. ``source`` stays open.

    *Error handling:* OutputExists; CannotRead if reading fails; ImportFailed if the source holds no
    frame, message or HTTP head, or is of a kind that is not imported; DiskFailed.
    """
    # A link is followed: what it points to is replaced, not the link.
    final = destination.resolve()
    if final.exists() and not final.is_file():
        raise OutputExists(f"{destination}: it is no regular file; give another name")
    if final.exists() and not force:
        raise OutputExists(f"{destination}: it exists already; give another name, or --force")
    if not final.parent.is_dir():
        raise OutputExists(f"{destination}: cannot be made: there is no such folder")
    stream = _chunks(source, name)
    window, beyond = take(stream, curl_log.WINDOW_BYTES)
    _refuse_known(window, name)
    found = _format_of(window, is_whole=not beyond) if form == "auto" else form

    redactor = Redactor(redact)
    tally = _Tally()
    # The name keeps its suffix, which says whether to compress.
    unfinished = final.with_name(f".importing-{uuid.uuid4()}-{final.name}")
    header = redactor.redact_header(_header(found, name, redactor))
    try:
        writer = Writer.create(unfinished, header)
    except OutputExists as error:
        why = error.__cause__
        said = why.strerror if isinstance(why, OSError) else why
        raise OutputExists(f"{destination}: cannot be made: {said}") from error
    try:
        for entry in _IMPORTERS[found](itertools.chain([window, beyond], stream)):
            tally.count(entry)
            for ready in redactor.feed(entry):
                writer.write(ready)
        if not tally.found:
            _refuse_unread(name, form, tally.before_bytes)
        for ready in redactor.close():
            writer.write(ready)
        writer.close(redactor.counts)
        if final.exists():
            shutil.copymode(final, unfinished)
        os.replace(unfinished, final)
    except BaseException as error:
        with contextlib.suppress(DiskFailed):
            writer.abort()
        unfinished.unlink(missing_ok=True)
        if not isinstance(error, (DiskFailed, OSError)):
            raise
        why = error.__cause__ if isinstance(error, DiskFailed) else error
        said = why.strerror if isinstance(why, OSError) else why
        raise DiskFailed(
            f"{destination}: writing failed: {said}; nothing was left of it"
        ) from error
    return tally.summary(found, redactor.counts)


def _header(form: Format, name: str, redactor: Redactor) -> Header:
    return Header(
        id=str(uuid.uuid4()),
        started_at=wall_clock_text(time.time_ns()),
        tool=f"tracktape {version('tracktape')}",
        mode="import",
        fidelity=_FIDELITY[form],
        timing="none",
        redaction=redactor.header(),
        meta={
            "imported_from": msgspec.Raw(msgspec.json.encode(form)),
            # A name need not be UTF-8.
            "file": msgspec.Raw(
                msgspec.json.encode(os.fsencode(os.path.basename(name)).decode("utf-8", "replace"))
            ),
        },
    )


def _chunks(source: BinaryIO, name: str) -> Iterator[bytes]:
    try:
        while chunk := source.read(_CHUNK_BYTES):
            yield chunk
    except OSError as error:
        raise CannotRead(f"{name}: reading failed: {error.strerror}") from error


def _refuse_known(window: bytes, name: str) -> None:
    """Name what is certainly no capture to import, before it is taken for text."""
    if not window:
        raise ImportFailed(f"{name}: it is empty; expected {' or '.join(_EXPECTED.values())}")
    if _HAR.match(window):
        raise ImportFailed(
            f"{name}: this looks like a HAR file; HAR import is not part of this version"
        )
    if _RECORDING.match(window):
        raise ImportFailed(f"{name}: this is a recording already; there is nothing to import")
    if window.startswith(_ZSTD_MAGIC):
        raise ImportFailed(
            f"{name}: this is compressed with zstd; a recording needs no import,"
            " anything else must be decompressed first"
        )


def _refuse_unread(name: str, form: Format | Literal["auto"], size_bytes: int) -> NoReturn:
    expected = " or ".join(_EXPECTED.values()) if form == "auto" else _EXPECTED[form]
    raise ImportFailed(
        f"{name}: nothing in its {size_bytes} bytes could be read; expected {expected}"
    )


def _format_of(window: bytes, *, is_whole: bool) -> Format:
    """Frames, or the answer that refused them, make it curl's; all else is read as text."""
    start = curl_log.locate(window, is_whole=is_whole)
    if start is None:
        return "text"
    # A head whose lines were spaced out in a document seems to end with its first line.
    is_refusal = start.head is not None and start.head.status != 101 and start.head.headers
    return "curl" if start.holds_frames or is_refusal else "text"
