"""The step ``upgrade``: the opening handshake (RFC 6455 section 4, manual section 3)."""

from __future__ import annotations

from typing import Final

from recorder.backend import SOCKET_PATH
from recorder.doctor.exchange import Answer, Lost, exchange, request_bytes
from recorder.doctor.http import answered, redirected
from recorder.doctor.lost import lost
from recorder.doctor.results import Result, fail, ok, warn
from recorder.doctor.socket import LiveSocket
from recorder.doctor.visit import Visit
from recorder.exits import Exit
from recorder.wire.handshake import check_accept, new_key

__all__ = ["upgrade_step"]

_ANSWER_S: Final = 15.0

_NGINX: Final = (
    "For nginx before the backend: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;"
    ' proxy_set_header Connection "upgrade".'
)

_REFUSALS: Final[dict[int, tuple[str, str]]] = {
    400: (
        "The handshake arrived damaged: most likely a proxy took Upgrade or Connection out.",
        f"Have the proxy pass WebSocket on. {_NGINX}",
    ),
    401: (
        "The socket does not accept the session: the cookie did not arrive, or arrived at another"
        " of several backends.",
        "Have the proxy pass Cookie on and keep a client at one backend (sticky sessions).",
    ),
    403: (
        "A firewall or proxy in front of the backend forbids it, often for its Origin, or the"
        " account has no right to the socket.",
        "Ask whoever runs the proxy to let /api/socket through; check the account.",
    ),
    404: (
        "There is no socket at this path: a proxy passes REST on but not the socket, or the URL's"
        " path is wrong.",
        "Have the proxy pass /api/socket on too.",
    ),
    405: (
        "This is the backend's answer to a plain GET: a proxy took Upgrade out on the way.",
        f"Have the proxy pass WebSocket on. {_NGINX}",
    ),
    426: (
        "The server wants an upgrade and did not see one: a proxy took Upgrade out, or spoke"
        " HTTP/1.0 to the backend.",
        f"Have the proxy pass WebSocket on. {_NGINX}",
    ),
    429: (
        "There were too many sockets or requests from here.",
        "Wait a while; see what else connects with this account.",
    ),
    502: (
        "A proxy answers, and what is behind it did not take the upgrade.",
        f"See whether the backend runs; have the proxy pass WebSocket on. {_NGINX}",
    ),
    503: (
        "So a backend answers a socket without a valid session (lineage); so does a proxy whose"
        " backend is down.",
        "If REST accepted the session, the proxy takes Cookie out on this path only, or the"
        " backend has no socket to give: look into both logs.",
    ),
    504: (
        "A proxy waited for the backend in vain.",
        "See whether the backend runs, and whether the proxy passes WebSocket on.",
    ),
}

_WITHOUT_SESSION: Final = (401, 403, 503)


async def upgrade_step(visit: Visit) -> Result:
    """Ask for the socket, with the cookie if there is one; sets ``socket`` and ``stream``."""
    key = new_key()
    backend = visit.backend
    scheme = "https" if backend.tls else "http"
    fields = visit.headers(
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Origin", f"{scheme}://{backend.authority}"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", key),
    )
    request = request_bytes("GET", f"{backend.prefix}{SOCKET_PATH}", fields)
    try:
        visit.stream = await visit.connect()
        answer = await exchange(visit.stream, "GET", request, within_s=_ANSWER_S)
    except Lost as error:
        return lost(visit, "upgrade", error, Exit.HANDSHAKE_REFUSED)
    result = _judge(visit, answer, key)
    if result.outcome in ("ok", "warn") and answer.status == 101:
        visit.socket = LiveSocket(visit.stream, answer.rest)
    return result


def _judge(visit: Visit, answer: Answer, key: str) -> Result:
    seen = [answered(visit, answer)]
    if answer.status != 101:
        return _refused(visit, answer, seen)
    wrong = check_accept(key, answer.header("Sec-WebSocket-Accept"))
    if wrong is not None:
        return fail(
            "upgrade",
            *seen,
            wrong,
            means="Something answers for the backend without knowing WebSocket, as a cache or a"
            " broken proxy does. Clients give up here.",
            do="Take that out of the way; connect to the backend itself to compare.",
        )
    if (answer.header("Upgrade") or "").lower() != "websocket":
        return fail(
            "upgrade",
            *seen,
            "the 101 does not say Upgrade: websocket",
            means="Clients give up here (RFC 6455 section 4.1); a proxy may have taken it out.",
            do=f"Have the proxy pass WebSocket on. {_NGINX}",
        )
    extensions = answer.header("Sec-WebSocket-Extensions")
    if extensions:
        return fail(
            "upgrade",
            *seen,
            f"extensions that nobody offered: {visit.journal.shown(extensions)}",
            means="Clients give up here (RFC 6455 section 4.1).",
            do="Have the server, or the proxy, agree only to what is offered.",
        )
    seen.append("Sec-WebSocket-Accept answers the key; no extensions")
    if visit.cookie is None:
        return warn(
            "upgrade",
            *seen,
            means="The socket opens without a login, which a backend does not allow.",
            do="Find out what this server is.",
        )
    return ok("upgrade", *seen, means="The socket is open.")


def _refused(visit: Visit, answer: Answer, seen: list[str]) -> Result:
    server = visit.journal.shown(answer.header("Server") or "")
    if visit.server and server != visit.server:
        seen.append(
            f"REST was answered by {visit.server}, this by {server or 'one without a name'}"
        )
    if visit.cookie is None and answer.status in _WITHOUT_SESSION:
        return ok(
            "upgrade",
            *seen,
            means="Without a login the socket is refused, as it should be; log in to see more.",
        )
    elsewhere = redirected(visit, answer, SOCKET_PATH)
    if elsewhere is not None:
        return fail("upgrade", *seen, elsewhere[0], means=elsewhere[1], do=elsewhere[2])
    if 200 <= answer.status < 300:
        what = "a page (HTML)" if answer.is_html else f"{len(answer.body)} bytes"
        return fail(
            "upgrade",
            *seen,
            f"{what} in place of a socket",
            means="Something took the handshake for a plain GET: a proxy that took Upgrade out, or"
            " one that shows a page of its own.",
            do=f"Have the proxy pass WebSocket on. {_NGINX}",
        )
    means, do = _REFUSALS.get(
        answer.status,
        ("The server does not open a socket here.", "Look into its log."),
    )
    return fail("upgrade", *seen, means=means, do=do)
