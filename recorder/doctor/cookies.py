"""What a ``Set-Cookie`` says, and whether a client sends the cookie back (RFC 6265). Pure."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import msgspec

from recorder.backend import SESSION_PATH, Backend

__all__ = ["SetCookie", "cookies_of", "parse_set_cookie", "why_not_sent"]


class SetCookie(msgspec.Struct, frozen=True):
    """A cookie as a server sets it. ``attributes`` have names in lower case; the last of a name
    counts. The value never shows in its repr.
    """

    name: str
    value: str
    attributes: dict[str, str]

    def __repr__(self) -> str:
        return f"SetCookie({self.name}=…, {self.attributes})"

    def describe(self) -> str:
        """The attributes that matter, in a few words."""
        said = [
            f"{label}={self.attributes[label.lower()]}"
            for label in ("Path", "Domain", "SameSite")
            if label.lower() in self.attributes
        ]
        if "path" not in self.attributes:
            said.insert(0, "no Path")
        flags = [label for label in ("Secure", "HttpOnly") if label.lower() in self.attributes]
        ends = {"max-age", "expires"} & set(self.attributes)
        flags.append("until a date" if ends else "until the client ends")
        return ", ".join(said + flags)


def parse_set_cookie(line: str) -> SetCookie | None:
    """Read the value of a ``Set-Cookie`` field as a browser does (RFC 6265 section 5.2); None if it
    sets none.
    """
    pair, *rest = line.split(";")
    name, equals, value = pair.partition("=")
    if not equals or not name.strip():
        return None
    attributes = {}
    for one in rest:
        key, _, content = one.partition("=")
        attributes[key.strip().lower()] = content.strip()
    return SetCookie(name.strip(), value.strip(), attributes)


def cookies_of(headers: list[tuple[str, str]]) -> list[SetCookie]:
    """What the fields of an answer set, in order."""
    lines = [value for name, value in headers if name.lower() == "set-cookie"]
    return [cookie for cookie in map(parse_set_cookie, lines) if cookie is not None]


def why_not_sent(
    cookie: SetCookie, backend: Backend, target: str, now_s: float
) -> tuple[str, str] | None:
    """Why a client that got the cookie from the login does not send it to ``target``, and what to
    do; None if it does (RFC 6265 sections 5.1, 5.3 and 5.4).
    """
    attributes = cookie.attributes
    domain = attributes.get("domain", "").removeprefix(".").lower()
    if domain and not (backend.host == domain or backend.host.endswith(f".{domain}")):
        return (
            f"It is set for the domain {domain}, which {backend.host} is not part of: clients"
            " throw it away.",
            "Use the URL with the backend's own name, or let the proxy rewrite the domain"
            " (nginx: proxy_cookie_domain).",
        )
    path = attributes.get("path", "")
    if not path.startswith("/"):
        path = f"{backend.prefix}{SESSION_PATH}".rpartition("/")[0] or "/"
    if not _path_matches(path, target):
        return (
            f"It is set for the path {path}, and clients do not send it to {target}.",
            "Let the proxy rewrite the path (nginx: proxy_cookie_path), or leave the path of the"
            " API as the backend has it.",
        )
    if "secure" in attributes and not backend.tls:
        return (
            "It is Secure, and clients do not send it over plain http.",
            "Use an https URL.",
        )
    if _is_over(attributes, now_s):
        return (
            "It is over already when it is set, by this machine's clock: clients throw it away.",
            "Compare the clocks of both machines; else it is a logout, not a login.",
        )
    return None


def _path_matches(path: str, target: str) -> bool:
    """RFC 6265 section 5.1.4."""
    return target == path or (
        target.startswith(path) and (path.endswith("/") or target[len(path)] == "/")
    )


def _is_over(attributes: dict[str, str], now_s: float) -> bool:
    # Max-Age has precedence over Expires.
    if "max-age" in attributes:
        try:
            return int(attributes["max-age"]) <= 0
        except ValueError:
            return False
    try:
        return parsedate_to_datetime(attributes["expires"]).timestamp() <= now_s
    except (KeyError, ValueError, OverflowError):
        return False
