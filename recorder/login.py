"""HTTP against a Track backend, recorded: login, session cookie, REST snapshots (manual sections 2
and 4).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import httpx

from recorder.backend import SESSION_PATH, SOCKET_PATH, Backend
from recorder.credentials import Credentials
from recorder.errors import ConnectionLost, LoginRefused, Unreachable
from recorder.model import Closed, KnownEntry, Open, Request, Response
from recorder.observer import body_entries
from recorder.sink import Sink

__all__ = ["Exchanges", "TrackHttp"]

_TIMEOUT_S: Final = 30.0


class Exchanges:
    """Hands out the numbers of connections and exchanges of one recording, from 1."""

    def __init__(self) -> None:
        self._connections = 0
        self._exchanges = 0

    def connection(self) -> int:
        self._connections += 1
        return self._connections

    def exchange(self) -> int:
        self._exchanges += 1
        return self._exchanges


class TrackHttp:
    """An HTTP session with a backend: cookies are kept, every exchange goes to the sink as it stood
    on the wire.

    An async context manager; leaving it closes its connections. Proxies of the environment are not
    used, since the socket would not go through them either.
    """

    def __init__(
        self, backend: Backend, sink: Sink, numbers: Exchanges, *, tls: ssl.SSLContext | None = None
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
        )
        self._connections: dict[int, int] = {}

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
                for number in self._connections.values()
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
        response, body = await self.exchange(
            "POST",
            SESSION_PATH,
            data={"email": credentials.email, "password": credentials.password},
        )
        if response.status_code != 200:
            shown = self._sink.redactor.text(
                body.decode("utf-8", "replace").strip().partition("\n")[0][:200]
            )
            raise LoginRefused(
                f"{self._backend.http_url}{SESSION_PATH} refused the login: {response.status_code}"
                f" {response.reason_phrase}{f': {shown}' if shown else ''};"
                " check the email and the password"
            )
        if self.cookie_header() is None:
            raise LoginRefused(
                f"{self._backend.http_url}{SESSION_PATH} answered 200 but set no cookie for"
                f" {SOCKET_PATH}; is this a Track backend?"
            )

    def cookie_header(self) -> str | None:
        """The Cookie header that a request for the socket carries, or None."""
        cookie: str | None = self._client.build_request("GET", SOCKET_PATH).headers.get("cookie")
        return cookie

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
        moments = _Moments(self._sink.now_ns)
        request.extensions["trace"] = moments.trace
        try:
            response = await self._client.send(request, stream=True)
            at_head = self._sink.now_ns()
            try:
                raw = b"".join([chunk async for chunk in response.aiter_raw()])
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unreachable(f"{url}: cannot connect: {error or 'timed out'}") from error
        except httpx.TransportError as error:
            raise ConnectionLost(
                f"{url}: the exchange broke off: {error or type(error).__name__}"
            ) from error
        connection, opened = self._connection_of(response, moments)
        number = self._numbers.exchange()
        self._sink.write(
            [
                *opened,
                Request(
                    connection=connection,
                    exchange=number,
                    offset_ns=moments.sent_ns,
                    method=method,
                    target=request.url.raw_path.decode("ascii"),
                    headers=_pairs(request.headers),
                ),
                *body_entries(
                    request.content,
                    connection=connection,
                    exchange=number,
                    sender="client",
                    offset_ns=moments.sent_ns,
                ),
                Response(
                    connection=connection,
                    exchange=number,
                    offset_ns=at_head,
                    status=response.status_code,
                    reason=response.reason_phrase,
                    http_version=response.http_version.removeprefix("HTTP/"),
                    headers=_pairs(response.headers),
                ),
                *body_entries(
                    raw,
                    connection=connection,
                    exchange=number,
                    sender="server",
                    offset_ns=self._sink.now_ns(),
                    first_ns=at_head,
                ),
            ]
        )
        return response, _decoded(response, raw)

    def _connection_of(
        self, response: httpx.Response, moments: _Moments
    ) -> tuple[int, list[KnownEntry]]:
        stream = response.extensions["network_stream"]
        known = self._connections.get(id(stream))
        if known is not None:
            return known, []
        number = self._connections[id(stream)] = self._numbers.connection()
        ssl_object = stream.get_extra_info("ssl_object")
        return number, [
            Open(
                connection=number,
                leg="upstream",
                url=self._backend.http_url,
                tls=ssl_object.version() if ssl_object is not None else None,
                offset_ns=moments.connected_ns
                if moments.connected_ns is not None
                else moments.sent_ns,
            )
        ]


class _Moments:
    """When a request's connection was made and its head was sent, by httpcore's trace events."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self.connected_ns: int | None = None
        self.sent_ns = now_ns()

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            self.connected_ns = self.sent_ns = self._now_ns()
        elif event == "http11.send_request_headers.started":
            self.sent_ns = self._now_ns()


def _pairs(headers: httpx.Headers) -> list[tuple[str, str]]:
    return [(name.decode("iso-8859-1"), value.decode("iso-8859-1")) for name, value in headers.raw]


def _decoded(response: httpx.Response, raw: bytes) -> bytes:
    """The body with its content encoding undone; httpx does it for a response made of the same
    head.
    """
    return httpx.Response(response.status_code, headers=response.headers, content=raw).content
