"""Where a backend is: URLs in, addresses out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.backend import Backend


@pytest.mark.parametrize(
    ("url", "backend"),
    [
        ("https://track.example.com", Backend(True, "track.example.com", 443)),
        ("https://track.example.com/", Backend(True, "track.example.com", 443)),
        ("track.example.com", Backend(True, "track.example.com", 443)),
        ("track.example.com:8443/api", Backend(True, "track.example.com", 8443)),
        ("http://localhost:8082", Backend(False, "localhost", 8082)),
        ("http://localhost", Backend(False, "localhost", 80)),
        ("ws://localhost:1/api/socket", Backend(False, "localhost", 1)),
        ("wss://localhost:65535/api/socket/", Backend(True, "localhost", 65535)),
        ("HTTPS://Track.Example.COM/api", Backend(True, "track.example.com", 443)),
        ("https://a/api/session", Backend(True, "a", 443)),
        ("https://a/b/c", Backend(True, "a", 443, "/b/c")),
        ("https://a/b/api/socket", Backend(True, "a", 443, "/b")),
        ("https://a/api/api", Backend(True, "a", 443, "/api")),
        ("https://a/myapi", Backend(True, "a", 443, "/myapi")),
        ("http://[::1]:8082/", Backend(False, "::1", 8082)),
    ],
)
def test_a_url_says_where_the_backend_is(url: str, backend: Backend) -> None:
    assert Backend.parse(url) == backend


@pytest.mark.parametrize(
    ("url", "authority", "http_url", "socket_url"),
    [
        ("https://a", "a", "https://a", "wss://a/api/socket"),
        ("https://a:80", "a:80", "https://a:80", "wss://a:80/api/socket"),
        ("http://a:80/x/", "a", "http://a/x", "ws://a/x/api/socket"),
        ("ws://a:443", "a:443", "http://a:443", "ws://a:443/api/socket"),
        ("http://[::1]:1", "[::1]:1", "http://[::1]:1", "ws://[::1]:1/api/socket"),
        ("https://[::1]", "[::1]", "https://[::1]", "wss://[::1]/api/socket"),
    ],
)
def test_a_backend_says_its_urls(url: str, authority: str, http_url: str, socket_url: str) -> None:
    backend = Backend.parse(url)
    assert (backend.authority, backend.http_url) == (authority, http_url)
    assert backend.socket_url == socket_url


@given(
    st.booleans(),
    st.sampled_from(["localhost", "track.example.com", "::1", "10.0.0.1"]),
    st.integers(1, 65535),
    st.sampled_from(["", "/a", "/a/b"]),
)
def test_its_own_urls_lead_back_to_it(tls: bool, host: str, port: int, prefix: str) -> None:
    backend = Backend(tls, host, port, prefix)
    assert Backend.parse(backend.http_url) == backend
    assert Backend.parse(backend.socket_url) == backend


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://a", "scheme 'ftp'"),
        ("file:///etc/passwd", "scheme 'file'"),
        ("", "no host"),
        ("https://", "no host"),
        ("https:///api", "no host"),
        ("https://a?b=c", "query"),
        ("https://a/#top", "fragment"),
        ("https://a:b", "port"),
        ("https://a:65536", "port"),
        ("https://a:-1", "port"),
        ("https://a:0", "port"),
        ("https://[::1", "IPv6"),
    ],
)
def test_what_is_no_backend_is_refused_with_its_reason(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Backend.parse(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://me:hunter2@a",
        "me:hunter2@a",
        "https://hunter2@a",
        "https://:hunter2@a",
        "ftp://me:hunter2@a",
        "https://me:hunter2@",
        "https://me:hunter2@a:b?c#d",
        "https://me:hunter2@[::1",
        "https://me:hunter2@[a]",
        "https://me:hunter2@a\u2100b",
    ],
)
def test_credentials_in_a_url_are_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        Backend.parse(url)
    assert "hunter2" not in str(caught.value)
    assert "me:" not in str(caught.value)


def test_what_is_not_ascii_stands_as_on_the_wire() -> None:
    backend = Backend.parse("https://bücher.example/日本/a%20b")
    assert backend.http_url == "https://xn--bcher-kva.example/%E6%97%A5%E6%9C%AC/a%20b"
