"""One client of a proxy: its connection and the one to the upstream, byte for byte, recorded.

Frames are relayed first and recorded then, in one go, so that the recording keeps their order. What
a peer does not take holds up whoever sends it (back-pressure), and nothing is dropped. Only heads
are read before they go on, since they are changed (:mod:`recorder.proxy.heads`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Literal, TypeAlias

import msgspec
import trio

from recorder.connection_observer import ConnectionObserver, PassedHead
from recorder.entries import request_entry
from recorder.errors import Unreachable
from recorder.model import FrameEntry, KnownEntry, Note, Open, Response
from recorder.proxy.heads import HeadRewriter
from recorder.proxy.leg import Leg
from recorder.proxy.progress import ProxyProgress
from recorder.sink import Sink
from recorder.wire.frames import Sender
from recorder.wire.handshake import RequestHead, parse_request_head, parse_response_head

__all__ = ["OF_PROXY", "Dial", "Numbers", "Relay"]

OF_PROXY: Final = "track-recorder proxy: "
"""So begins the text of an answer that the proxy gives in place of the upstream."""

Dial: TypeAlias = Callable[[], Awaitable[tuple[trio.abc.Stream, str | None]]]
"""Connects to the upstream: the stream and its TLS version. Raises Unreachable."""

_Passed: TypeAlias = list[bytes | PassedHead]

_TLS_RECORDS: Final = (b"\x14", b"\x15", b"\x16", b"\x17")
_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


class Numbers(msgspec.Struct, frozen=True):
    """Where a relay gets the numbers of its connections and exchanges."""

    connection: Callable[[], int]
    exchange: Callable[[], int]


class Relay:
    """Relays and records one client's connection: :meth:`run` once.

    The upstream is dialled for the first request, so that one that cannot be reached is answered
    502. From then on each side sees what the other does: its bytes, its end, its reset. TLS cannot
    be half-closed: an end over it waits for the answer that is due, and then closes.

    *Resource handling:* ``run`` closes both connections, also when it is cancelled, which counts as
    stopped by the recorder. *Error handling:* DiskFailed, perhaps in a group, if what was relayed
    cannot be recorded; errors of the network end the relay.
    """

    def __init__(
        self,
        client: trio.abc.Stream,
        opened: Open,
        *,
        dial: Dial,
        rewriter: HeadRewriter,
        numbers: Numbers,
        sink: Sink,
        progress: ProxyProgress,
    ) -> None:
        self._opened = opened
        self._client = Leg(client, opened.connection)
        self._upstream: Leg | None = None
        self._dial = dial
        self._rewriter = rewriter
        self._numbers = numbers
        self._sink = sink
        self._progress = progress
        self._observer = ConnectionObserver(opened.connection, numbers.exchange)
        self._own_origin: str | None = None
        self._is_socket = False
        self._close_frame: FrameEntry | None = None
        self._first_to_end: Sender | None = None
        self._reset_by: Sender | None = None
        self._answered_itself = False
        self._must_close_when_answered = False
        self._end_is_due = False
        self._has_begun = False
        self._is_answering = False
        self._relaying = trio.CancelScope()

    async def run(self) -> None:
        """Relay until both sides have ended, or one was reset."""
        self._progress.connections += 1
        self._progress.open += 1
        stopped = True
        try:
            self._sink.write([self._opened])
            with self._relaying:
                async with trio.open_nursery() as nursery:
                    await self._relay("client", self._client, nursery)
            stopped = self._relaying.cancelled_caught and not self._over
        finally:
            self._progress.open -= 1
            self._progress.open_sockets -= self._is_socket
            # An end in order would say that a body of unknown size is whole (RFC 9112 section 8).
            reset = self._reset_by is not None or (stopped and self._observer.unanswered)
            try:
                self._write_closed(stopped=stopped)
            finally:
                with trio.CancelScope(shield=True):
                    for leg in self._legs():
                        await leg.close(reset=reset)

    @property
    def _over(self) -> bool:
        return self._reset_by is not None or self._first_to_end is not None or self._answered_itself

    def _legs(self) -> list[Leg]:
        return [self._client] if self._upstream is None else [self._upstream, self._client]

    # Bytes

    async def _relay(self, sender: Sender, source: Leg, nursery: trio.Nursery) -> None:
        """Relay what ``sender`` sends, until its end."""
        while True:
            try:
                data = await source.read()
            except _GONE:
                self._reset(sender)
                return
            self._progress.bytes[sender] += len(data)
            if sender == "server":
                self._is_answering = bool(data)
            target = self._upstream if sender == "client" else self._client
            try:
                if data and target is not None and self._observer.passes(sender):
                    rest = target.send_now(data)
                    self._record(self._observer.received(sender, data, self._sink.now_ns()))
                    if rest:
                        await target.send(rest)
                else:
                    await self._read_on(sender, data, nursery)
                if not data:
                    await self._pass_end(sender)
                    return
                if sender == "server":
                    self._is_answering = False
                if self._must_close_when_answered and not self._is_answer_due:
                    self._relaying.cancel()
            except _GONE:
                self._reset("server" if sender == "client" else "client")
                return

    async def _read_on(self, sender: Sender, data: bytes, nursery: trio.Nursery) -> None:
        """Record ``data``, in which heads may stand, and pass it on with these changed."""
        entries = self._observer.received(sender, data, self._sink.now_ns())
        passed = self._observer.passed
        to_client, got = self._changed_responses(passed["server"])
        self._record(entries, got)
        if sender == "server":
            # The client's goes first where it was held until the answer told what it is: what the
            # client sends, or ends, from now on must stay behind it.
            if passed["client"]:
                assert self._upstream is not None
                await self._upstream.send(self._changed_requests(passed["client"], self._upstream))
            if to_client:
                await self._client.send(to_client)
            if self._end_is_due:
                await self._pass_end("client")
            return
        if not self._has_begun and data[:1] in _TLS_RECORDS:
            # It would wait for the end of a head that never comes (RFC 8446 section 5.1).
            passed["client"].append(data)
        self._has_begun = True
        if not passed["client"]:
            return
        if self._upstream is None:
            if not data:
                # It left inside its first head: there is nothing to ask an upstream for.
                return
            if not await self._connect(passed["client"][0]):
                return
            assert self._upstream is not None
            nursery.start_soon(self._relay, "server", self._upstream, nursery)
        await self._upstream.send(self._changed_requests(passed["client"], self._upstream))

    @property
    def _is_answer_due(self) -> bool:
        """Whether the client waits for an answer, or has not got all of one yet."""
        return self._observer.unanswered or self._is_answering

    async def _pass_end(self, sender: Sender) -> None:
        """``sender`` sends nothing more: tell the other side, if it can be told."""
        self._first_to_end = self._first_to_end or sender
        target = self._upstream if sender == "client" else self._client
        if target is None:
            self._relaying.cancel()
        elif sender == "client" and self._observer.holds:
            # What is held goes before.
            self._end_is_due = True
        elif target.half_closes:
            await target.send_eof()
        elif sender == "client" and self._is_answer_due and not self._observer.is_inside("client"):
            self._must_close_when_answered = True
        else:
            self._relaying.cancel()

    def _reset(self, by: Sender) -> None:
        self._reset_by = self._reset_by or by
        self._relaying.cancel()

    # Heads

    def _changed_requests(self, passed: _Passed, upstream: Leg) -> bytes:
        """The client's bytes for the upstream; what its heads became is recorded on its leg."""
        out = []
        for piece in passed:
            if isinstance(piece, bytes):
                out.append(piece)
                continue
            assert isinstance(piece.head, RequestHead)
            self._own_origin = self._rewriter.own_origin(piece.head)
            new = self._rewriter.request(piece.data, piece.head)
            out.append(new.data)
            entry = request_entry(
                parse_request_head(new.data),
                connection=upstream.connection,
                exchange=piece.exchange,
                offset_ns=self._sink.now_ns(),
            )
            self._sink.write([entry])
            if new.extensions is not None:
                self._note(
                    "Sec-WebSocket-Extensions was left out of the offer to the upstream, so that"
                    f" frames are not compressed: {new.extensions}"
                )
        return b"".join(out)

    def _changed_responses(self, passed: _Passed) -> tuple[bytes, list[bytes]]:
        """The server's bytes for the client, and the heads in them."""
        out, heads = [], []
        for piece in passed:
            if isinstance(piece, bytes):
                out.append(piece)
            else:
                heads.append(self._rewriter.response(piece.data, self._own_origin))
                out.append(heads[-1])
        return b"".join(out), heads

    # The upstream

    async def _connect(self, first: bytes | PassedHead) -> bool:
        """Dial the upstream for what the client sent first; if there is none, answer ourselves."""
        refusal = _refusal(first)
        if refusal is None:
            try:
                stream, tls = await self._dial()
            except Unreachable as error:
                words = self._sink.redactor.text(str(error))
                self._progress.problem(words)
                self._note(f"the upstream could not be reached: {words}")
                refusal = 502, "Bad Gateway", words
        if refusal is not None:
            await self._answer(*refusal)
            return False
        self._upstream = Leg(stream, self._numbers.connection())
        opened = Open(
            connection=self._upstream.connection,
            leg="upstream",
            paired_with=self._client.connection,
            url=self._rewriter.upstream.http_url,
            tls=tls,
            offset_ns=self._sink.now_ns(),
        )
        self._sink.write([opened])
        return True

    async def _answer(self, status: int, reason: str, words: str) -> None:
        """Answer in place of the upstream, and end."""
        text = f"{OF_PROXY}{words}\n".encode()
        head = (
            f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n"
        )
        data = head.encode("ascii") + text
        self._answered_itself = True
        self._record(self._observer.received("server", data, self._sink.now_ns()))
        await self._client.send(data)
        await self._client.hang_up()
        self._relaying.cancel()

    # Recording

    def _record(self, entries: list[KnownEntry], heads: Iterable[bytes] = ()) -> None:
        """Write ``entries`` of the client's leg; ``heads`` are what responses became for the
        client, while the upstream's leg gets them as they came.
        """
        changed = iter(heads)
        out: list[KnownEntry] = []
        for entry in entries:
            if type(entry) is FrameEntry:
                self._progress.frames[entry.sender] += 1
                if entry.opcode == "close" and self._close_frame is None:
                    self._close_frame = entry
                out.append(entry)
            elif type(entry) is Response:
                out += self._both_legs(entry, next(changed, None))
            else:
                out.append(entry)
        self._sink.write(out)

    def _both_legs(self, response: Response, for_client: bytes | None) -> list[KnownEntry]:
        if response.status == 101:
            self._is_socket = True
            self._progress.sockets += 1
            self._progress.open_sockets += 1
        if response.status >= 200 or response.status == 101:
            self._progress.exchanges += 1
        if for_client is None or self._upstream is None:
            return [response]
        return [
            msgspec.structs.replace(response, connection=self._upstream.connection),
            msgspec.structs.replace(response, headers=parse_response_head(for_client).headers),
        ]

    def _note(self, words: str) -> None:
        text = f"connection {self._client.connection}: {words}"
        self._sink.write([Note(text=text, offset_ns=self._sink.now_ns())])

    def _write_closed(self, *, stopped: bool) -> None:
        by: Literal["client", "server", "recorder"]
        how: Literal["eof", "reset", "stopped"]
        if self._reset_by is not None:
            by, how = self._reset_by, "reset"
        elif stopped:
            by, how = "recorder", "stopped"
        elif self._answered_itself:
            by, how = "recorder", "eof"
        else:
            by, how = self._first_to_end or "client", "eof"
        entries = self._observer.closed(by, how, self._sink.now_ns(), self._detail())
        if self._upstream is not None:
            [*_, closed] = entries
            connection = self._upstream.connection
            entries.append(msgspec.structs.replace(closed, connection=connection))
        self._sink.write(entries)

    def _detail(self) -> str:
        """The first close frame, in words."""
        if self._close_frame is None:
            return ""
        code, reason = self._close_frame.code, self._close_frame.reason or ""
        return "close no code" if code is None else f"close {code} {reason}".rstrip()


def _refusal(first: bytes | PassedHead) -> tuple[int, str, str] | None:
    """The answer to what no upstream is dialled for: status, reason and words; None if it is
    sound.
    """
    if isinstance(first, bytes):
        return 400, "Bad Request", "this is no HTTP/1.1 request (TLS, perhaps? then say --tls-cert)"
    assert isinstance(first.head, RequestHead)
    if first.head.method == "CONNECT":
        return (
            405,
            "Method Not Allowed",
            "this is a reverse proxy: use its URL in place of the backend's",
        )
    if not first.head.http_version.startswith("1."):
        return 505, "HTTP Version Not Supported", "HTTP/1.1 only"
    return None
