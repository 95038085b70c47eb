"""Who may use the control API.

Whoever reaches it steers the server, so it is for this machine alone unless a token opens it. Web
pages are kept out: there are no CORS headers, a request with an ``Origin`` is refused, and so is a
``Host`` that is not of this machine, for a page may have pointed its own name at us (DNS
rebinding).
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from typing import Final

from fake_server.admin.reading import Refused
from fake_server.exchange import HttpRequest

__all__ = ["admit"]

_LOCAL_HOST: Final = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)


def admit(request: HttpRequest, token: str | None) -> None:
    """Raises Refused if the request may not be done; ``token`` opens the API to other machines."""
    if any(name == "origin" for name, _ in request.headers):
        raise Refused("web pages may not use this: the request has an Origin", status=403)
    if token is not None:
        given = request.header("authorization").encode("iso-8859-1")
        if not hmac.compare_digest(given, b"Bearer " + token.encode()):
            raise Refused(
                "expected Authorization: Bearer and the token that the server was started with",
                status=401,
                headers=(("WWW-Authenticate", 'Bearer realm="tracktape"'),),
            )
        return
    if not _is_local(request.peer):
        raise Refused(
            "only this machine may use this, unless the server is started with a token",
            status=403,
        )
    if not _LOCAL_HOST.fullmatch(request.header("host")):
        raise Refused(
            f"Host: read {request.header('host')[:80]!r}, expected localhost, 127.0.0.1 or"
            " [::1], unless the server is started with a token",
            status=403,
        )


def _is_local(peer: str | None) -> bool:
    if peer is None:
        return True
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    # A listener for both families sees 127.0.0.1 as ::ffff:127.0.0.1.
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
