"""The proxy where its users may have to put it: behind an nginx that speaks TLS with clients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import websockets.sync.client

from tests.clients.nginx import Nginx, nginx
from tests.clients.support import EMAIL, PASSWORD, Proxy, Recorded, proxy
from tests.clients.test_nginx_before_the_backend import answer_pings
from tests.programs import require


@pytest.fixture(autouse=True)
def _nginx() -> None:
    require("nginx")


@contextmanager
def behind_nginx(upstream: str, folder: Path) -> Iterator[tuple[Nginx, Proxy]]:
    with (
        proxy(upstream, folder) as inner,
        nginx(folder / "front", inner.url, tls=True) as outer,
    ):
        yield outer, inner


def client(outer: Nginx) -> httpx.Client:
    return httpx.Client(base_url=outer.url, verify=outer.trusted(), trust_env=False, timeout=20)


def test_rest_and_a_socket_come_through_nginx_and_the_proxy(fake: str, tmp_path: Path) -> None:
    with behind_nginx(fake, tmp_path) as (outer, inner):
        with client(outer) as http:
            http.post(
                "/api/session", data={"email": EMAIL, "password": PASSWORD}
            ).raise_for_status()
            session = http.cookies["JSESSIONID"]
            devices = http.get("/api/devices", headers={"X-Forwarded-For": "192.0.2.7"})
        with websockets.sync.client.connect(
            f"{outer.url.replace('http', 'ws', 1)}/api/socket",
            additional_headers={"Cookie": f"JSESSIONID={session}"},
            origin=websockets.Origin(outer.url),
            ssl=outer.trusted(),
            ping_interval=None,
            proxy=None,
        ) as socket:
            heard = answer_pings(socket, 1)
    found = Recorded(inner.path, session)
    one = found.exchange("/api/devices")
    assert one.response_body == devices.content
    # What nginx says of the client goes on to the backend as it is.
    assert one.request_header("X-Forwarded-For") == ("192.0.2.7, 127.0.0.1",) * 2
    assert one.request_header("X-Forwarded-Proto") == ("https", "https")
    assert found.messages("server") == heard
    assert len(found.messages("client")) == 1
    assert found.closed(found.sockets()[0]).detail.startswith("close 1000")
    assert all(one.tls is None for one in found.clients.values())


def test_the_origin_and_redirects_are_those_of_the_nginx_that_clients_see(
    fake: str, tmp_path: Path
) -> None:
    # The proxy itself speaks plain HTTP here, while the client's URLs begin with https.
    cookie = "theme=dark; Secure; SameSite=None"
    moving = f"""location = /api/old {{
        add_header Set-Cookie "{cookie}";
        return 302 $scheme://$http_host/api/new;
    }}"""
    with (
        nginx(tmp_path / "back", fake, tls=False, server=moving) as back,
        behind_nginx(back.url, tmp_path) as (outer, inner),
        client(outer) as http,
    ):
        moved = http.get("/api/old", headers={"Origin": outer.url})
    assert moved.headers["Location"] == f"{outer.url}/api/new"
    assert moved.headers["Set-Cookie"] == cookie
    one = Recorded(inner.path).exchange("/api/old")
    assert one.request_header("Origin") == (outer.url, back.url)
