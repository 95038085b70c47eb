"""The fields of HAR 1.2 that a recording needs, and what their values mean. Pure.

Read leniently: tools differ in what they leave out and in how they write it. The names are those of
the format (http://www.softwareishard.com/blog/har-12-spec/) and, with ``_``, of Chrome, Playwright
and mitmproxy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec

from recorder.importers.har_values import text_bytes, wire_text
from recorder.model import Headers

__all__ = [
    "Content",
    "Message",
    "Pair",
    "PostData",
    "RequestFields",
    "ResponseFields",
    "Timings",
    "decode",
    "header_fields",
    "one_line",
]

_T = TypeVar("_T")

MAX_EXTRA_BYTES: Final = 64 * 1024
"""The longest field that is kept although a recording has no place of its own for it."""


class Pair(msgspec.Struct, frozen=True):
    """A header field, or a parameter of a form."""

    name: str = ""
    value: str | None = None


class PostData(msgspec.Struct, frozen=True, rename={"mime_type": "mimeType"}):
    """The body of a request. ``_encoding`` is ours, as HAR has none for it."""

    mime_type: str | None = None
    text: str | None = None
    params: list[Pair] | None = None
    encoding: str | None = None
    _encoding: str | None = None

    @property
    def body(self) -> bytes | None:
        """Its bytes; made of its parameters where the text is missing; None if there is nothing."""
        if self.text:
            return text_bytes(self.text, self._encoding or self.encoding, self.mime_type)
        if self.params and "urlencoded" in (self.mime_type or "").lower():
            pairs = [(wire_text(each.name), wire_text(each.value or "")) for each in self.params]
            return urlencode(pairs, encoding="iso-8859-1").encode("ascii")
        return None


class RequestFields(
    msgspec.Struct,
    frozen=True,
    rename={"http_version": "httpVersion", "post_data": "postData", "body_size": "bodySize"},
):
    """A request of HAR 1.2, without what its head says already."""

    method: str
    url: str
    http_version: str | None = None
    headers: list[Pair] | None = None
    post_data: PostData | None = None
    body_size: float | None = None


class Content(msgspec.Struct, frozen=True, rename={"mime_type": "mimeType"}):
    """The body of a response; ``text`` is None where the tool did not keep it. ``_coded``, which is
    ours, says that its content coding is not undone.
    """

    size: float | None = None
    mime_type: str | None = None
    text: str | None = None
    encoding: str | None = None
    _coded: bool | None = None

    @property
    def is_coded(self) -> bool:
        """Whether the body is as its ``Content-Encoding`` says."""
        return bool(self._coded)

    @property
    def body(self) -> bytes | None:
        """Its bytes, as a rule with content codings undone; None if the HAR does not hold them."""
        if self.text is None:
            return None
        return text_bytes(self.text, self.encoding, self.mime_type)


class ResponseFields(
    msgspec.Struct,
    frozen=True,
    rename={
        "status_text": "statusText",
        "http_version": "httpVersion",
        "error": "_error",
        "failure_text": "_failureText",
    },
):
    """A response of HAR 1.2. ``status`` is 0 or -1 where there was none."""

    status: int | None = None
    status_text: str | None = None
    http_version: str | None = None
    headers: list[Pair] | None = None
    content: Content | None = None
    error: str | None = None
    failure_text: str | None = None

    @property
    def code(self) -> int:
        """The status code, 0 where there was no response."""
        return self.status if self.status is not None and 100 <= self.status <= 999 else 0

    @property
    def failure(self) -> str:
        """What the tool says of why it failed; "" if it did not, or says nothing."""
        return self.failure_text or self.error or ""


class Timings(msgspec.Struct, frozen=True):
    """Milliseconds of each phase, -1 or None where unknown; ``ssl`` is part of ``connect``."""

    blocked: Decimal | None = None
    dns: Decimal | None = None
    connect: Decimal | None = None
    send: Decimal | None = None
    wait: Decimal | None = None
    receive: Decimal | None = None


class Message(msgspec.Struct, frozen=True):
    """A message of ``_webSocketMessages``. ``type`` is ``send``, ``receive``, or Chrome's
    ``error``.
    """

    type: str | None = None
    time: Decimal | None = None
    opcode: int | None = None
    data: str | None = None


def decode(data: bytes, kind: type[_T]) -> _T:
    """A JSON value as ``kind``. Raises ValueError, whose message holds none of its values.

    Bytes that are no UTF-8, and escapes of single surrogates (mitmproxy writes such a byte so),
    become surrogates as PEP 383 has them; :func:`text_bytes` makes them bytes again.
    """
    try:
        return msgspec.json.decode(data, type=kind, strict=False)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        value: Any = _loads(data)
    return msgspec.convert(value, kind, strict=False)


def _loads(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8", "surrogateescape"), parse_float=Decimal)
    except ValueError as error:
        # The error of `json` quotes nothing, but carries the whole document with it.
        raise ValueError(f"it is no JSON: {error.args[0]}") from None


def one_line(data: bytes) -> msgspec.Raw | None:
    """A JSON value as it may stand in a line; None if it is none, or longer than
    :data:`MAX_EXTRA_BYTES`.
    """
    try:
        msgspec.json.decode(data)
    except ValueError:
        return None
    # A line break outside a string is white space, and inside of one there is none.
    line = data.replace(b"\n", b" ").replace(b"\r", b" ")
    return msgspec.Raw(line) if len(line) <= MAX_EXTRA_BYTES else None


def header_fields(pairs: Iterable[Pair] | None) -> Headers:
    """Header fields as they stood in HTTP/1.1.

    Of HTTP/2's pseudo fields (RFC 9113 section 8.3) ``:authority`` becomes ``Host``; the others say
    what the head says. Chrome joins several fields of a name, as ``Set-Cookie``, by line breaks.
    """
    fields: Headers = []
    for pair in pairs or ():
        name = "Host" if pair.name.lower() == ":authority" else wire_text(pair.name)
        if name and not name.startswith(":"):
            fields += [(name, wire_text(value)) for value in (pair.value or "").split("\n")]
    return fields
