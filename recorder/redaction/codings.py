"""Content codings (RFC 9110 8.4.1): undone to redact, done again. Bounded, so that a small body
cannot fill the memory.
"""

from __future__ import annotations

import zlib
from typing import Final

import zstandard

__all__ = ["MAX_DECODED_BYTES", "coded", "codings_of", "decoded", "seen_coding"]

MAX_DECODED_BYTES: Final = 64 * 1024 * 1024
"""The most that a body may hold once its coding is undone."""

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


def seen_coding(data: bytes) -> list[str]:
    """The coding that bytes show themselves to have, whatever is said of them (RFC 1952 2.3.1, RFC
    8878 3.1.1, RFC 1950 2.2).
    """
    for coding, magic in _MAGIC.items():
        if data.startswith(magic):
            return [coding]
    is_zlib = data[:1] == b"\x78" and int.from_bytes(data[:2], "big") % 31 == 0
    return ["deflate"] if is_zlib and _inflated(data, _ZLIB) is not None else []


def decoded(data: bytes, codings: list[str]) -> tuple[bytes, list[int]] | None:
    """``data`` with its codings undone and what :func:`coded` needs to do them again; None if they
    cannot be.

    Plain text is returned as it is, whatever the field says: a browser's HAR names the coding that
    it has undone.
    """
    if not codings or _is_plain(data):
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


def _is_plain(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return data.translate(None, _CONTROL) == data


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
