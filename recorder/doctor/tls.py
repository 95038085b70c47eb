"""The step ``tls``: the handshake, and what is to be said of the certificate."""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime
from typing import Final

import trio

from recorder.doctor.certificate import Certificate, read_certificate
from recorder.doctor.results import Result, fail, ok, skipped, warn
from recorder.doctor.visit import CONNECT_S, Visit, milliseconds, open_tls

__all__ = ["blind_context", "tls_step"]

_DAYS_LEFT: Final = 14
"""A certificate that ends sooner is told."""

_EXPIRED, _NOT_YET, _SELF_SIGNED, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 18, 62, 64
_UNKNOWN_ISSUER: Final = (19, 20, 21)
"""What OpenSSL calls them: X509_V_ERR_… of ``openssl/x509_vfy.h``."""


def blind_context() -> ssl.SSLContext:
    """A client's context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


async def tls_step(visit: Visit) -> Result:
    """The handshake over ``tcp``; sets ``stream``. With a certificate that is not to be trusted a
    second one, that only looks at it; it goes on with that where that is asked for.
    """
    tcp, visit.tcp = visit.tcp, None
    assert tcp is not None
    if not visit.backend.tls:
        visit.stream = visit.record(tcp, None)
        return _plain(visit.backend.host)
    began_s = trio.current_time()
    try:
        with trio.fail_after(CONNECT_S):
            stream = await open_tls(tcp, visit.tls, visit.backend.host)
    except trio.TooSlowError:
        return fail(
            "tls",
            f"no handshake within {CONNECT_S:g} s",
            means="The port takes connections but does not speak TLS, or something in between"
            " swallows the handshake.",
            do="Check the port; try http in the URL if the backend has no TLS.",
        )
    except trio.BrokenResourceError as error:
        cause = error.__cause__
        if isinstance(cause, ssl.SSLCertVerificationError):
            return await _untrusted(visit, cause)
        return _no_handshake(visit, cause)
    return _trusted(visit, stream, trio.current_time() - began_s)


def _plain(host: str) -> Result:
    if host in ("localhost", "::1") or host.startswith("127."):
        return skipped("tls", "the URL says plain http")
    return warn(
        "tls",
        "the URL says plain http",
        means="Password, cookie and data can be read by everyone on the way.",
        do="Use https if the backend has it.",
    )


def _trusted(visit: Visit, stream: trio.SSLStream[trio.abc.Stream], took_s: float) -> Result:
    now_s = visit.surroundings.wall_clock_s()
    certificate = read_certificate(stream.getpeercert(binary_form=True) or b"")
    visit.stream = visit.record(stream, str(stream.version()))
    seen = (
        *_agreed(stream, took_s),
        *map(visit.journal.shown, certificate.describe(now_s)),
        "the chain leads to an authority that is trusted here",
    )
    if certificate.days_left(now_s) < _DAYS_LEFT:
        return warn(
            "tls",
            *seen,
            means="The certificate expires soon; from then on no client connects.",
            do="Have it renewed.",
        )
    return ok("tls", *seen)


def _agreed(stream: trio.SSLStream[trio.abc.Stream], took_s: float) -> list[str]:
    cipher = stream.cipher()
    protocol = stream.selected_alpn_protocol()
    return [
        f"{stream.version()}, {cipher[0] if cipher else 'no cipher'}, in {milliseconds(took_s)};"
        f" ALPN {protocol or 'not used'}"
    ]


async def _untrusted(visit: Visit, error: ssl.SSLCertVerificationError) -> Result:
    """Look at the certificate that was refused, and go on with it if that is asked for."""
    now_s = visit.surroundings.wall_clock_s()
    assert visit.address is not None
    context = blind_context()
    seen = [f"the certificate is refused: {error.verify_message}"]
    certificate: Certificate | None = None
    stream: trio.SSLStream[trio.abc.Stream] | None = None
    began_s = trio.current_time()
    try:
        with trio.fail_after(CONNECT_S):
            tcp = await visit.surroundings.connect(visit.address)
            stream = await open_tls(tcp, context, visit.backend.host)
        certificate = read_certificate(stream.getpeercert(binary_form=True) or b"")
        seen += [
            *_agreed(stream, trio.current_time() - began_s),
            *map(visit.journal.shown, certificate.describe(now_s)),
        ]
    except (trio.TooSlowError, trio.BrokenResourceError, OSError, ValueError):
        # What was refused is known; how it looks is not.
        seen.append("a second connection, to look at it, failed")
    means, do = _why(visit.backend.host, error.verify_code, certificate, now_s)
    if not visit.options.insecure or stream is None:
        if stream is not None:
            await trio.aclose_forcefully(stream)
        return fail("tls", *seen, means=means, do=do)
    visit.tls = context
    visit.stream = visit.record(stream, str(stream.version()))
    return warn("tls", *seen, means=f"{means} --insecure: it goes on nevertheless.", do=do)


def _why(host: str, code: int, certificate: Certificate | None, now_s: float) -> tuple[str, str]:
    own = f"{datetime.fromtimestamp(now_s, UTC):%Y-%m-%d %H:%M} UTC"
    if code == _EXPIRED:
        return (
            f"It has expired, or this machine's clock, which shows {own}, is wrong.",
            "Compare the clock; if it is right, have the certificate renewed.",
        )
    if code == _NOT_YET:
        return (
            f"It is not valid yet, so this machine's clock, which shows {own}, is likely wrong.",
            "Set the clock.",
        )
    if code in (_OTHER_NAME, _OTHER_ADDRESS):
        names = ", ".join(certificate.names[:5]) if certificate is not None else "others"
        return (
            f"It is for {names or 'no name at all'}, not for {host}.",
            "Use one of its names in the URL; or the name leads to the wrong machine.",
        )
    trust = "If you know whose it is, trust it with --ca-file FILE (PEM)."
    if code == _SELF_SIGNED:
        return ("It is self-signed: no authority vouches for it.", trust)
    if code in _UNKNOWN_ISSUER:
        return (
            "Its issuer is not trusted here: an authority of a company's own, a proxy or virus"
            " scanner that opens TLS, or a server that leaves out the intermediate certificate.",
            f"{trust} If the issuer should be known, let the server send its whole chain.",
        )
    return ("It cannot be trusted.", "Have it looked at by whoever runs the server.")


_REASONS: Final = {
    "WRONG_VERSION_NUMBER": (
        "What answers is not TLS: most likely plain HTTP.",
        "Use http in the URL, or the port where TLS is.",
    ),
    "TLSV1_ALERT_PROTOCOL_VERSION": (
        "The server speaks no version of TLS that is still safe.",
        "Have the server updated to TLS 1.2 or later.",
    ),
    "UNSUPPORTED_PROTOCOL": (
        "The server speaks no version of TLS that is still safe.",
        "Have the server updated to TLS 1.2 or later.",
    ),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "The server and this machine have no cipher in common, or the server does not know the"
        " name.",
        "Check the name in the URL; else have the server's TLS settings looked at.",
    ),
    "TLSV1_UNRECOGNIZED_NAME": (
        "The server has nothing of that name.",
        "Check the name in the URL.",
    ),
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": (
        "The server does not speak HTTP/1.1, which WebSocket needs.",
        "Have HTTP/1.1 enabled beside HTTP/2.",
    ),
}


def _no_handshake(visit: Visit, cause: BaseException | None) -> Result:
    reason = _reason(cause)
    if not reason or "EOF" in reason:
        return fail(
            "tls",
            "the connection ended inside the handshake",
            means="The port does not speak TLS, or a firewall that reads names in TLS cuts it.",
            do="Check the port; try http in the URL if the backend has no TLS.",
        )
    means, do = _REASONS.get(
        reason,
        ("The handshake failed.", "Have the server's TLS settings looked at."),
    )
    words = reason.lower().replace("_", " ")
    return fail("tls", f"the handshake failed: {visit.journal.shown(words)}", means=means, do=do)


def _reason(cause: BaseException | None) -> str:
    """What OpenSSL calls it, in capitals; empty if it was the transport that failed."""
    if not isinstance(cause, ssl.SSLError) or isinstance(cause, ssl.SSLSyscallError):
        return ""
    # Python has no name for every alert: then there are only words.
    words = re.sub(r"^\[\w+\] | \(.*", "", cause.strerror or "")
    return cause.reason or words.upper().replace(" ", "_")
