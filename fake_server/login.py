"""`POST /api/session` (manual section 2), and the application that keeps everything else for later.

The login stands outside the REST application, so that a server accepts its first login before it
has imported what REST needs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

from fake_server.accounts import Accounts
from fake_server.asgi import ASGIApp, Message
from fake_server.connection import now_ns
from recorder.backend import SESSION_PATH
from recorder.track.rules import Rules
from recorder.track.sessions import Sessions

__all__ = ["MAX_LOGIN_BYTES", "LoginFirst"]

MAX_LOGIN_BYTES: Final = 64 * 1024
"""A longer login body is refused with 413."""

_KNOWN_STATUSES: Final = frozenset(map(int, HTTPStatus))

_Answer = tuple[int, bytes, bytes, list[tuple[bytes, bytes]]]


class LoginFirst:
    """An ASGI application: logins are answered here, the rest by what ``make_rest`` makes when it
    is first needed.
    """

    def __init__(
        self,
        make_rest: Callable[[], ASGIApp],
        *,
        accounts: Accounts,
        sessions: Sessions,
        rules: Rules,
        on_login: Callable[[], None],
    ) -> None:
        self._make_rest = make_rest
        self._rest: ASGIApp | None = None
        self._accounts = accounts
        self._sessions = sessions
        self._rules = rules
        self._on_login = on_login

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["method"] == "POST" and scope["path"] == SESSION_PATH:
            status, content_type, body, headers = self._login(scope, await _body(receive))
            fields = [
                (b"content-type", content_type),
                (b"content-length", b"%d" % len(body)),
                *headers,
            ]
            await send({"type": "http.response.start", "status": status, "headers": fields})
            await send({"type": "http.response.body", "body": body})
            return
        if self._rest is None:
            self._rest = self._make_rest()
        await self._rest(scope, receive, send)

    def _login(self, scope: MutableMapping[str, Any], body: bytes | None) -> _Answer:
        if body is None:
            return _refusal(413, "ClientErrorException")
        content_type = (
            dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0].strip().lower()
        )
        if content_type not in (b"application/x-www-form-urlencoded", b""):
            return _refusal(self._rules.status_json_login, "NotSupportedException")
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        email, password = form.get("email"), form.get("password")
        if email is None or password is None:
            # Not which of the two: Jersey does not tell either.
            return _refusal(self._rules.status_missing_field, "BadRequestException")
        if not self._accounts.check(email, password):
            return _refusal(self._rules.status_wrong_password, "WebApplicationException")
        session = self._sessions.login(email, now_ns())
        self._on_login()
        return (
            200,
            b"application/json",
            self._accounts.user_json(email),
            [
                (b"set-cookie", self._sessions.set_cookie_header(session).encode("ascii")),
                # Jetty's, against caches: a header of the response, not an attribute of the cookie.
                (b"expires", b"Thu, 01 Jan 1970 00:00:00 GMT"),
            ],
        )


async def _body(receive: Callable[[], Awaitable[Message]]) -> bytes | None:
    """The whole body, or None if it is too large."""
    body: bytes = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > MAX_LOGIN_BYTES:
            return None
        if not message.get("more_body", False):
            return body


def _refusal(status: int, exception: str) -> _Answer:
    """An error as Jersey words it."""
    phrase = HTTPStatus(status).phrase if status in _KNOWN_STATUSES else "Unknown"
    text = f"HTTP {status} {phrase} - {exception}"
    return status, b"text/plain; charset=utf-8", text.encode("utf-8"), []
