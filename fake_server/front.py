"""One TCP connection of the server: HTTP requests one after the other, until one becomes the socket
(manual sections 2 to 4).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final, TypeAlias

import h11
import msgspec
import trio

from fake_server.connection import now_ns
from fake_server.exchange import Answer, HttpRequest, is_for_admin, reason_of, text_answer
from fake_server.faults import FaultBoard
from fake_server.faults.base import Refusal, Silence, WrongAccept
from fake_server.handshake import Gate, Upgrade
from fake_server.http1 import Http1, RequestTooLarge
from fake_server.hub import Hub
from fake_server.journal import Journal
from recorder.backend import SESSION_PATH, SOCKET_PATH
from recorder.transport import tcp_socket_of

__all__ = ["Application", "Front", "TapStream"]

Application: TypeAlias = Callable[[HttpRequest], Answer]

TapStream: TypeAlias = Callable[[trio.abc.Stream, int], trio.abc.Stream]
"""Wraps the stream of a new connection, whose number is given: how it is recorded."""

_REQUEST_TIMEOUT_S: Final = 60.0
"""How long a connection may be silent between requests, or take for one request; and how long for
its answer.
"""

_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError, h11.LocalProtocolError)
"""The client hung up; or, of h11, while it was being answered."""


class Front:
    """Serves connections: :meth:`handle` one stream, until it ends.

    *Resource handling:* ``handle`` closes the stream. *Error handling:* errors of the network end
    the connection quietly; an error of our own is given to ``on_error`` and answered 500, and the
    server goes on.
    """

    def __init__(
        self,
        application: Application,
        hub: Hub,
        gate: Gate,
        *,
        faults: FaultBoard,
        journal: Journal,
        on_error: Callable[[BaseException], None],
        tap: TapStream | None = None,
    ) -> None:
        self._application = application
        self._hub = hub
        self._gate = gate
        self._faults = faults
        self._journal = journal
        self._on_error = on_error
        self._tap = tap
        self._connections = 0

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serve one connection."""
        self._connections += 1
        connection = self._connections
        peer = _peer(stream)
        if self._tap is not None:
            stream = self._tap(stream, connection)
        try:
            # What HTTP needed is gone before the socket begins: there may be thousands of sockets.
            opened = await self._serve_http(stream, connection, peer)
            if opened is not None:
                upgrade, early = opened
                served = self._hub.serve(stream, upgrade, connection=connection, early=early)
                # Nor is what told of the upgrade kept for as long as the socket lives.
                del opened, upgrade, early
                await served
            await _close(stream)
        except _GONE:
            pass
        except Exception as error:  # noqa: BLE001 - one connection's bug must not end the server; it is shown and is a bug
            self._on_error(error)
        finally:
            await trio.aclose_forcefully(stream)

    async def _serve_http(
        self, stream: trio.abc.Stream, connection: int, peer: str | None
    ) -> tuple[Upgrade, bytes] | None:
        """Answer requests; returns the upgrade that was granted, and what came behind it."""
        http = Http1(stream, connection, peer=peer)
        while True:
            request = None
            try:
                with trio.move_on_after(_REQUEST_TIMEOUT_S):
                    request = await http.read()
            except h11.RemoteProtocolError as error:
                status = error.error_status_hint
                await self._send_error(http, text_answer(status, f"{status} - {error}"))
            except RequestTooLarge:
                await self._send_error(http, text_answer(413, f"413 - {reason_of(413)}"))
            if request is None:
                return None
            if request.path == SOCKET_PATH:
                upgrade = await self._upgrade(request)
                if upgrade is None:
                    return None
                if isinstance(upgrade, Upgrade):
                    return upgrade, http.early_bytes()
                answer = upgrade
            elif is_for_admin(request):
                waited_for = await self._answer_while_there(request, http)
                if waited_for is None:
                    return None
                answer = waited_for
            else:
                answer = await self._answer(request)
            if not is_for_admin(request):
                self._journal.note(
                    "request",
                    connection=connection,
                    method=request.method,
                    target=request.target,
                    status=answer.status,
                )
            may_go_on = False
            with trio.move_on_after(_REQUEST_TIMEOUT_S):
                may_go_on = await http.send(answer)
            if not may_go_on:
                return None

    async def _send_error(self, http: Http1, answer: Answer) -> None:
        with trio.move_on_after(_REQUEST_TIMEOUT_S):
            await http.send_error(answer)

    async def _answer(self, request: HttpRequest) -> Answer:
        if request.method == "POST" and request.path == SESSION_PATH:
            wait_s = self._faults.login_wait_s(self._age_s())
            if wait_s:
                await trio.sleep(wait_s)
        try:
            answer = self._application(request)
            if answer.later is not None:
                answer = await answer.later()
            if answer.slow_body is None:
                return answer
            # Nobody's PING or message waits for a spreadsheet.
            body = await trio.to_thread.run_sync(answer.slow_body)
        except Exception as error:  # noqa: BLE001 - as above: shown, and the client is told
            self._on_error(error)
            return text_answer(500, f"500 - {reason_of(500)}")
        return msgspec.structs.replace(answer, body=body, slow_body=None)

    async def _answer_while_there(self, request: HttpRequest, http: Http1) -> Answer | None:
        """None once the client hung up: what it waited for is left to those who still wait."""
        answer = None
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                await http.hung_up()
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            answer = await self._answer(request)
            nursery.cancel_scope.cancel()
        return answer

    async def _upgrade(self, request: HttpRequest) -> Upgrade | Answer | None:
        """The opening handshake: an upgrade that is granted, an answer that is to be sent, or None
        where the connection is to end without one.
        """
        judged = self._gate.judge(request)
        if isinstance(judged, Answer):
            return judged
        fault = self._faults.handshake(self._age_s(), self._hub.accepted + 1)
        accept = judged.accept
        if fault is not None:
            self._gate.failed(judged, now_ns())
        match fault:
            case Refusal():
                return Answer(fault.status, fault.body, fault.headers)
            case Silence():
                await trio.sleep(fault.hang_up_s)
                return None
            case WrongAccept():
                accept = fault.accept
        return msgspec.structs.replace(judged, accept=accept)

    def _age_s(self) -> float:
        """Since the server started."""
        return (now_ns() - self._hub.started_ns) / 1e9


def _peer(stream: trio.abc.Stream) -> str | None:
    """The client's address; empty if it cannot be told any more, None without a network."""
    tcp = tcp_socket_of(stream)
    if tcp is None:
        return None
    try:
        name = tcp.getpeername()
    except OSError:
        # It hung up already; what it asked must not count as asked from here.
        return ""
    return str(name[0]) if isinstance(name, tuple) else ""


async def _close(stream: trio.abc.Stream) -> None:
    """End the connection in order: over TLS with its own word for the end."""
    with trio.move_on_after(1.0):
        try:
            await stream.aclose()
        except (*_GONE, ssl.SSLError):
            return
