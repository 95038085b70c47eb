"""What becomes of HTTP heads, by example: cookies, origins, redirects, hosts, and what only looks
like them.
"""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.backend import Backend
from recorder.proxy.heads import REQUEST_CHANGES, RESPONSE_CHANGES, HeadRewriter
from recorder.wire.handshake import parse_request_head
from tests.profiles import examples

HOST = "127.0.0.1:8090"
OWN = f"http://{HOST}"
PLAIN = "http://up.test:8082"
MOUNTED = "https://track.example/pre"


def request(
    *lines: str, upstream: str = PLAIN, first: str = "GET /a HTTP/1.1", tls: bool = False
) -> list[str]:
    """The lines of a request as the upstream gets it."""
    data = "\r\n".join([first, *lines, "", ""]).encode("latin-1")
    rewriter = HeadRewriter(upstream=Backend.parse(upstream), tls=tls)
    got = rewriter.request(data, parse_request_head(data)).data.decode("latin-1")
    assert got.endswith("\r\n\r\n")
    return got.removesuffix("\r\n\r\n").split("\r\n")


def target(text: str, *, upstream: str = PLAIN, method: str = "GET") -> str:
    """What a target becomes."""
    first = f"{method} {text} HTTP/1.1"
    return request(f"Host: {HOST}", upstream=upstream, first=first)[0].split(" ")[1]


def field(line: str, **options: object) -> list[str]:
    """What a field of a request becomes, beside its Host."""
    _, host, *fields = request(f"Host: {HOST}", line, **options)  # type: ignore[arg-type]
    assert host == f"Host: {Backend.parse(str(options.get('upstream', PLAIN))).authority}"
    return fields


def response(
    *lines: str, upstream: str = PLAIN, tls: bool = False, own: str | None = OWN
) -> list[str]:
    """What fields of a response become."""
    data = "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode("latin-1")
    rewriter = HeadRewriter(upstream=Backend.parse(upstream), tls=tls)
    first, *got = rewriter.response(data, own).decode("latin-1").split("\r\n")
    assert first == "HTTP/1.1 200 OK"
    assert got[-2:] == ["", ""]
    return got[:-2]


# Cookies


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        # Jetty's, as the manual shows it.
        ("JSESSIONID=node01abc.node0;Path=/pre/api", "JSESSIONID=node01abc.node0;Path=/api"),
        ("J=1; Path=/pre", "J=1; Path=/"),
        ("J=1; Path=/pre/", "J=1; Path=/"),
        ("J=1; path=/pre/a/b", "J=1; path=/a/b"),
        ("J=1; Path=/", "J=1; Path=/"),
        ("J=1; Path=/api", "J=1; Path=/api"),
        ("J=1; Path=/prefix/x", "J=1; Path=/prefix/x"),
        ("J=1; Domain=track.example; HttpOnly", "J=1; HttpOnly"),
        ("J=1; domain = .track.example", "J=1"),
        ("J=1; Secure", "J=1"),
        ("J=1; Secure; SameSite=None; Partitioned; HttpOnly", "J=1; HttpOnly"),
        ("J=1;SECURE;samesite=NONE", "J=1"),
        ("J=1; SameSite=Lax", "J=1; SameSite=Lax"),
        ("J=1; SameSite=Strict; Secure", "J=1; SameSite=Strict"),
        (
            "J=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Secure",
            "J=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0",
        ),
        # The name and value are nobody's attributes (RFC 6265 section 5.2).
        ("Secure=Domain; Secure", "Secure=Domain"),
        ("path=/pre/x; Path=/pre/x", "path=/pre/x; Path=/x"),
        ('J="a=b, c"; Priority=High; Secure', 'J="a=b, c"; Priority=High'),
        ("J=\xe9\xa0\x85=; Future=/pre/x; Secure", "J=\xe9\xa0\x85=; Future=/pre/x"),
    ],
)
def test_a_cookie_is_made_for_the_proxys_host_path_and_scheme(sent: str, got: str) -> None:
    assert response(f"Set-Cookie: {sent}", upstream=MOUNTED) == [f"Set-Cookie: {got}"]


def test_a_cookie_that_needs_no_change_passes_as_it_is_spelled() -> None:
    lines = ["set-cookie:J=1;Path=/api;HttpOnly ", "SET-COOKIE: \t a=b;;"]
    assert response(*lines, upstream=MOUNTED) == lines


def test_with_tls_to_the_client_a_cookie_stays_secure() -> None:
    cookie = "Set-Cookie: __Secure-J=1; Path=/pre; Secure; SameSite=None; Partitioned; Domain=x"
    assert response(cookie, upstream=MOUNTED, tls=True, own="https://localhost:1") == [
        "Set-Cookie: __Secure-J=1; Path=/; Secure; SameSite=None; Partitioned"
    ]


def test_each_of_several_cookies_is_changed_in_its_place() -> None:
    lines = ["Set-Cookie: a=1; Secure", "X: y", "Set-Cookie: b=2; Domain=up.test", "Set-Cookie: c"]
    assert response(*lines) == ["Set-Cookie: a=1", "X: y", "Set-Cookie: b=2", "Set-Cookie: c"]


_attributes = st.sampled_from(
    ["HttpOnly", "Max-Age=5", "SameSite=Lax", "Priority=High", "expires=Thu, 01 Jan 1970", "x=y=z"]
)
_dropped = st.sampled_from(["Domain=up.test", "secure", "Secure", "PARTITIONED", "SameSite=None"])


@given(
    st.lists(st.tuples(st.booleans(), _attributes, _dropped), max_size=6),
    st.sampled_from(["; ", ";", " ; "]),
)
@settings(max_examples=examples(100))
def test_of_a_cookies_attributes_those_go_that_a_plain_host_cannot_have_and_the_rest_stays(
    made: list[tuple[bool, str, str]], between: str
) -> None:
    sent = ["J=1", *(kept if keeps else dropped for keeps, kept, dropped in made)]
    left = ["J=1", *(kept for keeps, kept, _ in made if keeps)]
    (got,) = response(f"Set-Cookie: {between.join(sent)}")
    assert [part.strip() for part in got.removeprefix("Set-Cookie: ").split(";")] == left


# Origin, Referer, Host


@pytest.mark.parametrize(
    ("line", "got"),
    [
        (f"Origin: {OWN}", "Origin: https://track.example"),
        (f"Referer: {OWN}/page?x#y", "Referer: https://track.example/pre/page?x#y"),
        (f"Referer: {OWN}/", "Referer: https://track.example/pre/"),
        (f"Referer: {OWN}", "Referer: https://track.example/pre"),
        (f"origin:{OWN} ", "origin: https://track.example"),
    ],
)
def test_the_proxys_own_origin_becomes_the_upstreams(line: str, got: str) -> None:
    assert field(line, upstream=MOUNTED) == [got]


@pytest.mark.parametrize(
    "line",
    [
        "Origin: null",
        "Origin:\thttp://page.test ",
        f"Origin: {OWN}0",
        f"Origin: https://{HOST}",
        "Origin: http://127.0.0.1",
        f"Referer: {OWN}.evil.test/",
        f"Referer: {OWN}@evil.test/",
        f"Referer: http://page.test/?{OWN}/",
        f"X-Origin: {OWN}",
        f"Forwarded: host={HOST}",
        f"X-Forwarded-Host: {HOST}",
    ],
)
def test_a_foreign_origin_stays_as_it_is(line: str) -> None:
    assert field(line, upstream=MOUNTED) == [line]


def test_with_tls_to_the_client_the_own_origin_is_https() -> None:
    lines = [f"Host: {HOST}", f"Origin: https://{HOST}", f"Referer: {OWN}/x"]
    assert request(*lines, tls=True)[2:] == [f"Origin: {PLAIN}", f"Referer: {OWN}/x"]


def test_a_front_that_speaks_tls_for_the_proxy_tells_it() -> None:
    lines = [f"Host: {HOST}", "X-Forwarded-Proto: https", f"Origin: https://{HOST}"]
    assert request(*lines)[2:] == [lines[1], f"Origin: {PLAIN}"]
    lines = [f"Host: {HOST}", "X-Forwarded-Proto: evil", f"Origin: https://{HOST}"]
    assert request(*lines)[2:] == lines[1:]


@pytest.mark.parametrize(
    ("upstream", "authority"),
    [
        ("http://up.test", "up.test"),
        ("http://up.test:80", "up.test"),
        ("https://up.test:443", "up.test"),
        ("http://up.test:443", "up.test:443"),
        ("http://[2001:db8::1]", "[2001:db8::1]"),
        ("https://[::1]:444/pre", "[::1]:444"),
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1:8090", "[::1]:8090", "phone.local", ""])
def test_the_host_becomes_the_upstreams(upstream: str, authority: str, host: str) -> None:
    assert request(f"hOsT:{host}", upstream=upstream)[1:] == [f"hOsT: {authority}"]


def test_an_ipv6_page_is_at_home_too() -> None:
    lines = ["Host: [::1]:8090", "Origin: http://[::1]:8090", "Referer: http://[::1]:8090/p"]
    assert request(*lines, upstream="http://[fd00::7]:1")[2:] == [
        "Origin: http://[fd00::7]:1",
        "Referer: http://[fd00::7]:1/p",
    ]


def test_an_old_client_without_a_host_gets_one() -> None:
    got = request("X: y", first="GET /a HTTP/1.0")
    assert sorted(got) == sorted(["GET /a HTTP/1.0", "Host: up.test:8082", "X: y"])


# Targets


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        ("/", "/pre/"),
        ("/api/x?y=/z#w", "/pre/api/x?y=/z#w"),
        ("//double//x", "/pre//double//x"),
        ("/../x", "/pre/../x"),
        (f"/r?u={OWN}/", f"/pre/r?u={OWN}/"),
        (f"{OWN}/api?x=1", "/pre/api?x=1"),
        (OWN, "/pre/"),
        (f"{OWN}?x=1", "/pre/?x=1"),
        (f"HTTP://{HOST}/a", "/pre/a"),
        (f"http://user:p%40ss@{HOST}/a@b", "/pre/a@b"),
        ("/caf\xc3\xa0/\xc3\x85", "/pre/caf\xc3\xa0/\xc3\x85"),
    ],
)
def test_a_target_becomes_a_path_behind_the_upstreams(sent: str, got: str) -> None:
    assert target(sent, upstream=MOUNTED) == got


def test_a_target_without_a_prefix_passes_as_it_is() -> None:
    for text in ("/", "//x", "/%2e%2e/?a=b&c", "/\xe9"):
        assert target(text) == text
    assert target("*", method="OPTIONS", upstream=MOUNTED) == "*"


# Offers


def test_an_offer_of_compressed_frames_is_left_out_and_told() -> None:
    data = (
        b"GET / HTTP/1.1\r\nHost: x\r\nSEC-websocket-extensions: permessage-deflate;\r\n"
        b"\tclient_max_window_bits\r\nX: y\r\nSec-WebSocket-Extensions:foo\r\n\r\n"
    )
    rewriter = HeadRewriter(upstream=Backend.parse(PLAIN), tls=False)
    got = rewriter.request(data, parse_request_head(data))
    assert got.data == b"GET / HTTP/1.1\r\nHost: up.test:8082\r\nX: y\r\n\r\n"
    assert got.extensions is not None
    assert "permessage-deflate" in got.extensions
    assert "client_max_window_bits" in got.extensions
    assert "foo" in got.extensions


@pytest.mark.parametrize(
    ("lines", "got"),
    [
        (["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA"], []),
        (
            ["Connection: close,upgrade ,http2-settings", "upgrade: H2C", "http2-settings: AA"],
            ["Connection: close"],
        ),
        (
            ["Upgrade: h2c", "Connection: keep-alive", "HTTP2-Settings: AA", "Connection: Upgrade"],
            ["Connection: keep-alive"],
        ),
        (
            ["Connection: X-Hop, HTTP2-Settings, Upgrade", "Upgrade: TLS/1.0, h2c"],
            ["Connection: X-Hop"],
        ),
    ],
)
def test_an_offer_of_http2_is_left_out(lines: list[str], got: list[str]) -> None:
    assert request("Host: x", *lines)[2:] == got


def test_an_offer_of_a_socket_stays() -> None:
    lines = ["connection:  keep-alive,Upgrade", "upgrade: WebSocket", "Sec-WebSocket-Key: x=="]
    assert request("Host: x", *lines)[2:] == lines


# Redirects and the rest of a response


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        (
            "https://track.example/pre/a?x=https://track.example/",
            f"{OWN}/a?x=https://track.example/",
        ),
        ("https://track.example/pre", f"{OWN}/"),
        ("https://track.example/pre?x", f"{OWN}/?x"),
        ("https://TRACK.example/pre/x", f"{OWN}/x"),
        ("/pre/login", "/login"),
    ],
)
@pytest.mark.parametrize("name", ["Location", "content-location"])
def test_where_a_response_leads_to_the_upstream_it_leads_to_the_proxy(
    name: str, sent: str, got: str
) -> None:
    (line,) = response(f"{name}: {sent}", upstream=MOUNTED)
    if "/pre/" not in sent:
        # With or without a slash it is the same place (RFC 9110 section 4.2.3).
        line = re.sub(f"{OWN}(?=[?]|$)", f"{OWN}/", line)
    assert line == f"{name}: {got}"


@pytest.mark.parametrize(
    "value",
    [
        "login",
        "../x",
        "?x=1",
        "#y",
        "https://other.example/pre/x",
        "https://track.example.evil.test/pre/",
        "https://track.example@evil.test/pre/",
        "https://track.example:444/pre/x",
        "https://track.example/prefix",
        "http://track.example/pre/",
        "https://evil.test/?https://track.example/pre/",
    ],
)
def test_where_a_response_leads_elsewhere_it_stays_as_it_is(value: str) -> None:
    lines = [f"location:  {value} "]
    assert response(*lines, upstream=MOUNTED) == lines


@pytest.mark.parametrize("value", ["//up.test:8082/x", "http://up.test:8082/x"])
def test_without_a_prefix_only_the_host_of_a_redirect_changes(value: str) -> None:
    (line,) = response(f"Location: {value}")
    assert line in (f"Location: {OWN}/x", f"Location: //{HOST}/x")
    assert response("Location: /x") == ["Location: /x"]


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        ("https://track.example", OWN),
        ("*", "*"),
        ("null", "null"),
        ("https://page.test", "https://page.test"),
        ("https://track.example.evil.test", "https://track.example.evil.test"),
        ("https://track.example:8443", "https://track.example:8443"),
    ],
)
def test_an_echoed_origin_comes_back_as_the_page_knows_it(sent: str, got: str) -> None:
    lines = [f"Access-Control-Allow-Origin: {sent}", "Access-Control-Allow-Credentials: true"]
    got_lines = [f"Access-Control-Allow-Origin: {got}", lines[1]]
    assert response(*lines, upstream=MOUNTED) == got_lines


def test_what_binds_the_host_or_leads_around_the_proxy_is_left_out() -> None:
    lines = [
        "strict-transport-security: max-age=31536000;",
        "\tincludeSubDomains",
        "Server: Jetty(9.4)",
        'ALT-SVC:h3=":443"; ma=86400',
        "Strict-Transport-Security-Report: x",
        "Content-Security-Policy: upgrade-insecure-requests",
    ]
    assert response(*lines) == [lines[2], *lines[4:]]


def test_for_a_client_that_did_not_say_where_it_is_redirects_stay() -> None:
    lines = [f"Location: {PLAIN}/x", f"Access-Control-Allow-Origin: {PLAIN}"]
    assert response(*lines, own=None) == lines


# What is not named


def test_the_tables_name_what_may_change_and_nothing_else() -> None:
    assert {name.lower() for name in REQUEST_CHANGES} == {
        "target", "host", "origin", "referer", "sec-websocket-extensions", "upgrade",
        "http2-settings", "connection",
    }  # fmt: skip
    assert {name.lower() for name in RESPONSE_CHANGES} == {
        "set-cookie", "location", "content-location", "access-control-allow-origin",
        "strict-transport-security", "alt-svc",
    }  # fmt: skip


_named = {name.lower() for name in [*REQUEST_CHANGES, *RESPONSE_CHANGES]}
_names = st.one_of(
    st.sampled_from(
        ["Cookie", "AUTHORIZATION", "x-location", "Hostname", "Set-Cookie2", "Origins"]
    ),
    st.text(st.sampled_from("!#$%&'*+-.^_`|~09azAZ"), min_size=1, max_size=9),
).filter(lambda name: name.lower() not in _named)
_latin = st.characters(min_codepoint=0, max_codepoint=0xFF, exclude_characters="\n\r")
_odd_values = st.one_of(
    st.text(_latin, max_size=20),
    st.sampled_from(
        [f"{OWN}/", f"{PLAIN}/x", f"Host: {HOST}", "a\rHost: x\rb", "\x85\x0c\x1c\x00"]
    ),
)


@given(
    st.lists(st.tuples(_names, st.sampled_from(["", " ", "\t  "]), _odd_values), max_size=8),
    st.sampled_from(["\r\n", "\n"]),
)
@settings(max_examples=examples(100))
def test_every_other_field_passes_byte_for_byte_in_its_place(
    fields: list[tuple[str, str, str]], end: str
) -> None:
    lines = [f"{name}:{blank}{value}{end}" for name, blank, value in fields]
    rest = "".join([*lines, end]).encode("latin-1")
    rewriter = HeadRewriter(upstream=Backend.parse(PLAIN), tls=False)
    head = f"GET / HTTP/1.1{end}Host: {HOST}{end}".encode() + rest
    got = rewriter.request(head, parse_request_head(head)).data
    assert got == f"GET / HTTP/1.1{end}Host: up.test:8082{end}".encode() + rest
    head = f"HTTP/1.1 200 OK{end}".encode() + rest
    assert rewriter.response(head, OWN) == head


def test_a_field_of_60_kb_passes() -> None:
    for name in ("Cookie", "Origin", "Connection"):
        line = f"{name}: {'x, ' * 20_000}x"
        assert field(line) == [line]
    cookie = f"Set-Cookie: a={'x' * 60_000}"
    assert response(f"{cookie}; Secure") == [cookie]


@pytest.mark.parametrize("value", ["a" + " " * 60_000 + "b", "\t" * 60_000 + "b", ", " * 30_000])
def test_a_field_full_of_blanks_is_read_in_linear_time(value: str) -> None:
    begun_s = time.process_time()
    assert field(f"Cookie:{value}") == [f"Cookie:{value}"]
    assert len(response(f"Set-Cookie: a;{value}", f"Location: /{value}")) == 2
    assert time.process_time() - begun_s < 2
