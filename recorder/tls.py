"""TLS on the server's side: contexts from files or self-signed, and the stream over a connection.

HTTP/1.1 only: a client that offers HTTP/2 too learns by ALPN that it is not to be had (RFC 7301).
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NoReturn

import trio

from recorder.errors import CannotRead, OutputExists, RecorderError
from recorder.exits import Exit

__all__ = [
    "BadCertificate",
    "HandshakeFailed",
    "TlsStream",
    "context_from_files",
    "secured",
    "self_signed_context",
]

_HANDSHAKE_TIMEOUT_S: Final = 10.0

_LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1")

_ANY_ADDRESS: Final = ("", "0.0.0.0", "::")


class BadCertificate(RecorderError):
    """A certificate or key cannot be used. The message names the file and never holds the key."""

    exit_code = Exit.BAD_DATA


class HandshakeFailed(Exception):
    """A connection did not become one of TLS. ``why`` is for whoever wrote the client; empty where
    it only hung up.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


# Contexts


def context_from_files(cert: Path, key: Path | None = None) -> ssl.SSLContext:
    """A server's context from PEM files: the certificate, with those that lead to its CA behind it,
    and its key, without a password; by default in the same file.

    Raises CannotRead where a file cannot be opened and BadCertificate, which says which file and
    what is wrong with it.
    """
    _check_pem(cert, r"CERTIFICATE", "a certificate")
    _check_pem(key or cert, r"(?:[A-Z0-9]+ )*PRIVATE KEY", "a private key")
    context = _server_context()

    def refuse() -> NoReturn:
        raise BadCertificate(
            f"{key or cert}: the key is encrypted; expected one without a password"
            " (openssl pkey -in KEY -out PLAIN_KEY)"
        )

    try:
        context.load_cert_chain(cert, key, password=refuse)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise BadCertificate(
                f"{key or cert}: this is not the key of the certificate in {cert}"
            ) from error
        files = str(cert) if key is None else f"{cert}, {key}"
        why = (error.reason or "what is in it cannot be read").lower().replace("_", " ")
        raise BadCertificate(f"{files}: no certificate and key in PEM: {why}") from error
    return context


def self_signed_context(ca_file: Path, hosts: Iterable[str] = ()) -> ssl.SSLContext:
    """A context with a certificate for this machine's local names and ``hosts``, by a CA made for
    it. The CA's certificate is written to ``ca_file``, for clients to trust; its key is nowhere.

    Raises OutputExists if there is a file that is not one PEM certificate, or none can be made, and
    BadCertificate on a host that no certificate can name.
    """
    import trustme

    _check_may_write(ca_file)
    authority = trustme.CA()
    names = dict.fromkeys([*_LOCAL_NAMES, *(one for one in hosts if one not in _ANY_ADDRESS)])
    try:
        certificate = authority.issue_cert(*names)
    except ValueError as error:
        raise BadCertificate(f"no certificate can be made for {', '.join(names)}") from error
    context = _server_context()
    certificate.configure_cert(context)
    try:
        ca_file.write_bytes(authority.cert_pem.bytes())
    except OSError as error:
        raise OutputExists(
            f"{ca_file}: the CA's certificate cannot be written: {error.strerror}"
        ) from error
    return context


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _check_pem(path: Path, label: str, what: str) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CannotRead(f"{path}: cannot read {what}: {error.strerror}") from error
    if not re.search(rb"^-----BEGIN %s-----" % label.encode(), content, re.M):
        raise BadCertificate(f"{path}: there is no {what[2:]} in PEM in it")


_ONE_CERTIFICATE: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*"
)


def _check_may_write(ca_file: Path) -> None:
    try:
        content = ca_file.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputExists(f"{ca_file}: cannot be made: {error.strerror}") from error
    if not _ONE_CERTIFICATE.fullmatch(content):
        raise OutputExists(
            f"{ca_file}: exists and is not one PEM certificate, and so is not overwritten; name"
            " another file for the CA's"
        )


# Connections


async def secured(stream: trio.abc.Stream, context: ssl.SSLContext) -> TlsStream:
    """The TLS stream over an accepted connection, after its handshake.

    *Resource handling:* closing what is returned closes ``stream``, and so does a failure. *Error
    handling:* HandshakeFailed if the client speaks something else, refuses the certificate, hangs
    up, or takes longer than ten seconds.
    """
    tls = trio.SSLStream(stream, context, server_side=True)
    why = f"the handshake took longer than {_HANDSHAKE_TIMEOUT_S:g} s"
    with trio.move_on_after(_HANDSHAKE_TIMEOUT_S):
        try:
            await tls.do_handshake()
            return TlsStream(tls)
        except trio.BrokenResourceError as error:
            why = _why(error.__cause__)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
    await trio.aclose_forcefully(stream)
    raise HandshakeFailed(why)


_WHY: Final = {
    "HTTP_REQUEST": "it speaks plain HTTP; the URL here begins with https or wss",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not trust the CA; give it the CA's certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it does not trust the certificate; give it the CA's",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not take the certificate for this host name",
    "UNSUPPORTED_PROTOCOL": "it speaks TLS older than 1.2",
    "WRONG_VERSION_NUMBER": "what it sent is not TLS",
}


def _why(cause: BaseException | None) -> str:
    reason = cause.reason if isinstance(cause, ssl.SSLError) else None
    if reason is None or _is_end(cause):
        return ""
    return _WHY.get(reason, reason.lower().replace("_", " "))


def _is_end(cause: BaseException | None) -> bool:
    """Whether TCP ended without a word of TLS, as HTTP clients do."""
    return isinstance(cause, ssl.SSLEOFError | ssl.SSLSyscallError) or (
        isinstance(cause, ssl.SSLError) and cause.reason == "UNEXPECTED_EOF_WHILE_READING"
    )


class TlsStream(trio.abc.Stream):
    """The server's side of TLS as HTTP clients know it.

    It tells its own end (RFC 8446 section 6.1), because a client like curl takes a socket that
    ended without for cut off; a client's end is one without that too. trio's own stream can do
    either, but not both.
    """

    def __init__(self, tls: trio.SSLStream[trio.abc.Stream]) -> None:
        self._tls = tls

    @property
    def transport_stream(self) -> trio.abc.Stream:
        """The stream underneath."""
        return self._tls.transport_stream

    @property
    def version(self) -> str:
        """The version of TLS that was agreed on, as ``TLSv1.3``."""
        return str(self._tls.version())

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        try:
            return bytes(await self._tls.receive_some(max_bytes))
        except trio.BrokenResourceError as error:
            if _is_end(error.__cause__):
                return b""
            raise

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._tls.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._tls.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._tls.aclose()
