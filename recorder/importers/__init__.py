"""Captures by other tools become recordings: a file a format, and :func:`import_file` over them.

An importer turns chunks of a file into entries and does no I/O. What it cannot read it keeps as
``bytes`` entries. Entries of a HAR, which has another order than a recording, are redacted, put in
the order of time (:mod:`recorder.importers.time_order`) and written when all were read.
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
from recorder.importers.expansion import MAX_EXPANDED_BYTES, Expansion, TooLarge
from recorder.importers.har import HarReader
from recorder.importers.time_order import TimeOrder
from recorder.model import (
    AnyEntry,
    Bytes,
    Fidelity,
    FrameEntry,
    Header,
    KnownEntry,
    MessageEntry,
    Redaction,
    Request,
    Response,
    UnknownEntry,
)
from recorder.recording import Writer
from recorder.redaction import Redactor
from recorder.sink import wall_clock_text

__all__ = ["MAX_EXPANDED_BYTES", "Format", "Summary", "import_file"]

Format: TypeAlias = Literal["curl", "text", "har"]

_CHUNK_BYTES: Final = 256 * 1024
_IMPORTERS: Final[dict[Format, Callable[[Iterable[bytes]], Iterator[KnownEntry]]]] = {
    "curl": curl_log.entries,
    "text": text_dump.entries,
}
_FIDELITY: Final[dict[Format, Fidelity]] = {"curl": "wire", "text": "text", "har": "messages"}
_EXPECTED: Final[dict[Format, str]] = {
    "curl": "the raw output of `curl -i --no-buffer --output -` (WebSocket frames or an HTTP head)",
    "text": "JSON texts, separated by ~, or an HTTP head",
    "har": 'a HAR ({"log":{"entries":[…]}}) with an entry in it',
}

_HAR: Final = re.compile(rb'(?:\xef\xbb\xbf)?\s*+\{\s*+"log"\s*+:')
_RECORDING: Final = re.compile(rb'\{[^\n]*?"format"\s*+:\s*+"track-recording"')


class Summary(msgspec.Struct, frozen=True):
    """What was imported.

    ``before_bytes`` stand before the first head, frame or message; ``unread_bytes`` behind it, and
    ``unread_why`` says why the last of them could not be read. All of them are kept in the
    recording. ``left_out`` counts, by name, what a HAR has, or says it has not, and the recording
    has no place for. ``torn`` says why the file could not be read to its end, None if it could.
    ``redactions`` counts replaced values by rule.
    """

    format: Format
    messages: int
    frames: int
    exchanges: int
    before_bytes: int
    unread_bytes: int
    unread_why: str
    left_out: dict[str, int]
    torn: str | None
    redactions: dict[str, int]


class _Tally:
    """Counts entries on their way from an importer to the redaction."""

    def __init__(self) -> None:
        self.messages = 0
        self.frames = 0
        self.exchanges = 0
        self.found = False
        self.before_bytes = 0
        self.unread_bytes = 0
        self.unread_why = ""
        self.left_out: Mapping[str, int] = {}

    def summary(self, form: Format, torn: str | None, redactions: Mapping[str, int]) -> Summary:
        return Summary(
            format=form,
            messages=self.messages,
            frames=self.frames,
            exchanges=self.exchanges,
            before_bytes=self.before_bytes,
            unread_bytes=self.unread_bytes,
            unread_why=self.unread_why,
            left_out={name: count for name, count in self.left_out.items() if count},
            torn=torn,
            redactions=dict(redactions),
        )

    def counted(self, entries: Iterable[KnownEntry]) -> Iterator[KnownEntry]:
        for entry in entries:
            self.count(entry)
            yield entry

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
            case Request():
                self.exchanges += 1
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
    redactor: Redactor | None = None,
    force: bool = False,
    max_bytes: int = MAX_EXPANDED_BYTES,
) -> Summary:
    """Read ``source`` to its end and make a recording of it at ``destination``.

    ``name`` is what messages and the header call the source; ``form`` its format, ``auto`` to tell
    by its first MiB; ``redactor`` takes the secrets out, by default one of the profile ``secrets``;
    ``force`` lets it replace an existing file. A source that is compressed (gzip, zlib, zstd) is
    expanded, to ``max_bytes`` at most. Memory is constant, whatever the size of the source: that of
    a HAR takes one of its exchanges, and besides the entries that are sorted, 32 MiB of them.

    *Resource handling:* the recording is written beside its final name and renamed at the end, so
    that a failed import leaves nothing and takes nothing away. ``source`` stays open.

    *Error handling:* OutputExists; CannotRead if reading fails; ImportFailed if the source holds no
    frame, message or HTTP head, is of a kind that is not imported, or expands to more than
    ``max_bytes``; DiskFailed. A source that is torn is imported up to there.
    """
    # A link is followed: what it points to is replaced, not the link.
    final = destination.resolve()
    if final.exists() and not final.is_file():
        raise OutputExists(f"{destination}: it is no regular file; give another name")
    if final.exists() and not force:
        raise OutputExists(f"{destination}: it exists already; give another name, or --force")
    if not final.parent.is_dir():
        raise OutputExists(f"{destination}: cannot be made: there is no such folder")
    # The name keeps its suffix, which says whether to compress.
    unfinished = final.with_name(f".importing-{uuid.uuid4()}-{final.name}")
    expansion = Expansion(_chunks(source, name), max_bytes=max_bytes)
    order = TimeOrder(final.parent)
    redactor = Redactor() if redactor is None else redactor
    tally = _Tally()
    try:
        window, beyond = take(stream := iter(expansion), curl_log.WINDOW_BYTES)
        if not window and expansion.torn is None:
            raise ImportFailed(f"{name}: it is empty; expected {' or '.join(_EXPECTED.values())}")
        if _RECORDING.match(window):
            raise ImportFailed(f"{name}: this is a recording already; there is nothing to import")
        found = _format_of(window, is_whole=not beyond) if form == "auto" else form
        data = itertools.chain([window, beyond], stream)
        torn: str | None = None
        header = _header(found, name)
        if found == "har":
            har = HarReader(data)
            for entry in _redacted(tally.counted(har.entries()), redactor):
                order.add(entry)
            torn = har.torn
            tally.left_out = har.left_out
            header, entries = _timed(header, har, order)
        else:
            entries = _redacted(tally.counted(_IMPORTERS[found](data)), redactor)
        with _writing(destination, unfinished, redactor.redact_header(header)) as writer:
            for entry in entries:
                writer.write(entry)
            if not tally.found:
                _refuse_unread(name, form, found, tally.before_bytes, torn or expansion.torn)
            writer.close(redactor.counts)
            if final.exists():
                shutil.copymode(final, unfinished)
            os.replace(unfinished, final)
    except TooLarge as error:
        raise ImportFailed(
            f"{name}: {error}; if that is no mistake, allow it by --max-bytes"
        ) from None
    finally:
        order.close()
        unfinished.unlink(missing_ok=True)
    return tally.summary(found, expansion.torn or torn, redactor.counts)


@contextlib.contextmanager
def _writing(destination: Path, unfinished: Path, header: Header) -> Iterator[Writer]:
    """The writer of ``unfinished``, aborted on an error. Errors name the ``destination``."""
    try:
        writer = Writer.create(unfinished, header)
    except OutputExists as error:
        raise OutputExists(f"{destination}: cannot be made: {_said(error)}") from error
    except DiskFailed as error:
        raise _nothing_left(destination, error) from error
    try:
        yield writer
    except BaseException as error:
        with contextlib.suppress(DiskFailed):
            writer.abort()
        if isinstance(error, (DiskFailed, OSError)):
            raise _nothing_left(destination, error) from error
        raise


def _nothing_left(destination: Path, error: Exception) -> DiskFailed:
    return DiskFailed(f"{destination}: writing failed: {_said(error)}; nothing was left of it")


def _said(error: Exception) -> str:
    why = error if isinstance(error, OSError) else error.__cause__
    return str(why.strerror if isinstance(why, OSError) else why or error)


def _redacted(entries: Iterable[KnownEntry], redactor: Redactor) -> Iterator[AnyEntry]:
    for entry in entries:
        yield from redactor.feed(entry)
    yield from redactor.close()


def _timed(header: Header, har: HarReader, order: TimeOrder) -> tuple[Header, Iterator[AnyEntry]]:
    """The header of a HAR that was read, and its entries in the order of time, moved to begin at 0.

    Where no time could be read, none of them has one.
    """
    started_ns = order.first_ns
    header = msgspec.structs.replace(
        header,
        upstream=har.upstream,
        timing="none" if started_ns is None else "measured",
        meta=header.meta | har.meta,
    )
    if started_ns is None:
        return header, iter(order)
    header = msgspec.structs.replace(header, started_at=wall_clock_text(started_ns))
    return header, (_moved(entry, started_ns) for entry in order)


def _moved(entry: AnyEntry, started_ns: int) -> AnyEntry:
    if isinstance(entry, UnknownEntry):
        return entry
    return msgspec.structs.replace(
        entry,
        offset_ns=max(0, (entry.offset_ns or 0) - started_ns),
        first_ns=None if entry.first_ns is None else max(0, entry.first_ns - started_ns),
    )


def _header(form: Format, name: str) -> Header:
    return Header(
        id=str(uuid.uuid4()),
        started_at=wall_clock_text(time.time_ns()),
        tool=f"tracktape {version('tracktape')}",
        mode="import",
        fidelity=_FIDELITY[form],
        timing="none",
        redaction=Redaction(profile="none"),
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


def _refuse_unread(
    name: str, form: Format | Literal["auto"], found: Format, size_bytes: int, torn: str | None
) -> NoReturn:
    if found == "har":
        why = f" ({torn})" if torn else ""
        raise ImportFailed(f"{name}: nothing in it could be read{why}; expected {_EXPECTED['har']}")
    why = f" before {torn}" if torn else ""
    expected = " or ".join(_EXPECTED.values()) if form == "auto" else _EXPECTED[form]
    raise ImportFailed(
        f"{name}: nothing in its {size_bytes} bytes could be read{why}; expected {expected}"
    )


def _format_of(window: bytes, *, is_whole: bool) -> Format:
    """A log of entries makes it a HAR, frames, or the answer that refused them, curl's; all else is
    read as text.
    """
    if _HAR.match(window):
        return "har"
    start = curl_log.locate(window, is_whole=is_whole)
    if start is None:
        return "text"
    # A head whose lines were spaced out in a document seems to end with its first line.
    is_refusal = start.head is not None and start.head.status != 101 and start.head.headers
    return "curl" if start.holds_frames or is_refusal else "text"
