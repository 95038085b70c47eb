"""Content codings (RFC 9110 8.4.1): undone to redact, done again. Bounded, so that a small body
cannot fill the memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

import zstandard

__all__ = [
    "MAX_DECODED_BYTES",
    "MAX_GROWTH",
    "CodingError",
    "Decoder",
    "Encoder",
    "coded",
    "codings_of",
    "decoded",
    "decoder_of",
    "is_known",
    "is_plain",
    "may_be_coded",
    "seen_coding",
]

MAX_DECODED_BYTES: Final = 64 * 1024 * 1024
"""The most that a body may hold once its coding is undone."""

MAX_GROWTH: Final = 100
"""By how much more than that a body may grow that comes as a stream, for each of its bytes."""

_GZIP: Final = 16 + zlib.MAX_WBITS
_ZLIB: Final = zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
_ZSTD: Final = 0
_WINDOWS_OF_CODING: Final = {
    "gzip": (_GZIP,),
    "x-gzip": (_GZIP,),
    "deflate": (_ZLIB, _RAW),
    "zstd": (_ZSTD,),
}
"""What is tried for each. RFC 9110 8.4.1.2: deflate is zlib; some servers send it raw."""

_MAX_MEMBERS: Final = 1000
"""So many members or frames one body may have: to open each costs time."""

_MAGIC: Final = {"gzip": b"\x1f\x8b\x08", "zstd": b"\x28\xb5\x2f\xfd"}
_ZSTD_PIECE_BYTES: Final = 1024
"""Of so much input zstd makes at most 32 MiB: 256 blocks."""

_CONTROL: Final = bytes(code for code in range(32) if code not in b"\t\n\r\x0c")


def codings_of(content_encoding: str) -> list[str]:
    """The codings of a ``Content-Encoding`` value in the order of application; identity is none."""
    codings = [coding.strip().lower() for coding in content_encoding.split(",")]
    return [coding for coding in codings if coding not in ("", "identity")]


def seen_coding(data: bytes, *, torn: bool = False) -> list[str]:
    """The coding that bytes show themselves to have, whatever is said of them (RFC 1952 2.3.1, RFC
    8878 3.1.1, RFC 1950 2.2). Of ``torn`` ones the end is not looked for.
    """
    for coding, magic in _MAGIC.items():
        if data.startswith(magic):
            return [coding]
    is_zlib = data[:1] == b"\x78" and int.from_bytes(data[:2], "big") % 31 == 0
    return ["deflate"] if is_zlib and (torn or _inflated(data, _ZLIB) is not None) else []


def decoded(data: bytes, codings: list[str]) -> tuple[bytes, list[int]] | None:
    """``data`` with its codings undone and what :func:`coded` needs to do them again; None if they
    cannot be.

    Plain text is returned as it is, whatever the field says: a browser's HAR names the coding that
    it has undone.
    """
    if not codings or is_plain(data):
        return data, []
    windows = []
    for coding in reversed(codings):
        for window in _WINDOWS_OF_CODING.get(coding, ()):
            undone = _unpacked(data) if window == _ZSTD else _inflated(data, window)
            if undone is not None:
                data = undone
                windows.append(window)
                break
        else:
            return None
    return data, windows[::-1]


def coded(data: bytes, windows: list[int]) -> bytes:
    """``data`` with the codings that :func:`decoded` undid done again. Equal data gives equal
    bytes.
    """
    for window in windows:
        if window == _ZSTD:
            data = zstandard.ZstdCompressor().compress(data)
            continue
        deflate = zlib.compressobj(wbits=window)
        data = deflate.compress(data) + deflate.flush()
    return data


def is_plain(data: bytes, *, torn: bool = False) -> bool:
    """Whether ``data`` is text; of a ``torn`` one the last character may be incomplete."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as exc:
        if not (torn and exc.reason == "unexpected end of data"):
            return False
    return data.translate(None, _CONTROL) == data


# As they come


class CodingError(ValueError):
    """What came is not of its coding, has more behind its end, or grows too much."""


def is_known(coding: str) -> bool:
    """Whether a coding can be undone."""
    return coding in _WINDOWS_OF_CODING


def may_be_coded(data: bytes) -> bool:
    """Whether the first bytes of something may be those of a coding that is not announced."""
    is_zlib = data[:1] == b"\x78" and (len(data) < 2 or int.from_bytes(data[:2], "big") % 31 == 0)
    return is_zlib or any(data.startswith(m) or m.startswith(data) for m in _MAGIC.values())


def decoder_of(coding: str, data: bytes) -> tuple[Decoder, bytes] | None:
    """A decoder for ``coding`` that has read ``data``, the first bytes of a stream, and what it
    made of them; None if they are not of that coding.
    """
    for window in _WINDOWS_OF_CODING[coding]:
        decoder = Decoder(window)
        try:
            return decoder, b"".join(decoder.feed(data))
        except CodingError:
            pass
    return None


class Decoder:
    """Undoes a coding as it comes. In memory is one piece of what a step makes, and of zstd one
    window of at most :data:`MAX_DECODED_BYTES`.

    All that it made may be :data:`MAX_DECODED_BYTES`, and beyond that :data:`MAX_GROWTH` times what
    came.
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self.ended = False
        """Whether what came is complete."""
        self._members = 0
        self._came_bytes = 0
        self._made_bytes = 0
        self._begin()

    def _begin(self) -> None:
        self._members += 1
        if self._members > _MAX_MEMBERS:
            raise CodingError("too many members")
        self.ended = False
        self._inflate = None if self.window == _ZSTD else zlib.decompressobj(self.window)
        self._unpack = (
            zstandard.ZstdDecompressor(max_window_size=MAX_DECODED_BYTES).decompressobj()
            if self.window == _ZSTD
            else None
        )

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What ``data`` makes, in pieces. Raises :class:`CodingError`."""
        at = 0
        while at < len(data):
            if self.ended:
                if self.window not in (_GZIP, _ZSTD):
                    raise CodingError("more behind the end")
                self._begin()
            step = data[at : at + _ZSTD_PIECE_BYTES]
            try:
                made, unused = self._step(step)
            except (zlib.error, zstandard.ZstdError) as exc:
                raise CodingError(str(exc)) from exc
            at += len(step) - len(unused)
            self._came_bytes += len(step) - len(unused)
            self._made_bytes += len(made)
            if self._made_bytes > MAX_DECODED_BYTES + MAX_GROWTH * self._came_bytes:
                raise CodingError("it grows too much")
            if made:
                yield made

    def _step(self, data: bytes) -> tuple[bytes, bytes]:
        if self._inflate is not None:
            made = self._inflate.decompress(data)
            self.ended = self._inflate.eof
            return made, self._inflate.unused_data
        assert self._unpack is not None
        made = self._unpack.decompress(data)
        self.ended = self._unpack.eof
        return made, self._unpack.unused_data


class Encoder:
    """Does a coding again as text comes. Equal steps give equal bytes."""

    def __init__(self, window: int) -> None:
        self._deflate = (
            None if window == _ZSTD else zlib.compressobj(zlib.Z_BEST_SPEED, wbits=window)
        )
        self._pack = zstandard.ZstdCompressor().compressobj()

    def feed(self, data: bytes) -> bytes:
        """The bytes that are ready."""
        return self._pack.compress(data) if self._deflate is None else self._deflate.compress(data)

    def flush(self) -> bytes:
        """The bytes with which all that was fed can be read."""
        if self._deflate is None:
            return self._pack.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        return self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        """The bytes that end the stream."""
        return self._pack.flush() if self._deflate is None else self._deflate.flush()


def _inflated(data: bytes, window: int) -> bytes | None:
    pieces = []
    room = MAX_DECODED_BYTES
    try:
        # RFC 1952 2.2: a gzip file may have several members.
        for _ in range(_MAX_MEMBERS):
            inflate = zlib.decompressobj(window)
            pieces.append(inflate.decompress(data, room + 1))
            room -= len(pieces[-1])
            if room < 0 or not inflate.eof:
                return None
            data = inflate.unused_data
            if not data:
                return b"".join(pieces)
            if window != _GZIP:
                return None
    except zlib.error:
        pass
    return None


def _unpacked(data: bytes) -> bytes | None:
    pieces = []
    room = MAX_DECODED_BYTES
    at = 0
    try:
        for _ in range(_MAX_MEMBERS):
            unpack = zstandard.ZstdDecompressor(max_window_size=MAX_DECODED_BYTES).decompressobj()
            while at < len(data) and not unpack.eof:
                pieces.append(unpack.decompress(data[at : at + _ZSTD_PIECE_BYTES]))
                at += _ZSTD_PIECE_BYTES
                room -= len(pieces[-1])
                if room < 0:
                    return None
            if not unpack.eof:
                return None
            at = min(at, len(data)) - len(unpack.unused_data)
            if at == len(data):
                return b"".join(pieces)
    except zstandard.ZstdError:
        pass
    return None
