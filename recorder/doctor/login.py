"""The steps ``login``, ``cookie`` and ``rest`` (manual sections 2 and 4)."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from recorder.backend import API_PATH, SESSION_PATH, SOCKET_PATH
from recorder.capture import REST_SNAPSHOTS
from recorder.doctor.cookies import cookies_of, why_not_sent
from recorder.doctor.exchange import Answer, Lost
from recorder.doctor.http import answered, redirected
from recorder.doctor.lost import lost
from recorder.doctor.results import Result, fail, ok, skipped, warn
from recorder.doctor.visit import Visit, milliseconds
from recorder.exits import Exit

__all__ = ["cookie_step", "login_step", "rest_step"]

_NO_LOGIN: Final = "there are no credentials to log in with"


async def login_step(visit: Visit) -> Result:
    """``POST /api/session`` with the form of manual section 2; sets ``login``."""
    credentials = visit.credentials
    if credentials is None:
        return skipped("login", _NO_LOGIN)
    visit.journal.learn("password", credentials.password)
    visit.journal.learn("email", credentials.email)
    form = {"email": credentials.email, "password": credentials.password}
    try:
        answer = await visit.ask("POST", SESSION_PATH, form)
    except Lost as error:
        return lost(visit, "login", error, Exit.CONNECTION_LOST)
    if answer.status == 200:
        return _accepted(visit, answer)
    return _refused(visit, answer)


def _accepted(visit: Visit, answer: Answer) -> Result:
    seen = answered(visit, answer)
    user = _object(answer.body)
    if user is None:
        return fail(
            "login",
            seen,
            "a page (HTML), not a user" if answer.is_html else "no JSON object",
            means="A backend answers with the user as JSON. Something else stands at the URL, or"
            " shows a page of its own.",
            do="Open the URL in a browser on this machine; check the URL.",
        )
    visit.login = answer
    shown = [f"{name} {_word(user[name])}" for name in _SHOWN_OF_USER if name in user]
    if user.get("disabled") is True:
        return warn(
            "login",
            seen,
            means="The account is marked as disabled.",
            do="Ask an administrator of the backend.",
        )
    of_user = ": " + ", ".join(shown) if shown else ""
    return ok("login", seen, f"the answer is a user{of_user}", means="The account is right.")


_SHOWN_OF_USER: Final = ("administrator", "readonly")


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}.get(value, "?") if isinstance(value, bool) else "?"


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        user: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    except (ValueError, RecursionError):
        return None
    return user


_TAKES_NONE: Final = (
    "What stands at the URL takes no logins there: it is not the backend, or a proxy lets only GET"
    " through.",
    "Check the URL and the proxy.",
)

_REFUSALS: Final[dict[int, tuple[str, str]]] = {
    400: (
        "The backend misses the email or the password in what arrived: something in between may"
        " have changed the request.",
        "Check both for odd characters; look for a proxy or firewall that rewrites requests.",
    ),
    401: (
        "The email or the password is wrong, or there is no such account here.",
        "Check both by a login in a browser; passwords know upper and lower case.",
    ),
    403: (
        "The account is locked, or a firewall or proxy in front of the backend refuses logins from"
        " here.",
        "Try a browser on this machine; ask an administrator of the backend.",
    ),
    404: (
        "There is no API at this path, so this is not the backend's base URL.",
        "Open the URL in a browser; the API is where /api is.",
    ),
    405: _TAKES_NONE,
    415: (
        "The backend does not take a form as login, although it is what its manual says: something"
        " in between changes the Content-Type, or this is another product.",
        "Check the URL; look for a proxy that rewrites requests.",
    ),
    429: (
        "There were too many logins from here.",
        "Wait a while; see what else logs in with this account.",
    ),
    501: _TAKES_NONE,
}


def _refused(visit: Visit, answer: Answer) -> Result:
    seen = [answered(visit, answer)]
    elsewhere = redirected(visit, answer, SESSION_PATH)
    if elsewhere is not None:
        return fail("login", *seen, elsewhere[0], means=elsewhere[1], do=elsewhere[2])
    if answer.is_html:
        seen.append("the answer is a page (HTML)")
    elif answer.body.strip():
        seen.append(f"it says: {visit.journal.shown(answer.body.decode('utf-8', 'replace'))}")
    otherwise = ("A backend does not answer a login so.", "Check the URL.")
    if answer.status >= 500:
        otherwise = (
            "The backend, or a proxy before it, fails by itself; it says nothing about the"
            " account.",
            "Try again later; look into the backend's log.",
        )
    means, do = _REFUSALS.get(answer.status, otherwise)
    return fail("login", *seen, means=means, do=do)


async def cookie_step(visit: Visit) -> Result:
    """The cookies of the login; sets ``cookies`` to those that go to the socket."""
    if visit.login is None:
        return skipped("cookie", _NO_LOGIN)
    cookies = cookies_of(visit.login.head.headers)
    if not cookies:
        return fail(
            "cookie",
            "the login set no cookie",
            means="Without a session cookie neither REST nor the socket lets anyone in. A proxy"
            " may have taken Set-Cookie out; a cache may have answered.",
            do="Log in past the proxy, if there is a way; have it pass Set-Cookie on.",
        )
    target = f"{visit.backend.prefix}{SOCKET_PATH}"
    now_s = visit.surroundings.wall_clock_s()
    shown = visit.journal.shown
    seen = [f"{shown(cookie.name)} with {shown(cookie.describe())}" for cookie in cookies]
    reasons = [why_not_sent(cookie, visit.backend, target, now_s) for cookie in cookies]
    sent = [cookie for cookie, why in zip(cookies, reasons, strict=True) if why is None]
    if not sent:
        means, do = next(why for why in reasons if why is not None)
        return fail("cookie", *seen, means=shown(means, 500), do=do)
    visit.cookies = {cookie.name: cookie.value for cookie in sent}
    insecure_none = [
        cookie
        for cookie in sent
        if cookie.attributes.get("samesite", "").lower() == "none"
        and "secure" not in cookie.attributes
    ]
    if insecure_none:
        return warn(
            "cookie",
            *seen,
            means="SameSite=None without Secure: browsers throw the cookie away, other clients"
            " keep it.",
            do="Have Secure added, or SameSite taken out.",
        )
    if all("path" not in cookie.attributes for cookie in sent):
        return warn(
            "cookie",
            *seen,
            means="Without a Path clients take the folder of the login, which the socket is in"
            " too; but simple ones send it nowhere else, and something took the Path out that a"
            " backend sets.",
            do="Look for a proxy that rewrites cookies.",
        )
    return ok("cookie", *seen, means=f"Clients send it to {target}.")


# REST


class _List(msgspec.Struct, frozen=True):
    """What asking for one list gave: a line to show, and the status if it is no list."""

    line: str
    objects: int = 0
    status: int | None = None


async def rest_step(visit: Visit) -> Result:
    """``GET`` the lists with the cookie; without a login, one of them, to be refused."""
    if visit.cookie is None:
        return await _rest_without_login(visit)
    lists: list[_List] = []
    for name in REST_SNAPSHOTS:
        try:
            answer = await visit.ask("GET", f"{API_PATH}/{name}")
        except Lost as error:
            return lost(visit, "rest", error, Exit.CONNECTION_LOST)
        lists.append(_read_list(visit, name, answer))
    return _judge_rest(lists)


def _read_list(visit: Visit, name: str, answer: Answer) -> _List:
    took = milliseconds(answer.took_s)
    if answer.status != 200:
        return _List(f"{name}: {answered(visit, answer)}", status=answer.status)
    try:
        objects = len(msgspec.json.decode(answer.body, type=list[msgspec.Raw]))
    except (ValueError, RecursionError):
        what = "a page (HTML)" if answer.is_html else "no JSON array"
        return _List(f"{name}: 200, but {what}, in {took}", status=200)
    return _List(f"{name}: {objects}, {len(answer.body)} bytes in {took}", objects)


def _judge_rest(lists: list[_List]) -> Result:
    seen = [one.line for one in lists]
    statuses = {one.status for one in lists} - {None}
    if 401 in statuses:
        return fail(
            "rest",
            *seen,
            means="The session of the login is not accepted: a proxy takes the cookie out, or"
            " sends each request to another of several backends that do not share sessions.",
            do="Have the proxy pass Cookie on and keep a client at one backend (sticky sessions).",
            exit_code=Exit.LOGIN_REFUSED,
        )
    if statuses:
        return fail(
            "rest",
            *seen,
            means="REST does not answer as the manual says; the socket may work nevertheless.",
            do="Look into the backend's log; check the account's rights.",
        )
    if not lists[0].objects:
        return warn(
            "rest",
            *seen,
            means="The account sees no devices, so there will be nothing to record either.",
            do="Have devices assigned to the account, or use another one.",
        )
    return ok("rest", *seen, means="The session is accepted.")


async def _rest_without_login(visit: Visit) -> Result:
    try:
        answer = await visit.ask("GET", f"{API_PATH}/{REST_SNAPSHOTS[0]}")
    except Lost as error:
        return lost(visit, "rest", error, Exit.CONNECTION_LOST)
    seen = f"{REST_SNAPSHOTS[0]}, without a login: {answered(visit, answer)}"
    if answer.status == 401:
        return ok("rest", seen, means="REST is there and wants a login, as it should.")
    return warn(
        "rest",
        seen,
        means="A backend answers 401 here. Something else may stand at the URL.",
        do="Check the URL; give credentials to see more.",
    )
