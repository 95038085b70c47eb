"""Recordings with secrets in them, and what `leaks` says of them."""

from __future__ import annotations

import base64
import gzip
import html
import json
import tempfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

import msgspec
import zstandard

from recorder.leaks import Finding, KnownValue, Look, Patterns, Values
from recorder.model import Header, Redaction
from tests.recording.files import record
from tests.strategies import make_header

__all__ = [
    "BYTE_WRAPS",
    "TEXT_WRAPS",
    "detectors",
    "header",
    "known",
    "look_at",
    "look_through",
]


def header(profile: str = "secrets", **changes: Any) -> Header:
    """A header that says it was redacted with ``profile``."""
    plain = make_header()
    changes = {"upstream": None, "meta": {}, "extra": {}, "series": None, **changes}
    return msgspec.structs.replace(plain, redaction=Redaction(profile=profile), **changes)


def known(*values: str) -> Values:
    """Values to look for, named V1, V2 …"""
    return Values(KnownValue(f"V{number}", value) for number, value in enumerate(values, 1))


def look_through(
    path: Path,
    values: Values | None = None,
    *,
    profile: str | None = None,
    allow: Iterable[str] = (),
) -> tuple[list[Finding], Look]:
    """All findings in a file, and the look that found them."""
    look = Look(path, values or Values(), profile=profile, allowed=Patterns(allow))
    return list(look.findings()), look


def look_at(
    entries: Iterable[Any],
    values: Values | None = None,
    *,
    profile: str = "secrets",
    allow: Iterable[str] = (),
    head: Header | None = None,
) -> list[Finding]:
    """All findings in a recording of ``entries``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.track.jsonl")
        record(path, list(entries), header=head or header(profile))
        return look_through(path, values, allow=allow)[0]


def detectors(findings: Iterable[Finding]) -> list[str]:
    """What found them, in order."""
    return [finding.detector for finding in findings]


def _percent_all(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def _json_all(text: str) -> str:
    units = text.encode("utf-16-be")
    return "".join(f"\\u{units[i] << 8 | units[i + 1]:04X}" for i in range(0, len(units), 2))


def _base64_after(before: bytes, encode: Callable[[bytes], bytes]) -> Callable[[str], str]:
    return lambda text: encode(before + text.encode() + b";").decode().rstrip("=")


TEXT_WRAPS: Final[dict[str, Callable[[str], str]]] = {
    "as it is": lambda text: text,
    "in a sentence": lambda text: f"ab {text} cd",
    "percent": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "every byte percent-encoded, small hex": _percent_all,
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "JSON": lambda text: json.dumps({"x": text}),
    "JSON with letters": lambda text: json.dumps({"x": text}, ensure_ascii=False),
    "JSON with slashes escaped": lambda text: json.dumps([text]).replace("/", "\\/"),
    "every unit of JSON escaped": lambda text: f'["{_json_all(text)}"]',
    "base64": _base64_after(b"", base64.b64encode),
    "base64, one before": _base64_after(b"x", base64.b64encode),
    "base64, two before": _base64_after(b"xy", base64.b64encode),
    "base64 for URLs": _base64_after(b"x?", base64.urlsafe_b64encode),
    "hex": lambda text: text.encode().hex(),
    "capital hex": lambda text: text.encode().hex().upper(),
    "gzip in base64": lambda text: base64.b64encode(gzip.compress(text.encode())).decode(),
    "gzip in hex": lambda text: gzip.compress(text.encode()).hex(),
    "gzip in percent": lambda text: quote(gzip.compress(text.encode()), safe=""),
    "base64 in lines": lambda text: base64.encodebytes(b"." * 50 + text.encode()).decode(),
    "HTML": html.escape,
    "HTML by numbers": lambda text: "".join(f"&#{ord(char)};" for char in text),
}
"""How a text may stand in another."""


def _raw_deflate(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(data) + deflate.flush()


BYTE_WRAPS: Final[dict[str, tuple[str | None, Callable[[bytes], bytes]]]] = {
    "as they are": (None, lambda data: data),
    "gzip": ("gzip", gzip.compress),
    "gzip, unsaid": (None, gzip.compress),
    "two members": ("gzip", lambda data: gzip.compress(data[:5]) + gzip.compress(data[5:])),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("Deflate", _raw_deflate),
    "zstd": ("zstd", lambda data: zstandard.ZstdCompressor().compress(data)),
    "both": ("deflate, gzip", lambda data: gzip.compress(zlib.compress(data))),
    "not compressed, but said so": ("gzip", lambda data: data),
}
"""Content codings: what the head says, and what is done."""
