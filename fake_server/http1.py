"""HTTP/1.1 over one stream: whole requests in, whole answers out. The parsing is h11's."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Final

import h11
import trio

from fake_server.exchange import MAX_BODY_BYTES, Answer, Headers, HttpRequest, reason_of

__all__ = ["MAX_HEAD_BYTES", "SERVER_NAME", "Http1", "RequestTooLarge", "date"]

SERVER_NAME: Final = "tracktape-fake-server"

MAX_HEAD_BYTES: Final = 64 * 1024

_READ_BYTES: Final = 64 * 1024


class RequestTooLarge(Exception):
    """The body is longer than :data:`~fake_server.exchange.MAX_BODY_BYTES`."""


class Http1:
    """The requests of one connection.

    *Error handling:* ``read`` raises h11.RemoteProtocolError on what is no HTTP and RequestTooLarge
    on a body that is too long; both are to be answered with :meth:`send_error`. Errors of the
    stream pass through.
    """

    def __init__(
        self, stream: trio.abc.Stream, connection: int, *, peer: str | None = None
    ) -> None:
        self._stream = stream
        self._connection = connection
        self._peer = peer
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._is_head = False

    async def read(self) -> HttpRequest | None:
        """The next request; None when the client hung up or can send no further one."""
        request = None
        body: list[bytes] = []
        size = 0
        while True:
            event = self._h11.next_event()
            if event is h11.NEED_DATA:
                if self._h11.they_are_waiting_for_100_continue:
                    await self._send([h11.InformationalResponse(status_code=100, headers=[])])
                self._h11.receive_data(bytes(await self._stream.receive_some(_READ_BYTES)))
            elif isinstance(event, h11.Request):
                request = event
                self._is_head = event.method == b"HEAD"
                _check(event)
            elif isinstance(event, h11.Data):
                size += len(event.data)
                if size > MAX_BODY_BYTES:
                    raise RequestTooLarge
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                headers = tuple(
                    (name.decode("ascii"), value.decode("iso-8859-1"))
                    for name, value in request.headers
                )
                target, headers = _origin_form(request.target.decode("ascii"), headers)
                return HttpRequest(
                    method=request.method.decode("ascii"),
                    target=target,
                    headers=headers,
                    body=b"".join(body),
                    connection=self._connection,
                    at_ns=round(trio.current_time() * 1e9),
                    peer=self._peer,
                )
            else:
                # ConnectionClosed, or PAUSED behind a request to switch protocols.
                return None

    async def hung_up(self) -> None:
        """Wait, while the answer to a request is, until the client has hung up or ended what it
        sends. A client that sends its next request already is there, and is watched no further.

        Cancelled, nothing that was sent is lost.
        """
        try:
            data = bytes(await self._stream.receive_some(_READ_BYTES))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        self._h11.receive_data(data)
        if data:
            await trio.sleep_forever()

    async def send(self, answer: Answer) -> bool:
        """Send the answer to the request that was read; returns whether another may follow."""
        headers = [("Date", date()), *answer.headers]
        # A refusal may come from a proxy in front of the backend.
        if all(name != "Server" for name, _ in answer.headers):
            headers.insert(0, ("Server", SERVER_NAME))
        # RFC 9110 section 8.6: none in a response to which no content belongs.
        if answer.status >= 200 and answer.status != 204:
            headers.append(("Content-Length", str(len(answer.body))))
        body = b"" if self._is_head or answer.status in (204, 304) else answer.body
        if self._h11.their_state is h11.DONE:
            head = _head(answer.status, headers)
            if head is not None:
                await self._stream.send_all(head + body)
                self._start_next_cycle()
                return True
        events: list[h11.Event] = [
            h11.Response(
                status_code=answer.status,
                headers=headers,
                reason=reason_of(answer.status).encode("ascii"),
            )
        ]
        if body:
            events.append(h11.Data(data=body))
        await self._send([*events, h11.EndOfMessage()])
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
            return True
        return False

    def _start_next_cycle(self) -> None:
        """h11 did not see the answer, so a new one reads on."""
        early, at_end = self._h11.trailing_data
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        if early:
            self._h11.receive_data(early)
        if at_end:
            self._h11.receive_data(b"")

    async def send_error(self, answer: Answer) -> None:
        """Answer what could not be read, where that is still possible; nothing can follow."""
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self.send(answer.with_headers({"Connection": "close"}))

    def early_bytes(self) -> bytes:
        """What came behind the request that was read last."""
        return self._h11.trailing_data[0]

    async def _send(self, events: list[h11.Event]) -> None:
        # One write: two would cost a system call and, over slow networks, a packet.
        await self._stream.send_all(b"".join(self._h11.send(event) or b"" for event in events))


def _check(request: h11.Request) -> None:
    """What h11 lets pass. Raises as :meth:`Http1.read` does."""
    if not request.http_version.startswith(b"1."):
        raise h11.RemoteProtocolError("only HTTP/1.1 is spoken here", error_status_hint=505)
    fields = dict(request.headers)
    length = fields.get(b"content-length")
    if length is None:
        return
    if b"transfer-encoding" in fields:
        # RFC 9112 section 6.3: "might indicate an attempt to perform request smuggling".
        raise h11.RemoteProtocolError("Transfer-Encoding and Content-Length")
    if int(length) > MAX_BODY_BYTES:
        # Before the body is asked for, if the client waits for a 100.
        raise RequestTooLarge


def _origin_form(target: str, headers: Headers) -> tuple[str, Headers]:
    """The target and headers as if a target that is a whole URL were a path, and its host in
    ``Host`` (RFC 9112 section 3.2.2).
    """
    if target.startswith("/"):
        return target, headers
    scheme, colon, rest = target.partition("://")
    if not colon or scheme.lower() not in ("http", "https"):
        return target, headers
    end = next((at for at, letter in enumerate(rest) if letter in "/?"), len(rest))
    host, path = rest[:end], rest[end:]
    others = tuple(field for field in headers if field[0] != "host")
    return path if path.startswith("/") else "/" + path, (("host", host), *others)


def _head(status: int, headers: list[tuple[str, str]]) -> bytes | None:
    """The head of the usual answer, or None where a value holds what h11 must refuse.

    h11 takes 70 µs for an answer, most of it to check what is ours; this takes 2.
    """
    lines = [f"HTTP/1.1 {status} {reason_of(status)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    text = "\r\n".join([*lines, "", ""])
    count = len(lines) + 1
    if text.count("\n") != count or text.count("\r") != count or "\0" in text:
        return None
    return text.encode("iso-8859-1")


_date_text = ("", -1)


def date() -> str:
    """The value of ``Date`` now."""
    global _date_text
    now_s = int(time.time())
    if _date_text[1] != now_s:
        _date_text = formatdate(now_s, usegmt=True), now_s
    return _date_text[0]
