"""Content codings (RFC 9110 8.4.1): undone to redact, done again. Bounded, so that a small body
cannot fill the memory.
"""

from __future__ import annotations

import zlib
from typing import Final

__all__ = ["MAX_DECODED_BYTES", "coded", "codings_of", "decoded"]

MAX_DECODED_BYTES: Final = 64 * 1024 * 1024
"""The most that a body may hold once its coding is undone."""

_GZIP: Final = 16 + zlib.MAX_WBITS
_ZLIB: Final = zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
_WINDOWS_OF_CODING: Final = {"gzip": (_GZIP,), "x-gzip": (_GZIP,), "deflate": (_ZLIB, _RAW)}
"""RFC 9110 8.4.1.2: deflate is zlib; some servers send it raw."""

_CONTROL: Final = bytes(code for code in range(32) if code not in b"\t\n\r\x0c")


def codings_of(content_encoding: str) -> list[str]:
    """The codings of a ``Content-Encoding`` value in the order of application; identity is none."""
    codings = [coding.strip().lower() for coding in content_encoding.split(",")]
    return [coding for coding in codings if coding not in ("", "identity")]


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
            undone = _inflated(data, window)
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
        while data:
            inflate = zlib.decompressobj(window)
            pieces.append(inflate.decompress(data, room + 1))
            room -= len(pieces[-1])
            if room < 0 or not inflate.eof:
                return None
            data = inflate.unused_data
            if data and window != _GZIP:
                return None
    except zlib.error:
        return None
    return b"".join(pieces)
