"""JSON as it is compared: numbers keep their text, and whatever changes from one recording to the
next has a form of its own, the same on both sides. Pure.
"""

from __future__ import annotations

import hashlib
import json
import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final, TypeGuard

import msgspec

from recorder.redaction.rules import WHOLE_MARK
from replayer.playing.dates import read_date

__all__ = [
    "IdOf",
    "Number",
    "digest",
    "digest_of",
    "id_space",
    "inside",
    "is_id",
    "is_mark",
    "normal",
    "read_json",
    "same_scalar",
    "spelled",
    "unique_ids",
    "with_date_forms",
]

_DIGEST_BYTES: Final = 16

IdOf = tuple[str, int]
"""An id with what it is an id of: ``("device", 5)``."""

_OF_A_CALL: Final = ("path", "query", "request", "response")
"""What stands in these of a REST call is of what its path says."""

_SIGNIFICANT_DIGITS: Final = 4000
"""A number with more digits before its point is compared as it is spelled: Python's own limit for
turning text into integers is near."""

_SESSION: Final = re.compile(r"node[0-9]+[a-z0-9]{8,}\.node[0-9]+")
"""A session id of Jetty (lineage)."""

# Strings without escapes, as all of Track's dates are: any other is found out by `normal`.
_DATE_VALUE: Final = re.compile(rb'"(?<!\\")([0-9]{4}-[0-9]{2}-[0-9]{2}[0-9T:.Z+-]*+)"(?!\s*:)')
_SHORTEST_FORM: Final = len("2025-02-21")
_ZONE: Final = re.compile(r"(?:Z|[+-][0-9]{2}:?[0-9]{2})$")
_DIGITS: Final = str.maketrans("123456789", "000000000")
_ID_NAME: Final = re.compile(r"id|[a-z]\w*Ids?")
_NO_INTEGER: Final = 1 << 63
"""From here on msgspec writes no integers."""


class Number(float):
    """A JSON number with a fraction or an exponent. As a float it serves a JSONPath; what counts is
    ``text``, its spelling."""

    __slots__ = ("text",)
    text: str


def _number(text: str) -> Number:
    made = Number(text)
    made.text = text
    return made


_DECODER: Final = msgspec.json.Decoder(float_hook=_number)


def read_json(data: bytes) -> Any:
    """The value of a JSON text: objects, arrays, strings, True, False, None, int and
    :class:`Number`. Of a name that an object has twice the last counts.

    Raises ValueError if it is none, and RecursionError if it is nested too deeply to be compared.
    """
    try:
        return _DECODER.decode(data)
    except ValueError:
        # An escaped lone surrogate is JSON (RFC 8259 section 8.2), and msgspec takes none.
        return json.loads(data, parse_float=_number, parse_constant=_no_constant)


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def spelled(value: Any) -> bytes:
    """The value as JSON, numbers as they came, in one line."""
    match value:
        case Number():
            return value.text.encode("ascii")
        case dict():
            members = (spelled(str(name)) + b":" + spelled(each) for name, each in value.items())
            return b"{" + b",".join(members) + b"}"
        case list():
            return b"[" + b",".join(map(spelled, value)) + b"]"
        case _:
            # Not msgspec: it writes neither large integers nor lone surrogates.
            return json.dumps(value, ensure_ascii=_has_surrogates(value)).encode("utf-8")


def _has_surrogates(value: Any) -> bool:
    return isinstance(value, str) and any("\ud800" <= each <= "\udfff" for each in value)


def is_mark(value: Any) -> bool:
    """Whether redaction put a mark where a value stood: what it was is not known."""
    return isinstance(value, str) and WHOLE_MARK.fullmatch(value) is not None


def id_space(name: str, of: str) -> str:
    """What an id is of: ``deviceId`` of a device, ``id`` of what ``of`` says."""
    return of if name == "id" else re.sub("Ids?$", "", name)


def is_id(value: Any, name: str) -> TypeGuard[int]:
    """Whether a field holds a row number of the backend; 0 says that there is none (lineage)."""
    return type(value) is int and value > 0 and _ID_NAME.fullmatch(name) is not None


def unique_ids(items: list[Any]) -> list[Any] | None:
    """The ids of an array of objects; None unless each has one of its own."""
    ids = [item.get("id") if isinstance(item, dict) else None for item in items]
    if any(type(one) is not int and type(one) is not str for one in ids):
        return None
    return ids if len(set(ids)) == len(ids) else None


def same_scalar(a: Any, b: Any) -> bool:
    """Whether two values that are no object and no array mean the same."""
    if is_mark(a) or is_mark(b):
        return isinstance(a, str) and isinstance(b, str)
    left, right = _scalar(a), _scalar(b)
    return type(left) is type(right) and bool(left == right)


def normal(value: Any, name: str, of: str, ids: list[IdOf] | None) -> Any:
    """The value with all that varies put into its form, to be encoded and hashed.

    ``name`` is that of the field that it stands in, ``of`` what objects stand there. Where ``ids``
    is a list, each id is put there in place of standing in what is returned.
    """
    kind = type(value)
    if kind is dict:
        # In the order of the names, so that `ids` has the same order on both sides.
        members = sorted(value.items()) if ids is not None else value.items()
        return {key: normal(each, key, inside(key, of, each), ids) for key, each in members}
    if kind is list:
        items = [normal(each, name, of, ids) for each in value]
        if ids is None and len(items) > 1 and (own := unique_ids(value)) is not None:
            # By id, as they are aligned; the order in a list of objects says nothing.
            order = sorted(range(len(own)), key=lambda at: str(own[at]))
            return [items[at] for at in order]
        return items
    if ids is not None and is_id(value, name):
        ids.append((id_space(name, of), value))
        return "\0id"
    return _scalar(value)


def inside(key: str, of: str, value: Any) -> str:
    """What ``id`` is of below ``key``, where it is of ``of`` beside it."""
    if key in _OF_A_CALL or not isinstance(value, dict | list):
        return of
    return key.removesuffix("s")


def digest(value: Any) -> bytes:
    """A hash of what :func:`normal` made. Raises ValueError on a lone surrogate."""
    return digest_of(msgspec.json.encode(value, order="sorted"))


def digest_of(data: bytes) -> bytes:
    """A hash that only the same bytes have."""
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()


def with_date_forms(data: bytes) -> bytes:
    """A JSON text with the forms of dates in place of dates, all else as it came."""
    return _DATE_VALUE.sub(_form_of_match, data)


def _form_of_match(found: re.Match[bytes]) -> bytes:
    return b'"%s"' % _form(found[1].decode("ascii")).encode("ascii")


def _scalar(value: Any) -> Any:
    kind = type(value)
    if kind is str:
        # Nearly all strings are short names; a date, a mark and a session id are longer.
        return _form(value) if len(value) >= _SHORTEST_FORM else value
    if kind is Number:
        return _canonical(value.text)
    if kind is int and not -_NO_INTEGER < value < _NO_INTEGER:
        return f"\0{value}"
    return value


@lru_cache(maxsize=4096)
def _form(text: str) -> str:
    """The text, or what stands for all of its kind: a date of that spelling, a mark, a session."""
    if text[4] == "-" and text[7] == "-" and read_date(text) is not None:
        zone = _ZONE.search(text)
        stem_chars = len(text) if zone is None else zone.start()
        return f"\0{text[:stem_chars].translate(_DIGITS)}{text[stem_chars:]}"
    if text[0] == "[" and is_mark(text):
        return "\0mark"
    if text.startswith("node") and _SESSION.fullmatch(text):
        return "\0session"
    return text


def _canonical(text: str) -> Any:
    """A number as an int where it is whole, else as a word that all its spellings share."""
    if "e" not in text and "E" not in text:
        short = text.rstrip("0")
        if not short.endswith("."):
            return f"\0{short}"
        plain = short[:-1]
    else:
        try:
            sign, digits, exponent = Decimal(text).as_tuple()
        except InvalidOperation:
            # An exponent that no Decimal has.
            return f"\0{text.lower()}"
        assert isinstance(exponent, int)
        found = "".join(map(str, digits)).lstrip("0")
        significant = found.rstrip("0")
        exponent += len(found) - len(significant)
        minus = "-" if sign else ""
        if not significant:
            return 0
        if not 0 <= exponent <= _SIGNIFICANT_DIGITS - len(significant):
            if exponent < 0 and -exponent <= _SIGNIFICANT_DIGITS:
                padded = significant.rjust(-exponent + 1, "0")
                return f"\0{minus}{padded[:exponent]}.{padded[exponent:]}"
            return f"\0{minus}{significant}e{exponent}"
        plain = minus + significant + "0" * exponent
    if len(plain) > _SIGNIFICANT_DIGITS:
        return f"\0{plain}"
    whole = int(plain)
    return whole if abs(whole) < _NO_INTEGER else f"\0{whole}"
