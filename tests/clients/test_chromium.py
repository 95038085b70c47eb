"""Chromium through the proxy: a page that logs in, asks by REST and follows the socket.

The backend is one that suits no browser at another address: its cookie is bound to its own domain
and to HTTPS, it refuses foreign origins, redirects to its full URL, and demands HTTPS for good.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.clients.nginx import PAGE, Nginx, nginx
from tests.clients.support import EMAIL, PASSWORD, Recorded, proxy, wait_until
from tests.programs import find, require

PINGS = 2

NAME = "recorder.test"
"""A name that no browser takes for its own machine, and so for trustworthy."""

STRICT = """
    set $foreign $http_origin;
    if ($http_origin = "$scheme://$http_host") { set $foreign ''; }
    if ($foreign) { return 403; }
    add_header Strict-Transport-Security max-age=31536000 always;
    location = / { return 302 $scheme://$http_host/index.html; }
"""
BOUND = """
    proxy_cookie_path /api "/api; Domain=track.example; Secure; SameSite=None; HttpOnly";
"""


@pytest.fixture(autouse=True)
def _chromium(monkeypatch: pytest.MonkeyPatch) -> None:
    require("chromium", "chromedriver", "nginx")
    # selenium neither downloads a driver nor asks a proxy for this one.
    monkeypatch.setenv("SE_OFFLINE", "true")
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory, fake: str) -> Iterator[Nginx]:
    require("nginx")
    folder = tmp_path_factory.mktemp("backend") / "nginx"
    with nginx(folder, fake, server=STRICT, api=BOUND) as server:
        yield server


def key_of(port: int, ca_file: Path) -> str:
    """The hash of the public key of the server at ``port``, which ``ca_file`` vouches for: what
    Chromium is told to trust, for it reads no file of authorities (RFC 7469 section 2.4).
    """
    context = ssl.create_default_context(cafile=str(ca_file))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as tcp,
        context.wrap_socket(tcp, server_hostname="localhost") as tls,
    ):
        data = tls.getpeercert(binary_form=True)
    assert data is not None
    key = x509.load_der_x509_certificate(data).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


@contextmanager
def browser(folder: Path, *, trusted_key: str = "") -> Iterator[Chrome]:
    """A Chromium that nobody used before."""
    options = ChromeOptions()
    options.binary_location = find("chromium") or ""
    for argument in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "disable-dev-shm-usage",
        "no-first-run",
        "no-proxy-server",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "disable-features=OptimizationHints,MediaRouter",
        "window-size=900,500",
        f"user-data-dir={folder / 'profile'}",
        f"host-resolver-rules=MAP {NAME} 127.0.0.1",
        f"ignore-certificate-errors-spki-list={trusted_key}",
    ):
        options.add_argument(f"--{argument}")
    driver = Chrome(options, Service(find("chromedriver")))
    try:
        driver.set_page_load_timeout(20)
        yield driver
    finally:
        driver.quit()


def log_in(driver: Chrome, url: str) -> None:
    driver.get(url)
    driver.find_element(By.NAME, "email").send_keys(EMAIL)
    driver.find_element(By.NAME, "password").send_keys(PASSWORD)
    driver.find_element(By.CSS_SELECTOR, "#login button").click()


def state_of(driver: Chrome) -> str:
    return driver.find_element(By.ID, "state").text


def shown(driver: Chrome) -> list[list[str]]:
    """The rows of the page's table."""
    rows: list[list[str]] = driver.execute_script(
        "return [...document.querySelectorAll('#devices tr')]"
        ".map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return rows


def data(driver: Chrome, name: str) -> int:
    return int(driver.find_element(By.TAG_NAME, "body").get_attribute(f"data-{name}") or 0)


def use(driver: Chrome, url: str) -> tuple[list[list[str]], int]:
    """Do what a user does, until some PINGs are answered; gives what the page then shows, and the
    number of messages that it heard.
    """
    log_in(driver, f"{url}/")
    wait_until(lambda: state_of(driver) != "logged out")
    assert state_of(driver) == "live as account"
    assert driver.current_url == f"{url}/index.html"
    wait_until(lambda: data(driver, "pings") >= PINGS)
    driver.find_element(By.ID, "leave").click()
    wait_until(lambda: state_of(driver) == "closed 1000")
    return shown(driver), data(driver, "messages")


def check(found: Recorded, backend: Nginx, own: str, rows: list[list[str]], messages: int) -> None:
    """The recording holds what the browser did, and tells what the proxy changed for it."""
    theirs = backend.url
    moved = found.exchange("/")
    assert moved.response_header("Location") == (f"{theirs}/index.html", f"{own}/index.html")
    hsts = moved.response_header("Strict-Transport-Security")
    assert hsts == ("max-age=31536000", None)
    page = found.exchange("/index.html")
    assert page.response_body == (PAGE / "index.html").read_bytes()
    assert found.exchange("/page.js").request_header("Referer") == (
        f"{own}/index.html",
        f"{theirs}/index.html",
    )
    login = found.exchange("/api/session", "POST")
    assert login.request_body == b"email=[redacted:email-1]&password=[redacted]"
    assert login.request_header("Origin") == (own, theirs)
    bound, free = login.response_header("Set-Cookie")
    assert bound == (
        "JSESSIONID=[redacted:cookie-1]; Path=/api; Domain=track.example; Secure; SameSite=None;"
        " HttpOnly"
    )
    assert free == (
        "JSESSIONID=[redacted:cookie-1]; Path=/api; Secure; SameSite=None; HttpOnly"
        if own.startswith("https")
        else "JSESSIONID=[redacted:cookie-1]; Path=/api; HttpOnly"
    )
    devices = json.loads(found.exchange("/api/devices").response_body)
    assert [row[0] for row in rows[: len(devices)]] == [one["name"] for one in devices]
    upgrade = found.exchange("/api/socket")
    assert upgrade.request_header("Origin") == (own, theirs)
    assert upgrade.request_header("Cookie") == ("JSESSIONID=[redacted:cookie-1]",) * 2
    offer, sent = upgrade.request_header("Sec-WebSocket-Extensions")
    assert (offer or "").startswith("permessage-deflate")
    assert sent is None
    heard = [json.loads(message) for message in found.messages("server")]
    assert len(heard) >= messages
    positions = {one["id"]: one for message in heard for one in message.get("positions", ())}
    assert {row[3] for row in rows if row[3]} <= {one["fixTime"] for one in positions.values()}
    assert any(row[3] for row in rows)
    pings = [one["message"] for message in heard for one in message.get("status", ())]
    pongs = found.messages("client")
    assert pongs == [f"pong {uuid}" for uuid in pings[: len(pongs)]]
    assert len(pongs) >= PINGS
    # The server ends TCP behind the close frames (RFC 6455 section 7.1.1).
    [end] = [found.closed(number) for number in found.sockets()]
    assert (end.by, end.how, end.detail) == ("server", "eof", "close 1000 bye")
    assert found.redacted["password"] == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", NAME])
def test_a_page_over_plain_http_works_and_is_recorded(
    host: str, backend: Nginx, tmp_path: Path
) -> None:
    with proxy(backend.url, tmp_path, "--ca-file", backend.ca_file) as front:
        own = f"http://{host}:{front.port}"
        with browser(tmp_path) as driver:
            seen = use(driver, own)
            driver.save_screenshot(str(tmp_path / "page.png"))
    check(Recorded(front.path), backend, own, *seen)


def test_a_page_over_tls_works_and_is_recorded(backend: Nginx, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    options = ("--ca-file", backend.ca_file, "--tls-self-signed", ca_file)
    with proxy(backend.url, tmp_path, *options) as front:
        own = f"https://localhost:{front.port}"
        with browser(tmp_path, trusted_key=key_of(front.port, ca_file)) as driver:
            seen = use(driver, own)
    found = Recorded(front.path)
    check(found, backend, own, *seen)
    assert {found.clients[one.connection].tls for one in found.exchanges} == {"TLSv1.3"}


def test_without_the_proxy_the_same_page_cannot_keep_its_session(
    backend: Nginx, tmp_path: Path
) -> None:
    # What the proxy changes is what makes the tests above work.
    with browser(tmp_path, trusted_key=key_of(backend.port, backend.ca_file)) as driver:
        log_in(driver, f"{backend.url}/")
        wait_until(lambda: state_of(driver) != "logged out")
        assert state_of(driver) == "/api/devices: 401"
