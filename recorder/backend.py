"""Where a Track backend is: one base URL in, the addresses of REST and socket out. Pure."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import msgspec

__all__ = ["API_PATH", "SESSION_PATH", "SOCKET_PATH", "Backend"]

API_PATH = "/api"
SESSION_PATH = "/api/session"
"""Manual section 2."""
SOCKET_PATH = "/api/socket"
"""Manual section 3.1."""


class Backend(msgspec.Struct, frozen=True):
    """A backend's address. ``prefix`` is a path in front of ``/api`` where a proxy mounts it there,
    else empty. Both are as they stand on the wire, ASCII (RFC 3490; RFC 3986 section 2.1).
    """

    tls: bool
    host: str
    port: int
    prefix: str = ""

    @classmethod
    def parse(cls, url: str) -> Backend:
        """Read ``https://track.example.com``, with or without ``/api`` or ``/api/socket`` behind
        it; ws and wss are taken too.

        Raises ValueError, one sentence without the URL's user and password, if it is none.
        """
        try:
            parts = urlsplit(url if "://" in url else f"https://{url}")
        except ValueError:
            # What urllib says shows the whole authority, with its user and password.
            raise ValueError("the URL's host is no name and no IPv6 address") from None
        if parts.scheme not in ("http", "https", "ws", "wss"):
            raise ValueError(f"the scheme {parts.scheme!r} is none of http, https, ws, wss")
        if parts.username or parts.password or "@" in parts.path:
            raise ValueError(
                "no credentials in a URL, please: use a user file, the environment or the prompt"
            )
        if not parts.hostname:
            raise ValueError("the URL names no host")
        try:
            host = parts.hostname.encode("idna").decode("ascii")
        except UnicodeError:
            raise ValueError("the URL's host is no name and no IP address") from None
        if parts.query or parts.fragment:
            raise ValueError("the URL has a query or fragment; expected the backend's base URL")
        try:
            port = parts.port
        except ValueError:
            port = 0
        if port == 0:
            raise ValueError("the URL's port is no number from 1 to 65535")
        tls = parts.scheme in ("https", "wss")
        path = parts.path.rstrip("/")
        for known in (SOCKET_PATH, SESSION_PATH, API_PATH):
            if path.endswith(known):
                path = path.removesuffix(known)
                break
        prefix = quote(path, safe="/%:@!$&'()*+,;=~")
        return cls(tls=tls, host=host, port=port or (443 if tls else 80), prefix=prefix)

    @property
    def authority(self) -> str:
        """The Host header: host, and the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @property
    def http_url(self) -> str:
        """The base URL for HTTP, without a slash at its end."""
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.prefix}"

    @property
    def socket_url(self) -> str:
        """The URL of the socket (manual section 3.1)."""
        return f"{'wss' if self.tls else 'ws'}://{self.authority}{self.prefix}{SOCKET_PATH}"
