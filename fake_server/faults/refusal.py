"""The fault ``refusal``."""

from __future__ import annotations

from typing import Final, Literal

from fake_server.exchange import reason_of
from fake_server.faults import base
from fake_server.faults.base import HandshakeFault, Place

__all__ = ["Refusal"]

_JETTY_PAGE: Final = (
    "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"
)
_NGINX_PAGE: Final = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
# Where nginx words a status otherwise than RFC 9110 does.
_NGINX_REASONS: Final = {
    401: "Authorization Required",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}


class Refusal(HandshakeFault, frozen=True, kw_only=True, tag="refusal"):
    """The handshake is answered with an error, by the backend or by a proxy in front of it.

    ``status``: 400 to 599; 401, 403, 500, 502 and 503 are those to expect. ``body``: a page as
    ``jetty`` has it, one as ``nginx`` has it, with ``Server: nginx``, or ``empty``.
    """

    status: int = 503
    body: Literal["jetty", "nginx", "empty"] = "jetty"

    def __post_init__(self) -> None:
        if not 400 <= self.status <= 599:
            raise ValueError(f"status = {self.status!r}: expected 400 to 599")

    def answer(self, place: Place) -> base.Refusal:
        """The error."""
        headers: list[tuple[str, str]] = []
        page = ""
        reason = reason_of(self.status)
        if self.body == "nginx":
            reason = _NGINX_REASONS.get(self.status, reason)
            page = _NGINX_PAGE.format(f"{self.status} {reason}".strip())
            headers = [("Server", "nginx"), ("Content-Type", "text/html")]
        elif self.body == "jetty":
            page = _JETTY_PAGE.format(f"{self.status} - {reason}".rstrip(" -"))
            headers = [("Content-Type", "text/html; charset=utf-8")]
        if self.status == 401:
            # RFC 9110 11.6.1: a 401 "MUST send a WWW-Authenticate header field".
            headers.append(("WWW-Authenticate", 'Basic realm="api"'))
        return base.Refusal(status=self.status, body=page.encode("ascii"), headers=tuple(headers))
