"""The control API: one answer for each request under ``/__admin``."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from fake_server.admin import orders, telling
from fake_server.admin.admission import admit
from fake_server.admin.reading import Refused, number_of
from fake_server.exchange import ADMIN_PATH, Answer, Headers, HttpRequest, json_answer

if TYPE_CHECKING:
    from fake_server.server import FakeServer

__all__ = ["Admin"]

_Handler: TypeAlias = Callable[["FakeServer", HttpRequest, int], Any]
"""Gives what is answered as JSON, or a function that waits for it; may raise Refused, both."""

_BELOW: Final[dict[str, dict[str, _Handler]]] = {
    "": {"GET": telling.status},
    "/violations": {"GET": telling.violations, "DELETE": orders.forget_violations},
    "/faults": {
        "GET": telling.faults,
        "POST": orders.add_fault,
        "DELETE": orders.remove_faults,
    },
    "/faults/{n}": {"DELETE": orders.remove_fault},
    "/playback": {"POST": orders.playback},
    "/sessions": {"POST": orders.advance_sessions},
    "/login": {"POST": orders.login},
    "/ping": {"POST": orders.ping},
    "/doings": {"GET": telling.doings},
    "/expect": {"POST": telling.expect},
    "/findings": {"GET": telling.findings},
    "/frames": {"GET": telling.frames},
    "/push": {"POST": orders.push},
    "/sockets": {"DELETE": orders.drop_all},
    "/sockets/{n}": {"DELETE": orders.drop_one},
    "/reset": {"POST": orders.reset},
}

_ROUTES: Final = {ADMIN_PATH + path: handlers for path, handlers in _BELOW.items()}


class Admin:
    """Answers the requests under ``/__admin`` about ``server``; never raises.

    ``token`` opens the API to other machines: then every request needs
    ``Authorization: Bearer <token>``. It is shown nowhere.
    """

    def __init__(self, server: FakeServer, *, token: str | None) -> None:
        """Raises ValueError on an empty token, which would be none."""
        if token == "":
            raise ValueError("the admin token is empty: expected a text that nobody guesses")
        self._server = server
        self._token = token

    def __call__(self, request: HttpRequest) -> Answer:
        """The answer to a request, always JSON."""
        try:
            admit(request, self._token)
            handler, number = _handler_of(request)
            given = handler(self._server, request, number)
        except Refused as refused:
            return _refusal(refused)
        if callable(given):
            return Answer(202, later=functools.partial(_waited, given))
        return _answer(given)


def _handler_of(request: HttpRequest) -> tuple[_Handler, int]:
    """What is to be done, and the number in the path, 0 where there is none."""
    # HEAD is answered as GET: to leave the body out is for the front.
    method = "GET" if request.method == "HEAD" else request.method
    path, _, last = request.path.rpartition("/")
    number = None if request.path in _ROUTES else number_of(last)
    handlers = _ROUTES.get(request.path if number is None else path + "/{n}", {})
    if not handlers:
        known = ", ".join(_ROUTES)
        raise Refused(f"there is nothing at this path; there are {known}", status=404)
    if method not in handlers:
        allowed = ", ".join(handlers)
        raise Refused(
            f"{method[:20]} is not for this path; it takes {allowed}",
            status=405,
            headers=(("Allow", allowed),),
        )
    return handlers[method], number or 0


async def _waited(wait: Callable[[], Awaitable[Any]]) -> Answer:
    try:
        return _answer(await wait())
    except Refused as refused:
        return _refusal(refused)


def _refusal(refused: Refused) -> Answer:
    return _answer({"error": refused.error}, refused.status, refused.headers)


def _answer(value: Any, status: int = 200, headers: Headers = ()) -> Answer:
    answer = json_answer(msgspec.json.encode(value) + b"\n", status)
    return answer.with_headers({"Cache-Control": "no-store", **dict(headers)})
