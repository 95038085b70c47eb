"""What a reverse proxy must change in HTTP heads, so that browsers and backends work through it.
Pure.

A head is changed line by line: what is not named in :data:`REQUEST_CHANGES` or
:data:`RESPONSE_CHANGES` goes on byte for byte, in its order, case and spelling. Nothing is ever
added but a ``Host`` that an old client left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from recorder.backend import Backend
from recorder.wire.handshake import RequestHead, header_value

__all__ = ["REQUEST_CHANGES", "RESPONSE_CHANGES", "HeadRewriter", "RewrittenRequest"]

REQUEST_CHANGES: Final = {
    "target": "the path of the upstream's URL is put before it; an absolute one becomes a path",
    "Host": "becomes the upstream's (RFC 9110 section 7.2)",
    "Origin": "the proxy's own becomes the upstream's (RFC 6454)",
    "Referer": "the same",
    "Sec-WebSocket-Extensions": "is left out: frames would be compressed (RFC 7692)",
    "Upgrade": "is left out unless it is websocket: HTTP/2 is not recorded (RFC 9113)",
    "HTTP2-Settings": "is left out",
    "Connection": "loses the names of what was left out",
}
"""What may differ between the request of the client and that to the upstream, and why."""

RESPONSE_CHANGES: Final = {
    "Set-Cookie": (
        "loses Domain, and the upstream's path in Path; without TLS to the client also Secure,"
        " Partitioned and SameSite=None (RFC 6265 section 5.3)"
    ),
    "Location": "the upstream's origin and path become the proxy's",
    "Content-Location": "the same",
    "Access-Control-Allow-Origin": "the upstream's origin becomes the proxy's",
    "Strict-Transport-Security": "is left out: it would bind the proxy's host (RFC 6797)",
    "Alt-Svc": "is left out: it would lead around the proxy (RFC 7838)",
}
"""What may differ between the response of the upstream and that to the client, and why."""

_Change: TypeAlias = Callable[[str], str | None]
"""The new value of a field; None leaves the field out."""

# The bytes of a head in lines, each with the folded ones that belong to it (RFC 9112 section 5.2).
_LINE: Final = re.compile(rb"[^\n]*\n(?:[ \t]+[^\s][^\n]*\n)*")
_ABSOLUTE: Final = re.compile(
    r"(?:(?P<scheme>https?):)?//(?P<authority>[^/?#]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
_PATH_ENDS: Final = ("", "/", "?", "#")


class RewrittenRequest(msgspec.Struct, frozen=True):
    """The head to send, and the offer of extensions that was taken out of it, None without one."""

    data: bytes
    extensions: str | None


class HeadRewriter(msgspec.Struct, frozen=True):
    """Changes heads between a client, which reaches the proxy with or without ``tls``, and an
    ``upstream``.

    What it is given are whole heads that :mod:`recorder.wire.handshake` can read. Raises nothing.
    """

    upstream: Backend
    tls: bool

    def own_origin(self, request: RequestHead) -> str | None:
        """The origin by which the client reaches the proxy, as ``http://127.0.0.1:8090``; None if
        it does not say. Where another front speaks TLS for the proxy, that front tells it by
        X-Forwarded-Proto.
        """
        host = header_value(request.headers, "Host")
        told = header_value(request.headers, "X-Forwarded-Proto") or ""
        scheme = told.partition(",")[0].strip().lower()
        if scheme not in ("http", "https"):
            scheme = "https" if self.tls else "http"
        return f"{scheme}://{host}" if host else None

    def request(self, data: bytes, request: RequestHead) -> RewrittenRequest:
        """The head of a request as the upstream is to get it."""
        own = self.own_origin(request)
        upgrade = header_value(request.headers, "Upgrade")
        changes: dict[str, _Change] = {
            "host": lambda _: self.upstream.authority,
            "sec-websocket-extensions": _left_out,
            "http2-settings": _left_out,
        }
        if own is not None:
            changes["origin"] = lambda value: self._moved(value, own, self._origin)
            changes["referer"] = lambda value: self._moved(
                value, own, self._origin + self.upstream.prefix
            )
        if upgrade is not None and upgrade.strip().lower() != "websocket":
            changes["upgrade"] = _left_out
            changes["connection"] = _without_upgrade
        first, *fields = _LINE.findall(data)
        start = self._request_line(first, request)
        if header_value(request.headers, "Host") is None:
            start += b"Host: " + self.upstream.authority.encode("ascii") + b"\r\n"
        offered = [
            value for name, value in request.headers if name.lower() == "sec-websocket-extensions"
        ]
        return RewrittenRequest(start + _changed(fields, changes), ", ".join(offered) or None)

    def response(self, data: bytes, own: str | None) -> bytes:
        """The head of a response as the client is to get it, who reached the proxy at the origin
        ``own``.
        """
        tls = own.startswith("https:") if own is not None else self.tls
        changes: dict[str, _Change] = {
            "set-cookie": lambda value: self._cookie(value, tls=tls),
            "strict-transport-security": _left_out,
            "alt-svc": _left_out,
        }
        if own is not None:
            changes["location"] = lambda value: self._location(value, own)
            changes["content-location"] = changes["location"]
            changes["access-control-allow-origin"] = lambda value: self._moved(
                value, self._origin, own
            )
        first, *fields = _LINE.findall(data)
        return bytes(first) + _changed(fields, changes)

    @property
    def _origin(self) -> str:
        return self.upstream.http_url.removesuffix(self.upstream.prefix)

    def _request_line(self, line: bytes, request: RequestHead) -> bytes:
        target = request.target
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is not None and absolute["scheme"]:
            # RFC 9112 section 3.2.2: what clients send to a proxy that they know of.
            target = absolute["rest"]
            target = target if target.startswith("/") else f"/{target}"
        if self.upstream.prefix and target.startswith("/"):
            target = self.upstream.prefix + target
        if target == request.target:
            return line
        before, after = request.target.encode("iso-8859-1"), target.encode("iso-8859-1")
        return line.replace(b" " + before + b" ", b" " + after + b" ", 1)

    @staticmethod
    def _moved(value: str, here: str, there: str) -> str:
        """``value`` with the URL ``here`` at its start replaced; a longer host is another one."""
        if (
            value[: len(here)].lower() != here.lower()
            or value[len(here) : len(here) + 1] not in _PATH_ENDS
        ):
            return value
        return there + value[len(here) :]

    def _location(self, value: str, own: str) -> str:
        """A URL or a path of the upstream's as one of the proxy's; what leads elsewhere stays."""
        prefix = self.upstream.prefix
        absolute = _ABSOLUTE.fullmatch(value)
        rest = value if absolute is None else absolute["rest"]
        if absolute is not None and not self._is_upstream(absolute):
            return value
        if prefix and rest.startswith(prefix) and rest[len(prefix) : len(prefix) + 1] in _PATH_ENDS:
            rest = rest[len(prefix) :]
            rest = rest if rest.startswith("/") else f"/{rest}"
        elif prefix:
            return value
        if absolute is None:
            return rest
        return (own if absolute["scheme"] else own[own.index("//") :]) + rest

    def _is_upstream(self, absolute: re.Match[str]) -> bool:
        scheme = "https" if self.upstream.tls else "http"
        authority = absolute["authority"].lower()
        if (absolute["scheme"] or scheme).lower() != scheme:
            return False
        # The port of the scheme may be spelled out.
        return authority in (
            self.upstream.authority.lower(),
            f"{self.upstream.authority.lower()}:{self.upstream.port}",
        )

    def _cookie(self, value: str, *, tls: bool) -> str:
        pair, *attributes = value.split(";")
        kept = [pair]
        for attribute in attributes:
            name, equals, of = attribute.partition("=")
            match name.strip().lower():
                case "domain":
                    continue
                case "secure" | "partitioned" if not tls:
                    continue
                case "samesite" if not tls and of.strip().lower() == "none":
                    continue
                case "path" if self.upstream.prefix and (
                    of.strip() == self.upstream.prefix
                    or of.strip().startswith(f"{self.upstream.prefix}/")
                ):
                    path = of.strip().removeprefix(self.upstream.prefix) or "/"
                    kept.append(f"{name}{equals}{path}")
                case _:
                    kept.append(attribute)
        return ";".join(kept)


def _left_out(_: str) -> None:
    return None


def _without_upgrade(value: str) -> str | None:
    tokens = [token.strip() for token in value.split(",")]
    kept = [token for token in tokens if token.lower() not in ("upgrade", "http2-settings")]
    return ", ".join(kept) or None


def _changed(lines: list[bytes], changes: dict[str, _Change]) -> bytes:
    out = []
    for line in lines:
        name, colon, rest = line.partition(b":")
        change = changes.get(name.decode("iso-8859-1").strip().lower()) if colon else None
        if change is None:
            out.append(line)
            continue
        end = b"\r\n" if rest.endswith(b"\r\n") else b"\n"
        value = rest.removesuffix(end).strip(b" \t").decode("iso-8859-1")
        new = change(value)
        if new == value:
            out.append(line)
        elif new is not None:
            out.append(name + b": " + new.encode("iso-8859-1") + end)
    return b"".join(out)
