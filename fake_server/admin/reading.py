"""What a request of the control API says, read and checked; and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec

from fake_server.exchange import Headers, HttpRequest

__all__ = [
    "Refused",
    "Values",
    "body_of",
    "done",
    "number_of",
    "query_of",
    "query_with_list",
    "shown",
]

T = TypeVar("T")

_MAX_NUMBER_DIGITS: Final = 9


class Refused(Exception):
    """A request is not done; what it is answered. Without a status it is 400."""

    def __init__(self, error: str, *, status: int = 400, headers: Headers = ()) -> None:
        super().__init__(error)
        self.error = error
        self.status = status
        self.headers = headers


class Values:
    """The values of a body, each taken once. *Error handling:* Refused on a value of another type,
    on one that is missing, and on keys that nobody took.
    """

    def __init__(self, body: Mapping[str, msgspec.Raw]) -> None:
        self._left = dict(body)
        self._known: list[str] = []

    def take_raw(self, key: str) -> msgspec.Raw:
        """A value as it was written."""
        self._known.append(key)
        return self._left.pop(key)

    def take(self, key: str, kind: Any, expected: str, *, default: Any = ...) -> Any:
        """A value of a type; without a default it must be there."""
        self._known.append(key)
        raw = self._left.pop(key, None)
        if raw is None:
            if default is ...:
                raise Refused(f"{key}: it is missing, expected {expected}")
            return default
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Refused(f"{key}: read {shown(bytes(raw))}, expected {expected}") from error

    def check_all_taken(self) -> None:
        """Refuse keys that were not asked for."""
        for key in self._left:
            known = ", ".join(repr(one) for one in self._known)
            raise Refused(f"{key[:80]!r}: no such key here, expected {known}")


def body_of(request: HttpRequest) -> dict[str, msgspec.Raw]:
    """The body as an object of raw JSON texts; Refused if it is none."""
    query_of(request)
    content_type = request.header("content-type")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        read = repr(content_type[:80]) if content_type else "none"
        raise Refused(f"Content-Type: read {read}, expected application/json", status=415)
    try:
        # msgspec does not look at the encoding of what it leaves raw.
        request.body.decode("utf-8")
        return msgspec.json.decode(request.body, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError) as error:
        read = shown(request.body)
        raise Refused(f"the body: read {read}, expected a JSON object ({error})") from error


def query_of(request: HttpRequest, *known: str) -> dict[str, str]:
    """The parameters of the query; Refused on one that is not known, or is there twice."""
    return _each_once(_pairs(request, known))


def query_with_list(
    request: HttpRequest, *known: str, listed: str
) -> tuple[dict[str, str], list[str]]:
    """The same, and the values of ``listed``, which may be there any number of times."""
    pairs = _pairs(request, (*known, listed))
    others = [(key, value) for key, value in pairs if key != listed]
    return _each_once(others), [value for key, value in pairs if key == listed]


def _pairs(request: HttpRequest, known: Sequence[str]) -> list[tuple[str, str]]:
    pairs = parse_qsl(request.query, keep_blank_values=True)
    for key, _ in pairs:
        if key not in known:
            expected = ", ".join(map(repr, known)) or "none"
            raise Refused(f"{key[:80]!r}: no such parameter here, expected {expected}")
    return pairs


def _each_once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    if len(dict(pairs)) < len(pairs):
        raise Refused("a parameter stands there twice, expected it once")
    return dict(pairs)


def number_of(text: str) -> int | None:
    """The number that is written there in digits; None if it is none, or far too long."""
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_NUMBER_DIGITS
    return int(text) if is_number else None


def done(act: Callable[[], T]) -> T:
    """Do it; what the control refuses is refused."""
    try:
        return act()
    except ValueError as error:
        raise Refused(str(error)) from error
    except LookupError as error:
        raise Refused(str(error), status=404) from error


def shown(text: bytes) -> str:
    """What was read, as an error shows it."""
    beginning = text[:80].decode("utf-8", "replace")
    return f"{beginning} …" if len(text) > 80 else beginning or "nothing"
