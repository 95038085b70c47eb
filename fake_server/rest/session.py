"""``/api/session``: login, who is logged in, logout (manual section 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from fake_server.exchange import Answer, json_answer
from fake_server.rest.refusals import Refusal

if TYPE_CHECKING:
    from fake_server.rest.call import Call

__all__ = ["MAX_LOGIN_BYTES", "answer_session"]

MAX_LOGIN_BYTES: Final = 64 * 1024
"""A longer login body is refused with 413."""

_FORM: Final = "application/x-www-form-urlencoded"
_EXPECTED: Final = "the email and the password of an account, as form fields"


def answer_session(call: Call) -> Answer:
    """The answer of one of the three methods. Raises :exc:`Refusal`."""
    match call.route.method:
        case "POST":
            return _login(call)
        case "GET":
            if not call.account:
                raise Refusal(call.rules.status_session_absent, exception=_WEB)
            return json_answer(call.rest.accounts.user_json(call.account))
        case _:
            return _logout(call)


_WEB: Final = "WebApplicationException"


def _login(call: Call) -> Answer:
    request, rules, rest = call.request, call.rules, call.rest
    if len(request.body) > MAX_LOGIN_BYTES:
        raise Refusal(413)
    content_type = request.header("content-type").partition(";")[0].strip().lower()
    if content_type not in (_FORM, ""):
        raise Refusal(
            rules.status_json_login,
            exception="NotSupportedException",
            rule="login.refused",
            seen=f"a login with Content-Type {content_type[:40]!r}",
            expected=_EXPECTED,
        )
    form: dict[str, str] = {}
    for name, value in parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True):
        # Of a field that stands there twice the first counts (Jersey).
        form.setdefault(name, value)
    email, password = form.get("email"), form.get("password")
    if email is None or password is None:
        raise Refusal(
            rules.status_missing_field,
            exception="BadRequestException",
            rule="login.refused",
            seen=f"a login without {'email' if email is None else 'password'}",
            expected=_EXPECTED,
        )
    if not rest.accounts.check(email, password):
        raise Refusal(
            rules.status_wrong_password,
            exception=_WEB,
            rule="login.refused",
            seen="a login with an email and a password that do not belong together",
            expected=_EXPECTED,
        )
    session = rest.desk.login(email)
    rest.on_login(session)
    headers = [
        ("Content-Type", "application/json"),
        ("Set-Cookie", rest.desk.set_cookie_header(session)),
    ]
    if rules.login_expires_header:
        # Jetty's, against caches: a header of the response, not an attribute of the cookie.
        headers.append(("Expires", rules.login_expires_header))
    return Answer(200, rest.accounts.user_json(email), tuple(headers))


def _logout(call: Call) -> Answer:
    # With HTTP Basic there is no session that could end.
    if call.session is not None:
        call.rest.desk.logout(call.session.id)
        call.rest.on_logout(call.session)
    return Answer(call.route.status(call.rules))
