"""Bodies of HTTP/1.1 messages (RFC 9112 section 6): where one ends, and what it holds. Pure.

:func:`request_body` and :func:`response_body` choose a reader by the head. A reader is fed chunks
of any size and gives what the body holds at once, so that a body of any length takes the memory of
one chunk. Once it has ``ended`` or is ``broken`` it is to be fed nothing more.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from recorder.wire.handshake import MAX_HEAD_BYTES

__all__ = [
    "BodyReader",
    "ChunkedBody",
    "SizedBody",
    "UntilClose",
    "request_body",
    "response_body",
]

_MAX_LINE_BYTES: Final = 4096
"""No line with the size of a chunk is that long, with whatever extensions."""

_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")


class BodyReader(Protocol):
    """What the three readers share.

    ``ended``: the body is whole. ``broken``: why no more of it can be read, one sentence.
    ``needs_close``: the end of the stream is what ends it. ``trailer``: the fields behind a chunked
    body, as bytes.
    """

    ended: bool
    broken: str | None
    needs_close: bool
    trailer: bytes

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take the next chunk. Returns what the body holds of it, transfer encoding undone, and
        what stands behind its end, or at and behind what broke it; the latter is empty while the
        body goes on.
        """
        ...

    @property
    def held(self) -> bytes:
        """The bytes of an incomplete line."""
        ...


class SizedBody:
    """A body of ``Content-Length`` bytes, at least one."""

    broken: str | None = None
    needs_close = False
    trailer = b""
    held = b""

    def __init__(self, size_bytes: int) -> None:
        self.ended = False
        self._left = size_bytes

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        body, behind = data[: self._left], data[self._left :]
        self._left -= len(body)
        self.ended = not self._left
        return body, behind


class UntilClose:
    """A response's body that the end of the stream ends."""

    ended = False
    broken: str | None = None
    needs_close = True
    trailer = b""
    held = b""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        return data, b""


class ChunkedBody:
    """A body in chunks (RFC 9112 section 7.1); bare LF is taken, extensions are dropped."""

    needs_close = False

    def __init__(self) -> None:
        self.ended = False
        self.broken: str | None = None
        self.trailer = b""
        self._left = 0
        self._line = b""
        self._read_line = self._size

    @property
    def held(self) -> bytes:
        return self._line

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        body = []
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                body.append(piece)
                self._left -= len(piece)
                at += len(piece)
                continue
            newline = data.find(b"\n", at) + 1
            line = self._line + (data[at:newline] if newline else data[at:])
            at = newline or len(data)
            self._line = b"" if newline else line
            if len(line) > _MAX_LINE_BYTES:
                self.broken = "a line between the chunks of a body is too long"
            elif newline:
                self._read_line(line)
            if self.broken is not None:
                self._line = b""
                return b"".join(body), line + data[at:]
            if self.ended:
                return b"".join(body), data[at:]
        return b"".join(body), b""

    def _size(self, line: bytes) -> None:
        found = _SIZE_LINE.fullmatch(line)
        if found is None:
            self.broken = "no size of a chunk stands where one is due"
            return
        self._left = int(found[1], 16)
        self._read_line = self._end_of_chunk if self._left else self._trailer_line

    def _end_of_chunk(self, line: bytes) -> None:
        if line.strip(b"\r\n"):
            self.broken = "a chunk is longer than its size"
        self._read_line = self._size

    def _trailer_line(self, line: bytes) -> None:
        if line in (b"\r\n", b"\n"):
            self.ended = True
        elif len(self.trailer) + len(line) > MAX_HEAD_BYTES:
            self.broken = f"more than {MAX_HEAD_BYTES} bytes of fields stand behind a body"
        else:
            self.trailer += line


def request_body(headers: list[tuple[str, str]]) -> BodyReader | None:
    """The reader of a request's body, None if it has none (RFC 9112 section 6.3).

    Raises ValueError, one sentence, where nobody can say where the body ends.
    """
    codings = _transfer_codings(headers)
    if codings and codings[-1] != "chunked":
        raise ValueError("the transfer encoding of a request does not end with chunked")
    return ChunkedBody() if codings else _sized(headers)


def response_body(method: str, status: int, headers: list[tuple[str, str]]) -> BodyReader | None:
    """The same for a final response to ``method``. Without a length it goes on until the end of the
    stream.
    """
    if method == "HEAD" or status in (204, 304):
        return None
    codings = _transfer_codings(headers)
    if codings:
        return ChunkedBody() if codings[-1] == "chunked" else UntilClose()
    return _sized(headers) if _lengths(headers) else UntilClose()


def _sized(headers: list[tuple[str, str]]) -> SizedBody | None:
    lengths = _lengths(headers)
    if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
        raise ValueError("the Content-Length is no number, or two different ones")
    size_bytes = int(lengths.pop()) if lengths else 0
    return SizedBody(size_bytes) if size_bytes else None


def _lengths(headers: list[tuple[str, str]]) -> set[str]:
    # "5, 5" is what some senders make of two equal fields (RFC 9110 section 8.6).
    return set(_members(headers, "content-length"))


def _transfer_codings(headers: list[tuple[str, str]]) -> list[str]:
    return [coding.lower() for coding in _members(headers, "transfer-encoding")]


def _members(headers: list[tuple[str, str]], name: str) -> list[str]:
    """The members of a field that is a list, in order (RFC 9110 section 5.6.1)."""
    return [
        member.strip(" \t")
        for key, value in headers
        if key.lower() == name
        for member in value.split(",")
    ]
