"""The compressed container of a recording: zstd frames that can be torn, mended, sought in and
resynchronised.

Layout, as RFC 8878 names its parts: frames of about 1 MiB of lines; at each flush the frame's last
block is ended, so that everything flushed can be decoded; before each frame but the first stands a
skippable frame, the index, that holds ``{"offset_ns": …, "seq": …}`` of the first entry in what
follows. Frames begin and end with a line. One frame for each flush instead would cost most of the
compression: 3.1 times in place of 16.8 for a quiet capture.

Strategy of reading: walk the block headers (3 bytes: last, type, size) and feed a decoder one block
at a time. So at most 128 KiB come out at once, whatever the file holds, and it is known to the byte
where the last sound block ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec
import zstandard

__all__ = [
    "FRAME_BYTES",
    "FRAME_MAGIC",
    "Block",
    "FrameWriter",
    "Gap",
    "IndexPoint",
    "Tear",
    "index_points",
    "is_zstd",
    "mend",
    "read_blocks",
]

FRAME_MAGIC: Final = bytes.fromhex("28b52ffd")
FRAME_BYTES: Final = 1024 * 1024
"""A frame is ended once this many bytes of lines went into it."""

_INDEX_MAGIC: Final = bytes.fromhex("502a4d18")
_MAX_INDEX_BYTES: Final = 1024
_LEVEL: Final = 3
_MAX_BLOCK_BYTES: Final = 128 * 1024  # RFC 8878 section 3.1.1.2.4
_MAX_FRAME_HEADER_BYTES: Final = 18
_RLE_BLOCK: Final = 1
_RESERVED_BLOCK: Final = 3
_LAST_RAW_BLOCK: Final = 1
_SEARCH_BYTES: Final = 1024 * 1024
# A sound block never ends with this many zero bytes: file systems leave them where data did not
# reach the disk.
_HOLE: Final = bytes(8)


class Block(msgspec.Struct, frozen=True):
    """The decoded bytes of one block that stands at ``position`` to ``end`` of the file.

    ``frame`` is where its frame, or the index before it, begins.
    """

    data: bytes
    position: int
    end: int
    frame: int


class Gap(msgspec.Struct, frozen=True):
    """Bytes from ``position`` to ``end`` that cannot be decoded. The next Block, if any, begins a
    frame.
    """

    position: int
    end: int
    why: str


class Tear(msgspec.Struct, frozen=True):
    """The file ends inside a frame, and ``position`` is where its last whole block ends. Nothing
    comes after it.

    ``frame`` is where that frame, or the index before it, begins.
    """

    position: int
    end: int
    frame: int
    why: str


class IndexPoint(msgspec.Struct, frozen=True):
    """At ``position`` of the file begins a frame; its first entry has this ``offset_ns`` and
    ``seq``.
    """

    offset_ns: int | None
    seq: int
    position: int = 0


class _TornError(Exception):
    """The file ends too early."""


class _DamagedError(Exception):
    """Bytes are not what RFC 8878 says."""


def is_zstd(start: bytes) -> bool:
    """Whether a file that begins with these four bytes or more is a zstd container, a skippable
    frame included.
    """
    return start.startswith(FRAME_MAGIC) or (start[1:4] == _INDEX_MAGIC[1:] and start[0] >> 4 == 5)


class FrameWriter:
    """Makes the bytes to append to a container. ``at_start`` is false where frames stand before
    already.
    """

    def __init__(self, *, at_start: bool) -> None:
        # Without a checksum a torn frame can be ended by hand; without a content size it need not
        # be known in advance.
        self._compressor = zstandard.ZstdCompressor(
            level=_LEVEL, write_checksum=False, write_content_size=False
        )
        self._frame: zstandard.ZstdCompressionObj | None = None
        self._frame_bytes = 0
        self._at_start = at_start

    def add(self, lines: bytes, *, offset_ns: int | None, seq: int) -> bytes:
        """Compress whole lines, of which the first has this ``offset_ns`` and ``seq``; return bytes
        that end in a block.
        """
        parts = []
        if self._frame is None:
            if not self._at_start:
                parts.append(_index(offset_ns, seq))
            self._at_start = False
            self._frame = self._compressor.compressobj()
            self._frame_bytes = 0
        parts.append(self._frame.compress(lines))
        parts.append(self._frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
        self._frame_bytes += len(lines)
        if self._frame_bytes >= FRAME_BYTES:
            parts.append(self.finish())
        return b"".join(parts)

    def finish(self) -> bytes:
        """The bytes that end the frame, none if no frame is open."""
        if self._frame is None:
            return b""
        end = self._frame.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH)
        self._frame = None
        return end


def _index(offset_ns: int | None, seq: int) -> bytes:
    content = msgspec.json.encode({"offset_ns": offset_ns, "seq": seq})
    return _INDEX_MAGIC + len(content).to_bytes(4, "little") + content


def read_blocks(file: BinaryIO, position: int = 0) -> Iterator[Block | Gap | Tear]:
    """Decode a container from ``position``, where a frame or an index begins, to its end.

    Yields a Block for every block with data, a Gap where bytes are damaged and a later frame could
    be found (or none: then it is last), and a Tear at last if the file ends inside a frame. Raises
    OSError only. Moves ``file``.
    """
    end = file.seek(0, 2)
    while position < end:
        good = frame = position
        try:
            for event in _read_frame(file, position, end):
                if isinstance(event, Block):
                    good = event.end
                    yield event
                else:
                    position = event
            continue
        except (_TornError, _DamagedError, zstandard.ZstdError) as exc:
            torn = isinstance(exc, _TornError)
            why = (
                f"the file ends inside {exc}" if torn else f"a zstd frame is damaged at byte {good}"
            )
        found = _find_frame(file, good, end)
        if found is None and (torn or _ends_in_hole(file, good, end)):
            yield Tear(good, end, frame, why if torn else "the file ends in zero bytes")
            return
        yield Gap(good, end if found is None else found, why)
        if found is None:
            return
        position = found


def index_points(file: BinaryIO) -> Iterator[IndexPoint]:
    """The seek index, in order, found without decoding: only headers are read. Ends early at
    damage. Moves ``file``.
    """
    end = file.seek(0, 2)
    position = 0
    try:
        while position < end:
            file.seek(position)
            magic = _take(file, 4, "")
            if is_zstd(magic) and magic != FRAME_MAGIC:
                size = int.from_bytes(_take(file, 4, ""), "little")
                if magic == _INDEX_MAGIC and size <= _MAX_INDEX_BYTES:
                    found = msgspec.json.decode(_take(file, size, ""), type=IndexPoint)
                    yield IndexPoint(found.offset_ns, found.seq, position)
                position += 8 + size
                continue
            head, checksum_bytes = _frame_header(file, position)
            file.seek(position := position + len(head))
            last = False
            while not last:
                last, block = _block(file)
                position += len(block)
            position += checksum_bytes
    except (_TornError, _DamagedError, zstandard.ZstdError, msgspec.DecodeError):
        return


def mend(file: BinaryIO, frame: int) -> tuple[int, bytes]:
    """How to end the torn frame at ``frame`` after its last whole line: where to write, and the
    bytes to write there.

    Every block up to the one with that line's end stays as it is. If this block holds a piece of
    another line, it gives way to a raw block with its whole lines alone; else an empty raw block,
    the last one, ends the frame. A frame without a whole line is left out: then there are no bytes
    to write. Raises ValueError if the frame cannot be ended by hand because its header announces a
    size or a checksum.
    """
    blocks = []
    for event in read_blocks(file, frame):
        if not isinstance(event, Block) or event.frame != frame:
            break
        blocks.append(event)
    lines_bytes = b"".join(block.data for block in blocks).rfind(b"\n") + 1
    if not lines_bytes:
        return frame, b""
    if not _can_be_ended(file, blocks[0].position):
        raise ValueError("the frame announces its size or a checksum")
    start = 0
    for block in blocks:
        stop = start + len(block.data)
        if stop >= lines_bytes:
            break
        start = stop
    if stop == lines_bytes:
        return block.end, _last_raw_block(b"")
    return block.position, _last_raw_block(block.data[: lines_bytes - start])


def _last_raw_block(data: bytes) -> bytes:
    return (len(data) << 3 | _LAST_RAW_BLOCK).to_bytes(3, "little") + data


def _read_frame(file: BinaryIO, start: int, end: int) -> Iterator[Block | int]:
    """The blocks of the frame at ``start``, indexes before it skipped; at last, where it ends."""
    position = start
    file.seek(position)
    while True:
        magic = _take(file, 4, "an index" if position > start else "a frame header")
        if magic == FRAME_MAGIC:
            break
        if not is_zstd(magic):
            raise _DamagedError
        size = int.from_bytes(_take(file, 4, "an index"), "little")
        position += 8 + size
        # Also when it ends with the index: what that announces is missing.
        if position >= end:
            raise _TornError("an index")
        file.seek(position)
    header, checksum_bytes = _frame_header(file, position)
    decoder = zstandard.ZstdDecompressor().decompressobj()
    decoder.decompress(header)
    position += len(header)
    file.seek(position)
    last = False
    while not last:
        last, block = _block(file)
        data = decoder.decompress(block)
        block_start = position
        position += len(block)
        # An empty block that ends nothing is what zero bytes look like: it does not count as sound.
        if data or last:
            yield Block(data, block_start, position, start)
    if checksum_bytes:
        decoder.decompress(_take(file, checksum_bytes, "a checksum"))
        position += checksum_bytes
    if not decoder.eof:
        raise _DamagedError
    yield position


def _frame_header(file: BinaryIO, position: int) -> tuple[bytes, int]:
    """The header of the frame at ``position``, and how many bytes of checksum end the frame."""
    file.seek(position)
    start = file.read(_MAX_FRAME_HEADER_BYTES)
    if len(start) < 5:
        raise _TornError("a frame header")
    size = zstandard.frame_header_size(start)
    if len(start) < size:
        raise _TornError("a frame header")
    header = start[:size]
    return header, 4 if header[4] & 0x04 else 0  # RFC 8878 section 3.1.1.1.1.5


def _can_be_ended(file: BinaryIO, first_block: int) -> bool:
    file.seek(max(0, first_block - _MAX_FRAME_HEADER_BYTES))
    before = file.read(first_block - file.tell())
    parameters = zstandard.get_frame_parameters(before[before.rfind(FRAME_MAGIC) :])
    return not parameters.has_checksum and parameters.content_size == zstandard.CONTENTSIZE_UNKNOWN


def _block(file: BinaryIO) -> tuple[bool, bytes]:
    """Whether the next block is its frame's last, and its bytes with its header (RFC 8878 section
    3.1.1.2).
    """
    header = _take(file, 3, "a block header")
    value = int.from_bytes(header, "little")
    kind = value >> 1 & 3
    size = value >> 3
    if kind == _RESERVED_BLOCK or size > _MAX_BLOCK_BYTES:
        raise _DamagedError
    return bool(value & 1), header + _take(file, 1 if kind == _RLE_BLOCK else size, "a block")


def _take(file: BinaryIO, size: int, what: str) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise _TornError(what)
    return data


def _find_frame(file: BinaryIO, start: int, end: int) -> int | None:
    """Where, from ``start``, the next frame begins of which a block can be decoded."""
    while start < end:
        file.seek(start)
        window = file.read(_SEARCH_BYTES)
        at = window.find(FRAME_MAGIC)
        while at >= 0:
            try:
                if isinstance(next(_read_frame(file, start + at, end)), Block):
                    return start + at
            except (_TornError, _DamagedError, zstandard.ZstdError):
                pass
            at = window.find(FRAME_MAGIC, at + 1)
        # The magic may lie across two windows.
        start += max(1, len(window) - len(FRAME_MAGIC) + 1)
    return None


def _ends_in_hole(file: BinaryIO, start: int, end: int) -> bool:
    file.seek(max(start, end - len(_HOLE)))
    tail = file.read(len(_HOLE))
    return tail == bytes(len(tail))
