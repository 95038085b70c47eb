"""HTTP against a Track backend, recorded: login, session cookie, REST snapshots (manual sections 2
and 4).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import httpx
import msgspec

from recorder.backend import SESSION_PATH, SOCKET_PATH, Backend
from recorder.credentials import Credentials
from recorder.dial import why_not_connected
from recorder.entries import body_entries
from recorder.errors import ConnectionLost, LoginRefused, Unreachable
from recorder.model import Body, Closed, KnownEntry, Open, Request, Response
from recorder.sink import Sink

__all__ = ["Exchanges", "TrackHttp", "check_login", "cookie_header", "login_form"]

_TIMEOUT_S: Final = 30.0


def login_form(credentials: Credentials) -> dict[str, str]:
    """What ``POST /api/session`` carries, to be sent as a form (manual section 2)."""
    return {"email": credentials.email, "password": credentials.password}


def check_login(where: str, status: int, cookie: str | None, *, shown: str = "") -> str:
    """The ``cookie`` for the socket that ``where`` gave with its answer to a login, a 200; raises
    LoginRefused if it is no 200 or gave none. ``shown`` is a refusal as it may be shown, with its
    status, which else stands alone.
    """
    if status != 200:
        advice = (
            "check the email and the password"
            if status in (400, 401, 403)
            else "is this a Track backend? `track-recorder check` tries it step by step"
        )
        raise LoginRefused(f"{where} refused the login: {shown or status}; {advice}")
    if not cookie:
        raise LoginRefused(
            f"{where} answered 200 but set no cookie for {SOCKET_PATH}; is this a Track backend?"
        )
    return cookie


def cookie_header(client: httpx.AsyncClient) -> str | None:
    """The Cookie header that a request of ``client`` for the socket carries, or None."""
    cookie: str | None = client.build_request("GET", SOCKET_PATH).headers.get("cookie")
    return cookie


class Exchanges:
    """Hands out the numbers of connections and exchanges of one recording, from 1 unless it is
    one that goes on.
    """

    def __init__(self, *, first_connection: int = 1, first_exchange: int = 1) -> None:
        self._connections = first_connection - 1
        self._exchanges = first_exchange - 1

    def connection(self) -> int:
        self._connections += 1
        return self._connections

    def exchange(self) -> int:
        self._exchanges += 1
        return self._exchanges


class TrackHttp:
    """An HTTP session with a backend: cookies are kept, every exchange goes to the sink as it stood
    on the wire.

    An async context manager; leaving it closes its connections. ``cookies`` are those of a session
    that goes on. Proxies of the environment are not used, since the socket would not go through
    them either.
    """

    def __init__(
        self,
        backend: Backend,
        sink: Sink,
        numbers: Exchanges,
        *,
        tls: ssl.SSLContext | None = None,
        cookies: httpx.Cookies | None = None,
    ) -> None:
        self._backend = backend
        self._sink = sink
        self._numbers = numbers
        self._client = httpx.AsyncClient(
            base_url=backend.http_url,
            timeout=_TIMEOUT_S,
            trust_env=False,
            # What is recorded is to be read by people and tools: no content encoding.
            headers={"Accept-Encoding": "identity"},
            verify=tls or ssl.create_default_context(),
            cookies=cookies,
        )
        self.latest: httpx.Response | None = None
        """The latest answer, its head at least; None while there is none to the latest request."""
        self._open: list[int] = []
        self._answered = False

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, trace)
        at = self._sink.now_ns()
        self._sink.write(
            [
                Closed(connection=number, by="recorder", how="stopped", offset_ns=at)
                for number in self._open
            ]
        )

    async def login(self, credentials: Credentials) -> None:
        """``POST /api/session`` with the form of manual section 2; the cookie is kept for what
        follows.

        Raises LoginRefused unless the answer is 200 with a session cookie, Unreachable if there is
        no answer, and ConnectionLost if it breaks off.
        """
        self._sink.redactor.learn("password", credentials.password)
        self._sink.redactor.learn("email", credentials.email)
        response, body = await self.exchange("POST", SESSION_PATH, data=login_form(credentials))
        shown = "" if response.status_code == 200 else self._shown(response, body)
        where = f"{self._backend.http_url}{SESSION_PATH}"
        check_login(where, response.status_code, self.cookie_header(), shown=shown)

    def _shown(self, response: httpx.Response, body: bytes) -> str:
        """A refusal in one line, without secrets."""
        first = body.decode("utf-8", "replace").strip().partition("\n")[0][:200]
        status = f"{response.status_code} {response.reason_phrase}"
        return self._sink.redactor.text(f"{status}: {first}").removesuffix(": ")

    @property
    def cookies(self) -> httpx.Cookies:
        """The cookies of the session."""
        return self._client.cookies

    def cookie_header(self) -> str | None:
        """The Cookie header that a request for the socket carries, or None."""
        return cookie_header(self._client)

    async def get(self, path: str) -> tuple[httpx.Response, bytes]:
        """GET with the session cookie; see :meth:`exchange`."""
        return await self.exchange("GET", path, headers={"Accept": "application/json"})

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        data: dict[str, str] | None = None,
    ) -> tuple[httpx.Response, bytes]:
        """One request and its whole response, both recorded; returns the response and its decoded
        body.
        """
        url = f"{self._backend.http_url}{path}"
        request = self._client.build_request(method, path, headers=headers, data=data)
        exchange = self._numbers.exchange()
        request.extensions["trace"] = _Trace(partial(self._sent, request, exchange)).hear
        self.latest = None
        raw = bytearray()
        try:
            self.latest = response = await self._client.send(request, stream=True)
            at_head = self._sink.now_ns()
            self._answered = True
            self._sink.write([self._head_entry(response, exchange, at_head)])
            whole = False
            try:
                async for chunk in response.aiter_raw():
                    raw += chunk
                whole = True
            finally:
                # What came is evidence, also where the rest did not.
                self._sink.write(self._body_of(raw, exchange, at_head, whole=whole))
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unreachable(f"{url}: cannot connect: {_why(error)}") from error
        except httpx.TransportError as error:
            if not self._answered:
                raise Unreachable(f"{url}: no HTTP answer: {_why(error)}") from error
            raise ConnectionLost(f"{url}: the exchange broke off: {_why(error)}") from error
        return response, _decoded(response, bytes(raw))

    def _sent(
        self,
        request: httpx.Request,
        exchange: int,
        connected: bool,
        tls: str | None,
    ) -> None:
        """The head of ``request`` goes out: on the connection made for it, or on the last one."""
        entries: list[KnownEntry] = []
        now_ns = self._sink.now_ns()
        if connected:
            self._open.append(self._numbers.connection())
            entries.append(
                Open(
                    connection=self._open[-1],
                    leg="upstream",
                    url=self._backend.http_url,
                    tls=tls,
                    offset_ns=now_ns,
                )
            )
        self._sink.write(
            [
                *entries,
                Request(
                    connection=self._open[-1],
                    exchange=exchange,
                    offset_ns=now_ns,
                    method=request.method,
                    target=request.url.raw_path.decode("ascii"),
                    headers=_pairs(request.headers),
                ),
                *body_entries(
                    request.content,
                    connection=self._open[-1],
                    exchange=exchange,
                    sender="client",
                    offset_ns=now_ns,
                ),
            ]
        )

    def _head_entry(self, response: httpx.Response, exchange: int, at_ns: int) -> Response:
        return Response(
            connection=self._open[-1],
            exchange=exchange,
            offset_ns=at_ns,
            status=response.status_code,
            reason=response.reason_phrase,
            http_version=response.http_version.removeprefix("HTTP/"),
            headers=_pairs(response.headers),
        )

    def _body_of(
        self, raw: bytes | bytearray, exchange: int, at_head_ns: int, *, whole: bool
    ) -> list[Body]:
        entries = body_entries(
            bytes(raw),
            connection=self._open[-1],
            exchange=exchange,
            sender="server",
            offset_ns=self._sink.now_ns(),
            first_ns=at_head_ns,
        )
        if entries and not whole:
            entries[-1] = msgspec.structs.replace(entries[-1], last=False)
        return entries


class _Trace:
    """Hears httpcore's trace events of one request and tells when its head goes out."""

    def __init__(self, sent: Callable[[bool, str | None], None]) -> None:
        self._sent = sent
        self._connected = False
        self._tls: str | None = None

    async def hear(self, event: str, info: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            self._connected = True
        elif event == "connection.start_tls.complete":
            ssl_object = info["return_value"].get_extra_info("ssl_object")
            self._tls = ssl_object.version() if ssl_object is not None else None
        elif event == "http11.send_request_headers.started":
            self._sent(self._connected, self._tls)


def _why(error: httpx.TransportError) -> str:
    """Why it failed, in words: those of the error itself, or of what is behind it."""
    if isinstance(error, httpx.TimeoutException):
        return f"timed out after {_TIMEOUT_S:.0f} s"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"the certificate is not to be trusted: {cause.verify_message};"
                " --ca-file names an authority of your own"
            )
        cause = cause.__cause__ or cause.__context__
    return why_not_connected(error) or type(error).__name__


def _pairs(headers: httpx.Headers) -> list[tuple[str, str]]:
    return [(name.decode("iso-8859-1"), value.decode("iso-8859-1")) for name, value in headers.raw]


def _decoded(response: httpx.Response, raw: bytes) -> bytes:
    """The body with its content encoding undone; httpx does it for a response made of the same
    head.
    """
    try:
        return httpx.Response(response.status_code, headers=response.headers, content=raw).content
    except httpx.DecodingError:
        return raw
