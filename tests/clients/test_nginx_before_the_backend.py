"""nginx with TLS before the backend, as the manual's answers show it (``Server: nginx``), and the
proxy before that.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest
import trustme
import websockets.sync.client
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from recorder.exits import Exit
from tests.clients.nginx import Nginx, nginx
from tests.clients.support import EMAIL, PASSWORD, Proxy, Recorded, proxy, wait_until
from tests.fake_server.support import TIMEOUT, said, upgrade, write
from tests.fake_server.test_clients import CREDENTIALS as DEMO
from tests.fake_server.test_clients import hear_until_closed, pong_to
from tests.processes import fake_server, run
from tests.programs import require

LARGE = b"".join(b"%07d\n" % number for number in range(600_000))
IMAGE = random.Random(1).randbytes(1_000_000)


@pytest.fixture(autouse=True)
def _nginx() -> None:
    require("nginx")


@contextmanager
def fronted(
    fake: str, folder: Path, *, main: str = "", server: str = "", api: str = ""
) -> Iterator[tuple[Nginx, Proxy]]:
    """The fake behind nginx with TLS behind the proxy, which trusts nginx's authority."""
    with (
        nginx(folder / "nginx", fake, main=main, server=server, api=api) as back,
        proxy(back.url, folder, "--ca-file", back.ca_file) as front,
    ):
        yield back, front


def client(front: Proxy) -> httpx.Client:
    return httpx.Client(base_url=front.url, trust_env=False, timeout=20)


def log_in(http: httpx.Client) -> str:
    """The session's id."""
    http.post("/api/session", data={"email": EMAIL, "password": PASSWORD}).raise_for_status()
    return http.cookies["JSESSIONID"]


def connect(front: Proxy, session: str) -> ClientConnection:
    return websockets.sync.client.connect(
        f"ws://{front.authority}/api/socket",
        additional_headers={"Cookie": f"JSESSIONID={session}"},
        ping_interval=None,
        proxy=None,
    )


def answer_pings(socket: ClientConnection, pings: int) -> list[str]:
    """Answer that many PINGs; gives all that was heard."""
    heard: list[str] = []
    while pings:
        message = socket.recv(timeout=20)
        assert isinstance(message, str)
        heard.append(message)
        if (pong := pong_to(message)) is not None:
            socket.send(pong)
            pings -= 1
    return heard


def test_rest_and_a_socket_pass_an_nginx_with_tls(fake: str, tmp_path: Path) -> None:
    with fronted(fake, tmp_path) as (server, front):
        with client(front) as http:
            session = log_in(http)
            devices = http.get("/api/devices")
        with connect(front, session) as socket:
            heard = answer_pings(socket, 1)
    found = Recorded(front.path, session)
    assert {one.tls for one in found.upstream_of.values()} == {"TLSv1.3"}
    assert {one.url for one in found.upstream_of.values()} == {server.url}
    one = found.exchange("/api/devices")
    assert one.request_header("Host") == (front.authority, server.url.partition("://")[2])
    assert (one.response_header("Server")[1] or "").startswith("nginx")
    assert one.response_body == devices.content
    assert found.messages("server") == heard
    assert len(found.messages("client")) == 1
    # As in the manual's own output.
    upgrade = found.exchange("/api/socket")
    assert upgrade.response_header("Connection") == ("upgrade", "upgrade")


def test_a_certificate_by_an_unknown_authority_is_a_502_in_words(fake: str, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with (
        nginx(tmp_path / "nginx", fake) as server,
        proxy(server.url, tmp_path, "--ca-file", other) as front,
        client(front) as http,
    ):
        refused = http.get("/api/devices", headers={"X-Api-Key": PASSWORD})
    assert (refused.status_code, refused.headers["Connection"]) == (502, "close")
    words = (
        f"localhost:{server.port}: the TLS handshake failed: the certificate is not to be trusted:"
        " unable to get local issuer certificate; --ca-file names an authority of your own"
    )
    assert refused.text == f"track-recorder proxy: {words}\n"
    assert words in front.errors
    found = Recorded(front.path)
    assert found.notes == [f"connection 1: the upstream could not be reached: {words}"]
    assert found.upstream_of == {}
    [one] = found.exchanges
    assert one.response is not None
    assert one.response.status == 502
    assert one.response_body == refused.content
    assert found.closed(1).by == "recorder"


def test_insecure_trusts_anybody_and_says_so_loudly(fake: str, tmp_path: Path) -> None:
    with (
        nginx(tmp_path / "nginx", fake) as server,
        proxy(server.url, tmp_path, "--insecure") as front,
        client(front) as http,
    ):
        log_in(http)
    assert "WARNING: --insecure: THE UPSTREAM'S CERTIFICATE IS NOT CHECKED" in front.errors
    assert Recorded(front.path).upstream_of[1].tls == "TLSv1.3"


def test_a_ca_file_that_is_none_ends_the_command_before_it_listens(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("nothing")
    done = run(
        *("track-recorder", "proxy", "--upstream", "https://localhost:1", "--ca-file", wrong),
        *("-o", tmp_path / "none.track.jsonl"),
    )
    assert done.returncode == Exit.NO_INPUT
    assert f"{wrong}: no PEM file of certificate authorities" in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "none.track.jsonl").exists()


def test_plain_http_to_a_port_with_tls_passes_nginxs_own_words(fake: str, tmp_path: Path) -> None:
    with (
        nginx(tmp_path / "nginx", fake) as server,
        proxy(server.url.replace("https", "http"), tmp_path) as front,
        client(front) as http,
    ):
        refused = http.get("/")
    assert refused.status_code == 400
    assert "The plain HTTP request was sent to HTTPS port" in refused.text
    [one] = Recorded(front.path).exchanges
    assert one.response_body == refused.content


def test_nginxs_502_for_a_backend_that_is_down_passes(tmp_path: Path) -> None:
    # A port that is bound and does not listen refuses, and nobody else can take it.
    with socket.socket() as down:
        down.bind(("127.0.0.1", 0))
        backend = f"http://127.0.0.1:{down.getsockname()[1]}"
        with fronted(backend, tmp_path) as (_, front), client(front) as http:
            refused = http.get("/api/devices")
            page = http.get("/page.js")
    assert refused.status_code == 502
    assert "<center>nginx" in refused.text
    assert page.status_code == 200
    found = Recorded(front.path)
    assert found.notes == []
    assert found.exchange("/api/devices").response_body == refused.content
    # The connection was kept.
    assert [one.connection for one in found.exchanges] == [1, 1]


def test_a_body_that_is_too_large_for_nginx_gets_its_413(fake: str, tmp_path: Path) -> None:
    with fronted(fake, tmp_path, server="client_max_body_size 1k;") as (_, front):
        connection = HTTPConnection("127.0.0.1", front.port, timeout=20)
        connection.request("POST", "/api/devices", b"x" * 5000)
        refused = connection.getresponse()
        body = refused.read()
        connection.close()
    assert refused.status == 413
    found = Recorded(front.path)
    one = found.exchange("/api/devices", "POST")
    assert one.response is not None
    assert one.response.status == 413
    assert one.response_body == body


def test_gzip_passes_as_it_is(fake: str, tmp_path: Path) -> None:
    server = "gzip on; gzip_min_length 1; gzip_types text/javascript;"
    with fronted(fake, tmp_path, server=server) as (_, front), client(front) as http:
        page = http.get("/page.js", headers={"Accept-Encoding": "gzip"})
    assert page.headers["Content-Encoding"] == "gzip"
    assert "new WebSocket" in page.text
    [one] = Recorded(front.path).exchanges
    assert one.response_body.startswith(b"\x1f\x8b")


@pytest.mark.parametrize("tls", [True, False])
def test_large_files_by_sendfile_arrive_and_are_recorded_whole(
    tls: bool, fake: str, tmp_path: Path
) -> None:
    (tmp_path / "large.txt").write_bytes(LARGE)
    (tmp_path / "image.png").write_bytes(IMAGE)
    with (
        nginx(tmp_path / "nginx", fake, tls=tls, root=tmp_path, server="sendfile on;") as server,
        proxy(server.url, tmp_path, "--ca-file", server.ca_file) as front,
        client(front) as http,
    ):
        assert http.get("/large.txt").content == LARGE
        assert http.get("/image.png").content == IMAGE
    assert [one.response_body for one in Recorded(front.path).exchanges] == [LARGE, IMAGE]


def test_nginx_that_closes_after_some_requests_closes_the_client_too(
    fake: str, tmp_path: Path
) -> None:
    with (
        fronted(fake, tmp_path, server="keepalive_requests 3;") as (_, front),
        client(front) as http,
    ):
        for _ in range(7):
            assert http.get("/page.js").status_code == 200
    found = Recorded(front.path)
    connections = [one.connection for one in found.exchanges]
    assert connections == [1, 1, 1, 3, 3, 3, 5]
    assert [found.closed(number).how for number in (1, 3, 5)] == ["eof"] * 3
    announced = [one.response_header("Connection")[1] for one in found.exchanges]
    assert announced == ["keep-alive", "keep-alive", "close"] * 2 + ["keep-alive"]


def test_an_idle_socket_that_nginx_gives_up_ends_for_the_client_without_a_close_frame(
    tmp_path: Path,
) -> None:
    recording = write(tmp_path / "silent.track.jsonl", [*upgrade(), said(TIMEOUT)])
    with (
        fake_server(recording) as silent,
        fronted(silent, tmp_path, api="proxy_read_timeout 700ms;") as (_, front),
    ):
        # The login goes around nginx, which would give up a slow one, too.
        with httpx.Client(base_url=silent, trust_env=False, timeout=20) as http:
            http.post("/api/session", data=DEMO).raise_for_status()
            session = http.cookies["JSESSIONID"]
        with connect(front, session) as socket, pytest.raises(ConnectionClosed) as closed:
            hear_until_closed(socket)
    assert closed.value.rcvd is None
    found = Recorded(front.path, session)
    end = found.closed(found.sockets()[0])
    assert (end.by, end.how) == ("server", "eof")
    assert found.messages("server") == [TIMEOUT.decode()]


def test_a_socket_outlives_a_reload_of_nginx(fake: str, tmp_path: Path) -> None:
    with fronted(fake, tmp_path) as (server, front), client(front) as http:
        session = log_in(http)
        with connect(front, session) as socket:
            answer_pings(socket, 1)
            server.configure(server="add_header X-Generation 2;")
            server.reload()

            def is_new() -> bool:
                # The old worker closes kept connections, perhaps while a request is on its way.
                try:
                    return bool(http.get("/page.js").headers.get("X-Generation") == "2")
                except httpx.TransportError:
                    return False

            wait_until(is_new)
            answer_pings(socket, 1)
    found = Recorded(front.path, session)
    assert len(found.messages("client")) == 2
    assert found.closed(found.sockets()[0]).detail.startswith("close 1000")


def test_a_socket_that_a_reload_cuts_off_is_recorded_as_ended_by_the_server(
    fake: str, tmp_path: Path
) -> None:
    with fronted(fake, tmp_path, main="worker_shutdown_timeout 1ms;") as (server, front):
        with client(front) as http:
            session = log_in(http)
        with connect(front, session) as socket:
            answer_pings(socket, 1)
            server.reload()
            with pytest.raises(ConnectionClosed) as closed:
                answer_pings(socket, 100)
    assert closed.value.rcvd is None
    found = Recorded(front.path, session)
    end = found.closed(found.sockets()[0])
    assert end.by == "server"
    assert end.how in ("eof", "reset")
