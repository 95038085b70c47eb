"""One HTTP exchange over one stream, as the doctor needs it: every byte seen, whatever it is.

httpx would hide what is to be shown: the fields as they came, what was no HTTP, how it broke off.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
import trio

from recorder.model import Headers
from recorder.wire.bodies import response_body
from recorder.wire.handshake import HeadReader, ResponseHead, header_value, parse_response_head

__all__ = ["MAX_ANSWER_BYTES", "Answer", "Lost", "exchange", "request_bytes"]

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""More than that of one answer is not read."""


class Lost(Exception):
    """An exchange came to no whole answer. ``received`` is what came of it, at most 200 bytes;
    ``why`` the operating system's or TLS's words, if there are any.
    """

    def __init__(
        self,
        how: Literal["refused", "timeout", "end", "reset", "no http", "too long"],
        received: bytes = b"",
        why: str = "",
    ) -> None:
        super().__init__(f"{how} {why}".rstrip())
        self.how = how
        self.received = received[:200]
        self.why = why


class Answer(msgspec.Struct, frozen=True):
    """A whole response: transfer encoding undone, content encoding kept. ``took_s`` is from the
    first byte sent to the last received. ``rest`` is what came behind a 101.
    """

    head: ResponseHead
    body: bytes
    took_s: float
    rest: bytes = b""

    @property
    def status(self) -> int:
        """The status code."""
        return self.head.status

    def header(self, name: str) -> str | None:
        """The first field of that name, or None."""
        return header_value(self.head.headers, name)

    @property
    def is_html(self) -> bool:
        """Whether a page came, by its type or its first bytes."""
        kind = (self.header("Content-Type") or "").lower()
        start = self.body[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        return "html" in kind or start.startswith((b"<!doctype html", b"<html"))


def request_bytes(method: str, target: str, headers: Headers, body: bytes = b"") -> bytes:
    """A request as it stands on the wire (RFC 9112 section 3)."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("iso-8859-1") + body


async def exchange(
    stream: trio.abc.Stream, method: str, request: bytes, *, within_s: float
) -> Answer:
    """Send a request and read its whole answer. Raises Lost; the stream stays the caller's."""
    began_s = trio.current_time()
    received = bytearray()
    try:
        with trio.fail_after(within_s):
            await stream.send_all(request)
            head, rest = await _read_head(stream, received)
            body = b""
            if head.status != 101:
                body, rest = await _body(stream, method, head, rest), b""
    except trio.TooSlowError:
        raise Lost("timeout", bytes(received)) from None
    except trio.BrokenResourceError as error:
        raise Lost("reset", bytes(received), str(error.__cause__ or "")) from error
    return Answer(head, body, trio.current_time() - began_s, rest)


async def _read_head(stream: trio.abc.Stream, received: bytearray) -> tuple[ResponseHead, bytes]:
    """The head of the final answer and what came behind it; 1xx before it are passed over, 101 is
    final. ``received`` is given what came. Raises Lost.
    """
    rest = b""
    while True:
        reader = HeadReader()
        try:
            while (found := reader.feed(rest)) is None:
                if not b"HTTP/".startswith(reader.held[:5]):
                    raise Lost("no http", bytes(received))
                rest = bytes(await stream.receive_some())
                received += rest
                if not rest:
                    raise Lost("end", bytes(received))
            head = parse_response_head(found[0])
        except ValueError as error:
            raise Lost("no http", bytes(received), str(error)) from error
        rest = found[1]
        if head.status >= 200 or head.status == 101:
            return head, rest


async def _body(stream: trio.abc.Stream, method: str, head: ResponseHead, data: bytes) -> bytes:
    try:
        reader = response_body(method, head.status, head.headers)
    except ValueError as error:
        raise Lost("no http", why=str(error)) from error
    body = bytearray()
    while reader is not None:
        body += reader.feed(data)[0]
        if reader.broken is not None:
            raise Lost("no http", why=reader.broken)
        if reader.ended:
            break
        if len(body) > MAX_ANSWER_BYTES:
            raise Lost("too long")
        data = bytes(await stream.receive_some())
        if not data:
            if not reader.needs_close:
                raise Lost("end", why="inside the body of an answer")
            break
    return bytes(body)
