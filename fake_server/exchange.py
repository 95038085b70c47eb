"""One HTTP exchange of the server as two values, so that REST is a plain function from the one to
the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

import msgspec

__all__ = [
    "ADMIN_PATH",
    "MAX_BODY_BYTES",
    "Answer",
    "Headers",
    "HttpRequest",
    "is_for_admin",
    "json_answer",
    "reason_of",
    "text_answer",
]

Headers = tuple[tuple[str, str], ...]


MAX_BODY_BYTES: Final = 1024 * 1024
"""A longer body is refused with 413; no object of Track is as large."""


ADMIN_PATH: Final = "/__admin"
"""Where the control API is."""


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request, whole. ``target`` is as it was sent; ``headers`` have their names in lower case,
    values as ISO 8859-1; ``connection`` is the number of its TCP connection, ``at_ns`` the moment
    on the server's clock. ``peer`` is the address of the client: empty where it is not known, None
    where there is no network between.
    """

    method: str
    target: str
    headers: Headers = ()
    body: bytes = b""
    connection: int | None = None
    at_ns: int = 0
    peer: str | None = None

    @property
    def path(self) -> str:
        """The target without its query, percent-encoded as it was sent."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What stands behind the first ``?``, as it was sent."""
        return self.target.partition("?")[2]

    def header(self, name: str, default: str = "") -> str:
        """The first value of a header field; ``name`` in lower case."""
        return next((value for field, value in self.headers if field == name), default)

    @property
    def cookies(self) -> str:
        """All ``Cookie`` headers, joined as one."""
        return "; ".join(value for field, value in self.headers if field == "cookie")


class Answer(msgspec.Struct, frozen=True):
    """A response, whole. Content-Length is the front's to add; ``headers`` have Content-Type where
    there is a body. ``slow_body`` makes the body where that takes long: to be called in a thread.
    ``later`` waits for the answer that is to be sent in the place of this one.
    """

    status: int
    body: bytes = b""
    headers: Headers = ()
    slow_body: Callable[[], bytes] | None = None
    later: Callable[[], Awaitable[Answer]] | None = None

    def with_headers(self, more: Mapping[str, str]) -> Answer:
        """The same with further header fields."""
        return msgspec.structs.replace(self, headers=(*self.headers, *more.items()))


_JSON_HEADERS: Final = (("Content-Type", "application/json"),)


def json_answer(body: bytes, status: int = 200) -> Answer:
    """JSON text as an answer."""
    return Answer(status, body, _JSON_HEADERS)


def text_answer(
    status: int, text: str, *, content_type: str = "text/plain; charset=utf-8"
) -> Answer:
    """Text as an answer, such as an error's."""
    return Answer(status, text.encode("utf-8"), (("Content-Type", content_type),))


def is_for_admin(request: HttpRequest) -> bool:
    """Whether it is one of the control API, not of Track."""
    return request.path == ADMIN_PATH or request.path.startswith(ADMIN_PATH + "/")


def reason_of(status: int) -> str:
    """The reason phrase of a status; empty where there is none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
