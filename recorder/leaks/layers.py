"""A text as it reads once what wraps it is undone: percent and JSON escapes, character references,
base64, hex, compression, one inside the other.

Everything is bounded: at most :data:`MAX_DEPTH` wraps are undone, and what comes out may be so many
times the size of what went in. What lies beyond is told as
:class:`~recorder.leaks.inflating.NotLookedInto`.
"""

from __future__ import annotations

import base64
import html
import re
import string
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from recorder.leaks.inflating import GZIP_MAGIC, NotLookedInto, inflated_inside
from recorder.leaks.opaque import archive_in, harmless_kind, opaque_in

__all__ = ["MAX_DEPTH", "Layer", "layers_of", "text_of"]

MAX_DEPTH: Final = 5
"""How many wraps are undone, one inside the other."""

_MAX_BINARY_DEPTH: Final = 2
_MAX_GROWTH: Final = 32
_ROOM_CHARS: Final = 128 * 1024 * 1024

_PERCENT_RUN: Final = re.compile(r"(?:%[0-9a-fA-F]{2})++")
_PERCENT_GZIP: Final = re.compile("%1f%8b", re.IGNORECASE)
_JSON_ESCAPE: Final = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))",
    re.DOTALL,
)
_SHORT_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_REFERENCE: Final = re.compile(r"&(?:#[xX]?[0-9a-fA-F]{1,7}|[a-zA-Z]{2,10});")
_NO_BREAKS: Final = {ord(char): " " for char in "\t\r\n"}
# RFC 2045 6.8: lines of at most 76 characters; PEM has 64.
_BASE64_LINE_END: Final = re.compile(r"(?<=[A-Za-z0-9+/]{60})\r?\n(?=[A-Za-z0-9+/=])")
_MIN_RUN_CHARS: Final = 16
_MAX_KEPT_CHARS: Final = 256
_WORD_CHARS: Final = (string.ascii_letters + string.digits + "+/-_").encode()
_WORDS_ONLY: Final = bytes(code if code in _WORD_CHARS else 32 for code in range(256))
_HEX_RUN: Final = re.compile(r"[0-9a-fA-F]{16,}+")


def _without_bit(bit: int) -> str:
    """The base64 characters (RFC 4648 4 and 5) whose value lacks ``bit``, as a class of a
    pattern.
    """
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits
    pairs = [*enumerate(alphabet), (62, "+"), (62, "-"), (63, "/"), (63, "_")]
    return "[" + "".join(re.escape(char) for value, char in pairs if not value & bit) + "]"


# Base64 of ASCII, wherever in a run of its characters it begins: the first bit of each byte is 0.
# Words look like base64, and ids, and base64 read from the wrong place; few of them like this.
_FIRST, _SECOND, _THIRD = _without_bit(32), _without_bit(8), _without_bit(2)
_BASE64_RUN: Final = re.compile(
    rf"(?:{_FIRST}{_SECOND}{_THIRD}[\w+/-]){{4,}}+(?:{_FIRST}{_SECOND}{_THIRD}?+)?+", re.ASCII
)
# The first bytes of gzip, zstd, zip, bzip2, xz, 7z and RAR in base64, of the first three in hex.
_COMPRESSED: Final = re.compile(
    r"H4sI|KLUv[/_]|UEsDB|QlpoO|[/_]Td6WF|N3q8ry|UmFyIR"
    r"|(?P<hex>1[fF]8[bB]08|28[bB]52[fF][fF][dD]|504[bB]0304)"
)
_MAX_ATTEMPTS: Final = 16
_CODINGS: Final = frozenset({"gzip", "deflate", "zstd"})


class Layer(NamedTuple):
    """A text, and what was undone to read it, the outermost first.

    ``binary`` says that it was bytes that are no UTF-8; they stand one a character. ``harmless`` is
    the kind of what is not looked into and needs not be: ``image``, ``font``.
    """

    text: str
    undone: tuple[str, ...] = ()
    binary: bool = False
    harmless: str | None = None


def text_of(data: bytes, undone: tuple[str, ...] = ()) -> Layer:
    """Bytes as a layer."""
    try:
        return Layer(data.decode("utf-8"), undone)
    except UnicodeDecodeError:
        return Layer(data.decode("iso-8859-1"), undone, binary=True)


def layers_of(outermost: Layer) -> Iterator[Layer | NotLookedInto]:
    """``outermost``, then every text that can be read in it, the outer ones first. Nothing is read
    in what is harmless.
    """
    room = _ROOM_CHARS + _MAX_GROWTH * len(outermost.text)
    seen = {hash(outermost.text)}
    queue = deque([outermost])
    while queue:
        layer = queue.popleft()
        depth = len(layer.undone) - len(outermost.undone)
        # What an escape makes of bytes are none that anybody sent.
        sent = depth == 0 or layer.undone[-1] in _CODINGS
        if layer.binary and sent and layer.harmless is None:
            layer = layer._replace(harmless=harmless_kind(layer.text))
        yield layer
        if layer.harmless is not None:
            continue
        # In random bytes each escape stands by chance, and undone in any order.
        escapes = not (layer.binary and depth >= _MAX_BINARY_DEPTH)
        for inner in chain(_inflated(layer, sent=sent), _undone(layer) if escapes else ()):
            if isinstance(inner, NotLookedInto):
                yield inner
            elif hash(inner.text) not in seen:
                if len(inner.undone) - len(outermost.undone) > MAX_DEPTH:
                    yield NotLookedInto(f"a text inside more than {MAX_DEPTH} encodings")
                    break
                room -= len(inner.text)
                if room < 0:
                    yield NotLookedInto("encodings that hold too much, one inside the other")
                    return
                seen.add(hash(inner.text))
                queue.append(inner)


def _inflated(layer: Layer, *, sent: bool) -> Iterator[Layer | NotLookedInto]:
    """What is compressed in ``layer``, and of what was ``sent`` so, what is no text."""
    text, undone, binary, _ = layer
    if archive := archive_in(text, anywhere=binary):
        yield archive
    if not (binary or GZIP_MAGIC.decode("iso-8859-1") in text):
        return
    data = text.encode("iso-8859-1", "replace")
    end = len(data)
    for inflated in inflated_inside(data):
        if isinstance(inflated, NotLookedInto):
            yield inflated
        else:
            yield text_of(inflated.data, (*undone, inflated.coding))
            if inflated.read:
                end = min(end, inflated.start)
    if binary and sent and not archive and (opaque := opaque_in(data[:end])):
        yield opaque


def _undone(layer: Layer) -> Iterator[Layer | NotLookedInto]:
    """What is read in ``layer`` with one more escape or encoding undone."""
    text, undone, binary, _ = layer
    if "%1" in text and _PERCENT_GZIP.search(text):
        yield text_of(unquote_to_bytes(text), (*undone, "percent-encoded"))
    if "%" in text and (plain := _PERCENT_RUN.sub(_unescape_percent, text)) != text:
        yield Layer(plain, (*undone, "percent-encoded"), binary)
    if "\\" in text and (plain := _JSON_ESCAPE.sub(_unescape_json, text)) != text:
        yield Layer(plain, (*undone, "JSON-escaped"), binary)
    if "&" in text and _REFERENCE.search(text) and (plain := html.unescape(text)) != text:
        yield Layer(plain, (*undone, "as HTML references"), binary)
    if 4 * text.count("\0") > len(text) and (plain := text.replace("\0", "")):
        yield Layer(plain, (*undone, "UTF-16"), binary)
    words = _long_words(_BASE64_LINE_END.sub("", text) if "\n" in text else text)
    for how, runs in (("hex", _hex_runs), ("base64", _base64_runs)):
        if plain := "\n".join(
            plain
            for word in words
            for plain in (runs if len(word) <= _MAX_KEPT_CHARS else runs.__wrapped__)(word)
        ):
            yield Layer(plain, (*undone, how))
    for found in _compressed_runs(words):
        if isinstance(found, NotLookedInto):
            yield found
        else:
            yield Layer(found[1].decode("iso-8859-1"), (*undone, found[0]), binary=True)


def _long_words(text: str) -> list[str]:
    """What stands in the alphabets of base64, 16 characters and more. Most texts have few, and to
    find them so takes a tenth of what a pattern takes.
    """
    words = text.encode("ascii", "replace").translate(_WORDS_ONLY).split()
    return [word.decode("ascii") for word in words if len(word) >= _MIN_RUN_CHARS]


# The same names and ids come again and again: what is kept saves nine tenths of the time.
@lru_cache(maxsize=4096)
def _hex_runs(word: str) -> tuple[str, ...]:
    runs = [
        run[0][start : len(run[0]) - (len(run[0]) - start) % 2]
        for run in _HEX_RUN.finditer(word)
        for start in (0, 1)
    ]
    return tuple(plain for run in runs if (plain := _readable(bytes.fromhex(run))) is not None)


@lru_cache(maxsize=4096)
def _base64_runs(word: str) -> tuple[str, ...]:
    ascii_runs = [run[0] for run in _BASE64_RUN.finditer(word)]
    found = [plain for run in ascii_runs if (plain := _readable(_from_base64(run))) is not None]
    if sum(map(len, ascii_runs)) < len(word) or len(found) < len(ascii_runs):
        # Perhaps of a text that is not all ASCII.
        whole = [_readable(_from_base64(word[start:])) for start in range(4)]
        found += [plain for plain in whole if plain is not None]
    return tuple(found)


def _compressed_runs(words: list[str]) -> Iterator[tuple[str, bytes] | NotLookedInto]:
    attempts = 0
    for word in words:
        for start in _COMPRESSED.finditer(word):
            attempts += 1
            if attempts > _MAX_ATTEMPTS:
                yield NotLookedInto(f"more than {_MAX_ATTEMPTS} compressed streams in one text")
                return
            if start["hex"] is None:
                yield "base64", _from_base64(word[start.start() :])
            elif (run := _HEX_RUN.match(word, start.start())) is not None:
                yield "hex", bytes.fromhex(run[0][: len(run[0]) & ~1])


def _readable(data: bytes) -> str | None:
    """``data`` as text, None if it is none. A character that is cut at its end is left out."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(data) - 3 or error.start == 0:
            return None
        text = data[: error.start].decode("utf-8")
    return text if text.translate(_NO_BREAKS).isprintable() else None


def _from_base64(run: str) -> bytes:
    run = run.replace("-", "+").replace("_", "/")
    # One character alone holds no byte.
    run = run[: len(run) - (len(run) % 4 == 1)]
    return base64.b64decode(run + "=" * (-len(run) % 4))


def _unescape_percent(run: re.Match[str]) -> str:
    data = bytes.fromhex(run[0].replace("%", ""))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("iso-8859-1")


def _unescape_json(found: re.Match[str]) -> str:
    high, low, unit, short = found.groups()
    if high is not None:
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
    if unit is not None:
        return chr(int(unit, 16))
    return _SHORT_ESCAPES.get(short, short)
