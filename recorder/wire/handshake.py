"""The opening handshake: HTTP heads as bytes, keys and accepts (RFC 6455 section 4, RFC 9112).
Pure.

Heads are read leniently (bare LF, odd reason phrases) since they are evidence; what a strict server
or client makes of them is told by :func:`check_key` and :func:`check_accept`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from typing import Final

import msgspec

__all__ = [
    "MAX_HEAD_BYTES",
    "HeadReader",
    "RequestHead",
    "ResponseHead",
    "accept_for",
    "check_accept",
    "check_key",
    "header_value",
    "new_key",
    "parse_request_head",
    "parse_response_head",
]

MAX_HEAD_BYTES: Final = 64 * 1024
"""A head longer than this is refused."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_REQUEST_LINE: Final = re.compile(
    # ASCII: the bytes of UTF-8, which stand as ISO 8859-1, are no white space.
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP/(\d+(?:\.\d+)?)[ \t]*\Z",
    re.ASCII,
)
_STATUS_LINE: Final = re.compile(r"HTTP/(\d+(?:\.\d+)?) (\d{3})(?: (.*))?\Z", re.ASCII)
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")


class RequestHead(msgspec.Struct, frozen=True):
    """The head of a request; header fields in order and case, as ISO 8859-1."""

    method: str
    target: str
    http_version: str
    headers: list[tuple[str, str]]


class ResponseHead(msgspec.Struct, frozen=True):
    """The head of a response; header fields in order and case, as ISO 8859-1."""

    status: int
    reason: str
    http_version: str
    headers: list[tuple[str, str]]


def header_value(headers: list[tuple[str, str]], name: str) -> str | None:
    """The value of the first field of that name (in any case), or None."""
    lower = name.lower()
    return next((value for key, value in headers if key.lower() == lower), None)


class HeadReader:
    """Collects bytes until a head's blank line is there.

    ``feed`` returns None while it is not, then ``(head, rest)``: the head with its blank line, and
    what came behind it. It raises ValueError once more than :data:`MAX_HEAD_BYTES` came without
    one.
    """

    def __init__(self) -> None:
        self._buffer = b""

    @property
    def held(self) -> bytes:
        """What came so far."""
        return self._buffer

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        # The blank line may straddle the chunks, by at most three bytes.
        search_from = max(0, len(self._buffer) - 3)
        self._buffer += data
        found = _HEAD_END.search(self._buffer, search_from)
        if (len(self._buffer) if found is None else found.end()) > MAX_HEAD_BYTES:
            raise ValueError(f"no end of an HTTP head within {MAX_HEAD_BYTES} bytes")
        if found is None:
            return None
        return self._buffer[: found.end()], self._buffer[found.end() :]


def parse_request_head(data: bytes) -> RequestHead:
    """Read a request's head. ValueError, one sentence without the head's values, if it is none."""
    first, headers = _lines(data)
    match = _REQUEST_LINE.match(first)
    if match is None:
        raise ValueError("the first line is no HTTP request line")
    return RequestHead(match[1], match[2], match[3], headers)


def parse_response_head(data: bytes) -> ResponseHead:
    """Read a response's head. ValueError, one sentence without the head's values, if it is none."""
    first, headers = _lines(data)
    match = _STATUS_LINE.match(first)
    if match is None:
        raise ValueError("the first line is no HTTP status line")
    return ResponseHead(int(match[2]), match[3] or "", match[1], headers)


def _lines(data: bytes) -> tuple[str, list[tuple[str, str]]]:
    lines = [line.rstrip("\r") for line in data.decode("iso-8859-1").split("\n")]
    headers: list[tuple[str, str]] = []
    for line in lines[1:]:
        if not line:
            continue
        if line[0] in " \t" and headers:
            # A folded line belongs to the one before (RFC 9112 section 5.2).
            folded, begun = headers[-1]
            headers[-1] = folded, begun + " " + line.strip(" \t")
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError("a line of an HTTP head has no colon")
        headers.append((name, value.strip(" \t")))
    return lines[0], headers


def new_key() -> str:
    """A `Sec-WebSocket-Key`: 16 random bytes in base64 (RFC 6455 section 4.1)."""
    return base64.b64encode(os.urandom(16)).decode("ascii")


def accept_for(key: str) -> str:
    """The `Sec-WebSocket-Accept` for a key (RFC 6455 section 4.2.2). The key is taken as it stands,
    of any length.
    """
    # The RFC names SHA-1; nothing here relies on its strength.
    digest = hashlib.sha1(key.strip().encode("iso-8859-1") + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def check_key(key: str) -> str | None:
    """Why a key is not 16 bytes in base64 (RFC 6455 section 4.1, manual section 3.2), or None if it
    is.
    """
    try:
        size = len(base64.b64decode(key.strip(), validate=True))
    except (binascii.Error, ValueError):
        return "it is not base64"
    return None if size == 16 else f"it holds {size} bytes"


def check_accept(key: str, accept: str | None) -> str | None:
    """Why an accept does not answer the key, or None if it does (RFC 6455 section 4.1)."""
    if accept is None:
        return "the response has no Sec-WebSocket-Accept"
    if accept.strip() != accept_for(key):
        return "Sec-WebSocket-Accept does not answer the key that was sent"
    return None
