"""Content codings (RFC 9110 8.4.1) undone piece by piece, as far as a bound allows."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

import zstandard

__all__ = [
    "GZIP_MAGIC",
    "Inflated",
    "Inflater",
    "NotLookedInto",
    "codings_of",
    "inflated_inside",
    "inflated_message",
]

ROOM_BYTES: Final = 1024 * 1024
GROWTH: Final = 200
MAX_BYTES: Final = 64 * 1024 * 1024
"""What is compressed may come out 200 times as large and a MiB more, up to 64 MiB: a text grows
about tenfold, a decompression bomb a thousandfold and more.
"""

GZIP_MAGIC: Final = b"\x1f\x8b\x08"  # RFC 1952 2.3.1
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"  # RFC 8878 3.1.1
_SLICE_BYTES: Final = 64 * 1024
# A zstd block of four bytes may hold 128 KiB (RFC 8878 3.1.1.2.2), and the decoder gives all that
# it has.
_ZSTD_SLICE_BYTES: Final = 64
_MAX_ZSTD_WINDOW_BYTES: Final = 64 * 1024 * 1024
_MAX_ATTEMPTS: Final = 16
_END_OF_MESSAGE: Final = b"\x00\x00\xff\xff"  # RFC 7692 7.2.2

_CONTROL: Final = bytes(code for code in range(32) if code not in b"\t\n\r\x0c")


class NotLookedInto(NamedTuple):
    """Something that may hold anything, for it could not be undone or not to its end."""

    why: str


class Inflated(NamedTuple):
    """What came out of a compressed stream. The stream begins at ``start``, and ``read`` says that
    it was one, read to its end or to where it was told that it is not: no chance likeness.
    """

    coding: str
    data: bytes
    start: int
    read: bool


class Inflater:
    """Undoes one coding: ``gzip``, ``deflate`` (zlib or raw), ``zstd``.

    What comes out is bounded by what went in, and by ``max_bytes``. ``problem`` says why it is not
    everything, None while it is. Bytes after a problem are left out.
    """

    def __init__(self, coding: str, *, max_bytes: int = MAX_BYTES) -> None:
        self.problem: NotLookedInto | None = None
        self._max_bytes = max_bytes
        self._coding = coding
        self._in_bytes = 0
        self._out_bytes = 0
        self._ended = False
        self._inflate: zlib._Decompress | zstandard.ZstdDecompressionObj | None = None

    @property
    def ended(self) -> bool:
        """Whether what was fed ended in order (of gzip and deflate)."""
        return self._ended

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The next bytes, in pieces of bounded size."""
        if not data or self.problem is not None:
            return
        self._in_bytes += len(data)
        limit = min(self._max_bytes, ROOM_BYTES + GROWTH * self._in_bytes)
        try:
            for piece in self._zstd(data) if self._coding == "zstd" else self._zlib(data):
                self._out_bytes += len(piece)
                yield piece
                if self._out_bytes > limit:
                    self.problem = NotLookedInto(
                        f"{self._coding} of {self._in_bytes} bytes holds more than {limit} bytes"
                    )
                    return
        except (zlib.error, zstandard.ZstdError):
            self.problem = NotLookedInto(f"{self._coding} that is none, or damaged")

    def _zlib(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._inflate is None or self._ended:
                # RFC 1952 2.2: a gzip file may have several members.
                self._inflate = zlib.decompressobj(_window(self._coding, data))
                self._ended = False
            inflate: zlib._Decompress = self._inflate  # type: ignore[assignment]
            yield inflate.decompress(data, _SLICE_BYTES)
            data = inflate.unconsumed_tail
            if inflate.eof:
                self._ended = True
                data = inflate.unused_data.lstrip(b"\0")

    def _zstd(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _ZSTD_SLICE_BYTES):
            piece = data[start : start + _ZSTD_SLICE_BYTES]
            while piece:
                if self._inflate is None or self._inflate.eof:
                    decompressor = zstandard.ZstdDecompressor(
                        max_window_size=_MAX_ZSTD_WINDOW_BYTES
                    )
                    self._inflate = decompressor.decompressobj()
                yield self._inflate.decompress(piece)
                piece = self._inflate.unused_data if self._inflate.eof else b""


def _window(coding: str, data: bytes) -> int:
    """``wbits`` of zlib: RFC 9110 8.4.1.2 makes deflate zlib, yet some servers send it raw."""
    if coding != "deflate":
        return 16 + zlib.MAX_WBITS
    is_zlib = data[0] & 15 == 8 and (len(data) < 2 or int.from_bytes(data[:2], "big") % 31 == 0)
    return zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS


def codings_of(content_encodings: list[str], start: bytes) -> list[str | NotLookedInto]:
    """What must be undone of a body that begins with ``start``, the last applied first.

    ``content_encodings`` are the values of the head's fields. A body that is plain text needs
    nothing undone, whatever they say; one without a field may tell by its first bytes.
    """
    named = [coding.strip().lower() for value in content_encodings for coding in value.split(",")]
    named = [coding for coding in named if coding not in ("", "identity")]
    if _is_plain(start):
        return []
    if not named:
        coding = _coding_of(start)
        return [] if coding is None else [coding]
    known: dict[str, str] = {
        "gzip": "gzip",
        "x-gzip": "gzip",
        "deflate": "deflate",
        "zstd": "zstd",
    }
    return [
        known[coding] if coding in known else NotLookedInto("a content coding that is not known")
        for coding in reversed(named)
    ]


def _is_plain(start: bytes) -> bool:
    # The last character may be cut.
    text = start[:1024].decode("utf-8", "ignore").encode("utf-8")
    return len(text) > len(start[:1024]) - 4 and not text.translate(
        bytes(range(256)), bytes(set(range(256)) - set(_CONTROL))
    )


def _coding_of(start: bytes) -> str | None:
    if start.startswith(GZIP_MAGIC):
        return "gzip"
    if start.startswith(_ZSTD_MAGIC):
        return "zstd"
    # RFC 1950 2.2, the header of a 32 KiB window.
    return "deflate" if start[:2] in (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda") else None


def inflated_inside(data: bytes) -> Iterator[Inflated | NotLookedInto]:
    """What is compressed in ``data``, from its start or from any gzip or zstd header inside."""
    starts = {0} if _coding_of(data) else set()
    for magic in (GZIP_MAGIC, _ZSTD_MAGIC):
        at = data.find(magic)
        while at >= 0 and len(starts) < _MAX_ATTEMPTS:
            starts.add(at)
            at = data.find(magic, at + 1)
        if at >= 0:
            yield NotLookedInto(f"more than {_MAX_ATTEMPTS} compressed streams in one place")
    for start in sorted(starts):
        coding = _coding_of(data[start : start + 8])
        if coding is None:
            continue
        inflater = Inflater(coding)
        out = b"".join(inflater.feed(data[start:]))
        # What only looked like a header is no stream.
        likely = len(out) > 64
        if out:
            yield Inflated(coding, out, start, likely or inflater.ended)
        if inflater.problem is not None and likely:
            yield inflater.problem


def inflated_message(payload: bytes) -> bytes | NotLookedInto:
    """A compressed WebSocket message (RFC 7692 7.2.2), where it needs no earlier one to be read."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    limit = min(MAX_BYTES, ROOM_BYTES + GROWTH * len(payload))
    try:
        out = inflate.decompress(payload + _END_OF_MESSAGE, limit)
    except zlib.error:
        return NotLookedInto("a compressed message that needs earlier ones to be read")
    if inflate.unconsumed_tail:
        return NotLookedInto(f"a compressed message of {len(payload)} bytes, which holds too much")
    return out
