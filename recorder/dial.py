"""A TCP connection to a backend, with TLS where its URL says so."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path
from typing import Final

import trio

from recorder.backend import Backend
from recorder.errors import CannotRead, Unreachable

__all__ = ["client_tls", "open_stream", "why_not_connected"]

_CONNECT_TIMEOUT_S: Final = 30.0


def client_tls(ca_file: Path | None = None, *, insecure: bool = False) -> ssl.SSLContext:
    """The context of a client: it trusts the system's authorities, or those in ``ca_file`` (PEM),
    or, if ``insecure``, anybody. HTTP/1.1 is all that it offers (RFC 7301).

    Raises CannotRead if the file is none of PEM certificates.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file is not None else None)
    except (OSError, ssl.SSLError) as error:
        raise CannotRead(f"{ca_file}: no PEM file of certificate authorities: {error}") from error
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


async def open_stream(
    backend: Backend, tls: ssl.SSLContext, *, timeout_s: float = _CONNECT_TIMEOUT_S
) -> tuple[trio.abc.Stream, str | None]:
    """A stream to ``backend``, and its TLS version, None without TLS.

    *Resource handling:* the caller closes the stream. *Error handling:* Unreachable, in words, if
    there is no connection, the TLS handshake fails, or both take longer than ``timeout_s``.
    """
    where = f"{backend.host}:{backend.port}"
    try:
        with trio.fail_after(timeout_s):
            return await _open(backend, tls, where)
    except trio.TooSlowError as error:
        raise Unreachable(f"{where}: no connection within {timeout_s:.0f} s") from error


async def _open(
    backend: Backend, tls: ssl.SSLContext, where: str
) -> tuple[trio.abc.Stream, str | None]:
    try:
        tcp = await trio.open_tcp_stream(backend.host, backend.port)
    except OSError as error:
        raise Unreachable(f"{where}: cannot connect: {why_not_connected(error)}") from error
    if not backend.tls:
        return tcp, None
    stream = trio.SSLStream(tcp, tls, server_hostname=backend.host, https_compatible=True)
    try:
        await stream.do_handshake()
    except BaseException as error:
        await trio.aclose_forcefully(tcp)
        if not isinstance(error, trio.BrokenResourceError):
            raise
        raise Unreachable(f"{where}: the TLS handshake failed: {_why(error)}") from error
    return stream, str(stream.version())


def why_not_connected(error: BaseException) -> str:
    """Why TCP failed, as the system says it; of several addresses, why the first did."""
    cause: BaseException | None = error
    words = str(error)
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
            continue
        if isinstance(cause, ssl.SSLError):
            return str(cause)
        if isinstance(cause, OSError) and cause.errno is not None:
            # trio puts an address into strerror; names that cannot be resolved have codes apart.
            is_name = isinstance(cause, socket.gaierror)
            words = str(cause.strerror) if is_name else os.strerror(cause.errno)
        words = words or str(cause)
        cause = cause.__cause__ or cause.__context__
    return words


def _why(error: trio.BrokenResourceError) -> str:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"the certificate is not to be trusted: {cause.verify_message};"
            " --ca-file names an authority of your own"
        )
    if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
        return "what answers there does not speak TLS; is it http:// instead?"
    return str(cause or error)
