"""What the values in a HAR mean: texts, URLs, versions and times. Pure.

Tools differ in how they write them; each function takes all that were seen.
"""

from __future__ import annotations

import base64
import codecs
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from recorder.model import Headers
from recorder.redaction.codings import codings_of
from recorder.wire.handshake import header_value

__all__ = [
    "charset_of",
    "http_version",
    "message_time_ns",
    "milliseconds_ns",
    "origin_of",
    "start_ns",
    "target_of",
    "text_bytes",
    "wire_text",
    "without_coding",
]

_URL: Final = re.compile(r"(?i)(https?|wss?)://([^/?#]*)([^?#]*)(\?[^#]*)?")
_MAGIC_OF_CODING: Final = {
    "gzip": b"\x1f\x8b",
    "x-gzip": b"\x1f\x8b",
    "zstd": b"\x28\xb5\x2f\xfd",
}

# Texts


def text_bytes(text: str, encoding: str | None, mime_type: str | None) -> bytes:
    """The bytes of a text in a HAR: ``base64``, or in the charset of its media type."""
    if encoding == "base64":
        try:
            return base64.b64decode("".join(text.split()) if "\n" in text else text, validate=True)
        except ValueError:
            pass
    charset = charset_of(mime_type)
    if charset != "utf-8":
        try:
            return text.encode(charset)
        except UnicodeEncodeError:
            pass
    return _encoded(text)


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def charset_of(media_type: str | None) -> str:
    """The one-byte charset that a media type names, else ``utf-8``."""
    found = _CHARSET.search(media_type or "")
    if found is not None:
        try:
            return codecs.lookup(found[1]).name
        except LookupError:
            pass
    return "utf-8"


_CHARSET: Final = re.compile(r"(?i);\s*charset\s*=\s*\"?((?:iso-8859-|windows-125)\d{1,2})\b")


def wire_text(text: str) -> str:
    """A text of a head as a recording has it: ISO 8859-1 (RFC 9110 section 5.5)."""
    if text.isascii():
        return text
    try:
        text.encode("iso-8859-1")
    except UnicodeEncodeError:
        return _encoded(text).decode("iso-8859-1")
    return text


def origin_of(url: str) -> str:
    """Scheme and authority of a URL, the scheme being that of HTTP; "" if it goes over no network,
    as ``data:``.
    """
    found = _URL.match(url)
    if found is None:
        return ""
    scheme = {"ws": "http", "wss": "https"}.get(found[1].lower(), found[1].lower())
    return f"{scheme}://{found[2].rpartition('@')[2]}"


def target_of(url: str) -> str:
    """Path and query of a URL: the target of a request for it."""
    found = _URL.match(url)
    return wire_text(url if found is None else (found[3] or "/") + (found[4] or ""))


def without_coding(headers: Headers, body: bytes) -> tuple[Headers, str]:
    """``headers`` as they fit ``body``, and the content coding that it had.

    A HAR holds a body with its coding undone, a recording keeps it coded: with the field in its
    head the body would be read wrongly. A body that is coded after all leaves the head as it is.
    """
    coding = header_value(headers, "content-encoding") or ""
    codings = codings_of(coding)
    if not codings or body.startswith(_MAGIC_OF_CODING.get(codings[-1], b"\0none")):
        return headers, ""
    return [pair for pair in headers if pair[0].lower() != "content-encoding"], coding


def http_version(text: str | None) -> str:
    """The version in ``HTTP/1.1``, ``http/2.0``, ``h3`` and what else tools write; 1.1 if none."""
    found = _HTTP_VERSION.match(text or "")
    if found is None:
        return "1.1"
    return found[1] if int(found[1]) >= 2 else f"{found[1]}.{found[2] or 1}"


_HTTP_VERSION: Final = re.compile(r"(?i)h(?:ttp/)?(\d)(?:\.(\d))?")


# Times


def start_ns(text: str | None) -> int | None:
    """Nanoseconds since 1970 of ``startedDateTime`` (ISO 8601); None if it is none.

    Without a zone it is UTC.
    """
    found = _DATE.fullmatch(text or "")
    if found is None:
        return None
    seconds, fraction, zone = found[1], found[2] or "", found[3] or "Z"
    try:
        moment = datetime.fromisoformat(f"{seconds.replace(' ', 'T')}{zone}")
    except ValueError:
        return None
    whole_s = (moment - _EPOCH) // timedelta(seconds=1)
    return whole_s * 1_000_000_000 + int(fraction[:9].ljust(9, "0")) if whole_s >= 0 else None


_DATE: Final = re.compile(
    r"\s*(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,](\d{1,30}))?(Z|[+-]\d\d:?\d\d)?\s*", re.ASCII
)
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00Z")
_MAX_TIME: Final = 10**13
"""Milliseconds of a time or a duration, three centuries: beyond it a number is none."""


def message_time_ns(time: Decimal | None) -> int | None:
    """Nanoseconds since 1970 of a message's ``time``; None if it is no moment since 1973.

    Seconds in Chrome and mitmproxy, milliseconds in Playwright: seconds since 1970 stay below
    10^11 for three thousand years, milliseconds have been above since 1973.
    """
    if time is None or not time.is_finite() or not 10**8 <= time < _MAX_TIME:
        return None
    return int(time * (10**9 if time < 10**11 else 10**6))


def milliseconds_ns(time: Decimal | None) -> int | None:
    """A duration in nanoseconds; None where it is not known, which HAR writes as -1."""
    if time is None or not time.is_finite() or not 0 <= time < _MAX_TIME:
        return None
    return int(time * 10**6)
