"""One TCP connection: HTTP/1.1 heads by h11, then REST through the ASGI bridge, or the socket
(manual sections 2 to 4).
"""

from __future__ import annotations

import http
import traceback
from email.utils import formatdate
from typing import Final

import h11
import trio

from fake_server.asgi import ASGIApp, respond
from fake_server.connection import now_ns
from fake_server.hub import Hub
from fake_server.violation_log import ViolationLog
from recorder.backend import SOCKET_PATH
from recorder.track.rules import Rules
from recorder.track.sessions import SessionProblem, Sessions
from recorder.track.violations import handshake_violations, session_violation
from recorder.wire.handshake import accept_for

__all__ = ["SERVER_NAME", "Front"]

SERVER_NAME: Final = b"tracktape-fake-server"

_HEAD_TIMEOUT_S: Final = 60.0
"""How long a connection may be silent between requests, or take for a head."""

_MAX_HEAD_BYTES: Final = 64 * 1024


class Front:
    """Serves connections: :meth:`handle` one stream, until it ends.

    *Resource handling:* ``handle`` closes the stream. *Error handling:* errors of the network end
    the connection quietly; an error of our own is printed with its traceback and answered 500, and
    the server goes on.
    """

    def __init__(
        self, app: ASGIApp, hub: Hub, *, sessions: Sessions, rules: Rules, violations: ViolationLog
    ) -> None:
        self._app = app
        self._hub = hub
        self._sessions = sessions
        self._rules = rules
        self._violations = violations

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serve one connection."""
        try:
            async with stream:
                await self._serve(_Http(stream))
        except (trio.BrokenResourceError, trio.ClosedResourceError, h11.LocalProtocolError):
            return
        except Exception:  # noqa: BLE001 - one connection's bug must not end the server; it is shown and is a bug
            traceback.print_exc()

    async def _serve(self, http: _Http) -> None:
        try:
            while await self._serve_one(http) and await http.next_cycle():
                pass
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint
            await http.answer(status, f"{status} - {error}", close=True)

    async def _serve_one(self, http: _Http) -> bool:
        """Serve the next request; returns whether another may follow."""
        event: h11.Event | type[h11.PAUSED] | None = None
        with trio.move_on_after(_HEAD_TIMEOUT_S):
            event = await http.next_event()
        if not isinstance(event, h11.Request):
            return False
        if event.target.partition(b"?")[0] == SOCKET_PATH.encode("ascii"):
            return not await self._socket(http, event)
        await respond(
            self._app,
            event,
            next_event=http.next_event,
            send_event=http.send,
            client=http.client_address(),
        )
        return True

    async def _socket(self, http: _Http, request: h11.Request) -> bool:
        """The opening handshake; returns whether the connection became a socket (and has ended by
        now).
        """
        headers = {
            bytes(name): bytes(value).decode("iso-8859-1") for name, value in request.headers
        }
        if request.method != b"GET" or headers.get(b"upgrade", "").lower() != "websocket":
            # Jetty's answer to a GET that is no upgrade.
            await http.answer(405, "405 - Method Not Allowed", headers=[(b"Allow", b"GET")])
            return False
        key, version = headers.get(b"sec-websocket-key"), headers.get(b"sec-websocket-version")
        at_ns = now_ns()
        self._violations.report(handshake_violations(key, version, at_ns=at_ns))
        refused = self._refusal(key, version)
        if refused is not None:
            await http.answer(
                400, refused, headers=[(b"Sec-WebSocket-Version", b"13")] if version != "13" else []
            )
            return False
        cookies = "; ".join(
            value.decode("iso-8859-1") for name, value in request.headers if name == b"cookie"
        )
        session = self._sessions.touch(self._sessions.cookie_from_header(cookies), at_ns)
        if isinstance(session, SessionProblem):
            self._violations.report([session_violation(session, self._rules, at_ns=at_ns)])
            status = self._rules.status_no_session
            await http.answer_html(status)
            return False
        assert key is not None
        await http.stream.send_all(
            b"HTTP/1.1 101 Switching Protocols\r\n"
            b"Server: %s\r\n"
            b"Date: %s\r\n"
            b"Connection: upgrade\r\n"
            b"Sec-WebSocket-Accept: %s\r\n"
            b"Upgrade: WebSocket\r\n"
            b"\r\n" % (SERVER_NAME, _date(), accept_for(key).encode("ascii"))
        )
        await self._hub.serve(http.stream, session, http.early_bytes())
        return True

    def _refusal(self, key: str | None, version: str | None) -> str | None:
        """Why the handshake is answered 400, or None (RFC 6455 section 4.2.2)."""
        if version != "13":
            return "400 - Unsupported websocket version specification"
        if not key:
            return "400 - Missing request header 'Sec-WebSocket-Key'"
        if self._rules.socket_key == "strict" and handshake_violations(key, version):
            return "400 - Sec-WebSocket-Key is not 16 bytes in base64"
        return None


class _Http:
    """An h11 connection over a stream."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._method = b""
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES)

    async def next_event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            event = self._h11.next_event()
            if isinstance(event, h11.Request):
                self._method = event.method
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]  # h11 types NEED_DATA and PAUSED alike
            if self._h11.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            self._h11.receive_data(bytes(await self.stream.receive_some(64 * 1024)))

    async def send(self, event: h11.Event) -> None:
        if isinstance(event, h11.Response):
            headers = [(b"Server", SERVER_NAME), (b"Date", _date()), *event.headers.raw_items()]
            event = h11.Response(
                status_code=event.status_code, headers=headers, reason=_reason(event.status_code)
            )
        if isinstance(event, h11.Data) and self._method == b"HEAD":
            return
        data = self._h11.send(event)
        if data:
            await self.stream.send_all(data)

    async def answer(
        self,
        status: int,
        text: str,
        *,
        content_type: bytes = b"text/plain; charset=utf-8",
        headers: list[tuple[bytes, bytes]] | None = None,
        close: bool = False,
    ) -> None:
        """A whole response of our own."""
        body = text.encode("utf-8")
        fields = [
            (b"Content-Type", content_type),
            (b"Content-Length", b"%d" % len(body)),
            *(headers or []),
        ]
        if close:
            fields.append((b"Connection", b"close"))
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self.send(h11.Response(status_code=status, headers=fields))
            await self.send(h11.Data(data=body))
            await self.send(h11.EndOfMessage())

    async def answer_html(self, status: int) -> None:
        """A small error page as Jetty's."""
        text = f"{status} - {_reason(status).decode('ascii')}"
        page = (
            f"<!DOCTYPE html><html><head><title>{text}</title></head>"
            f"<body><h1>{text}</h1></body></html>\n"
        )
        await self.answer(status, page, content_type=b"text/html; charset=utf-8")

    async def next_cycle(self) -> bool:
        """Get ready for the next request on this connection; False if there can be none."""
        while self._h11.their_state is h11.SEND_BODY:
            # The rest of a request body that nobody asked for.
            if not isinstance(await self.next_event(), (h11.Data, h11.EndOfMessage)):
                return False
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
            return True
        return False

    def early_bytes(self) -> bytes:
        """What came behind the upgrade request."""
        return self._h11.trailing_data[0]

    def client_address(self) -> tuple[str, int] | None:
        """Who is at the other end, where that can be told."""
        socket = getattr(self.stream, "socket", None)
        try:
            address = socket.getpeername() if socket is not None else None
        except OSError:
            # Reset meanwhile.
            return None
        return (address[0], address[1]) if isinstance(address, tuple) else None


def _date() -> bytes:
    return formatdate(usegmt=True).encode("ascii")


def _reason(status: int) -> bytes:
    try:
        return http.HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b""
