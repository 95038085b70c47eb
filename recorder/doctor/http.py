"""The step ``http``: what answers at the address, asked without a session."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urljoin, urlsplit

import msgspec
import trio

from recorder.backend import SESSION_PATH
from recorder.doctor.exchange import Answer, Lost
from recorder.doctor.lost import lost
from recorder.doctor.results import Result, fail, ok, warn
from recorder.doctor.tls import blind_context
from recorder.doctor.visit import Visit, milliseconds, open_tls
from recorder.exits import Exit

__all__ = ["answered", "http_step", "redirected"]

_SKEW_S: Final = 60.0
"""Clocks that are further apart are told. A Date has whole seconds and may be a little old."""

_WANTS_TLS: Final = (b"plain HTTP request was sent to HTTPS", b"HTTP request to an HTTPS server")
"""What nginx and Go say; Apache says it with SSL-enabled."""

_MEANS_TLS: Final = "The port speaks TLS, and the URL says plain http."
_USE_TLS: Final = "Use https in the URL."

_PROBE_S: Final = 3.0
"""A server of TLS greets at once; one of plain HTTP may wait for more."""


async def http_step(visit: Visit) -> Result:
    """``GET /api/session`` without a cookie: 404 from a backend (lineage)."""
    try:
        answer = await visit.ask("GET", SESSION_PATH)
    except Lost as error:
        if not visit.backend.tls and error.how != "timeout" and await _speaks_tls(visit):
            return fail("http", "no HTTP, but TLS", means=_MEANS_TLS, do=_USE_TLS)
        return lost(visit, "http", error, Exit.UNREACHABLE)
    now_s = visit.surroundings.wall_clock_s()
    visit.server = visit.journal.shown(answer.header("Server") or "")
    return _with_clocks(_judge(visit, answer), answer, now_s)


async def _speaks_tls(visit: Visit) -> bool:
    """Whether the port takes a handshake of TLS, with whatever certificate."""
    assert visit.address is not None
    try:
        with trio.fail_after(_PROBE_S):
            tcp = await visit.surroundings.connect(visit.address)
            stream = await open_tls(tcp, blind_context(), visit.backend.host)
    except (trio.TooSlowError, trio.BrokenResourceError, OSError):
        return False
    await trio.aclose_forcefully(stream)
    return True


def answered(visit: Visit, answer: Answer) -> str:
    """Status, time and who says so, in one line."""
    parts = [f"{answer.status} {visit.journal.shown(answer.head.reason)}".rstrip()]
    parts.append(f"in {milliseconds(answer.took_s)}")
    server, via = answer.header("Server"), answer.header("Via")
    encoding = answer.header("Content-Encoding")
    if server:
        parts.append(f"from {visit.journal.shown(server)}")
    if encoding and encoding.lower() != "identity":
        parts.append(f"encoded as {visit.journal.shown(encoding)}, which nobody asked for")
    if via:
        parts.append(f"via {visit.journal.shown(via)}")
    return " ".join(parts)


def redirected(visit: Visit, answer: Answer, target: str) -> tuple[str, str, str] | None:
    """For an answer that sends elsewhere: where to, what it means, what to do."""
    location = answer.header("Location")
    if not 300 <= answer.status < 400 or answer.status == 304 or not location:
        return None
    base = visit.backend
    try:
        there = urlsplit(urljoin(f"{base.http_url}{target}", location))
        host, path = there.hostname or "", there.path
    except ValueError:
        host, path, there = "", "", urlsplit("")
    # Without user, query and fragment, which may hold what is nobody's business.
    shown = visit.journal.shown(f"{there.scheme}://{there.netloc.rpartition('@')[2]}{path}")
    seen = f"it sends to {shown}"
    if host != base.host:
        return (
            seen,
            "Not the backend answers but something that wants you elsewhere: the login page of a"
            " guest network (captive portal), of a proxy or of a single sign-on; or the backend"
            " has moved.",
            "Open the URL in a browser on this machine and see what comes. Log in to the network,"
            " or use the address that it leads to.",
        )
    if there.scheme == "https" and not base.tls:
        return (
            seen,
            "The server wants TLS.",
            f"Use https in the URL: {shown.removesuffix(target)}",
        )
    return (
        seen,
        "The API is not at this path.",
        "Open the URL in a browser and see where it leads; give that base URL.",
    )


def _judge(visit: Visit, answer: Answer) -> Result:
    seen = answered(visit, answer)
    elsewhere = redirected(visit, answer, SESSION_PATH)
    if elsewhere is not None:
        return fail("http", seen, elsewhere[0], means=elsewhere[1], do=elsewhere[2])
    if any(words in answer.body for words in (*_WANTS_TLS, b"SSL-enabled server port")):
        return fail(
            "http",
            seen,
            means=_MEANS_TLS,
            do=_USE_TLS,
        )
    match answer.status:
        case 404 if answer.is_html:
            return ok(
                "http",
                seen,
                means="So a backend may answer without a login; so does any web server that has no"
                " API. The login will tell.",
            )
        case 404 | 401:
            return ok("http", seen, means="This is how a backend answers without a login.")
        case 511:
            return fail(
                "http",
                seen,
                means="The network wants a login first (captive portal).",
                do="Open any page in a browser on this machine and log in to the network.",
            )
        case 407:
            return fail(
                "http",
                seen,
                means="A proxy that wants a login stands in between.",
                do="Ask for a way around the proxy; tracktape uses none.",
            )
        case 502 | 503 | 504:
            return fail(
                "http",
                seen,
                means="A proxy answers, and the backend behind it does not.",
                do="See whether the backend runs, and whether the proxy has its right address.",
            )
        case 200 if answer.is_html:
            return fail(
                "http",
                seen,
                "a page (HTML) where the API should be",
                means="Not the API answers: a guest network (captive portal) or a proxy shows a"
                " page of its own, or the URL leads to another web server.",
                do="Open the URL in a browser on this machine and see what page it is.",
            )
        case 403:
            return warn(
                "http",
                seen,
                means="A backend does not answer so: a firewall or proxy in front of it may let"
                " only known addresses or clients through.",
                do="If the login fails too, ask whoever runs it to let this machine through.",
            )
        case 429:
            return warn(
                "http",
                seen,
                means="Something counts requests, and there were too many from here.",
                do="Wait a while; see what else asks from this network.",
            )
        case _:
            return warn(
                "http",
                seen,
                means="A backend answers 404 here, or 401. Something else may stand at the URL.",
                do="If the login fails too, check the URL.",
            )


def _with_clocks(result: Result, answer: Answer, now_s: float) -> Result:
    """The result, with the server's clock compared to this machine's."""
    try:
        skew_s = parsedate_to_datetime(answer.header("Date") or "").timestamp() - now_s
    except (ValueError, OverflowError):
        return result
    apart = f"{abs(skew_s):.0f} s"
    if abs(skew_s) <= _SKEW_S:
        return result
    way = "ahead of" if skew_s > 0 else "behind"
    seen = (*result.seen, f"its clock is {apart} {way} this machine's")
    if result.outcome != "ok":
        return msgspec.structs.replace(result, seen=seen)
    return warn(
        "http",
        *seen,
        means="One of the two clocks is wrong. Times of a recording are of this machine's,"
        " dates in positions of the server's.",
        do="Set the clock that is wrong (NTP).",
    )
