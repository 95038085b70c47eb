"""TLS: what files it takes, whom it serves, and that nobody's bad handshake disturbs the others."""

from __future__ import annotations

import shlex
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
import trustme
import websockets.sync.client
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.errors import CannotRead, OutputExists, RecorderError
from recorder.tls import (
    BadCertificate,
    HandshakeFailed,
    TlsStream,
    context_from_files,
    secured,
    self_signed_context,
)
from tests.fake_server.command_lines import Here, served_here
from tests.fake_server.support import DEVICES, KEY, TIMEOUT, said, text, upgrade, write
from tests.processes import clean_environment
from tests.profiles import examples
from tests.programs import require

CA = trustme.CA()
CERT = CA.issue_cert("localhost")
CHAIN = b"".join(pem.bytes() for pem in CERT.cert_chain_pems)
PRIVATE = CERT.private_key_pem.bytes()


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CERT.configure_cert(context)
    return context


def trusting(ca: trustme.CA | Path) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if isinstance(ca, Path):
        context.load_verify_locations(ca)
    else:
        ca.configure_trust(context)
    return context


async def connected(
    server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost", **options: Any
) -> tuple[TlsStream, trio.SSLStream[Any]]:
    """Both ends of a TLS connection, the server's first."""
    ours, theirs = trio.testing.memory_stream_pair()
    tls = trio.SSLStream(ours, client, server_hostname=name, **options)
    found: list[TlsStream] = []

    async def serve() -> None:
        found.append(await secured(theirs, server))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        await tls.do_handshake()
    return found[0], tls


# Files


def files(folder: Path, **contents: bytes) -> Path:
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


async def test_a_certificate_and_its_key_may_stand_in_two_files_or_in_one(tmp_path: Path) -> None:
    folder = files(tmp_path, cert=CHAIN, key=PRIVATE, both=PRIVATE + CHAIN)
    for context in (
        context_from_files(folder / "cert", folder / "key"),
        context_from_files(folder / "both"),
    ):
        server, client = await connected(context, trusting(CA))
        assert server.version == "TLSv1.3"
        assert client.getpeercert()["subjectAltName"] == (("DNS", "localhost"),)


def encrypted_key(folder: Path) -> bytes:
    require("openssl")
    (folder / "plain").write_bytes(PRIVATE)
    command = ["openssl", "pkey", "-in", "plain", "-aes128", "-passout", "pass:hunter2"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=20, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("cert", "key", "error", "wrong", "why"),
    [
        ("missing", "key", CannotRead, "missing", "No such file"),
        ("cert", "missing", CannotRead, "missing", "No such file"),
        ("folder", "key", CannotRead, "folder", "directory"),
        ("text", "key", BadCertificate, "text", "no certificate in PEM"),
        ("key", None, BadCertificate, "key", "no certificate in PEM"),
        ("cert", "text", BadCertificate, "text", "no private key in PEM"),
        ("cert", None, BadCertificate, "cert", "no private key in PEM"),
        ("cert", "other", BadCertificate, "other", "not the key of the certificate in"),
        ("torn", "key", BadCertificate, "torn", "no certificate and key in PEM"),
        ("cert", "torn_key", BadCertificate, "torn_key", "no certificate and key in PEM"),
        ("cert", "locked", BadCertificate, "locked", "is encrypted"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_name_and_without_its_key(
    cert: str, key: str | None, error: type[RecorderError], wrong: str, why: str, tmp_path: Path
) -> None:
    files(
        tmp_path,
        cert=CHAIN,
        key=PRIVATE,
        text=b"no PEM at all",
        other=CA.issue_cert("other.example").private_key_pem.bytes(),
        torn=CHAIN[: len(CHAIN) // 2],
        torn_key=PRIVATE[:80] + PRIVATE[-30:],
        locked=encrypted_key(tmp_path),
    )
    (tmp_path / "folder").mkdir()
    with pytest.raises(error) as raised:
        context_from_files(tmp_path / cert, None if key is None else tmp_path / key)
    message = str(raised.value)
    assert str(tmp_path / wrong) in message
    assert why in message
    for line in PRIVATE.decode().splitlines()[1:-1]:
        assert line not in message


# Self-signed


async def test_a_self_signed_certificate_holds_for_local_names_and_the_host(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    server = self_signed_context(ca_file, ["fake.example", "0.0.0.0", "127.0.0.1"])
    client = trusting(ca_file)
    for name in ("localhost", "127.0.0.1", "::1", "fake.example"):
        await connected(server, client, name)
    with pytest.raises(BaseExceptionGroup) as raised:
        await connected(server, client, "other.example")
    assert raised.group_contains(trio.BrokenResourceError)


def test_the_ca_file_is_one_certificate_and_no_key(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    self_signed_context(ca_file)
    content = ca_file.read_text()
    assert content.count("-----BEGIN ") == 1
    assert content.startswith("-----BEGIN CERTIFICATE-----")


def test_a_ca_file_of_before_is_overwritten(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    self_signed_context(ca_file)
    before = ca_file.read_bytes()
    self_signed_context(ca_file)
    assert ca_file.read_bytes() != before


@pytest.mark.parametrize(
    "content",
    [b"", b'{"tracktape":1}\n', PRIVATE, CHAIN + PRIVATE, CHAIN + CHAIN, b"# mine\n" + CHAIN],
)
def test_a_file_that_is_not_one_certificate_is_not_overwritten(
    content: bytes, tmp_path: Path
) -> None:
    ca_file = files(tmp_path, it=content) / "it"
    with pytest.raises(OutputExists, match="not overwritten"):
        self_signed_context(ca_file)
    assert ca_file.read_bytes() == content


@pytest.mark.parametrize("place", ["missing/ca.pem", "."])
def test_a_ca_file_that_cannot_be_made_is_an_error_that_names_it(
    place: str, tmp_path: Path
) -> None:
    with pytest.raises(OutputExists) as raised:
        self_signed_context(tmp_path / place)
    assert str(tmp_path / place) in str(raised.value)


def test_a_host_that_no_certificate_can_name_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadCertificate, match="no host"):
        self_signed_context(tmp_path / "ca.pem", ["no host"])
    assert not (tmp_path / "ca.pem").exists()


# The stream


async def test_only_http_1_1_is_agreed_on_and_only_tls_1_2_and_later(tmp_path: Path) -> None:
    server = self_signed_context(tmp_path / "ca.pem")
    client = trusting(tmp_path / "ca.pem")
    client.set_alpn_protocols(["h2", "http/1.1"])
    _, tls = await connected(server, client)
    assert tls.selected_alpn_protocol() == "http/1.1"
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert (await connected(server, client))[0].version == "TLSv1.2"
    assert server.minimum_version == ssl.TLSVersion.TLSv1_2


async def test_each_end_tells_and_hears_the_end_of_the_other() -> None:
    # A client that insists on being told hears b"", not an error.
    server, client = await connected(server_context(), trusting(CA))
    await server.send_all(b"the last word")
    await server.aclose()
    assert await client.receive_some() == b"the last word"
    assert await client.receive_some() == b""


async def test_a_client_that_ends_without_telling_has_ended() -> None:
    server, client = await connected(server_context(), trusting(CA), https_compatible=True)
    await client.send_all(b"bye")
    await client.aclose()
    assert await server.receive_some() == b"bye"
    assert await server.receive_some() == b""


async def test_it_is_a_stream_as_trio_has_them() -> None:
    async def make() -> tuple[TlsStream, TlsStream]:
        server, client = await connected(server_context(), trusting(CA))
        return server, TlsStream(client)

    await trio.testing.check_one_way_stream(make, None)


# Handshakes that fail


@given(st.binary(min_size=1, max_size=300))
@example(b"GET /api/devices HTTP/1.1\r\nHost: localhost\r\n\r\n")
@example(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")
@settings(max_examples=examples(60))
def test_whatever_is_no_handshake_fails_as_one_and_the_connection_is_closed(sent: bytes) -> None:
    async def client() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        await ours.send_all(sent)
        await ours.send_eof()
        with pytest.raises(HandshakeFailed):
            await secured(theirs, server_context())
        with pytest.raises(trio.ClosedResourceError):
            await theirs.send_all(b"x")

    trio.run(client)


async def test_a_handshake_that_stalls_is_given_up_after_ten_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    await ours.send_all(b"\x16\x03\x01")
    with trio.fail_after(60), pytest.raises(HandshakeFailed, match="longer than 10 s"):
        await secured(theirs, server_context())
    assert trio.current_time() == 10
    with pytest.raises(trio.ClosedResourceError):
        await theirs.send_all(b"x")


# The server


@asynccontextmanager
async def https(folder: Path, *arguments: object) -> AsyncIterator[Here]:
    recording = write(folder / "some.track.jsonl", [*upgrade(), said(TIMEOUT), said(DEVICES, 0.1)])
    ca_file = folder / "ca.pem"
    async with served_here(recording, "--tls-self-signed", ca_file, *arguments) as here:
        yield here


async def curl(folder: Path, script: str) -> str:
    """What a script of curl commands prints; each trusts the CA and keeps cookies."""
    require("bash", "curl")
    line = 'curl() { command curl -sS --max-time 20 --cacert ca.pem -b jar -c jar "$@"; }\n'
    done: subprocess.CompletedProcess[bytes] = await trio.run_process(
        ["bash", "-ec", line + script],
        cwd=folder,
        env=clean_environment(),
        capture_stdout=True,
        stderr=subprocess.STDOUT,
    )
    return done.stdout.decode("latin-1")


async def test_real_curl_logs_in_asks_rest_and_hears_the_socket_to_its_end(tmp_path: Path) -> None:
    async with https(tmp_path, "--at-end", "close") as here:
        url = shlex.quote(here.served.address.http_url)
        assert url.startswith("https://127.0.0.1:")
        printed = await curl(
            tmp_path,
            f"""
            curl -d email=demo@example.com -d password=demo -o user {url}/api/session
            grep -c demo@example.com user
            curl --http2 -v {url}/api/devices 2>&1 | grep -i 'alpn.*accepted'
            curl -o devices -w '%{{http_version}} %{{http_code}}\n' {url}/api/devices
            curl --http1.1 --no-buffer -o heard -w '%{{http_code}}' -H 'Connection: Upgrade' \\
                -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \\
                -H 'Sec-WebSocket-Key: {KEY}' {url}/api/socket
            """,
        )
        assert here.served.telling.total() == "no violations"
    assert printed.split("\n") == ["1", "* ALPN: server accepted http/1.1", "1.1 200", "101"]
    assert b'"name":"one"' in (tmp_path / "devices").read_bytes()
    heard = (tmp_path / "heard").read_bytes()
    assert heard.startswith(text(TIMEOUT) + text(DEVICES))
    assert heard[len(text(TIMEOUT) + text(DEVICES))] == 0x88, "a close frame is the last"


async def test_websockets_speaks_wss_with_the_ca_file(tmp_path: Path) -> None:
    def client(url: str, cookie: str) -> list[str | bytes]:
        with websockets.sync.client.connect(
            url,
            ssl=trusting(tmp_path / "ca.pem"),
            additional_headers={"Cookie": cookie},
            proxy=None,
            open_timeout=20,
        ) as socket:
            return [socket.recv(timeout=20) for _ in range(2)]

    async with https(tmp_path) as here:
        url = here.served.address.http_url
        await curl(
            tmp_path, f"curl -d email=demo@example.com -d password=demo -o user {url}/api/session"
        )
        cookie = (tmp_path / "jar").read_text().split()[-1]
        heard = await trio.to_thread.run_sync(
            client, here.served.address.socket_url, f"JSESSIONID={cookie}"
        )
    assert heard == [TIMEOUT.decode(), DEVICES.decode()]


async def test_bad_handshakes_leave_the_others_alone_and_the_log_clean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with https(tmp_path) as here:
        stalled = (await here.http()).stream
        await stalled.send_all(b"\x16")
        for sent in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 4000, b""):
            stream = (await here.http()).stream
            await stream.send_all(sent)
            if not sent:
                await stream.aclose()
                continue
            with trio.fail_after(20):
                try:
                    while await stream.receive_some():
                        pass
                except trio.BrokenResourceError:
                    continue
        url = here.served.address.http_url
        doubting = await curl(tmp_path, f"command curl -sS {url}/api/devices || echo $?")
        assert doubting.endswith("60\n")
        assert await curl(tmp_path, f"curl -o /dev/null -w '%{{http_code}}' {url}/api/x") == "401"
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if "TLS" in line] == [
        "a client's TLS handshake failed: it speaks plain HTTP; the URL here begins with https"
        " or wss",
        "a client's TLS handshake failed: what it sent is not TLS",
        "a client's TLS handshake failed: it does not trust the CA; give it the CA's certificate",
    ]
    assert not any("Traceback" in line for line in told)
