"""The step tls, with real handshakes over memory streams."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
import trio.testing
import trustme

from recorder.doctor.certificate import read_certificate
from recorder.exits import Exit
from tests.doctor.support import NOW_S, Handle, backend, examine, outcomes, replying, says, silent

HTTPS = "https://track.example"
CA = trustme.CA()
NOW = datetime.now(UTC)


def server_context(certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (certificate or CA.issue_cert("track.example")).configure_cert(context)
    return context


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    CA.configure_trust(context)
    return context


def behind_tls(context: ssl.SSLContext, handle: Handle) -> Handle:
    """A backend over TLS."""

    async def handle_tls(stream: trio.abc.Stream) -> None:
        await handle(trio.SSLStream(stream, context, server_side=True, https_compatible=True))

    return handle_tls


async def test_a_good_certificate_is_described() -> None:
    server = server_context()
    server.set_alpn_protocols(["h2", "http/1.1"])
    results = await examine(
        behind_tls(server, backend()), url=HTTPS, tls=trusting(), now_s=NOW.timestamp()
    )
    says(
        results["tls"],
        "ok",
        "TLSv1.3, TLS_",
        "ALPN http/1.1",
        "certificate for track.example",
        "issued by ",
        "to 3000-01-01",
        "days left",
        "trusted here",
    )
    # And all that follows goes through it.
    assert outcomes(results) == "oooooooofsss"


async def test_a_server_that_does_not_know_alpn() -> None:
    handle = behind_tls(server_context(), backend())
    results = await examine(handle, url=HTTPS, tls=trusting())
    says(results["tls"], "ok", "ALPN not used")


async def test_a_certificate_that_ends_soon_is_a_warning() -> None:
    # The clock of the check is moved close to the end; OpenSSL goes by the real one.
    soon = CA.issue_cert("track.example", not_after=NOW + timedelta(days=900))
    results = await examine(
        behind_tls(server_context(soon), backend()),
        url=HTTPS,
        tls=trusting(),
        now_s=(NOW + timedelta(days=890)).timestamp(),
    )
    says(results["tls"], "warn", "9 days left", "expires soon", "Have it renewed")


def self_signed() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority = trustme.CA()
    with authority.private_key_pem.tempfile() as key, authority.cert_pem.tempfile() as certificate:
        context.load_cert_chain(certificate, key)
    return context


def expired() -> ssl.SSLContext:
    past = NOW - timedelta(days=3)
    return server_context(CA.issue_cert("track.example", not_after=past))


def not_yet() -> ssl.SSLContext:
    future = NOW + timedelta(days=3)
    return server_context(CA.issue_cert("track.example", not_before=future))


UNTRUSTED: dict[str, tuple[Callable[[], ssl.SSLContext], str, tuple[str, ...]]] = {
    "self-signed": (
        self_signed,
        HTTPS,
        ("no authority vouches for it", "that is itself", "--ca-file FILE"),
    ),
    "unknown issuer": (
        lambda: server_context(trustme.CA().issue_cert("track.example")),
        HTTPS,
        ("Its issuer is not trusted here", "issued by ", "--ca-file FILE", "whole chain"),
    ),
    "expired": (
        expired,
        HTTPS,
        ("It has expired, or this machine's clock", "3 days ago", "Compare the clock", " UTC"),
    ),
    "not yet valid": (
        not_yet,
        HTTPS,
        ("not valid yet", "clock", "Set the clock"),
    ),
    "wrong host": (
        server_context,
        "https://other.example",
        ("It is for track.example, not for other.example", "Use one of its names"),
    ),
    "wrong address": (
        server_context,
        "https://192.0.2.1",
        ("It is for track.example, not for 192.0.2.1",),
    ),
}


@pytest.mark.parametrize(("make", "url", "words"), UNTRUSTED.values(), ids=UNTRUSTED)
async def test_a_certificate_that_is_not_to_be_trusted(
    make: Callable[[], ssl.SSLContext], url: str, words: tuple[str, ...]
) -> None:
    handle = behind_tls(make(), backend())
    results = await examine(handle, url=url, tls=trusting(), now_s=NOW.timestamp())
    says(
        results["tls"],
        "fail",
        "the certificate is refused",
        "certificate for ",
        *words,
        exit_code=Exit.UNREACHABLE,
    )
    assert outcomes(results) == "ooof" + "s" * 8
    # Where it is asked for, all goes on with it.
    results = await examine(handle, url=url, tls=trusting(), insecure=True)
    says(results["tls"], "warn", "it goes on nevertheless", *words[:1])
    assert outcomes(results) == "ooowooo" + "ofsss"


async def test_insecure_changes_nothing_where_the_certificate_is_good() -> None:
    handle = behind_tls(server_context(), backend())
    results = await examine(handle, url=HTTPS, tls=trusting(), insecure=True)
    says(results["tls"], "ok", "trusted here")


async def test_a_password_is_not_told_to_a_server_that_is_not_trusted() -> None:
    heard: list[bytes] = []

    async def listening(stream: trio.abc.Stream) -> None:
        heard.append(bytes(await stream.receive_some()))

    await examine(behind_tls(self_signed(), listening), url=HTTPS, tls=trusting())
    assert not any(heard)


async def test_a_certificate_that_cannot_be_looked_at_again() -> None:
    handle, connections = behind_tls(self_signed(), backend()), 0

    async def only_once(stream: trio.abc.Stream) -> None:
        nonlocal connections
        connections += 1
        if connections == 1:
            await handle(stream)

    results = await examine(only_once, url=HTTPS, tls=trusting(), insecure=True)
    says(
        results["tls"],
        "fail",
        "the certificate is refused",
        "a second connection, to look at it, failed",
        exit_code=Exit.UNREACHABLE,
    )


# No handshake


async def test_plain_http_where_tls_is_expected() -> None:
    plain = replying(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    results = await examine(plain, url=HTTPS)
    says(
        results["tls"],
        "fail",
        "most likely plain HTTP",
        "Use http in the URL",
        exit_code=Exit.UNREACHABLE,
    )


async def test_a_server_that_hangs_up_in_the_handshake() -> None:
    results = await examine(replying(b""), url=HTTPS)
    says(
        results["tls"],
        "fail",
        "the connection ended inside the handshake",
        "does not speak TLS",
        exit_code=Exit.UNREACHABLE,
    )


async def test_a_server_that_says_nothing_to_the_handshake(
    autojump_clock: trio.testing.MockClock,
) -> None:
    results = await examine(silent, url=HTTPS)
    says(results["tls"], "fail", "no handshake within 10 s", exit_code=Exit.UNREACHABLE)


def refusing(context: ssl.SSLContext) -> Handle:
    """A server that says why it gives a handshake up; trio's stream would only end."""

    async def handle(stream: trio.abc.Stream) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = context.wrap_bio(incoming, outgoing, server_side=True)
        async with stream:
            going = True
            while going:
                try:
                    server.do_handshake()
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLError:
                    going = False
                if outgoing.pending:
                    await stream.send_all(outgoing.read())
                if going:
                    incoming.write(bytes(await stream.receive_some()))

    return handle


def alerting(number: int) -> ssl.SSLContext:
    """A server that answers the greeting with this alert."""
    context = server_context()
    context.sni_callback = lambda *_: number  # type: ignore[assignment]
    return context


def old() -> ssl.SSLContext:
    context = server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def narrow() -> ssl.SSLContext:
    context = old()
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    return context


def modern_only() -> ssl.SSLContext:
    context = trusting()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def other_cipher() -> ssl.SSLContext:
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    return context


@pytest.mark.parametrize(
    ("server", "client", "words"),
    [
        (old, modern_only, ("protocol version", "no version of TLS that is still safe", "updated")),
        (narrow, other_cipher, ("handshake failure", "no cipher in common", "Check the name")),
        (lambda: alerting(112), trusting, ("nothing of that name", "Check the name")),
        (lambda: alerting(120), trusting, ("does not speak HTTP/1.1", "beside HTTP/2")),
        (lambda: alerting(80), trusting, ("internal error", "The handshake failed")),
    ],
    ids=["version", "cipher", "name", "protocol", "other"],
)
async def test_a_handshake_that_comes_to_nothing(
    server: Callable[[], ssl.SSLContext],
    client: Callable[[], ssl.SSLContext],
    words: tuple[str, ...],
) -> None:
    results = await examine(refusing(server()), url=HTTPS, tls=client())
    says(
        results["tls"],
        "fail",
        "the handshake failed",
        *words,
        exit_code=Exit.UNREACHABLE,
    )


async def test_a_server_that_wants_a_certificate_of_the_client() -> None:
    context = server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    results = await examine(refusing(context), url=HTTPS, tls=trusting())
    # TLS 1.3 tells it behind the handshake.
    says(
        results["http"],
        "fail",
        "The server wants a certificate of the client",
        exit_code=Exit.UNREACHABLE,
    )


# Without TLS


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
async def test_plain_http_on_this_machine_is_nothing_to_talk_about(host: str) -> None:
    results = await examine(backend(), url=f"http://{host}")
    says(results["tls"], "skipped", "the URL says plain http")


async def test_plain_http_to_elsewhere_is_a_warning() -> None:
    results = await examine(backend())
    says(results["tls"], "warn", "can be read by everyone on the way", "Use https")


# Certificates


def test_a_certificate_is_read(tmp_path: Path) -> None:
    names = ("a.example", "*.b.example", "192.0.2.7", "2001:db8::7")
    leaf = CA.issue_cert(*names, not_before=datetime(2026, 1, 2), not_after=datetime(2027, 3, 4))
    der = ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())
    read = read_certificate(der)
    assert read.names == names
    assert (read.not_before, read.not_after) == (
        datetime(2026, 1, 2, tzinfo=UTC),
        datetime(2027, 3, 4, tzinfo=UTC),
    )
    assert not read.is_self_signed
    assert read.days_left(datetime(2027, 3, 3, tzinfo=UTC).timestamp()) == 1
    assert read.describe(NOW_S)[0] == f"certificate for {', '.join(names)}"


def test_many_names_are_counted() -> None:
    leaf = CA.issue_cert(*(f"{number}.example" for number in range(9)))
    der = ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())
    assert read_certificate(der).describe(NOW_S)[0].endswith("4.example and 4 more")


def test_a_certificate_without_names() -> None:
    der = ssl.PEM_cert_to_DER_cert(CA.cert_pem.bytes().decode())
    read = read_certificate(der)
    assert (read.names, read.is_self_signed) == ((), True)
    assert read.describe(NOW_S)[0] == "certificate for no names"


def test_what_is_no_certificate_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"."):
        read_certificate(b"")
