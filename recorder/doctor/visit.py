"""What one check knows so far, and how it connects again: handed from step to step."""

from __future__ import annotations

import ssl
from importlib.metadata import version
from typing import Final
from urllib.parse import urlencode

import msgspec
import trio

from recorder.backend import Backend
from recorder.credentials import Credentials
from recorder.doctor.cookies import cookies_of
from recorder.doctor.exchange import Answer, Lost, exchange, request_bytes
from recorder.doctor.journal import Journal, RecordedStream
from recorder.doctor.socket import LiveSocket
from recorder.doctor.surroundings import Address, Surroundings
from recorder.model import Headers

__all__ = ["ANSWER_S", "CONNECT_S", "CheckOptions", "Visit", "milliseconds", "open_tls"]

CONNECT_S: Final = 10.0
"""How long one connection, and then its TLS handshake, may take."""

ANSWER_S: Final = 15.0
"""How long one HTTP answer may take."""


class CheckOptions(msgspec.Struct, frozen=True):
    """``wait_s``: how long to wait for a PING (manual section 3.3); ``push_s``: for the first
    messages; ``total_s``: for everything, None a minute more than ``wait_s``. ``insecure``: go on
    though the certificate is not to be trusted.
    """

    wait_s: float = 35.0
    push_s: float = 10.0
    total_s: float | None = None
    insecure: bool = False


class Visit:
    """The state of one check. Steps read what earlier ones found; ``url`` sets ``backend``, and so
    on.

    *Resource handling:* :meth:`aclose` closes what is open.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials | None,
        options: CheckOptions,
        *,
        tls: ssl.SSLContext,
        surroundings: Surroundings,
        journal: Journal,
    ) -> None:
        self.url = url
        self.credentials = credentials
        self.options = options
        self.tls = tls
        self.surroundings = surroundings
        self.journal = journal
        self.addresses: list[Address] = []
        self.address: Address | None = None
        """The one that took the connection; all further ones go there."""
        self.tcp: trio.abc.Stream | None = None
        """The open connection of the last step, until the next takes it."""
        self.stream: RecordedStream | None = None
        self.login: Answer | None = None
        self.cookies: dict[str, str] = {}
        """Those that go to the socket, by name."""
        self.server: str = ""
        """What the first answer called itself."""
        self.socket: LiveSocket | None = None
        self._backend: Backend | None = None

    @property
    def backend(self) -> Backend:
        """Where the backend is; the step ``url`` found it."""
        assert self._backend is not None
        return self._backend

    @backend.setter
    def backend(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def cookie(self) -> str | None:
        """The Cookie header of a request for the socket, None without a session."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items()) or None

    async def aclose(self) -> None:
        """Close whatever connection is open."""
        for stream in (self.tcp, self.stream):
            if stream is not None:
                await trio.aclose_forcefully(stream)
        self.tcp = self.stream = None

    async def connect(self) -> RecordedStream:
        """The stream that a step left open, or a new one to the same address; recorded, and the
        caller's to close. Raises Lost.
        """
        if self.stream is not None:
            stream, self.stream = self.stream, None
            return stream
        assert self.address is not None
        try:
            with trio.fail_after(2 * CONNECT_S):
                tcp = await self.surroundings.connect(self.address)
                if not self.backend.tls:
                    return self.record(tcp, None)
                secure = await open_tls(tcp, self.tls, self.backend.host)
                return self.record(secure, str(secure.version()))
        except trio.TooSlowError:
            raise Lost("timeout") from None
        except trio.BrokenResourceError as error:
            raise Lost("reset", why=str(error.__cause__ or "")) from error
        except OSError as error:
            raise Lost("refused", why=error.strerror or str(error)) from error

    def record(self, stream: trio.abc.Stream, tls: str | None) -> RecordedStream:
        """A stream of this backend, recorded."""
        return self.journal.record(stream, url=self.backend.http_url, tls=tls)

    def headers(self, *more: tuple[str, str]) -> Headers:
        """The fields of a request, with the cookie if there is one."""
        fields = [
            ("Host", self.backend.authority),
            ("User-Agent", f"tracktape/{version('tracktape')}"),
            *more,
        ]
        return [*fields, ("Cookie", self.cookie)] if self.cookie is not None else fields

    async def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> Answer:
        """One exchange on a connection of its own; ``path`` without the prefix. Raises Lost."""
        fields = self.headers(
            ("Accept", "application/json"), ("Accept-Encoding", "identity"), ("Connection", "close")
        )
        body = b""
        if form is not None:
            fields.append(("Content-Type", "application/x-www-form-urlencoded"))
            body = urlencode(form).encode("ascii")
        request = request_bytes(method, f"{self.backend.prefix}{path}", fields, body)
        stream = await self.connect()
        try:
            answer = await exchange(stream, method, request, within_s=ANSWER_S)
        finally:
            await stream.aclose()
        for cookie in cookies_of(answer.head.headers):
            self.journal.learn("cookie", cookie.value)
            if cookie.name in self.cookies:
                # A server may renew the session with any answer.
                self.cookies[cookie.name] = cookie.value
        return answer


async def open_tls(
    tcp: trio.abc.Stream, context: ssl.SSLContext, host: str
) -> trio.SSLStream[trio.abc.Stream]:
    """TLS over a connection, which is closed if that fails: trio.BrokenResourceError, its cause an
    ``ssl.SSLError``.
    """
    stream = trio.SSLStream(tcp, context, server_hostname=host, https_compatible=True)
    try:
        await stream.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(tcp)
        raise
    return stream


def milliseconds(seconds: float) -> str:
    """A duration for people."""
    return f"{seconds * 1e3:.1f} ms" if seconds < 0.01 else f"{seconds * 1e3:.0f} ms"
