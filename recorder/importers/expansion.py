"""Compressed captures: gzip, zlib (mitmproxy's ``.zhar``) and zstd, undone while they are read.

Bounded: a step gives a few MiB at most, and the whole no more than the caller allows, so that a
small file cannot fill the memory or the disk.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

import zstandard

from recorder.importers.chunks import take

__all__ = ["MAX_EXPANDED_BYTES", "Expansion", "TooLarge"]

MAX_EXPANDED_BYTES: Final = 4 * 1024**3
"""What a compressed file may hold unless told otherwise."""

_GZIP: Final = b"\x1f\x8b"  # RFC 1952 section 2.3.1
_ZLIB: Final = (b"\x78\x01", b"\x78\x9c", b"\x78\xda")  # RFC 1950 section 2.2
_ZSTD: Final = b"\x28\xb5\x2f\xfd"  # RFC 8878 section 3.1.1
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_STEP_BYTES: Final = 1024 * 1024
_ZSTD_STEP_BYTES: Final = 1024
"""Four bytes may stand for a block of 128 KiB (RFC 8878 section 3.1.1.2), so this for 32 MiB."""
_MAX_ZSTD_WINDOW_BYTES: Final = 128 * 1024 * 1024


class TooLarge(ValueError):
    """A compressed file holds more than was allowed."""


class Expansion:
    """The bytes of a file, expanded if they are compressed, in chunks.

    ``coding`` says how they are compressed, "" if not at all. ``torn`` says, once all was read, why
    there is no more; None if the file is whole. Iteration raises TooLarge beyond ``max_bytes`` of
    expanded data, and what ``chunks`` raises.
    """

    def __init__(self, chunks: Iterator[bytes], *, max_bytes: int = MAX_EXPANDED_BYTES) -> None:
        start, rest = take(chunks, 4)
        self._chunks = itertools.chain([start, rest], chunks)
        self._max_bytes = max_bytes
        self.torn: str | None = None
        self.coding = (
            "gzip"
            if start.startswith(_GZIP)
            else "zlib"
            if start.startswith(_ZLIB)
            else "zstd"
            if start == _ZSTD
            else ""
        )

    def __iter__(self) -> Iterator[bytes]:
        if not self.coding:
            yield from self._chunks
            return
        size_bytes = 0
        try:
            for data in _unzstd(self._chunks) if self.coding == "zstd" else _inflated(self._chunks):
                size_bytes += len(data)
                if size_bytes > self._max_bytes:
                    raise TooLarge(f"it holds more than {self._max_bytes} bytes once expanded")
                yield data
        except (zlib.error, zstandard.ZstdError):
            self.torn = f"its {self.coding} data is damaged behind {size_bytes} expanded bytes"
        except EOFError:
            self.torn = f"its {self.coding} data ends too early, behind {size_bytes} expanded bytes"


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Raises EOFError if the data is cut, zlib.error if it is damaged."""
    inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
    for chunk in chunks:
        while chunk:
            if inflate.eof:
                # A gzip file may have several members (RFC 1952 section 2.2).
                inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
            yield inflate.decompress(chunk, _STEP_BYTES)
            chunk = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
    while not inflate.eof:
        data = inflate.decompress(b"", _STEP_BYTES)
        if not data:
            raise EOFError
        yield data


def _unzstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Raises EOFError if the data is cut, ZstdError if it is damaged."""
    codec = zstandard.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW_BYTES)
    frame = codec.decompressobj()
    for chunk in chunks:
        for at in range(0, len(chunk), _ZSTD_STEP_BYTES):
            step = chunk[at : at + _ZSTD_STEP_BYTES]
            while step:
                if frame.eof:
                    frame = codec.decompressobj()
                yield frame.decompress(step)
                step = frame.unused_data if frame.eof else b""
    if not frame.eof:
        raise EOFError
