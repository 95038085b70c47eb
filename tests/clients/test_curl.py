"""curl through the proxy: the manual's commands, and what else curl can do to HTTP/1."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.wire.frames import Frame
from tests.clients.nginx import nginx
from tests.clients.support import EMAIL, FORM, PASSWORD, Recorded, proxy, wait_until
from tests.examples.test_manual import SCRIPTS
from tests.processes import clean_environment
from tests.programs import require

BIG_BYTES = 3 * 1024 * 1024
TIMEOUT_S = 20


@pytest.fixture(autouse=True)
def _curl() -> None:
    require("curl")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, fake: str) -> Iterator[str]:
    """nginx with files, and with gzip, before the fake."""
    require("nginx")
    folder = tmp_path_factory.mktemp("files")
    (folder / "list.html").write_text("<li>\n" * 2000)
    with nginx(
        folder / "nginx",
        fake,
        tls=False,
        root=folder,
        server="gzip on; gzip_min_length 1; client_max_body_size 10m;",
    ) as front:
        yield front.url


def curl(*arguments: object, data: bytes = b"") -> str:
    """Run curl without its user's settings; gives its output."""
    done = subprocess.run(
        ["curl", "-q", "-sS", "--noproxy", "*", "--max-time", str(TIMEOUT_S), *map(str, arguments)],
        input=data,
        env=clean_environment(),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def session_of(jar: Path) -> str:
    [session] = re.findall(r"JSESSIONID\s+(\S+)", jar.read_text())
    return str(session)


def test_a_login_its_cookie_and_several_requests_share_one_connection(
    fake: str, tmp_path: Path
) -> None:
    jar = tmp_path / "jar"
    with proxy(fake, tmp_path) as front:
        user = curl("-c", jar, "-d", FORM, f"{front.url}/api/session")
        assert json.loads(user)["email"] == EMAIL
        session = session_of(jar)
        connects = curl(
            *("-b", jar, "-w", "%{num_connects} ", "-o", tmp_path / "devices"),
            *(f"{front.url}/api/devices", "-o", tmp_path / "positions"),
            *(f"{front.url}/api/positions", "-o", tmp_path / "beacons"),
            f"{front.url}/api/beacons",
        )
        assert connects == "1 0 0 "
    assert "connections 2, exchanges 4, sockets 0" in front.output
    recorded = Recorded(front.path, session)
    assert [one.connection for one in recorded.exchanges] == [1, 3, 3, 3]
    login = recorded.exchange("/api/session", "POST")
    # The email stands in the form and in the user, the password in the form, and the cookie in the
    # three requests and in the answer, on both legs.
    assert recorded.redacted == {"cookie": 8, "email": 2, "password": 1}
    assert login.request_body == b"email=[redacted:email-1]&password=[redacted]"
    assert json.loads(login.response_body)["email"] == "[redacted:email-1]"
    assert login.response_header("Set-Cookie") == ("JSESSIONID=[redacted:cookie-1]; Path=/api",) * 2
    for name in ("devices", "positions", "beacons"):
        one = recorded.exchange(f"/api/{name}")
        assert one.request_header("Cookie") == ("JSESSIONID=[redacted:cookie-1]",) * 2
        assert one.response_body == (tmp_path / name).read_bytes()
    assert recorded.closed(3).by == "client"


def test_basic_credentials_are_passed_on_and_not_recorded(fake: str, tmp_path: Path) -> None:
    with proxy(fake, tmp_path) as front:
        devices = curl("-u", f"{EMAIL}:{PASSWORD}", f"{front.url}/api/devices")
    assert json.loads(devices)
    recorded = Recorded(front.path)
    one = recorded.exchange("/api/devices")
    assert one.request_header("Authorization") == ("Basic [redacted]",) * 2
    assert one.response_body == devices.encode()


def test_a_chunked_upload_of_unknown_length_arrives_whole(fake: str, tmp_path: Path) -> None:
    device = {"name": "one", "uniqueId": "42", "attributes": {"pad": "x" * 100_000}}
    with proxy(fake, tmp_path) as front:
        made = curl(
            *("-u", f"{EMAIL}:{PASSWORD}", "-X", "POST", "-T", "-"),
            *("-H", "Content-Type: application/json", "-H", "Expect:"),
            f"{front.url}/api/devices",
            data=json.dumps(device).encode(),
        )
        assert json.loads(made)["attributes"] == device["attributes"]
        curl("-u", f"{EMAIL}:{PASSWORD}", "-X", "DELETE", f"{front.url}/api/devices/42")
    one = Recorded(front.path).exchange("/api/devices", "POST")
    assert one.request_header("Transfer-Encoding") == ("chunked", "chunked")
    assert one.request_body == json.dumps(device).encode()
    assert one.response_body == made.encode()


def test_a_big_post_waits_for_100_continue(files: str, tmp_path: Path) -> None:
    sent = b'{"name":"big","uniqueId":"43","attributes":{"pad":"' + b"x" * BIG_BYTES + b'"}}'
    with proxy(files, tmp_path) as front:
        # Without the 100 curl would go on by itself only after as long as it has.
        answer = curl(
            *("-u", f"{EMAIL}:{PASSWORD}", "-H", "Expect: 100-continue", "--data-binary", "@-"),
            *("-H", "Content-Type: application/json", "--expect100-timeout", TIMEOUT_S),
            *("-w", "\n%{http_code}", f"{front.url}/api/devices"),
            data=sent,
        )
    body, _, status = answer.rpartition("\n")
    one = Recorded(front.path).exchange("/api/devices", "POST")
    assert one.interim == [100]
    assert one.request_header("Expect") == ("100-continue", "100-continue")
    assert one.response is not None
    assert str(one.response.status) == status
    assert one.request_body == sent
    assert one.response_body == body.encode()


def test_head_has_no_body_and_the_connection_goes_on(files: str, tmp_path: Path) -> None:
    with proxy(files, tmp_path) as front:
        connects = curl(
            *("-I", "-w", "%{num_connects} ", "-o", "/dev/null", f"{front.url}/list.html"),
            *("--next", "-q", "-sS", "-w", "%{num_connects} ", "-o", tmp_path / "got"),
            f"{front.url}/list.html",
        )
        assert connects == "1 0 "
    head, got = Recorded(front.path).exchanges
    assert (head.request.method, head.response_body) == ("HEAD", b"")
    assert head.response_header("Content-Length") == ("10000", "10000")
    assert got.response_body == (tmp_path / "got").read_bytes() == b"<li>\n" * 2000


def test_a_page_that_did_not_change_is_not_sent_again(files: str, tmp_path: Path) -> None:
    etag = tmp_path / "etag"
    with proxy(files, tmp_path) as front:
        url = f"{front.url}/list.html"
        curl("--etag-save", etag, "-o", tmp_path / "got", url)
        known = f"If-None-Match: {etag.read_text().strip()}"
        status = curl("-H", known, "-w", "%{http_code} %{num_connects} ", url, url)
        assert status == "304 1 304 0 "
    first, *others = Recorded(front.path).exchanges
    assert first.response_body == (tmp_path / "got").read_bytes()
    assert [(one.response and one.response.status, one.response_body) for one in others] == [
        (304, b"")
    ] * 2


def test_a_range_is_a_part(files: str, tmp_path: Path) -> None:
    with proxy(files, tmp_path) as front:
        assert curl("-r", "1-2", f"{front.url}/list.html") == "li"
    [one] = Recorded(front.path).exchanges
    assert one.response is not None
    assert (one.response.status, one.response_body) == (206, b"li")
    assert one.response_header("Content-Range") == ("bytes 1-2/10000",) * 2


def test_gzip_is_recorded_as_it_was_sent(files: str, tmp_path: Path) -> None:
    with proxy(files, tmp_path) as front:
        assert curl("--compressed", f"{front.url}/list.html") == "<li>\n" * 2000
    [one] = Recorded(front.path).exchanges
    assert one.response_header("Content-Encoding") == ("gzip", "gzip")
    assert gzip.decompress(one.response_body) == b"<li>\n" * 2000


def test_http_1_0_gets_its_answer_and_the_end(fake: str, tmp_path: Path) -> None:
    with proxy(fake, tmp_path) as front:
        answer = curl("-0", "-i", "-u", f"{EMAIL}:{PASSWORD}", f"{front.url}/api/devices")
    [one] = Recorded(front.path).exchanges
    assert one.request.http_version == "1.0"
    assert one.sent is not None
    assert one.sent.http_version == "1.0"
    assert answer.encode().endswith(b"\r\n\r\n" + one.response_body)
    assert json.loads(one.response_body)


def test_an_offer_of_http_2_is_not_passed_on(fake: str, tmp_path: Path) -> None:
    with proxy(fake, tmp_path) as front:
        version = curl("--http2", "-o", "/dev/null", "-w", "%{http_version}", front.url)
        assert version == "1.1"
    [one] = Recorded(front.path).exchanges
    assert one.request_header("Upgrade") == ("h2c", None)
    assert one.request_header("HTTP2-Settings")[1] is None
    assert one.request_header("Connection") == ("Upgrade, HTTP2-Settings", None)


def test_http_2_over_tls_becomes_1_1_by_alpn(fake: str, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    with proxy(fake, tmp_path, "--tls-self-signed", ca_file) as front:
        output = curl(
            *("--http2", "--cacert", ca_file, "-o", "/dev/null", "-w", "%{http_version}"),
            f"https://localhost:{front.port}/api/devices",
        )
        assert output == "1.1"
    recorded = Recorded(front.path)
    assert recorded.clients[1].tls == "TLSv1.3"
    assert recorded.upstream_of[1].tls is None
    [one] = recorded.exchanges
    assert one.request_header("Upgrade") == (None, None)


def test_a_client_that_does_not_trust_the_proxys_ca_is_told_of(fake: str, tmp_path: Path) -> None:
    with proxy(fake, tmp_path, "--tls-self-signed", tmp_path / "ca.pem") as front:
        with pytest.raises(AssertionError, match="certificate"):
            curl(f"https://localhost:{front.port}/")
        wait_until(lambda: b"TLS handshake" in front.path.read_bytes())
    [note] = Recorded(front.path).notes
    assert note.endswith("failed: it does not trust the CA; give it the CA's certificate")
    assert note in front.errors


def test_the_manuals_websocket_command_prints_the_frames_of_the_recording(
    fake: str, tmp_path: Path
) -> None:
    with proxy(fake, tmp_path) as front:
        script = (SCRIPTS / "section-3.2.sh").read_text()
        script = script.replace("track.safectory.com", front.authority)
        script = script.replace("https://$HOST", "http://$HOST")
        script = script.replace("<User>", EMAIL).replace("<Password>", PASSWORD.replace("&", "%26"))
        # It answers no PING, and so the fake ends it.
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=clean_environment(),
            capture_output=True,
            timeout=30,
            check=True,
        )
        session = session_of(tmp_path / "track_cookie")
    user, _, output = done.stdout.partition(b"HTTP/1.1 101 ")
    assert json.loads(user)["email"] == EMAIL
    recorded = Recorded(front.path, session)
    frames = recorded.frames("server")
    assert b"".join(map(Frame.serialize, frames)) == output.partition(b"\r\n\r\n")[2]
    assert recorded.closed(recorded.sockets()[0]).by == "server"
    assert (frames[-1].close_code, frames[-1].close_reason) == (
        1001,
        "Idle timeout expired: 1000/1000 ms",
    )
    socket = recorded.exchange("/api/socket")
    assert socket.request_header("Origin") == (front.url, fake)
    assert socket.request_header("Host") == (front.authority, fake.partition("://")[2])
